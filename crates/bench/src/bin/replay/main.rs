// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures `dpvs` and DPDK's `testpmd` on the same frames, in turn.
//!
//! Both replay a capture file from memory for ever (`net_pcap`, `infinite_rx=1`), which drops what is
//! sent: one process, one processor, an input that is never empty, no generator. `testpmd` swaps
//! addresses and ports: the floor of what touching a packet costs. A packet's cost is the time that
//! the packet thread was on the processor, divided by the packets that the port counted meanwhile, so
//! that other programs on the machine count only by the caches that they take.

mod alone;
mod balancer;
mod case;
mod floor;
mod openings;
mod plan;
mod testpmd;
mod workers;

use case::Case;
use clap::{Parser, ValueEnum as _};
use dpvs_bench::measure::{self, Measurement};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// A packet's cost, beside that of testpmd's.
    Floor,
    /// Two workers against one, and the hand-off between them.
    Workers,
    /// New connections a second.
    Openings,
    /// Memory of a connection.
    Memory,
    /// Time from the start to the first packet.
    Start,
    /// A worker without traffic.
    Idle,
}

/// Measures the balancer against testpmd's 5tswap on the same frames.
#[derive(Debug, Parser)]
#[command(name = "replay")]
struct Cli {
    /// TRAFFIC:FLOWS; may be given several times [default: those of docs/performance.md]
    #[arg(long = "case", value_name = "CASE")]
    cases: Vec<Case>,
    /// What is measured; may be given several times [default: all, or with a case the floor]
    #[arg(long = "part", value_name = "PART")]
    parts: Vec<Part>,
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
    #[arg(long, value_name = "SECONDS")]
    hold: Option<u64>,
    /// Write what was measured to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "replay: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let cases = if cli.cases.is_empty() { Case::all() } else { cli.cases.clone() };
    if let (Some(seconds), Some(case)) = (cli.hold, cases.first()) {
        return floor::hold(cli, *case, seconds);
    }
    let parts = match (cli.parts.is_empty(), cli.cases.is_empty()) {
        (false, _) => cli.parts.as_slice(),
        (true, false) => &[Part::Floor],
        (true, true) => Part::value_variants(),
    };
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for part in parts {
        if let Err(error) = measure_part(cli, *part, &cases, &mut found) {
            failed.push(format!("{part:?}: {error:#}"));
        }
    }
    // What was found is kept, whatever failed.
    if let Some(path) = &cli.json {
        measure::save(path, &found)?;
    }
    anyhow::ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

fn measure_part(
    cli: &Cli,
    part: Part,
    cases: &[Case],
    found: &mut Vec<Measurement>,
) -> anyhow::Result<()> {
    match part {
        Part::Floor => floor::measure_all(cli, cases, found),
        Part::Workers => workers::measure(cli, found),
        Part::Openings => openings::measure(cli, found),
        Part::Memory => alone::memory(cli, found),
        Part::Start => alone::first_packet(cli, found),
        Part::Idle => alone::idle(cli, found),
    }
}
