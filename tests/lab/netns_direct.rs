// SPDX-License-Identifier: MIT OR Apache-2.0
//! Direct routing: the real server has the virtual address too, and answers past the balancer.

use crate::cells::{Family, Way, get};
use dpvs_tests::Lab;
use dpvs_tests::packet::{icmp, ipv4, send_ipv4, udp};
use dpvs_tests::run::wait_until;
use dpvs_tests::station::{Station, ask, udp_client};

dpvs_tests::lab_tests!(direct:
    tcp_udp_and_pings_pass,
    tcp_udp_and_pings_pass_v6,
    curl_reaches_both_servers,
    a_clients_error_reaches_the_server,
);

pub(crate) fn way(family: Family) -> Way {
    Way {
        family,
        server: family.server(),
        options: "-g",
        word: "Route",
        port: 80,
        local: None,
        is_both_ways: false,
    }
}

fn tcp_udp_and_pings_pass(lab: &mut Lab) {
    way(Family::V4).check(lab);
}

fn tcp_udp_and_pings_pass_v6(lab: &mut Lab) {
    way(Family::V6).check(lab);
}

fn curl_reaches_both_servers(lab: &mut Lab) {
    let _one = Station::http(&lab.rs1(), 80, "rs1");
    let _two = Station::http(&lab.rs2(), 80, "rs2");
    // The port of a real server is that of its service, whatever is said, and -g is what is meant
    // if no method is given.
    lab.all(
        "ipvsadm -A -t 10.0.0.100:80 -s rr
         ipvsadm -a -t 10.0.0.100:80 -r 10.2.0.11:8080 -g
         ipvsadm -a -t 10.0.0.100:80 -r 10.2.0.12",
    );
    let answers: Vec<String> = (0..12).map(|_| get(&lab.client(), "http://10.0.0.100/")).collect();
    assert!(answers.iter().any(|a| a == "rs1\n"), "{answers:?}");
    assert!(answers.iter().any(|a| a == "rs2\n"), "{answers:?}");
}

fn a_clients_error_reaches_the_server(lab: &mut Lab) {
    let _echo = Station::udp_echo(&lab.rs1(), "10.0.0.100".parse().unwrap(), 7);
    way(Family::V4).provision(lab);
    let socket = udp_client(&lab.client(), "10.0.0.100:7");
    assert_eq!(ask(&socket, b"hello").as_deref(), Ok(&b"hello"[..]));
    let port = socket.local_addr().unwrap().port();
    let quote = ipv4("10.0.0.100", "10.1.0.10", 17, &udp(7, port, b"hello"));
    let error = icmp(3, 3, [0; 4], &quote);
    send_ipv4(&lab.client(), &ipv4("10.1.0.10", "10.0.0.100", 1, &error));
    wait_until("the server is told", || lab.rs1().snmp("Icmp", "InDestUnreachs") == 1);
    assert_eq!(lab.daemon().counter("icmp_error_relayed_in"), 1);
}
