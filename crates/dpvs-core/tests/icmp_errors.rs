// SPDX-License-Identifier: MIT OR Apache-2.0
//! ICMP errors by every method, in both families, from both sides, at every worker: which are related,
//! which are not, and that none of them does anything to a connection.
#![cfg(test)]

mod icmp_shared;

use dpvs_core::net::Protocol;
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{DestSettings, Forward, Persistence, ServiceSettings};
use dpvs_core::testing::{
    Lab, Outcome, PacketBuilder, assert_checksums, end, repair_checksums, service_key,
};
use dpvs_core::{DropReason, PortId, Verdict};
use icmp_shared::*;

/// Runs a test for every error that a method can translate or pass on: it gets the balancer with a
/// session, the side that the error comes from and the worker that it arrives at.
fn each(methods: &[Method], l4: L4, test: impl Fn(&mut Lab, &Session, Side, usize)) {
    for method in methods {
        for v6 in FAMILIES {
            for side in Side::BOTH {
                if side == Side::Server && !method.translates() {
                    continue;
                }
                everywhere(|workers, arrive_at| {
                    let mut lab = method.lab(workers);
                    let session = Session::open(&mut lab, *method, v6, l4, 40000);
                    test(&mut lab, &session, side, arrive_at);
                });
            }
        }
    }
}

/// Sets the time to live of a frame.
fn with_ttl(mut frame: Vec<u8>, ttl: u8) -> Vec<u8> {
    let is_v6 = frame[14] >> 4 == 6;
    frame[if is_v6 { 21 } else { 22 }] = ttl;
    repair_checksums(&mut frame);
    frame
}

/// An error of a router about a quote that is made up.
fn about(sender: &str, receiver: &str, v6: bool, quote: &[u8]) -> Vec<u8> {
    let (icmp_type, code) = HOST[at(v6)];
    PacketBuilder::new(sender, receiver).icmp(icmp_type, code, [0; 4], quote)
}

#[test]
fn a08_quotes_without_ports_are_dropped() {
    for l4 in L4::ALL {
        each(&Method::ALL, l4, |lab, session, side, worker| {
            for quoted in if l4 == L4::Ping { [0, 5] } else { [0, 3] } {
                let error = session.error(side, HOST[at(session.v6)], [0; 4], quoted);
                drops(lab, worker, &error, DropReason::IcmpShortQuote);
            }
            // Not even the header.
            let error = session.error(side, HOST[at(session.v6)], [0; 4], 40);
            let len = 14 + header_len(session.v6) + 8 + 12;
            let [from, to, ..] = ends_of(&error);
            let icmp = 14 + header_len(session.v6) + 8;
            let short = about(&from, &to, session.v6, &error[icmp..len]);
            drops(lab, worker, &short, DropReason::IcmpShortQuote);
        });
    }
}

#[test]
fn a18_quotes_of_later_fragments_and_endless_headers_are_dropped() {
    each(&Method::ALL, L4::Udp, |lab, session, side, worker| {
        let error = session.error(side, HOST[at(session.v6)], [0; 4], 40);
        let [from, to, ..] = ends_of(&error);
        let icmp = 14 + header_len(session.v6) + 8;
        let mut quote = error[icmp..].to_vec();
        if !session.v6 {
            quote[6..8].copy_from_slice(&[0, 9]);
            let later = about(&from, &to, false, &quote);
            drops(lab, worker, &later, DropReason::IcmpQuoteFragment);
            return;
        }
        let with = |first: u8, headers: &[u8]| {
            let mut quote = [&quote[..40], headers, &quote[40..]].concat();
            quote[6] = first;
            about(&from, &to, true, &quote)
        };
        let later = with(44, &[17, 0, 0, 0x48, 0, 0, 0x12, 0x34]);
        drops(lab, worker, &later, DropReason::IcmpQuoteFragment);
        let option = [60, 0, 1, 4, 0, 0, 0, 0];
        let last = [17, 0, 1, 4, 0, 0, 0, 0];
        let eight = [option.repeat(7), last.to_vec()].concat();
        lab.send(worker, &with(60, &eight)).sent();
        let nine = [option.repeat(8), last.to_vec()].concat();
        drops(lab, worker, &with(60, &nine), DropReason::IcmpBadQuote);
    });
}

#[test]
fn a40_a_wrong_icmp_checksum_is_dropped() {
    each(&Method::ALL, L4::Tcp, |lab, session, side, worker| {
        let mut error = session.error(side, HOST[at(session.v6)], [0; 4], 8);
        error[14 + header_len(session.v6) + 3] ^= 1;
        drops(lab, worker, &error, DropReason::IcmpBadChecksum);
    });
}

#[test]
fn a43_an_error_to_another_than_the_quotes_source_is_dropped() {
    each(&Method::TRANSLATING, L4::Udp, |lab, session, side, worker| {
        let error = session.error(side, HOST[at(session.v6)], [0; 4], 8);
        let [from, ..] = ends_of(&error);
        let icmp = 14 + header_len(session.v6) + 8;
        // To the end that the quoted packet was for.
        let quote = &error[icmp..];
        let [_, receiver, ..] = ends_of(&[&[0; 14], quote].concat());
        let wrong = about(&from, &receiver, session.v6, quote);
        let (outcome, counted) = tally(lab, worker, &wrong);
        let reason = match outcome {
            Outcome::Dropped(reason) => reason,
            other => panic!("{other:?}"),
        };
        // Full NAT has nothing to do with a stranger's packets; the others look inside.
        let is_transit = session.method != Method::FullNat;
        let expected =
            if is_transit { DropReason::IcmpSourceMismatch } else { DropReason::NotForUs };
        assert_eq!((reason, counted), (expected, vec![reason.name()]), "{session:?} {side:?}");
    });
    // Addressed to V, quoting L -> R: right packet, wrong receiver.
    everywhere(|workers, worker| {
        let mut lab = Method::FullNat.lab(workers);
        let session = Session::open(&mut lab, Method::FullNat, false, L4::Tcp, 40000);
        let inside = &session.request.seen[14..42];
        let outside = &session.answer.seen[14..42];
        drops(&mut lab, worker, &about(X[0], V[0], false, inside), DropReason::IcmpSourceMismatch);
        drops(&mut lab, worker, &about(Y[0], L[0], false, outside), DropReason::IcmpSourceMismatch);
    });
}

#[test]
fn a47_an_error_at_its_end_of_life_goes_nowhere_and_is_not_answered() {
    each(&Method::TRANSLATING, L4::Tcp, |lab, session, side, worker| {
        let error = session.error(side, HOST[at(session.v6)], [0; 4], 8);
        for ttl in [0, 1] {
            drops(lab, worker, &with_ttl(error.clone(), ttl), DropReason::IcmpTtl);
        }
        let out = lab.send(worker, &with_ttl(error, 2)).sent();
        assert_eq!(out[if session.v6 { 21 } else { 22 }], 1);
    });
    // Where no hop is counted, none is: the server is on the link.
    each(&[Method::Direct], L4::Tcp, |lab, session, side, worker| {
        let error = with_ttl(session.error(side, HOST[at(session.v6)], [0; 4], 8), 1);
        assert_eq!(lab.send(worker, &error).sent()[14..], error[14..]);
        lab.change(|draft| draft.tables_mut().limits.pass_takes_ttl = true);
        drops(lab, worker, &error, DropReason::TtlExceeded);
    });
}

/// Every code of every related type is translated with its code, and the rest stays.
#[test]
fn a06_every_type_and_code_stays_what_it_is() {
    for method in Method::TRANSLATING {
        for side in Side::BOTH {
            let mut lab = method.lab(3);
            for v6 in FAMILIES {
                let session = Session::open(&mut lab, method, v6, L4::Udp, 40000);
                let types: &[u8] = if v6 { &[1, 3, 4] } else { &[3, 4, 11, 12] };
                for (icmp_type, code) in types.iter().flat_map(|t| (0..16).map(move |c| (*t, c))) {
                    let rest = if (icmp_type, code) == (3, 4) { [0, 0, 2, 0] } else { [0; 4] };
                    let error = session.error(side, (icmp_type, code), rest, 8);
                    let (outcome, counted) = tally(&mut lab, usize::from(code) % 3, &error);
                    session.assert_translated(side, &error, &outcome.sent());
                    let odd = (icmp_type, code, v6) == (3, 4, false);
                    let odd: &[_] = if odd { &["icmp_error_ptb_implausible"] } else { &[] };
                    assert_eq!(counted, [odd, &[side.relayed()]].concat());
                }
            }
        }
    }
}

/// RFC 5927 section 5: hard errors in a synchronised state are soft.
#[test]
fn a51_errors_end_no_established_connection() {
    each(&Method::TRANSLATING, L4::Tcp, |lab, session, side, worker| {
        let before = lives(lab);
        let kinds = if session.v6 { [(1, 0), (1, 3), (1, 4)] } else { [(3, 1), (3, 2), (3, 3)] };
        for kind in kinds {
            let error = session.error(side, kind, [0; 4], 20);
            let (outcome, counted) = tally(lab, worker, &error);
            session.assert_translated(side, &error, &outcome.sent());
            assert_eq!(counted, [side.relayed()]);
        }
        assert_eq!(lives(lab), before);
        assert_eq!(lab.all()[0].1.state.name(), "ESTABLISHED");
        assert_eq!(lab.send(worker, &session.request.sent).sent(), session.request.seen);
        assert_eq!(lab.send(worker, &session.answer.sent).sent(), session.answer.seen);
    });
}

fn mtu(v6: bool, mtu: u32) -> [u8; 4] {
    let [a, b, c, d] = mtu.to_be_bytes();
    if v6 { [a, b, c, d] } else { [0, 0, c, d] }
}

#[test]
fn a53_path_mtus_at_the_edges() {
    const PASSES: &[&str] = &[];
    const OLD: &[&str] = &["icmp_error_ptb_zero_mtu"];
    const ODD: &[&str] = &["icmp_error_ptb_implausible"];
    for method in Method::TRANSLATING {
        for v6 in FAMILIES {
            everywhere(|workers, worker| {
                let mut lab = method.lab(workers);
                // 1400 bytes in all.
                let data = vec![0x41; 1400 - header_len(v6) - 8];
                let session = Session::with_data(&mut lab, method, (v6, L4::Udp, 40000), &data);
                let values: &[(u32, Option<&[&str]>)] = if v6 {
                    &[
                        (0, None),
                        (512, None),
                        (1279, None),
                        (1280, Some(PASSES)),
                        (1399, Some(PASSES)),
                        (1400, Some(ODD)),
                        (65535, Some(ODD)),
                    ]
                } else {
                    &[
                        (0, Some(OLD)),
                        (20, None),
                        (67, None),
                        (68, Some(PASSES)),
                        (575, Some(PASSES)),
                        (1399, Some(PASSES)),
                        (1500, Some(ODD)),
                    ]
                };
                for side in Side::BOTH {
                    for (value, also) in values {
                        let error = session.error(side, TOO_BIG[at(v6)], mtu(v6, *value), 8);
                        let Some(also) = also else {
                            drops(&mut lab, worker, &error, DropReason::IcmpMtuTooSmall);
                            continue;
                        };
                        let (outcome, counted) = tally(&mut lab, worker, &error);
                        session.assert_translated(side, &error, &outcome.sent());
                        assert_eq!(counted, [*also, &[side.relayed()]].concat(), "{value}");
                    }
                }
            });
        }
    }
}

#[test]
fn a54_errors_about_errors_are_dropped() {
    each(&Method::ALL, L4::Udp, |lab, session, side, worker| {
        let v6 = session.v6;
        let error = session.error(side, HOST[at(v6)], [0; 4], 8);
        let [from, to, ..] = ends_of(&error);
        let quote = &error[14 + header_len(v6) + 8..];
        let [_, receiver, ..] = ends_of(&[&[0; 14], quote].concat());
        let types: &[(u8, u8)] = if v6 {
            &[(1, 0), (2, 0), (3, 0), (4, 1)]
        } else {
            &[(3, 1), (4, 0), (5, 1), (11, 0), (12, 0)]
        };
        for (icmp_type, code) in types {
            // What is quoted is an error that quotes the session's packet.
            let inner = PacketBuilder::new(&to, &receiver).icmp(*icmp_type, *code, [0; 4], quote);
            let nested = about(&from, &to, v6, &inner[14..]);
            drops(lab, worker, &nested, DropReason::IcmpNested);
        }
    });
}

/// RFC 1122 section 3.2.2: however long an error is, nothing is ever said about it.
#[test]
fn a62_an_error_of_9000_bytes_is_cut_and_never_answered() {
    each(&Method::TRANSLATING, L4::Udp, |lab, session, side, worker| {
        let short = session.error(side, HOST[at(session.v6)], [0; 4], 400);
        let [from, to, ..] = ends_of(&short);
        let icmp = 14 + header_len(session.v6) + 8;
        let mut quote = short[icmp..].to_vec();
        quote.resize(8972, 0x55);
        let (outcome, counted) = tally(lab, worker, &about(&from, &to, session.v6, &quote));
        let out = outcome.sent();
        assert_checksums(&out);
        assert_eq!((out.len(), counted), (1514, vec!["icmp_error_cut", side.relayed()]));
    });
    // About nothing that we know.
    for (x, v, c) in [(X[0], V[0], C[0]), (X[1], V[1], C[1])] {
        let mut lab = Method::FullNat.lab(1);
        let quote = PacketBuilder::new(v, c).udp(53, 4, &[0x55; 8900]);
        let error = about(x, v, v.contains(':'), &quote[14..]);
        drops(&mut lab, 0, &error, DropReason::IcmpUnrelated);
    }
}

fn with_kernel(lab: &mut Lab) {
    lab.change(|draft| {
        let mut port = draft.tables().port(PortId(0)).unwrap().clone();
        port.has_kernel = true;
        draft.set_port(port).unwrap();
    });
}

/// The balancer's own sessions, BGP for one, have their path MTU discovery from the host.
#[test]
fn a65_errors_about_the_hosts_own_packets_are_the_hosts() {
    for method in Method::ALL {
        everywhere(|workers, worker| {
            let mut lab = method.lab(workers);
            with_kernel(&mut lab);
            for v6 in FAMILIES {
                let bgp = PacketBuilder::new(B[at(v6)], X[at(v6)]).tcp(179, 33000, ACK, &[]);
                let error = PacketBuilder::new(X[at(v6)], B[at(v6)]).icmp(
                    TOO_BIG[at(v6)].0,
                    TOO_BIG[at(v6)].1,
                    mtu(v6, 1400),
                    &bgp[14..],
                );
                let (outcome, counted) = tally(&mut lab, worker, &error);
                let kernel = Outcome::Other(Verdict::Kernel(PortId(0)));
                assert_eq!((outcome, counted), (kernel, vec![]), "{method:?}");
            }
        });
    }
}

/// The client is a host on the servers' side: its packets are translated there and back, and so are
/// the errors about them (RFC 5508 REQ-7).
#[test]
fn a68_errors_of_hairpinned_sessions_arrive() {
    for (host, v6) in [("10.1.1.11", false), ("2001:db8:a::fe", true)] {
        everywhere(|workers, worker| {
            let mut lab = Method::FullNat.lab(workers);
            let question = PacketBuilder::new(host, V[at(v6)]).udp(40000, 53, b"?");
            let seen = lab.send(0, &question).sent();
            let lport = word(&seen, header_len(v6));
            let (icmp_type, code) = if v6 { (1, 4) } else { (3, 3) };
            let error =
                PacketBuilder::new(R[at(v6)], L[at(v6)]).icmp(icmp_type, code, [0; 4], &seen[14..]);
            let (outcome, counted) = tally(&mut lab, worker, &error);
            let out = outcome.sent();
            assert_checksums(&out);
            assert_eq!(ends_of(&out)[..2], [V[at(v6)], host]);
            let sent = PacketBuilder::new(host, V[at(v6)]).ttl(63).udp(40000, 53, b"?");
            assert_eq!(out[14 + header_len(v6) + 8..], sent[14..]);
            assert_eq!(counted, ["icmp_error_relayed_out"]);
            // And the other way: the host does not take the answer.
            let answer = PacketBuilder::new(R[at(v6)], L[at(v6)]).udp(5300, lport, b"!");
            let seen = lab.send(0, &answer).sent();
            let error =
                PacketBuilder::new(host, V[at(v6)]).icmp(icmp_type, code, [0; 4], &seen[14..]);
            let out = lab.send(worker, &error).sent();
            assert_checksums(&out);
            assert_eq!(ends_of(&out)[..2], [L[at(v6)], R[at(v6)]]);
            let sent = PacketBuilder::new(R[at(v6)], L[at(v6)]).ttl(63).udp(5300, lport, b"!");
            assert_eq!(out[14 + header_len(v6) + 8..], sent[14..]);
        });
    }
}

/// 64 routers complain about 64 flows each, at every worker in turn: all of it arrives, at the
/// worker that has the flow.
#[test]
fn a71_errors_of_many_routers_about_many_flows_all_arrive() {
    for method in Method::TRANSLATING {
        for workers in [1, 2, 3, 8] {
            let mut lab = method.lab(workers);
            lab.change(|draft| {
                draft.tables_mut().limits.icmp.relayed_per_virtual_per_s = 0;
                draft.tables_mut().limits.icmp.relayed_per_s = 0;
            });
            let sessions: Vec<_> = (0..64)
                .map(|n| Session::open(&mut lab, method, n % 2 == 1, L4::Udp, 40000 + n))
                .collect();
            for router in 0..64 {
                for (n, session) in sessions.iter().enumerate() {
                    let sender = if session.v6 {
                        format!("2001:db8:f::{router:x}")
                    } else {
                        format!("192.0.2.{}", router + 1)
                    };
                    let side = Side::BOTH[n / 2 % 2];
                    let kind = HOST[at(session.v6)];
                    let error = session.error_by(&sender, side, kind, [0; 4], 8);
                    let out = lab.send((n + router) % workers, &error).sent();
                    session.assert_translated(side, &error, &out);
                }
            }
            assert_eq!(lab.all_drops(), 0);
        }
    }
}

fn four_servers(persistence: Option<Persistence>, workers: usize) -> Lab {
    let mut lab = Lab::new(workers);
    let settings = ServiceSettings { persistence, ..ServiceSettings::new(Scheduler::Rr) };
    let servers: Vec<_> =
        (0..4).map(|n| (end(R[0], 8080 + n), DestSettings::new(Forward::FullNat))).collect();
    lab.serve(&service_key(Protocol::Tcp, V[0], 80), settings, &servers);
    lab
}

#[test]
fn a77_errors_about_a_persistent_client_reach_the_server_it_is_bound_to() {
    let persistence = Persistence { timeout_ms: 300_000, mask: Persistence::MASK_WHOLE };
    everywhere(|workers, worker| {
        let mut lab = four_servers(Some(persistence), workers);
        for cport in 40000..40008 {
            let session = Session::open(&mut lab, Method::FullNat, false, L4::Tcp, cport);
            let error = session.error(Side::Client, HOST[0], [0; 4], 8);
            let out = lab.send(worker, &error).sent();
            session.assert_translated(Side::Client, &error, &out);
            assert_eq!(word(&out, 48), 8080, "the first server's port is quoted");
        }
    });
}

#[test]
fn a78_errors_are_delivered_while_the_connection_lives() {
    each(&Method::ALL, L4::Udp, |lab, session, side, worker| {
        let key = session.method.key(session.v6, L4::Udp);
        let dest = &lab.tables.service(&key).unwrap().dests[0];
        let (server, settings) = (dest.endpoint, DestSettings { weight: 0, ..dest.settings });
        lab.change(|draft| draft.set_dest(&key, server, settings).unwrap());
        let error = session.error(side, HOST[at(session.v6)], [0; 4], 8);
        let out = lab.send(worker, &error).sent();
        if session.method.translates() {
            session.assert_translated(side, &error, &out);
        }
        // Taken away: what the server's side says still arrives, as its data does.
        lab.change(|draft| draft.del_dest(&key, server).unwrap());
        match side {
            Side::Client => drops(lab, worker, &error, DropReason::DestGone),
            Side::Server => assert_eq!(lab.send(worker, &error).sent(), out),
        }
        lab.pass(301_000);
        let reason = DropReason::IcmpUnrelated;
        assert_eq!(lab.send(worker, &error), Outcome::Dropped(reason), "{session:?}");
    });
}

/// An error about another port, protocol or client than any session's is dropped at every worker.
#[test]
fn a43_strangers_errors_are_unrelated() {
    each(&Method::ALL, L4::Tcp, |lab, session, side, worker| {
        let v6 = session.v6;
        let passage = session.passage(side);
        let [from, to, ..] = ends_of(&passage.seen);
        for quote in [
            PacketBuilder::new(&from, &to).tcp(81, 40001, ACK, &[]),
            PacketBuilder::new(&from, &to).udp(80, 40000, &[]),
            PacketBuilder::new(&from, if v6 { "2001:db8:c::77" } else { "198.51.100.77" }).tcp(
                80,
                40000,
                ACK,
                &[],
            ),
        ] {
            let sender = session.method.router(v6, side);
            let error = about(sender, &from, v6, &quote[14..]);
            drops(lab, worker, &error, DropReason::IcmpUnrelated);
        }
    });
}

/// Local ports reach up to where the source ports of GUE tunnels begin and beyond: an error about a
/// datagram of full NAT is not one about a tunnel.
#[test]
fn a02_errors_about_high_local_ports_are_no_tunnels() {
    for method in [Method::FullNat, Method::Snat] {
        for v6 in FAMILIES {
            everywhere(|workers, worker| {
                let mut lab = method.lab(workers);
                lab.change(|draft| draft.tables_mut().limits.local_port_min = 50_000);
                let session = Session::open(&mut lab, method, v6, L4::Udp, 40000);
                for quoted in [8, 48] {
                    let error = session.error(Side::Server, HOST[at(v6)], [0; 4], quoted);
                    let (outcome, counted) = tally(&mut lab, worker, &error);
                    session.assert_translated(Side::Server, &error, &outcome.sent());
                    assert_eq!(counted, [Side::Server.relayed()]);
                }
            });
        }
    }
}
