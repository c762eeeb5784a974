// SPDX-License-Identifier: MIT OR Apache-2.0
//! A tap interface attached after the start, a kernel behind it. Needs DPDK and root.
#![allow(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "an integration test")]

mod common;
#[path = "common/echo.rs"]
mod echo;
#[path = "common/netns.rs"]
mod netns;

use dpdk::{Eal, EalError, Port, PortConfig, VdevOptions};
use netns::Namespace;

#[test]
fn kernel_is_answered_over_a_tap_attached_after_the_start() {
    // What would break: devices that come and go while DPDK runs, as the kernel path's do.
    if !netns::is_root() {
        return;
    }
    let ours = Namespace::new("tap");
    ours.enter();
    let eal = common::eal(&[]);
    assert!(eal.ports().is_empty());
    for round in 0..2 {
        ping_over_tap(&eal, &ours, round);
    }
    let card = eal.attach(&common::spec("0000:ff:1f.7"), &VdevOptions::default());
    assert!(matches!(card, Err(EalError::TooLateForPci { .. })));
    // The driver is in librte_net_virtio, which is there: the file is what is missing.
    let user = common::spec("vdev:net_virtio_user0,path=/nonexistent");
    let refused = eal.attach(&user, &VdevOptions::default());
    assert!(matches!(refused, Err(EalError::Attach { .. })), "{refused:?}");
    let unknown = eal.attach(&common::spec("vdev:net_nothing0"), &VdevOptions::default());
    let text = unknown.unwrap_err().to_string();
    assert!(text.contains("apt-get install librte-net-nothing"), "{text}");
}

fn ping_over_tap(eal: &Eal, namespace: &Namespace, round: u32) {
    let id = eal.attach(&common::spec("tap:dtap0"), &VdevOptions::default()).unwrap();
    let pool = common::pool(eal, &format!("frames{round}"));
    let pools = std::slice::from_ref(&pool);
    let (port, mut rx, mut tx) = Port::open(eal, id, &PortConfig::default(), pools).unwrap();
    assert_eq!(port.info().interface.as_deref(), Some("dtap0"));
    namespace.ip(&["link", "set", "dtap0", "up"]);
    namespace.ip(&["addr", "add", "10.1.0.1/24", "dev", "dtap0"]);
    namespace.ip(&["neigh", "add", "10.1.0.2", "lladdr", echo::MAC, "dev", "dtap0"]);
    let mut ping = namespace.ping("10.1.0.2", 5);
    assert!(echo::answer(&mut rx, &mut tx, &mut ping), "ping was not answered");
    let name = port.name().to_owned();
    port.close(rx, tx).unwrap();
    eal.detach(&name).unwrap();
    assert_eq!(eal.port_by_name(&name), None);
    assert_eq!(pool.available(), pool.count(), "a buffer was lost");
}
