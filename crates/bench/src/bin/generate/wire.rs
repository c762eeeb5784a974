// SPDX-License-Identifier: MIT OR Apache-2.0
//! The generator's end of the shared memory: a `net_memif` client.
//!
//! The balancer's end is the server, which copies each frame between its own buffers and the
//! client's. The client shares its buffers and copies nothing (`zero-copy=yes`): it costs less than
//! what it measures. That works without hugepages where DPDK keeps its memory in one file
//! (`--single-file-segments`). A process
//! that has had one such port does not get a second one connected (22.11): the server leaves when the
//! buffers are to be shared. So every part of the measurements has its own process.

use anyhow::{Context as _, bail};
use arrayvec::ArrayVec;
use dpdk::{
    DATA_ROOM_DEFAULT, Eal, Hugepages, LogLevel, Mbuf, Pool, Port, PortConfig, PortSpec, RxQueue,
    TxQueue, VdevOptions, free_bulk,
};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Frames of a burst.
pub(crate) const BURST: usize = 32;

/// Places of each ring, as a power of two: as many as a card has.
pub(crate) const RING_BITS: u32 = 10;

const RING: u16 = 1 << RING_BITS;

/// Buffers: both rings are full of them, and there is something in hands and caches.
const BUFFERS: u32 = 8191;

const MEMORY_MB: u32 = 96;

/// How long two ends may take to find each other.
const PATIENCE: Duration = Duration::from_secs(10);

/// Frames in hands.
pub(crate) type Burst = ArrayVec<Mbuf, BURST>;

/// DPDK in this process.
#[derive(Debug)]
pub(crate) struct Generator {
    eal: Eal,
    pool: Pool,
}

/// A connection to whoever forwards.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) rx: RxQueue,
    pub(crate) tx: TxQueue,
    pool: Pool,
    port: Port,
}

impl Generator {
    /// Starts DPDK; the calling thread stays on this processor.
    pub(crate) fn start(cpu: u32) -> anyhow::Result<Self> {
        let eal = Eal::builder()
            .memory_mb(MEMORY_MB)
            .hugepages(Hugepages::Never)
            // It tells of processes that share a port, which are not wanted.
            .log_level(LogLevel::Error)
            .extra_args(["--single-file-segments", "--log-level=pmd.net.memif:critical"])
            .init()?;
        dpdk::pin_current_thread(usize::try_from(cpu)?)?;
        let pool = Pool::new(&eal, "generator", BUFFERS, 256, DATA_ROOM_DEFAULT)?;
        Ok(Generator { eal, pool })
    }

    /// Connects to a server's socket.
    pub(crate) fn connect(&self, socket: &Path) -> anyhow::Result<Wire> {
        let device = format!(
            "memif:role=client,id=0,socket={},socket-abstract=no,zero-copy=yes,rsize={RING_BITS}",
            socket.display()
        );
        let spec: PortSpec = device.parse()?;
        let id = self.eal.attach(&spec, &VdevOptions::default())?;
        let config = PortConfig { rx_desc: RING, tx_desc: RING, ..PortConfig::default() };
        let pools = std::slice::from_ref(&self.pool);
        let (port, mut rx, mut tx) = Port::open(&self.eal, id, &config, pools)?;
        let (rx, tx) = (rx.pop().context("no queue")?, tx.pop().context("no queue")?);
        let wire = Wire { rx, tx, pool: self.pool.clone(), port };
        let began = Instant::now();
        while !wire.port.link()?.up {
            if began.elapsed() > PATIENCE {
                bail!("nobody answers on {}", socket.display());
            }
            sleep(Duration::from_millis(5));
        }
        Ok(wire)
    }
}

impl Wire {
    /// Sends `count` frames, which `fill` makes, of so many bytes. Answers how many the ring took:
    /// what finds no place is dropped.
    #[inline]
    pub(crate) fn send(
        &mut self,
        count: usize,
        len: usize,
        mut fill: impl FnMut(&mut [u8]),
    ) -> usize {
        let mut burst = Burst::new();
        if !self.pool.alloc_bulk(&mut burst, count.min(BURST)) {
            return 0;
        }
        for frame in &mut burst {
            if let Ok(bytes) = frame.append(len) {
                fill(bytes);
            }
        }
        let sent = self.tx.burst(&mut burst);
        free_bulk(&mut burst);
        sent
    }

    /// Takes what has come, shows each frame and lets it go. Answers how many came.
    #[inline]
    pub(crate) fn drain(&mut self, mut see: impl FnMut(&[u8])) -> usize {
        let mut burst = Burst::new();
        let received = self.rx.burst(&mut burst);
        for frame in &burst {
            see(frame.bytes());
        }
        free_bulk(&mut burst);
        received
    }
}
