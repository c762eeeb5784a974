// SPDX-License-Identifier: MIT OR Apache-2.0
//! A worker's ways out: transmit queues of its own with the frames that gather for them, or another
//! worker that has one.

use arrayvec::ArrayVec;
use dpdk::{Mbuf, TxQueue, free_bulk};
use dpvs_core::counters::{Counter, WorkerCounters};
use dpvs_core::{BURST, DropReason, WorkerId};

/// Attempts to send what a queue did not take at once. More would hold up what comes in.
const TRIES_MAX: usize = 4;

/// How a worker sends by one port.
#[expect(clippy::large_enum_variant, reason = "few of them; a box costs each frame a miss")]
#[derive(Debug)]
pub(crate) enum Outlet {
    /// By a queue of its own.
    Own(OwnQueue),
    /// By a worker that has a queue: the port has fewer than there are workers.
    Via(WorkerId),
    /// Not at all: there is no such interface.
    None,
}

/// A worker's outlets, by port.
#[derive(Debug, Default)]
pub(crate) struct Outlets {
    /// Of the ports.
    pub(crate) ports: Vec<Outlet>,
    /// Of the kernel interfaces behind them.
    pub(crate) kernel: Vec<Outlet>,
}

/// Which counter counts what a queue has taken.
pub(crate) type Sent = fn(&WorkerCounters) -> &Counter;

/// A transmit queue and the frames that gather for it.
#[derive(Debug)]
pub(crate) struct OwnQueue {
    queue: TxQueue,
    frames: ArrayVec<Mbuf, BURST>,
}

impl OwnQueue {
    /// Takes a queue.
    pub(crate) fn new(queue: TxQueue) -> Self {
        OwnQueue { queue, frames: ArrayVec::new() }
    }

    /// Takes a frame to be sent with the next flush. `sent` of the counters counts what went.
    #[inline]
    pub(crate) fn push(&mut self, frame: Mbuf, counters: &WorkerCounters, sent: Sent) {
        if self.frames.is_full() {
            self.flush(counters, sent);
        }
        // `flush` leaves it empty.
        self.frames.push(frame);
    }

    /// Sends what has gathered. What the port does not take is counted and freed.
    #[inline]
    pub(crate) fn flush(&mut self, counters: &WorkerCounters, sent: Sent) {
        for _ in 0..TRIES_MAX {
            if self.frames.is_empty() {
                return;
            }
            let count = self.queue.burst(&mut self.frames);
            sent(counters).add(u64::try_from(count).unwrap_or(0));
        }
        for _ in &self.frames {
            counters.count_drop(DropReason::TransmitFull);
        }
        free_bulk(&mut self.frames);
    }
}
