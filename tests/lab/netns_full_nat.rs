// SPDX-License-Identifier: MIT OR Apache-2.0
//! TCP and UDP through full NAT, and the errors about them.

use crate::cells::{Family, Way};
use dpvs_tests::Lab;
use dpvs_tests::run::wait_until;
use dpvs_tests::station::{Station, ask, udp_client};
use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

dpvs_tests::lab_tests!(plain:
    tcp_udp_and_pings_pass,
    tcp_udp_and_pings_pass_v6,
    curl_reaches_both_servers,
    curl_reaches_a_server_v6,
    udp_is_echoed,
    udp_is_echoed_v6,
    a_closed_udp_port_is_refused,
    a_closed_udp_port_is_refused_v6,
    a_closed_tcp_port_is_refused,
    twenty_parallel_requests_are_served,
    large_bodies_pass_both_ways,
    thousand_datagrams_pass,
    a_client_that_is_killed_disturbs_nobody,
);

const WEB: &str = "-t 10.0.0.100:80";

pub(crate) fn way(family: Family) -> Way {
    Way {
        family,
        server: family.server(),
        options: "-b",
        word: "FullNat",
        port: 8080,
        local: Some(family.local()),
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
    lab.full_nat(WEB, &["10.2.0.11:8080", "10.2.0.12:8080"]);
    let answers: Vec<String> =
        (0..12).map(|_| lab.client().run("curl -sS -m 5 http://10.0.0.100/").ok()).collect();
    assert!(answers.iter().any(|a| a == "rs1\n"), "{answers:?}");
    assert!(answers.iter().any(|a| a == "rs2\n"), "{answers:?}");
    let listing = lab.run("ipvsadm -Lnc").ok();
    assert!(listing.contains("10.0.0.100:80") && listing.contains("10.2.0.11:8080"), "{listing}");
    let listing = lab.run("ipvsadm -Lnc --format dpvs").ok();
    assert!(listing.contains("10.2.0.200:"), "{listing}");
}

fn curl_reaches_a_server_v6(lab: &mut Lab) {
    let _one = Station::http(&lab.rs1(), 8080, "rs1");
    lab.full_nat("-t [fd00::100]:80", &["[fd00:2::11]:8080"]);
    assert_eq!(lab.client().run("curl -sS -m 5 http://[fd00::100]/").ok(), "rs1\n");
}

fn udp_is_echoed(lab: &mut Lab) {
    let _echo = Station::udp_echo(&lab.rs1(), "10.2.0.11".parse().unwrap(), 7);
    lab.full_nat("-u 10.0.0.100:7", &["10.2.0.11:7"]);
    let socket = udp_client(&lab.client(), "10.0.0.100:7");
    for question in [&b""[..], b"a", b"hello", &[7; 1472]] {
        assert_eq!(ask(&socket, question).as_deref(), Ok(question));
    }
    let connections = lab.daemon().connections();
    assert_eq!(connections.len(), 1, "{connections:?}");
    assert_eq!((connections[0].in_packets, connections[0].out_packets), (4, 4));
}

fn udp_is_echoed_v6(lab: &mut Lab) {
    let _echo = Station::udp_echo(&lab.rs1(), "fd00:2::11".parse().unwrap(), 7);
    lab.full_nat("-u [fd00::100]:7", &["[fd00:2::11]:7"]);
    let socket = udp_client(&lab.client(), "[fd00::100]:7");
    for question in [&b"a"[..], b"hello", &[7; 1452]] {
        assert_eq!(ask(&socket, question).as_deref(), Ok(question));
    }
}

fn a_closed_udp_port_is_refused(lab: &mut Lab) {
    lab.full_nat("-u 10.0.0.100:7", &["10.2.0.11:9"]);
    let socket = udp_client(&lab.client(), "10.0.0.100:7");
    // The kernel tells a connected socket only if the quote names its own ports.
    assert_eq!(ask(&socket, b"hello"), Err(ErrorKind::ConnectionRefused));
    assert_eq!(lab.daemon().counter("icmp_error_relayed_out"), 1);
    assert_eq!(lab.daemon().connections().len(), 1);
}

fn a_closed_udp_port_is_refused_v6(lab: &mut Lab) {
    lab.full_nat("-u [fd00::100]:7", &["[fd00:2::11]:9"]);
    let socket = udp_client(&lab.client(), "[fd00::100]:7");
    assert_eq!(ask(&socket, b"hello"), Err(ErrorKind::ConnectionRefused));
    assert_eq!(lab.daemon().counter("icmp_error_relayed_out"), 1);
}

fn a_closed_tcp_port_is_refused(lab: &mut Lab) {
    lab.full_nat(WEB, &["10.2.0.11:9"]);
    // 7 is curl's "could not connect"; a lost answer would be 28, a timeout.
    lab.client().run("curl -sS -m 5 http://10.0.0.100/").fails(7, "");
}

fn twenty_parallel_requests_are_served(lab: &mut Lab) {
    let _one = Station::http(&lab.rs1(), 80, "rs1");
    let _two = Station::http(&lab.rs2(), 80, "rs2");
    lab.full_nat(WEB, &["10.2.0.11:80", "10.2.0.12:80"]);
    let line = "curl -sS -m 20 --parallel --parallel-immediate --parallel-max 20 \
                http://10.0.0.100/bytes/[10001-10020]";
    let body = lab.client().run(line).ok();
    assert_eq!(body.len(), (10_001..=10_020).sum::<usize>());
    assert!(lab.daemon().connections().len() >= 20);
}

fn large_bodies_pass_both_ways(lab: &mut Lab) {
    let _one = Station::http(&lab.rs1(), 80, "rs1");
    lab.full_nat(WEB, &["10.2.0.11:80"]);
    let size = "%{size_download}";
    let words = ["curl", "-sS", "-m", "60", "-o", "/dev/null", "-w", size];
    let url = ["http://10.0.0.100/bytes/20000000"];
    assert_eq!(lab.client().run_words(&[&words[..], &url].concat()).ok(), "20000000");
    let file = lab.directory().join("body");
    std::fs::write(&file, vec![b'y'; 20_000_000]).unwrap();
    let upload = format!("curl -sS -m 60 -T {} http://10.0.0.100/", file.display());
    assert_eq!(lab.client().run(&upload).ok(), "20000000\n");
}

fn thousand_datagrams_pass(lab: &mut Lab) {
    let _echo = Station::udp_echo(&lab.rs1(), "10.2.0.11".parse().unwrap(), 7);
    lab.full_nat("-u 10.0.0.100:7", &["10.2.0.11:7"]);
    let socket = udp_client(&lab.client(), "10.0.0.100:7");
    for number in 0..1000_u32 {
        let question = number.to_be_bytes().repeat(300);
        assert_eq!(ask(&socket, &question), Ok(question), "datagram {number}");
    }
}

fn a_client_that_is_killed_disturbs_nobody(lab: &mut Lab) {
    let _one = Station::http(&lab.rs1(), 80, "rs1");
    lab.full_nat(WEB, &["10.2.0.11:80"]);
    let slow = "curl -sS --limit-rate 100k -o /dev/null http://10.0.0.100/bytes/20000000";
    let mut slow = lab.client().spawn(slow);
    wait_until("it has begun", || lab.daemon().connections().iter().any(|c| c.out_packets > 20));
    slow.kill().unwrap();
    slow.wait().unwrap();
    for _ in 0..5 {
        assert_eq!(lab.client().run("curl -sS -m 5 http://10.0.0.100/").ok(), "rs1\n");
        thread::sleep(Duration::from_millis(20));
    }
}
