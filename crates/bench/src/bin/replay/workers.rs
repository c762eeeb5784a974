// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two workers against one, and what it costs to hand a packet to the worker that owns it.
//!
//! Each worker has a file of its own. On a machine with two processors the rest of the daemon shares
//! one with a worker, which is why only the workers' own time on the processors counts.

use crate::Cli;
use crate::balancer::{Balancer, Setup, UDP_TIMEOUT_LONG};
use crate::case::{Case, Sample};
use anyhow::Context as _;
use dpvs_bench::crowd::Crowd;
use dpvs_bench::measure::{Measurement, median, to_f64};
use dpvs_bench::pcap;
use dpvs_bench::traffic::{self, PORT, Traffic, VIRTUAL};
use dpvs_core::WorkerId;
use dpvs_core::key::{Address, Key};
use dpvs_core::net::Protocol;
use dpvs_core::steering::{KEY_DEFAULT, Steering};
use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;
use tempfile::TempDir;

/// Flows of each worker.
const FLOWS: usize = 1000;

const TRAFFIC: Traffic = Traffic::FullNat;

/// While one of the workers does not run, or runs slower, the ring to it is full, and packets are
/// dropped. What was measured counts only if so many were handed over.
const SHARE_MIN: f64 = 0.8;

/// A daemon with its files.
struct Arrangement {
    balancer: Balancer,
    _directory: TempDir,
}

impl Arrangement {
    /// Starts a worker for each of the processors; worker `n` gets packets of those of `owners[n]`.
    fn start(cli: &Cli, cpus: &[u32], owners: &[WorkerId]) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let (mut files, mut frames) = (Vec::<PathBuf>::new(), 0);
        for (at, owner) in owners.iter().enumerate() {
            let file = directory.path().join(format!("{at}.pcap"));
            frames += pcap::write(&file, flows_of(*owner)?.map(|flow| TRAFFIC.frame(flow, 0)))?;
            files.push(file);
        }
        let case = Case { traffic: TRAFFIC, flows: FLOWS * owners.len() };
        let mut balancer = Balancer::start(&Setup {
            program: &cli.dpvs,
            directory: directory.path(),
            files: &files,
            frames,
            cpus,
            connections: TRAFFIC.table(case.flows),
            udp_timeout: UDP_TIMEOUT_LONG,
        })?;
        balancer.warm_up(case, frames)?;
        balancer.process().pause()?;
        Ok(Arrangement { balancer, _directory: directory })
    }

    /// Lets it run for a while; says what a packet took and what share of them was handed over.
    fn run(&mut self, interval: Duration) -> anyhow::Result<(f64, f64)> {
        self.balancer.process().resume()?;
        sleep(interval / 5);
        let before: Sample = self.balancer.sample()?;
        let handed = self.balancer.counter("handed_in")?;
        sleep(interval);
        let after = self.balancer.sample()?;
        let handed = self.balancer.counter("handed_in")? - handed;
        self.balancer.process().pause()?;
        let share = to_f64(handed) / to_f64((after.packets - before.packets).max(1));
        Ok((after.ns_per_packet(before), share))
    }
}

/// The flows whose packets belong to a worker of two.
fn flows_of(owner: WorkerId) -> anyhow::Result<impl Iterator<Item = u32>> {
    let steering = Steering::new(2, &KEY_DEFAULT);
    let dst = Address::from(VIRTUAL.parse::<IpAddr>()?);
    let is_owned = move |flow: &u32| {
        let (address, sport) = traffic::client(*flow);
        let src = Address::from(IpAddr::V4(address));
        let key = Key { src, dst, sport, dport: PORT, protocol: Protocol::Udp };
        steering.inbound(&key) == owner
    };
    Ok((0..).filter(is_owned).take(FLOWS))
}

/// Measures one worker, two with packets of their own, and two with each other's, in turn.
pub(crate) fn measure(cli: &Cli, found: &mut Vec<Measurement>) -> anyhow::Result<()> {
    let (first, second) = (WorkerId(0), WorkerId(1));
    let cpus = [cli.main_cpu, cli.cpu];
    let mut crowd = Crowd::new(&cpus)?;
    let mut one = Arrangement::start(cli, &[cli.cpu], &[first]).context("one worker")?;
    let mut home = Arrangement::start(cli, &cpus, &[first, second]).context("two workers")?;
    let mut away = Arrangement::start(cli, &cpus, &[second, first]).context("packets of others")?;
    let interval = Duration::from_millis(cli.interval);
    let turns = crowd.calm_turns(cli.repetitions, |watch| {
        let (one_ns, _) = one.run(interval)?;
        watch.look()?;
        let (home_ns, none) = home.run(interval)?;
        watch.look()?;
        let (away_ns, share) = away.run(interval)?;
        anyhow::ensure!(none == 0.0, "packets at home are handed over");
        Ok((one_ns, home_ns, away_ns, share))
    })?;
    let alone: Vec<f64> = turns.values.iter().map(|(one, ..)| *one).collect();
    let scale: Vec<f64> = turns.values.iter().map(|(one, home, ..)| 2.0 * one / home).collect();
    let shares: Vec<f64> = turns.values.iter().map(|(.., share)| *share).collect();
    // What the dropped ones took counts too: the figure never flatters.
    let handed = turns.values.iter().filter(|(.., share)| *share > SHARE_MIN);
    let cost: Vec<f64> = handed.map(|(_, home, away, share)| away / share - home).collect();
    home.balancer.process().resume()?;
    home.balancer.all_was_sent(TRAFFIC)?;
    let mut out = std::io::stdout();
    writeln!(out, "turns: {}, calm: {} of {}", turns.all, turns.calm, cli.repetitions)?;
    writeln!(out, "one worker: {:.1} ns", median(&alone))?;
    writeln!(out, "two workers: {:.2} times as much as one: {scale:.2?}", median(&scale))?;
    writeln!(out, "handed over, of all packets of others: {shares:.2?}")?;
    found.push(Measurement::median("workers-two-against-one", "x", scale));
    anyhow::ensure!(!cost.is_empty(), "too few packets were handed over: {shares:.2?}");
    writeln!(
        out,
        "hand-off: {:.1} ns for each packet handed over, in {} of these turns",
        median(&cost),
        cost.len()
    )?;
    found.push(Measurement::median("workers-hand-off", "ns", cost));
    Ok(())
}
