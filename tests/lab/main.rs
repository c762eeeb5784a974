// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests in network namespaces, with real kernels at both ends. Need root.
#![allow(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "an integration test")]

mod cells;
mod netns_clients;
mod netns_control;
mod netns_direct;
mod netns_drops;
mod netns_echo;
mod netns_examples;
mod netns_flood;
mod netns_fragments;
mod netns_full_nat;
mod netns_golden;
mod netns_keepalived;
mod netns_laboratory;
mod netns_life;
mod netns_local;
mod netns_nat;
mod netns_no_server;
mod netns_path_mtu;
mod netns_ping;
mod netns_provisioning;
mod netns_save;
mod netns_scale;
mod netns_servers;
mod netns_sessions;
mod netns_snat;
mod netns_stock;
mod netns_strangers;
mod netns_traceroute;
mod netns_tunnel;

use dpvs_api::types::Connection;
use dpvs_tests::Lab;
use dpvs_tests::lab::VIP;

/// A service for pings with both real servers.
pub(crate) fn ping_service(lab: &Lab) {
    lab.all(
        "ipvsadm -A -p icmp 10.0.0.100 -s rr
         ipvsadm -P -q 10.0.0.100 -z 10.2.0.200 -F dpdk1
         ipvsadm -a -q 10.0.0.100 -r 10.2.0.11 -b
         ipvsadm -a -q 10.0.0.100 -r 10.2.0.12 -b",
    );
}

/// The same for IPv6.
pub(crate) fn ping_service_v6(lab: &Lab) {
    lab.all(
        "ipvsadm -A -p icmpv6 fd00::100 -s rr
         ipvsadm -P -1 fd00::100 -z fd00:2::200 -F dpdk1
         ipvsadm -a -1 fd00::100 -r fd00:2::11 -b
         ipvsadm -a -1 fd00::100 -r fd00:2::12 -b",
    );
}

/// Pings the virtual address once; `None` is silence.
pub(crate) fn is_pinged(lab: &Lab) -> bool {
    lab.client().run(&format!("ping -c 1 -W 1 {VIP}")).code == 0
}

/// States of all connections, sorted.
pub(crate) fn states(connections: &[Connection]) -> Vec<&str> {
    let mut states: Vec<&str> = connections.iter().map(|c| c.state.as_str()).collect();
    states.sort_unstable();
    states
}
