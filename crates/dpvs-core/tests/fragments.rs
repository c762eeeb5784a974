// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packets in parts: in every method, both families and both directions, with the parts at whatever
//! worker they arrive.
//!
//! What leaves is put together here and compared with what a whole packet of those ends is.
#![cfg(test)]

use dpvs_core::DropReason;
use dpvs_core::conn::Conn;
use dpvs_core::key::Endpoint;
use dpvs_core::net::{Family, Protocol};
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{
    AccessList, DestSettings, Forward, Persistence, ServiceKey, ServiceSettings,
};
use dpvs_core::testing::{Lab, Outcome, PacketBuilder, address, end, match_key, service_key};

const C: &str = "198.51.100.10";
const C2: &str = "198.51.100.11";
const V: &str = "203.0.113.80";
const R: &str = "10.1.1.10";
const C6: &str = "2001:db8:c::10";
const V6: &str = "2001:db8:80::80";
const R6: &str = "2001:db8:a::10";
const RR: ServiceSettings = ServiceSettings::new(Scheduler::Rr);
const METHODS: [Forward; 5] =
    [Forward::FullNat, Forward::Nat, Forward::Direct, Forward::Tunnel, Forward::Snat];
const WORKERS: [usize; 4] = [1, 2, 3, 8];
const MORE: u16 = 0x2000;

fn p(src: &str, dst: &str) -> PacketBuilder {
    PacketBuilder::new(src, dst)
}

/// Cuts a packet into parts of `size` bytes of data.
fn parts(whole: &[u8], id: u16, size: usize) -> Vec<Vec<u8>> {
    let is_v4 = whole[14] >> 4 == 4;
    let (protocol, l4) = if is_v4 { (whole[23], 34) } else { (whole[20], 54) };
    let [src, dst] = addresses(whole);
    let data = &whole[l4..];
    let cut = |(n, chunk): (usize, &[u8])| {
        let offset = u16::try_from(n * size / 8).unwrap();
        let is_last = n * size + chunk.len() == data.len();
        if is_v4 {
            let more = if is_last { 0 } else { MORE };
            return p(&src, &dst).id(id).flags_fragment(more | offset).raw(protocol, chunk);
        }
        let [a, b] = (offset << 3 | u16::from(!is_last)).to_be_bytes();
        let [c, d] = id.to_be_bytes();
        p(&src, &dst).raw(44, &[&[protocol, 0, a, b, 0, 0, c, d][..], chunk].concat())
    };
    data.chunks(size).enumerate().map(cut).collect()
}

fn addresses(frame: &[u8]) -> [String; 2] {
    let ip = |at: usize, len: usize| {
        let bytes = &frame[at..at + len];
        match <[u8; 4]>::try_from(bytes) {
            Ok(v4) => std::net::IpAddr::from(v4).to_string(),
            Err(_) => std::net::IpAddr::from(<[u8; 16]>::try_from(bytes).unwrap()).to_string(),
        }
    };
    if frame[14] >> 4 == 4 { [ip(26, 4), ip(30, 4)] } else { [ip(22, 16), ip(38, 16)] }
}

/// Puts parts together into ends and data; checks what each says of itself.
fn together(parts: &[Vec<u8>]) -> ([String; 2], Vec<u8>) {
    let mut data = Vec::new();
    for (n, part) in parts.iter().enumerate() {
        let is_v4 = part[14] >> 4 == 4;
        let word = |at: usize| u16::from_be_bytes([part[at], part[at + 1]]);
        let is_last = n + 1 == parts.len();
        let (offset, has_more, l4) = if is_v4 {
            let sum = part[14..34].chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
            let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
            assert_eq!(fold(fold(sum)), 0xffff, "the header's checksum");
            assert_eq!(usize::from(word(16)), part.len() - 14);
            (usize::from(word(20) & 0x1fff) * 8, word(20) & MORE != 0, 34)
        } else {
            assert_eq!((part[20], usize::from(word(18))), (44, part.len() - 54));
            (usize::from(word(56) & 0xfff8), word(56) & 1 == 1, 62)
        };
        assert_eq!((offset, has_more), (data.len(), !is_last));
        assert_eq!(addresses(part), addresses(&parts[0]));
        data.extend(&part[l4..]);
    }
    (addresses(&parts[0]), data)
}

#[derive(Clone, Copy)]
struct Case {
    method: Forward,
    family: Family,
    protocol: Protocol,
}

impl Case {
    /// What a client sends, and where the service is.
    fn ends(self) -> [Endpoint; 2] {
        let port = if self.protocol.is_icmp() { 0 } else { 53 };
        let (c, v, r) = if self.family == Family::V4 { (C, V, R) } else { (C6, V6, R6) };
        match self.method {
            Forward::Snat => [end(r, 4000), end(c, port)],
            _ => [end(c, 4000), end(v, port)],
        }
    }

    fn key(self) -> ServiceKey {
        let [_, to] = self.ends();
        match self.method {
            Forward::Snat => match_key(self.family, self.protocol),
            _ => ServiceKey::new(self.protocol, to.address, to.port),
        }
    }

    fn lab(self, workers: usize) -> Lab {
        let mut lab = Lab::new(workers);
        let server = match (self.method, self.family) {
            (Forward::Snat, Family::V4) => end("203.0.113.88", 0),
            (Forward::Snat, Family::V6) => end("2001:db8:80::88", 0),
            (_, Family::V4) => end(R, self.ends()[1].port),
            (_, Family::V6) => end(R6, self.ends()[1].port),
        };
        lab.serve(&self.key(), RR, &[(server, DestSettings::new(self.method))]);
        lab
    }

    /// A packet of these ends with 100 bytes of data. For ICMP the identifier is the source's port.
    fn packet(self, [src, dst]: [Endpoint; 2], is_reply: bool) -> Vec<u8> {
        let [from, to] = [src, dst].map(|e| format!("{:?}", e.address));
        let data: Vec<u8> = (0..100).collect();
        match self.protocol {
            Protocol::Tcp => p(&from, &to).tcp(src.port, dst.port, 2, &data),
            Protocol::Udp => p(&from, &to).udp(src.port, dst.port, &data),
            _ if is_reply => p(&from, &to).pong(src.port, 7, &data),
            _ => p(&from, &to).ping(src.port, 7, &data),
        }
    }

    fn all() -> impl Iterator<Item = Case> {
        let icmp = |family| match family {
            Family::V4 => Protocol::Icmp,
            Family::V6 => Protocol::Icmpv6,
        };
        METHODS.into_iter().flat_map(move |method| {
            [Family::V4, Family::V6].into_iter().flat_map(move |family| {
                [Protocol::Tcp, Protocol::Udp, icmp(family)].map(|protocol| Case {
                    method,
                    family,
                    protocol,
                })
            })
        })
    }
}

fn sent(lab: &mut Lab, parts: &[Vec<u8>], at: impl Fn(usize) -> usize) -> Vec<Vec<u8>> {
    let sent = |(n, part): (usize, &Vec<u8>)| lab.send(at(n), part).sent();
    parts.iter().enumerate().map(sent).collect()
}

/// A query's ends towards the server, with the identifier as the source's port.
fn query_ends(conn: &Conn) -> [Endpoint; 2] {
    [conn.local(), conn.dest_end()]
}

#[test]
fn all_parts_go_the_way_of_the_first_in_every_method_and_back() {
    for case in Case::all() {
        for workers in WORKERS {
            for at in 0..workers {
                let mut lab = case.lab(workers);
                let say = format!("{:?} {:?} at {at} of {workers}", case.method, case.protocol);
                let way = |n| (at + n * at) % workers;
                let input = parts(&case.packet(case.ends(), false), 7, 40);
                assert_eq!(input.len(), 3);
                let out = sent(&mut lab, &input, way);
                assert_eq!(lab.connections(), 1, "{say}");
                let conn = lab.all()[0].1;
                match case.method {
                    Forward::Direct => {
                        for (input, out) in input.iter().zip(&out) {
                            assert_eq!(out[14..], input[14..], "{say}");
                        }
                        continue;
                    }
                    Forward::Tunnel => {
                        let outer = if case.family == Family::V4 { 20 } else { 40 };
                        for (input, out) in input.iter().zip(&out) {
                            assert_eq!(out[14 + outer..], input[14..], "{say}");
                        }
                        continue;
                    }
                    _ => {}
                }
                let expected = case.packet(query_ends(&conn), false);
                assert_eq!(together(&out), whole(&expected), "{say}");
                // The way back, cut elsewhere.
                let [local, server] = query_ends(&conn);
                let id = if case.protocol.is_icmp() { local.port } else { server.port };
                let back = [Endpoint { port: id, ..server }, local];
                let out = sent(&mut lab, &parts(&case.packet(back, true), 9, 56), way);
                let [client, service] = case.ends();
                let id = if case.protocol.is_icmp() { client.port } else { service.port };
                let expected = case.packet([Endpoint { port: id, ..service }, client], true);
                assert_eq!(together(&out), whole(&expected), "{say}, back");
                let pair = if case.protocol.is_icmp() { 2 } else { 1 };
                assert_eq!((lab.connections(), lab.all_drops()), (pair, 0), "{say}");
            }
        }
    }
}

fn whole(frame: &[u8]) -> ([String; 2], Vec<u8>) {
    let l4 = if frame[14] >> 4 == 4 { 34 } else { 54 };
    (addresses(frame), frame[l4..].to_vec())
}

const UDP: Case = Case { method: Forward::FullNat, family: Family::V4, protocol: Protocol::Udp };

fn datagram(client: &str, sport: u16, id: u16) -> Vec<Vec<u8>> {
    let ends = [end(client, sport), end(V, 53)];
    parts(&UDP.packet(ends, false), id, 40)
}

#[test]
fn a_part_that_overtakes_the_first_is_dropped_and_comes_through_when_repeated() {
    for workers in WORKERS {
        let mut lab = UDP.lab(workers);
        let parts = datagram(C, 4000, 7);
        for at in 0..workers {
            assert_eq!(lab.send(at, &parts[1]), Outcome::Dropped(DropReason::Fragment));
        }
        assert_eq!(lab.connections(), 0);
        let first = lab.send(0, &parts[0]).sent();
        for at in 0..workers {
            // Last, middle, last: the order of the later ones is the receiver's business.
            for n in [2, 1, 2] {
                let later = lab.send(at, &parts[n]).sent();
                assert_eq!(later[26..34], first[26..34]);
            }
        }
        let drops = lab.drops(DropReason::Fragment);
        assert_eq!((drops, lab.all_drops()), (u64::try_from(workers).unwrap(), drops));
    }
}

#[test]
fn datagrams_whose_parts_are_mixed_up_stay_apart() {
    for workers in WORKERS {
        let mut lab = UDP.lab(workers);
        let flows = [(C, 4000, 7), (C, 4001, 8), (C2, 4000, 7), (C2, 4000, 8)];
        let inputs = flows.map(|(client, sport, id)| datagram(client, sport, id));
        let mut outs = [const { Vec::new() }; 4];
        for part in 0..3 {
            for (n, (input, out)) in inputs.iter().zip(&mut outs).enumerate() {
                out.push(lab.send((n + part) % workers, &input[part]).sent());
            }
        }
        assert_eq!(lab.connections(), 3, "two datagrams are of one flow");
        for ((client, sport, _), out) in flows.into_iter().zip(outs) {
            let all = lab.all();
            let conn = all.iter().find(|(_, c)| c.client() == end(client, sport)).unwrap().1;
            let expected = UDP.packet(query_ends(&conn), false);
            assert_eq!(together(&out), whole(&expected), "{client} {sport}");
        }
    }
}

/// A retransmission, or another datagram of the same number: there are only 65,536.
#[test]
fn a_first_part_that_comes_again_makes_nothing_new() {
    for method in METHODS {
        for workers in WORKERS {
            for sport in 4000..4008 {
                let case = Case { method, ..UDP };
                let mut lab = case.lab(workers);
                let [src, dst] = case.ends();
                let ends = [Endpoint { port: sport, ..src }, dst];
                let input = parts(&case.packet(ends, false), 7, 40);
                let out = sent(&mut lab, &input, |n| n % workers);
                for at in 0..workers {
                    let again = sent(&mut lab, &input, |n| (n + at) % workers);
                    assert_eq!(again, out, "{method:?} {sport} at {at} of {workers}");
                }
                assert_eq!(lab.connections(), 1);
            }
        }
    }
}

#[test]
fn a_number_that_is_used_again_means_the_new_datagram() {
    for workers in WORKERS {
        let mut lab = UDP.lab(workers);
        for sport in 4000..4010 {
            let at = usize::from(sport) % workers;
            let out = sent(&mut lab, &datagram(C, sport, 7), |n| (at + n) % workers);
            let all = lab.all();
            let conn = all.iter().find(|(_, c)| c.client() == end(C, sport)).unwrap().1;
            assert_eq!(together(&out), whole(&UDP.packet(query_ends(&conn), false)));
        }
        // One that is refused takes its later parts with it.
        lab.change(|draft| draft.add_access(&UDP.key(), AccessList::Black, address(C)).unwrap());
        for at in 0..workers {
            let refused = datagram(C, 5000, 7);
            assert_eq!(lab.send(at, &refused[0]), Outcome::Dropped(DropReason::Denied));
            assert_eq!(lab.send(at, &refused[1]), Outcome::Dropped(DropReason::Fragment));
        }
    }
}

/// Where several workers are asked for a connection and none has it, nothing goes round.
#[test]
fn parts_of_nobodys_packet_end() {
    for workers in WORKERS {
        for n in 0..20 {
            let mut lab = Lab::new(workers);
            let settings = ServiceSettings {
                persistence: Some(Persistence { timeout_ms: 60_000, mask: !0xff }),
                ..RR
            };
            let key = service_key(Protocol::Tcp, V, 80);
            let nat = DestSettings::new(Forward::Nat);
            lab.serve(&key, settings, &[(end(R, 80), nat)]);
            lab.serve(&service_key(Protocol::Tcp, "203.0.113.81", 80), RR, &[(end(R, 80), nat)]);
            for (src, dst) in [(end(C, 4000 + n), end(V, 80)), (end(R, 80), end(C, 4000 + n))] {
                let [from, to] = [src, dst].map(|e| format!("{:?}", e.address));
                let ack = p(&from, &to).tcp(src.port, dst.port, 16, &[0; 100]);
                for at in 0..workers {
                    for part in parts(&ack, 7, 40) {
                        let out = lab.send(at, &part);
                        assert!(matches!(out, Outcome::Dropped(_)), "{out:?}");
                    }
                }
            }
            assert_eq!(lab.connections(), 0);
        }
    }
}

#[test]
fn what_overlaps_or_lies_is_refused_or_left_to_the_receiver() {
    let mut lab = UDP.lab(1);
    let malformed = Outcome::Dropped(DropReason::MalformedHeader);
    let first = &datagram(C, 4000, 7)[0];
    lab.send(0, first).sent();
    let later = |offset: u16, more: u16, len: usize| {
        p(C, V).id(7).flags_fragment(offset | more).raw(17, &vec![0; len])
    };
    // Overlapping data is what the receiver makes of it (RFC 5722, RFC 1858): no header is in it.
    lab.send(0, &later(1, MORE, 40)).sent();
    lab.send(0, &later(3, 0, 40)).sent();
    for bad in [later(2, MORE, 41), later(2, 0, 0), later(0x1fff, 0, 64)] {
        assert_eq!(lab.send(0, &bad), malformed);
    }
    // The control bits of TCP are not to be replaced.
    let tcp = p(C, V).id(7).flags_fragment(1).raw(6, &[0; 40]);
    assert_eq!(lab.send(0, &tcp), malformed);
    // A first part without its whole header tells nothing.
    let short = p(C, V).id(9).flags_fragment(MORE).raw(6, &[0; 16]);
    assert_eq!(lab.send(0, &short), Outcome::Dropped(DropReason::TruncatedHeader));
    assert_eq!(lab.connections(), 1);
}

/// Whoever sends first parts without end fills the places of its own address pair.
#[test]
fn a_flood_of_parts_leaves_the_datagrams_of_others_alone() {
    for workers in [1, 3] {
        let mut lab = Lab::with_addresses(workers, 1024);
        lab.serve(&UDP.key(), RR, &[(end(R, 53), DestSettings::new(Forward::Direct))]);
        let others: Vec<_> =
            (20..40).map(|n| datagram(&format!("198.51.100.{n}"), 4000, 7)).collect();
        for parts in &others {
            lab.send(0, &parts[0]).sent();
        }
        for id in 0..20_000 {
            lab.send(usize::from(id) % workers, &datagram(C, 4000, id)[0]).sent();
        }
        let passed = others.iter().filter(|p| matches!(lab.send(0, &p[1]), Outcome::Sent(_)));
        // The hash is random: now and then one of them shares the place with the flood.
        assert!(passed.count() >= 17, "{workers}");
    }
}

#[test]
fn later_parts_go_on_for_15_seconds_whatever_became_of_the_connection() {
    for method in METHODS {
        let case = Case { method, ..UDP };
        let mut lab = case.lab(2);
        lab.change(|draft| draft.tables_mut().timeouts.udp_ms = 1_000);
        let input = parts(&case.packet(case.ends(), false), 7, 40);
        let out = sent(&mut lab, &input, |_| 0);
        lab.pass(8_000);
        assert_eq!(lab.connections(), 0);
        assert_eq!(lab.send(1, &input[1]).sent(), out[1], "{method:?}");
        assert_eq!((lab.connections(), lab.gauges(&case.key())), (0, [0; 3]));
        lab.pass(8_000);
        let late = lab.send(1, &input[1]);
        // Without its first, a part on its way through may be anybody's.
        let reason = match method {
            Forward::Snat => DropReason::NotForUs,
            _ => DropReason::Fragment,
        };
        assert_eq!(late, Outcome::Dropped(reason), "{method:?}");
        // A server that was taken away gets no more of them.
        sent(&mut lab, &input[..2], |_| 0);
        let server = lab.tables.service(&case.key()).unwrap().dests[0].endpoint;
        lab.change(|draft| draft.del_dest(&case.key(), server).unwrap());
        let gone = lab.send(0, &input[1]);
        assert_eq!(gone, Outcome::Dropped(DropReason::DestGone), "{method:?}");
    }
}

/// A first part that is itself too long for the tunnel is cut; its later parts follow.
#[test]
fn a_part_that_is_too_long_for_a_tunnel_is_cut_further() {
    for workers in WORKERS {
        let case = Case { method: Forward::Tunnel, ..UDP };
        let mut lab = case.lab(workers);
        let packet = p(C, V).udp(4000, 53, &[7; 3000]);
        let input = parts(&packet, 7, 1480);
        let mut inner = Vec::new();
        for (n, part) in input.iter().enumerate() {
            let out = match lab.send(n % workers, part) {
                Outcome::Pieces(pieces) => pieces,
                other => vec![other.sent()],
            };
            assert_eq!(out.len(), if n == 2 { 1 } else { 2 });
            assert!(out.iter().all(|frame| frame.len() <= 1514));
            inner.extend(out.iter().map(|frame| [&[0; 14], &frame[34..]].concat()));
        }
        assert_eq!(together(&inner), whole(&packet));
        assert_eq!((lab.connections(), lab.all_drops()), (1, 0));
    }
}

fn sctp(data: usize) -> Vec<u8> {
    // An INIT chunk, and another chunk of data.
    let mut packet = vec![0x0f, 0xa0, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0];
    packet.extend([1, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0xff, 0xff, 0, 1, 0, 1, 0, 0, 0, 1]);
    let len = u16::try_from(data).unwrap().to_be_bytes();
    packet.extend([0, 3, len[0], len[1]]);
    packet.resize(32 + data, 0);
    packet
}

/// The CRC of SCTP covers all parts and cannot be mended in one.
#[test]
fn sctp_goes_in_parts_only_where_nothing_is_translated() {
    for method in [Forward::FullNat, Forward::Nat, Forward::Direct, Forward::Tunnel] {
        let key = service_key(Protocol::Sctp, V, 80);
        let translates = method.sees_replies();
        let lab = || {
            let mut lab = Lab::new(1);
            lab.serve(&key, RR, &[(end(R, 80), DestSettings::new(method))]);
            lab
        };
        let whole = p(C, V).flags_fragment(0).raw(132, &sctp(88));
        let input = parts(&whole, 7, 40);
        let mut parted = lab();
        for part in &input {
            let out = parted.send(0, part);
            let is_dropped = out == Outcome::Dropped(DropReason::Fragment);
            assert_eq!(is_dropped, translates, "{method:?}: {out:?}");
        }
        // What would have to be cut is dropped for its length.
        let mut cut = lab();
        let long = p(C, V).flags_fragment(0).raw(132, &sctp(1488));
        match cut.send(0, &long) {
            Outcome::Dropped(reason) => {
                assert_eq!((reason, translates), (DropReason::TooBig, true));
            }
            Outcome::Pieces(pieces) => assert_eq!((pieces.len(), translates), (2, false)),
            other => panic!("{method:?}: {other:?}"),
        }
    }
}
