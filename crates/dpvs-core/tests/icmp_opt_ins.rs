// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is off unless it is asked for: connections that errors end, and who is not answered.
#![cfg(test)]

mod icmp_shared;

use dpvs_core::DropReason;
use dpvs_core::tables::{DestSettings, Forward, IcmpPolicy};
use dpvs_core::testing::{Lab, PacketBuilder, assert_checksums, end};
use icmp_shared::*;

/// Port and network unreachable, in both families.
const PORT: [(u8, u8); 2] = [(3, 3), (1, 4)];
const NET: [(u8, u8); 2] = [(3, 0), (1, 0)];
const PROHIBITED: [(u8, u8); 2] = [(3, 13), (1, 1)];
/// A second server, and a router in front of both.
const R2: [&str; 2] = ["10.1.1.11", "2001:db8:a::fe"];
const ROUTER: [&str; 2] = ["10.1.1.77", "2001:db8:a::77"];

fn set(lab: &mut Lab, change: impl FnOnce(&mut IcmpPolicy)) {
    lab.change(|draft| change(&mut draft.tables_mut().limits.icmp));
}

fn expire_udp(lab: &mut Lab) {
    set(lab, |policy| policy.expires_unreachable_udp = true);
}

fn reschedule_syn(lab: &mut Lab) {
    set(lab, |policy| policy.reschedules_unreachable_syn = true);
}

/// A balancer with two servers of every service of a method that has servers to choose from.
fn two_servers(workers: usize, method: Method, v6: bool, l4: L4) -> Lab {
    let mut lab = method.lab(workers);
    if method != Method::Snat {
        let key = method.key(v6, l4);
        let forward = if method == Method::Nat { Forward::Nat } else { Forward::FullNat };
        let first = lab.tables.service(&key).unwrap().dests[0].endpoint;
        let second = end(R2[at(v6)], first.port);
        lab.change(|draft| draft.add_dest(&key, second, DestSettings::new(forward)).unwrap());
    }
    lab
}

/// An error is relayed, and that is all.
fn only_relayed(lab: &mut Lab, worker: usize, side: Side, error: &[u8]) {
    let before = lives(lab);
    let (outcome, counted) = tally(lab, worker, error);
    assert_checksums(&outcome.sent());
    assert_eq!(counted, [side.relayed()]);
    assert_eq!(lives(lab), before, "no connection ends");
}

const ENDING: [Method; 2] = [Method::FullNat, Method::Nat];

#[test]
fn a_server_without_the_port_ends_a_udp_connection_if_that_is_wished() {
    for (method, v6) in ENDING.into_iter().flat_map(|m| FAMILIES.map(|v6| (m, v6))) {
        everywhere(|workers, worker| {
            let mut lab = two_servers(workers, method, v6, L4::Udp);
            let session = Session::open(&mut lab, method, v6, L4::Udp, 40000);
            let [_, server, ..] = ends_of(&session.request.seen);
            let error = session.error_by(&server, Side::Server, PORT[at(v6)], [0; 4], 8);
            only_relayed(&mut lab, worker, Side::Server, &error);
            expire_udp(&mut lab);
            let (outcome, counted) = tally(&mut lab, worker, &error);
            session.assert_translated(Side::Server, &error, &outcome.sent());
            assert_eq!(counted, ["icmp_error_expired_udp", "icmp_error_relayed_out"]);
            assert_eq!(lab.connections(), 0);
            assert_eq!(lab.gauges(&method.key(v6, L4::Udp)), [0, 0, 0]);
            // The client tries again, and gets the other server.
            let [_, other, ..] = ends_of(&lab.send(worker, &session.request.sent).sent());
            assert_ne!(other, server);
            assert!([R[at(v6)], R2[at(v6)]].contains(&other.as_str()));
        });
    }
}

/// Others than the server itself, other messages, and what does not pass the checks.
#[test]
fn nothing_else_ends_a_udp_connection() {
    for (method, v6) in Method::TRANSLATING.into_iter().flat_map(|m| FAMILIES.map(|v6| (m, v6))) {
        everywhere(|workers, worker| {
            let mut lab = two_servers(workers, method, v6, L4::Udp);
            expire_udp(&mut lab);
            reschedule_syn(&mut lab);
            let session = Session::open(&mut lab, method, v6, L4::Udp, 40000);
            let [_, server, ..] = ends_of(&session.request.seen);
            let [from, ..] = ends_of(&session.answer.seen);
            for (sender, side, kind) in [
                (ROUTER[at(v6)], Side::Server, PORT),
                (&server, Side::Server, HOST),
                (&server, Side::Server, NET),
                (&server, Side::Server, PROHIBITED),
                (&server, Side::Server, TIME),
                (method.ends(v6)[0], Side::Client, PORT),
                (&from, Side::Client, PORT),
            ] {
                let error = session.error_by(sender, side, kind[at(v6)], [0; 4], 8);
                only_relayed(&mut lab, worker, side, &error);
            }
            // A host behind SNAT has nobody else to turn to.
            let error = session.error_by(&server, Side::Server, PORT[at(v6)], [0; 4], 8);
            if method == Method::Snat {
                only_relayed(&mut lab, worker, Side::Server, &error);
            }
            let mut corrupt = error.clone();
            *corrupt.last_mut().unwrap() ^= 1;
            drops(&mut lab, worker, &corrupt, DropReason::IcmpBadChecksum);
            let mut unrelated = session.clone();
            unrelated.request.seen[14 + header_len(v6)] ^= 0x80;
            let error = unrelated.error_by(&server, Side::Server, PORT[at(v6)], [0; 4], 8);
            drops(&mut lab, worker, &error, DropReason::IcmpUnrelated);
        });
    }
}

/// A SYN, and what it looks like beyond the balancer.
fn syn(lab: &mut Lab, worker: usize, method: Method, v6: bool) -> Session {
    let [client, target] = method.ends(v6);
    let packet = PacketBuilder::new(client, target);
    let sent = packet.tcp(40000, 80, SYN, &[]);
    let seen = lab.send(worker, &sent).sent();
    let quoted = packet.ttl(63).tcp(40000, 80, SYN, &[]);
    let [from, to] = [client, target].map(str::to_owned);
    let request = Passage { sent, quoted, seen, from, to };
    Session { method, v6, answer: request.clone(), request }
}

fn syn_ack(session: &Session) -> Vec<u8> {
    let [src, dst, sport, dport] = ends_of(&session.request.seen);
    let (sport, dport) = (sport.parse().unwrap(), dport.parse().unwrap());
    PacketBuilder::new(&dst, &src).tcp(dport, sport, SYN | ACK, &[])
}

#[test]
fn a_way_that_fails_ends_a_connection_that_no_server_has_answered_if_that_is_wished() {
    for (method, v6) in ENDING.into_iter().flat_map(|m| FAMILIES.map(|v6| (m, v6))) {
        for kind in [NET, HOST].map(|kinds| kinds[at(v6)]) {
            everywhere(|workers, worker| {
                let mut lab = two_servers(workers, method, v6, L4::Tcp);
                let session = syn(&mut lab, worker, method, v6);
                let [_, server, ..] = ends_of(&session.request.seen);
                let error = session.error_by(ROUTER[at(v6)], Side::Server, kind, [0; 4], 8);
                only_relayed(&mut lab, worker, Side::Server, &error);
                reschedule_syn(&mut lab);
                let (outcome, counted) = tally(&mut lab, worker, &error);
                session.assert_translated(Side::Server, &error, &outcome.sent());
                assert_eq!(counted, ["icmp_error_relayed_out", "icmp_error_rescheduled_syn"]);
                assert_eq!(lab.connections(), 0);
                assert_eq!(lab.gauges(&method.key(v6, L4::Tcp)), [0, 0, 0]);
                let [_, other, ..] = ends_of(&syn(&mut lab, worker, method, v6).request.seen);
                assert_ne!(other, server);
            });
        }
    }
}

#[test]
fn nothing_else_ends_a_tcp_connection() {
    for (method, v6) in Method::TRANSLATING.into_iter().flat_map(|m| FAMILIES.map(|v6| (m, v6))) {
        everywhere(|workers, worker| {
            let mut lab = two_servers(workers, method, v6, L4::Tcp);
            expire_udp(&mut lab);
            reschedule_syn(&mut lab);
            let session = syn(&mut lab, worker, method, v6);
            let [_, server, ..] = ends_of(&session.request.seen);
            let error = |kind: [(u8, u8); 2]| {
                session.error_by(&server, Side::Server, kind[at(v6)], [0; 4], 8)
            };
            for kind in [PORT, PROHIBITED, TIME] {
                only_relayed(&mut lab, worker, Side::Server, &error(kind));
            }
            if method == Method::Snat {
                only_relayed(&mut lab, worker, Side::Server, &error(HOST));
            }
            let mut corrupt = error(HOST);
            *corrupt.last_mut().unwrap() ^= 1;
            drops(&mut lab, worker, &corrupt, DropReason::IcmpBadChecksum);
            // Whoever has answered can be reached, before the handshake is complete and after it.
            lab.send(worker, &syn_ack(&session)).sent();
            only_relayed(&mut lab, worker, Side::Server, &error(HOST));
            let [client, target] = method.ends(v6);
            let ack = PacketBuilder::new(client, target).tcp(40000, 80, ACK, &[]);
            lab.send(worker, &ack).sent();
            for kind in [NET, HOST] {
                only_relayed(&mut lab, worker, Side::Server, &error(kind));
            }
        });
    }
}
