// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many instructions the packet path takes for each packet, and a gate on them.
//!
//! Time on a shared machine drifts by more than a change costs; instructions do not. Each scene runs in
//! a process of its own under callgrind, which counts inside of the functions `counted_*` alone. The
//! counts are compared with those of `crates/bench/instructions.toml`.
#![allow(clippy::print_stdout, reason = "a program")]

mod baseline;
mod callgrind;
mod scenes;

use anyhow::Context as _;
use baseline::Baseline;
use clap::Parser;
use dpvs_bench::measure::{self, Measurement};
use scenes::Scene;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Counts the instructions of the packet path and compares them with the accepted ones.
#[derive(Debug, Parser)]
struct Options {
    /// Takes the counts as the accepted ones.
    #[arg(long)]
    accept: bool,
    /// Counts these scenes alone.
    #[arg(long, value_name = "SCENE", num_args = 1.., conflicts_with = "accept")]
    only: Vec<String>,
    /// Writes the counts to a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where callgrind's profiles go, for `callgrind_annotate`.
    #[arg(long, value_name = "FOLDER", default_value = "target/instructions/callgrind")]
    profiles: PathBuf,
    /// Runs a scene in this process, and nothing else.
    #[arg(long, hide = true)]
    inside: Option<String>,
}

/// So often each scene is counted; the least counts. Tables have random keys: where two of what they hold
/// meet, all packets of a scene may take a few per cent more.
const COUNTS: usize = 3;

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    if let Some(name) = &options.inside {
        scenes::run(Scene::named(name)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let scenes = if options.only.is_empty() {
        Scene::all()
    } else {
        options.only.iter().map(|name| Scene::named(name)).collect::<Result<_, _>>()?
    };
    std::fs::create_dir_all(&options.profiles)
        .with_context(|| format!("cannot make {}", options.profiles.display()))?;
    let mut found = Baseline::of_this_compiler()?;
    let mut measurements = Vec::new();
    for scene in &scenes {
        let name = scene.name();
        let mut count = f64::INFINITY;
        for _ in 0..COUNTS {
            count = count.min(callgrind::count(&name, scenes::PACKETS, &options.profiles)?);
        }
        let goal = format!("instructions-{name}");
        measurements.push(Measurement::of(goal, "instructions/packet", count));
        found.insert(name, count);
    }
    if let Some(file) = &options.json {
        measure::save(file, &measurements)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.toml");
    if options.accept {
        std::fs::write(&file, found.to_text())
            .with_context(|| format!("cannot write {}", file.display()))?;
        println!("accepted: {}", file.display());
        return Ok(ExitCode::SUCCESS);
    }
    let accepted = Baseline::read(&file)?;
    let comparison = accepted.compare(&found, options.only.is_empty());
    print!("{comparison}");
    Ok(if comparison.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
