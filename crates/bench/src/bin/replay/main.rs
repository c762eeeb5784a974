// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures `dpvs` and DPDK's `testpmd` on the same frames, in turn.
//!
//! Both replay a capture file from memory for ever (`net_pcap`, `infinite_rx=1`), which drops what is
//! sent: one process, one processor, an input that is never empty, no generator. `testpmd` swaps
//! addresses and ports: the floor of what touching a packet costs. A packet's cost is the time that
//! the packet thread was on the processor, divided by the packets that the port counted meanwhile, so
//! that other programs on the machine count only by the caches that they take.

mod balancer;
mod case;
mod floor;
mod plan;
mod process;
mod testpmd;

use case::Case;
use clap::Parser;
use dpvs_bench::measure;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures the balancer against testpmd's 5tswap on the same frames.
#[derive(Debug, Parser)]
#[command(name = "replay")]
struct Cli {
    /// TRAFFIC:FLOWS; may be given several times [default: those of docs/performance.md]
    #[arg(long = "case", value_name = "CASE")]
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
    let mut found = Vec::new();
    let result = floor::measure_all(cli, &cases, &mut found);
    // What was found is kept, whatever failed.
    if let Some(path) = &cli.json {
        measure::save(path, &found)?;
    }
    result
}
