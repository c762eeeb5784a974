// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures `dpvs` and DPDK's `testpmd` on the same frames, in turn.
//!
//! Both replay a capture file from memory for ever (`net_pcap`, `infinite_rx=1`), which drops what is
//! sent: one process, one processor, an input that is never empty, no generator. `testpmd` swaps
//! addresses and ports: the floor of what touching a packet costs. A packet's cost is the time that
//! the packet thread was on the processor, divided by the packets that the port counted meanwhile, so
//! that other programs on the machine count only by the caches that they take.

mod balancer;
mod plan;
mod process;
mod testpmd;

use anyhow::{Context as _, bail};
use balancer::{Balancer, Setup};
use clap::Parser;
use dpvs_bench::pcap;
use dpvs_bench::traffic::Traffic;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread::sleep;
use std::time::Duration;
use testpmd::Testpmd;

/// Seconds after which idle UDP connections end: none does while it is measured.
const TIMEOUT_LONG: u32 = 3000;

/// A kind of traffic with a number of flows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) traffic: Traffic,
    pub(crate) flows: usize,
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (traffic, flows) = text.split_once(':').unwrap_or((text, "1000"));
        let traffic = clap::ValueEnum::from_str(traffic, false)?;
        let flows = flows.parse().map_err(|_| format!("`{flows}` is not a number of flows"))?;
        Ok(Case { traffic, flows })
    }
}

/// Counters at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) on_cpu: Duration,
}

impl Sample {
    /// Nanoseconds on the processor for each packet since an earlier sample.
    fn ns_per_packet(self, earlier: Sample) -> f64 {
        let ns = (self.on_cpu.saturating_sub(earlier.on_cpu)).as_secs_f64() * 1e9;
        ns / to_f64(self.received.saturating_sub(earlier.received).max(1))
    }
}

/// Counters are far below 2^53.
#[allow(clippy::as_conversions, clippy::cast_precision_loss, reason = "no other way there is")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

/// Measures the balancer against testpmd's 5tswap on the same frames.
#[derive(Debug, Parser)]
#[command(name = "replay")]
struct Cli {
    /// TRAFFIC:FLOWS; may be given several times
    #[arg(long = "case", value_name = "CASE", required = true)]
    cases: Vec<Case>,
    /// How often each is measured
    #[arg(long, default_value_t = 5)]
    repetitions: usize,
    /// How long, in milliseconds
    #[arg(long, default_value_t = 1000)]
    interval: u64,
    /// The processor of the packet threads
    #[arg(long, default_value_t = 1)]
    cpu: u32,
    /// The processor of everything else
    #[arg(long, default_value_t = 0)]
    main_cpu: u32,
    /// The daemon
    #[arg(long, default_value = "target/release/dpvs")]
    dpvs: PathBuf,
    /// Keep the daemon running on the first case for so many seconds, and do nothing else
    #[arg(long)]
    hold: Option<u64>,
}

/// What was measured of a case: medians.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    ours: f64,
    floor: f64,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let directory = tempfile::tempdir()?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{:16} {:>9} {:>9} {:>9} {:>9} {:>7}",
        "traffic", "flows", "dpvs ns", "floor ns", "above", "ratio"
    )?;
    for case in &cli.cases {
        let file = directory.path().join("frames.pcap");
        let frames: usize = case.traffic.frames(case.flows).count();
        pcap::write(&file, case.traffic.frames(case.flows))?;
        if let Some(seconds) = cli.hold {
            return hold(&cli, *case, directory.path(), &file, frames, seconds);
        }
        let outcome = measure(&cli, *case, directory.path(), &file, frames)
            .with_context(|| format!("{}:{}", case.traffic.name(), case.flows))?;
        writeln!(
            out,
            "{:16} {:>9} {:>9.1} {:>9.1} {:>9.1} {:>7.2}",
            case.traffic.name(),
            case.flows,
            outcome.ours,
            outcome.floor,
            outcome.ours - outcome.floor,
            outcome.ours / outcome.floor
        )?;
        out.flush()?;
    }
    Ok(())
}

fn start(
    cli: &Cli,
    case: Case,
    directory: &Path,
    file: &Path,
    frames: usize,
) -> anyhow::Result<Balancer> {
    let mut balancer = Balancer::start(&Setup {
        program: &cli.dpvs,
        directory,
        files: &[file.to_owned()],
        frames,
        cpus: &[cli.cpu],
        connections: 2 * case.traffic.connections(case.flows),
        udp_timeout: TIMEOUT_LONG,
    })?;
    balancer.warm_up(case, frames)?;
    Ok(balancer)
}

fn hold(
    cli: &Cli,
    case: Case,
    directory: &Path,
    file: &Path,
    frames: usize,
    seconds: u64,
) -> anyhow::Result<()> {
    let mut balancer = start(cli, case, directory, file, frames)?;
    writeln!(std::io::stdout(), "{}", balancer.process().id())?;
    sleep(Duration::from_secs(seconds));
    writeln!(std::io::stdout(), "{}", balancer.state()?)?;
    balancer.process().end()?;
    Ok(())
}

fn measure(
    cli: &Cli,
    case: Case,
    directory: &Path,
    file: &Path,
    frames: usize,
) -> anyhow::Result<Outcome> {
    let mut balancer = start(cli, case, directory, file, frames)?;
    balancer.process().pause()?;
    let mut testpmd = Testpmd::start(file, frames, cli.main_cpu, cli.cpu)?;
    testpmd.warm_up(frames)?;
    testpmd.process().pause()?;
    let interval = Duration::from_millis(cli.interval);
    // Caches are cold after the other's turn.
    let settle = interval / 5;
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..cli.repetitions {
        testpmd.process().resume()?;
        sleep(settle);
        let before = testpmd.sample()?;
        sleep(interval);
        floor.push(testpmd.sample()?.ns_per_packet(before));
        testpmd.process().pause()?;

        balancer.process().resume()?;
        sleep(settle);
        let before = balancer.sample()?;
        sleep(interval);
        let after = balancer.sample()?;
        balancer.process().pause()?;
        ours.push(after.ns_per_packet(before));
        let (received, sent) = (after.received - before.received, after.sent - before.sent);
        if sent * 1000 < received * 999 {
            balancer.process().resume()?;
            bail!("of {received} packets {sent} were sent: {}", balancer.state()?);
        }
    }
    balancer.process().end()?;
    testpmd.process().end()?;
    Ok(Outcome { ours: median(ours), floor: median(floor) })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
