// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pings by every method: two connections and no more, their identifiers, their end, and what errors
//! about them may not do.
#![cfg(test)]

mod icmp_shared;

use dpvs_core::net::Protocol;
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{DestSettings, Forward, LocalAddress, ServiceSettings};
use dpvs_core::testing::{
    Lab, Outcome, PacketBuilder, assert_checksums, end, local_address, service_key,
};
use dpvs_core::{DropReason, Verdict};
use icmp_shared::*;
use std::collections::HashSet;

fn id(frame: &[u8]) -> u16 {
    let v6 = frame[14] >> 4 == 6;
    word(frame, header_len(v6) + 4)
}

fn ping(method: Method, v6: bool, id: u16, seq: u16) -> Vec<u8> {
    let [client, target] = method.ends(v6);
    PacketBuilder::new(client, target).ping(id, seq, b"data")
}

/// The reply to a request as it was seen.
fn pong(seen: &[u8], seq: u16) -> Vec<u8> {
    let [src, dst, ..] = ends_of(seen);
    PacketBuilder::new(&dst, &src).pong(id(seen), seq, b"data")
}

/// The pool's address is ours and only hosts behind us are translated, as it is where it is used.
fn snat(workers: usize) -> Lab {
    let mut lab = Method::Snat.lab(workers);
    lab.change(|draft| {
        for v6 in FAMILIES {
            let bits = if v6 { 128 } else { 32 };
            let pool = LocalAddress { is_pool: true, ..local_address(P[at(v6)], bits) };
            draft.add_address(pool).unwrap();
        }
    });
    lab
}

/// RFC 5508 REQ-1a: also where the packets to those it asks would belong to different workers.
#[test]
fn a30_one_identifier_inside_is_one_outside_whomever_it_asks() {
    for v6 in FAMILIES {
        everywhere(|workers, worker| {
            let mut lab = snat(workers);
            let asked = if v6 { [C[1], X[1]] } else { [C[0], "203.0.113.99"] };
            let seen = asked.map(|to| {
                lab.send(worker, &PacketBuilder::new(R[at(v6)], to).ping(7, 1, b"data")).sent()
            });
            assert_eq!(id(&seen[0]), id(&seen[1]));
            for (asked, seen) in asked.into_iter().zip(&seen) {
                let back = lab.send(worker, &pong(seen, 1)).sent();
                assert_checksums(&back);
                assert_eq!((ends_of(&back)[0].as_str(), id(&back)), (asked, 7));
            }
        });
    }
}

#[test]
fn a31_two_hosts_with_one_identifier_get_each_their_own_replies() {
    everywhere(|workers, worker| {
        let mut lab = snat(workers);
        let hosts = [R[0], "10.1.1.11"];
        let seen = hosts.map(|host| {
            let out = lab.send(worker, &PacketBuilder::new(host, C[0]).ping(7, 1, b"data")).sent();
            assert_checksums(&out);
            assert_eq!(ends_of(&out)[..2], [P[0], C[0]]);
            out
        });
        assert_ne!(id(&seen[0]), id(&seen[1]));
        for (host, seen) in hosts.into_iter().zip(&seen).rev() {
            let out = lab.send(worker, &pong(seen, 1)).sent();
            assert_checksums(&out);
            let [src, dst, ..] = ends_of(&out);
            assert_eq!(([src, dst], id(&out)), ([C[0].to_owned(), host.to_owned()], 7));
        }
    });
}

#[test]
fn a32_what_nobody_asked_for_makes_nothing() {
    for v6 in FAMILIES {
        everywhere(|workers, worker| {
            for (method, ours) in [
                (Method::FullNat, L[at(v6)]),
                (Method::FullNat, V[at(v6)]),
                (Method::Snat, P[at(v6)]),
            ] {
                let mut lab =
                    if method == Method::Snat { snat(workers) } else { method.lab(workers) };
                let stranger = PacketBuilder::new(X[at(v6)], ours).pong(0x1234, 1, b"data");
                drops(&mut lab, worker, &stranger, DropReason::IcmpUnsolicited);
                // One that was asked for, of the wrong kind, from the wrong host, with the wrong number.
                let seen = lab.send(0, &ping(method, v6, 40000, 1)).sent();
                let [local, asked, ..] = ends_of(&seen);
                let number = id(&seen);
                let from = |host: &str| PacketBuilder::new(host, &local);
                let [a, b] = number.to_be_bytes();
                for frame in [
                    from(&asked).pong(number.wrapping_add(256), 1, b"data"),
                    from(X[at(v6)]).pong(number, 1, b"data"),
                    if v6 {
                        from(&asked).pong(number ^ 256, 1, b"")
                    } else {
                        from(&asked).icmp(14, 0, [a, b, 0, 1], &[0; 12])
                    },
                ] {
                    drops(&mut lab, worker, &frame, DropReason::IcmpUnsolicited);
                }
            }
            // A request to the pool is nobody's: it is answered here, and makes no connection.
            let mut lab = snat(workers);
            let request = PacketBuilder::new(C[at(v6)], P[at(v6)]).ping(7, 1, b"data");
            let (outcome, counted) = tally(&mut lab, worker, &request);
            assert_eq!(ends_of(&outcome.sent())[..2], [P[at(v6)], C[at(v6)]]);
            assert_eq!((lab.connections(), counted), (0, vec!["icmp_echo_replied"]));
        });
    }
}

/// RFC 5508 REQ-6: neither the age nor the end of a ping changes by errors about it, and its reply
/// still arrives.
#[test]
fn a33_errors_change_nothing_about_a_ping() {
    for method in Method::TRANSLATING {
        for v6 in FAMILIES {
            everywhere(|workers, worker| {
                let mut lab = method.lab(workers);
                let request = ping(method, v6, 40000, 1);
                let seen = lab.send(0, &request).sent();
                lab.pass(30_000);
                let before = lives(&lab);
                let [from, ..] = ends_of(&seen);
                let sender = method.router(v6, Side::Server);
                let (icmp_type, code) = HOST[at(v6)];
                let error =
                    PacketBuilder::new(sender, &from).icmp(icmp_type, code, [0; 4], &seen[14..]);
                let (outcome, counted) = tally(&mut lab, worker, &error);
                assert_checksums(&outcome.sent());
                assert_eq!((counted, lives(&lab)), (vec![Side::Server.relayed()], before));
                let back = lab.send(worker, &pong(&seen, 1)).sent();
                assert_eq!(id(&back), 40000);
                lab.pass(60_500);
                assert_eq!(lab.connections(), 0, "60 s after the reply");
            });
        }
    }
}

#[test]
fn a34_replies_arrive_for_60_seconds_and_no_longer() {
    for method in Method::TRANSLATING {
        for v6 in FAMILIES {
            everywhere(|workers, worker| {
                let mut lab = method.lab(workers);
                let seen = lab.send(0, &ping(method, v6, 40000, 1)).sent();
                lab.now = lab.now + 59_000;
                lab.send(worker, &pong(&seen, 1)).sent();
                // The timer starts anew with the reply.
                lab.now = lab.now + 61_000;
                let (outcome, counted) = tally(&mut lab, worker, &pong(&seen, 2));
                let Outcome::Dropped(reason) = outcome else { panic!("{outcome:?}") };
                let ended = ["connections_expired", "icmp_query_expired", reason.name()];
                assert_eq!(counted, ended, "{method:?}");
                // By NAT the reply is addressed to the client itself.
                let is_ours = method != Method::Nat;
                assert!(reason == DropReason::IcmpUnsolicited || !is_ours, "{method:?} {reason:?}");
                lab.pass(1000);
                assert_eq!(lab.connections(), 0);
            });
        }
    }
}

/// RFC 5508 REQ-2a.
#[test]
fn a34_the_timeout_of_queries_can_be_longer() {
    let mut lab = Method::FullNat.lab(1);
    lab.change(|draft| draft.tables_mut().timeouts.icmp_ms = 120_000);
    let seen = lab.send(0, &ping(Method::FullNat, false, 40000, 1)).sent();
    lab.pass(100_000);
    lab.send(0, &pong(&seen, 1)).sent();
}

/// RFC 5508 REQ-8: the host behind SNAT is told, within limits, or not at all.
#[test]
fn a35_a_host_for_which_no_identifier_is_left_is_told() {
    for v6 in FAMILIES {
        let mut lab = snat(1);
        lab.change(|draft| {
            let limits = &mut draft.tables_mut().limits;
            (limits.identifier_min, limits.identifier_max) = (9, 9);
            limits.icmp.made_per_destination_per_s = 0;
            limits.icmp.prohibited_per_s = 100;
            limits.icmp.made_per_s = 0;
        });
        assert_eq!(id(&lab.send(0, &ping(Method::Snat, v6, 40000, 1)).sent()), 9);
        let second = ping(Method::Snat, v6, 40001, 1);
        let (outcome, counted) = tally(&mut lab, 0, &second);
        let (icmp_type, code) = if v6 { (1, 1) } else { (3, 13) };
        let mut expected = PacketBuilder::new(B_INSIDE[at(v6)], R[at(v6)]).tos(0xc0).id(0).icmp(
            icmp_type,
            code,
            [0; 4],
            &second[14..],
        );
        expected[..6].copy_from_slice(&[2, 0, 0, 0, 0, if v6 { 5 } else { 3 }]);
        expected[6..12].copy_from_slice(&PacketBuilder::OUR_MAC);
        assert_eq!(outcome, Outcome::Sent(expected));
        assert_eq!(counted, ["icmp_identifiers_exhausted", "icmp_made_unreachable"]);
        let told = (0..1000).filter(|_| matches!(lab.send(0, &second), Outcome::Sent(_))).count();
        assert_eq!(told, 99, "100 a second");
        lab.change(|draft| draft.tables_mut().limits.icmp.tells_exhausted = false);
        lab.pass(1000);
        drops(&mut lab, 0, &second, DropReason::IcmpIdentifiersExhausted);
    }
}

/// By direct routing and tunnels a ping goes as it is to the server that client and virtual address
/// choose, and only its request is seen.
#[test]
fn a36_pings_that_pass_go_unchanged_to_one_server() {
    for (forward, tunnel) in [(Forward::Direct, 0), (Forward::Tunnel, 20)] {
        everywhere(|workers, worker| {
            let mut lab = Lab::new(workers);
            let key = service_key(Protocol::Icmp, V[0], 0);
            let servers =
                ["10.1.1.10", "10.1.1.11"].map(|s| (end(s, 0), DestSettings::new(forward)));
            lab.serve(&key, ServiceSettings::new(Scheduler::Mh), &servers);
            let mut outs = HashSet::new();
            for seq in 0..5 {
                let request =
                    PacketBuilder::new(C[0], V[0]).flags_fragment(0).ping(40000 + seq % 2, 7, b"x");
                let out = lab.send(worker, &request).sent();
                assert_eq!(out[14 + tunnel..], request[14..], "unchanged");
                outs.insert(if tunnel == 0 { vec![] } else { out[30..34].to_vec() });
            }
            assert_eq!(outs.len(), 1, "one client, one server");
            assert_eq!(lab.connections(), 2, "one for each identifier");
        });
    }
}

#[test]
fn a37_ten_pings_make_two_connections_that_end_together() {
    for method in Method::ALL {
        for v6 in FAMILIES {
            for workers in [1, 2, 3, 8] {
                let mut lab = method.lab(workers);
                for seq in 0..10 {
                    let at = usize::from(seq) % workers;
                    let request = ping(method, v6, 40000, seq);
                    let seen = lab.send(at, &request).sent();
                    if method.translates() {
                        assert_checksums(&seen);
                        let back = lab.send(at, &pong(&seen, seq)).sent();
                        assert_checksums(&back);
                        let [src, dst, ..] = ends_of(&request);
                        assert_eq!(ends_of(&back)[..2], [dst, src]);
                        assert_eq!(id(&back), 40000);
                    }
                    lab.pass(1000);
                }
                let all = lab.all();
                let expected = if method.translates() { 2 } else { 1 };
                assert_eq!(all.len(), expected, "{method:?}");
                assert!(all.iter().all(|(_, c)| (c.in_packets, c.out_packets) == (10, 0)));
                lab.pass(58_000);
                assert_eq!(lab.connections(), expected, "59 s after the last packet");
                lab.pass(1500);
                assert_eq!(lab.connections(), 0, "{method:?}");
            }
        }
    }
}

#[test]
fn a38_three_pings_of_one_identifier_are_one_pair() {
    for method in Method::ALL {
        everywhere(|workers, worker| {
            let mut lab = method.lab(workers);
            let outs: Vec<_> = (0..3)
                .map(|seq| lab.send(worker, &ping(method, true, 40000, seq)).sent())
                .collect();
            assert_eq!(lab.connections(), 1, "{method:?}");
            if method.translates() {
                assert!(outs.iter().all(|out| id(out) == id(&outs[0])));
            }
        });
    }
}

#[test]
fn a39_what_is_no_query_makes_no_connection() {
    use DropReason::{
        IcmpBadQuote, IcmpRedirect, IcmpUnknownType, NeighbourDiscovery, NoKernelInterface,
    };
    let v4 = [
        (5, 1, IcmpRedirect),
        (9, 0, IcmpUnknownType),
        (10, 0, IcmpUnknownType),
        (12, 0, IcmpBadQuote),
        (15, 0, IcmpUnknownType),
        (17, 0, IcmpUnknownType),
        (40, 0, IcmpUnknownType),
        (42, 0, IcmpUnknownType),
        (253, 0, IcmpUnknownType),
        (8, 1, IcmpUnknownType),
    ];
    let v6 = [
        (137, 0, IcmpRedirect),
        (4, 1, IcmpBadQuote),
        (160, 0, IcmpUnknownType),
        (200, 0, IcmpUnknownType),
        (139, 0, IcmpUnknownType),
        (128, 1, IcmpUnknownType),
    ];
    let discovery = [(130, 0), (133, 0), (134, 0), (135, 0), (136, 0), (143, 0)];
    for method in Method::ALL.into_iter().filter(|method| *method != Method::Snat) {
        everywhere(|workers, worker| {
            let mut lab = method.lab(workers);
            let from = |v6| PacketBuilder::new(C[at(v6)], V[at(v6)]);
            for (v6, kinds) in [(false, &v4[..]), (true, &v6[..])] {
                for (icmp_type, code, reason) in kinds {
                    let frame = from(v6).icmp(*icmp_type, *code, [0, 1, 0, 1], &[0; 48]);
                    drops(&mut lab, worker, &frame, *reason);
                }
            }
            for (icmp_type, code) in discovery {
                let frame = from(true).icmp(icmp_type, code, [0; 4], &[0; 16]);
                let outcome = lab.send(worker, &frame);
                let is_silent = matches!(
                    outcome,
                    Outcome::Dropped(NeighbourDiscovery | NoKernelInterface | IcmpUnknownType)
                        | Outcome::Other(Verdict::Consumed)
                );
                assert!(is_silent, "{icmp_type}: {outcome:?}");
            }
            assert_eq!(lab.connections(), 0);
        });
    }
}
