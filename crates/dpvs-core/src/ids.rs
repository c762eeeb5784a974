// SPDX-License-Identifier: MIT OR Apache-2.0
//! Small types that stand for numbers, so that one cannot be taken for another.

use std::ops::Add;

/// Most frames that a worker handles at once.
pub const BURST: usize = 32;

/// A port of the dataplane, counted from 0 in the order of the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u16);

/// A worker, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u8);

impl WorkerId {
    /// Returns the position of this worker's part in a per-worker list.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl PortId {
    /// Returns the position of this port in a list of ports.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A point in time: milliseconds since the dataplane started. All workers share the origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl Millis {
    /// Returns how long ago `earlier` was, in milliseconds; 0 if it is still to come.
    #[must_use]
    pub fn since(self, earlier: Millis) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for Millis {
    type Output = Millis;

    fn add(self, ms: u64) -> Millis {
        Millis(self.0.saturating_add(ms))
    }
}

/// Widens a table position. Positions are `u32` to keep records small.
pub(crate) fn position(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}
