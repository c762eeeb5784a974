// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long a worker is kept from its packets while one of many services changes.

use crate::balancer::{Balancer, Plan};
use crate::chart::Chart;
use crate::frames::{Frames, Kind, Order};
use dpvs_bench::measure::{Measurement, median};

/// Services that stand.
const SERVICES: u32 = 10_000;
/// Flows through them, and as many bursts between two changes that a cache may settle.
const FLOWS: u32 = 10_000;
/// Services that are changed.
const CHANGES: u32 = 500;
/// How often each is. The machine's own pauses are longer than what a change takes, come once in some
/// thousand bursts, and have nothing to do with it: what a change adds it adds every time.
const TIMES: usize = 3;
/// Bursts between two of them.
const BURSTS: usize = 20;

/// The worker's own time for taking new tables and for the burst after it, less what a burst takes
/// otherwise.
pub(crate) fn of_services() -> anyhow::Result<Vec<Chart>> {
    let title = "Delay of a burst while one of 10,000 services changes";
    let mut chart = Chart { y: "us", ..Chart::new("growth-change", title, "services") };
    let mut balancer = Balancer::new(1 << 17);
    let plan = Plan { servers: 1, laddrs: 3, ..Plan::full_nat(FLOWS) };
    balancer.serve(&plan, SERVICES)?;
    let mut frames = Frames::new(Kind::Udp, SERVICES);
    balancer.open(&mut frames, 0, FLOWS)?;
    frames.play(0, FLOWS, Order::Scattered);
    let (mut usual, mut changed) = (Vec::new(), Vec::new());
    for number in 0..CHANGES {
        let mut times = [0.0; TIMES];
        for us in &mut times {
            for _ in 0..BURSTS {
                usual.push(balancer.burst_us(&mut frames)?);
            }
            balancer.order_change(&plan, number % SERVICES)?;
            *us = balancer.burst_us(&mut frames)?;
            balancer.take_answer()?;
        }
        changed.push(times);
    }
    anyhow::ensure!(balancer.lost == 0, "{} packets were lost", balancer.lost);
    let usual_us = median(&usual);
    let least = |times: &[f64; TIMES]| times.iter().copied().fold(f64::INFINITY, f64::min);
    let delays: Vec<f64> = changed.iter().map(|us| (least(us) - usual_us).max(0.0)).collect();
    let of_one = longest(changed.iter().flatten()) - usual_us;
    let of_rest = longest(&usual) - usual_us;
    let figures = [
        ("median", "growth-change-delay", median(&delays)),
        ("longest, each time", "growth-change-delay-max", longest(&delays)),
        ("longest of one time", "growth-change-once-max", of_one),
        ("longest without a change", "growth-change-none-max", of_rest),
    ];
    for (line, goal, value) in figures {
        chart.add(line, f64::from(SERVICES), Measurement::of(goal, "us", value));
    }
    Ok(vec![chart])
}

fn longest<'a>(all: impl IntoIterator<Item = &'a f64>) -> f64 {
    all.into_iter().copied().fold(0.0, f64::max)
}
