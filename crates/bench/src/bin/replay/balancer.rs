// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our daemon, on ports that replay files for ever.

use crate::case::{Case, Sample};
use crate::plan::{self, DEVICE};
use anyhow::{Context as _, bail};
use dpvs_api::types::{ConfigApplyParams, ConfigSpec, DeviceFilter, Empty, LinkStats};
use dpvs_api::{Client, method};
use dpvs_bench::process::Process;
use dpvs_bench::traffic::Traffic;
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

/// Seconds after which idle UDP connections end: none does while it is measured.
pub(crate) const UDP_TIMEOUT_LONG: u32 = 3000;

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Balancer {
    process: Process,
    client: Client,
    workers: Vec<u32>,
    log: PathBuf,
    /// What it had received, sent and dropped before it was measured.
    warm: Totals,
}

/// What became of all packets, at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    received: u64,
    sent: u64,
    lost: u64,
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
        let files = self.files.iter().fold(String::new(), |mut text, file| {
            let _ = write!(text, ",rx_pcap={}", file.display());
            text
        });
        format!(
            "[dataplane]\nworkers = {}\ncpus = {:?}\nconnections = {}\nbuffers = {buffers}\n\
             hugepages = \"never\"\nidle_sleep_us = 0\n\
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
        Balancer::launch(setup.program, setup.directory, &setup.config(), setup.files.len())
    }

    /// Starts the daemon with a file of configuration for so many workers.
    pub(crate) fn launch(
        program: &Path,
        directory: &Path,
        text: &str,
        workers_count: usize,
    ) -> anyhow::Result<Self> {
        let config = directory.join("dpvs.toml");
        fs::write(&config, text)?;
        let socket = directory.join("dpvs.sock");
        let _ = fs::remove_file(&socket);
        let log = directory.join("dpvs.log");
        let file = File::create(&log)?;
        let mut command = Command::new(program);
        command.arg("--config").arg(&config).arg("--socket").arg(&socket);
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let mut process = Process::start(&mut command)?;
        let client = match connect(&mut process, &socket) {
            Ok(client) => client,
            Err(error) => {
                // It closes its socket before it says why it ends.
                let _ = process.ended_within(Duration::from_secs(2));
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(error.context(format!("dpvs does not start: {said}")));
            }
        };
        let mut workers = Vec::new();
        for at in 0..workers_count {
            let named = process.threads(&format!("dpvs-worker{at}"))?;
            workers.push(*named.first().context("a worker has no thread")?);
        }
        Ok(Balancer { process, client, workers, log, warm: Totals::default() })
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
        self.wait_for(|balancer| Ok(balancer.packets()?.in_packets >= target))?;
        self.warm = self.totals()?;
        Ok(())
    }

    fn totals(&mut self) -> anyhow::Result<Totals> {
        let stats = self.packets()?;
        let drops = self.client.call::<method::DropList>(&Empty {})?.drops;
        let dropped: u64 = drops.iter().map(|drop| drop.count).sum();
        let lost = dropped + stats.out_errors;
        Ok(Totals { received: stats.in_packets, sent: stats.out_packets, lost })
    }

    /// Fails unless everything that came in since the warm-up left.
    ///
    /// Losses have counters, which must stand still. The port's counters are not read at one moment,
    /// and this program may rest between two of them: that they agree by a tenth only says that
    /// packets were not led to elsewhere.
    pub(crate) fn all_was_sent(&mut self, traffic: Traffic) -> anyhow::Result<()> {
        let (warm, now) = (self.warm, self.totals()?);
        let (received, sent) = (now.received - warm.received, now.sent - warm.sent);
        let lost = now.lost - warm.lost;
        if lost > 0 || sent < received / 10 * 9 {
            let name = traffic.name();
            bail!("{name}: of {received} packets {lost} were lost, {sent} sent: {}", self.state()?);
        }
        Ok(())
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

    /// One of what the workers count.
    pub(crate) fn counter(&mut self, name: &str) -> anyhow::Result<u64> {
        let stats = self.client.call::<method::StatsGet>(&Empty {})?;
        stats.counters.get(name).copied().with_context(|| format!("there is no {name}"))
    }

    /// The port's counters.
    pub(crate) fn packets(&mut self) -> anyhow::Result<LinkStats> {
        let list = self.client.call::<method::LinkList>(&DeviceFilter::default())?;
        Ok(list.links.first().context("no port")?.stats)
    }

    /// Packets and the time that the workers had for them.
    pub(crate) fn sample(&mut self) -> anyhow::Result<Sample> {
        let mut on_cpu = Duration::ZERO;
        for worker in &self.workers {
            on_cpu += self.process.on_cpu_at_tick(*worker)?;
        }
        // Right after the kernel has noted the time.
        Ok(Sample { packets: self.packets()?.in_packets, on_cpu })
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

/// Connects as soon as it is ready.
fn connect(process: &mut Process, socket: &Path) -> anyhow::Result<Client> {
    let began = Instant::now();
    loop {
        process.check()?;
        match Client::connect(socket) {
            // The socket is there before the workers are.
            Ok(mut client) => {
                client.call::<method::SystemPing>(&Empty {})?;
                return Ok(client);
            }
            Err(error) if began.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => sleep(Duration::from_millis(1)),
        }
    }
}
