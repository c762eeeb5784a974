// SPDX-License-Identifier: MIT OR Apache-2.0
//! DPDK's own test program, which swaps addresses and ports: the floor of what a packet costs.

use crate::case::Sample;
use anyhow::{Context as _, bail};
use dpvs_bench::process::Process;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Lines that it may print before what was asked for.
const LINES_MAX: usize = 10_000;

/// Buffers beside those that hold the file.
const BUFFERS_MORE: usize = 8192;

/// KiB that DPDK asks for each buffer of 2 KiB, in pages of 4 KiB.
const BUFFER_KB: usize = 4;

/// MiB for everything else.
const MEMORY_MORE_MB: usize = 128;

/// A running `dpdk-testpmd`. It is killed with this value: it has nothing to put away, and it does not
/// always hear a friendlier signal while it waits for input.
#[derive(Debug)]
pub(crate) struct Testpmd {
    process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    thread: u32,
}

impl Testpmd {
    /// Starts it on a file; it forwards on `cpu` and talks on `main_cpu`.
    pub(crate) fn start(
        file: &Path,
        frames: usize,
        main_cpu: u32,
        cpu: u32,
    ) -> anyhow::Result<Self> {
        let buffers = frames + BUFFERS_MORE;
        let memory_mb = buffers * BUFFER_KB / 1024 + MEMORY_MORE_MB;
        // Lines, not blocks, come through the pipe.
        let mut command = Command::new("stdbuf");
        command.args(["-oL", "dpdk-testpmd", "--no-huge", "--no-shconf", "--no-telemetry"]);
        command.args(["--no-pci", "--file-prefix", &format!("bench{}", std::process::id())]);
        command.args(["--log-level=warning", "-m", &memory_mb.to_string()]);
        command.arg(format!("--lcores=0@{main_cpu},1@{cpu}"));
        command.arg(format!("--vdev=net_pcap0,rx_pcap={},infinite_rx=1", file.display()));
        command.args([
            "--",
            "-i",
            "--forward-mode=5tswap",
            "--port-topology=loop",
            "--no-flush-rx",
        ]);
        // The same buffers and rings as the daemon's.
        command.args(["--mbuf-size=2176", "--rxd=1024", "--txd=1024", "--burst=32"]);
        command.arg(format!("--total-num-mbufs={buffers}"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Process::start(&mut command)?;
        let input = process.child().stdin.take().context("no pipe")?;
        let output = BufReader::new(process.child().stdout.take().context("no pipe")?);
        let mut testpmd = Testpmd { process, input, output, thread: 0 };
        testpmd.say("start")?;
        // Answers come in order.
        testpmd.counter("RX-packets:")?;
        let threads = testpmd.process.threads("rte-worker-1")?;
        testpmd.thread = *threads.first().context("testpmd has no packet thread")?;
        Ok(testpmd)
    }

    fn say(&mut self, line: &str) -> anyhow::Result<()> {
        writeln!(self.input, "{line}")?;
        self.input.flush()?;
        Ok(())
    }

    fn counter(&mut self, name: &str) -> anyhow::Result<u64> {
        self.say("show port stats 0")?;
        let mut line = String::new();
        for _ in 0..LINES_MAX {
            line.clear();
            if self.output.read_line(&mut line)? == 0 {
                self.process.check()?;
                bail!("testpmd closed its output");
            }
            if let Some((_, rest)) = line.split_once(name) {
                let number = rest.split_whitespace().next().context("no number")?;
                return Ok(number.parse()?);
            }
        }
        bail!("testpmd does not tell {name}")
    }

    /// Packets and the time it had for them.
    pub(crate) fn sample(&mut self) -> anyhow::Result<Sample> {
        let on_cpu = self.process.on_cpu_at_tick(self.thread)?;
        // Right after the kernel has noted the time.
        Ok(Sample { packets: self.counter("RX-packets:")?, on_cpu })
    }

    /// Waits until it has seen every frame twice.
    pub(crate) fn warm_up(&mut self, frames: usize) -> anyhow::Result<()> {
        let wanted = 2 * u64::try_from(frames)?.max(500_000);
        while self.counter("RX-packets:")? < wanted {
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
