// SPDX-License-Identifier: MIT OR Apache-2.0
//! Traceroutes to and through a virtual address, and from inside by SNAT.

use dpvs_tests::{Lab, Namespace};

dpvs_tests::lab_tests!(routed:
    ends_at_a_vip_without_a_service,
    passes_through_a_ping_service,
    passes_through_a_udp_service,
    passes_through_a_ping_service_v6,
    passes_through_nat,
    passes_through_nat_v6,
    goes_outside_by_snat,
    goes_outside_by_snat_v6,
);

/// Traces the way of the client to `vip` and returns who answered at each hop.
fn hops(lab: &Lab, options: &str, vip: &str) -> Vec<String> {
    hops_from(&lab.client(), options, vip)
}

fn hops_from(station: &Namespace, options: &str, to: &str) -> Vec<String> {
    let line = format!("traceroute -n -q 1 -w 1 -m 6 {options} {to}");
    let text = station.run(&line).ok();
    let lines = text.lines().skip(1);
    lines.map(|l| l.split_whitespace().nth(1).unwrap_or("?").to_owned()).collect()
}

fn ends_at_a_vip_without_a_service(lab: &mut Lab) {
    assert_eq!(hops(lab, "-I", "10.0.0.100"), ["10.3.0.1", "10.0.0.100"]);
    assert_eq!(hops(lab, "-6 -I", "fd00::100"), ["fd00:3::1", "fd00::100"]);
}

fn passes_through_a_ping_service(lab: &mut Lab) {
    lab.full_nat("-q 10.0.0.100", &["10.4.0.11"]);
    // The balancer, the router behind it and the real server all speak as the virtual address.
    let vip = "10.0.0.100";
    assert_eq!(hops(lab, "-I", vip), ["10.3.0.1", vip, vip, vip]);
    assert!(lab.rs1().snmp("Icmp", "InEchos") >= 1, "the last answer was not its own");
}

fn passes_through_a_udp_service(lab: &mut Lab) {
    lab.full_nat("-u 10.0.0.100:9000", &["10.4.0.11:9000"]);
    // -U sends all probes to one port, which is closed: the last answer is "port unreachable".
    let vip = "10.0.0.100";
    assert_eq!(hops(lab, "-U -p 9000", vip), ["10.3.0.1", vip, vip, vip]);
}

fn passes_through_a_ping_service_v6(lab: &mut Lab) {
    lab.full_nat("-1 fd00::100", &["fd00:4::11"]);
    let vip = "fd00::100";
    assert_eq!(hops(lab, "-6 -I", vip), ["fd00:3::1", vip, vip, vip]);
}

fn passes_through_nat(lab: &mut Lab) {
    lab.all(
        "ipvsadm -A -q 10.0.0.100 -s rr
         ipvsadm -a -q 10.0.0.100 -r 10.4.0.11 -m
         ipvsadm -A -u 10.0.0.100:9000 -s rr
         ipvsadm -a -u 10.0.0.100:9000 -r 10.4.0.11:9001 -m",
    );
    let vip = "10.0.0.100";
    for options in ["-I", "-U -p 9000"] {
        assert_eq!(hops(lab, options, vip), ["10.3.0.1", vip, vip, vip], "{options}");
    }
}

fn passes_through_nat_v6(lab: &mut Lab) {
    lab.all(
        "ipvsadm -A -1 fd00::100 -s rr
         ipvsadm -a -1 fd00::100 -r fd00:4::11 -m
         ipvsadm -A -u [fd00::100]:9000 -s rr
         ipvsadm -a -u [fd00::100]:9000 -r [fd00:4::11]:9001 -m",
    );
    let vip = "fd00::100";
    for options in ["-6 -I", "-6 -U -p 9000"] {
        assert_eq!(hops(lab, options, vip), ["fd00:3::1", vip, vip, vip], "{options}");
    }
}

fn goes_outside_by_snat(lab: &mut Lab) {
    crate::netns_snat::routed(lab);
    // Every router speaks for itself: the inside host sees the world as it is.
    let all = ["10.4.0.1", "10.2.0.1", "10.1.0.2", "10.3.0.10"];
    for options in ["-I", "-U -p 9000"] {
        assert_eq!(hops_from(&lab.rs1(), options, "10.3.0.10"), all, "{options}");
    }
}

fn goes_outside_by_snat_v6(lab: &mut Lab) {
    crate::netns_snat::routed(lab);
    let all = ["fd00:4::1", "fd00:2::1", "fd00:1::2", "fd00:3::10"];
    for options in ["-6 -I", "-6 -U -p 9000"] {
        assert_eq!(hops_from(&lab.rs1(), options, "fd00:3::10"), all, "{options}");
    }
}
