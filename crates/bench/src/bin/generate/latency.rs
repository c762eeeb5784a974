// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long packets are away, at half of what the balancer can take, beside testpmd in its place.
//!
//! The turns of one follow those of the other.

use crate::balancer::{Balancer, memif_socket};
use crate::pace::{Flight, capacity, fly};
use crate::testpmd::Testpmd;
use crate::wire::{Generator, Wire};
use crate::{Bench, Found, plan};
use anyhow::Context as _;
use dpvs_api::types::{Forward, Protocol};
use dpvs_bench::measure::Measurement;
use std::io::Write as _;
use std::time::Duration;

/// Flows.
const FLOWS: u64 = 1000;

/// Seconds after which idle connections end: none does.
const UDP_TIMEOUT: u32 = 3000;

/// The quantiles by name, in thousandths.
const QUANTILES: [(&str, usize); 3] = [("p50", 500), ("p99", 990), ("p999", 999)];

/// Who is measured.
pub(crate) const NAMES: [&str; 2] = ["dpvs", "testpmd"];

/// The measurement of the packets a second, which the second one gets as the first.
pub(crate) const LOAD: &str = "generate-dwell-load";

/// What is printed above the lines.
pub(crate) fn heading() -> String {
    format!(
        "time away at half of dpvs's load, us: medians over the turns\n\
         {:10} {:>9} {:>9} {:>9} {:>10} {:>8} {:>10}",
        "", "p50", "p99", "p99.9", "timed", "lost", "packets/s"
    )
}

/// Measures one of the two.
pub(crate) fn run(bench: &Bench, generator: &Generator, scene: &str) -> anyhow::Result<Found> {
    let directory = tempfile::tempdir()?;
    let socket = memif_socket(directory.path());
    if scene == "testpmd" {
        let rate = bench.load.context("no load was measured")?;
        let _testpmd = Testpmd::start(&socket, bench.cpus())?;
        let mut wire = generator.connect(&socket)?;
        // It begins to forward when it has seen the link, for which it looks ten times a second.
        fly(&mut wire, FLOWS, rate, Duration::from_secs(1));
        return take_turns(bench, &mut wire, rate, "-testpmd");
    }
    let config = plan::config(Protocol::Udp, Forward::FullNat)?;
    let mut balancer =
        Balancer::start(&bench.dpvs, directory.path(), bench.cpus(), 100_000, config, UDP_TIMEOUT)?;
    let mut wire = generator.connect(&socket)?;
    let rate = capacity(&mut wire, FLOWS, Duration::from_secs(1)) / 2.0;
    let mut found = take_turns(bench, &mut wire, rate, "")?;
    found.push(Measurement::of(LOAD, "/s", rate));
    balancer.end()?;
    Ok(found)
}

fn take_turns(bench: &Bench, wire: &mut Wire, rate: f64, suffix: &str) -> anyhow::Result<Found> {
    fly(wire, FLOWS, rate, bench.interval() / 5);
    let mut turns: Vec<Flight> =
        (0..bench.repetitions).map(|_| fly(wire, FLOWS, rate, bench.interval())).collect();
    let mut found = Vec::new();
    for (name, per_mille) in QUANTILES {
        let times = turns.iter_mut().map(|flight| flight.quantile(per_mille)).collect();
        found.push(Measurement::median(format!("generate-dwell-{name}{suffix}"), "ns", times));
    }
    let us = |at: usize| found.get(at).map_or(f64::NAN, |quantile| quantile.value / 1e3);
    writeln!(
        std::io::stdout(),
        "{:10} {:>9.2} {:>9.2} {:>9.2} {:>10} {:>8} {rate:>10.0}",
        if suffix.is_empty() { "dpvs" } else { "testpmd" },
        us(0),
        us(1),
        us(2),
        turns.iter().map(Flight::timed).sum::<usize>(),
        turns.iter().map(Flight::lost).sum::<u64>(),
    )?;
    Ok(found)
}

/// Ours against testpmd's, of what both have found.
pub(crate) fn ratios(found: &[Measurement]) -> anyhow::Result<Found> {
    let of = |name: String| found.iter().find(|m| m.goal == name).map(|m| m.value);
    let mut ratios = Vec::new();
    for (name, _) in QUANTILES {
        let goal = format!("generate-dwell-{name}");
        let (ours, theirs) = (of(goal.clone()), of(format!("{goal}-testpmd")));
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            writeln!(std::io::stdout(), "ratio of {name}: {:.2}", ours / theirs)?;
            ratios.push(Measurement::of(format!("{goal}-ratio"), "x", ours / theirs));
        }
    }
    Ok(ratios)
}
