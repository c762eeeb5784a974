// SPDX-License-Identifier: MIT OR Apache-2.0
//! What needs no other program beside: memory, the start, a worker without traffic.

use crate::Cli;
use crate::balancer::{Balancer, Setup, UDP_TIMEOUT_LONG};
use crate::case::Case;
use crate::plan;
use dpvs_bench::measure::{Measurement, to_f64};
use dpvs_bench::pcap;
use dpvs_bench::traffic::Traffic;
use std::io::Write as _;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Connections whose memory is measured.
const CONNECTIONS: usize = 1_000_000;

/// Connections of the daemon that it is compared with: the fewest there can be.
const CONNECTIONS_MIN: usize = 1024;

/// How long the first packet may take.
const FIRST_PACKET_MAX: Duration = Duration::from_secs(60);

/// A worker without traffic needs so long until its sleeps are the longest.
const FALLS_ASLEEP: Duration = Duration::from_secs(1);

/// A port that has one frame, for ever or once, with everything else by default.
fn defaults(directory: &Path, is_endless: bool) -> anyhow::Result<String> {
    let file = directory.join("frames.pcap");
    let frames = Traffic::FullNat.frames(1);
    let count = pcap::write(&file, frames.take(if is_endless { usize::MAX } else { 1 }))?;
    debug_assert!(count > 0, "there is one");
    let endless = if is_endless { ",infinite_rx=1" } else { "" };
    let (name, file) = (plan::DEVICE, file.display());
    Ok(format!(
        "[[port]]\nname = \"{name}\"\ndevice = \"vdev:net_pcap0,rx_pcap={file}{endless}\"\n"
    ))
}

/// From the start of the process to the first packet that it forwarded, defaults everywhere.
pub(crate) fn first_packet(cli: &Cli, found: &mut Vec<Measurement>) -> anyhow::Result<()> {
    let mut samples = Vec::new();
    for _ in 0..cli.repetitions {
        let directory = tempfile::tempdir()?;
        let config = defaults(directory.path(), true)?;
        let began = Instant::now();
        let mut balancer = Balancer::launch(&cli.dpvs, directory.path(), &config, 1)?;
        balancer.configure(plan::config(Traffic::FullNat)?)?;
        while balancer.packets()?.out_packets == 0 {
            anyhow::ensure!(began.elapsed() < FIRST_PACKET_MAX, "no packet was forwarded");
            sleep(Duration::from_millis(1));
        }
        samples.push(began.elapsed().as_secs_f64());
        balancer.process().end()?;
    }
    tell(found, Measurement::median("start-to-first-packet", "s", samples))
}

/// What share of a processor a worker takes that has no traffic, defaults everywhere.
pub(crate) fn idle(cli: &Cli, found: &mut Vec<Measurement>) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let config = defaults(directory.path(), false)?;
    let mut balancer = Balancer::launch(&cli.dpvs, directory.path(), &config, 1)?;
    balancer.configure(plan::config(Traffic::FullNat)?)?;
    sleep(FALLS_ASLEEP);
    let mut samples = Vec::new();
    for _ in 0..cli.repetitions {
        let (began, before) = (Instant::now(), balancer.sample()?);
        sleep(Duration::from_millis(cli.interval));
        let on_cpu = balancer.sample()?.on_cpu.saturating_sub(before.on_cpu);
        samples.push(100.0 * on_cpu.as_secs_f64() / began.elapsed().as_secs_f64());
    }
    balancer.process().end()?;
    tell(found, Measurement::median("idle-cpu", "%", samples))
}

/// What an established connection takes: resident memory of a daemon whose table is full of them,
/// less that of one whose table is the smallest, both with the same frames in buffers.
pub(crate) fn memory(cli: &Cli, found: &mut Vec<Measurement>) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("frames.pcap");
    let case = Case { traffic: Traffic::FullNat, flows: CONNECTIONS };
    let files = [file];
    let frames = pcap::write(&files[0], case.traffic.frames(case.flows))?;
    let mut resident = Vec::new();
    for connections in [CONNECTIONS_MIN, CONNECTIONS] {
        let mut balancer = Balancer::start(&Setup {
            program: &cli.dpvs,
            directory: directory.path(),
            files: &files,
            frames,
            cpus: &[cli.cpu],
            connections,
            udp_timeout: UDP_TIMEOUT_LONG,
        })?;
        let case = Case { flows: connections, ..case };
        balancer.warm_up(case, frames)?;
        resident.push(balancer.process().resident_bytes()?);
        balancer.process().end()?;
    }
    let more =
        resident.iter().max().copied().unwrap_or(0) - resident.iter().min().copied().unwrap_or(0);
    let each = to_f64(more) / to_f64(u64::try_from(CONNECTIONS - CONNECTIONS_MIN)?);
    tell(found, Measurement::of("memory-per-connection-daemon-1000000", "bytes", each))
}

fn tell(found: &mut Vec<Measurement>, measured: Measurement) -> anyhow::Result<()> {
    let Measurement { goal, unit, value, .. } = &measured;
    writeln!(std::io::stdout(), "{goal}: {value:.2} {unit}")?;
    found.push(measured);
    Ok(())
}
