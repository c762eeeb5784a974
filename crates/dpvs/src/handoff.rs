// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rings between workers: one for each ordered pair, one thread at each end.
//!
//! They carry frames to the workers that own them, finished frames to workers that have a transmit
//! queue, and link addresses that one worker learned to all others.

use crate::port_frame::PortFrame;
use dpdk::Mbuf;
use dpvs_core::neighbour::NeighbourUpdate;
use dpvs_core::{PortId, WorkerId};
use rtrb::{Consumer, Producer, RingBuffer};

/// Room for what comes in to one worker, shared by the rings of all others.
const INCOMING_MAX: usize = 4096;

/// Room of one ring at most and at least.
const RING_LEN_MAX: usize = 1024;
const RING_LEN_MIN: usize = 128;

/// What one worker hands to another.
#[derive(Debug)]
pub(crate) enum Handed {
    /// A frame as it came in, of a connection that the other one owns.
    Frame(PortFrame),
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
    to: Vec<Option<Producer<Handed>>>,
    /// In no order.
    from: Vec<Consumer<Handed>>,
}

impl Rings {
    /// Hands something to a worker; it comes back if the ring is full.
    #[inline]
    pub(crate) fn push(&mut self, worker: WorkerId, handed: Handed) -> Result<(), Handed> {
        match self.to.get_mut(worker.index()) {
            Some(Some(ring)) => ring.push(handed).map_err(|rtrb::PushError::Full(handed)| handed),
            _ => Err(handed),
        }
    }

    /// Tells all others of a link address. A worker whose ring is full asks for it itself.
    pub(crate) fn tell_all(&mut self, update: NeighbourUpdate) {
        for ring in self.to.iter_mut().flatten() {
            let _ = ring.push(Handed::Learned(update));
        }
    }

    /// Number of rings that come in.
    #[inline]
    pub(crate) fn incoming(&self) -> usize {
        self.from.len()
    }

    /// Takes at most `max` things from the ring at `index`.
    #[inline]
    pub(crate) fn take(&mut self, index: usize, max: usize) -> impl Iterator<Item = Handed> {
        let ring = self.from.get_mut(index);
        ring.and_then(|ring| {
            let count = ring.slots().min(max);
            ring.read_chunk(count).ok()
        })
        .into_iter()
        .flatten()
    }
}

/// Makes the rings of all workers.
pub(crate) fn mesh(workers: usize) -> Vec<Rings> {
    let len = ring_len(workers);
    let mut mesh: Vec<Rings> =
        (0..workers).map(|_| Rings { to: Vec::new(), from: Vec::new() }).collect();
    for from in 0..workers {
        for to in 0..workers {
            let producer = (from != to).then(|| {
                let (producer, consumer) = RingBuffer::new(len);
                if let Some(rings) = mesh.get_mut(to) {
                    rings.from.push(consumer);
                }
                producer
            });
            if let Some(rings) = mesh.get_mut(from) {
                rings.to.push(producer);
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

/// Frames that may be on their way to one worker.
pub(crate) fn incoming_max(workers: usize) -> usize {
    ring_len(workers) * workers.saturating_sub(1)
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
            .map(|rings| (0..rings.incoming()).map(|i| rings.take(i, 32).count()).sum())
            .collect();
        assert_eq!(heard, [1, 0, 1]);
    }

    #[test]
    fn a_full_ring_and_a_worker_that_is_not_there_give_back() {
        let mut mesh = mesh(2);
        let fits = (0..2 * RING_LEN_MAX)
            .take_while(|_| mesh[0].push(WorkerId(1), Handed::Learned(update(1))).is_ok())
            .count();
        assert_eq!(fits, RING_LEN_MAX);
        assert!(mesh[0].push(WorkerId(0), Handed::Learned(update(1))).is_err());
        assert!(mesh[0].push(WorkerId(9), Handed::Learned(update(1))).is_err());
    }

    #[test]
    fn no_more_is_taken_than_was_asked_for_and_nothing_is_lost() {
        let mut mesh = mesh(2);
        for last in 0..5 {
            mesh[0].push(WorkerId(1), Handed::Learned(update(last))).unwrap();
        }
        assert_eq!(mesh[1].take(0, 3).count(), 3);
        assert_eq!(mesh[1].take(0, 32).count(), 2);
    }
}
