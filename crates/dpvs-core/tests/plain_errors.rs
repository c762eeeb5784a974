// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shortest way of ICMP errors does what the long one does: two balancers get the same ones, one of
//! them with a priority tag, which is not plain (see `plain.rs`).
#![cfg(test)]

mod icmp_shared;

use dpvs_core::conn::ConnIndex;
use dpvs_core::icmp::recorder::Decision;
use dpvs_core::tables::{Check, ErrorSource, IcmpPolicy, Port, TunnelKind};
use dpvs_core::testing::{
    Lab, PacketBuilder, address, local_address, priority_tagged, repair_checksums,
};
use dpvs_core::{Command, Event, PortId};
use icmp_shared::*;
use proptest::prelude::*;
use std::net::Ipv4Addr;

const METHODS: [Method; 5] =
    [Method::FullNat, Method::Nat, Method::Snat, Method::Direct, Method::Tunnel(TunnelKind::Ipip)];
const KINDS: [(u8, u8); 9] =
    [(3, 0), (3, 1), (3, 3), (3, 4), (11, 0), (11, 1), (12, 0), (4, 0), (5, 1)];
/// Long enough for extensions behind it.
const DATA: [u8; 150] = [0x41; 150];

/// What happens.
#[derive(Clone, Debug)]
enum Step {
    Error(Sent),
    /// One thing of the policies becomes another.
    Policy(u8, u8),
    /// Some milliseconds pass.
    Pass(u64),
    /// The server of a session's service is taken away, or its local address, or the whole service.
    Gone(usize, u8),
    /// The virtual address is the host's as well, or not.
    Hosts(bool),
}

/// An error about a session's packet.
#[derive(Clone, Debug)]
struct Sent {
    session: usize,
    side: Side,
    /// A router, the other end, or the balancer itself.
    sender: usize,
    kind: (u8, u8),
    /// Length of what is quoted in words, if extensions follow; and the MTU.
    rest: (u8, u16),
    quoted: usize,
    ttl: u8,
    trailer: usize,
    /// Bits that change on the way, and bits of the quote that were wrong before its sender summed the
    /// message.
    damage: [Option<(usize, u8)>; 2],
    /// It is sent to the virtual address, whatever it quotes.
    goes_astray: bool,
}

fn error() -> impl Strategy<Value = Sent> {
    let side = prop::sample::select(&Side::BOTH[..]);
    let kind = prop_oneof![
        2 => prop::sample::select(&KINDS[..]),
        1 => Just((3, 4)),
        1 => Just((3, 3)),
        1 => Just((3, 1)),
        1 => (3..13_u8, 0..3_u8),
    ];
    let len = prop_oneof![4 => Just(0_u8), 1 => Just(32), 1 => any::<u8>()];
    let mtu = prop_oneof![3 => Just(1400_u16), 1 => 0..200_u16, 1 => any::<u16>()];
    let quoted = prop_oneof![2 => Just(8_usize), 3 => 0..40_usize, 2 => 100..190_usize];
    let ttl = prop_oneof![8 => Just(64_u8), 1 => 0..3_u8];
    let damage = prop_oneof![6 => Just(None), 1 => (14..90_usize, 1..=255_u8).prop_map(Some)];
    let quote_damage = prop_oneof![4 => Just(None), 1 => (0..40_usize, 1..=255_u8).prop_map(Some), 1 => Just(Some((0, 3)))];
    let first = (0..5_usize, side, 0..3_usize, kind, (len, mtu));
    let wrong = (damage, quote_damage, prop::bool::weighted(0.05));
    (first, quoted, ttl, 0..20_usize, wrong).prop_map(|(first, quoted, ttl, trailer, wrong)| {
        let (session, side, sender, kind, rest) = first;
        let (damage, quote_damage, goes_astray) = wrong;
        let damage = [damage, quote_damage];
        Sent { session, side, sender, kind, rest, quoted, ttl, trailer, damage, goes_astray }
    })
}

fn policy() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..9_u8, 0..3_u8).prop_map(|(what, value)| Step::Policy(what, value)),
        1 => any::<bool>().prop_map(Step::Hosts),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => error().prop_map(Step::Error),
        6 => policy(),
        2 => (1..70_000_u64).prop_map(Step::Pass),
        2 => (0..5_usize, 0..3_u8).prop_map(|(session, what)| Step::Gone(session, what)),
    ]
}

fn set(policy: &mut IcmpPolicy, what: u8, value: u8) {
    let check = [Check::Off, Check::Count, Check::Drop][usize::from(value)];
    let source = [ErrorSource::Peer, ErrorSource::Own, ErrorSource::Keep][usize::from(value)];
    let is_on = value > 0;
    match what {
        0 => policy.mtu_gap_ms = 10_000 * u32::from(value),
        1 => policy.source_to_clients = source,
        2 => policy.source_to_servers = source,
        3 => policy.sequence = check,
        4 => policy.quoted_checksum = check,
        5 => policy.strips_extensions = is_on,
        6 => policy.expires_unreachable_udp = is_on,
        7 => policy.reschedules_unreachable_syn = is_on,
        // So few that errors in a row use them up; 0 is no limit.
        _ => {
            policy.relayed_per_s = 3 * u32::from(value);
            policy.relayed_per_virtual_per_s = 2 * u32::from(value);
        }
    }
}

fn change(lab: &mut Lab, sessions: &[Session], step: &Step) {
    lab.change(|draft| match step {
        Step::Error(_) | Step::Pass(_) => {}
        Step::Policy(what, value) => set(&mut draft.tables_mut().limits.icmp, *what, *value),
        Step::Gone(session, what) => {
            let method = sessions[*session].method;
            let key = method.key(false, L4::ALL[*session % 4]);
            let service = draft.tables().service(&key);
            let server =
                service.and_then(|service| service.dests.first().map(|dest| dest.endpoint));
            // It may be gone already.
            let _ = match (what, server) {
                (0, Some(server)) => draft.del_dest(&key, server),
                (1, _) => L4::ALL
                    .iter()
                    .try_for_each(|l4| draft.del_laddr(&method.key(false, *l4), address(L[0]))),
                _ => draft.del_service(&key),
            };
        }
        Step::Hosts(is_hosts) => {
            let port = draft.tables().port(PortId(0)).expect("there is one").clone();
            draft.set_port(Port { has_kernel: *is_hosts, ..port }).unwrap();
            for address in [V[0], L[0], P[0]] {
                let _ = draft.add_address(local_address(address, 24));
            }
        }
    });
}

fn frame(session: &Session, sent: &Sent) -> Vec<u8> {
    let other_end = ends_of(&session.passage(sent.side).seen)[1].clone();
    let router = session.method.router(false, sent.side);
    let sender = [router, &other_end, B[0]][sent.sender];
    let [a, b] = sent.rest.1.to_be_bytes();
    let rest = [0, sent.rest.0, a, b];
    let mut frame = session.error_by(sender, sent.side, sent.kind, rest, sent.quoted);
    if let Some((at, bits)) = sent.damage[1]
        && let Some(byte) = frame.get_mut(42 + at)
    {
        *byte ^= bits;
    }
    if sent.goes_astray {
        frame[30..34].copy_from_slice(&V[0].parse::<Ipv4Addr>().unwrap().octets());
    }
    frame[22] = sent.ttl;
    repair_checksums(&mut frame);
    if let Some((at, bits)) = sent.damage[0]
        && let Some(byte) = frame.get_mut(at)
    {
        *byte ^= bits;
    }
    frame.extend(vec![0x5a; sent.trailer]);
    frame
}

/// Opens a session of each protocol, and another one of TCP that its server has not answered.
fn open(lab: &mut Lab, method: Method) -> Vec<Session> {
    let mut sessions: Vec<_> = (40_000..)
        .zip(L4::ALL)
        .map(|(port, l4)| Session::with_data(lab, method, (false, l4, port), &DATA))
        .collect();
    let [from, to] = method.ends(false);
    let syn = PacketBuilder::new(from, to).tcp(40_010, L4::Tcp.port(), SYN, &[]);
    let mut half_open = sessions[0].clone();
    half_open.request.seen = lab.send(0, &syn).sent();
    sessions.push(half_open);
    sessions
}

fn decisions(lab: &mut Lab) -> Vec<Decision> {
    let mut all = Vec::new();
    for worker in 0..lab.workers.len() {
        let Event::Decisions(list) =
            lab.command(worker, Command::Decisions(Vec::with_capacity(256)))
        else {
            panic!("not what was asked for");
        };
        all.extend(list);
    }
    all
}

/// What a balancer knows: its connections, what it counted, and what became of the errors.
fn known(lab: &mut Lab) -> String {
    let decisions = decisions(lab);
    let conns = lab.workers.iter().flat_map(|worker| {
        let table = worker.connections();
        (0..table.positions()).map(|at| table.get(ConnIndex(at))).collect::<Vec<_>>()
    });
    let conns: Vec<_> = conns.collect();
    let messages = lab.workers.iter().flat_map(|worker| {
        let messages = &worker.counters().icmp_messages;
        [&messages.received, &messages.relayed_in, &messages.relayed_out]
            .map(|table| table.counted().collect::<Vec<_>>())
    });
    let messages: Vec<_> = messages.collect();
    let servers = lab.tables.services().flat_map(|service| {
        service.dests.iter().map(|dest| dest.shared.icmp_errors()).collect::<Vec<_>>()
    });
    let servers: Vec<_> = servers.collect();
    let mut counts = counts(lab);
    // A tag is four bytes.
    counts.remove("bytes_in");
    format!("{decisions:?} {conns:?} {messages:?} {servers:?} {counts:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn plain_and_tagged_errors_have_the_same_fate(
        method in prop::sample::select(&METHODS[..]),
        workers in 1..3_usize,
        policies in prop::collection::vec(policy(), 0..6),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let (mut short, mut long) = (method.lab(workers), method.lab(workers));
        for policy in &policies {
            change(&mut short, &[], policy);
            change(&mut long, &[], policy);
        }
        let sessions = open(&mut short, method);
        open(&mut long, method);
        for step in &steps {
            match step {
                Step::Pass(ms) => {
                    short.pass(*ms);
                    long.pass(*ms);
                }
                Step::Error(sent) => {
                    let frame = frame(&sessions[sent.session], sent);
                    let outcome = short.send(0, &frame);
                    prop_assert_eq!(&outcome, &long.send(0, &priority_tagged(&frame)), "{:?}", sent);
                }
                other => {
                    change(&mut short, &sessions, other);
                    change(&mut long, &sessions, other);
                }
            }
            prop_assert_eq!(known(&mut short), known(&mut long), "{:?}", step);
        }
    }
}
