// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures `dpvs` between two processes: clients and real servers are this one, on one processor,
//! and the balancer has another for its worker.
//!
//! The two share memory (`net_memif`). Where time is told as "on cpu", it is what the worker's thread
//! was on its processor, which does not count what other programs took.

mod balancer;
mod change;
mod connections;
mod frames;
mod latency;
mod pace;
mod plan;
mod replies;
mod stamp;
mod testpmd;
mod wire;

use anyhow::Context as _;
use balancer::Cpus;
use clap::{Parser, ValueEnum};
use dpvs_bench::measure::{self, Measurement};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use wire::Generator;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// New connections a second
    Connections,
    /// Both directions of connections that stand
    Replies,
    /// How long packets are away, beside testpmd
    Latency,
    /// How long they are while the configuration changes
    Change,
}

impl Mode {
    /// What is printed above its lines.
    fn heading(self) -> String {
        match self {
            Mode::Connections => connections::heading(),
            Mode::Replies => replies::heading(),
            Mode::Latency => latency::heading(),
            Mode::Change => change::heading(),
        }
    }

    /// Measures all of its parts, each in a process of its own.
    fn measure(self, bench: &Bench) -> anyhow::Result<Found> {
        let scenes: &[&str] = match self {
            Mode::Connections => &connections::NAMES,
            Mode::Replies => &replies::NAMES,
            // Its processes take turns.
            Mode::Latency => return latency::measure(bench),
            Mode::Change => &["all"],
        };
        let mut found = Found::new();
        for scene in scenes {
            found.extend(in_own_process(bench, self, scene)?);
        }
        Ok(found)
    }

    fn run(self, bench: &Bench, generator: &Generator, scene: &str) -> anyhow::Result<Found> {
        match self {
            Mode::Connections => connections::run(bench, generator, scene),
            Mode::Replies => replies::run(bench, generator, scene),
            Mode::Latency => latency::serve(bench, generator, scene),
            Mode::Change => change::run(bench, generator),
        }
    }
}

/// What a part has measured.
pub(crate) type Found = Vec<Measurement>;

/// Measures the balancer between two processes.
#[derive(Clone, Debug, Parser)]
#[command(name = "generate")]
struct Cli {
    /// What to measure; everything by default
    #[arg(value_name = "MODE")]
    modes: Vec<Mode>,
    /// Measure this part of the one mode, in this process
    #[arg(long, hide = true)]
    scene: Option<String>,
    #[command(flatten)]
    bench: Bench,
    /// Write what was measured to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What all modes need to know.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Bench {
    /// How often each is measured
    #[arg(long, default_value_t = 5)]
    pub(crate) repetitions: usize,
    /// How long, in milliseconds; the turns of `latency` are shorter
    #[arg(long, default_value_t = 500)]
    interval: u64,
    /// The processor of the worker
    #[arg(long, default_value_t = 1)]
    cpu: u32,
    /// The processor of the generator
    #[arg(long, default_value_t = 0)]
    main_cpu: u32,
    /// The daemon
    #[arg(long, default_value = "target/release/dpvs")]
    pub(crate) dpvs: PathBuf,
}

impl Bench {
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(self.interval)
    }

    pub(crate) fn cpus(&self) -> Cpus {
        Cpus { worker: self.cpu, main: self.main_cpu }
    }
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let modes = if cli.modes.is_empty() { Mode::value_variants() } else { &cli.modes };
    let mut found = Vec::new();
    if let (Some(scene), [mode]) = (&cli.scene, modes) {
        let generator = Generator::start(cli.bench.main_cpu)?;
        found = mode.run(&cli.bench, &generator, scene)?;
    } else {
        for mode in modes {
            writeln!(std::io::stdout(), "\n{}", mode.heading())?;
            found.extend(mode.measure(&cli.bench)?);
        }
    }
    if let Some(file) = &cli.json {
        measure::save(file, &found)?;
    }
    Ok(())
}

/// Measures a part in a process of its own: see [`wire`] for why.
fn in_own_process(bench: &Bench, mode: Mode, scene: &str) -> anyhow::Result<Found> {
    let file = tempfile::NamedTempFile::new()?;
    let mode = mode.to_possible_value().context("a mode without a name")?;
    let mut command = scene_command(bench, mode.get_name(), scene)?;
    let status = command.arg("--json").arg(file.path()).status()?;
    anyhow::ensure!(status.success(), "{} of {scene}: {status}", mode.get_name());
    Ok(serde_json::from_slice(&std::fs::read(file.path())?)?)
}

/// This program, for one part.
fn scene_command(bench: &Bench, mode: &str, scene: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([mode, "--scene", scene]);
    command.args(["--repetitions", &bench.repetitions.to_string()]);
    command.args(["--interval", &bench.interval.to_string()]);
    command.args(["--cpu", &bench.cpu.to_string(), "--main-cpu", &bench.main_cpu.to_string()]);
    command.arg("--dpvs").arg(&bench.dpvs);
    Ok(command)
}
