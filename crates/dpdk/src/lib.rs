//! Safe wrapper of the part of DPDK that the load balancer uses.
