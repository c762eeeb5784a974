// SPDX-License-Identifier: MIT OR Apache-2.0
//! A worker with its queues and rings: carries out what the core decides about frames.
//!
//! Everything here is owned by the worker's thread. Nothing allocates, locks, logs or makes a system
//! call, except the drivers that do.

use crate::handoff::{Handed, Rings, Way};
use crate::outlet::{Outlet, Outlets, Sent};
use crate::port_frame::PortFrame;
use arrayvec::ArrayVec;
use dpdk::{Mbuf, Pool, RxQueue, free_bulk};
use dpvs_core::counters::WorkerCounters;
use dpvs_core::fragment::PIECES_MAX;
use dpvs_core::waiting::Waiting;
use dpvs_core::worker::MadeFrame;
use dpvs_core::{BURST, DropReason, Frame, Millis, PortId, Verdict, Worker, WorkerId};
use std::sync::Arc;

/// Bursts taken from one ring in a round: after this thread was held up a ring is full, and would stay
/// so if no more went out than comes in. What was handed over has cost the most.
const HANDED_BURSTS_MAX: usize = 4;

/// A receive queue of a port.
#[derive(Debug)]
pub(crate) struct Inlet {
    /// The port, as the tables count.
    pub(crate) port: PortId,
    /// The queue.
    pub(crate) queue: RxQueue,
    /// Frames whose hash is still to be compared with ours, on a port that steers by it.
    pub(crate) hashes_to_check: u16,
}

/// What is counted of frames that a port has taken.
const TO_PORT: Sent = |counters| &counters.frames_out;
/// What is counted of frames that a kernel interface has taken.
const TO_KERNEL: Sent = |counters| &counters.frames_to_kernel;

/// Frames of a queue whose hashes are compared at the start: if the port hashes in another way than
/// it was told to, every flow would take a hand-over that nobody expects.
pub(crate) const HASHES_TO_CHECK: u16 = 64;

/// Where frames come in to a worker.
#[derive(Debug, Default)]
pub(crate) struct Inlets {
    /// Ports.
    pub(crate) ports: Vec<Inlet>,
    /// Kernel interfaces; only the first worker has any.
    pub(crate) kernel: Vec<Inlet>,
}

/// A worker's ways out.
#[derive(Debug)]
pub(crate) struct Ways {
    outlets: Outlets,
    rings: Rings,
    counters: Arc<WorkerCounters>,
    /// Frames to be freed together.
    freed: ArrayVec<Mbuf, BURST>,
}

/// A worker and everything it works with.
#[derive(Debug)]
pub(crate) struct Lane {
    worker: Worker,
    inlets: Inlets,
    ways: Ways,
    waiting: Waiting<PortFrame>,
    pool: Pool,
    received: ArrayVec<Mbuf, BURST>,
    frames: ArrayVec<PortFrame, BURST>,
    /// What is decided about each of them. Every burst writes those of its frames.
    verdicts: Box<[Verdict; BURST]>,
    /// Frames of this burst that are to be cut, with the greatest length of the pieces.
    to_split: ArrayVec<(PortFrame, u32), BURST>,
    connections: usize,
}

impl Ways {
    /// Puts a worker's ways out together.
    pub(crate) fn new(outlets: Outlets, rings: Rings, counters: Arc<WorkerCounters>) -> Self {
        Ways { outlets, rings, counters, freed: ArrayVec::new() }
    }

    /// Carries out a verdict. [`Verdict::Wait`] and [`Verdict::Split`] are for the caller, who has
    /// the queue and the worker; here they end the frame.
    #[inline]
    fn carry_out(&mut self, frame: PortFrame, verdict: Verdict) {
        match verdict {
            Verdict::Transmit(port) => self.send(Way::Port(port), frame.into_mbuf()),
            Verdict::Kernel(port) => self.send(Way::Kernel(port), frame.into_mbuf()),
            Verdict::Redirect(worker) => self.hand(worker, frame),
            Verdict::Split(_) | Verdict::Wait(_) | Verdict::Consumed | Verdict::Drop(_) => {
                self.free(frame.into_mbuf());
            }
        }
    }

    /// Sends a finished frame, by a queue of this worker or through another one.
    #[allow(clippy::inline_always, reason = "it is done for each frame, in a few places")]
    #[inline(always)]
    fn send(&mut self, way: Way, frame: Mbuf) {
        let (outlet, sent) = match way {
            Way::Port(port) => (self.outlets.ports.get_mut(port.index()), TO_PORT),
            Way::Kernel(port) => (self.outlets.kernel.get_mut(port.index()), TO_KERNEL),
        };
        match outlet {
            Some(Outlet::Own(queue)) => queue.push(frame, &self.counters, sent),
            Some(Outlet::Via(worker)) => {
                if let Err(frame) = self.rings.send(*worker, way, frame) {
                    self.counters.count_drop(DropReason::TransmitFull);
                    self.free(frame);
                }
            }
            Some(Outlet::None) | None => {
                self.counters.count_drop(DropReason::NoKernelInterface);
                self.free(frame);
            }
        }
    }

    /// Gathers a frame for the worker that owns it.
    #[inline]
    fn hand(&mut self, worker: WorkerId, frame: PortFrame) {
        let Some(to) = self.rings.to(worker) else {
            return shed(&self.counters, &mut self.freed, frame);
        };
        if to.is_full() {
            to.write().for_each(|frame| shed(&self.counters, &mut self.freed, frame));
        }
        to.gather(frame);
    }

    #[inline]
    fn free(&mut self, frame: Mbuf) {
        free(&mut self.freed, frame);
    }

    /// Hands over, sends and frees what has gathered.
    fn flush(&mut self) {
        for to in self.rings.outgoing() {
            to.write().for_each(|frame| shed(&self.counters, &mut self.freed, frame));
        }
        for (outlets, sent) in
            [(&mut self.outlets.ports, TO_PORT), (&mut self.outlets.kernel, TO_KERNEL)]
        {
            for outlet in outlets {
                if let Outlet::Own(queue) = outlet {
                    queue.flush(&self.counters, sent);
                }
            }
        }
        free_bulk(&mut self.freed);
    }
}

/// Ends a frame that the worker that owns it has no room for.
#[cold]
fn shed(counters: &WorkerCounters, freed: &mut ArrayVec<Mbuf, BURST>, frame: PortFrame) {
    counters.count_drop(DropReason::SteerFull);
    free(freed, frame.into_mbuf());
}

#[inline]
fn free(freed: &mut ArrayVec<Mbuf, BURST>, frame: Mbuf) {
    if freed.is_full() {
        free_bulk(freed);
    }
    freed.push(frame);
}

impl Lane {
    /// Puts a worker and what it works with together. `pool` is for the frames it makes itself.
    pub(crate) fn new(worker: Worker, inlets: Inlets, ways: Ways, pool: Pool) -> Self {
        Lane {
            worker,
            inlets,
            ways,
            waiting: Waiting::new(),
            pool,
            received: ArrayVec::new(),
            frames: ArrayVec::new(),
            verdicts: Box::new([Verdict::Consumed; BURST]),
            to_split: ArrayVec::new(),
            connections: 0,
        }
    }

    /// Does one round: a burst from each port, a few from each ring, what waits, what was made and
    /// learned. Returns whether there was any frame.
    pub(crate) fn round(&mut self, now: Millis) -> bool {
        let mut is_busy = false;
        for index in 0..self.inlets.ports.len() {
            is_busy |= self.receive(now, index);
        }
        for index in 0..self.ways.rings.incoming() {
            is_busy |= self.take_handed(now, index);
        }
        for index in 0..self.inlets.kernel.len() {
            is_busy |= self.relay_from_kernel(index);
        }
        let ways = &mut self.ways;
        self.waiting.poll(&mut self.worker, now, |frame, verdict| {
            is_busy = true;
            ways.carry_out(frame, verdict);
        });
        for made in self.worker.take_made() {
            is_busy = true;
            send_made(ways, &self.pool, &made);
        }
        for update in self.worker.take_learned() {
            ways.rings.tell_all(update);
        }
        ways.flush();
        is_busy
    }

    /// Does a piece of what the control thread asks for. Returns whether to go on, and whether
    /// something was done that has a next piece.
    pub(crate) fn poll_control(&mut self, now: Millis) -> (bool, bool) {
        let goes_on = self.worker.poll_control(now);
        let connections = self.worker.connections().len();
        let has_changed = connections != self.connections;
        self.connections = connections;
        (goes_on, has_changed)
    }

    /// Takes a burst from a port and carries out what is decided about it.
    fn receive(&mut self, now: Millis, index: usize) -> bool {
        let Some(inlet) = self.inlets.ports.get_mut(index) else { return false };
        if inlet.queue.burst(&mut self.received) == 0 {
            return false;
        }
        let port = inlet.port;
        for mbuf in self.received.drain(..) {
            if let Some(frame) = PortFrame::received(mbuf, port) {
                self.frames.push(frame);
            } else {
                self.ways.counters.frames_in.add(1);
                self.ways.counters.count_drop(DropReason::MultiSegment);
            }
        }
        if inlet.hashes_to_check > 0 {
            for frame in &self.frames {
                if let Some(is_ours) = self.worker.has_our_hash(frame) {
                    inlet.hashes_to_check = inlet.hashes_to_check.saturating_sub(1);
                    self.ways.counters.rss_mismatched.add(u64::from(!is_ours));
                }
            }
        }
        self.worker.process(now, &mut self.frames, &mut self.verdicts);
        self.carry_out_burst(now);
        true
    }

    /// Takes a few bursts at most from the rings of another worker.
    fn take_handed(&mut self, now: Millis, index: usize) -> bool {
        let mut is_busy = self.take_others(now, index);
        for _ in 0..HANDED_BURSTS_MAX {
            let frames = self.ways.rings.take_frames(index, BURST);
            // All of a frame is in the other processor's cache. The fetches go on side by side.
            self.frames.extend(frames.inspect(PortFrame::prefetch_buffer));
            self.frames.iter().for_each(PortFrame::prefetch_bytes);
            let count = self.frames.len();
            if count > 0 {
                is_busy = true;
                self.worker.process_handed(now, &mut self.frames, &mut self.verdicts);
                self.carry_out_burst(now);
            }
            if count < BURST {
                break;
            }
        }
        is_busy
    }

    /// Sends for another worker, and learns of it.
    fn take_others(&mut self, now: Millis, index: usize) -> bool {
        let mut sent: ArrayVec<(Way, Mbuf), BURST> = ArrayVec::new();
        let mut is_busy = false;
        for handed in self.ways.rings.take_others(index, BURST) {
            is_busy = true;
            match handed {
                Handed::Send(way, frame) => sent.push((way, frame)),
                Handed::Learned(update) => self.worker.learn(now, update),
            }
        }
        for (way, frame) in sent {
            self.ways.send(way, frame);
        }
        is_busy
    }

    /// Sends what the kernel wants to send, as it is.
    fn relay_from_kernel(&mut self, index: usize) -> bool {
        let Some(inlet) = self.inlets.kernel.get_mut(index) else { return false };
        if inlet.queue.burst(&mut self.received) == 0 {
            return false;
        }
        let count = u64::try_from(self.received.len()).unwrap_or(0);
        self.ways.counters.frames_from_kernel.add(count);
        for mbuf in self.received.drain(..) {
            self.ways.send(Way::Port(inlet.port), mbuf);
        }
        true
    }

    #[inline]
    fn carry_out_burst(&mut self, now: Millis) {
        for (frame, verdict) in self.frames.drain(..).zip(&*self.verdicts) {
            match *verdict {
                // As most are.
                Verdict::Transmit(port) => self.ways.send(Way::Port(port), frame.into_mbuf()),
                Verdict::Split(mtu) => self.to_split.push((frame, mtu)),
                verdict => {
                    settle(&mut self.waiting, (&self.worker, &mut self.ways), frame, verdict);
                }
            }
        }
        if !self.to_split.is_empty() {
            self.split(now);
        }
    }

    /// Cuts the frames that are too long for their ways out, and decides about the pieces.
    #[cold]
    fn split(&mut self, now: Millis) {
        while let Some((whole, mtu)) = self.to_split.pop() {
            let mut pieces: ArrayVec<PortFrame, PIECES_MAX> = ArrayVec::new();
            match cut(&self.worker, &self.pool, (&whole, mtu), &mut pieces) {
                Ok(()) => {
                    let count = u64::try_from(pieces.len()).unwrap_or(0);
                    self.ways.counters.frames_made.add(count);
                    self.ways.counters.frames_used.add(1);
                }
                Err(reason) => {
                    self.worker.count_drop(reason);
                    // Part of a datagram is worth nothing.
                    pieces.drain(..).for_each(|piece| self.ways.free(piece.into_mbuf()));
                }
            }
            self.ways.free(whole.into_mbuf());
            let mut pieces = pieces.into_iter().peekable();
            while pieces.peek().is_some() {
                let mut burst: ArrayVec<PortFrame, BURST> = pieces.by_ref().take(BURST).collect();
                let mut verdicts = [Verdict::Consumed; BURST];
                self.worker.process_split(now, &mut burst, &mut verdicts);
                for (piece, verdict) in burst.into_iter().zip(verdicts) {
                    // Nothing that was cut to fit is cut again.
                    if matches!(verdict, Verdict::Split(_)) {
                        self.worker.count_drop(DropReason::TooBig);
                    }
                    settle(&mut self.waiting, (&self.worker, &mut self.ways), piece, verdict);
                }
            }
        }
    }
}

/// Carries out a verdict; a frame whose next hop is asked for waits.
#[inline]
fn settle(
    waiting: &mut Waiting<PortFrame>,
    (worker, ways): (&Worker, &mut Ways),
    frame: PortFrame,
    verdict: Verdict,
) {
    match verdict {
        Verdict::Wait(hop) => {
            if let Some(frame) = waiting.push(worker, frame, hop) {
                ways.free(frame.into_mbuf());
            }
        }
        verdict => ways.carry_out(frame, verdict),
    }
}

/// Cuts a frame into pieces of at most `mtu` bytes, in buffers of their own.
fn cut(
    worker: &Worker,
    pool: &Pool,
    (whole, mtu): (&PortFrame, u32),
    pieces: &mut ArrayVec<PortFrame, PIECES_MAX>,
) -> Result<(), DropReason> {
    let port = whole.rx().port;
    for piece in worker.split(whole, mtu).ok_or(DropReason::TooBig)? {
        let no_buffer = |_| DropReason::TransmitFull;
        let mut mbuf = Mbuf::from_bytes(pool, &piece.header).map_err(no_buffer)?;
        mbuf.extend_from_slice(piece.payload).map_err(no_buffer)?;
        let frame = PortFrame::received(mbuf, port).ok_or(DropReason::MultiSegment)?;
        pieces.try_push(frame).map_err(|_| DropReason::TooBig)?;
    }
    Ok(())
}

/// Sends a frame that the core made out of nothing. Without a buffer it is lost, and asked for
/// again.
fn send_made(ways: &mut Ways, pool: &Pool, made: &MadeFrame) {
    match Mbuf::from_bytes(pool, made.bytes()) {
        Ok(frame) => ways.send(Way::Port(made.port), frame),
        Err(_) => ways.counters.count_drop(DropReason::TransmitFull),
    }
}

/// Which worker sends by a port for a worker without a queue of its own there.
pub(crate) fn sender_for(worker: usize, tx_queues: usize) -> WorkerId {
    WorkerId(u8::try_from(worker % tx_queues.max(1)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_without_a_queue_are_shared_among_those_with_one() {
        let senders: Vec<u8> = (2..6).map(|worker| sender_for(worker, 2).0).collect();
        assert_eq!(senders, [0, 1, 0, 1]);
        assert_eq!(sender_for(3, 0), WorkerId(0));
    }
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod dpdk_tests;
