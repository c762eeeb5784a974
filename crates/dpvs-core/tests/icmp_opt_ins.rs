// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is off unless it is asked for: connections that errors end, and who is not answered.
#![cfg(test)]

mod icmp_shared;

use dpvs_core::net::{Prefix, Protocol};
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{
    DestSettings, EchoPolicy, EchoRule, Forward, IcmpPolicy, NoServer, ServiceSettings, TunnelKind,
};
use dpvs_core::testing::{
    Lab, Outcome, PacketBuilder, address, assert_checksums, end, local_address, match_key,
    service_key,
};
use dpvs_core::{DropReason, PortId};
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
                // From then on the way to the client is known: nothing else makes the next one slow.
                let aged = session.error_by(ROUTER[at(v6)], Side::Server, TIME[at(v6)], [0; 4], 8);
                only_relayed(&mut lab, worker, Side::Server, &aged);
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

/// A balancer without ICMP services: a UDP service with the local address L, and SNAT from P.
fn without_icmp(workers: usize, v6: bool) -> Lab {
    let mut lab = Lab::new(workers);
    lab.service(Protocol::Udp, V[at(v6)], 53, &[(R[at(v6)], 5300)]);
    lab.service(Protocol::Tcp, V[at(v6)], 80, &[(R[at(v6)], 8080)]);
    let ip: std::net::IpAddr = P[at(v6)].parse().unwrap();
    let family = dpvs_core::net::Family::of(ip);
    let key = match_key(family, Protocol::Udp);
    lab.serve(
        &key,
        ServiceSettings::new(Scheduler::Rr),
        &[(end(P[at(v6)], 0), DestSettings::new(Forward::Snat))],
    );
    let ours = local_address(P[at(v6)], family.bits());
    lab.change(|draft| draft.add_address(ours).unwrap());
    lab
}

/// An echo request is answered by the address that it was sent to.
fn is_answered(lab: &mut Lab, worker: usize, from: &str, to: &str) {
    let request = PacketBuilder::new(from, to).ping(7, 1, b"data");
    let (outcome, counted) = tally(lab, worker, &request);
    let reply = PacketBuilder::new(to, from).pong(7, 1, b"data");
    assert_eq!(outcome.sent()[14..], reply[14..], "{from} to {to}");
    assert_eq!(counted, ["icmp_echo_replied"]);
}

#[test]
fn local_addresses_are_silent_where_that_is_set() {
    for v6 in FAMILIES {
        let n = at(v6);
        everywhere(|workers, worker| {
            let mut lab = without_icmp(workers, v6);
            for ours in [V[n], B[n], B_INSIDE[n], L[n], P[n]] {
                is_answered(&mut lab, worker, C[n], ours);
            }
            set(&mut lab, |policy| policy.answers_pool_echo = false);
            for ours in [V[n], B[n], B_INSIDE[n]] {
                is_answered(&mut lab, worker, C[n], ours);
            }
            for pool in [L[n], P[n]] {
                let request = PacketBuilder::new(C[n], pool).ping(7, 1, b"data");
                drops(&mut lab, worker, &request, DropReason::IcmpEchoPool);
            }
            // A policy of the address's own is meant.
            let always = EchoPolicy { rule: EchoRule::Always, ..EchoPolicy::default() };
            lab.change(|draft| draft.set_echo(address(L[n]), always).unwrap());
            is_answered(&mut lab, worker, C[n], L[n]);
            // So is an ICMP service.
            let protocol = if v6 { Protocol::Icmpv6 } else { Protocol::Icmp };
            lab.serve(
                &service_key(protocol, P[n], 0),
                ServiceSettings::new(Scheduler::Rr),
                &[(end(R[n], 0), DestSettings::new(Forward::FullNat))],
            );
            let request = PacketBuilder::new(C[n], P[n]).ping(7, 1, b"data");
            assert_eq!(ends_of(&lab.send(worker, &request).sent())[..2], [L[n], R[n]]);
        });
    }
}

#[test]
fn pings_of_those_who_are_not_on_the_list_are_dropped() {
    for v6 in FAMILIES {
        let n = at(v6);
        everywhere(|workers, worker| {
            let mut lab = without_icmp(workers, v6);
            let network = Prefix::containing(C[n].parse().unwrap(), if v6 { 124 } else { 28 });
            // The other family is on the list too, or it would be shut out.
            let other = Prefix::containing(C[1 - n].parse().unwrap(), 32);
            let list = [other.unwrap(), network.unwrap()];
            set(&mut lab, |policy| policy.echo_admitted = list.into());
            for ours in [V[n], B[n], L[n], P[n]] {
                is_answered(&mut lab, worker, C[n], ours);
                let request = PacketBuilder::new(X[n], ours).ping(7, 1, b"data");
                drops(&mut lab, worker, &request, DropReason::IcmpEchoDeniedAcl);
            }
            for rule in [EchoRule::Always, EchoRule::Backend] {
                let policy = EchoPolicy { rule, ..EchoPolicy::default() };
                lab.change(|draft| draft.set_echo(address(V[n]), policy).unwrap());
                let request = PacketBuilder::new(X[n], V[n]).ping(7, 1, b"data");
                drops(&mut lab, worker, &request, DropReason::IcmpEchoDeniedAcl);
            }
            // Not ours, not asked: the list is not for what passes.
            let strange = if v6 { "2001:db8:80::99" } else { "203.0.113.99" };
            let request = PacketBuilder::new(X[n], strange).ping(7, 1, b"data");
            drops(&mut lab, worker, &request, DropReason::NotForUs);
            // An ICMP service has lists of its own.
            let mut lab = Method::FullNat.lab(workers);
            set(&mut lab, |policy| policy.echo_admitted = list.into());
            let request = PacketBuilder::new(X[n], V[n]).ping(7, 1, b"data");
            assert_eq!(ends_of(&lab.send(worker, &request).sent())[1], R[n]);
        });
    }
}

/// RFC 5508 REQ-9: a policy that forbids errors wins over what would have them made.
#[test]
fn no_error_that_is_made_here_leaves_by_a_silent_port() {
    let method = Method::Tunnel(TunnelKind::Ipip);
    for v6 in FAMILIES {
        let [client, target] = method.ends(v6);
        let packet = PacketBuilder::new(client, target);
        let fits = 1500 - header_len(v6) - 8;
        let too_long = packet.udp(40000, 53, &vec![0x41; fits]);
        let nobody = packet.tcp(40000, 80, SYN, &[]);
        let too_far = packet.clone().ttl(1).udp(40000, 53, b"?");
        everywhere(|workers, worker| {
            let mut lab = method.lab(workers);
            let key = method.key(v6, L4::Tcp);
            lab.change(|draft| {
                draft.del_dest(&key, end(R[at(v6)], 80)).unwrap();
                let limits = &mut draft.tables_mut().limits;
                limits.no_server = NoServer::HostUnreachable;
                limits.pass_takes_ttl = true;
            });
            lab.send(0, &packet.udp(40000, 53, b"?")).sent();
            let made = [
                (&too_long, "icmp_made_too_big", "too_big"),
                (&nobody, "icmp_made_unreachable", "no_dest"),
                (&too_far, "icmp_made_time_exceeded", "ttl_exceeded"),
            ];
            set(&mut lab, |policy| policy.silent_ports = [PortId(1)].into());
            for (frame, kind, reason) in made {
                let (outcome, counted) = tally(&mut lab, worker, frame);
                assert_checksums(&outcome.sent());
                assert_eq!(counted, [kind, reason]);
            }
            set(&mut lab, |policy| policy.silent_ports = [PortId(1), PortId(0)].into());
            for (frame, _, reason) in made {
                let (outcome, counted) = tally(&mut lab, worker, frame);
                assert!(matches!(outcome, Outcome::Dropped(_)));
                assert_eq!(counted, ["icmp_made_silent", reason]);
            }
            // A reset is no ICMP.
            lab.change(|draft| draft.tables_mut().limits.no_server = NoServer::Reset);
            let (_, counted) = tally(&mut lab, worker, &nobody);
            assert_eq!(counted, ["no_dest", "resets_made"]);
        });
    }
}
