// SPDX-License-Identifier: MIT OR Apache-2.0
//! New connections: every packet of the file makes one.
//!
//! UDP connections end after a second, before the file begins again: as many end as begin. Those of
//! TCP's SYN last a minute, so what is measured is the file's first round, without their end.

use crate::Cli;
use crate::balancer::{Balancer, Setup};
use crate::plan;
use anyhow::Context as _;
use dpvs_bench::crowd::{Crowd, Waited};
use dpvs_bench::measure::{Measurement, median, to_f64};
use dpvs_bench::pcap;
use dpvs_bench::traffic::Traffic;
use std::io::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Packets of the file: more than a worker makes connections of in the time that they last.
const FRAMES: usize = 2_500_000;

/// Seconds that a UDP connection lasts.
const UDP_TIMEOUT: u32 = 1;

/// Between two samples.
const INTERVAL: Duration = Duration::from_millis(150);

/// How long the daemon may take to load the file, or for a round of it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Of so many packets at least a connection must come: others found one that stood.
const SHARE_MIN: f64 = 0.95;

/// By so much at most the ends may differ from the beginnings, of a time that counts.
const BALANCE: f64 = 0.1;

/// Counts at one moment.
#[derive(Clone, Copy)]
struct Count {
    made: u64,
    expired: u64,
    packets: u64,
    on_cpu: Duration,
}

impl Count {
    fn take(balancer: &mut Balancer) -> anyhow::Result<Self> {
        let sample = balancer.sample()?;
        let made = balancer.counter("connections_made")?;
        let expired = balancer.counter("connections_expired")?;
        Ok(Count { made, expired, packets: sample.packets, on_cpu: sample.on_cpu })
    }

    /// Connections for each second on the processor since an earlier count.
    fn rate(self, earlier: Count) -> f64 {
        let seconds = self.on_cpu.saturating_sub(earlier.on_cpu).as_secs_f64();
        to_f64(self.made - earlier.made) / seconds
    }
}

fn start(cli: &Cli, traffic: Traffic) -> anyhow::Result<(Balancer, tempfile::TempDir)> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("frames.pcap");
    let frames = pcap::write(&file, traffic.frames(FRAMES))?;
    let mut balancer = Balancer::start(&Setup {
        program: &cli.dpvs,
        directory: directory.path(),
        files: &[file],
        frames,
        cpus: &[cli.cpu],
        connections: 2 * FRAMES,
        udp_timeout: UDP_TIMEOUT,
    })?;
    balancer.configure(plan::config(traffic)?)?;
    Ok((balancer, directory))
}

/// UDP, with as many ends as beginnings.
fn udp(cli: &Cli) -> anyhow::Result<Vec<f64>> {
    let mut crowd = Crowd::new(&[cli.cpu])?;
    let (mut balancer, _directory) = start(cli, Traffic::FullNat)?;
    let began = Instant::now();
    let rounds = 2 * u64::try_from(FRAMES)?;
    while balancer.counter("connections_expired")? < rounds {
        anyhow::ensure!(
            began.elapsed() < PATIENCE,
            "connections do not end: {}",
            balancer.state()?
        );
        sleep(INTERVAL);
    }
    balancer.process().pause()?;
    // It rests for a thousandth of a second between two turns: its timers hardly notice.
    let turns = crowd.calm_turns(cli.repetitions, |watch| {
        balancer.process().resume()?;
        let before = Count::take(&mut balancer)?;
        sleep(2 * INTERVAL);
        let now = Count::take(&mut balancer)?;
        balancer.process().pause()?;
        let (made, expired) = (now.made - before.made, now.expired - before.expired);
        let share = to_f64(made) / to_f64((now.packets - before.packets).max(1));
        anyhow::ensure!(share > SHARE_MIN, "a packet makes {share:.2} connections");
        // Those that end began a second ago: where the machine's speed has changed since, they are more
        // or fewer.
        let balance = to_f64(expired) / to_f64(made.max(1));
        if !is_level(balance) {
            watch.spoil();
        }
        Ok((now.rate(before), balance))
    })?;
    let level = turns.values.iter().filter(|(_, balance)| is_level(*balance));
    let rates: Vec<f64> = level.map(|(rate, _)| *rate).collect();
    anyhow::ensure!(!rates.is_empty(), "not as many end as begin: {:.2?}", turns.values);
    let (calm, all) = (turns.calm, turns.all);
    writeln!(std::io::stdout(), "turns: {all}, calm and as many ends as beginnings: {calm}")?;
    balancer.process().end()?;
    Ok(rates)
}

fn is_level(balance: f64) -> bool {
    (balance - 1.0).abs() < BALANCE
}

/// The first round of SYNs. It rests before each sample, until the processor is calm.
fn syn(cli: &Cli) -> anyhow::Result<Vec<f64>> {
    let mut crowd = Crowd::new(&[cli.cpu])?;
    let (mut balancer, _directory) = start(cli, Traffic::SynFullNat)?;
    let (began, wanted) = (Instant::now(), u64::try_from(FRAMES)?);
    let mut samples = Vec::new();
    loop {
        balancer.process().pause()?;
        crowd.wait()?;
        balancer.process().resume()?;
        let last = Count::take(&mut balancer)?;
        sleep(INTERVAL);
        let now = Count::take(&mut balancer)?;
        let share = to_f64(now.made - last.made) / to_f64((now.packets - last.packets).max(1));
        if now.made >= wanted {
            break;
        }
        // The first moments are those before it was configured.
        if share > SHARE_MIN {
            samples.push(now.rate(last));
        }
        anyhow::ensure!(began.elapsed() < PATIENCE, "too few are made: {}", balancer.state()?);
    }
    balancer.process().end()?;
    let Waited { calm, all } = crowd.waited();
    writeln!(std::io::stdout(), "turns: {all}, begun calm: {calm}")?;
    anyhow::ensure!(!samples.is_empty(), "the round was over before it was seen");
    Ok(samples)
}

/// Measures both.
pub(crate) fn measure(cli: &Cli, found: &mut Vec<Measurement>) -> anyhow::Result<()> {
    for (name, goal, rates) in [
        ("UDP, and their ends", "openings-udp-full-nat", udp(cli).context("UDP")?),
        ("SYN", "openings-syn-full-nat", syn(cli).context("SYN")?),
    ] {
        let rate = median(&rates);
        writeln!(std::io::stdout(), "new connections, {name}: {:.2} M/s", rate / 1e6)?;
        found.push(Measurement::median(goal, "/s", rates));
    }
    Ok(())
}
