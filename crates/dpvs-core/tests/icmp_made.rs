// SPDX-License-Identifier: MIT OR Apache-2.0
//! Errors made here, by method and direction: whom they go to, where they come from, what they say.
#![cfg(test)]

mod icmp_shared;

use dpvs_core::net::Prefix;
use dpvs_core::tables::{DestSettings, Forward, Route, Scope};
use dpvs_core::testing::{Lab, Outcome, PacketBuilder, address, end};
use dpvs_core::{DropReason, PortId};
use icmp_shared::*;

const NET: [(u8, u8); 2] = [(3, 0), (1, 0)];

/// The whole of an error about a frame, from the IP header on.
fn made(src: &str, dst: &str, (icmp_type, code): (u8, u8), rest: [u8; 4], about: &[u8]) -> Vec<u8> {
    let v6 = about[14] >> 4 == 6;
    let len_max = if v6 { 1280 } else { 576 };
    let quote = &about[14..about.len().min(14 + len_max - header_len(v6) - 8)];
    PacketBuilder::new(src, dst).tos(0xc0).id(0).icmp(icmp_type, code, rest, quote)[14..].to_vec()
}

/// Narrows the ways: to the clients' side for packets of 1400 bytes, to the servers' of 1300.
fn narrow(lab: &mut Lab) {
    for (host, mtu) in [(C[0], 1400), (C[1], 1400), (R[0], 1300), (R[1], 1300)] {
        let ip: std::net::IpAddr = host.parse().unwrap();
        let prefix = Prefix::containing(ip, if ip.is_ipv4() { 32 } else { 128 }).unwrap();
        let (port, via, src, scope) = (PortId(0), None, None, Scope::Global);
        let route = Route { prefix, via, port, src, mtu, scope, metric: 0, is_connected: false };
        lab.change(|draft| draft.add_route(route).unwrap());
    }
}

/// Where an error about a packet comes from: the address that the packet was for, if it is ours, else
/// one of ours on the sender's link.
fn origins(method: Method, n: usize) -> [&'static str; 2] {
    match method {
        Method::FullNat => [V[n], L[n]],
        Method::Nat => [V[n], B_INSIDE[n]],
        _ => [B_INSIDE[n], P[n]],
    }
}

/// A frame of a session once more, with so many bytes of UDP data.
fn lengthened(passage: &Passage, len: usize) -> Vec<u8> {
    let [src, dst, sport, dport] = ends_of(&passage.sent);
    let (sport, dport) = (sport.parse().unwrap(), dport.parse().unwrap());
    PacketBuilder::new(&src, &dst).udp(sport, dport, &vec![0x41; len])
}

#[test]
fn both_ends_are_told_what_fits_the_way_to_the_other() {
    for (method, v6) in Method::TRANSLATING.into_iter().flat_map(|m| FAMILIES.map(|v6| (m, v6))) {
        let n = at(v6);
        everywhere(|workers, worker| {
            let mut lab = method.lab(workers);
            narrow(&mut lab);
            let session = Session::open(&mut lab, method, v6, L4::Udp, 40000);
            let mtus = if method == Method::Snat { [1400u16, 1300] } else { [1300, 1400] };
            let ways = [&session.request, &session.answer].into_iter().zip(mtus);
            for ((passage, mtu), origin) in ways.zip(origins(method, n)) {
                let [a, b] = mtu.to_be_bytes();
                let fits = usize::from(mtu) - header_len(v6) - 8;
                let frame = lengthened(passage, fits + 1);
                let before = lives(&lab);
                let (outcome, counted) = tally(&mut lab, worker, &frame);
                let expected = made(origin, &passage.from, TOO_BIG[n], [0, 0, a, b], &frame);
                assert_eq!(outcome.sent()[14..], expected, "{method:?} {mtu}");
                assert_eq!(counted, ["icmp_made_too_big", "too_big"]);
                assert_eq!(lives(&lab), before);
                let out = lab.send(worker, &lengthened(passage, fits)).sent();
                assert_eq!(out.len(), 14 + usize::from(mtu), "what fits passes");
            }
        });
    }
}

#[test]
fn both_ends_are_told_that_a_packets_time_is_over() {
    for (method, v6) in Method::TRANSLATING.into_iter().flat_map(|m| FAMILIES.map(|v6| (m, v6))) {
        let n = at(v6);
        for l4 in [L4::Tcp, L4::Udp, L4::Ping] {
            everywhere(|workers, worker| {
                let mut lab = method.lab(workers);
                let session = Session::open(&mut lab, method, v6, l4, 40000);
                let ways = [&session.request, &session.answer].into_iter();
                for (passage, origin) in ways.zip(origins(method, n)) {
                    let mut frame = passage.sent.clone();
                    frame[if v6 { 21 } else { 22 }] = 1;
                    dpvs_core::testing::repair_checksums(&mut frame);
                    let before = lives(&lab);
                    let (outcome, counted) = tally(&mut lab, worker, &frame);
                    let expected = made(origin, &passage.from, TIME[n], [0; 4], &frame);
                    assert_eq!(outcome.sent()[14..], expected, "{method:?} {l4:?}");
                    assert_eq!(counted, ["icmp_made_time_exceeded", "ttl_exceeded"]);
                    assert_eq!(lives(&lab), before);
                }
            });
        }
    }
}

/// A server hears that there is no way to its client. A client hears of the way to a server only where
/// that is set, since it says how it looks behind us.
#[test]
fn who_is_told_that_there_is_no_way() {
    let far = ["192.0.2.77", "2001:db8:f::77"];
    let lost = ["10.9.9.9", "2001:db8:9::9"];
    for v6 in FAMILIES {
        let n = at(v6);
        everywhere(|workers, worker| {
            let mut lab = Method::FullNat.lab(workers);
            let question = PacketBuilder::new(far[n], V[n]).udp(40000, 53, b"?");
            let seen = lab.send(worker, &question).sent();
            let lport = word(&seen, header_len(v6));
            let answer = PacketBuilder::new(R[n], L[n]).udp(5300, lport, b"!");
            let (outcome, counted) = tally(&mut lab, worker, &answer);
            assert_eq!(outcome.sent()[14..], made(L[n], R[n], NET[n], [0; 4], &answer));
            assert_eq!(counted, ["icmp_made_unreachable", "no_route"]);

            let key = Method::FullNat.key(v6, L4::Udp);
            lab.change(|draft| {
                draft.del_dest(&key, end(R[n], 5300)).unwrap();
                let settings = DestSettings::new(Forward::FullNat);
                draft.add_dest(&key, end(lost[n], 5300), settings).unwrap();
            });
            let question = PacketBuilder::new(C[n], V[n]).udp(40001, 53, b"?");
            let (outcome, counted) = tally(&mut lab, worker, &question);
            assert_eq!(outcome, Outcome::Dropped(DropReason::NoRoute));
            assert!(!counted.contains(&"icmp_made_unreachable"));
            lab.change(|draft| draft.tables_mut().limits.icmp.tells_unreachable = true);
            let (outcome, counted) = tally(&mut lab, worker, &question);
            assert_eq!(outcome.sent()[14..], made(V[n], C[n], NET[n], [0; 4], &question));
            assert_eq!(counted, ["icmp_made_unreachable", "no_route"]);
        });
    }
}

/// The same for a server that does not answer on its link.
#[test]
fn a_client_is_told_of_a_silent_server_where_that_is_set() {
    let silent = ["10.1.1.99", "2001:db8:a::99"];
    for (v6, tells) in FAMILIES.into_iter().flat_map(|v6| [(v6, false), (v6, true)]) {
        let n = at(v6);
        let mut lab = Method::FullNat.lab(3);
        let key = Method::FullNat.key(v6, L4::Udp);
        lab.change(|draft| {
            draft.tables_mut().limits.icmp.tells_unreachable = tells;
            draft.del_dest(&key, end(R[n], 5300)).unwrap();
            let settings = DestSettings::new(Forward::FullNat);
            draft.add_dest(&key, end(silent[n], 5300), settings).unwrap();
        });
        let question = PacketBuilder::new(C[n], V[n]).udp(40001, 53, b"?");
        let mut outcome = lab.send(0, &question);
        for _ in 0..20 {
            if !matches!(outcome, Outcome::Other(dpvs_core::Verdict::Wait(_))) {
                break;
            }
            lab.workers.iter_mut().for_each(|worker| worker.take_made().for_each(drop));
            lab.pass(1000);
            outcome = lab.send(0, &question);
        }
        if tells {
            // The first to hear of it is dropped, as are those that waited.
            let outcome = lab.send(0, &question);
            assert_eq!(outcome.sent()[14..], made(V[n], C[n], HOST[n], [0; 4], &question));
        } else {
            assert_eq!(outcome, Outcome::Dropped(DropReason::NeighbourUnresolved));
        }
    }
}

/// Addresses of services take nothing but queries and errors; the host's own are the host's business.
#[test]
fn what_is_neither_query_nor_error_is_dropped_or_the_hosts() {
    let other: [&[(u8, u8, DropReason)]; 2] = [
        &[
            (5, 1, DropReason::IcmpRedirect),
            (9, 0, DropReason::IcmpUnknownType),
            (15, 0, DropReason::IcmpUnknownType),
            (17, 0, DropReason::IcmpUnknownType),
            (42, 0, DropReason::IcmpUnknownType),
            (253, 0, DropReason::IcmpUnknownType),
        ],
        &[
            (137, 0, DropReason::IcmpRedirect),
            (160, 0, DropReason::IcmpUnknownType),
            (200, 0, DropReason::IcmpUnknownType),
        ],
    ];
    for (v6, has_kernel) in FAMILIES.into_iter().flat_map(|v6| [(v6, false), (v6, true)]) {
        let n = at(v6);
        everywhere(|workers, worker| {
            for (method, ours) in
                [(Method::FullNat, V[n]), (Method::FullNat, L[n]), (Method::Snat, P[n])]
            {
                let mut lab = method.lab(workers);
                lab.change(|draft| {
                    let port = draft.tables().port(PortId(0)).unwrap().clone();
                    draft.set_port(dpvs_core::tables::Port { has_kernel, ..port }).unwrap();
                });
                assert!(lab.tables.is_served(address(ours)));
                for (icmp_type, code, reason) in other[n] {
                    let message =
                        |to| PacketBuilder::new(X[n], to).icmp(*icmp_type, *code, [0; 4], &[0; 48]);
                    drops(&mut lab, worker, &message(ours), *reason);
                    let outcome = lab.send(worker, &message(B[n]));
                    let hosts = Outcome::Other(dpvs_core::Verdict::Kernel(PortId(0)));
                    let expected = if has_kernel { hosts } else { Outcome::Dropped(*reason) };
                    assert_eq!(outcome, expected, "{icmp_type} to the host");
                }
            }
        });
    }
}

/// RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e): about what is sent to many nobody complains, or
/// all who got it would.
#[test]
fn no_error_is_made_about_what_is_sent_to_many() {
    let groups = [("224.0.0.251", 0), ("255.255.255.255", 0), ("ff0e::fb", 1)];
    for (group, n) in groups {
        let mut lab = Method::Snat.lab(1);
        let (all, via) = (["0.0.0.0", "::"][n], Some(X[n].parse().unwrap()));
        let prefix = Prefix::containing(all.parse().unwrap(), 0).unwrap();
        let (port, src, scope) = (PortId(0), None, Scope::Global);
        let route = Route { prefix, via, port, src, mtu: 0, scope, metric: 0, is_connected: false };
        lab.change(|draft| draft.add_route(route).unwrap());
        let dying = PacketBuilder::new(R[n], group).ttl(1).udp(5353, 5353, b"who is there");
        assert_eq!(lab.send(0, &dying), Outcome::Dropped(DropReason::TtlExceeded), "{group}");
    }
}
