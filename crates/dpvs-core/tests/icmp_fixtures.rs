// SPDX-License-Identifier: MIT OR Apache-2.0
//! Literal ICMP frames in, literal frames out: each case of `fixtures/icmp.txt` is a test of its name,
//! which begins with the number of the acceptance case.
//!
//! Every case runs with 1, 2, 3 and 8 workers and with the frame arriving at each of them. Checked are
//! all bytes, that one thing is counted, and that no error touches a connection.
#![cfg(test)]

mod icmp_shared;

use dpvs_core::testing::{Fixtures, Lab, Outcome, PacketBuilder, assert_checksums};
use icmp_shared::{L4, Method, everywhere, header_len, lives, sctp, tally, word};

const FRAMES: Fixtures = Fixtures(include_str!("fixtures/icmp.txt"));

/// The session that stands before the case's frame comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Session(L4),
    /// A ping with its reply.
    Pong,
    Timestamp,
}

/// Opens the session, at worker 0: its local port is 1024, its identifier 0.
fn prepare(lab: &mut Lab, method: Method, v6: bool, before: Before) {
    let [client, target] = method.ends(v6);
    let packet = PacketBuilder::new(client, target);
    let first = match before {
        Before::Nothing => return,
        Before::Session(L4::Tcp) => packet.tcp(40000, 80, 2, &[]),
        Before::Session(L4::Udp) => packet.udp(40000, 53, b"question"),
        Before::Session(L4::Sctp) => packet.raw(132, &sctp(40000, 90, 1, &[])),
        Before::Session(L4::Ping) | Before::Pong => packet.ping(0x1234, 7, b"data"),
        Before::Timestamp => packet.icmp(13, 0, [0x12, 0x34, 0, 7], &[0; 12]),
    };
    let seen = lab.send(0, &first).sent();
    if before == Before::Pong {
        let [local, server, ..] = icmp_shared::ends_of(&seen);
        let id = word(&seen, header_len(v6) + 4);
        lab.send(0, &PacketBuilder::new(&server, &local).pong(id, 7, b"data")).sent();
    }
}

/// What is counted for a frame.
type Counted = &'static [&'static str];
const IN: Counted = &["icmp_error_relayed_in"];
const OUT: Counted = &["icmp_error_relayed_out"];
const STRIPPED_IN: Counted = &["icmp_error_extensions_stripped", "icmp_error_relayed_in"];
const STRIPPED_OUT: Counted = &["icmp_error_extensions_stripped", "icmp_error_relayed_out"];
const REQUEST: Counted = &["connections_made", "icmp_query_created", "icmp_query_forwarded"];
const REPLY: Counted = &["connections_made"];

fn check(name: &str, method: Method, (v6, before): (bool, Before), counted: Counted) {
    let (input, expected) = FRAMES.frames(name);
    let is_error = counted != REQUEST && counted != REPLY;
    everywhere(|workers, arrive_at| {
        let mut lab = method.lab_with_key(workers, &[0; 40]);
        lab.change(|draft| {
            let limits = &mut draft.tables_mut().limits;
            limits.icmp.strips_extensions = name.starts_with("a46_");
            // Which identifier a host behind SNAT gets follows from its address.
            limits.identifier_max = 0;
        });
        prepare(&mut lab, method, v6, before);
        let (lives_before, hops) = (lives(&lab), lab.handed);
        let (out, what) = tally(&mut lab, arrive_at, &input);
        let say = format!("{name} at worker {arrive_at} of {workers}");
        assert_eq!(out, Outcome::Sent(expected[0].clone()), "{say}");
        assert_eq!(what, counted, "{say}");
        assert_eq!(lab.handed - hops, u64::from(arrive_at != 0), "{say}: steered");
        if is_error {
            assert_eq!(lives(&lab), lives_before, "{say}: errors leave connections alone");
        }
        assert_checksums(&expected[0]);
    });
}

macro_rules! cases {
    ($( $name:ident: $method:ident, $before:ident => $counted:ident; )+) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name), $method, $before, $counted);
            }
        )+
        /// A case that no test runs would prove nothing.
        #[test]
        fn every_fixture_is_a_test() {
            let tested = [ $( stringify!($name), )+ ];
            for name in FRAMES.names() {
                assert!(tested.contains(&name), "{name} is not tested");
            }
            assert_eq!(tested.len(), FRAMES.names().count());
        }
    };
}

const FNAT: Method = Method::FullNat;
const NAT: Method = Method::Nat;
const SNAT: Method = Method::Snat;
const NOTHING: (bool, Before) = (false, Before::Nothing);
const TCP: (bool, Before) = (false, Before::Session(L4::Tcp));
const TCP6: (bool, Before) = (true, Before::Session(L4::Tcp));
const UDP: (bool, Before) = (false, Before::Session(L4::Udp));
const UDP6: (bool, Before) = (true, Before::Session(L4::Udp));
const SCTP: (bool, Before) = (false, Before::Session(L4::Sctp));
const SCTP6: (bool, Before) = (true, Before::Session(L4::Sctp));
const PING: (bool, Before) = (false, Before::Session(L4::Ping));
const PING6: (bool, Before) = (true, Before::Session(L4::Ping));
const PONG: (bool, Before) = (false, Before::Pong);
const PONG6: (bool, Before) = (true, Before::Pong);
const STAMP: (bool, Before) = (false, Before::Timestamp);

cases! {
    a05_time_exceeded_from_client_side: FNAT, TCP => IN;
    a16_hop_limit_exceeded_from_client_side: FNAT, TCP6 => IN;
    a06_parameter_problem_from_client_side: FNAT, TCP => IN;
    a17_unknown_next_header_from_client_side: FNAT, TCP6 => IN;
    a15_v6_port_unreachable_from_client_side: FNAT, UDP6 => IN;
    a03_port_unreachable_from_client_side: FNAT, UDP => IN;
    a08_four_bytes_from_client_side: FNAT, TCP => IN;
    a08_four_bytes_of_udp_from_client_side: FNAT, UDP => IN;
    a08_v6_four_bytes_from_client_side: FNAT, TCP6 => IN;
    a08_six_bytes_of_a_ping_from_client_side: FNAT, PONG => IN;
    a08_six_bytes_of_a_ping6_from_client_side: FNAT, PONG6 => IN;
    a10_sctp_from_client_side: FNAT, SCTP => IN;
    a07_too_big_of_8_bytes_from_client_side: FNAT, UDP => IN;
    a21_ping_error_of_8_bytes_from_client_side: FNAT, PONG => IN;
    a21_ping_error_of_all_from_client_side: FNAT, PONG => IN;
    a42_garbage_tcp_checksum_from_client_side: FNAT, TCP => IN;
    a10_v6_sctp_from_client_side: FNAT, SCTP6 => IN;
    a07_v6_too_big_of_8_bytes_from_client_side: FNAT, UDP6 => IN;
    a21_v6_ping_error_of_8_bytes_from_client_side: FNAT, PONG6 => IN;
    a21_v6_ping_error_of_all_from_client_side: FNAT, PONG6 => IN;
    a42_v6_garbage_tcp_checksum_from_client_side: FNAT, TCP6 => IN;
    a49_source_quench_from_client_side: FNAT, TCP => IN;
    a04_time_exceeded_from_server_side: FNAT, TCP => OUT;
    a16_hop_limit_exceeded_from_server_side: FNAT, TCP6 => OUT;
    a06_parameter_problem_from_server_side: FNAT, TCP => OUT;
    a17_unknown_next_header_from_server_side: FNAT, TCP6 => OUT;
    a15_v6_port_unreachable_from_server_side: FNAT, UDP6 => OUT;
    a08_four_bytes_from_server_side: FNAT, TCP => OUT;
    a08_four_bytes_of_udp_from_server_side: FNAT, UDP => OUT;
    a08_v6_four_bytes_from_server_side: FNAT, TCP6 => OUT;
    a08_six_bytes_of_a_ping_from_server_side: FNAT, PING => OUT;
    a08_six_bytes_of_a_ping6_from_server_side: FNAT, PING6 => OUT;
    a10_sctp_from_server_side: FNAT, SCTP => OUT;
    a07_too_big_of_8_bytes_from_server_side: FNAT, UDP => OUT;
    a21_ping_error_of_8_bytes_from_server_side: FNAT, PING => OUT;
    a21_ping_error_of_all_from_server_side: FNAT, PING => OUT;
    a42_garbage_tcp_checksum_from_server_side: FNAT, TCP => OUT;
    a10_v6_sctp_from_server_side: FNAT, SCTP6 => OUT;
    a07_v6_too_big_of_8_bytes_from_server_side: FNAT, UDP6 => OUT;
    a21_v6_ping_error_of_8_bytes_from_server_side: FNAT, PING6 => OUT;
    a21_v6_ping_error_of_all_from_server_side: FNAT, PING6 => OUT;
    a42_v6_garbage_tcp_checksum_from_server_side: FNAT, TCP6 => OUT;
    a49_source_quench_from_server_side: FNAT, TCP => OUT;
    a05_nat_time_exceeded_from_client_side: NAT, TCP => IN;
    a16_nat_hop_limit_exceeded_from_client_side: NAT, TCP6 => IN;
    a06_nat_parameter_problem_from_client_side: NAT, TCP => IN;
    a17_nat_unknown_next_header_from_client_side: NAT, TCP6 => IN;
    a15_nat_v6_port_unreachable_from_client_side: NAT, UDP6 => IN;
    a03_nat_port_unreachable_from_client_side: NAT, UDP => IN;
    a08_nat_four_bytes_from_client_side: NAT, TCP => IN;
    a08_nat_four_bytes_of_udp_from_client_side: NAT, UDP => IN;
    a08_nat_v6_four_bytes_from_client_side: NAT, TCP6 => IN;
    a08_nat_six_bytes_of_a_ping_from_client_side: NAT, PONG => IN;
    a08_nat_six_bytes_of_a_ping6_from_client_side: NAT, PONG6 => IN;
    a10_nat_sctp_from_client_side: NAT, SCTP => IN;
    a07_nat_too_big_of_8_bytes_from_client_side: NAT, UDP => IN;
    a21_nat_ping_error_of_8_bytes_from_client_side: NAT, PONG => IN;
    a21_nat_ping_error_of_all_from_client_side: NAT, PONG => IN;
    a42_nat_garbage_tcp_checksum_from_client_side: NAT, TCP => IN;
    a10_nat_v6_sctp_from_client_side: NAT, SCTP6 => IN;
    a07_nat_v6_too_big_of_8_bytes_from_client_side: NAT, UDP6 => IN;
    a21_nat_v6_ping_error_of_8_bytes_from_client_side: NAT, PONG6 => IN;
    a21_nat_v6_ping_error_of_all_from_client_side: NAT, PONG6 => IN;
    a42_nat_v6_garbage_tcp_checksum_from_client_side: NAT, TCP6 => IN;
    a49_nat_source_quench_from_client_side: NAT, TCP => IN;
    a04_nat_time_exceeded_from_server_side: NAT, TCP => OUT;
    a16_nat_hop_limit_exceeded_from_server_side: NAT, TCP6 => OUT;
    a06_nat_parameter_problem_from_server_side: NAT, TCP => OUT;
    a17_nat_unknown_next_header_from_server_side: NAT, TCP6 => OUT;
    a15_nat_v6_port_unreachable_from_server_side: NAT, UDP6 => OUT;
    a03_nat_port_unreachable_from_server_side: NAT, UDP => OUT;
    a08_nat_four_bytes_from_server_side: NAT, TCP => OUT;
    a08_nat_four_bytes_of_udp_from_server_side: NAT, UDP => OUT;
    a08_nat_v6_four_bytes_from_server_side: NAT, TCP6 => OUT;
    a08_nat_six_bytes_of_a_ping_from_server_side: NAT, PING => OUT;
    a08_nat_six_bytes_of_a_ping6_from_server_side: NAT, PING6 => OUT;
    a10_nat_sctp_from_server_side: NAT, SCTP => OUT;
    a07_nat_too_big_of_8_bytes_from_server_side: NAT, UDP => OUT;
    a21_nat_ping_error_of_8_bytes_from_server_side: NAT, PING => OUT;
    a21_nat_ping_error_of_all_from_server_side: NAT, PING => OUT;
    a42_nat_garbage_tcp_checksum_from_server_side: NAT, TCP => OUT;
    a10_nat_v6_sctp_from_server_side: NAT, SCTP6 => OUT;
    a07_nat_v6_too_big_of_8_bytes_from_server_side: NAT, UDP6 => OUT;
    a21_nat_v6_ping_error_of_8_bytes_from_server_side: NAT, PING6 => OUT;
    a21_nat_v6_ping_error_of_all_from_server_side: NAT, PING6 => OUT;
    a42_nat_v6_garbage_tcp_checksum_from_server_side: NAT, TCP6 => OUT;
    a49_nat_source_quench_from_server_side: NAT, TCP => OUT;
    a05_snat_time_exceeded_from_inside: SNAT, TCP => IN;
    a16_snat_hop_limit_exceeded_from_inside: SNAT, TCP6 => IN;
    a06_snat_parameter_problem_from_inside: SNAT, TCP => IN;
    a17_snat_unknown_next_header_from_inside: SNAT, TCP6 => IN;
    a15_snat_v6_port_unreachable_from_inside: SNAT, UDP6 => IN;
    a03_snat_port_unreachable_from_inside: SNAT, UDP => IN;
    a08_snat_four_bytes_from_inside: SNAT, TCP => IN;
    a08_snat_four_bytes_of_udp_from_inside: SNAT, UDP => IN;
    a08_snat_v6_four_bytes_from_inside: SNAT, TCP6 => IN;
    a08_snat_six_bytes_of_a_ping_from_inside: SNAT, PONG => IN;
    a08_snat_six_bytes_of_a_ping6_from_inside: SNAT, PONG6 => IN;
    a10_snat_sctp_from_inside: SNAT, SCTP => IN;
    a07_snat_too_big_of_8_bytes_from_inside: SNAT, UDP => IN;
    a21_snat_ping_error_of_8_bytes_from_inside: SNAT, PONG => IN;
    a21_snat_ping_error_of_all_from_inside: SNAT, PONG => IN;
    a42_snat_garbage_tcp_checksum_from_inside: SNAT, TCP => IN;
    a10_snat_v6_sctp_from_inside: SNAT, SCTP6 => IN;
    a07_snat_v6_too_big_of_8_bytes_from_inside: SNAT, UDP6 => IN;
    a21_snat_v6_ping_error_of_8_bytes_from_inside: SNAT, PONG6 => IN;
    a21_snat_v6_ping_error_of_all_from_inside: SNAT, PONG6 => IN;
    a42_snat_v6_garbage_tcp_checksum_from_inside: SNAT, TCP6 => IN;
    a49_snat_source_quench_from_inside: SNAT, TCP => IN;
    a04_snat_time_exceeded_from_outside: SNAT, TCP => OUT;
    a16_snat_hop_limit_exceeded_from_outside: SNAT, TCP6 => OUT;
    a06_snat_parameter_problem_from_outside: SNAT, TCP => OUT;
    a17_snat_unknown_next_header_from_outside: SNAT, TCP6 => OUT;
    a15_snat_v6_port_unreachable_from_outside: SNAT, UDP6 => OUT;
    a03_snat_port_unreachable_from_outside: SNAT, UDP => OUT;
    a08_snat_four_bytes_from_outside: SNAT, TCP => OUT;
    a08_snat_four_bytes_of_udp_from_outside: SNAT, UDP => OUT;
    a08_snat_v6_four_bytes_from_outside: SNAT, TCP6 => OUT;
    a08_snat_six_bytes_of_a_ping_from_outside: SNAT, PING => OUT;
    a08_snat_six_bytes_of_a_ping6_from_outside: SNAT, PING6 => OUT;
    a10_snat_sctp_from_outside: SNAT, SCTP => OUT;
    a07_snat_too_big_of_8_bytes_from_outside: SNAT, UDP => OUT;
    a21_snat_ping_error_of_8_bytes_from_outside: SNAT, PING => OUT;
    a21_snat_ping_error_of_all_from_outside: SNAT, PING => OUT;
    a42_snat_garbage_tcp_checksum_from_outside: SNAT, TCP => OUT;
    a10_snat_v6_sctp_from_outside: SNAT, SCTP6 => OUT;
    a07_snat_v6_too_big_of_8_bytes_from_outside: SNAT, UDP6 => OUT;
    a21_snat_v6_ping_error_of_8_bytes_from_outside: SNAT, PING6 => OUT;
    a21_snat_v6_ping_error_of_all_from_outside: SNAT, PING6 => OUT;
    a42_snat_v6_garbage_tcp_checksum_from_outside: SNAT, TCP6 => OUT;
    a49_snat_source_quench_from_outside: SNAT, TCP => OUT;
    a09_quote_with_ihl_6_from_client_side: FNAT, TCP => IN;
    a09_quote_with_ihl_15_from_client_side: FNAT, UDP => IN;
    a11_quote_of_1472_bytes_from_client_side: FNAT, UDP => IN;
    a20_longer_than_quoted_from_client_side: FNAT, TCP => IN;
    a20_v6_longer_than_quoted_from_client_side: FNAT, TCP6 => IN;
    a42_garbage_udp_checksum_from_client_side: FNAT, UDP => IN;
    a12_udp_without_checksum_from_client_side: FNAT, UDP => IN;
    a12_udp_checksum_arrives_as_all_ones_from_client_side: FNAT, UDP => IN;
    a12_udp_checksum_becomes_all_ones_from_client_side: FNAT, UDP => IN;
    a12_v6_udp_checksum_arrives_as_all_ones_from_client_side: FNAT, UDP6 => IN;
    a12_v6_udp_checksum_becomes_all_ones_from_client_side: FNAT, UDP6 => IN;
    a18_quote_with_hop_by_hop_from_client_side: FNAT, TCP6 => IN;
    a18_quote_with_routing_from_client_side: FNAT, TCP6 => IN;
    a18_quote_with_first_fragment_from_client_side: FNAT, TCP6 => IN;
    a18_quote_with_destination_options_from_client_side: FNAT, TCP6 => IN;
    a18_quote_with_authentication_from_client_side: FNAT, TCP6 => IN;
    a18_quote_with_eight_headers_from_client_side: FNAT, TCP6 => IN;
    a18_v4_quote_of_first_fragment_from_client_side: FNAT, UDP => IN;
    a19_outer_hop_by_hop_from_client_side: FNAT, TCP6 => IN;
    a19_outer_destination_options_from_client_side: FNAT, TCP6 => IN;
    a23_error_with_trailer_from_client_side: FNAT, TCP => IN;
    a44_extension_of_time_exceeded_from_client_side: FNAT, TCP => IN;
    a44_extension_of_unreachable_from_client_side: FNAT, UDP => IN;
    a44_extension_of_parameter_problem_from_client_side: FNAT, TCP => IN;
    a44_extension_v6_of_hop_limit_from_client_side: FNAT, TCP6 => IN;
    a44_extension_v6_of_unreachable_from_client_side: FNAT, UDP6 => IN;
    a46_strips_extension_of_time_exceeded_from_client_side: FNAT, TCP => STRIPPED_IN;
    a46_strips_extension_of_unreachable_from_client_side: FNAT, UDP => STRIPPED_IN;
    a46_strips_extension_of_parameter_problem_from_client_side: FNAT, TCP => STRIPPED_IN;
    a46_strips_extension_v6_of_hop_limit_from_client_side: FNAT, TCP6 => STRIPPED_IN;
    a46_strips_extension_v6_of_unreachable_from_client_side: FNAT, UDP6 => STRIPPED_IN;
    a44_without_length_from_client_side: FNAT, TCP => IN;
    a09_quote_with_ihl_6_from_server_side: FNAT, TCP => OUT;
    a09_quote_with_ihl_15_from_server_side: FNAT, UDP => OUT;
    a11_quote_of_1472_bytes_from_server_side: FNAT, UDP => OUT;
    a20_longer_than_quoted_from_server_side: FNAT, TCP => OUT;
    a20_v6_longer_than_quoted_from_server_side: FNAT, TCP6 => OUT;
    a42_garbage_udp_checksum_from_server_side: FNAT, UDP => OUT;
    a12_udp_without_checksum_from_server_side: FNAT, UDP => OUT;
    a12_udp_checksum_arrives_as_all_ones_from_server_side: FNAT, UDP => OUT;
    a12_udp_checksum_becomes_all_ones_from_server_side: FNAT, UDP => OUT;
    a12_v6_udp_checksum_arrives_as_all_ones_from_server_side: FNAT, UDP6 => OUT;
    a12_v6_udp_checksum_becomes_all_ones_from_server_side: FNAT, UDP6 => OUT;
    a18_quote_with_hop_by_hop_from_server_side: FNAT, TCP6 => OUT;
    a18_quote_with_routing_from_server_side: FNAT, TCP6 => OUT;
    a18_quote_with_first_fragment_from_server_side: FNAT, TCP6 => OUT;
    a18_quote_with_destination_options_from_server_side: FNAT, TCP6 => OUT;
    a18_quote_with_authentication_from_server_side: FNAT, TCP6 => OUT;
    a18_quote_with_eight_headers_from_server_side: FNAT, TCP6 => OUT;
    a18_v4_quote_of_first_fragment_from_server_side: FNAT, UDP => OUT;
    a19_outer_hop_by_hop_from_server_side: FNAT, TCP6 => OUT;
    a19_outer_destination_options_from_server_side: FNAT, TCP6 => OUT;
    a23_error_with_trailer_from_server_side: FNAT, TCP => OUT;
    a44_extension_of_time_exceeded_from_server_side: FNAT, TCP => OUT;
    a44_extension_of_unreachable_from_server_side: FNAT, UDP => OUT;
    a44_extension_of_parameter_problem_from_server_side: FNAT, TCP => OUT;
    a44_extension_v6_of_hop_limit_from_server_side: FNAT, TCP6 => OUT;
    a44_extension_v6_of_unreachable_from_server_side: FNAT, UDP6 => OUT;
    a46_strips_extension_of_time_exceeded_from_server_side: FNAT, TCP => STRIPPED_OUT;
    a46_strips_extension_of_unreachable_from_server_side: FNAT, UDP => STRIPPED_OUT;
    a46_strips_extension_of_parameter_problem_from_server_side: FNAT, TCP => STRIPPED_OUT;
    a46_strips_extension_v6_of_hop_limit_from_server_side: FNAT, TCP6 => STRIPPED_OUT;
    a46_strips_extension_v6_of_unreachable_from_server_side: FNAT, UDP6 => STRIPPED_OUT;
    a44_without_length_from_server_side: FNAT, TCP => OUT;
    a23_reply_with_trailer: FNAT, PING => REPLY;
    a23_reply6_with_trailer: FNAT, PING6 => REPLY;
    a23_nat_reply_with_trailer: NAT, PING => REPLY;
    a23_nat_reply6_with_trailer: NAT, PING6 => REPLY;
    a24_nat_timestamp_request: NAT, NOTHING => REQUEST;
    a24_nat_timestamp_reply: NAT, STAMP => REPLY;
    a23_snat_reply_with_trailer: SNAT, PING => REPLY;
    a23_snat_reply6_with_trailer: SNAT, PING6 => REPLY;
    a24_snat_timestamp_request: SNAT, NOTHING => REQUEST;
    a24_snat_timestamp_reply: SNAT, STAMP => REPLY;
}
