// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plain packets are handed to the workers that the others are handed to.
//!
//! As in `plain`, two balancers get the same packets, one of them with tags, which go the long way.
#![cfg(test)]

use dpvs_core::DropReason;
use dpvs_core::key::Endpoint;
use dpvs_core::net::Protocol;
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{DestSettings, Forward, Persistence, ServiceKey, ServiceSettings};
use dpvs_core::testing::{
    HeapFrame, Lab, PacketBuilder, address, end, local_address, priority_tagged, service_key,
};
use dpvs_core::{BURST, Frame, Verdict};
use proptest::prelude::*;

const WORKERS: usize = 3;
const CLIENTS: [&str; 2] = ["198.51.100.10", "198.51.100.11"];
/// A virtual address, the local address of its services, which may have services too, the host's own,
/// and somebody else's. The first two end with the same byte: they have one place in what a worker
/// remembers.
const TARGETS: [&str; 4] = ["203.0.113.200", "10.1.1.200", "203.0.113.2", "203.0.113.99"];
const SERVERS: [&str; 2] = ["10.1.1.10", "10.1.1.11"];
const BOUND: Persistence = Persistence { timeout_ms: 10_000, mask: u128::MAX };
const SYN: u8 = 2;
const ACK: u8 = 16;

/// What happens.
#[derive(Clone, Debug)]
enum Step {
    /// A worker gets a burst, mostly by a port. It may also have been handed over by one that did not
    /// know of the last change: then it stays.
    Burst { at: usize, sent: Vec<Sent>, is_handed: bool },
    /// A service is made or taken away.
    Service(Place),
    /// A service of a port binds its clients, or no longer.
    Persistence(Place),
}

/// Where a service is: at one of the first two targets, of UDP or TCP, of a port or of any.
type Place = (usize, bool, bool);

#[derive(Clone, Debug)]
enum Sent {
    /// By a client to a target: of UDP or TCP, to one of a few ports.
    Request { client: u16, target: usize, is_tcp: bool, port: u16, flags: u8 },
    /// By the server that got what was sent as such last.
    Answer(usize),
    /// By a server to a port of a target.
    Stray { target: usize, port: u16 },
}

fn key((target, is_tcp, takes_any): Place) -> ServiceKey {
    let protocol = if is_tcp { Protocol::Tcp } else { Protocol::Udp };
    service_key(protocol, TARGETS[target], if takes_any { 0 } else { 53 })
}

fn sent() -> impl Strategy<Value = Sent> {
    let port = prop_oneof![4 => Just(53), 1 => Just(54), 1 => 1024..1100_u16];
    let target = prop_oneof![4 => Just(0), 2 => Just(1), 1 => 2..4_usize];
    let flags = prop::sample::select(vec![SYN, ACK]);
    prop_oneof![
        6 => (0..8_u16, target.clone(), any::<bool>(), port, flags).prop_map(
            |(client, target, is_tcp, port, flags)| Sent::Request { client, target, is_tcp, port, flags }
        ),
        4 => (0..100_usize).prop_map(Sent::Answer),
        1 => (target, 1000..5000_u16).prop_map(|(target, port)| Sent::Stray { target, port }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0..2_usize, any::<bool>(), prop::bool::weighted(0.3));
    prop_oneof![
        12 => (0..WORKERS, prop::collection::vec(sent(), 1..8), prop::bool::weighted(0.1))
            .prop_map(|(at, sent, is_handed)| Step::Burst { at, sent, is_handed }),
        2 => place().prop_map(Step::Service),
        1 => place().prop_map(Step::Persistence),
    ]
}

/// The frame of what is sent; `seen` is what was sent before.
fn frame(sent: &Sent, seen: &[Vec<u8>]) -> Option<Vec<u8>> {
    match *sent {
        Sent::Request { client, target, is_tcp, port, flags } => {
            let from = PacketBuilder::new(CLIENTS[usize::from(client % 2)], TARGETS[target]);
            let client_port = 40_000 + client;
            Some(if is_tcp {
                from.tcp(client_port, port, flags, b"data")
            } else {
                from.udp(client_port, port, b"data")
            })
        }
        Sent::Answer(nth) => {
            let last = seen.get(nth % seen.len().max(1))?;
            let ip = |at: usize| {
                last[at..at + 4].iter().map(u8::to_string).collect::<Vec<_>>().join(".")
            };
            let port = |at: usize| u16::from_be_bytes([last[at], last[at + 1]]);
            let back = PacketBuilder::new(&ip(30), &ip(26));
            Some(match last[23] {
                6 => back.tcp(port(36), port(34), SYN | ACK, &[]),
                _ => back.udp(port(36), port(34), b"answer"),
            })
        }
        Sent::Stray { target, port } => {
            Some(PacketBuilder::new(SERVERS[0], TARGETS[target]).udp(53, port, b"stray"))
        }
    }
}

/// Gives a burst to a worker, and what it hands on to the next ones: all verdicts of each frame, and
/// what it is at the end.
fn follow(
    lab: &mut Lab,
    (at, is_handed): (usize, bool),
    burst: &[Vec<u8>],
) -> Vec<(Vec<Verdict>, Vec<u8>)> {
    let mut frames: Vec<HeapFrame> = burst.iter().map(|bytes| HeapFrame::new(bytes)).collect();
    let mut verdicts = [Verdict::Consumed; BURST];
    if is_handed {
        lab.workers[at].process_handed(lab.now, &mut frames, &mut verdicts);
    } else {
        lab.workers[at].process(lab.now, &mut frames, &mut verdicts);
    }
    let ends = frames.into_iter().zip(verdicts).map(|(frame, first)| {
        let mut all = vec![first];
        let mut frame = [frame];
        while let Some(Verdict::Redirect(owner)) = all.last() {
            let mut next = [Verdict::Consumed; BURST];
            lab.workers[owner.index()].process_handed(lab.now, &mut frame, &mut next);
            all.push(next[0]);
        }
        let is_sent = matches!(all.last(), Some(Verdict::Transmit(_)));
        (all, if is_sent { frame[0].bytes().to_vec() } else { Vec::new() })
    });
    ends.collect()
}

/// What the workers counted of it, and how many connections each has.
fn counted(lab: &Lab) -> Vec<(usize, u64, u64, Vec<u64>)> {
    let of = |worker: &dpvs_core::Worker| {
        let counters = worker.counters();
        let drops = DropReason::ALL.iter().map(|why| counters.drops(*why)).collect();
        (worker.connections().len(), counters.steered.get(), counters.handed_in.get(), drops)
    };
    lab.workers.iter().map(of).collect()
}

fn change(lab: &mut Lab, method: Forward, step: &Step) {
    match step {
        Step::Burst { .. } => {}
        Step::Service(place) => {
            let key = key(*place);
            if lab.tables.service(&key).is_some() {
                lab.change(|draft| draft.del_service(&key).unwrap());
                return;
            }
            let port = if place.2 { 0 } else { 8053 };
            let servers: [(Endpoint, DestSettings); 2] =
                SERVERS.map(|server| (end(server, port), DestSettings::new(method)));
            let mut settings = ServiceSettings::new(Scheduler::Rr);
            settings.persistence = place.2.then_some(BOUND);
            lab.serve(&key, settings, &servers);
        }
        Step::Persistence(place) => {
            let key = key(*place);
            let Some(service) = lab.tables.service(&key).filter(|_| !place.2) else { return };
            let mut settings = service.settings;
            settings.persistence = match settings.persistence {
                Some(_) => None,
                None => Some(BOUND),
            };
            lab.change(|draft| draft.set_service(&key, settings).unwrap());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn plain_and_tagged_packets_are_handed_alike(
        method in prop::sample::select(vec![Forward::FullNat, Forward::Nat]),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let (mut short, mut long) = (Lab::new(WORKERS), Lab::new(WORKERS));
        for lab in [&mut short, &mut long] {
            lab.change(|draft| draft.add_address(local_address(TARGETS[0], 32)).unwrap());
            for place in [(0, false, false), (0, true, false)] {
                change(lab, method, &Step::Service(place));
            }
            // A local address of a service that is gone is one still.
            prop_assert!(lab.tables.is_laddr(address(TARGETS[1])));
        }
        let mut seen = Vec::new();
        for step in &steps {
            if let Step::Burst { at, sent, is_handed } = step {
                let frames: Vec<_> = sent.iter().filter_map(|sent| frame(sent, &seen)).collect();
                let tagged: Vec<_> = frames.iter().map(|frame| priority_tagged(frame)).collect();
                let to = (*at, *is_handed);
                let ends = follow(&mut short, to, &frames);
                prop_assert_eq!(&ends, &follow(&mut long, to, &tagged), "{:?}", sent);
                seen.extend(ends.into_iter().map(|(_, bytes)| bytes).filter(|bytes| !bytes.is_empty()));
            }
            change(&mut short, method, step);
            change(&mut long, method, step);
            prop_assert_eq!(counted(&short), counted(&long), "{:?}", step);
        }
    }
}
