// SPDX-License-Identifier: MIT OR Apache-2.0
//! Defects that other load balancers and NATs have or had with ICMP: none of them is one here. The
//! numbers are those of the list in `docs/icmp-requirements.md`.
#![cfg(test)]

mod icmp_shared;

use dpvs_core::DropReason;
use dpvs_core::net::Protocol;
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{AccessList, DestSettings, ErrorSource, Forward, ServiceSettings};
use dpvs_core::testing::{
    Lab, Outcome, PacketBuilder, address, assert_checksums, end, repair_checksums, service_key,
};
use icmp_shared::*;

/// Every method and family with the sides that see errors.
fn ways() -> impl Iterator<Item = (Method, bool, Side)> {
    let methods = Method::ALL.into_iter();
    methods
        .flat_map(|method| FAMILIES.map(|v6| (method, v6)))
        .flat_map(|(method, v6)| Side::BOTH.map(|side| (method, v6, side)))
        .filter(|(method, _, side)| *side == Side::Client || method.translates())
}

/// Sends an error about a session at some worker that is not the first, and checks what comes out.
fn translated(lab: &mut Lab, session: &Session, side: Side, error: &[u8]) -> Vec<u8> {
    let worker = lab.workers.len() - 1;
    let (outcome, counted) = tally(lab, worker, error);
    let out = outcome.sent();
    assert!(counted.contains(&side.relayed()), "{counted:?}");
    if session.method.translates() {
        session.assert_translated(side, error, &out);
    }
    out
}

/// An unknown protocol in a quote let the error through, its cursor inside of the quote.
#[test]
fn b01_a_quote_of_an_unknown_protocol_is_dropped_and_never_forwarded() {
    for v6 in FAMILIES {
        everywhere(|workers, worker| {
            let mut lab = Method::FullNat.lab(workers);
            let session = Session::open(&mut lab, Method::FullNat, v6, L4::Tcp, 40000);
            for protocol in [50, 253] {
                // What follows looks like the session's own packet.
                let seen = &session.answer.seen[14 + header_len(v6)..];
                let quote = PacketBuilder::new(V[at(v6)], C[at(v6)]).raw(protocol, seen);
                let (icmp_type, code) = if v6 { (1, 0) } else { (3, 0) };
                let error = PacketBuilder::new(X[at(v6)], V[at(v6)]).icmp(
                    icmp_type,
                    code,
                    [0; 4],
                    &quote[14..],
                );
                drops(&mut lab, worker, &error, DropReason::IcmpQuoteProtocol);
            }
        });
    }
}

/// Errors that quote less than a whole TCP header were lost.
#[test]
fn b02_eight_bytes_of_tcp_are_enough() {
    for (method, v6, side) in ways() {
        let mut lab = method.lab(3);
        let session = Session::open(&mut lab, method, v6, L4::Tcp, 40000);
        for quoted in 8..20 {
            // Half a checksum cannot be right.
            if quoted != 17 {
                let error = session.error(side, HOST[at(v6)], [0; 4], quoted);
                translated(&mut lab, &session, side, &error);
            }
        }
    }
}

/// The flag was tested in the wrong byte order, so a long error was never seen to have it.
#[test]
fn b03_a_long_error_is_cut_whether_it_may_be_fragmented_or_not() {
    for method in Method::TRANSLATING {
        let mut lab = method.lab(1);
        let session = Session::with_data(&mut lab, method, (false, L4::Udp, 40000), &[7; 1440]);
        for flags in [0, 0x4000] {
            let mut error = session.error(Side::Client, HOST[0], [0; 4], 1448);
            error.extend([7; 100]);
            let len = u16::try_from(error.len() - 14).unwrap().to_be_bytes();
            error[16..18].copy_from_slice(&len);
            error[20..22].copy_from_slice(&u16::to_be_bytes(flags));
            repair_checksums(&mut error);
            let (outcome, counted) = tally(&mut lab, 0, &error);
            let out = outcome.sent();
            assert_checksums(&out);
            assert_eq!((out.len(), &out[20..22]), (1514, &error[20..22]));
            assert_eq!(counted, ["icmp_error_cut", "icmp_error_relayed_in"]);
        }
    }
}

/// The ICMPv6 checksum was taken over the extension headers in front of it.
#[test]
fn b05_extension_headers_in_front_of_an_icmpv6_error_are_not_summed() {
    for (method, _, side) in ways().filter(|(_, v6, _)| *v6) {
        let mut lab = method.lab(3);
        let session = Session::open(&mut lab, method, true, L4::Tcp, 40000);
        let plain = session.error(side, HOST[1], [0; 4], 20);
        for (header, count) in [(0, 1), (60, 1), (60, 3), (43, 1)] {
            let mut headers = [header, 0, 1, 4, 0, 0, 0, 0].repeat(count);
            let last = headers.len() - 8;
            headers[last] = 58;
            if header == 43 {
                headers[2..4].fill(0);
            }
            let mut error = [&plain[..54], &headers, &plain[54..]].concat();
            error[20] = header;
            error[19] += u8::try_from(headers.len()).unwrap();
            let worker = 2;
            let out = lab.send(worker, &error).sent();
            if !method.translates() {
                let tunnel = out.len() - error.len();
                assert_eq!(out[14 + tunnel..], error[14..], "{method:?}");
                continue;
            }
            assert_checksums(&out);
            assert_eq!(out[54..54 + headers.len()], headers);
            let without = [&out[..54], &out[54 + headers.len()..]].concat();
            session.assert_translated(side, &plain, &{
                let mut without = without;
                (without[19], without[20]) = (plain[19], 58);
                without
            });
        }
    }
}

/// The tuple of a forwarded ping was filled in the wrong way round, so each made a connection.
#[test]
fn b07_pings_of_one_identifier_are_one_connection() {
    for method in Method::ALL {
        for v6 in FAMILIES {
            let mut lab = method.lab(3);
            let [client, target] = method.ends(v6);
            for seq in 0..3 {
                lab.send(
                    usize::from(seq),
                    &PacketBuilder::new(client, target).ping(40000, seq, b"x"),
                )
                .sent();
            }
            assert_eq!(lab.connections(), 1, "{method:?}");
        }
    }
}

/// Without translation of identifiers two clients with the same one were one.
#[test]
fn b08_two_clients_with_one_identifier_do_not_collide() {
    for method in [Method::FullNat, Method::Snat] {
        let mut lab = method.lab(3);
        let [_, target] = method.ends(false);
        let clients =
            if method == Method::Snat { [R[0], "10.1.1.11"] } else { [C[0], "198.51.100.11"] };
        let seen = clients
            .map(|c| lab.send(1, &PacketBuilder::new(c, target).ping(40000, 1, b"x")).sent());
        for (client, seen) in clients.into_iter().zip(seen) {
            let [local, asked, ..] = ends_of(&seen);
            let reply = PacketBuilder::new(&asked, &local).pong(word(&seen, 24), 1, b"x");
            let back = lab.send(2, &reply).sent();
            assert_eq!((ends_of(&back)[1].as_str(), word(&back, 24)), (client, 40000));
        }
    }
}

/// Redirects, router advertisements and parameter problems were taken for queries.
#[test]
fn b09_other_types_make_no_connection() {
    for method in Method::ALL.into_iter().filter(|method| *method != Method::Snat) {
        let mut lab = method.lab(1);
        let from = |v6| PacketBuilder::new(C[at(v6)], V[at(v6)]);
        for (icmp_type, code) in [(5, 1), (9, 0), (10, 0), (12, 0), (15, 0), (17, 0)] {
            let outcome = lab.send(0, &from(false).icmp(icmp_type, code, [0, 1, 0, 1], &[0; 28]));
            assert!(matches!(outcome, Outcome::Dropped(_)), "{icmp_type}");
        }
        for (icmp_type, code) in [(137, 0), (134, 0), (4, 1), (138, 0)] {
            lab.send(0, &from(true).icmp(icmp_type, code, [0, 1, 0, 1], &[0; 48]));
        }
        assert_eq!(lab.connections(), 0, "{method:?}");
    }
}

/// Access lists and neighbours were consulted for what was quoted, which anybody can forge.
#[test]
fn b10_a_quoted_packet_has_no_side_effects() {
    for v6 in FAMILIES {
        let mut lab = Method::FullNat.lab(1);
        let session = Session::open(&mut lab, Method::FullNat, v6, L4::Tcp, 40000);
        let key = Method::FullNat.key(v6, L4::Tcp);
        lab.change(|draft| {
            draft.add_access(&key, AccessList::Black, address(C[at(v6)])).unwrap();
        });
        // Of the standing connection of a client who is not to make others.
        for side in Side::BOTH {
            let error = session.error(side, HOST[at(v6)], [0; 4], 20);
            translated(&mut lab, &session, side, &error);
        }
        // Of none.
        let quote = PacketBuilder::new(V[at(v6)], C[at(v6)]).tcp(80, 40001, ACK, &[]);
        let (icmp_type, code) = HOST[at(v6)];
        let error =
            PacketBuilder::new(X[at(v6)], V[at(v6)]).icmp(icmp_type, code, [0; 4], &quote[14..]);
        drops(&mut lab, 0, &error, DropReason::IcmpUnrelated);
        assert_eq!(
            (lab.workers[0].take_learned().count(), lab.workers[0].take_made().count()),
            (0, 0)
        );
    }
}

/// Errors were counted as the client's packets whichever way they went, and dropped beyond a limit
/// on those.
#[test]
fn b11_errors_are_nobodys_traffic_and_count_by_direction() {
    for (method, v6, side) in ways() {
        let mut lab = method.lab(3);
        let session = Session::open(&mut lab, method, v6, L4::Udp, 40000);
        let key = method.key(v6, L4::Udp);
        let traffic = |lab: &Lab| {
            let service = lab.tables.service(&key).unwrap();
            (service.counters.traffic(), service.dests[0].shared.counters.traffic())
        };
        let before = (traffic(&lab), lives(&lab), lab.gauges(&key));
        let error = session.error(side, HOST[at(v6)], [0; 4], 8);
        let (_, counted) = tally(&mut lab, 2, &error);
        assert_eq!(counted, [side.relayed()]);
        assert_eq!((traffic(&lab), lives(&lab), lab.gauges(&key)), before, "{method:?}");
    }
}

/// A constant was added to the checksum without the carry, so that some replies were wrong.
#[test]
fn b12_echo_replies_are_right_for_every_checksum() {
    for v6 in FAMILIES {
        let mut lab = Lab::new(1);
        lab.change(|draft| draft.tables_mut().limits.icmp.echo_per_s = 0);
        let from = PacketBuilder::new(C[at(v6)], V[at(v6)]);
        for data in 0..=u16::MAX {
            let out = lab.send(0, &from.ping(1, 1, &data.to_be_bytes())).sent();
            assert_checksums(&out);
        }
    }
}

/// Pings to any address were answered.
#[test]
fn b13_addresses_that_are_not_ours_do_not_answer() {
    let mut lab = Lab::new(1);
    for (c, other) in
        [(C[0], "203.0.113.81"), (C[0], R[0]), (C[1], "2001:db8:80::81"), (C[1], R[1])]
    {
        drops(&mut lab, 0, &PacketBuilder::new(c, other).ping(1, 1, b"x"), DropReason::NotForUs);
    }
}

/// "Fragmentation needed" was sent for packets that may be fragmented.
#[test]
fn b14_a_long_packet_that_may_be_fragmented_is() {
    for method in Method::ALL {
        let mut lab = method.lab(1);
        let [client, target] = method.ends(false);
        let frame = PacketBuilder::new(client, target).flags_fragment(0).udp(40000, 53, &[7; 1572]);
        let Outcome::Pieces(pieces) = lab.send(0, &frame) else { panic!("{method:?}: not cut") };
        assert!(pieces.len() >= 2 && pieces.iter().all(|piece| piece.len() <= 1514));
        assert!(counts(&lab).iter().all(|(name, n)| !name.contains("made_too_big") || *n == 0));
        let frame = PacketBuilder::new(client, target).udp(40000, 53, &[7; 1572]);
        let out = lab.send(0, &frame).sent();
        assert_eq!(out[34..36], [3, 4], "{method:?}: with DF set its sender is told");
    }
}

/// An error longer than the link was itself answered with an error.
#[test]
fn b15_no_error_is_made_about_an_error() {
    for (method, v6, side) in ways() {
        let mut lab = method.lab(1);
        let session = Session::open(&mut lab, method, v6, L4::Udp, 40000);
        let short = session.error(side, HOST[at(v6)], [0; 4], 40);
        let [from, to, ..] = ends_of(&short);
        let mut quote = short[14 + header_len(v6) + 8..].to_vec();
        quote.resize(8000, 7);
        let (icmp_type, code) = HOST[at(v6)];
        let jumbo = PacketBuilder::new(&from, &to).icmp(icmp_type, code, [0; 4], &quote);
        let out = lab.send(0, &jumbo).sent();
        assert!(out.len() <= 1514, "{method:?}");
        let all = counts(&lab);
        assert!(all.iter().all(|(name, n)| !name.contains("_made_") || *n == 0), "{all:?}");
    }
}

/// The checksum of a quoted ping was computed from the outer one, which was not made up for it.
#[test]
fn b16_the_checksums_in_and_around_a_quoted_ping_are_right() {
    for method in Method::TRANSLATING {
        for (v6, side) in FAMILIES.into_iter().flat_map(|v6| Side::BOTH.map(|side| (v6, side))) {
            let mut lab = method.lab(3);
            let session = Session::open(&mut lab, method, v6, L4::Ping, 0x4111);
            for quoted in [6, 8, 48] {
                let error = session.error(side, TIME[at(v6)], [0; 4], quoted);
                translated(&mut lab, &session, side, &error);
            }
        }
    }
}

/// Ports were rewritten 20 bytes behind the quoted header's start, whatever its length.
#[test]
fn b17_options_in_a_quote_are_stepped_over() {
    for method in Method::TRANSLATING {
        let mut lab = method.lab(3);
        let session = Session::open(&mut lab, method, false, L4::Udp, 40000);
        for (side, words) in
            Side::BOTH.into_iter().flat_map(|side| (1..=10u8).map(move |w| (side, w)))
        {
            let plain = session.error(side, HOST[0], [0; 4], 48);
            let options = [1].repeat(usize::from(words) * 4);
            let quoted = |frame: &[u8]| [&frame[42..62], &options, &frame[62..]].concat();
            let [from, to, ..] = ends_of(&plain);
            let mut quote = quoted(&plain);
            quote[0] += words;
            let error = PacketBuilder::new(&from, &to).icmp(3, 1, [0; 4], &quote);
            let out = lab.send(1, &error).sent();
            assert_checksums(&out);
            let sent = &session.passage(side).quoted;
            assert_eq!(out[42 + 12..62], sent[26..34], "addresses");
            assert_eq!(out[62..62 + options.len()], options);
            assert_eq!(out[62 + options.len()..], sent[34..], "ports and all behind them");
        }
    }
}

/// Errors went to the server that the router's own address hashed to.
#[test]
fn b18_errors_of_any_router_reach_the_connections_server() {
    for scheduler in [Scheduler::Sh, Scheduler::Mh, Scheduler::Conhash, Scheduler::Rr] {
        for forward in [Forward::FullNat, Forward::Nat, Forward::Tunnel] {
            let mut lab = Lab::new(3);
            let key = service_key(Protocol::Udp, V[0], 53);
            let servers: Vec<_> = (10..26)
                .map(|n| (end(&format!("10.1.1.{n}"), 53), DestSettings::new(forward)))
                .collect();
            lab.serve(&key, ServiceSettings::new(scheduler), &servers);
            lab.send(0, &PacketBuilder::new(C[0], V[0]).udp(40000, 53, b"?"));
            let server = lab.all()[0].1.dest_end().address;
            let quote = PacketBuilder::new(V[0], C[0]).udp(53, 40000, b"!");
            for router in 1..=100 {
                let from = PacketBuilder::new(&format!("192.0.2.{router}"), V[0]);
                let error = from.icmp(3, 1, [0; 4], &quote[14..]);
                let hop = match lab.send(router % 3, &error) {
                    Outcome::Sent(out) => ends_of(&out)[1].clone(),
                    Outcome::Other(dpvs_core::Verdict::Wait(hop)) => format!("{:?}", hop.address),
                    other => panic!("{other:?}"),
                };
                assert_eq!(hop, format!("{server:?}"), "{scheduler:?} {forward:?}");
            }
        }
    }
}

/// "Packet too big" stood on no list of ICMPv6 errors.
#[test]
fn b19_packet_too_big_is_related_in_both_families() {
    for (method, v6, side) in ways() {
        for l4 in L4::ALL {
            let mut lab = method.lab(3);
            let session = Session::with_data(&mut lab, method, (v6, l4, 40000), &[7; 1350]);
            let error = session.error(side, TOO_BIG[at(v6)], [0, 0, 5, 0], 8);
            translated(&mut lab, &session, side, &error);
        }
    }
}

/// Every hop behind the balancer had the virtual address in a traceroute.
#[test]
fn b21_a_traceroute_can_show_every_hop() {
    for method in [Method::FullNat, Method::Nat] {
        for v6 in FAMILIES {
            let mut lab = method.lab(1);
            lab.change(|draft| {
                draft.tables_mut().limits.icmp.source_to_clients = ErrorSource::Keep;
            });
            let session = Session::open(&mut lab, method, v6, L4::Udp, 40000);
            let hops = if v6 { [Y[1], "2001:db8:a::fd"] } else { [Y[0], "10.1.1.253"] };
            for hop in hops {
                let error = session.error_by(hop, Side::Server, TIME[at(v6)], [0; 4], 8);
                assert_eq!(ends_of(&lab.send(0, &error).sent())[0], hop);
            }
            let last = session.error_by(R[at(v6)], Side::Server, HOST[at(v6)], [0; 4], 8);
            assert_eq!(ends_of(&lab.send(0, &last).sent())[0], V[at(v6)]);
        }
    }
}

/// Errors kept connections alive.
#[test]
fn b22_a50_a_thousand_errors_do_not_refresh_a_connection() {
    for (method, v6, side) in ways() {
        let l4s = if method.translates() { &L4::ALL[..] } else { &L4::ALL[..1] };
        for l4 in l4s {
            let mut lab = method.lab(1);
            let session = Session::open(&mut lab, method, v6, *l4, 40000);
            lab.pass(30_000);
            let before = lives(&lab);
            let ends_at: Vec<_> = lab.all().iter().map(|(_, conn)| conn.expires_at()).collect();
            let error = session.error(side, HOST[at(v6)], [0; 4], 8);
            for _ in 0..1000 {
                lab.send(0, &error).sent();
            }
            assert_eq!(lives(&lab), before, "{method:?} {l4:?}");
            let ends: Vec<_> = lab.all().iter().map(|(_, conn)| conn.expires_at()).collect();
            assert_eq!(ends, ends_at);
        }
    }
}

/// The outer header was translated, the quote was not.
#[test]
fn b23_both_the_outer_header_and_the_quote_are_translated() {
    for (method, v6, side) in ways() {
        for (l4, quoted) in L4::ALL.into_iter().flat_map(|l4| [8, 20, 60].map(|n| (l4, n))) {
            let mut lab = method.lab(3);
            let session = Session::open(&mut lab, method, v6, l4, 40000);
            for kind in [HOST, TIME] {
                let error = session.error(side, kind[at(v6)], [0; 4], quoted);
                translated(&mut lab, &session, side, &error);
            }
        }
    }
}

/// An error about a ping ended its flow, so that the reply was lost (RFC 5508 REQ-6).
#[test]
fn b24_an_error_does_not_end_a_ping() {
    for method in Method::TRANSLATING {
        for v6 in FAMILIES {
            let mut lab = method.lab(3);
            let session = Session::open(&mut lab, method, v6, L4::Ping, 40000);
            for side in Side::BOTH {
                let error = session.error(side, HOST[at(v6)], [0; 4], 8);
                translated(&mut lab, &session, side, &error);
            }
            assert_eq!(lab.connections(), 2);
            assert_eq!(lab.send(1, &session.answer.sent).sent(), session.answer.seen);
        }
    }
}

/// Queries were forgotten after 30 seconds.
#[test]
fn b25_a_query_lives_60_seconds() {
    for method in Method::ALL {
        for v6 in FAMILIES {
            let mut lab = method.lab(1);
            Session::open(&mut lab, method, v6, L4::Ping, 40000);
            lab.pass(59_800);
            assert!(lab.connections() > 0, "{method:?}");
            lab.pass(1_000);
            assert_eq!(lab.connections(), 0, "{method:?}");
        }
    }
}

/// Echo replies were errors to the limiter, and those made here knew no limit.
#[test]
fn b26_echo_replies_have_a_limit_of_their_own() {
    for v6 in FAMILIES {
        let mut lab = Method::FullNat.lab(1);
        lab.change(|draft| {
            draft.tables_mut().limits.icmp.relayed_per_s = 5;
            draft.tables_mut().limits.icmp.echo_per_s = 100;
        });
        let from = PacketBuilder::new(C[at(v6)], B[at(v6)]);
        let flood =
            (0..1000).filter(|n| matches!(lab.send(0, &from.ping(7, *n, b"")), Outcome::Sent(_)));
        assert_eq!(flood.count(), 100);
        // Replies on their way through are sessions' packets.
        let session = Session::open(&mut lab, Method::FullNat, v6, L4::Ping, 40000);
        let replies =
            (0..100).filter(|_| matches!(lab.send(0, &session.answer.sent), Outcome::Sent(_)));
        assert_eq!(replies.count(), 100);
    }
}
