// SPDX-License-Identifier: MIT OR Apache-2.0
//! DPDK's own test program in the balancer's place: it swaps addresses and ports.

use crate::balancer::Cpus;
use crate::wire::RING_BITS;
use anyhow::{Context as _, bail};
use dpvs_bench::process::Process;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

/// Lines that it may print before its port is there.
const LINES_MAX: usize = 1000;

/// A running `dpdk-testpmd`.
#[derive(Debug)]
pub(crate) struct Testpmd {
    process: Process,
    /// It ends when these are closed.
    _pipes: (ChildStdin, BufReader<ChildStdout>),
}

impl Testpmd {
    /// Starts it as the server of a socket.
    pub(crate) fn start(socket: &Path, cpus: Cpus) -> anyhow::Result<Self> {
        // Lines, not blocks, come through the pipe.
        let mut command: Command = cpus.command(Path::new("stdbuf"));
        command.args(["-oL", "dpdk-testpmd"]);
        command.args(["--no-huge", "--no-shconf", "--no-telemetry", "--no-pci", "-m", "128"]);
        command.args(["--file-prefix", &format!("generate{}", std::process::id())]);
        command.args(["--log-level=error", &format!("--lcores=0@{},1@{}", cpus.main, cpus.worker)]);
        command.arg(format!(
            "--vdev=net_memif0,role=server,id=0,socket={},socket-abstract=no,rsize={RING_BITS}",
            socket.display()
        ));
        command.args(["--", "-i", "--auto-start", "--forward-mode=5tswap"]);
        command.args(["--port-topology=loop", "--no-flush-rx", "--total-num-mbufs=16384"]);
        // The same buffers and rings as the daemon's.
        command.args(["--mbuf-size=2176", "--rxd=1024", "--txd=1024", "--burst=32"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Process::start(&mut command)?;
        let input = process.child().stdin.take().context("no pipe")?;
        let mut output = BufReader::new(process.child().stdout.take().context("no pipe")?);
        let mut line = String::new();
        // It says so once the port listens; then it waits for the other end.
        for _ in 0..LINES_MAX {
            line.clear();
            if output.read_line(&mut line)? == 0 {
                break;
            }
            if line.starts_with("Port 0:") {
                return Ok(Testpmd { process, _pipes: (input, output) });
            }
        }
        bail!("testpmd does not start its port")
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
