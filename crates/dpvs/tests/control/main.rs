// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control socket from outside: real sockets, real workers on threads, no DPDK.

#[cfg(test)]
mod access;
#[cfg(test)]
mod attributes;
#[cfg(test)]
mod batches;
#[cfg(test)]
mod config;
#[cfg(test)]
mod conns;
#[cfg(test)]
mod echo;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod icmp;
#[cfg(test)]
mod ipvs;
#[cfg(test)]
mod laddrs;
#[cfg(test)]
mod network;
#[cfg(test)]
mod services;
#[cfg(test)]
mod sockets;
#[cfg(test)]
mod system;
#[cfg(test)]
mod transactions;
