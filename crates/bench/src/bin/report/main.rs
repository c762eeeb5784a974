// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the benchmarks one after the other, and says what they found beside what was to be reached.
//!
//! `target/bench/*.json` has every figure, `docs/performance.md` the tables, and
//! `docs/performance/*.svg` the pictures. A benchmark that fails is said and does not hide the others.

mod document;
mod goals;
mod machine;
mod parts;
mod sheet;
mod tables;

use anyhow::Context as _;
use clap::Parser;
use dpvs_bench::measure::Measurement;
use parts::Part;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures what docs/performance.md tells.
#[derive(Debug, Parser)]
#[command(name = "report")]
struct Cli {
    /// Measure less: for a look, not for the document, which stays as it is
    #[arg(long)]
    quick: bool,
    /// Measure nothing: write again what was found before
    #[arg(long, conflicts_with = "quick")]
    render: bool,
    /// Run this benchmark alone; of the others what was found before counts. May be given several
    /// times
    #[arg(long = "only", value_name = "PART")]
    only: Vec<Part>,
    /// Where the figures go
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
    /// Where the document and its pictures are
    #[arg(long, default_value = "docs")]
    docs: PathBuf,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "report: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    fs::create_dir_all(&cli.output).context("cannot make the folder for figures")?;
    let pictures = cli.docs.join("performance");
    let pictures = if cli.quick { cli.output.clone() } else { pictures };
    fs::create_dir_all(&pictures).context("cannot make the folder for pictures")?;
    let (mut found, mut failed) = (Vec::<Measurement>::new(), Vec::new());
    for part in Part::ALL {
        let is_run = !cli.render && (cli.only.is_empty() || cli.only.contains(part));
        if is_run && let Err(error) = part.run(cli.quick, &cli.output, &pictures) {
            failed.push(format!("{}: {error:#}", part.name()));
        }
        match part.read(&cli.output) {
            Ok(more) => found.extend(more),
            Err(error) => failed.push(format!("{}: {error:#}", part.name())),
        }
    }
    let goals = tables::goals(&found);
    writeln!(std::io::stdout(), "\n{goals}")?;
    if let Some(chart) = tables::chart(&found) {
        chart.draw(&pictures)?;
    }
    if !cli.quick {
        let said = |part: Part| part.said(&cli.output);
        let mut tables = vec![
            ("goals", goals.to_string()),
            ("replay", tables::replay(&found).to_string()),
            ("growth", tables::text(&[Part::Growth, Part::Capacity].map(said))),
            ("generate", tables::text(&[said(Part::Generate)])),
        ];
        if !cli.render {
            tables.push(("machine", machine::describe()));
            tables.push(("failed", tables::failures(&failed)));
        }
        document::update(&cli.docs.join("performance.md"), &tables)?;
    }
    anyhow::ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}
