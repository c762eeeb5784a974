// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pings that match a service: real servers answer, request and reply are connections.

use crate::{ping_service, ping_service_v6, states};
use dpvs_api::types::Protocol;
use dpvs_tests::Lab;
use std::thread;
use std::time::Duration;

dpvs_tests::lab_tests!(plain:
    real_servers_answer_and_two_connections_are_listed,
    real_servers_answer_v6,
    two_pings_go_to_two_servers,
    two_clients_with_one_identifier_get_their_own_answers,
    all_sizes_pass,
    a_service_counts_its_pings,
    many_identifiers_are_answered_on_every_worker,
);

fn real_servers_answer_and_two_connections_are_listed(lab: &mut Lab) {
    ping_service(lab);
    lab.client().ping(3, "-e 4660", "10.0.0.100");
    assert_eq!(lab.daemon().counter("icmp_echo_replied"), 0, "it was answered here");
    assert_eq!(lab.rs1().snmp("Icmp", "InEchos") + lab.rs2().snmp("Icmp", "InEchos"), 3);

    let connections = lab.daemon().connections();
    assert_eq!(states(&connections), ["REPLY", "REQUEST"]);
    for conn in &connections {
        assert_eq!(conn.protocol, Protocol::Icmp);
        assert_eq!(conn.client.address.to_string(), "10.1.0.10");
        assert_eq!(conn.client.port, 4660);
        assert_eq!(conn.virtual_.address.to_string(), "10.0.0.100");
        assert_eq!(conn.local.unwrap().address.to_string(), "10.2.0.200");
        assert!((55..=60).contains(&conn.expires), "{conn:?}");
        // Each is found by its own entry and has its own counters: 3 packets one way each.
        assert_eq!(conn.in_packets + conn.out_packets, 3, "{conn:?}");
    }
    let listing = lab.run("ipvsadm -Lnc").ok();
    let lines: Vec<&str> = listing.lines().filter(|l| l.starts_with("ICMP")).collect();
    assert_eq!(lines.len(), 2, "{listing}");
    assert!(lines.iter().all(|l| l.contains("10.1.0.10:4660")), "{listing}");
    assert!(lines.iter().any(|l| l.contains("REQUEST")), "{listing}");
    assert!(lines.iter().any(|l| l.contains("REPLY")), "{listing}");
}

fn real_servers_answer_v6(lab: &mut Lab) {
    ping_service_v6(lab);
    lab.client().ping(3, "", "fd00::100");
    assert_eq!(lab.daemon().counter("icmp_echo_replied"), 0, "it was answered here");
    assert_eq!(lab.rs1().snmp6("Icmp6InEchos") + lab.rs2().snmp6("Icmp6InEchos"), 3);
    let connections = lab.daemon().connections();
    assert_eq!(states(&connections), ["REPLY", "REQUEST"]);
    assert!(connections.iter().all(|c| c.protocol == Protocol::Icmpv6), "{connections:?}");
    let listing = lab.run("ipvsadm -Lnc").ok();
    assert_eq!(listing.matches("ICMPv6").count(), 2, "{listing}");
}

fn two_pings_go_to_two_servers(lab: &mut Lab) {
    ping_service(lab);
    // With several workers each has a round of its own, so more than two pings are needed.
    for identifier in 1..=12 {
        lab.client().run(&format!("ping -c 1 -W 2 -e {identifier} 10.0.0.100")).ok();
    }
    let (one, two) = (lab.rs1().snmp("Icmp", "InEchos"), lab.rs2().snmp("Icmp", "InEchos"));
    assert_eq!(one + two, 12);
    assert!(one >= 4 && two >= 4, "unfair: {one} and {two}");
    assert_eq!(lab.daemon().connections().len(), 24);
}

fn two_clients_with_one_identifier_get_their_own_answers(lab: &mut Lab) {
    ping_service(lab);
    let client = lab.client();
    thread::scope(|scope| {
        // Half an interval apart: between its making and its binding, one's raw socket also takes
        // the other's replies, and ping would call its own one a duplicate.
        for (source, delay_ms) in [("10.1.0.10", 0), ("10.1.0.11", 200)] {
            let line = format!("ping -I {source} -e 7 -c 5 -i 0.4 -W 2 10.0.0.100");
            let client = &client;
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(delay_ms));
                let text = client.run(&line).ok();
                assert!(text.contains("5 received") && !text.contains("DUP"), "{text}");
            });
        }
    });
    let connections = lab.daemon().connections();
    assert_eq!(states(&connections), ["REPLY", "REPLY", "REQUEST", "REQUEST"]);
    assert!(connections.iter().all(|c| c.client.port == 7), "{connections:?}");
    let mut taken: Vec<_> = connections.iter().map(|c| (c.local.unwrap().port, c.dest)).collect();
    taken.sort_by_key(|(port, dest)| (*port, dest.address));
    taken.dedup();
    assert_eq!(taken.len(), 2, "they share an identifier towards one server: {connections:?}");
}

fn all_sizes_pass(lab: &mut Lab) {
    ping_service(lab);
    ping_service_v6(lab);
    for (vip, largest) in [("10.0.0.100", 1472), ("fd00::100", 1452)] {
        for size in [0, 1, 17, 64, largest] {
            let text = lab.client().run(&format!("ping -c 1 -W 2 -s {size} {vip}")).ok();
            assert!(text.contains("1 received") && !text.contains("wrong"), "{text}");
        }
    }
}

fn a_service_counts_its_pings(lab: &mut Lab) {
    ping_service(lab);
    lab.client().ping(4, "", "10.0.0.100");
    let text = lab.run("ipvsadm -Ln --stats -q 10.0.0.100").ok();
    let line = text.lines().find(|l| l.starts_with("ICMP")).unwrap();
    let numbers: Vec<&str> = line.split_whitespace().skip(2).collect();
    // A ping of 56 bytes is 84 on the wire, 4 of them each way.
    assert_eq!(numbers[1..], ["4", "4", "336", "336"], "{text}");
}

fn many_identifiers_are_answered_on_every_worker(lab: &mut Lab) {
    ping_service(lab);
    let client = lab.client();
    thread::scope(|scope| {
        for first in [100, 200, 300] {
            let client = &client;
            scope.spawn(move || {
                for identifier in first..first + 20 {
                    client.run(&format!("ping -c 1 -W 2 -e {identifier} 10.0.0.100")).ok();
                }
            });
        }
    });
    assert_eq!(lab.daemon().connections().len(), 120);
    assert_eq!(lab.daemon().drops("icmp_unsolicited"), 0);
}
