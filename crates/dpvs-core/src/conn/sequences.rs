// SPDX-License-Identifier: MIT OR Apache-2.0
//! TCP sequence numbers under way, as far as an ICMP error can be checked against them (RFC 5927
//! section 4.1). Only the last of each direction is kept, and only where the check is on.

use super::Direction;

/// How far beyond what was seen a sequence number may be: packets that took another worker's way, or
/// were sent since. A window of TCP without scaling.
const SLACK: u32 = 65_535;

/// What one end has sent last, and what the other has acknowledged of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sent {
    sequence: u32,
    acknowledged: u32,
    is_known: bool,
    is_acknowledged: bool,
}

/// Both ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sequences {
    client: Sent,
    server: Sent,
}

impl Sequences {
    /// Puts them into words, as their table keeps them.
    pub(super) fn to_words(self) -> [u32; 5] {
        let Sequences { client, server } = self;
        let bits =
            [client.is_known, client.is_acknowledged, server.is_known, server.is_acknowledged];
        let flags = bits.into_iter().fold(0, |flags, bit| flags << 1 | u32::from(bit));
        [flags, client.sequence, client.acknowledged, server.sequence, server.acknowledged]
    }

    /// Reads them from words.
    pub(super) fn from_words([flags, a, b, c, d]: [u32; 5]) -> Self {
        let sent = |sequence, acknowledged, bits: u32| Sent {
            sequence,
            acknowledged,
            is_known: bits & 2 != 0,
            is_acknowledged: bits & 1 != 0,
        };
        Sequences { client: sent(a, b, flags >> 2), server: sent(c, d, flags) }
    }

    /// Notes a segment.
    pub(crate) fn note(&mut self, sender: Direction, sequence: u32, ack: Option<u32>) {
        let (from, to) = match sender {
            Direction::Inbound => (&mut self.client, &mut self.server),
            Direction::Outbound => (&mut self.server, &mut self.client),
        };
        (from.sequence, from.is_known) = (sequence, true);
        if let Some(ack) = ack {
            (to.acknowledged, to.is_acknowledged) = (ack, true);
        }
    }

    /// Returns whether a segment that `sender` sent may be under way: between what was acknowledged
    /// and what was sent last, with some slack on both sides. True if nothing is known.
    pub(crate) fn may_be_under_way(&self, sender: Direction, sequence: u32) -> bool {
        let sent = match sender {
            Direction::Inbound => &self.client,
            Direction::Outbound => &self.server,
        };
        if !sent.is_known {
            return true;
        }
        let first = if sent.is_acknowledged { sent.acknowledged } else { sent.sequence };
        let first = first.wrapping_sub(SLACK);
        let last = sent.sequence.wrapping_add(SLACK);
        sequence.wrapping_sub(first) <= last.wrapping_sub(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Inbound, Outbound};

    #[test]
    fn what_is_between_acknowledged_and_sent_may_be_under_way() {
        let mut sequences = Sequences::default();
        assert!(sequences.may_be_under_way(Outbound, 7), "nothing is known");
        sequences.note(Outbound, 1_000_000, Some(5));
        sequences.note(Inbound, 5, Some(800_000));
        for (sequence, may) in [
            (800_000, true),
            (1_000_000, true),
            (800_000 - 65_535, true),
            (800_000 - 65_536, false),
            (1_000_000 + 65_535, true),
            (1_000_000 + 65_536, false),
            (1_000_000 + (1 << 31), false),
        ] {
            assert_eq!(sequences.may_be_under_way(Outbound, sequence), may, "{sequence}");
        }
    }

    #[test]
    fn the_numbers_wrap() {
        let mut sequences = Sequences::default();
        sequences.note(Inbound, 10, None);
        assert!(sequences.may_be_under_way(Inbound, u32::MAX - 10));
        assert!(!sequences.may_be_under_way(Inbound, 1 << 31));
    }
}
