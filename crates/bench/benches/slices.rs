// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long a worker is kept from its frames by what the control thread asks: the longest pieces of
//! a walk over a million connections, and of their end. Times are the thread's own, so that other
//! programs on the processor do not count.
#![allow(clippy::print_stdout, reason = "a program")]

use dpvs_bench::Flows;
use dpvs_core::worker::{ConnFilter, ConnQuery};
use dpvs_core::{Command, Event};
use nix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// Connections in the table.
const CONNECTIONS: usize = 1_000_000;
/// Connections of a page of `conn.list`.
const PAGE: usize = 1000;

fn main() {
    // `cargo test --benches` wants to know that it starts, not how fast it is.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let mut flows = Flows::udp(if is_bench { CONNECTIONS } else { 1000 });
    let connections = flows.connections();
    for client in ["0.0.0.0/0", "198.18.0.7/32"] {
        let (address, len) = client.split_once('/').unwrap_or_default();
        let prefix = address.parse().ok().zip(len.parse().ok());
        let client = prefix.and_then(|(ip, len)| dpvs_core::net::Prefix::containing(ip, len));
        let filter = ConnFilter { client, ..ConnFilter::default() };
        let begin = Instant::now();
        let mut pieces = Vec::new();
        let listed = walk(&mut flows, filter, &mut pieces);
        let name = format!("list {listed} of {connections} ({address}/{len})");
        show(&name, begin.elapsed(), pieces);
    }
    let (begin, mut pieces) = (Instant::now(), Vec::new());
    carry_out(&mut flows, Command::Flush, &mut pieces);
    show(&format!("end {connections}"), begin.elapsed(), pieces);
}

/// Lists all pages and returns how many connections they had.
fn walk(flows: &mut Flows, filter: ConnFilter, pieces: &mut Vec<Duration>) -> usize {
    let (mut listed, mut position, mut room) = (0, 0, PAGE);
    loop {
        let connections = Vec::with_capacity(room);
        let query = Box::new(ConnQuery { filter, position, connections, is_done: false });
        let Some(Event::Listed(found)) = carry_out(flows, Command::List(query), pieces) else {
            return listed;
        };
        listed += found.connections.len();
        if found.is_done {
            return listed;
        }
        position = found.position;
        room = if found.connections.len() < room { room - found.connections.len() } else { PAGE };
    }
}

/// Carries out a command, and takes the time of each piece.
fn carry_out(flows: &mut Flows, command: Command, pieces: &mut Vec<Duration>) -> Option<Event> {
    flows.lab.order(0, command);
    // Far more polls than any command has pieces.
    for _ in 0..10_000_000 {
        let before = now();
        flows.lab.poll();
        pieces.push(now().saturating_sub(before));
        if let Some(event) = flows.lab.answer(0) {
            return Some(event);
        }
    }
    None
}

/// Time that the thread has had the processor.
fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

fn show(name: &str, took: Duration, mut pieces: Vec<Duration>) {
    pieces.sort_unstable();
    let of = |permille: usize| {
        let at = (pieces.len().saturating_sub(1)) * permille / 1000;
        pieces.get(at).map_or(0.0, |piece| piece.as_secs_f64() * 1e6)
    };
    println!(
        "{name}: {took:.2?} in {} pieces; each {:.1} us, 99% {:.1}, 99.9% {:.1}, longest {:.1}",
        pieces.len(),
        of(500),
        of(990),
        of(999),
        of(1000),
    );
}
