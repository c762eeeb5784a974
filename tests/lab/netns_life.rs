// SPDX-License-Identifier: MIT OR Apache-2.0
//! The daemon's life: its end, its restart, a link that vanishes; and that of a ping's connections.

use crate::{is_pinged, ping_service};
use dpvs_tests::Lab;
use dpvs_tests::run::{wait_for, wait_until};
use dpvs_tests::station::Station;
use std::time::{Duration, Instant};

dpvs_tests::lab_tests!(plain:
    an_asked_daemon_ends_and_takes_its_socket,
    a_restarted_daemon_serves,
    a_killed_daemon_is_replaced,
    a_vanished_interface_does_not_end_it,
    a_full_flush_leaves_nothing,
);

fn an_asked_daemon_ends_and_takes_its_socket(lab: &mut Lab) {
    ping_service(lab);
    assert!(is_pinged(lab));
    let begin = Instant::now();
    let status = lab.take_daemon().stop();
    assert!(status.success(), "{status}");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert!(!lab.socket().exists());
}

fn a_restarted_daemon_serves(lab: &mut Lab) {
    ping_service(lab);
    lab.take_daemon().stop();
    lab.start();
    lab.set_addresses();
    assert!(is_pinged(lab), "no local reply");
    ping_service(lab);
    assert!(is_pinged(lab), "no answer of a real server");
    assert_eq!(lab.rs1().snmp("Icmp", "InEchos") + lab.rs2().snmp("Icmp", "InEchos"), 1);
}

fn a_killed_daemon_is_replaced(lab: &mut Lab) {
    let mut daemon = lab.take_daemon();
    daemon.signal(nix::sys::signal::Signal::SIGKILL);
    daemon.wait();
    assert!(lab.socket().exists(), "nobody could tidy up");
    lab.start();
    lab.set_addresses();
    assert!(is_pinged(lab));
}

fn a_vanished_interface_does_not_end_it(lab: &mut Lab) {
    assert!(is_pinged(lab));
    lab.balancer().run("ip link del lan1").ok();
    for _ in 0..5 {
        assert!(is_pinged(lab), "the other port is disturbed");
    }
    assert!(lab.daemon().is_answering());
    wait_until("the port is told to be down", || {
        let shown = lab.run("dpip link show dpdk1").ok();
        shown.contains("DOWN")
    });
    let status = lab.take_daemon().stop();
    assert!(status.success(), "{status}");
}

fn a_full_flush_leaves_nothing(lab: &mut Lab) {
    let _web = Station::http(&lab.rs1(), 80, "rs1");
    ping_service(lab);
    lab.full_nat("-t 10.0.0.100:80", &["10.2.0.11:80"]);
    assert!(is_pinged(lab));
    lab.client().run("curl -sS -m 5 http://10.0.0.100/").ok();
    lab.all("ipvsadm -C");
    assert_eq!(lab.run("ipvsadm -Ln").ok().lines().count(), 3);
    assert!(is_pinged(lab), "without a service we answer");
    assert_eq!(lab.daemon().counter("icmp_echo_replied"), 1);
    wait_until("its connections are gone or idle", || lab.daemon().is_answering());
}

mod aging {
    use super::*;

    #[test]
    fn both_connections_of_a_ping_end_together_after_60_seconds() {
        let Some(lab) = Lab::plain(1) else { return };
        ping_service(&lab);
        let begin = Instant::now();
        assert!(is_pinged(&lab));
        std::thread::sleep(Duration::from_secs(3));
        let expires: Vec<u32> = lab.daemon().connections().iter().map(|c| c.expires).collect();
        assert_eq!(expires.len(), 2);
        assert!(expires.iter().all(|e| (55..=58).contains(e)), "{expires:?}");
        wait_for(Duration::from_secs(75), "they are gone", || {
            let count = lab.daemon().connections().len();
            assert_ne!(count, 1, "one outlives the other");
            std::thread::sleep(Duration::from_millis(200));
            count == 0
        });
        assert!(begin.elapsed() >= Duration::from_secs(60), "{:?}", begin.elapsed());
    }
}
