// SPDX-License-Identifier: MIT OR Apache-2.0
//! The benchmarks, each a program that writes its figures to a file.

use anyhow::Context as _;
use dpvs_bench::measure::Measurement;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// A benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// The daemon beside testpmd.
    Replay,
    /// The daemon by itself: several workers, new connections, memory, start, rest.
    Daemon,
    /// The daemon beside testpmd between two processes: new connections, delays, changes.
    Generate,
    /// The core, with more and more of everything.
    Growth,
    /// Connections in a full table, up to 50 million.
    Capacity,
    /// Instructions of each kind of packet.
    Instructions,
}

impl Part {
    pub(crate) const ALL: &[Part] = &[
        Part::Replay,
        Part::Daemon,
        Part::Generate,
        Part::Growth,
        Part::Capacity,
        Part::Instructions,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Replay => "replay",
            Part::Daemon => "daemon",
            Part::Generate => "generate",
            Part::Growth => "growth",
            Part::Capacity => "capacity",
            Part::Instructions => "instructions",
        }
    }

    /// The program and its arguments: less of everything if it shall be quick.
    fn command(self, quick: bool, pictures: &Path) -> anyhow::Result<Command> {
        let mut command = match self {
            Part::Capacity => Command::new(beside("growth")?),
            Part::Daemon => Command::new(beside("replay")?),
            other => Command::new(beside(other.name())?),
        };
        match self {
            Part::Replay => {
                command.args(["--part", "floor"]);
            }
            Part::Daemon => {
                for part in ["workers", "openings", "memory", "start", "idle"] {
                    command.args(["--part", part]);
                }
            }
            _ => {}
        }
        match self {
            Part::Replay | Part::Daemon | Part::Generate if quick => {
                command.args(["--repetitions", "2", "--interval", "200"]);
            }
            Part::Replay | Part::Daemon => {
                // Short turns: nobody else is on the core for some tenths of a second.
                command.args(["--repetitions", "9", "--interval", "150"]);
            }
            Part::Growth => {
                // All but memory.
                command.args(["--only", "flows", "services", "network", "methods", "schedulers"]);
                command.args(["table", "ports", "floods", "change", "--most"]);
                command.arg(if quick { "100000" } else { "10000000" });
                command.arg("--svg").arg(pictures);
            }
            Part::Capacity => {
                command.args(["--only", "memory", "--most"]);
                command.arg(if quick { "1000000" } else { "50000000" });
                command.arg("--svg").arg(pictures);
            }
            _ => {}
        }
        Ok(command)
    }

    /// Runs it, and keeps what it says. What it had found before is gone then.
    pub(crate) fn run(self, quick: bool, output: &Path, pictures: &Path) -> anyhow::Result<()> {
        let file = self.file(output, "json");
        let _ = fs::remove_file(&file);
        let mut said = File::create(self.file(output, "txt"))?;
        let mut command = self.command(quick, pictures)?;
        command.arg("--json").arg(&file).stdout(Stdio::piped());
        let (began, mut out) = (Instant::now(), std::io::stdout());
        writeln!(out, "\n== {}", self.name())?;
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let lines = child.stdout.take().context("no pipe")?;
        for line in BufReader::new(lines).lines() {
            let line = line?;
            writeln!(out, "{line}")?;
            writeln!(said, "{line}")?;
        }
        let status = child.wait()?;
        writeln!(out, "== {}: {:.0} s", self.name(), began.elapsed().as_secs_f64())?;
        anyhow::ensure!(status.success(), "it failed: {status}");
        Ok(())
    }

    /// What it said.
    pub(crate) fn said(self, output: &Path) -> String {
        fs::read_to_string(self.file(output, "txt")).unwrap_or_default()
    }

    /// Reads what it found; that is nothing if it never ran.
    pub(crate) fn read(self, output: &Path) -> anyhow::Result<Vec<Measurement>> {
        let Ok(text) = fs::read(self.file(output, "json")) else { return Ok(Vec::new()) };
        serde_json::from_slice(&text).context("its figures cannot be read")
    }

    fn file(self, output: &Path, extension: &str) -> PathBuf {
        output.join(self.name()).with_extension(extension)
    }
}

/// A program in the folder of this one.
fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    anyhow::ensure!(path.exists(), "there is no program {name}");
    Ok(path)
}
