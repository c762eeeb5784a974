// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rings between workers: one for each ordered pair, one thread at each end.
//!
//! They carry frames to the workers that own them, finished frames to workers that have a transmit
//! queue, and link addresses that one worker learned to all others.

use crate::port_frame::PortFrame;
use arrayvec::ArrayVec;
use dpdk::Mbuf;
use dpvs_core::neighbour::NeighbourUpdate;
use dpvs_core::{BURST, PortId, WorkerId};
use rtrb::chunks::{ChunkError, ReadChunk};
use rtrb::{Consumer, Producer, RingBuffer};

/// Room for the frames that come in to one worker, shared by the rings of all others.
const INCOMING_MAX: usize = 4096;

/// Room of one ring at most and at least.
const RING_LEN_MAX: usize = 1024;
const RING_LEN_MIN: usize = 128;

/// What one worker hands to another beside frames of the other's connections.
#[derive(Debug)]
pub(crate) enum Handed {
    /// A finished frame, for a queue that the other one has.
    Send(Way, Mbuf),
    /// A link address.
    Learned(NeighbourUpdate),
}

/// Where a finished frame leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By this port.
    Port(PortId),
    /// By the kernel interface of this port.
    Kernel(PortId),
}

/// One worker's ends of the rings.
#[derive(Debug)]
pub(crate) struct Rings {
    /// By worker; none to itself.
    to: Vec<Option<Outgoing>>,
    /// In no order.
    from: Vec<Incoming>,
}

/// The ends of the rings to a worker.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// Frames as they came in, of connections that the other one owns. They alone are in this ring,
    /// since eight of them share a cache line.
    frames: Producer<PortFrame>,
    /// Those of a burst, to be written at once: what one end writes the other end has to fetch.
    gathered: ArrayVec<PortFrame, BURST>,
    others: Producer<Handed>,
}

/// The ends of the rings from a worker.
#[derive(Debug)]
struct Incoming {
    frames: Consumer<PortFrame>,
    others: Consumer<Handed>,
}

impl Outgoing {
    /// Returns whether no more can gather.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.gathered.is_full()
    }

    /// Adds a frame, unless they are full, to those that [`Outgoing::write`] hands over.
    #[inline]
    pub(crate) fn gather(&mut self, frame: PortFrame) {
        self.gathered.push(frame);
    }

    /// Hands over what has gathered, in order. What the ring has no room for is left.
    #[inline]
    pub(crate) fn write(&mut self) -> impl Iterator<Item = PortFrame> {
        if !self.gathered.is_empty() {
            let chunk = match self.frames.write_chunk_uninit(self.gathered.len()) {
                Err(ChunkError::TooFewSlots(room)) => self.frames.write_chunk_uninit(room),
                chunk => chunk,
            };
            if let Ok(chunk) = chunk {
                let count = chunk.len();
                chunk.fill_from_iter(self.gathered.drain(..count));
            }
        }
        self.gathered.drain(..)
    }
}

impl Rings {
    /// Returns the rings to a worker, if it is another one.
    #[inline]
    pub(crate) fn to(&mut self, worker: WorkerId) -> Option<&mut Outgoing> {
        self.to.get_mut(worker.index())?.as_mut()
    }

    /// Returns the rings to all others.
    #[inline]
    pub(crate) fn outgoing(&mut self) -> impl Iterator<Item = &mut Outgoing> {
        self.to.iter_mut().flatten()
    }

    /// Hands a finished frame to the worker that sends it; it comes back if the ring is full.
    #[inline]
    pub(crate) fn send(&mut self, worker: WorkerId, way: Way, frame: Mbuf) -> Result<(), Mbuf> {
        let Some(to) = self.to(worker) else { return Err(frame) };
        match to.others.push(Handed::Send(way, frame)) {
            Err(rtrb::PushError::Full(Handed::Send(_, frame))) => Err(frame),
            _ => Ok(()),
        }
    }

    /// Tells all others of a link address. A worker whose ring is full asks for it itself.
    pub(crate) fn tell_all(&mut self, update: NeighbourUpdate) {
        for to in self.outgoing() {
            let _ = to.others.push(Handed::Learned(update));
        }
    }

    /// Number of workers that hand over.
    #[inline]
    pub(crate) fn incoming(&self) -> usize {
        self.from.len()
    }

    /// Takes at most `max` frames that the worker at `index` handed over.
    #[inline]
    pub(crate) fn take_frames(
        &mut self,
        index: usize,
        max: usize,
    ) -> impl Iterator<Item = PortFrame> {
        self.from.get_mut(index).and_then(|from| take(&mut from.frames, max)).into_iter().flatten()
    }

    /// Takes at most `max` other things of the worker at `index`.
    #[inline]
    pub(crate) fn take_others(&mut self, index: usize, max: usize) -> impl Iterator<Item = Handed> {
        self.from.get_mut(index).and_then(|from| take(&mut from.others, max)).into_iter().flatten()
    }
}

fn take<T>(ring: &mut Consumer<T>, max: usize) -> Option<ReadChunk<'_, T>> {
    let count = ring.slots().min(max);
    ring.read_chunk(count).ok()
}

/// Makes the rings of all workers.
pub(crate) fn mesh(workers: usize) -> Vec<Rings> {
    let len = ring_len(workers);
    let mut mesh: Vec<Rings> =
        (0..workers).map(|_| Rings { to: Vec::new(), from: Vec::new() }).collect();
    for from in 0..workers {
        for to in 0..workers {
            let outgoing = (from != to).then(|| {
                let (frames, frames_from) = RingBuffer::new(len);
                let (others, others_from) = RingBuffer::new(others_len(len));
                if let Some(rings) = mesh.get_mut(to) {
                    rings.from.push(Incoming { frames: frames_from, others: others_from });
                }
                Outgoing { frames, gathered: ArrayVec::new(), others }
            });
            if let Some(rings) = mesh.get_mut(from) {
                rings.to.push(outgoing);
            }
        }
    }
    mesh
}

/// Room of each ring.
fn ring_len(workers: usize) -> usize {
    let others = workers.saturating_sub(1).max(1);
    (INCOMING_MAX / others).clamp(RING_LEN_MIN, RING_LEN_MAX)
}

/// Room of the ring of other things beside one of frames: most ports have a queue for each worker.
fn others_len(ring_len: usize) -> usize {
    ring_len / 2
}

/// Frames that may be on their way to one worker: in both rings, and gathered.
pub(crate) fn incoming_max(workers: usize) -> usize {
    let len = ring_len(workers);
    (len + others_len(len) + BURST) * workers.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpvs_core::key::Address;
    use dpvs_core::net::Mac;

    fn update(last: u8) -> NeighbourUpdate {
        let address = Address::v4([10, 0, 0, last]);
        NeighbourUpdate { port: PortId(0), address, mac: Mac::default() }
    }

    #[test]
    fn everybody_hears_what_one_has_learned_but_the_one() {
        let mut mesh = mesh(3);
        mesh[1].tell_all(update(1));
        let heard: Vec<usize> = mesh
            .iter_mut()
            .map(|rings| (0..rings.incoming()).map(|i| rings.take_others(i, 32).count()).sum())
            .collect();
        assert_eq!(heard, [1, 0, 1]);
    }

    #[test]
    fn no_worker_has_rings_to_itself_or_to_one_that_is_not_there() {
        let mut mesh = mesh(2);
        assert!(mesh[0].to(WorkerId(1)).is_some());
        assert!(mesh[0].to(WorkerId(0)).is_none());
        assert!(mesh[0].to(WorkerId(9)).is_none());
    }

    #[test]
    fn no_more_is_taken_than_was_asked_for_and_nothing_is_lost() {
        let mut mesh = mesh(2);
        for last in 0..5 {
            mesh[0].tell_all(update(last));
        }
        assert_eq!(mesh[1].take_others(0, 3).count(), 3);
        assert_eq!(mesh[1].take_others(0, 32).count(), 2);
    }
}
