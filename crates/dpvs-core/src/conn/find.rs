// SPDX-License-Identifier: MIT OR Apache-2.0
//! How connections are found: one, and those of a whole burst.

use super::table::{EMPTY, PROBES_MAX};
use super::{ConnTable, Found};
use crate::ids::position;
use crate::key::{Key, Tuple};
use crate::plain::Plain;
use std::hash::Hash;

/// What a connection is found by.
pub(crate) trait Wanted: Hash {
    /// Returns whether `found` is its connection.
    fn is_that_of(&self, table: &ConnTable, found: Found) -> bool;
}

impl Wanted for Key {
    #[inline]
    fn is_that_of(&self, table: &ConnTable, found: Found) -> bool {
        let Some(record) = table.slab.get(position(found.index.0)) else { return false };
        if !record.is_taken() || record.protocol != self.protocol {
            return false;
        }
        if record.ports(found.entry) != [self.sport, self.dport] {
            return false;
        }
        [self.src, self.dst] == table.addresses(record, found)
    }
}

impl Wanted for Plain {
    #[inline]
    fn is_that_of(&self, table: &ConnTable, found: Found) -> bool {
        self.tuple.is_that_of(table, found)
    }
}

impl Wanted for Tuple {
    #[allow(clippy::inline_always, reason = "it is done for each packet, in two places")]
    #[inline(always)]
    fn is_that_of(&self, table: &ConnTable, found: Found) -> bool {
        let Some(record) = table.slab.get(position(found.index.0)) else { return false };
        // An IPv4 client of a tunnel to an IPv6 server has a wide record.
        record.is_taken() && record.narrow(found.entry) == Some(*self)
            || record.is_wide() && is_wide_that_of(table, found, *self)
    }
}

#[cold]
fn is_wide_that_of(table: &ConnTable, found: Found, tuple: Tuple) -> bool {
    Key::from(tuple).is_that_of(table, found)
}

/// What is looked for with its burst: a key, and what each pass over the burst finds for it. A key of
/// IPv4 is in one cache line with it: half of them would be in two otherwise, for each pass.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Sought<K> {
    /// None if nothing is looked for; the rest is of no meaning then, but for `found`.
    pub(crate) key: Option<K>,
    pub(crate) hash: u32,
    /// Slot and its value.
    candidate: (usize, u32),
    pub(crate) found: Option<Found>,
}

impl<K> Sought<K> {
    /// Nothing.
    pub(crate) const NONE: Self = Sought { key: None, hash: 0, candidate: (0, EMPTY), found: None };

    /// Puts another key here, of which nothing is known.
    #[inline]
    pub(crate) fn put(&mut self, key: Option<K>) {
        (self.key, self.found) = (key, None);
    }
}

/// A place of a burst that something is sought for.
pub(crate) trait Place {
    /// What it is sought by.
    type Key: Wanted;

    /// Returns it.
    fn sought(&mut self) -> &mut Sought<Self::Key>;
}

impl<K: Wanted> Place for Sought<K> {
    type Key = K;

    #[inline]
    fn sought(&mut self) -> &mut Sought<K> {
        self
    }
}

impl ConnTable {
    /// Finds the connection of a key.
    #[inline]
    pub fn find(&self, key: &Key) -> Option<Found> {
        self.find_hashed(key, self.hash_of(key))
    }

    /// The same, with the key's hash at hand.
    #[inline]
    pub(crate) fn find_hashed(&self, key: &Key, hash: u32) -> Option<Found> {
        debug_assert_eq!(hash, self.hash_of(key), "the hash is the key's");
        let home = self.home(hash);
        // Looked for one by one is mostly what is not there.
        if self.slot(home).value == EMPTY {
            return None;
        }
        self.find_from(home, hash, key)
    }

    /// Returns the hash of a key that leads to no connection; `None` if it leads to one.
    #[inline(never)]
    pub(crate) fn hash_if_free(&self, key: &Key) -> Option<u32> {
        let hash = self.hash_of(key);
        self.find_hashed(key, hash).is_none().then_some(hash)
    }

    /// Finds the connection of a key in few bytes.
    #[inline]
    pub(crate) fn find_tuple(&self, tuple: &Tuple) -> Option<Found> {
        let hash = self.hash_of(tuple);
        self.find_from(self.home(hash), hash, tuple)
    }

    /// Returns what the key of a frame leads to, that led to `found` when its burst was looked up. An
    /// earlier frame may have made the connection, or ended it and given its place to another
    /// client's.
    #[inline]
    pub(crate) fn find_again(&self, key: &Key, hash: u32, found: Option<Found>) -> Option<Found> {
        if self.is_unchanged {
            return found;
        }
        // One that has its place now may have both keys and be found by the other one alone.
        let is_standing = |found: &Found| {
            let conn = self.view(found.index);
            conn.is_some_and(|conn| conn.entries().has(found.entry)) && key.is_that_of(self, *found)
        };
        let found = found.filter(is_standing);
        found.or_else(|| self.find_hashed(key, hash))
    }

    /// Searches from a slot on.
    fn find_from(&self, from: usize, hash: u32, wanted: &impl Wanted) -> Option<Found> {
        for at in from..from + PROBES_MAX {
            let slot = self.slot(at);
            if slot.value == EMPTY {
                return None;
            }
            if slot.hash == hash {
                let found = Found::from_value(slot.value);
                if wanted.is_that_of(self, found) {
                    return Some(found);
                }
            }
        }
        None
    }

    /// Returns the first slot of a hash, or a free one.
    #[inline]
    fn candidate(&self, hash: u32) -> (usize, u32) {
        let home = self.home(hash);
        for at in home..home + PROBES_MAX {
            let slot = self.slot(at);
            if slot.hash == hash || slot.value == EMPTY {
                return (at, slot.value);
            }
        }
        (home, EMPTY)
    }

    /// Finds the connections of a burst, and the hashes of its keys; where there is no key nothing is
    /// changed. Each pass goes over all of it, and its loads do not depend on each other: so the misses
    /// of the index overlap, and then those of the records.
    #[inline(never)]
    pub(crate) fn find_burst<P: Place>(&mut self, places: &mut [P]) {
        for sought in places.iter_mut().map(Place::sought) {
            if let Some(key) = &sought.key {
                sought.hash = self.hash_of(key);
            }
        }
        for sought in places.iter_mut().map(Place::sought) {
            if sought.key.is_some() {
                sought.candidate = self.candidate(sought.hash);
            }
        }
        for Sought { key, hash, candidate, found } in places.iter_mut().map(Place::sought) {
            let (at, value) = *candidate;
            if let Some(key) = key
                && value != EMPTY
            {
                let candidate = Found::from_value(value);
                *found = if key.is_that_of(self, candidate) {
                    Some(candidate)
                } else {
                    self.find_from(at + 1, *hash, key)
                };
            }
        }
        self.is_unchanged = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sought_by_a_key_of_ipv4_is_a_cache_line() {
        assert_eq!((size_of::<Sought<Plain>>(), align_of::<Sought<Plain>>()), (64, 64));
    }
}
