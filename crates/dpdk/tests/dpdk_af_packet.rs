// SPDX-License-Identifier: MIT OR Apache-2.0
//! A veth pair through `net_af_packet`, a kernel at its other end. Needs DPDK and root.
#![allow(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "an integration test")]

mod common;
#[path = "common/echo.rs"]
mod echo;
#[path = "common/netns.rs"]
mod netns;

use dpdk::{EalError, Port, PortConfig, PortError, VdevOptions};
use netns::Namespace;

#[test]
fn kernel_is_answered_over_a_veth_pair_on_two_queues() {
    // What would break: the driver's ring sizes, queue counts, and the errors about interfaces.
    if !netns::is_root() {
        return;
    }
    let (ours, peer) = (Namespace::new("afp"), Namespace::new("afppeer"));
    let veth = ["link", "add", "veth0", "type", "veth", "peer", "name", "veth1", "netns"];
    ours.ip(&[&veth[..], &[&peer.name]].concat());
    ours.ip(&["link", "set", "veth0", "up"]);
    peer.ip(&["link", "set", "veth1", "up"]);
    peer.ip(&["addr", "add", "10.0.0.1/24", "dev", "veth1"]);
    peer.ip(&["neigh", "add", "10.0.0.2", "lladdr", echo::MAC, "dev", "veth1"]);
    ours.enter();

    let options = VdevOptions { queues: 2, ..VdevOptions::default() };
    // A missing interface is found before DPDK starts, so that the right one can be tried.
    let missing = common::config().port(common::spec("af_packet:veth9"), options).init();
    let text = missing.unwrap_err().to_string();
    assert_eq!(text, "af_packet:veth9: there is no interface `veth9` in this network namespace");

    let eal = common::config().port(common::spec("af_packet:veth0"), options).init().unwrap();
    let missing = eal.attach(&common::spec("af_packet:veth9"), &options);
    assert!(matches!(missing, Err(EalError::NoInterface { .. })));
    let pool = common::pool(&eal, "frames");
    assert_eq!(pool.frame_len_max(), options.frame_len_max);

    let pools = std::slice::from_ref(&pool);
    let config = PortConfig { rx_queues: 3, tx_queues: 2, ..PortConfig::default() };
    let error = Port::open(&eal, eal.ports()[0], &config, pools).unwrap_err();
    assert!(matches!(error, PortError::TooFewQueues { wanted: 3, available: 2, .. }), "{error}");
    assert_eq!(error.to_string(), "port net_af_packet0 has 2 receive queues, 3 were asked for");

    let config = PortConfig { rx_queues: 2, tx_queues: 2, promiscuous: true, ..config };
    let (port, mut rx, mut tx) = Port::open(&eal, eal.ports()[0], &config, pools).unwrap();
    assert_eq!(port.info().interface.as_deref(), Some("veth0"));
    assert!(port.info().is_promiscuous && !port.info().rss.is_active);
    assert!(port.mac().0 != [0; 6]);
    let mut ping = peer.ping("10.0.0.2", 5);
    assert!(echo::answer(&mut rx, &mut tx, &mut ping), "ping was not answered");
    assert!(port.stats().unwrap().tx_packets >= 5);
    port.set_mtu(1400).unwrap();
    assert_eq!(port.mtu(), 1400);
    port.close(rx, tx).unwrap();
    assert_eq!(pool.available(), pool.count(), "a buffer was lost");
}
