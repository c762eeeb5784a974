// SPDX-License-Identifier: MIT OR Apache-2.0
//! A flight recorder of a worker: what became of the last ICMP errors, and why. It answers "why is
//! path MTU discovery broken" without a packet trace.

use crate::conn::Direction;
use crate::key::{Address, Key};
use crate::{DropReason, Millis, PortId, WorkerId};
use arrayvec::ArrayVec;

/// Decisions that are remembered.
pub const DECISIONS_MAX: usize = 256;

/// What became of an ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Translated and sent, towards the real server or towards the client.
    Relayed(Direction),
    /// Handed to another worker, which decides.
    Steered(WorkerId),
    /// Given to the host's stack.
    Host,
    /// Used here: it was about a tunnel's packet.
    Used,
    /// Dropped.
    Dropped(DropReason),
}

/// A decision about an ICMP error.
#[derive(Clone, Copy, Debug)]
pub struct Decision {
    /// When.
    pub at: Millis,
    /// The port it came in by.
    pub port: PortId,
    /// Who sent it.
    pub src: Address,
    /// Whom to.
    pub dst: Address,
    /// Type.
    pub icmp_type: u8,
    /// Code.
    pub code: u8,
    /// The packet it quotes, if that could be read.
    pub quote: Option<Key>,
    /// What became of it.
    pub outcome: Outcome,
}

/// The last decisions.
#[derive(Debug)]
pub(crate) struct Recorder {
    /// A ring once it is full; `next` is the oldest then.
    ring: Box<ArrayVec<Decision, DECISIONS_MAX>>,
    next: usize,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Recorder { ring: Box::default(), next: 0 }
    }

    /// Remembers a decision, and forgets the oldest for it.
    pub(crate) fn record(&mut self, decision: Decision) {
        if let Err(full) = self.ring.try_push(decision)
            && let Some(place) = self.ring.get_mut(self.next)
        {
            *place = full.element();
            self.next = (self.next + 1) % DECISIONS_MAX;
        }
    }

    /// Returns the decisions, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Decision> {
        let (newer, older) = self.ring.split_at_checked(self.next).unwrap_or((&self.ring, &[]));
        older.iter().chain(newer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_256_decisions_come_back_oldest_first() {
        let mut recorder = Recorder::new();
        let decision = |at| Decision {
            at: Millis(at),
            port: PortId(0),
            src: Address::v4([192, 0, 2, 1]),
            dst: Address::v4([192, 0, 2, 2]),
            icmp_type: 3,
            code: 4,
            quote: None,
            outcome: Outcome::Host,
        };
        let times = |recorder: &Recorder| recorder.iter().map(|d| d.at.0).collect::<Vec<_>>();
        (0..3).for_each(|at| recorder.record(decision(at)));
        assert_eq!(times(&recorder), [0, 1, 2]);
        (3..300).for_each(|at| recorder.record(decision(at)));
        assert_eq!(times(&recorder), (44..300).collect::<Vec<_>>());
    }
}
