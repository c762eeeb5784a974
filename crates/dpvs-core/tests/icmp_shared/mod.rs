// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the tests of ICMP share: a balancer of every method, sessions through it, and errors about
//! their packets with what must become of them.
#![allow(dead_code, unreachable_pub, reason = "a module of every test, which uses a part of it")]

use dpvs_core::conn::State;
use dpvs_core::key::Key;
use dpvs_core::net::{Family, Protocol};
use dpvs_core::scheduler::Scheduler;
use dpvs_core::steering::KEY_DEFAULT;
use dpvs_core::tables::{
    DestSettings, Forward, ServiceKey, ServiceSettings, Tunnel, TunnelChecksum, TunnelKind,
};
use dpvs_core::testing::{
    Lab, Outcome, PacketBuilder, address, assert_checksums, end, match_key, service_key, tunneled,
};
use dpvs_core::{DropReason, Millis, PortId};
use std::collections::BTreeMap;

/// Addresses of both families: the client, the virtual and the local address, the real server, a
/// router on either side, and the address of the SNAT pool.
pub const C: [&str; 2] = ["198.51.100.10", "2001:db8:c::10"];
pub const V: [&str; 2] = ["203.0.113.80", "2001:db8:80::80"];
pub const L: [&str; 2] = ["10.1.1.200", "2001:db8:a::200"];
pub const R: [&str; 2] = ["10.1.1.10", "2001:db8:a::10"];
pub const X: [&str; 2] = ["198.51.100.254", "2001:db8:c::fe"];
pub const Y: [&str; 2] = ["10.1.1.254", "2001:db8:a::fe"];
pub const P: [&str; 2] = ["203.0.113.88", "2001:db8:80::88"];
/// Addresses of the balancer itself, towards the clients and towards the servers.
pub const B: [&str; 2] = ["198.51.100.2", "2001:db8:c::2"];
pub const B_INSIDE: [&str; 2] = ["10.1.1.2", "2001:db8:a::2"];

pub const SYN: u8 = 2;
pub const ACK: u8 = 16;

/// Unreachable host, and a time to live that ended, in both families.
pub const HOST: [(u8, u8); 2] = [(3, 1), (1, 3)];
pub const TIME: [(u8, u8); 2] = [(11, 0), (3, 0)];
pub const TOO_BIG: [(u8, u8); 2] = [(3, 4), (2, 0)];

pub const FAMILIES: [bool; 2] = [false, true];

/// Returns the position of a family's address.
pub fn at(v6: bool) -> usize {
    usize::from(v6)
}

/// How packets get to the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    FullNat,
    Nat,
    Snat,
    Direct,
    Tunnel(TunnelKind),
}

impl Method {
    pub const ALL: [Method; 7] = [
        Method::FullNat,
        Method::Nat,
        Method::Snat,
        Method::Direct,
        Method::Tunnel(TunnelKind::Ipip),
        Method::Tunnel(TunnelKind::Gre),
        Method::Tunnel(TunnelKind::Gue),
    ];
    pub const TRANSLATING: [Method; 3] = [Method::FullNat, Method::Nat, Method::Snat];

    pub fn translates(self) -> bool {
        Method::TRANSLATING.contains(&self)
    }

    fn settings(self) -> DestSettings {
        let port = if self == Method::Tunnel(TunnelKind::Gue) { 6080 } else { 0 };
        match self {
            Method::FullNat => DestSettings::new(Forward::FullNat),
            Method::Nat => DestSettings::new(Forward::Nat),
            Method::Snat => DestSettings::new(Forward::Snat),
            Method::Direct => DestSettings::new(Forward::Direct),
            Method::Tunnel(kind) => tunneled(Tunnel { kind, port, checksum: TunnelChecksum::None }),
        }
    }

    /// Returns the service of a protocol.
    pub fn key(self, v6: bool, l4: L4) -> ServiceKey {
        let protocol = l4.protocol(v6);
        let family = if v6 { Family::V6 } else { Family::V4 };
        match self {
            Method::Snat => match_key(family, protocol),
            _ => service_key(protocol, V[at(v6)], l4.port()),
        }
    }

    /// Returns a balancer with a service of every protocol and family, one server each.
    pub fn lab(self, workers: usize) -> Lab {
        self.lab_with_key(workers, &KEY_DEFAULT)
    }

    /// The same, with a hash key: one of zeros makes all clients worker 0's.
    pub fn lab_with_key(self, workers: usize, key: &[u8; 40]) -> Lab {
        let mut lab = Lab::with_key(workers, key);
        lab.change(|draft| {
            draft.tables_mut().limits.icmp.mtu_gap_ms = 0;
            for (v6, l4) in FAMILIES.into_iter().flat_map(|v6| L4::ALL.map(|l4| (v6, l4))) {
                let key = self.key(v6, l4);
                draft.add_service(key, ServiceSettings::new(Scheduler::Rr)).unwrap();
                if self == Method::FullNat {
                    draft.add_laddr(&key, address(L[at(v6)]), PortId(0)).unwrap();
                }
                let server = match self {
                    Method::Snat => end(P[at(v6)], 0),
                    _ => end(R[at(v6)], l4.server_port(self)),
                };
                draft.add_dest(&key, server, self.settings()).unwrap();
            }
        });
        lab
    }

    /// Returns who opens the sessions, and whom they are addressed to.
    pub fn ends(self, v6: bool) -> [&'static str; 2] {
        let at = at(v6);
        if self == Method::Snat { [R[at], C[at]] } else { [C[at], V[at]] }
    }

    /// Returns the router that complains about packets of ours on one side.
    pub fn router(self, v6: bool, side: Side) -> &'static str {
        let is_outside = (side == Side::Client) != (self == Method::Snat);
        if is_outside { X[at(v6)] } else { Y[at(v6)] }
    }
}

/// Where an error comes from: the side of who opened the session, or of who takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

impl Side {
    pub const BOTH: [Side; 2] = [Side::Client, Side::Server];

    /// Returns the counter of errors translated that come from here.
    pub fn relayed(self) -> &'static str {
        match self {
            Side::Client => "icmp_error_relayed_in",
            Side::Server => "icmp_error_relayed_out",
        }
    }
}

/// What a session speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L4 {
    Tcp,
    Udp,
    Sctp,
    Ping,
}

impl L4 {
    pub const ALL: [L4; 4] = [L4::Tcp, L4::Udp, L4::Sctp, L4::Ping];

    fn protocol(self, v6: bool) -> Protocol {
        match (self, v6) {
            (L4::Tcp, _) => Protocol::Tcp,
            (L4::Udp, _) => Protocol::Udp,
            (L4::Sctp, _) => Protocol::Sctp,
            (L4::Ping, false) => Protocol::Icmp,
            (L4::Ping, true) => Protocol::Icmpv6,
        }
    }

    pub fn port(self) -> u16 {
        match self {
            L4::Tcp => 80,
            L4::Udp => 53,
            L4::Sctp => 90,
            L4::Ping => 0,
        }
    }

    fn server_port(self, method: Method) -> u16 {
        match (method, self) {
            (Method::FullNat | Method::Nat, L4::Tcp) => 8080,
            (Method::FullNat | Method::Nat, L4::Udp) => 5300,
            (Method::FullNat | Method::Nat, L4::Sctp) => 9000,
            _ => self.port(),
        }
    }

    /// Ends a packet. In a ping the identifier stands where the client's port would.
    fn build(self, packet: &PacketBuilder, [sport, dport]: [u16; 2], data: &[u8]) -> Vec<u8> {
        // Services have the lower ports.
        let is_answer = sport < 10_000;
        match self {
            L4::Tcp => packet.tcp(sport, dport, ACK, data),
            L4::Udp => packet.udp(sport, dport, data),
            L4::Sctp => packet.raw(132, &sctp(sport, dport, if is_answer { 2 } else { 1 }, data)),
            L4::Ping if is_answer => packet.pong(dport, 7, data),
            L4::Ping => packet.ping(sport, 7, data),
        }
    }
}

/// An SCTP packet with an INIT chunk (1) or its acknowledgement (2), and a chunk of data.
pub fn sctp(sport: u16, dport: u16, chunk: u8, data: &[u8]) -> Vec<u8> {
    let mut packet = [sport.to_be_bytes(), dport.to_be_bytes()].concat();
    packet.extend([0, 0, 0, 0, 0xc0, 0xff, 0xee, 0x11]);
    packet.extend([chunk, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0xff, 0xff, 0, 1, 0, 1, 0, 0, 0, 1]);
    packet.extend([0, 3]);
    packet.extend(u16::try_from(4 + data.len()).unwrap().to_be_bytes());
    packet.extend(data);
    packet
}

/// A packet on its way: as it was sent, as its sender knows it one hop later, and as it was seen
/// beyond the balancer.
#[derive(Clone, Debug)]
pub struct Passage {
    pub sent: Vec<u8>,
    pub quoted: Vec<u8>,
    pub seen: Vec<u8>,
    pub from: String,
    pub to: String,
}

/// A session with one packet each way.
#[derive(Clone, Debug)]
pub struct Session {
    pub method: Method,
    pub v6: bool,
    pub request: Passage,
    pub answer: Passage,
}

impl Session {
    /// Opens a session of a client's port or identifier, which must be above 10,000.
    pub fn open(lab: &mut Lab, method: Method, v6: bool, l4: L4, cport: u16) -> Session {
        Session::with_data(lab, method, (v6, l4, cport), &[0x41; 40])
    }

    /// The same, with the data that both packets have.
    pub fn with_data(
        lab: &mut Lab,
        method: Method,
        (v6, l4, cport): (bool, L4, u16),
        data: &[u8],
    ) -> Session {
        Session::between(lab, method, method.ends(v6), (v6, l4, cport), data)
    }

    /// The same, between other ends than the usual ones.
    pub fn between(
        lab: &mut Lab,
        method: Method,
        [client, target]: [&str; 2],
        (v6, l4, cport): (bool, L4, u16),
        data: &[u8],
    ) -> Session {
        if l4 == L4::Tcp {
            let syn = PacketBuilder::new(client, target).tcp(cport, 80, SYN, &[]);
            let seen = lab.send(0, &syn).sent();
            if method.translates() {
                let [src, dst, sport, dport] = reversed(&seen);
                let (sport, dport) = (sport.parse().unwrap(), dport.parse().unwrap());
                let answer = PacketBuilder::new(&src, &dst).tcp(sport, dport, SYN | ACK, &[]);
                lab.send(0, &answer).sent();
            }
        }
        let request = Passage::through(lab, [client, target], l4, [cport, l4.port()], data, true);
        let answer = if method.translates() {
            let [src, dst, sport, dport] = reversed(&request.seen);
            let ports = if l4 == L4::Ping {
                [0, word(&request.seen, header_len(v6) + 4)]
            } else {
                [sport.parse().unwrap(), dport.parse().unwrap()]
            };
            Passage::through(lab, [&src, &dst], l4, ports, data, true)
        } else {
            Passage::through(lab, [target, client], l4, [l4.port(), cport], data, false)
        };
        Session { method, v6, request, answer }
    }

    /// Returns what was quoted by the router on a side, and what the receiver of the error sent.
    pub fn passage(&self, side: Side) -> &Passage {
        match side {
            Side::Client => &self.answer,
            Side::Server => &self.request,
        }
    }

    /// Returns an error from the router on a side about the session's packet there, which quotes
    /// `quoted` bytes behind its IP header.
    pub fn error(&self, side: Side, kind: (u8, u8), rest: [u8; 4], quoted: usize) -> Vec<u8> {
        self.error_by(self.method.router(self.v6, side), side, kind, rest, quoted)
    }

    /// The same by another sender.
    pub fn error_by(
        &self,
        sender: &str,
        side: Side,
        (icmp_type, code): (u8, u8),
        rest: [u8; 4],
        quoted: usize,
    ) -> Vec<u8> {
        let seen = &self.passage(side).seen;
        let end = seen.len().min(14 + header_len(self.v6) + quoted);
        let [to, ..] = ends_of(seen);
        PacketBuilder::new(sender, &to).icmp(icmp_type, code, rest, &seen[14..end])
    }

    /// Returns the addresses of an error from a side once it is translated.
    pub fn addresses(&self, side: Side, sender: &str) -> [String; 2] {
        let Passage { from, to, .. } = self.passage(side);
        let source = match (self.method, side) {
            (Method::Nat, Side::Client) | (Method::Snat, Side::Server) => sender,
            _ => to,
        };
        [source.to_owned(), from.clone()]
    }

    /// Checks an error that came out against the one that came in from the router of a side.
    pub fn assert_translated(&self, side: Side, error: &[u8], out: &[u8]) {
        let [sender, ..] = ends_of(error);
        assert_checksums(out);
        assert_eq!(out.len(), error.len(), "as long as it was");
        let [src, dst, ..] = ends_of(out);
        assert_eq!([src, dst], self.addresses(side, &sender), "{self:?} {side:?}");
        let l4 = 14 + header_len(self.v6);
        assert_eq!(out[l4..l4 + 2], error[l4..l4 + 2], "type and code");
        assert_eq!(out[l4 + 4..l4 + 8], error[l4 + 4..l4 + 8], "MTU, pointer, length");
        let quote = &out[l4 + 8..];
        let mut sent = self.passage(side).quoted[14..14 + quote.len()].to_vec();
        // A CRC over the ports cannot be mended without the whole packet: it stays as it came.
        let crc = header_len(self.v6) + 8..sent.len().min(header_len(self.v6) + 12);
        if sent[if self.v6 { 6 } else { 9 }] == 132 && !crc.is_empty() {
            sent[crc.clone()].copy_from_slice(&error[l4 + 8..][crc]);
        }
        assert_eq!(quote, sent, "what was sent");
    }
}

impl Passage {
    fn through(
        lab: &mut Lab,
        [src, dst]: [&str; 2],
        l4: L4,
        ports: [u16; 2],
        data: &[u8],
        by_us: bool,
    ) -> Passage {
        let packet = PacketBuilder::new(src, dst);
        let sent = l4.build(&packet, ports, data);
        let seen = if by_us { lab.send(0, &sent).sent() } else { sent.clone() };
        let quoted = l4.build(&packet.ttl(if by_us { 63 } else { 64 }), ports, data);
        Passage { sent, quoted, seen, from: src.to_owned(), to: dst.to_owned() }
    }
}

/// Length of an IP header without options.
pub fn header_len(v6: bool) -> usize {
    if v6 { 40 } else { 20 }
}

/// Reads two bytes of a frame, counted from its IP header.
pub fn word(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([frame[14 + at], frame[14 + at + 1]])
}

/// Returns source, destination and the two ports behind a header without options, as text.
pub fn ends_of(frame: &[u8]) -> [String; 4] {
    let ip = &frame[14..];
    let v6 = ip[0] >> 4 == 6;
    let address = |at: usize| {
        if v6 {
            let octets: [u8; 16] = ip[8 + 16 * at..24 + 16 * at].try_into().unwrap();
            std::net::Ipv6Addr::from(octets).to_string()
        } else {
            let octets: [u8; 4] = ip[12 + 4 * at..16 + 4 * at].try_into().unwrap();
            std::net::Ipv4Addr::from(octets).to_string()
        }
    };
    let l4 = header_len(v6);
    [address(0), address(1), word(frame, l4).to_string(), word(frame, l4 + 2).to_string()]
}

fn reversed(frame: &[u8]) -> [String; 4] {
    let [src, dst, sport, dport] = ends_of(frame);
    [dst, src, dport, sport]
}

/// Runs a test for every worker that a frame can arrive at, of 1, 2, 3 and 8.
pub fn everywhere(test: impl Fn(usize, usize)) {
    for workers in [1, 2, 3, 8] {
        for arrive_at in 0..workers {
            test(workers, arrive_at);
        }
    }
}

/// What every frame counts on its way through the workers, or where its way ends.
const ARRIVALS: [&str; 6] =
    ["frames_in", "bytes_in", "handed_in", "steered", "frames_made", "frames_used"];

/// Returns all counters of all workers, drops among them.
pub fn counts(lab: &Lab) -> BTreeMap<&'static str, u64> {
    let mut all = BTreeMap::new();
    for worker in &lab.workers {
        let counters = worker.counters();
        let drops = DropReason::ALL.iter().map(|r| (r.name(), counters.drops(*r)));
        for (name, value) in counters.named().chain(drops) {
            *all.entry(name).or_default() += value;
        }
    }
    all
}

/// Gives a frame to a worker; returns what became of it and what was counted. Nothing counts twice,
/// and every hop from worker to worker counts as one.
pub fn tally(lab: &mut Lab, worker: usize, frame: &[u8]) -> (Outcome, Vec<&'static str>) {
    let (before, hops) = (counts(lab), lab.handed);
    let outcome = lab.send(worker, frame);
    let moved: Vec<_> = counts(lab).into_iter().map(|(name, n)| (name, n - before[name])).collect();
    let steered = moved.iter().find(|(name, _)| *name == "steered").unwrap().1;
    assert_eq!(steered, lab.handed - hops, "every hop is counted");
    let of_frame = moved.iter().filter(|(name, n)| *n > 0 && !ARRIVALS.contains(name));
    assert!(of_frame.clone().all(|(_, n)| *n == 1), "counted twice: {moved:?}");
    (outcome, of_frame.map(|(name, _)| *name).collect())
}

/// A frame is dropped for a reason, which is all that is counted, and no connection is made or moves.
pub fn drops(lab: &mut Lab, worker: usize, frame: &[u8], reason: DropReason) {
    let before = lives(lab);
    let (outcome, counted) = tally(lab, worker, frame);
    assert_eq!((outcome, counted), (Outcome::Dropped(reason), vec![reason.name()]));
    assert_eq!(lives(lab), before, "no connection is made, refreshed, or ended");
}

/// What an error must not change of a connection.
pub type Life = (usize, Key, Key, State, Millis, u32, u64, u64);

/// Returns what errors must not change of all connections.
pub fn lives(lab: &Lab) -> Vec<Life> {
    let all = lab.all().into_iter();
    all.map(|(worker, c)| {
        let packets = (c.in_packets, c.out_packets);
        let keys = (c.inbound, c.outbound);
        (worker, keys.0, keys.1, c.state, c.last_seen, c.timeout_ms, packets.0, packets.1)
    })
    .collect()
}
