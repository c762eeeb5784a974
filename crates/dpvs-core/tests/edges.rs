// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is full sheds what is new, counted by reason, and never touches what stands: a full table, no
//! local port left, floods of SYN and of ICMP, tuples chosen to collide.
#![cfg(test)]

use dpvs_core::key::{Address, Key};
use dpvs_core::net::Protocol;
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{DestSettings, Forward, ServiceSettings};
use dpvs_core::testing::{Lab, Outcome, PacketBuilder, address, end, service_key};
use dpvs_core::{DropReason, Verdict};
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::Ipv4Addr;

const C: &str = "198.51.100.10";
const V: &str = "203.0.113.80";
const R: &str = "10.1.1.10";
const SYN: u8 = 2;
const ACK: u8 = 16;
const METHODS: [Forward; 3] = [Forward::FullNat, Forward::Nat, Forward::Direct];

/// Numbers that look random and are the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[3]
    }

    fn port(&mut self) -> u16 {
        1024 + u16::try_from(self.next() % 60_000).unwrap()
    }

    /// A host that nothing else here is.
    fn host(&mut self) -> String {
        Ipv4Addr::new(20, self.byte(), self.byte(), self.byte()).to_string()
    }

    fn syn(&mut self) -> Vec<u8> {
        PacketBuilder::new(&self.host(), V).tcp(self.port(), 80, SYN, &[])
    }
}

fn lab(workers: usize, capacity: usize, method: Forward) -> Lab {
    let mut lab = Lab::with_addresses(workers, capacity);
    let port = if method == Forward::Direct { 80 } else { 8080 };
    let key = service_key(Protocol::Tcp, V, 80);
    let settings = ServiceSettings::new(Scheduler::Rr);
    let servers = [R, "10.1.1.11"].map(|server| (end(server, port), DestSettings::new(method)));
    lab.serve(&key, settings, &servers);
    lab
}

/// An established connection, and what became of its packets before anything was full.
struct Old {
    request: Vec<u8>,
    requested: Vec<u8>,
    /// The server's packet and what leaves, where its answers come by us.
    answer: Option<[Vec<u8>; 2]>,
}

impl Old {
    fn open(lab: &mut Lab, method: Forward, port: u16) -> Old {
        let client = PacketBuilder::new(C, V);
        let seen = lab.send(0, &client.tcp(port, 80, SYN, &[])).sent();
        let back = method.sees_replies().then(|| {
            let ip = |at: usize| Ipv4Addr::from(*seen[at..].first_chunk::<4>().unwrap());
            let back = PacketBuilder::new(&ip(30).to_string(), &ip(26).to_string());
            let port = |at: usize| u16::from_be_bytes([seen[at], seen[at + 1]]);
            let segment = |flags, data: &[u8]| back.tcp(port(36), port(34), flags, data);
            lab.send(0, &segment(SYN | ACK, &[])).sent();
            segment(ACK, b"answer")
        });
        let request = client.tcp(port, 80, ACK, b"request");
        let requested = lab.send(0, &request).sent();
        let answer = back.map(|answer| {
            let answered = lab.send(0, &answer).sent();
            [answer, answered]
        });
        Old { request, requested, answer }
    }

    #[track_caller]
    fn goes_on(&self, lab: &mut Lab) {
        assert_eq!(lab.send(0, &self.request), Outcome::Sent(self.requested.clone()));
        if let Some([answer, answered]) = &self.answer {
            assert_eq!(lab.send(0, answer), Outcome::Sent(answered.clone()));
        }
    }
}

fn open(lab: &mut Lab, method: Forward, count: u16) -> Vec<Old> {
    (0..count).map(|n| Old::open(lab, method, 40_000 + n)).collect()
}

#[track_caller]
fn all_go_on(old: &[Old], lab: &mut Lab) {
    for old in old {
        old.goes_on(lab);
    }
}

/// Sends frames, lets old connections send between them, and returns how many were sent and how many
/// dropped by reason. Time passes, a millisecond for each `per_ms`.
fn storm(
    lab: &mut Lab,
    old: &[Old],
    per_ms: usize,
    frames: impl Iterator<Item = Vec<u8>>,
) -> (usize, HashMap<DropReason, usize>) {
    let before = lab.all_drops();
    let (mut sent, mut dropped) = (0, HashMap::new());
    let mut turn = old.iter().cycle();
    for (n, frame) in frames.enumerate() {
        match lab.send(0, &frame) {
            Outcome::Dropped(reason) => *dropped.entry(reason).or_default() += 1,
            Outcome::Other(Verdict::Consumed) => {}
            _ => sent += 1,
        }
        if n % 10 == 0 {
            turn.next().unwrap().goes_on(lab);
        }
        if n % per_ms == 0 {
            lab.now = lab.now + 1;
            lab.poll();
        }
    }
    let counted = usize::try_from(lab.all_drops() - before).unwrap();
    assert_eq!(counted, dropped.values().sum::<usize>(), "each is counted once");
    all_go_on(old, lab);
    (sent, dropped)
}

#[test]
fn a_full_table_sheds_new_connections_alone() {
    // The connection that came last would push one out, or the counter would say something else.
    for (workers, method) in METHODS.into_iter().flat_map(|method| [(1, method), (3, method)]) {
        let mut lab = lab(workers, 64, method);
        let old = open(&mut lab, method, 40);
        let mut numbers = Numbers(1);
        let syns = (0..2000).map(|_| numbers.syn());
        let (sent, dropped) = storm(&mut lab, &old, usize::MAX, syns);
        assert_eq!((sent, lab.connections()), (64 * workers - 40, 64 * workers), "{method:?}");
        assert_eq!(dropped, HashMap::from([(DropReason::TableFull, 2000 - sent)]), "{method:?}");
        // Those that never answered give their places back.
        lab.pass(130_000);
        assert_eq!(lab.connections(), 40, "{method:?}");
        lab.send(0, &numbers.syn()).sent();
        all_go_on(&old, &mut lab);
    }
}

#[test]
fn exhausted_local_ports_shed_new_connections_alone() {
    for workers in [1, 3] {
        let mut lab = lab(workers, 4096, Forward::FullNat);
        lab.change(|draft| {
            draft.tables_mut().limits.local_port_min = 5000;
            draft.tables_mut().limits.local_port_max = 5089;
        });
        let old = open(&mut lab, Forward::FullNat, 60);
        let mut numbers = Numbers(2);
        let syns = (0..2000).map(|_| numbers.syn());
        let (sent, dropped) = storm(&mut lab, &old, usize::MAX, syns);
        // 90 ports towards each of two servers.
        assert_eq!((sent, lab.connections()), (180 - 60, 180), "{workers} workers");
        assert_eq!(dropped, HashMap::from([(DropReason::LocalPortsExhausted, 2000 - sent)]));
        lab.pass(130_000);
        assert_eq!(lab.connections(), 60);
        lab.send(0, &numbers.syn()).sent();
        all_go_on(&old, &mut lab);
    }
}

#[test]
fn a_flood_of_syns_leaves_old_connections_whole() {
    for (workers, method) in METHODS.into_iter().flat_map(|method| [(1, method), (3, method)]) {
        let mut lab = lab(workers, 1024, method);
        let old = open(&mut lab, method, 100);
        let mut numbers = Numbers(3);
        let syns = (0..20_000).map(|_| numbers.syn());
        let (sent, dropped) = storm(&mut lab, &old, 1, syns);
        assert!(lab.connections() <= 1024 * workers, "{method:?}");
        assert!(sent >= 1024 * workers - 100, "{method:?}: what has room is served: {sent}");
        let full = dropped.get(&DropReason::TableFull).copied();
        assert_eq!(Some(20_000 - sent), full, "{method:?}: {dropped:?}");
    }
}

#[test]
fn a_flood_of_icmp_leaves_old_connections_whole() {
    // Errors that end or reroute a connection, queries that fill the table.
    for (workers, method) in METHODS.into_iter().flat_map(|method| [(1, method), (3, method)]) {
        let mut lab = lab(workers, 1024, method);
        lab.serve(
            &service_key(Protocol::Icmp, V, 0),
            ServiceSettings::new(Scheduler::Rr),
            &[(end(R, 0), DestSettings::new(method))],
        );
        let old = open(&mut lab, method, 100);
        let mut numbers = Numbers(4);
        let quotes: Vec<Vec<u8>> = (0..100)
            .map(|n| PacketBuilder::new(V, C).tcp(80, 40_000 + n, ACK, &[0; 40])[14..].to_vec())
            .collect();
        let messages = (0..20_000usize).map(|n| {
            let rest = [numbers.byte(), numbers.byte(), numbers.byte(), numbers.byte()];
            let icmp_type = [3, 4, 5, 8, 11, 12, 13, numbers.byte()][n % 8];
            let code = numbers.byte() % 16;
            let body = if n % 3 == 0 { &quotes[n % 100][..] } else { &[0x41; 28] };
            PacketBuilder::new(&numbers.host(), V).icmp(icmp_type, code, rest, body)
        });
        let (_, dropped) = storm(&mut lab, &old, 4, messages);
        // Of four places one is a query's, and its reply's; those that answered nothing have one.
        let queries = lab.connections() - 100;
        assert!(queries <= 1024 / 2 * workers, "{method:?}: {queries} queries");
        assert!(!dropped.contains_key(&DropReason::TableFull), "{method:?}: {dropped:?}");
        // A new client is served, as ever.
        lab.send(0, &numbers.syn()).sent();
    }
}

#[test]
fn tuples_that_collide_without_a_key_are_spread() {
    // More than the 128 places that are searched: an attacker who knew the hash would have clients
    // refused whose tuples end there, and make each look at all of them.
    const TUPLES: usize = 200;
    let known = foldhash::quality::FixedState::with_seed(0);
    // As the table of 1024 connections takes its 4096 homes.
    let home = |key: &Key| (known.hash_one(key) >> 32) % 4096;
    let mut numbers = Numbers(5);
    let mut frames = Vec::new();
    while frames.len() < TUPLES {
        let (host, port) = (numbers.host(), numbers.port());
        let [src, dst] = [&host[..], V].map(address);
        let [src, dst]: [Address; 2] = [src, dst];
        let key = Key { src, dst, sport: port, dport: 80, protocol: Protocol::Tcp };
        if home(&key) == 7 {
            frames.push(PacketBuilder::new(&host, V).tcp(port, 80, SYN, &[]));
        }
    }
    let mut lab = lab(1, 1024, Forward::Direct);
    let old = open(&mut lab, Forward::Direct, 100);
    let (sent, dropped) = storm(&mut lab, &old, usize::MAX, frames.iter().cloned());
    assert_eq!((sent, dropped.len()), (TUPLES, 0), "{dropped:?}");
    assert_eq!(lab.connections(), TUPLES + 100);
    // Each is found again: it goes on and makes none.
    let (sent, _) = storm(&mut lab, &old, usize::MAX, frames.into_iter());
    assert_eq!((sent, lab.connections()), (TUPLES, TUPLES + 100));
}
