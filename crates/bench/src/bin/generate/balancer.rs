// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our daemon, with one worker and one port: the server's end of the shared memory.

use crate::frames::BALANCER_MAC;
use crate::plan::DEVICE;
use crate::wire::RING_BITS;
use anyhow::{Context as _, bail};
use dpvs_api::types::{ConfigApplyParams, ConfigSpec, DeviceFilter, Empty};
use dpvs_api::{Client, method};
use dpvs_bench::process::{Process, pin};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the daemon may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Balancer {
    process: Process,
    client: Client,
    worker: u32,
    directory: PathBuf,
}

/// What it has counted at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) on_cpu: Duration,
    pub(crate) frames_in: u64,
    pub(crate) frames_out: u64,
    pub(crate) made: u64,
    pub(crate) expired: u64,
    /// In the table.
    pub(crate) connections: u64,
    /// Of the last second, the thousandths in which the worker had frames in hands.
    pub(crate) busy_permille: u32,
    /// Frames that its port could not send, as the ring back was full.
    pub(crate) unsent: u64,
    /// Dropped, by reason.
    pub(crate) drops: Vec<(String, u64)>,
}

impl Sample {
    /// What was counted since an earlier one; the connections are those that stand.
    pub(crate) fn since(&self, earlier: &Sample) -> Sample {
        let before = |reason: &str| {
            let found = earlier.drops.iter().find(|(name, _)| name == reason);
            found.map_or(0, |(_, count)| *count)
        };
        let drops = self.drops.iter().map(|(name, count)| (name.clone(), count - before(name)));
        Sample {
            on_cpu: self.on_cpu.saturating_sub(earlier.on_cpu),
            frames_in: self.frames_in - earlier.frames_in,
            frames_out: self.frames_out - earlier.frames_out,
            made: self.made - earlier.made,
            expired: self.expired - earlier.expired,
            connections: self.connections,
            busy_permille: self.busy_permille,
            unsent: self.unsent.saturating_sub(earlier.unsent),
            drops: drops.filter(|(_, count)| *count > 0).collect(),
        }
    }

    /// Frames that found the ring to the generator full.
    pub(crate) fn ring_full(&self) -> u64 {
        let found = self.drops.iter().find(|(name, _)| name == "transmit_full");
        found.map_or(0, |(_, count)| *count)
    }

    /// The drops in words.
    pub(crate) fn dropped(&self) -> String {
        let words: Vec<_> =
            self.drops.iter().map(|(name, count)| format!("{name} {count}")).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    }
}

/// Who runs where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpus {
    /// The thread that forwards.
    pub(crate) worker: u32,
    /// Everything else.
    pub(crate) main: u32,
}

impl Cpus {
    /// A command that may use both, though this process keeps to one.
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &format!("{},{}", self.main, self.worker)]).arg(program);
        command
    }

    /// Moves a program's other threads away from the one that forwards.
    pub(crate) fn keep_free_for(self, process: &Process, worker: u32) -> anyhow::Result<()> {
        for task in fs::read_dir(format!("/proc/{}/task", process.id()))? {
            let thread: u32 = task?.file_name().to_string_lossy().parse()?;
            if thread != worker {
                pin(thread, self.main)?;
            }
        }
        Ok(())
    }
}

/// The socket on which a server of shared memory waits.
pub(crate) fn memif_socket(directory: &Path) -> PathBuf {
    directory.join("memif.sock")
}

impl Balancer {
    /// Starts it with a table for so many connections, and tells it what to do.
    pub(crate) fn start(
        program: &Path,
        directory: &Path,
        cpus: Cpus,
        connections: usize,
        plan: ConfigSpec,
        udp_timeout: u32,
    ) -> anyhow::Result<Self> {
        let memif = memif_socket(directory);
        let mac = BALANCER_MAC.map(|byte| format!("{byte:02x}")).join(":");
        let text = format!(
            "[dataplane]\nworkers = 1\ncpus = [{}]\nconnections = {connections}\n\
             buffers = 16384\nhugepages = \"never\"\nidle_sleep_us = 0\n\
             [timeouts]\nudp = {udp_timeout}\n\
             [[port]]\nname = \"{DEVICE}\"\n\
             device = \"memif:role=server,id=0,socket={},socket-abstract=no,rsize={RING_BITS},mac={mac}\"\n",
            cpus.worker,
            memif.display(),
        );
        let config = directory.join("dpvs.toml");
        fs::write(&config, text)?;
        let socket = directory.join("dpvs.sock");
        for left in [&socket, &memif] {
            let _ = fs::remove_file(left);
        }
        let file = File::create(directory.join("dpvs.log"))?;
        let mut command = cpus.command(program);
        command.arg("--config").arg(&config).arg("--socket").arg(&socket);
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let mut process = Process::start(&mut command)?;
        let client = connect(&mut process, &socket)
            .with_context(|| format!("dpvs does not start: {}", log(directory)))?;
        let worker = process.threads("dpvs-worker0")?;
        let worker = *worker.first().context("the worker has no thread")?;
        cpus.keep_free_for(&process, worker)?;
        let directory = directory.to_owned();
        let mut balancer = Balancer { process, client, worker, directory };
        let params = ConfigApplyParams { config: plan, ..ConfigApplyParams::default() };
        balancer.client.call::<method::ConfigApply>(&params)?;
        Ok(balancer)
    }

    /// What it counts.
    pub(crate) fn sample(&mut self) -> anyhow::Result<Sample> {
        let stats = self.client.call::<method::StatsGet>(&Empty {})?;
        let on_cpu = self.process.on_cpu(self.worker)?;
        let links = self.client.call::<method::LinkList>(&DeviceFilter::default())?;
        let drops = self.client.call::<method::DropList>(&Empty {})?.drops;
        let counter = |name: &str| stats.counters.get(name).copied().context(name.to_owned());
        Ok(Sample {
            on_cpu,
            frames_in: counter("frames_in")?,
            frames_out: counter("frames_out")?,
            made: counter("connections_made")?,
            expired: counter("connections_expired")?,
            connections: stats.workers.iter().map(|worker| worker.connections).sum(),
            busy_permille: stats.workers.iter().map(|worker| worker.busy_permille).sum(),
            unsent: links.links.first().context("no port")?.stats.out_errors,
            drops: drops.into_iter().map(|drop| (drop.reason, drop.count)).collect(),
        })
    }

    /// A second connection to it.
    pub(crate) fn another_client(&self) -> anyhow::Result<Client> {
        Ok(Client::connect(&self.directory.join("dpvs.sock"))?)
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Ends it.
    pub(crate) fn end(&mut self) -> anyhow::Result<()> {
        let status = self.process.end()?;
        if !status.success() {
            bail!("dpvs ended with {status}: {}", log(&self.directory));
        }
        Ok(())
    }
}

fn log(directory: &Path) -> String {
    fs::read_to_string(directory.join("dpvs.log")).unwrap_or_default()
}

/// Connects as soon as it is ready.
fn connect(process: &mut Process, socket: &Path) -> anyhow::Result<Client> {
    let began = Instant::now();
    loop {
        match Client::connect(socket) {
            // The socket is there before the workers are.
            Ok(mut client) => {
                client.call::<method::SystemPing>(&Empty {})?;
                return Ok(client);
            }
            Err(error) if began.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => {
                process.check()?;
                sleep(Duration::from_millis(1));
            }
        }
    }
}
