// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pings that match no service: we answer for our own addresses, and for nothing else.

use dpvs_tests::Lab;
use dpvs_tests::lab::{VIP, VIP6};

dpvs_tests::lab_tests!(plain:
    vip_without_a_service_is_answered_here,
    vip6_without_a_service_is_answered_here,
    every_size_is_answered,
    interface_addresses_are_answered_on_both_sides,
    an_address_that_is_not_ours_is_silent,
    another_protocols_service_leaves_pings_to_us,
);

fn vip_without_a_service_is_answered_here(lab: &mut Lab) {
    let text = lab.client().ping(3, "", VIP);
    assert!(text.contains("ttl=64"), "{text}");
    assert_eq!(lab.daemon().counter("icmp_echo_replied"), 3);
    assert_eq!(lab.rs1().snmp("Icmp", "InEchos") + lab.rs2().snmp("Icmp", "InEchos"), 0);
    assert_eq!(lab.daemon().connections(), []);
}

fn vip6_without_a_service_is_answered_here(lab: &mut Lab) {
    let text = lab.client().ping(3, "", VIP6);
    assert!(text.contains("ttl=64"), "{text}");
    assert_eq!(lab.daemon().counter("icmp_echo_replied"), 3);
    assert_eq!(lab.rs1().snmp6("Icmp6InEchos") + lab.rs2().snmp6("Icmp6InEchos"), 0);
    assert_eq!(lab.daemon().connections(), []);
}

fn every_size_is_answered(lab: &mut Lab) {
    for (vip, largest) in [(VIP, 1472), (VIP6, 1452)] {
        for size in [0, 1, 17, 64, largest] {
            lab.client().ping(2, &format!("-s {size}"), vip);
        }
    }
}

fn interface_addresses_are_answered_on_both_sides(lab: &mut Lab) {
    for address in ["10.1.0.1", "fd00:1::1"] {
        lab.client().run(&format!("ping -c 1 -W 2 {address}")).ok();
    }
    for address in ["10.2.0.1", "fd00:2::1"] {
        lab.rs1().run(&format!("ping -c 1 -W 2 {address}")).ok();
    }
}

fn an_address_that_is_not_ours_is_silent(lab: &mut Lab) {
    let run = lab.client().run("ping -c 2 -i 0.1 -W 1 10.0.0.77");
    assert!(run.code == 1 && run.stdout.contains("0 received"), "{run:#?}");
    let run = lab.client().run("ping -6 -c 2 -i 0.1 -W 1 fd00::77");
    assert!(run.code == 1 && run.stdout.contains("0 received"), "{run:#?}");
    assert_eq!(lab.daemon().counter("icmp_echo_replied"), 0);
    assert_eq!(lab.daemon().drops("not_for_us"), 4);
}

fn another_protocols_service_leaves_pings_to_us(lab: &mut Lab) {
    lab.full_nat("-t 10.0.0.100:80", &["10.2.0.11:80"]);
    lab.client().run(&format!("ping -c 1 -W 2 {VIP}")).ok();
    assert_eq!(lab.daemon().counter("icmp_echo_replied"), 1);
    assert_eq!(lab.rs1().snmp("Icmp", "InEchos"), 0);
}
