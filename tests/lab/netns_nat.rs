// SPDX-License-Identifier: MIT OR Apache-2.0
//! NAT: the real server sees the client itself, and answers through the balancer.

use crate::cells::{Family, Way, get};
use dpvs_tests::Lab;
use dpvs_tests::station::{Station, ask, udp_client};
use std::io::ErrorKind;

dpvs_tests::lab_tests!(plain:
    tcp_udp_and_pings_pass,
    tcp_udp_and_pings_pass_v6,
    curl_reaches_both_servers,
    a_closed_udp_port_is_refused,
    a_closed_udp_port_is_refused_v6,
);

pub(crate) fn way(family: Family) -> Way {
    Way {
        family,
        server: family.server(),
        options: "-m",
        word: "Masq",
        port: 8080,
        local: None,
        is_both_ways: true,
    }
}

fn tcp_udp_and_pings_pass(lab: &mut Lab) {
    way(Family::V4).check(lab);
}

fn tcp_udp_and_pings_pass_v6(lab: &mut Lab) {
    way(Family::V6).check(lab);
}

fn curl_reaches_both_servers(lab: &mut Lab) {
    let _one = Station::http(&lab.rs1(), 8080, "rs1");
    let _two = Station::http(&lab.rs2(), 8080, "rs2");
    lab.all(
        "ipvsadm -A -t 10.0.0.100:80 -s rr
         ipvsadm -a -t 10.0.0.100:80 -r 10.2.0.11:8080 -m
         ipvsadm -a -t 10.0.0.100:80 -r 10.2.0.12:8080 -m",
    );
    let answers: Vec<String> = (0..12).map(|_| get(&lab.client(), "http://10.0.0.100/")).collect();
    assert!(answers.iter().any(|a| a == "rs1\n"), "{answers:?}");
    assert!(answers.iter().any(|a| a == "rs2\n"), "{answers:?}");
}

/// The server's error passes, and names what the client sent.
fn refused(lab: &Lab, service: &str, server: &str) {
    lab.all(&format!(
        "ipvsadm -A -u {service} -s rr
         ipvsadm -a -u {service} -r {server} -m"
    ));
    let socket = udp_client(&lab.client(), service);
    assert_eq!(ask(&socket, b"hello"), Err(ErrorKind::ConnectionRefused));
    assert_eq!(lab.daemon().counter("icmp_error_relayed_out"), 1);
    assert_eq!(lab.daemon().connections().len(), 1);
}

fn a_closed_udp_port_is_refused(lab: &mut Lab) {
    refused(lab, "10.0.0.100:7", "10.2.0.11:9");
}

fn a_closed_udp_port_is_refused_v6(lab: &mut Lab) {
    refused(lab, "[fd00::100]:7", "[fd00:2::11]:9");
}
