// SPDX-License-Identifier: MIT OR Apache-2.0
//! New connections: every packet is another client's.
//!
//! More is offered than the balancer can take, and what finds no place in its ring is not offered to
//! it: that is no loss. UDP connections end after a second without packets, so that after the
//! warm-up as many end as begin. Half-open TCP connections last a minute, whatever is configured: the
//! table only fills while they are measured.

use crate::balancer::{Balancer, Sample, memif_socket};
use crate::frames::Template;
use crate::wire::{BURST, Generator, Wire};
use crate::{Bench, Found, plan};
use anyhow::Context as _;
use dpvs_api::types::{Forward, Protocol};
use dpvs_bench::measure::{Measurement, to_f64};
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Room for the connections of three seconds at more than is ever made.
const CONNECTIONS: usize = 12_000_000;

/// Seconds after which an idle UDP connection ends.
const UDP_TIMEOUT: u32 = 1;

/// Bursts between two looks at the clock.
const BURSTS: usize = 64;

/// Below this share of packets that found the ring full, or this share of time in per cent that the
/// worker was busy, it is the generator that was measured.
const FULL_MIN: f64 = 0.02;
const BUSY_MIN: f64 = 90.0;

/// One kind of connections.
#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    protocol: Protocol,
    forward: Forward,
}

const CASES: [Case; 4] = [
    Case { name: "udp-full-nat", protocol: Protocol::Udp, forward: Forward::FullNat },
    Case { name: "udp-direct", protocol: Protocol::Udp, forward: Forward::Direct },
    Case { name: "syn-full-nat", protocol: Protocol::Tcp, forward: Forward::FullNat },
    Case { name: "syn-direct", protocol: Protocol::Tcp, forward: Forward::Direct },
];

/// What clients did.
#[derive(Clone, Copy, Debug, Default)]
struct Offer {
    /// Packets that were made.
    offered: u64,
    /// Packets that found a place in the ring.
    accepted: u64,
    /// The next client.
    client: u64,
}

/// The names of all kinds.
pub(crate) const NAMES: [&str; 4] = ["udp-full-nat", "udp-direct", "syn-full-nat", "syn-direct"];

/// What is printed above the lines.
pub(crate) fn heading() -> String {
    format!(
        "new connections; busy: of the worker, over the last second; full: share of what was offered\n\
         that found the ring full\n\
         {:14} {:>9} {:>10} {:>10} {:>9} {:>6} {:>5} {:>9} drops",
        "kind", "/s on cpu", "/s by clock", "offered/s", "expired/s", "busy", "full", "standing"
    )
}

/// Measures one kind.
pub(crate) fn run(bench: &Bench, generator: &Generator, scene: &str) -> anyhow::Result<Found> {
    let case = CASES.iter().find(|case| case.name == scene).context("no such kind")?;
    Ok(vec![measure(bench, generator, *case)?])
}

fn measure(bench: &Bench, generator: &Generator, case: Case) -> anyhow::Result<Measurement> {
    let config = plan::config(case.protocol, case.forward)?;
    let directory = tempfile::tempdir()?;
    let mut balancer = Balancer::start(
        &bench.dpvs,
        directory.path(),
        bench.cpus(),
        CONNECTIONS,
        config,
        UDP_TIMEOUT,
    )?;
    let mut wire = generator.connect(&memif_socket(directory.path()))?;
    let is_tcp = case.protocol == Protocol::Tcp;
    let template = if is_tcp { Template::syn() } else { Template::udp() };
    let mut offer = Offer::default();
    // A UDP connection may last two turns of the clock that ends it. TCP only needs warm caches.
    let warm_up = if is_tcp { 300 } else { 2500 };
    offer_for(&mut wire, &template, &mut offer, Duration::from_millis(warm_up));
    let mut rates = Vec::new();
    let mut rates_by_clock = Vec::new();
    let (first, first_offer) = (balancer.sample()?, offer);
    let began = Instant::now();
    for _ in 0..bench.repetitions {
        let before = balancer.sample()?;
        let clock = Instant::now();
        offer_for(&mut wire, &template, &mut offer, bench.interval());
        let past = balancer.sample()?.since(&before);
        rates.push(to_f64(past.made) / past.on_cpu.as_secs_f64());
        rates_by_clock.push(to_f64(past.made) / clock.elapsed().as_secs_f64());
    }
    let past = balancer.sample()?.since(&first);
    let rate = Measurement::median(format!("generate-new-{}", case.name), "/s", rates);
    let by_clock = Measurement::median("", "/s", rates_by_clock);
    let offered = offer.offered - first_offer.offered;
    let accepted = offer.accepted - first_offer.accepted;
    print(case, &rate, &by_clock, (offered, accepted), &past, began.elapsed())?;
    balancer.end()?;
    Ok(rate)
}

fn print(
    case: Case,
    rate: &Measurement,
    by_clock: &Measurement,
    (offered, accepted): (u64, u64),
    past: &Sample,
    time: Duration,
) -> anyhow::Result<()> {
    let full = to_f64(offered - accepted) / to_f64(offered.max(1));
    let busy = f64::from(past.busy_permille) / 10.0;
    let is_bottleneck = full < FULL_MIN || busy < BUSY_MIN;
    writeln!(
        std::io::stdout(),
        "{:14} {:>9.0} {:>11.0} {:>10.0} {:>9.0} {:>4.0} % {:>3.0} % {:>9} {}{}",
        case.name,
        rate.value,
        by_clock.value,
        to_f64(offered) / time.as_secs_f64(),
        to_f64(past.expired) / time.as_secs_f64(),
        busy,
        100.0 * full,
        past.connections,
        past.dropped(),
        if is_bottleneck { "; the worker waited for the generator" } else { "" },
    )?;
    Ok(())
}

/// Sends new clients' packets as fast as it can, and drops what comes.
fn offer_for(wire: &mut Wire, template: &Template, offer: &mut Offer, time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        for _ in 0..BURSTS {
            let mut client = offer.client;
            let sent = wire.send(BURST, template.len(), |bytes| {
                template.write(bytes, client);
                client += 1;
            });
            offer.offered += u64::try_from(BURST).unwrap_or(0);
            // Those that found no place are made again.
            let sent = u64::try_from(sent).unwrap_or(0);
            offer.accepted += sent;
            offer.client += sent;
            while wire.drain(|_| {}) > 0 {}
        }
    }
}
