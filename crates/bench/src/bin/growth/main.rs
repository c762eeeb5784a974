// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the cost of the packet path grows: with flows, services, servers, connections, used ports.
//!
//! On heap frames, through one worker, without ports and rings: what the core alone costs. Frames are
//! made from a counter, and what that costs is taken off.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

mod balancer;
mod change;
mod floods;
mod flows;
mod frames;
mod memory;
mod opening;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use dpvs_bench::chart::{self, Chart};
use dpvs_bench::crowd::{Crowd, Waited};
use dpvs_bench::{measure, process};
use std::path::PathBuf;

/// Measures how the cost of the packet path grows.
#[derive(Debug, Parser)]
struct Options {
    /// Measures this alone.
    #[arg(long, value_enum, value_name = "WHAT", num_args = 1..)]
    only: Vec<What>,
    /// Most flows and connections; 50 million need 10 GB of memory.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000_000)]
    most: u32,
    /// Writes the figures to a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draws pictures into a folder.
    #[arg(long, value_name = "FOLDER")]
    svg: Option<PathBuf>,
    /// Processor to measure on.
    #[arg(long, default_value_t = 1)]
    cpu: u32,
    /// Fills a table of so many connections in this process, and nothing else.
    #[arg(long, hide = true)]
    fill: Option<u32>,
}

/// What the cost grows with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Packets of more and more flows.
    Flows,
    /// Packets of flows through more and more services.
    Services,
    /// Packets beside more and more routes and neighbours.
    Network,
    /// Forwarding methods.
    Methods,
    /// New connections, by every scheduler, to more and more servers.
    Schedulers,
    /// New connections in a table that fills.
    Table,
    /// New connections while local ports run out.
    Ports,
    /// Packets of connections, in more and more of a flood.
    Floods,
    /// A burst while one of many services changes.
    Change,
    /// Memory of a connection.
    Memory,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    process::pin(0, options.cpu)?;
    let mut crowd = Crowd::new(&[options.cpu])?;
    if let Some(connections) = options.fill {
        println!("{}", serde_json::to_string(&memory::fill(&mut crowd, connections)?)?);
        return Ok(());
    }
    let all = if options.only.is_empty() { What::value_variants() } else { &options.only };
    let mut measurements = Vec::new();
    for what in all {
        let crowd = &mut crowd;
        let charts = match what {
            What::Flows => flows::over_flows(crowd, options.most)?,
            What::Services => flows::over_services(crowd)?,
            What::Network => flows::over_network(crowd)?,
            What::Methods => flows::over_methods(crowd)?,
            What::Schedulers => opening::over_servers(crowd)?,
            What::Table => opening::over_table(crowd)?,
            What::Ports => opening::over_ports(crowd)?,
            What::Floods => floods::over_floods(crowd)?,
            What::Change => change::of_services()?,
            What::Memory => memory::of_connections(crowd, options.cpu, options.most)?,
        };
        for chart in &charts {
            print!("{chart}");
            measurements.extend(chart.measurements().cloned());
            if let Some(folder) = &options.svg {
                std::fs::create_dir_all(folder)?;
                Chart::draw(chart, folder)?;
            }
        }
    }
    let Waited { calm, all } = crowd.waited();
    println!("begun on a calm processor: {calm} of {all} times");
    if let Some(file) = &options.json {
        measure::save(file, &measurements)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}
