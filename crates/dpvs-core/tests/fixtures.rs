// SPDX-License-Identifier: MIT OR Apache-2.0
//! Literal frames in, literal frames out: each case of `fixtures/frames.txt` is a test of its name.
//!
//! Every case runs with 1, 2, 3 and 8 workers and with the frame arriving at each of them, so that
//! most arrive where their connection does not live.
#![cfg(test)]

use dpvs_core::net::Protocol;
use dpvs_core::testing::{Fixtures, Lab, Outcome, assert_checksums};

const FRAMES: Fixtures = Fixtures(include_str!("fixtures/frames.txt"));

/// Returns the frame of a case that comes in, and the one that must come out.
fn frames(name: &str) -> (Vec<u8>, Vec<u8>) {
    let (input, mut out) = FRAMES.frames(name);
    (input, out.remove(0))
}

/// What stands before the case's frame comes.
#[derive(Clone, Copy)]
enum Before {
    /// No service.
    Nothing,
    /// Services, no connection.
    Services,
    /// Services, and the connections that these cases make.
    Connections(&'static [&'static str]),
}

fn services(lab: &mut Lab) {
    lab.service(Protocol::Tcp, "203.0.113.80", 80, &[("10.1.1.10", 8080)]);
    lab.service(Protocol::Udp, "203.0.113.80", 53, &[("10.1.1.10", 5300)]);
    lab.service(Protocol::Icmp, "203.0.113.80", 0, &[("10.1.1.10", 0)]);
    lab.service(Protocol::Tcp, "2001:db8:80::80", 80, &[("2001:db8:a::10", 8080)]);
    lab.service(Protocol::Udp, "2001:db8:80::80", 53, &[("2001:db8:a::10", 5300)]);
    lab.service(Protocol::Icmpv6, "2001:db8:80::80", 0, &[("2001:db8:a::10", 0)]);
}

fn check(name: &str, workers: usize, arrive_at: usize, before: Before) {
    // With a hash key of zeros all clients belong to worker 0, so that the local port is the
    // fixture's wherever the frame arrives.
    let mut lab = Lab::with_key(workers, &[0; 40]);
    let (input, expected) = frames(name);
    prepare(&mut lab, before);
    let connections = lab.connections();
    let handed = lab.handed;
    let out = lab.send(arrive_at, &input).sent();
    assert_eq!(out, expected, "{name} at worker {arrive_at} of {workers}");
    assert_checksums(&out);
    if name.contains("error") || name.starts_with('a') {
        assert_eq!(lab.connections(), connections, "an error makes no connection");
    }
    let is_forwarded = !matches!(before, Before::Nothing);
    assert_eq!(lab.handed - handed, u64::from(is_forwarded && arrive_at != 0), "{name}: handed");
}

fn prepare(lab: &mut Lab, before: Before) {
    if !matches!(before, Before::Nothing) {
        services(lab);
    }
    if let Before::Connections(cases) = before {
        for case in cases {
            let (input, expected) = frames(case);
            assert_eq!(lab.send(0, &input).sent(), expected, "{case} comes before");
        }
    }
}

macro_rules! cases {
    ($( $name:ident: $before:expr; )+) => {
        $(
            #[test]
            fn $name() {
                for workers in [1, 2, 3, 8] {
                    for arrive_at in 0..workers {
                        check(stringify!($name), workers, arrive_at, $before);
                    }
                }
            }
        )+
        /// A case that no test runs would prove nothing.
        #[test]
        fn every_fixture_is_a_test() {
            let tested = [ $( stringify!($name), )+ ];
            for name in FRAMES.names() {
                assert!(tested.contains(&name), "{name} is not tested");
            }
        }
    };
}

const TCP: Before = Before::Connections(&["tcp_syn_in"]);
const TCP6: Before = Before::Connections(&["tcp6_syn_in"]);
const UDP: Before = Before::Connections(&["udp_in"]);
const PING: Before = Before::Connections(&["ping_in"]);
const PING6: Before = Before::Connections(&["ping6_in"]);
/// The reply half stands too: errors find the pair by it.
const PINGED: Before = Before::Connections(&["ping_in", "pong_out"]);
const PINGED6: Before = Before::Connections(&["ping6_in", "pong6_out"]);

cases! {
    tcp_syn_in: Before::Services;
    tcp_synack_out: TCP;
    tcp6_syn_in: Before::Services;
    tcp6_synack_out: TCP6;
    udp_in: Before::Services;
    udp_out: UDP;
    udp_nosum_in: Before::Services;
    udp6_in: Before::Services;
    ping_in: Before::Services;
    pong_out: PING;
    timestamp_in: Before::Services;
    timestamp_out: Before::Connections(&["timestamp_in"]);
    ping6_in: Before::Services;
    pong6_out: PING6;
    local_ping: Before::Nothing;
    local_ping6: Before::Nothing;
    a01_frag_needed_from_client_side: TCP;
    a02_frag_needed_from_server_side: TCP;
    a07_eight_byte_quote_from_client_side: TCP;
    a07_eight_byte_quote_from_server_side: TCP;
    a08_four_byte_quote: TCP;
    a11_whole_quote: TCP;
    a09_quote_with_router_alert: TCP;
    a06_parameter_problem: TCP;
    a49_source_quench: TCP;
    a03_port_unreachable_of_udp: UDP;
    a12_quoted_udp_without_checksum: UDP;
    a21_ping_error_from_server_side: PING;
    a21_ping_error_from_client_side: PINGED;
    a44_extension_stays: TCP;
    a14_packet_too_big_from_client_side: TCP6;
    a14_packet_too_big_from_server_side: TCP6;
    a15_v6_eight_byte_quote: TCP6;
    a16_v6_hop_limit: TCP6;
    a17_v6_parameter_problem: TCP6;
    a18_v6_quote_with_destination_options: TCP6;
    a21_ping6_error_from_server_side: PINGED6;
    a21_ping6_error_from_client_side: PING6;
    a19_outer_destination_options: TCP6;
    a61_ttl_1_in: Before::Services;
}

/// B18 of the specification: errors about one connection go to its server, whichever router sent them.
#[test]
fn a01_errors_from_a_hundred_routers_reach_the_same_server() {
    let (input, expected) = frames("a01_frag_needed_from_client_side");
    let mut lab = Lab::new(1);
    prepare(&mut lab, TCP);
    lab.change(|draft| draft.tables_mut().limits.icmp.mtu_gap_ms = 0);
    for router in 1..=100u8 {
        // Another source, and the header checksum by the plain rule.
        let mut frame = input.clone();
        frame[26..30].copy_from_slice(&[192, 0, 2, router]);
        frame[24..26].copy_from_slice(&[0, 0]);
        let sum = frame[14..34].chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
        let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
        let checksum = !u16::try_from(fold(fold(sum))).unwrap();
        frame[24..26].copy_from_slice(&checksum.to_be_bytes());
        assert_eq!(lab.send(0, &frame), Outcome::Sent(expected.clone()));
    }
}
