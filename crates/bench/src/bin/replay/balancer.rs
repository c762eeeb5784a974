// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our daemon, on ports that replay files for ever.

use crate::plan::{self, DEVICE};
use crate::process::Process;
use crate::{Case, Sample};
use anyhow::{Context as _, bail};
use dpvs_api::types::{ConfigApplyParams, ConfigSpec, DeviceFilter, Empty, LinkStats};
use dpvs_api::{Client, method};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the daemon may take to load a file, or to have all connections.
const PATIENCE: Duration = Duration::from_secs(120);

/// Buffers beside those that hold the file: what is in hands and in caches.
const BUFFERS_MORE: usize = 8192;

/// KiB that a buffer takes in pages of 4 KiB: the frame's 2048 bytes, headroom and what DPDK keeps.
const BUFFER_KB: usize = 3;

/// MiB for everything else.
const MEMORY_MORE_MB: usize = 128;

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Balancer {
    process: Process,
    client: Client,
    workers: Vec<u32>,
    log: PathBuf,
}

/// How the daemon is started.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) program: &'a Path,
    pub(crate) directory: &'a Path,
    /// The files to replay, one for each worker.
    pub(crate) files: &'a [PathBuf],
    /// Frames in all files.
    pub(crate) frames: usize,
    /// Processors for the workers.
    pub(crate) cpus: &'a [u32],
    /// Connections that the tables hold, at least.
    pub(crate) connections: usize,
    /// Seconds after which idle UDP connections end.
    pub(crate) udp_timeout: u32,
}

impl Setup<'_> {
    fn config(&self) -> String {
        let buffers = self.frames + BUFFERS_MORE;
        let memory_mb = buffers * BUFFER_KB / 1024 + MEMORY_MORE_MB;
        let files = self.files.iter().fold(String::new(), |mut text, file| {
            let _ = write!(text, ",rx_pcap={}", file.display());
            text
        });
        format!(
            "[dataplane]\nworkers = {}\ncpus = {:?}\nconnections = {}\nbuffers = {buffers}\n\
             memory_mb = {memory_mb}\nhugepages = \"never\"\nidle_sleep_us = 0\n\
             [timeouts]\nudp = {}\n\
             [icmp]\nrelayed_per_s = 0\nrelayed_per_vip_per_s = 0\nmtu_gap_ms = 0\nmade_per_s = 0\n\
             made_per_destination_per_s = 0\necho_per_s = 0\necho_per_source_per_s = 0\n\
             queries_per_client = 0\n\
             [[port]]\nname = \"{DEVICE}\"\ndevice = \"vdev:net_pcap0{files},infinite_rx=1\"\n",
            self.files.len(),
            self.cpus,
            self.connections.max(1024),
            self.udp_timeout,
        )
    }
}

impl Balancer {
    /// Starts the daemon. Nothing is configured in it yet.
    pub(crate) fn start(setup: &Setup<'_>) -> anyhow::Result<Self> {
        let config = setup.directory.join("dpvs.toml");
        fs::write(&config, setup.config())?;
        let socket = setup.directory.join("dpvs.sock");
        let _ = fs::remove_file(&socket);
        let log = setup.directory.join("dpvs.log");
        let file = File::create(&log)?;
        let mut command = Command::new(setup.program);
        command.arg("--config").arg(&config).arg("--socket").arg(&socket);
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let mut process = Process::start(&mut command)?;
        let began = Instant::now();
        let mut client = loop {
            if let Err(error) = process.check() {
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(error.context(format!("dpvs: {said}")));
            }
            match Client::connect(&socket) {
                Ok(client) => break client,
                Err(error) if began.elapsed() > PATIENCE => return Err(error.into()),
                Err(_) => sleep(Duration::from_millis(10)),
            }
        };
        // The socket is there before the workers are.
        client.call::<method::SystemPing>(&Empty {})?;
        let mut workers = Vec::new();
        for at in 0..setup.files.len() {
            let named = process.threads(&format!("dpvs-worker{at}"))?;
            workers.push(*named.first().context("a worker has no thread")?);
        }
        Ok(Balancer { process, client, workers, log })
    }

    /// Tells it what to do with the traffic.
    pub(crate) fn configure(&mut self, config: ConfigSpec) -> anyhow::Result<()> {
        let params = ConfigApplyParams { config, ..ConfigApplyParams::default() };
        self.client.call::<method::ConfigApply>(&params)?;
        Ok(())
    }

    /// Configures it, and waits until every flow is a connection and has been seen twice more.
    pub(crate) fn warm_up(&mut self, case: Case, frames: usize) -> anyhow::Result<()> {
        self.configure(plan::config(case.traffic)?)?;
        let wanted = u64::try_from(case.traffic.connections(case.flows))?;
        self.wait_for(|balancer| Ok(balancer.connections()? >= wanted))?;
        let rounds = 2 * u64::try_from(frames)?;
        let target = self.packets()?.in_packets + rounds.max(1_000_000);
        self.wait_for(|balancer| Ok(balancer.packets()?.in_packets >= target))
    }

    fn wait_for(
        &mut self,
        mut is_done: impl FnMut(&mut Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        while !is_done(self)? {
            if began.elapsed() > PATIENCE {
                bail!("it takes too long: {}", self.state()?);
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Connections in the tables.
    pub(crate) fn connections(&mut self) -> anyhow::Result<u64> {
        let stats = self.client.call::<method::StatsGet>(&Empty {})?;
        Ok(stats.workers.iter().map(|worker| worker.connections).sum())
    }

    /// The port's counters.
    pub(crate) fn packets(&mut self) -> anyhow::Result<LinkStats> {
        let list = self.client.call::<method::LinkList>(&DeviceFilter::default())?;
        Ok(list.links.first().context("no port")?.stats)
    }

    /// Packets and the time that the workers had for them.
    pub(crate) fn sample(&mut self) -> anyhow::Result<Sample> {
        let stats = self.packets()?;
        let mut on_cpu = Duration::ZERO;
        for worker in &self.workers {
            on_cpu += self.process.on_cpu(*worker)?;
        }
        Ok(Sample { received: stats.in_packets, sent: stats.out_packets, on_cpu })
    }

    /// What it counts, for messages.
    pub(crate) fn state(&mut self) -> anyhow::Result<String> {
        let drops = self.client.call::<method::DropList>(&Empty {})?.drops;
        let drops: Vec<_> = drops.iter().filter(|drop| drop.count > 0).collect();
        let stats = self.client.call::<method::StatsGet>(&Empty {})?;
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        Ok(format!("{drops:?} {stats:?}\n{log}"))
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
