// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shortest way does what the long one does.
//!
//! A tag with VLAN identifier 0 is only a priority, and a frame with one is treated as without; but
//! it is not plain, so it goes the long way. Two balancers get the same packets, one of them with
//! tags: what leaves, and what both know of it afterwards, is the same.
#![cfg(test)]

use dpvs_core::DropReason;
use dpvs_core::conn::ConnIndex;
use dpvs_core::counters::Counter;
use dpvs_core::net::{Prefix, Protocol};
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{Check, DestSettings, Forward, ServiceKey, ServiceSettings, Tunnel};
use dpvs_core::testing::{
    Lab, Outcome, PacketBuilder, end, priority_tagged, service_key, tunneled,
};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;

const V: &str = "203.0.113.80";
const OWN: &str = "203.0.113.2";
const R: &str = "10.1.1.10";
const CLIENTS: [&str; 2] = ["198.51.100.10", "198.51.100.11"];
const KINDS: [Kind; 4] = [Kind::Udp, Kind::Tcp, Kind::Ping, Kind::Local];
const METHODS: [Forward; 4] = [Forward::FullNat, Forward::Nat, Forward::Direct, Forward::Tunnel];

/// What happens.
#[derive(Clone, Debug)]
enum Step {
    /// A packet of one of a few flows.
    Packet(Sent),
    /// Some milliseconds pass.
    Pass(u64),
    /// The server gets another weight.
    Weight(u32),
    /// The server is taken away and comes back.
    Replaced,
    /// Connections of a server without weight end, or not.
    Quiescent(bool),
    /// The service gets a timeout of its own, in seconds.
    Timeout(u32),
    /// Sequence numbers are checked, or not.
    Sequence(bool),
    /// Direct routing takes a hop, or not.
    TakesTtl(bool),
    /// So many pings are answered in a second.
    Echoes(u32),
    /// Only some hosts' pings are answered, or all.
    Admits(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Udp,
    Tcp,
    /// A ping of an address with a service for them.
    Ping,
    /// A ping that is answered here.
    Local,
}

#[derive(Clone, Debug)]
struct Sent {
    kind: Kind,
    flow: u16,
    is_answer: bool,
    flags: u8,
    ttl: u8,
    len: usize,
    trailer: usize,
    has_checksum: bool,
    flags_fragment: u16,
    damage: Option<(usize, u8)>,
}

fn packet() -> impl Strategy<Value = Sent> {
    let flags = prop_oneof![4 => Just(0x10_u8), 3 => Just(0x02), 1 => Just(0x12), 1 => any::<u8>()];
    let ttl = prop_oneof![8 => Just(64_u8), 1 => 0..3_u8];
    let len = prop_oneof![6 => 0..40_usize, 1 => 1440..1490_usize];
    let parts =
        prop_oneof![8 => Just(0_u16), 2 => Just(0x4000), 1 => Just(0x2000), 1 => any::<u16>()];
    let damage = prop_oneof![8 => Just(None), 1 => (14..60_usize, 1..=255_u8).prop_map(Some)];
    let first = (prop::sample::select(&KINDS[..]), 0..4_u16, any::<bool>(), flags, ttl);
    (first, len, 0..20_usize, prop::bool::weighted(0.8), parts, damage).prop_map(
        |(
            (kind, flow, is_answer, flags, ttl),
            len,
            trailer,
            has_checksum,
            flags_fragment,
            damage,
        )| {
            Sent {
                kind,
                flow,
                is_answer,
                flags,
                ttl,
                len,
                trailer,
                has_checksum,
                flags_fragment,
                damage,
            }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => packet().prop_map(Step::Packet),
        2 => (1..70_000_u64).prop_map(Step::Pass),
        // As long as timeouts are, to the millisecond.
        2 => (1..4_u64).prop_map(|seconds| Step::Pass(seconds * 1000)),
        1 => (0..2_u32).prop_map(Step::Weight),
        1 => Just(Step::Replaced),
        1 => any::<bool>().prop_map(Step::Quiescent),
        1 => (0..4_u32).prop_map(Step::Timeout),
        1 => any::<bool>().prop_map(Step::Sequence),
        1 => any::<bool>().prop_map(Step::TakesTtl),
        1 => (0..4_u32).prop_map(Step::Echoes),
        1 => any::<bool>().prop_map(Step::Admits),
    ]
}

/// The services, and the port of each one's server.
fn services(method: Forward) -> [(ServiceKey, u16); 3] {
    let same_ports = matches!(method, Forward::Direct | Forward::Tunnel);
    [(Protocol::Tcp, 80), (Protocol::Udp, 53), (Protocol::Icmp, 0)].map(|(protocol, port)| {
        let is_same = same_ports || port == 0;
        (service_key(protocol, V, port), if is_same { port } else { 8000 + port })
    })
}

fn lab(method: Forward) -> Lab {
    let mut lab = Lab::new(1);
    for (key, port) in services(method) {
        let server = (end(R, port), DestSettings::new(method));
        lab.serve(&key, ServiceSettings::new(Scheduler::Rr), &[server]);
    }
    lab
}

/// The frame of a packet: of the client's, or the answer to what a server got last.
fn frame(sent: &Sent, last: Option<&Vec<u8>>) -> Option<Vec<u8>> {
    let data = vec![if sent.flow == 0 { 0 } else { 0x5a }; sent.len];
    let of = |src: &str, dst: &str, [sport, dport]: [u16; 2], is_answer| {
        let builder =
            PacketBuilder::new(src, dst).ttl(sent.ttl).flags_fragment(sent.flags_fragment);
        match sent.kind {
            Kind::Tcp => builder.tcp(sport, dport, sent.flags, &data),
            Kind::Udp => builder.udp(sport, dport, &data),
            Kind::Ping | Kind::Local if is_answer => builder.pong(sport, 0, &data),
            Kind::Ping | Kind::Local => builder.ping(sport, 0, &data),
        }
    };
    let mut frame = if sent.is_answer {
        let packet = SlicedPacket::from_ethernet(last?).ok()?;
        let NetSlice::Ipv4(ip) = packet.net? else { return None };
        let (src, dst) = (ip.header().source_addr(), ip.header().destination_addr());
        let ports = match packet.transport? {
            TransportSlice::Tcp(tcp) => [tcp.destination_port(), tcp.source_port()],
            TransportSlice::Udp(udp) => [udp.destination_port(), udp.source_port()],
            TransportSlice::Icmpv4(icmp) => {
                let [a, b, ..] = icmp.bytes5to8();
                [u16::from_be_bytes([a, b]), 0]
            }
            _ => return None,
        };
        of(&dst.to_string(), &src.to_string(), ports, true)
    } else {
        let client = CLIENTS[usize::from(sent.flow % 2)];
        match sent.kind {
            Kind::Tcp => of(client, V, [40_000 + sent.flow, 80], false),
            Kind::Udp => of(client, V, [40_000 + sent.flow, 53], false),
            Kind::Ping => of(client, V, [sent.flow, 0], false),
            Kind::Local => of(client, OWN, [sent.flow, 0], false),
        }
    };
    if sent.kind == Kind::Udp && !sent.has_checksum {
        frame[40..42].fill(0);
    }
    if let Some((at, bits)) = sent.damage
        && let Some(byte) = frame.get_mut(at)
    {
        *byte ^= bits;
    }
    frame.extend(vec![0; sent.trailer]);
    Some(frame)
}

/// What a balancer knows: its connections, and what it counted.
fn known(lab: &Lab) -> String {
    let worker = &lab.workers[0];
    let table = worker.connections();
    let conns: Vec<_> = (0..table.positions()).map(|at| table.get(ConnIndex(at))).collect();
    let traffic = lab.tables.services().flat_map(|service| {
        let servers = service.dests.iter().map(|dest| dest.shared.counters.traffic());
        [service.counters.traffic()].into_iter().chain(servers).collect::<Vec<_>>()
    });
    let traffic: Vec<_> = traffic.collect();
    let counters = worker.counters();
    let received: Vec<_> = counters.icmp_messages.received.counted().collect();
    let pings = [&counters.icmp_query_forwarded, &counters.icmp_echo_replied].map(Counter::get);
    let drops: Vec<_> =
        DropReason::ALL.iter().map(|why| counters.drops(*why)).filter(|count| *count > 0).collect();
    format!("{conns:?} {traffic:?} {received:?} {pings:?} {drops:?}")
}

fn change(lab: &mut Lab, method: Forward, step: &Step) {
    for (key, port) in services(method) {
        let mut settings = lab.tables.service(&key).expect("it stands").settings;
        let server = end(R, port);
        let of_weight = |weight| DestSettings { weight, ..DestSettings::new(method) };
        let admitted = || Prefix::containing(CLIENTS[0].parse().unwrap(), 32).unwrap();
        lab.change(|draft| match step {
            Step::Packet(_) | Step::Pass(_) => {}
            Step::Weight(weight) => draft.set_dest(&key, server, of_weight(*weight)).unwrap(),
            Step::Replaced => {
                draft.del_dest(&key, server).unwrap();
                draft.add_dest(&key, server, of_weight(1)).unwrap();
            }
            Step::Quiescent(is_on) => {
                settings.expire_quiescent = *is_on;
                draft.set_service(&key, settings).unwrap();
            }
            Step::Timeout(seconds) => {
                settings.conn_timeout_ms = seconds * 1000;
                draft.set_service(&key, settings).unwrap();
            }
            Step::Sequence(is_on) => {
                draft.tables_mut().limits.icmp.sequence =
                    if *is_on { Check::Drop } else { Check::Off };
            }
            Step::TakesTtl(is_on) => draft.tables_mut().limits.pass_takes_ttl = *is_on,
            Step::Echoes(rate) => draft.tables_mut().limits.icmp.echo_per_s = *rate,
            Step::Admits(is_on) => {
                draft.tables_mut().limits.icmp.echo_admitted =
                    if *is_on { [admitted()].into() } else { [].into() };
            }
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn plain_and_tagged_packets_have_the_same_fate(
        method in prop::sample::select(&METHODS[..]), steps in prop::collection::vec(step(), 1..120),
    ) {
        let (mut short, mut long) = (lab(method), lab(method));
        let mut last: [Option<Vec<u8>>; 16] = Default::default();
        for step in &steps {
            match step {
                Step::Pass(ms) => {
                    short.pass(*ms);
                    long.pass(*ms);
                }
                Step::Packet(sent) => {
                    let of_kind = KINDS.iter().position(|kind| *kind == sent.kind).expect("all are there");
                    let at = usize::from(sent.flow) + 4 * of_kind;
                    let Some(frame) = frame(sent, last[at].as_ref()) else { continue };
                    let outcome = short.send(0, &frame);
                    prop_assert_eq!(&outcome, &long.send(0, &priority_tagged(&frame)), "{:?}", sent);
                    if let Outcome::Sent(bytes) = outcome && !sent.is_answer {
                        last[at] = Some(bytes);
                    }
                }
                other => {
                    change(&mut short, method, other);
                    change(&mut long, method, other);
                }
            }
            prop_assert_eq!(known(&short), known(&long), "{:?}", step);
        }
    }
}

/// The connection has addresses of both families, so the short form of its key is not in the table.
#[test]
fn a_ping_of_a_tunnel_to_the_other_family_is_not_answered_here_while_it_stands() {
    let key = service_key(Protocol::Icmp, OWN, 0);
    let server = (end("2001:db8:a::10", 0), tunneled(Tunnel::default()));
    let mut lab = Lab::new(1);
    lab.serve(&key, ServiceSettings::new(Scheduler::Rr), &[server]);
    let ping = |id| PacketBuilder::new(CLIENTS[0], OWN).ping(id, 1, &[0x5a; 8]);
    let (first, second) = (ping(1), ping(2));
    lab.send(0, &first).sent();
    lab.change(|draft| draft.del_service(&key).unwrap());
    // From now on pings of the address are answered here.
    lab.send(0, &second).sent();
    lab.send(0, &second).sent();
    assert_eq!(lab.send(0, &first), Outcome::Dropped(DropReason::DestGone));
}
