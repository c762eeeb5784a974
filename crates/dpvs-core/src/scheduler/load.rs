// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loads of real servers, and the least of them.

use crate::tables::Dest;

/// What a server has to do, and how much it can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) connections: u64,
    pub(super) weight: u32,
}

impl Load {
    /// Returns whether this is less for its weight than `other`: by cross products, so that nothing
    /// is divided.
    pub(super) fn is_below(self, other: Load) -> bool {
        self.connections * u64::from(other.weight) < other.connections * u64::from(self.weight)
    }
}

/// Returns the connections of a server: 256 times the established ones plus the others (the LVS
/// documentation: "an active connection counts for about 256 inactive ones"). O(workers).
pub(super) fn connections(dest: &Dest) -> u64 {
    let counters = &dest.shared.counters;
    u64::from(counters.active()) * 256 + u64::from(counters.inactive())
}

/// Returns the available server with the least load, the first among equals.
pub(super) fn least<'a>(
    dests: impl IntoIterator<Item = &'a Dest>,
    load: impl Fn(&Dest) -> Load,
) -> Option<&'a Dest> {
    let mut best: Option<(&Dest, Load)> = None;
    for dest in dests.into_iter().filter(|dest| dest.is_available()) {
        let load = load(dest);
        if best.is_none_or(|(_, other)| load.is_below(other)) {
            best = Some((dest, load));
        }
    }
    best.map(|(dest, _)| dest)
}
