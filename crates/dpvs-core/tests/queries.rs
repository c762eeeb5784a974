// SPDX-License-Identifier: MIT OR Apache-2.0
//! Query pairs: the rules of the mission, each with one and with several workers.
#![cfg(test)]

use dpvs_core::conn::{Conn, State};
use dpvs_core::key::Address;
use dpvs_core::net::Protocol;
use dpvs_core::testing::{Lab, Outcome, PacketBuilder, assert_checksums};
use dpvs_core::worker::{Command, ConnFilter, ConnQuery, Event};
use dpvs_core::{DropReason, Millis};

const C: &str = "198.51.100.10";
const C2: &str = "198.51.100.11";
const V: &str = "203.0.113.80";
const L: &str = "10.1.1.200";
const R: &str = "10.1.1.10";

fn p(src: &str, dst: &str) -> PacketBuilder {
    PacketBuilder::new(src, dst)
}

fn lab(workers: usize) -> Lab {
    let mut lab = Lab::new(workers);
    lab.service(Protocol::Icmp, V, 0, &[(R, 0)]);
    lab
}

fn id(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[38], frame[39]])
}

fn connections(lab: &mut Lab) -> Vec<Conn> {
    let mut all = Vec::new();
    for worker in 0..lab.workers.len() {
        let mut query = Box::new(ConnQuery {
            filter: ConnFilter::default(),
            position: 0,
            connections: Vec::with_capacity(100),
            is_done: false,
        });
        while !query.is_done {
            match lab.command(worker, Command::List(query)) {
                Event::Listed(back) => query = back,
                other => panic!("{other:?}"),
            }
        }
        all.extend(query.connections.iter().map(|info| info.conn));
    }
    all
}

/// ten pings, two connections, ten packets in each, both gone 60 s after the last.
#[test]
fn a37_both_connections_of_a_ping_are_listed() {
    for workers in [1, 3] {
        let mut lab = lab(workers);
        for seq in 0..10 {
            let at = usize::from(seq) % workers;
            let request = lab.send(at, &p(C, V).ping(0x77, seq, b"data")).sent();
            assert_checksums(&request);
            let reply = lab.send(at, &p(R, L).pong(id(&request), seq, b"data")).sent();
            assert_checksums(&reply);
            assert_eq!(id(&reply), 0x77);
            assert_eq!(
                (&reply[26..30], &reply[30..34]),
                (&[203, 0, 113, 80][..], &[198, 51, 100, 10][..])
            );
            lab.pass(1000);
        }
        let all = connections(&mut lab);
        assert_eq!(all.len(), 2, "{workers} workers");
        for conn in &all {
            assert_eq!((conn.in_packets, conn.out_packets), (10, 0), "{:?}", conn.state);
            assert_eq!(conn.client().address.ip(), C.parse::<std::net::IpAddr>().unwrap());
            assert_eq!(
                (conn.client().port, conn.virtual_().port, conn.dest_end().port),
                (0x77, 0, 0)
            );
            assert_eq!(conn.local().address, Address::v4([10, 1, 1, 200]));
        }
        assert!(all.iter().any(|conn| matches!(conn.state, State::Request { .. })));
        assert!(all.iter().any(|conn| matches!(conn.state, State::Reply { .. })));
        lab.pass(58_000);
        assert_eq!(lab.connections(), 2, "59 s after the last packet");
        lab.pass(3_000);
        assert_eq!(lab.connections(), 0);
    }
}

#[test]
fn two_clients_with_one_identifier_get_each_their_own_replies() {
    for workers in [1, 3] {
        let mut lab = lab(workers);
        let first = lab.send(0, &p(C, V).ping(7, 1, b"a")).sent();
        let second = lab.send(0, &p(C2, V).ping(7, 1, b"b")).sent();
        assert_ne!(id(&first), id(&second));
        let back = lab.send(0, &p(R, L).pong(id(&second), 1, b"b")).sent();
        assert_eq!((id(&back), &back[30..34]), (7, &[198, 51, 100, 11][..]));
        let back = lab.send(0, &p(R, L).pong(id(&first), 1, b"a")).sent();
        assert_eq!((id(&back), &back[30..34]), (7, &[198, 51, 100, 10][..]));
    }
}

/// what nobody asked for makes nothing, and neither does a reply of the wrong kind.
#[test]
fn a32_unsolicited_replies_make_nothing() {
    let mut lab = lab(1);
    let request = lab.send(0, &p(C, V).ping(7, 1, b"a")).sent();
    let other = p(R, L).pong(id(&request).wrapping_add(1), 1, b"a");
    assert_eq!(lab.send(0, &other), Outcome::Dropped(DropReason::IcmpUnsolicited));
    let stranger = p("10.1.1.11", L).pong(id(&request), 1, b"a");
    assert_eq!(lab.send(0, &stranger), Outcome::Dropped(DropReason::IcmpUnsolicited));
    let [a, b] = id(&request).to_be_bytes();
    let stamp = p(R, L).icmp(14, 0, [a, b, 0, 1], &[0; 12]);
    assert_eq!(lab.send(0, &stamp), Outcome::Dropped(DropReason::IcmpUnsolicited));
    assert_eq!(lab.connections(), 1);
}

/// errors, even a thousand, do not keep a pair alive, end it or make its reply half.
#[test]
fn a33_errors_about_a_ping_change_nothing_about_it() {
    let mut lab = lab(1);
    let request = lab.send(0, &p(C, V).ping(7, 1, b"a")).sent();
    lab.pass(30_000);
    let error = p("10.1.1.254", L).icmp(3, 1, [0; 4], &request[14..]);
    for _ in 0..1000 {
        let out = lab.send(0, &error).sent();
        assert_eq!(&out[30..34], &[198, 51, 100, 10]);
    }
    assert_eq!(lab.connections(), 1);
    assert_eq!(connections(&mut lab)[0].last_seen, Millis(1000));
    lab.send(0, &p(R, L).pong(id(&request), 1, b"a")).sent();
    lab.pass(61_000);
    assert_eq!(lab.connections(), 0);
}

/// A3: a query that a service takes is never answered here.
#[test]
fn a_query_that_cannot_be_forwarded_is_silent() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Icmp, V, 0, &[]);
    assert_eq!(lab.send(0, &p(C, V).ping(7, 1, b"")), Outcome::Dropped(DropReason::NoDest));
    assert_eq!(lab.workers[0].counters().icmp_echo_replied.get(), 0);
}

/// A3: identifiers are bound as ports are; with one of them the second ping finds none.
#[test]
fn a35_identifiers_run_out_and_come_back() {
    let mut lab = lab(1);
    lab.change(|draft| {
        draft.tables_mut().limits.identifier_min = 9;
        draft.tables_mut().limits.identifier_max = 9;
    });
    assert_eq!(id(&lab.send(0, &p(C, V).ping(1, 1, b"")).sent()), 9);
    let second = p(C, V).ping(2, 1, b"");
    assert_eq!(lab.send(0, &second), Outcome::Dropped(DropReason::IcmpIdentifiersExhausted));
    lab.pass(61_000);
    assert_eq!(id(&lab.send(0, &second).sent()), 9);
}

/// A service may stand on a local address: a request to it is forwarded, a reply is a reply.
#[test]
fn a_request_to_a_local_address_with_a_service_is_forwarded() {
    let mut lab = lab(1);
    lab.service(Protocol::Icmp, L, 0, &[("10.1.1.11", 0)]);
    let out = lab.send(0, &p(C, L).ping(5, 1, b"")).sent();
    assert_eq!(&out[30..34], &[10, 1, 1, 11]);
    let back = lab.send(0, &p("10.1.1.11", L).pong(id(&out), 1, b"")).sent();
    assert_eq!((&back[26..30], id(&back)), (&[10, 1, 1, 200][..], 5));
}

/// A2: without a service only addresses of ours answer, timestamps never do.
#[test]
fn local_replies_are_for_our_addresses_only() {
    let mut lab = Lab::new(1);
    for ours in [V, L, "203.0.113.2", "10.1.1.2"] {
        let out = lab.send(0, &p(C, ours).ping(3, 4, b"payload")).sent();
        assert_eq!((out[34], &out[42..]), (0, &b"payload"[..]));
        assert_checksums(&out);
    }
    assert_eq!(
        lab.send(0, &p(C, "203.0.113.81").ping(3, 4, b"")),
        Outcome::Dropped(DropReason::NotForUs)
    );
    assert_eq!(lab.connections(), 0);
}

/// B9: messages that are no queries make no connection although an ICMP service stands.
#[test]
fn a39_other_types_make_no_connection() {
    let mut lab = lab(1);
    for (icmp_type, code) in
        [(5, 1), (9, 0), (10, 0), (12, 0), (15, 0), (17, 0), (40, 0), (42, 0), (8, 1)]
    {
        let frame = p(C, V).icmp(icmp_type, code, [0, 1, 0, 1], &[0; 28]);
        assert!(matches!(lab.send(0, &frame), Outcome::Dropped(_)), "{icmp_type}/{code}");
    }
    assert_eq!(lab.connections(), 0);
}

/// Found by fuzzing: a reply of nothing but zeros has the other zero as its checksum.
#[test]
fn a_reply_of_zeros_alone_has_a_right_checksum() {
    let mut lab = Lab::new(1);
    let out = lab.send(0, &p(C, V).ping(0, 0, &[0; 9])).sent();
    assert_eq!(&out[34..38], &[0, 0, 0xff, 0xff]);
    assert_checksums(&out);
    // And through full NAT, where the client's identifier is the zero one.
    lab.service(Protocol::Icmp, V, 0, &[(R, 0)]);
    lab.change(|draft| draft.tables_mut().limits.identifier_min = 5);
    let request = lab.send(0, &p(C, V).ping(0, 0, &[0; 9])).sent();
    let reply = lab.send(0, &p(R, L).pong(id(&request), 0, &[0; 9])).sent();
    assert_checksums(&reply);
}
