// SPDX-License-Identifier: MIT OR Apache-2.0
//! The switches of ICMP: each of their settings, towards clients and towards servers.
#![cfg(test)]

mod icmp_shared;

use dpvs_core::conn::Direction;
use dpvs_core::icmp::messages::{ByType, Messages};
use dpvs_core::icmp::recorder::{DECISIONS_MAX, Decision, Outcome as Decided};
use dpvs_core::key::Address;
use dpvs_core::net::Family;
use dpvs_core::tables::{Check, ErrorSource, IcmpPolicy, NoServer, TunnelKind};
use dpvs_core::testing::{
    Lab, Outcome, PacketBuilder, address, assert_checksums, repair_checksums,
};
use dpvs_core::worker::{Command, Event};
use dpvs_core::{DropReason, PortId, Verdict, WorkerId};
use icmp_shared::*;
use std::collections::BTreeMap;

fn set(lab: &mut Lab, change: impl FnOnce(&mut IcmpPolicy)) {
    lab.change(|draft| change(&mut draft.tables_mut().limits.icmp));
}

/// An error whose quoted IPv4 header has a wrong checksum, the ICMP checksum being right: else that
/// would hide it.
fn badly_quoted(session: &Session, side: Side) -> Vec<u8> {
    let mut error = session.error(side, HOST[0], [0; 4], 20);
    error[14 + 20 + 8 + 10] ^= 0x55;
    repair_checksums(&mut error);
    error
}

/// RFC 5508 REQ-3a.
#[test]
fn a41_a_wrong_quoted_header_checksum_by_setting() {
    for method in Method::ALL {
        for side in Side::BOTH {
            if side == Side::Server && !method.translates() {
                continue;
            }
            everywhere(|workers, worker| {
                let mut lab = method.lab(workers);
                let session = Session::open(&mut lab, method, false, L4::Udp, 40000);
                let error = badly_quoted(&session, side);
                let seen = "icmp_error_quoted_checksum_bad";
                for (check, also) in [(Check::Off, vec![]), (Check::Count, vec![seen])] {
                    set(&mut lab, |policy| policy.quoted_checksum = check);
                    let (outcome, counted) = tally(&mut lab, worker, &error);
                    let out = outcome.sent();
                    assert_eq!(counted, [also, vec![side.relayed()]].concat());
                    if method.translates() {
                        assert_checksums(&out);
                        let quote = &out[42..62];
                        let sum = quote.chunks(2).fold(0u32, |sum, w| {
                            let sum = sum + (u32::from(w[0]) << 8 | u32::from(w[1]));
                            (sum & 0xffff) + (sum >> 16)
                        });
                        assert_ne!(sum, 0xffff, "what is wrong is never made right");
                    }
                }
                set(&mut lab, |policy| policy.quoted_checksum = Check::Drop);
                let before = lives(&lab);
                let (outcome, counted) = tally(&mut lab, worker, &error);
                assert_eq!(outcome, Outcome::Dropped(DropReason::IcmpBadQuotedChecksum));
                assert_eq!(counted, ["icmp_bad_quoted_checksum", seen]);
                assert_eq!(lives(&lab), before);
            });
        }
    }
}

/// What an error comes from, by setting, method and sender: the table of the specification, B.1.
#[test]
fn a45_the_source_of_errors_by_setting() {
    use ErrorSource::{Keep, Own, Peer};
    for v6 in FAMILIES {
        let n = at(v6);
        // Method, side, sender; sources by Peer, Own, Keep.
        let table = [
            (Method::FullNat, Side::Server, R[n], [V[n], V[n], V[n]]),
            (Method::FullNat, Side::Server, Y[n], [V[n], B[n], Y[n]]),
            (Method::FullNat, Side::Client, C[n], [L[n], L[n], L[n]]),
            (Method::FullNat, Side::Client, X[n], [L[n], B_INSIDE[n], X[n]]),
            (Method::Nat, Side::Server, R[n], [V[n], V[n], V[n]]),
            (Method::Nat, Side::Server, Y[n], [V[n], B[n], Y[n]]),
            (Method::Nat, Side::Client, C[n], [C[n], C[n], C[n]]),
            (Method::Nat, Side::Client, X[n], [X[n], X[n], X[n]]),
            // By SNAT the client is inside.
            (Method::Snat, Side::Server, C[n], [C[n], C[n], C[n]]),
            (Method::Snat, Side::Server, X[n], [X[n], X[n], X[n]]),
            (Method::Snat, Side::Client, R[n], [P[n], P[n], P[n]]),
            (Method::Snat, Side::Client, Y[n], [P[n], B[n], Y[n]]),
        ];
        for (method, side, sender, expected) in table {
            everywhere(|workers, worker| {
                let mut lab = method.lab(workers);
                let session = Session::open(&mut lab, method, v6, L4::Udp, 40000);
                let error = session.error_by(sender, side, TIME[n], [0; 4], 30);
                let mut bodies = Vec::new();
                for (source, expected) in [Peer, Own, Keep].into_iter().zip(expected) {
                    set(&mut lab, |policy| {
                        policy.source_to_clients = source;
                        policy.source_to_servers = source;
                    });
                    let (outcome, counted) = tally(&mut lab, worker, &error);
                    let out = outcome.sent();
                    assert_checksums(&out);
                    let say = format!("{method:?} {side:?} from {sender} by {source:?}");
                    assert_eq!(ends_of(&out)[0], expected, "{say}");
                    assert_eq!(ends_of(&out)[1], session.passage(side).from, "{say}");
                    assert_eq!(counted, [side.relayed()]);
                    bodies.push(out[14 + header_len(v6) + 8..].to_vec());
                }
                let sent = &session.passage(side).quoted[14..];
                assert!(bodies.iter().all(|body| *body == sent[..body.len()]), "what is quoted");
            });
        }
    }
}

/// Where nothing is translated extensions go as well, if they are to.
#[test]
fn a46_extensions_are_stripped_in_passing_too() {
    for method in [Method::Direct, Method::Tunnel(TunnelKind::Ipip)] {
        let mut lab = method.lab(1);
        let session = Session::open(&mut lab, method, false, L4::Tcp, 40000);
        let mut quote = session.answer.seen[14..].to_vec();
        quote.resize(128, 0);
        let extension = [0x20, 0, 0xbc, 0xa1, 0, 8, 1, 1, 0x11, 0x22, 0x33, 0xff];
        let from = PacketBuilder::new(X[0], V[0]);
        let error = from.icmp(11, 0, [0, 32, 0, 0], &[&quote[..], &extension].concat());
        let tunnel = if method == Method::Direct { 0 } else { 20 };
        assert_eq!(lab.send(0, &error).sent()[14 + tunnel..], error[14..]);
        set(&mut lab, |policy| policy.strips_extensions = true);
        let (outcome, counted) = tally(&mut lab, 0, &error);
        let expected = from.icmp(11, 0, [0; 4], &quote);
        assert_eq!(outcome.sent()[14 + tunnel..], expected[14..]);
        assert_eq!(counted, ["icmp_error_extensions_stripped", "icmp_error_relayed_in"]);
    }
}

#[test]
fn a48_redirects_about_a_live_connection_are_dropped() {
    for method in Method::ALL {
        for v6 in FAMILIES {
            everywhere(|workers, worker| {
                let mut lab = method.lab(workers);
                let session = Session::open(&mut lab, method, v6, L4::Tcp, 40000);
                let kind = if v6 { (137, 0) } else { (5, 1) };
                for side in Side::BOTH {
                    if side == Side::Server && !method.translates() {
                        continue;
                    }
                    let redirect = session.error(side, kind, [10, 1, 1, 99], 60);
                    let [_, to, ..] = ends_of(&redirect);
                    // One on its way through is not even looked into.
                    let is_ours = [V, L, P].iter().any(|ours| to == ours[at(v6)]);
                    let reason =
                        if is_ours { DropReason::IcmpRedirect } else { DropReason::NotForUs };
                    drops(&mut lab, worker, &redirect, reason);
                }
            });
        }
    }
}

#[test]
fn a49_source_quench_by_setting() {
    for method in Method::ALL {
        everywhere(|workers, worker| {
            let mut lab = method.lab(workers);
            let session = Session::open(&mut lab, method, false, L4::Tcp, 40000);
            for side in Side::BOTH {
                if side == Side::Server && !method.translates() {
                    continue;
                }
                let quench = session.error(side, (4, 0), [0; 4], 8);
                let (outcome, counted) = tally(&mut lab, worker, &quench);
                let out = outcome.sent();
                assert_eq!(counted, [side.relayed()]);
                if method.translates() {
                    session.assert_translated(side, &quench, &out);
                }
                set(&mut lab, |policy| policy.relays_source_quench = false);
                drops(&mut lab, worker, &quench, DropReason::IcmpQuench);
                set(&mut lab, |policy| policy.relays_source_quench = true);
            }
        });
    }
}

/// Sets the numbers of a TCP segment without options.
fn numbered(mut frame: Vec<u8>, sequence: u32, ack: u32) -> Vec<u8> {
    let l4 = 14 + header_len(frame[14] >> 4 == 6);
    frame[l4 + 4..l4 + 8].copy_from_slice(&sequence.to_be_bytes());
    frame[l4 + 8..l4 + 12].copy_from_slice(&ack.to_be_bytes());
    repair_checksums(&mut frame);
    frame
}

/// RFC 5927 section 4.1: the quoted sequence number must be under way, where that is checked.
#[test]
fn a52_quoted_sequence_numbers_by_setting() {
    const ODD: &str = "icmp_error_sequence_odd";
    for (method, v6) in Method::TRANSLATING.into_iter().flat_map(|m| FAMILIES.map(|v6| (m, v6))) {
        everywhere(|workers, worker| {
            let mut lab = method.lab(workers);
            set(&mut lab, |policy| policy.sequence = Check::Count);
            let session = Session::open(&mut lab, method, v6, L4::Tcp, 40000);
            // The client has sent up to 1,000,000 and the server up to 5,000,000, all acknowledged
            // but the last 10,000.
            lab.send(0, &numbered(session.request.sent.clone(), 1_000_000, 4_990_000)).sent();
            lab.send(0, &numbered(session.answer.sent.clone(), 5_000_000, 990_000)).sent();
            for (side, last) in [(Side::Server, 1_000_000u32), (Side::Client, 5_000_000)] {
                let quoting = |sequence: u32| {
                    let mut quoted = session.clone();
                    let passage = match side {
                        Side::Client => &mut quoted.answer,
                        Side::Server => &mut quoted.request,
                    };
                    passage.seen = numbered(passage.seen.clone(), sequence, 1);
                    quoted.error(side, HOST[at(v6)], [0; 4], 8)
                };
                let far = last.wrapping_add(1 << 31);
                for (sequence, is_odd) in
                    [(last, false), (last - 10_000, false), (last - 90_000, true), (far, true)]
                {
                    let error = quoting(sequence);
                    for check in [Check::Off, Check::Count, Check::Drop] {
                        set(&mut lab, |policy| policy.sequence = check);
                        let (outcome, counted) = tally(&mut lab, worker, &error);
                        let expected = match (is_odd, check) {
                            (false, _) | (true, Check::Off) => vec![side.relayed()],
                            (true, Check::Count) => vec![side.relayed(), ODD],
                            (true, Check::Drop) => vec![ODD, "icmp_sequence"],
                        };
                        assert_eq!(counted, expected, "{method:?} {side:?} {sequence} {check:?}");
                        let is_dropped = outcome == Outcome::Dropped(DropReason::IcmpSequence);
                        assert_eq!(is_dropped, is_odd && check == Check::Drop);
                    }
                    // Without a number nothing can be checked: RFC 792 guarantees it, A6 not.
                    let short = session.error(side, HOST[at(v6)], [0; 4], 4);
                    assert!(matches!(lab.send(worker, &short), Outcome::Sent(_)));
                }
            }
        });
    }
}

#[test]
fn a64_a_service_without_servers_by_setting() {
    let settings = [
        (NoServer::Drop, None),
        (NoServer::PortUnreachable, Some([(3, 3), (1, 4)])),
        (NoServer::HostUnreachable, Some([(3, 1), (1, 3)])),
        (NoServer::Prohibited, Some([(3, 13), (1, 1)])),
    ];
    for (l4, v6) in L4::ALL.into_iter().flat_map(|l4| FAMILIES.map(|v6| (l4, v6))) {
        let [c, v] = Method::FullNat.ends(v6);
        let from = PacketBuilder::new(c, v);
        let frame = match l4 {
            L4::Tcp => from.tcp(40000, 80, SYN, b""),
            L4::Udp => from.udp(40000, 53, b"question"),
            L4::Sctp => from.raw(132, &sctp(40000, 90, 1, b"")),
            L4::Ping => from.ping(40000, 1, b"data"),
        };
        for (setting, expected) in settings {
            everywhere(|workers, worker| {
                let mut lab = Method::FullNat.lab(workers);
                let key = Method::FullNat.key(v6, l4);
                let server = lab.tables.service(&key).unwrap().dests[0].endpoint;
                lab.change(|draft| {
                    draft.del_dest(&key, server).unwrap();
                    draft.tables_mut().limits.no_server = setting;
                });
                let Some(kinds) = expected else {
                    drops(&mut lab, worker, &frame, DropReason::NoDest);
                    return;
                };
                let (outcome, counted) = tally(&mut lab, worker, &frame);
                let (icmp_type, code) = kinds[at(v6)];
                let made = PacketBuilder::new(v, c).tos(0xc0).id(0);
                let made = made.icmp(icmp_type, code, [0; 4], &frame[14..]);
                assert_eq!(outcome.sent()[14..], made[14..], "{l4:?} {setting:?}");
                assert_eq!(counted, ["icmp_made_unreachable", "no_dest"]);
                assert_eq!(lab.connections(), 0);
            });
        }
    }
}

/// Returns what a worker's recorder has, oldest first.
fn decisions(lab: &mut Lab, worker: usize) -> Vec<Decision> {
    match lab.command(worker, Command::Decisions(Vec::with_capacity(DECISIONS_MAX))) {
        Event::Decisions(list) => list,
        other => panic!("{other:?}"),
    }
}

/// The flight recorder tells what became of errors, and why, at each worker that had them.
#[test]
fn the_flight_recorder_tells_what_became_of_errors() {
    let mut lab = Method::FullNat.lab_with_key(2, &[0; 40]);
    lab.change(|draft| {
        let mut port = draft.tables().port(PortId(0)).unwrap().clone();
        port.has_kernel = true;
        draft.set_port(port).unwrap();
    });
    let session = Session::open(&mut lab, Method::FullNat, false, L4::Tcp, 40000);
    let error = |side| session.error(side, (3, 1), [0; 4], 8);
    lab.send(0, &error(Side::Client)).sent();
    lab.send(1, &error(Side::Server)).sent();
    lab.send(0, &session.error(Side::Client, (11, 1), [0; 4], 3));
    let bgp = PacketBuilder::new(B[0], X[0]).tcp(179, 33000, ACK, &[]);
    let to_host = PacketBuilder::new(X[0], B[0]).icmp(3, 1, [0; 4], &bgp[14..]);
    assert_eq!(lab.send(0, &to_host), Outcome::Other(Verdict::Kernel(PortId(0))));
    let at_0 = decisions(&mut lab, 0);
    let outcomes: Vec<_> = at_0.iter().map(|d| (d.icmp_type, d.code, d.outcome)).collect();
    assert_eq!(
        outcomes,
        [
            (3, 1, Decided::Relayed(Direction::Inbound)),
            (3, 1, Decided::Relayed(Direction::Outbound)),
            (11, 1, Decided::Dropped(DropReason::IcmpShortQuote)),
            (3, 1, Decided::Host),
        ]
    );
    let ends = |d: &Decision| (d.src, d.dst, d.quote.map(|key| (key.src, key.sport)));
    let quoted = Some((address(V[0]), 80));
    assert_eq!(ends(&at_0[0]), (address(X[0]), address(V[0]), quoted));
    assert_eq!(at_0[2].quote, None, "it could not be read");
    let at_1 = decisions(&mut lab, 1);
    assert_eq!(at_1.len(), 1);
    assert_eq!(at_1[0].outcome, Decided::Steered(WorkerId(0)));
    assert_eq!(at_1[0].src, Address::v4([10, 1, 1, 254]));
    for _ in 0..300 {
        lab.send(0, &error(Side::Client));
    }
    assert_eq!(decisions(&mut lab, 0).len(), DECISIONS_MAX);
}

/// Messages are counted by type once, by the worker whose port they came in by, and relayed ones by the
/// worker that relays them.
#[test]
fn messages_are_counted_by_type_and_direction() {
    everywhere(|workers, worker| {
        let mut lab = Method::FullNat.lab(workers);
        let sum = |lab: &Lab, of: fn(&Messages) -> &ByType| {
            let mut sum = BTreeMap::new();
            for worker in &lab.workers {
                for (family, icmp_type, n) in of(&worker.counters().icmp_messages).counted() {
                    *sum.entry((family == Family::V6, icmp_type)).or_insert(0) += n;
                }
            }
            sum.into_iter().collect::<Vec<_>>()
        };
        let session = Session::open(&mut lab, Method::FullNat, false, L4::Tcp, 40000);
        let session6 = Session::open(&mut lab, Method::FullNat, true, L4::Udp, 40001);
        for side in Side::BOTH {
            lab.send(worker, &session.error(side, (3, 1), [0; 4], 8)).sent();
            lab.send(worker, &session6.error(side, (2, 0), [0, 0, 5, 0], 8)).sent();
        }
        lab.send(worker, &session.error(Side::Client, (11, 0), [0; 4], 8)).sent();
        // Dropped, and of a type that is nobody's.
        lab.send(worker, &session.error(Side::Client, (3, 1), [0; 4], 0));
        lab.send(worker, &session.error(Side::Client, (253, 0), [0; 4], 8));
        lab.send(worker, &PacketBuilder::new(C[1], V[1]).ping(7, 1, b"data")).sent();
        let (v4, v6) = (false, true);
        assert_eq!(
            sum(&lab, |messages| &messages.received),
            [
                ((v4, None), 1),
                ((v4, Some(3)), 3),
                ((v4, Some(11)), 1),
                ((v6, Some(2)), 2),
                ((v6, Some(128)), 1)
            ]
        );
        let out = [((v4, Some(3)), 1), ((v6, Some(2)), 1)];
        assert_eq!(sum(&lab, |messages| &messages.relayed_out), out);
        let inward = [((v4, Some(3)), 1), ((v4, Some(11)), 1), ((v6, Some(2)), 1)];
        assert_eq!(sum(&lab, |messages| &messages.relayed_in), inward);
        let pairs = lab.workers.iter().map(|worker| worker.counters().icmp_queries.get());
        assert_eq!(pairs.sum::<u32>(), 1, "one ping is under way");
        lab.pass(61_000);
        let pairs = lab.workers.iter().map(|worker| worker.counters().icmp_queries.get());
        assert_eq!(pairs.sum::<u32>(), 0);
    });
}
