// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long packets are away at half load, beside testpmd in the balancer's place.
//!
//! Each has a process of its own with a generator, and they take turns; who has no turn is stopped.
//! Half load is half of what a program can take, as latency is measured at a device's own throughput
//! (RFC 2544 section 26.2); testpmd is measured at the balancer's half load, too.

use crate::balancer::{Balancer, Cpus, memif_socket};
use crate::pace::{capacity, fly};
use crate::testpmd::Testpmd;
use crate::wire::{Generator, Wire};
use crate::{Bench, Found, plan, scene_command};
use anyhow::Context as _;
use dpvs_api::types::{Forward, Protocol};
use dpvs_bench::crowd::Crowd;
use dpvs_bench::measure::{Measurement, to_f64};
use dpvs_bench::process::Process;
use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, BufReader, Write as _, stdin, stdout};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

/// Flows.
const FLOWS: u64 = 1000;

/// Seconds after which idle connections end: none does.
const UDP_TIMEOUT: u32 = 3000;

/// How long a turn is. Nobody else is on the core for some tenths of a second.
const TURN: Duration = Duration::from_millis(200);

/// Turns for each repetition that is wanted.
const TURNS: usize = 3;

/// Tries to find out what one takes at most.
const TRIES: usize = 15;

/// How long a process may take to end: longer than the one that forwards may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who sends fewer packets than so many of those that were to be sent found the ring full: the machine
/// has slowed down, and half load is none.
const SHARE_MIN: f64 = 0.98;

/// The quantiles by name, in thousandths.
const QUANTILES: [(&str, usize); 3] = [("p50", 500), ("p99", 990), ("p999", 999)];

/// Who forwards.
const FORWARDERS: [&str; 2] = ["dpvs", "testpmd"];

/// What a turn of one program found.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Turn {
    /// By quantile, in nanoseconds.
    times: [f64; 3],
    timed: usize,
    lost: u64,
    /// Packets that were sent, of those that were to be.
    share: f64,
}

/// A program that forwards, with its generator, in a process of its own.
#[derive(Debug)]
struct Scene {
    /// It ends when its input does.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    process: Process,
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Whatever went wrong, nothing stays behind.
        let _ = self.end();
    }
}

impl Scene {
    fn start(bench: &Bench, forwarder: &str) -> anyhow::Result<Self> {
        let mut command = scene_command(bench, "latency", forwarder)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(&mut command)?;
        let input = process.child().stdin.take();
        let output = BufReader::new(process.child().stdout.take().context("no pipe")?);
        let mut scene = Scene { input, output, process };
        // It is at rest then.
        scene.answer::<()>()?;
        Ok(scene)
    }

    /// Has it carry out an order.
    fn ask<T: for<'a> Deserialize<'a>>(&mut self, order: &Order) -> anyhow::Result<T> {
        let input = self.input.as_mut().context("no pipe")?;
        writeln!(input, "{}", serde_json::to_string(order)?)?;
        self.answer()
    }

    /// Has it end the one that forwards, and itself.
    fn end(&mut self) -> anyhow::Result<()> {
        self.input = None;
        let status = self.process.ended_within(PATIENCE)?.context("it does not end")?;
        anyhow::ensure!(status.success(), "a process that forwards: {status}");
        Ok(())
    }

    fn answer<T: for<'a> Deserialize<'a>>(&mut self) -> anyhow::Result<T> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).context("a process that forwards ended")
    }
}

/// What such a process is told to do.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Order {
    /// Find out how many packets a second it takes at most.
    Capacity,
    /// Forward so many a second.
    Turn(f64),
}

/// What is printed above the lines.
pub(crate) fn heading() -> String {
    format!(
        "time away at half load, us: medians over the turns\n\
         {:27} {:>9} {:>9} {:>9} {:>10} {:>8} {:>10}",
        "", "p50", "p99", "p99.9", "timed", "lost", "packets/s"
    )
}

/// Measures both.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Found> {
    let Cpus { worker, main } = bench.cpus();
    let mut crowd = Crowd::new(&[main, worker])?;
    let [ours, floor] = FORWARDERS;
    let (mut ours, mut floor) = (Scene::start(bench, ours)?, Scene::start(bench, floor)?);
    let tries = crowd.calm_turns(TRIES, |watch| {
        let ours: f64 = ours.ask(&Order::Capacity)?;
        watch.look()?;
        Ok([ours, floor.ask(&Order::Capacity)?])
    })?;
    // The machine only ever takes from it: two processors may be near each other or far apart.
    let [half, floor_half] =
        tries.values.iter().fold([0.0_f64; 2], |[ours, floor], [one, other]| {
            [ours.max(one / 2.0), floor.max(other / 2.0)]
        });
    let count = TURNS * bench.repetitions;
    let mut overloaded = [0, 0, 0];
    let turns = crowd.calm_turns(count, |watch| {
        let ours: Turn = ours.ask(&Order::Turn(half))?;
        watch.look()?;
        let floors: [Turn; 2] =
            [floor.ask(&Order::Turn(floor_half))?, floor.ask(&Order::Turn(half))?];
        let [own, same] = floors;
        let shares = [ours, own, same].map(|turn| turn.share);
        for (count, share) in overloaded.iter_mut().zip(shares) {
            if share < SHARE_MIN {
                *count += 1;
                watch.spoil();
            }
        }
        Ok((ours, floors))
    })?;
    ours.end()?;
    floor.end()?;
    let of = |pick: fn(&(Turn, [Turn; 2])) -> Turn| turns.values.iter().map(pick).collect();
    let rows = [
        Row { name: "dpvs", suffix: "", rate: half, turns: of(|(ours, _)| *ours) },
        Row {
            name: "testpmd",
            suffix: "-testpmd",
            rate: floor_half,
            turns: of(|(_, [own, _])| *own),
        },
        Row {
            name: "testpmd at dpvs's half load",
            suffix: "-testpmd-same-rate",
            rate: half,
            turns: of(|(_, [_, same])| *same),
        },
    ];
    for row in &rows {
        row.print()?;
    }
    let mut out = stdout();
    writeln!(out, "turns: {}, calm and not overloaded: {} of {count}", turns.all, turns.calm)?;
    let [ours, own, same] = overloaded;
    writeln!(out, "overloaded: dpvs in {ours}, testpmd in {own}, at dpvs's half load in {same}")?;
    let mut found = Vec::new();
    for (at, (name, _)) in QUANTILES.iter().enumerate() {
        let [ours, floor, same] = rows.each_ref().map(|row| row.quantile(at));
        let (ratio, at_same) = (ours.value / floor.value, ours.value / same.value);
        writeln!(out, "ratio of {name}: {ratio:.2}; at the same rate {at_same:.2}")?;
        found.extend([ours, floor, same]);
        for (what, ratio) in [("ratio", ratio), ("same-rate-ratio", at_same)] {
            found.push(Measurement::of(format!("generate-dwell-{name}-{what}"), "x", ratio));
        }
    }
    Ok(found)
}

/// What the turns of one program at one rate found.
struct Row {
    name: &'static str,
    /// Of its measurements' names.
    suffix: &'static str,
    /// Packets a second.
    rate: f64,
    turns: Vec<Turn>,
}

impl Row {
    /// The median of one of the [`QUANTILES`], in nanoseconds.
    fn quantile(&self, at: usize) -> Measurement {
        let name = QUANTILES.get(at).map_or("", |(name, _)| *name);
        let times = self.turns.iter().filter_map(|turn| turn.times.get(at).copied()).collect();
        Measurement::median(format!("generate-dwell-{name}{}", self.suffix), "ns", times)
    }

    fn print(&self) -> anyhow::Result<()> {
        let us = |at| self.quantile(at).value / 1e3;
        writeln!(
            stdout(),
            "{:27} {:>9.2} {:>9.2} {:>9.2} {:>10} {:>8} {:>10.0}",
            self.name,
            us(0),
            us(1),
            us(2),
            self.turns.iter().map(|turn| turn.timed).sum::<usize>(),
            self.turns.iter().map(|turn| turn.lost).sum::<u64>(),
            self.rate,
        )?;
        Ok(())
    }
}

/// Serves orders with one of the two, until there are no more.
pub(crate) fn serve(bench: &Bench, generator: &Generator, scene: &str) -> anyhow::Result<Found> {
    let directory = tempfile::tempdir()?;
    let socket = memif_socket(directory.path());
    if scene == "testpmd" {
        let mut testpmd = Testpmd::start(&socket, bench.cpus())?;
        let mut wire = generator.connect(&socket)?;
        // It begins to forward when it has seen the link, for which it looks ten times a second.
        fly(&mut wire, FLOWS, 1e6, Duration::from_secs(1));
        obey(&mut wire, testpmd.process())?;
        return Ok(Found::new());
    }
    let config = plan::config(Protocol::Udp, Forward::FullNat)?;
    let mut balancer =
        Balancer::start(&bench.dpvs, directory.path(), bench.cpus(), 100_000, config, UDP_TIMEOUT)?;
    let mut wire = generator.connect(&socket)?;
    obey(&mut wire, balancer.process())?;
    balancer.end()?;
    Ok(Found::new())
}

fn obey(wire: &mut Wire, forwarder: &mut Process) -> anyhow::Result<()> {
    forwarder.pause()?;
    writeln!(stdout(), "{}", serde_json::to_string(&())?)?;
    for line in stdin().lock().lines() {
        let order = serde_json::from_str(&line?)?;
        forwarder.resume()?;
        let answer = match order {
            Order::Capacity => {
                let greatest = capacity(wire, FLOWS, TURN);
                anyhow::ensure!(greatest > 0.0, "nothing comes back");
                serde_json::to_string(&greatest)?
            }
            Order::Turn(rate) => {
                fly(wire, FLOWS, rate, TURN / 5);
                let mut flight = fly(wire, FLOWS, rate, TURN);
                anyhow::ensure!(flight.timed() > 0, "nothing comes back");
                let times = QUANTILES.map(|(_, per_mille)| flight.quantile(per_mille));
                let share = to_f64(flight.sent) / (rate * TURN.as_secs_f64());
                let (timed, lost) = (flight.timed(), flight.lost());
                serde_json::to_string(&Turn { times, timed, lost, share })?
            }
        };
        forwarder.check()?;
        forwarder.pause()?;
        writeln!(stdout(), "{answer}")?;
    }
    forwarder.resume()
}
