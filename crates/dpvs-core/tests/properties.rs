// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holds for any packet, with an independent parser as the second opinion.
#![cfg(test)]

use dpvs_core::net::{Mac, Protocol};
use dpvs_core::parse::{Parsed, Payload, parse};
use dpvs_core::testing::{Lab, PacketBuilder, assert_checksums};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;

/// The four ends of one family: client, virtual, local, real server.
fn ends(v6: bool) -> [&'static str; 4] {
    if v6 {
        ["2001:db8:c::10", "2001:db8:80::80", "2001:db8:a::200", "2001:db8:a::10"]
    } else {
        ["198.51.100.10", "203.0.113.80", "10.1.1.200", "10.1.1.10"]
    }
}

fn lab(workers: usize, v6: bool) -> Lab {
    let [_, v, _, r] = ends(v6);
    let icmp = if v6 { Protocol::Icmpv6 } else { Protocol::Icmp };
    let mut lab = Lab::new(workers);
    lab.service(Protocol::Tcp, v, 80, &[(r, 8080)]);
    lab.service(Protocol::Udp, v, 53, &[(r, 5300)]);
    lab.service(icmp, v, 0, &[(r, 0)]);
    lab
}

/// Source and destination port of a TCP or UDP frame by the other parser.
fn ports(frame: &[u8]) -> (u16, u16) {
    match SlicedPacket::from_ethernet(frame).unwrap().transport.unwrap() {
        TransportSlice::Tcp(tcp) => (tcp.source_port(), tcp.destination_port()),
        TransportSlice::Udp(udp) => (udp.source_port(), udp.destination_port()),
        other => panic!("{other:?}"),
    }
}

fn addresses(frame: &[u8]) -> (String, String) {
    match SlicedPacket::from_ethernet(frame).unwrap().net.unwrap() {
        NetSlice::Ipv4(ip) => {
            let header = ip.header();
            (header.source_addr().to_string(), header.destination_addr().to_string())
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header();
            (header.source_addr().to_string(), header.destination_addr().to_string())
        }
        other @ NetSlice::Arp(_) => panic!("{other:?}"),
    }
}

proptest! {
    /// There and back: what the server answers to reaches the client as from the virtual address,
    /// on whichever workers the frames arrive.
    #[test]
    fn an_answer_undoes_the_translation(
        v6: bool, tcp: bool, cport in 1u16.., data in proptest::collection::vec(any::<u8>(), 0..600),
        workers in 1usize..9, at in 0usize..8, back_at in 0usize..8,
    ) {
        let [c, v, l, r] = ends(v6);
        let mut lab = lab(workers, v6);
        let there = PacketBuilder::new(c, v);
        let frame = if tcp { there.tcp(cport, 80, 2, &data) } else { there.udp(cport, 53, &data) };
        let out = lab.send(at % workers, &frame).sent();
        assert_checksums(&out);
        prop_assert_eq!(addresses(&out), (l.to_owned(), r.to_owned()));
        let (lport, dport) = ports(&out);
        prop_assert_eq!(dport, if tcp { 8080 } else { 5300 });

        let answer = PacketBuilder::new(r, l);
        let frame = if tcp { answer.tcp(8080, lport, 18, &data) } else { answer.udp(5300, lport, &data) };
        let out = lab.send(back_at % workers, &frame).sent();
        assert_checksums(&out);
        prop_assert_eq!(addresses(&out), (v.to_owned(), c.to_owned()));
        prop_assert_eq!(ports(&out), (if tcp { 80 } else { 53 }, cport));
        prop_assert_eq!(lab.connections(), 1);
    }

    /// A related error, its quote cut anywhere, arrives with right checksums, type, code and all
    /// bytes it came with but those that name the connection; and it makes no connection.
    #[test]
    fn a_related_error_keeps_what_it_does_not_translate(
        v6: bool, towards_client: bool, tcp: bool, cut in 8usize..700, code in 0u8..16,
        rest: [u8; 2], data in proptest::collection::vec(any::<u8>(), 0..600),
        workers in 1usize..9, at in 0usize..8,
    ) {
        let [c, v, l, r] = ends(v6);
        let mut lab = lab(workers, v6);
        let there = PacketBuilder::new(c, v);
        let frame = if tcp { there.tcp(4000, 80, 2, &data) } else { there.udp(4000, 53, &data) };
        let sent = lab.send(0, &frame).sent();
        let (lport, dport) = ports(&sent);
        // What the error's sender got to see: our packet to the server, or our answer to the client.
        let seen = if towards_client {
            sent
        } else {
            let answer = PacketBuilder::new(r, l);
            let frame =
                if tcp { answer.tcp(dport, lport, 18, &data) } else { answer.udp(dport, lport, &data) };
            lab.send(0, &frame).sent()
        };
        let header = if v6 { 40 } else { 20 };
        let quote = &seen[14..seen.len().min(14 + header + cut)];
        let (router, to, kind) = match (v6, towards_client) {
            (false, true) => ("10.1.1.254", l, 3),
            (false, false) => ("198.51.100.254", v, 3),
            (true, true) => ("2001:db8:a::fe", l, 1),
            (true, false) => ("2001:db8:c::fe", v, 1),
        };
        let code = if kind == 3 && code == 4 { 5 } else { code };
        let error = PacketBuilder::new(router, to).icmp(kind, code, [0, 0, rest[0], rest[1]], quote);
        let out = lab.send(at % workers, &error).sent();
        assert_checksums(&out);
        prop_assert_eq!(out.len(), error.len());
        let icmp = 14 + header;
        prop_assert_eq!(&out[icmp..icmp + 2], &error[icmp..icmp + 2]);
        prop_assert_eq!(&out[icmp + 4..icmp + 8], &error[icmp + 4..icmp + 8]);
        // The oracle: outer destination is the quote's source, and the quote is the packet that the
        // receiver once sent.
        let quoted = &out[icmp + 8..];
        let original = if towards_client { frame } else {
            let answer = PacketBuilder::new(r, l);
            if tcp { answer.tcp(dport, lport, 18, &data) } else { answer.udp(dport, lport, &data) }
        };
        let mut expected = original[14..14 + quoted.len()].to_vec();
        // It was seen one hop later.
        if v6 {
            expected[7] -= 1;
        } else {
            expected[8] -= 1;
            expected[10..12].copy_from_slice(&quoted[10..12]);
        }
        // Half a checksum cannot be updated: its one quoted byte stays as it came.
        if tcp && quoted.len() == header + 17 {
            expected[header + 16] = error[icmp + 8 + header + 16];
        }
        prop_assert_eq!(quoted, &expected[..]);
        prop_assert_eq!(lab.connections(), 1);
    }

    /// Both parsers see the same packet.
    #[test]
    fn the_parser_agrees_with_another_one(
        v6: bool, udp: bool, sport: u16, dport: u16, ttl in 1u8.., flags in 0u8..64,
        data in proptest::collection::vec(any::<u8>(), 0..100), trailer in 0usize..20,
    ) {
        let [c, v, ..] = ends(v6);
        let builder = PacketBuilder::new(c, v).ttl(ttl);
        let mut frame =
            if udp { builder.udp(sport, dport, &data) } else { builder.tcp(sport, dport, flags, &data) };
        let len = frame.len();
        frame.extend(vec![0xee; trailer]);
        let Ok(Parsed::Ip(packet)) = parse(&frame, Mac(PacketBuilder::OUR_MAC)) else {
            return Err(TestCaseError::fail("no packet"));
        };
        prop_assert_eq!((packet.ttl, packet.end), (ttl, len));
        prop_assert_eq!((packet.src.ip().to_string(), packet.dst.ip().to_string()), addresses(&frame));
        let seen = match packet.payload {
            Payload::Tcp { sport, dport, .. } | Payload::Udp { sport, dport } => (sport, dport),
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        prop_assert_eq!(seen, ports(&frame));
    }
}
