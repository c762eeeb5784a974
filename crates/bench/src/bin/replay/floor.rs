// SPDX-License-Identifier: MIT OR Apache-2.0
//! The balancer against testpmd, in turn on the same frames.

use crate::Cli;
use crate::balancer::{Balancer, Setup, UDP_TIMEOUT_LONG};
use crate::case::Case;
use crate::testpmd::Testpmd;
use anyhow::Context as _;
use dpvs_bench::crowd::Crowd;
use dpvs_bench::measure::{Measurement, to_f64};
use dpvs_bench::pcap;
use std::io::Write as _;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// Measures all cases. One that fails is told, and does not hide the others.
pub(crate) fn measure_all(
    cli: &Cli,
    cases: &[Case],
    found: &mut Vec<Measurement>,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{:16} {:>9} {:>9} {:>9} {:>9} {:>7} {:>7}",
        "traffic", "flows", "dpvs ns", "floor ns", "above", "ratio", "calm"
    )?;
    let mut failed = Vec::new();
    let mut crowd = Crowd::new(&[cli.cpu])?;
    for case in cases {
        let measured = match measure(cli, &mut crowd, *case) {
            Ok(measured) => measured,
            Err(error) => {
                writeln!(out, "{:16} {:>9} failed: {error:#}", case.traffic.name(), case.flows)?;
                failed.push(case.name());
                continue;
            }
        };
        let ([ours, floor, above, ratio, _], calm) = &measured;
        writeln!(
            out,
            "{:16} {:>9} {:>9.1} {:>9.1} {:>9.1} {:>7.2} {calm:>7}",
            case.traffic.name(),
            case.flows,
            ours.value,
            floor.value,
            above.value,
            ratio.value
        )?;
        found.extend(measured.0);
    }
    anyhow::ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

/// Measures a case; says also how many turns were calm, of how many.
fn measure(cli: &Cli, crowd: &mut Crowd, case: Case) -> anyhow::Result<([Measurement; 5], String)> {
    let directory = tempfile::tempdir()?;
    let (mut balancer, frames) = start(cli, case, directory.path())?;
    balancer.process().pause()?;
    let file = directory.path().join(FILE);
    let mut testpmd = Testpmd::start(&file, frames, cli.main_cpu, cli.cpu)?;
    testpmd.warm_up(frames)?;
    testpmd.process().pause()?;
    let interval = Duration::from_millis(cli.interval);
    // Caches are cold after the other's turn.
    let settle = interval / 5;
    let turns = crowd.calm_turns(cli.repetitions, |watch| {
        testpmd.process().resume()?;
        sleep(settle);
        let before = testpmd.sample()?;
        sleep(interval);
        let floor = testpmd.sample()?.ns_per_packet(before);
        testpmd.process().pause()?;

        watch.look()?;
        balancer.process().resume()?;
        sleep(settle);
        let before = balancer.sample()?;
        sleep(interval);
        let ours = balancer.sample()?.ns_per_packet(before);
        balancer.process().pause()?;
        Ok((ours, floor))
    })?;
    let calm = format!("{}/{}", turns.calm, turns.all);
    let (ours, floor) = turns.values.into_iter().unzip();
    balancer.process().resume()?;
    balancer.all_was_sent(case.traffic)?;
    balancer.process().end()?;
    let name = case.name();
    let ours = Measurement::median(format!("replay-{name}-dpvs"), "ns", ours);
    let floor = Measurement::median(format!("replay-{name}-floor"), "ns", floor);
    let (above, ratio) = (ours.value - floor.value, ours.value / floor.value);
    let above = Measurement::of(format!("replay-{name}-above"), "ns", above);
    let ratio = Measurement::of(format!("replay-{name}-ratio"), "x", ratio);
    let share = to_f64(u64::try_from(turns.calm)?) / to_f64(u64::try_from(cli.repetitions.max(1))?);
    let share = Measurement::of(format!("replay-{name}-calm"), "share", share);
    Ok(([ours, floor, above, ratio, share], calm))
}

/// Keeps the balancer on a case, for `perf` and the like. Says its process's number first.
pub(crate) fn hold(cli: &Cli, case: Case, seconds: u64) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let (mut balancer, _) = start(cli, case, directory.path())?;
    writeln!(std::io::stdout(), "{}", balancer.process().id())?;
    sleep(Duration::from_secs(seconds));
    writeln!(std::io::stdout(), "{}", balancer.state()?)?;
    balancer.process().end()?;
    Ok(())
}

const FILE: &str = "frames.pcap";

fn start(cli: &Cli, case: Case, directory: &Path) -> anyhow::Result<(Balancer, usize)> {
    let file = directory.join(FILE);
    let frames = pcap::write(&file, case.traffic.frames(case.flows))?;
    let mut balancer = Balancer::start(&Setup {
        program: &cli.dpvs,
        directory,
        files: &[file],
        frames,
        cpus: &[cli.cpu],
        connections: case.traffic.table(case.flows),
        udp_timeout: UDP_TIMEOUT_LONG,
    })?;
    balancer.warm_up(case, frames).with_context(|| "it does not warm up")?;
    Ok((balancer, frames))
}
