// SPDX-License-Identifier: MIT OR Apache-2.0
//! The connection table of one worker.
//!
//! Records live in a slab and are found by one or two keys through an open-addressed index of 8-byte
//! slots (32 bits of hash, position and entry), eight to a cache line. The index is at most half
//! full, probes are bounded, a removal shifts back what follows: no tombstones, no rehash, no
//! allocation after the start. The hash is keyed at random, since clients choose the tuples.

use super::wheel::Wheel;
use super::{Conn, Direction};
use crate::Millis;
use crate::ids::position;
use crate::key::Key;
use std::hash::BuildHasher;

/// Longest run of slots that is searched.
const PROBES_MAX: usize = 128;
const EMPTY: u32 = u32::MAX;

/// A connection's position in the slab of its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnIndex(pub u32);

/// The table is full, or its probes are exhausted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableFull;

/// What a timer that fired led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// A connection that is idle for its timeout: it is over.
    Idle(ConnIndex),
    /// One that was used since; its timer is set again.
    Used,
    /// No timer has fired.
    None,
}

/// What a key led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The connection.
    pub index: ConnIndex,
    /// By which of its two keys.
    pub entry: Direction,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    /// Position, and the entry in the lowest bit; [`EMPTY`] if free.
    value: u32,
}

impl Found {
    fn value(self) -> u32 {
        self.index.0 << 1 | u32::from(self.entry == Direction::Outbound)
    }

    fn from_value(value: u32) -> Self {
        let entry = if value & 1 == 0 { Direction::Inbound } else { Direction::Outbound };
        Found { index: ConnIndex(value >> 1), entry }
    }
}

/// The connections of one worker, with their timers.
#[derive(Debug)]
pub struct ConnTable {
    slots: Box<[Slot]>,
    mask: usize,
    slab: Vec<Option<Conn>>,
    free: Vec<u32>,
    len: usize,
    capacity: usize,
    hash: foldhash::quality::RandomState,
    wheel: Wheel,
}

impl ConnTable {
    /// Makes a table for `capacity` connections, at most 2^30. Memory is taken as it is used, but
    /// for 32 bytes a connection.
    pub fn with_capacity(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, 1 << 30);
        let slots = (capacity * 4).next_power_of_two();
        ConnTable {
            slots: vec![Slot { hash: 0, value: EMPTY }; slots].into_boxed_slice(),
            mask: slots - 1,
            slab: Vec::with_capacity(capacity),
            free: Vec::with_capacity(capacity),
            len: 0,
            capacity,
            hash: foldhash::quality::RandomState::default(),
            wheel: Wheel::with_capacity(capacity),
        }
    }

    /// Returns how many connections there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns how many there can be.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns how many positions of the slab were ever used: the bound of a walk over all.
    pub fn positions(&self) -> u32 {
        u32::try_from(self.slab.len()).unwrap_or(u32::MAX)
    }

    /// Returns a connection.
    #[inline]
    pub fn get(&self, index: ConnIndex) -> Option<&Conn> {
        self.slab.get(position(index.0))?.as_ref()
    }

    /// Returns a connection, to be changed. Its keys must stay as they are.
    #[inline]
    pub fn get_mut(&mut self, index: ConnIndex) -> Option<&mut Conn> {
        self.slab.get_mut(position(index.0))?.as_mut()
    }

    fn hash_of(&self, key: &Key) -> u32 {
        let [a, b, c, d, ..] = self.hash.hash_one(key).to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    fn home(&self, hash: u32) -> usize {
        position(hash) & self.mask
    }

    fn slot(&self, at: usize) -> Slot {
        self.slots.get(at & self.mask).copied().unwrap_or(Slot { hash: 0, value: EMPTY })
    }

    fn set_slot(&mut self, at: usize, slot: Slot) {
        if let Some(place) = self.slots.get_mut(at & self.mask) {
            *place = slot;
        }
    }

    /// Finds the connection of a key.
    #[inline]
    pub fn find(&self, key: &Key) -> Option<Found> {
        self.find_hashed(self.hash_of(key), key)
    }

    fn find_hashed(&self, hash: u32, key: &Key) -> Option<Found> {
        let home = self.home(hash);
        for at in home..home + PROBES_MAX {
            let slot = self.slot(at);
            if slot.value == EMPTY {
                return None;
            }
            if slot.hash == hash {
                let found = Found::from_value(slot.value);
                if self.key_of(found) == Some(key) {
                    return Some(found);
                }
            }
        }
        None
    }

    /// Returns whether what was found is still what the key leads to: connections end, and their
    /// places are taken again.
    #[inline]
    pub(crate) fn is_current(&self, found: Found, key: &Key) -> bool {
        self.key_of(found) == Some(key)
    }

    fn key_of(&self, found: Found) -> Option<&Key> {
        let conn = self.get(found.index)?;
        Some(match found.entry {
            Direction::Inbound => &conn.inbound,
            Direction::Outbound => &conn.outbound,
        })
    }

    /// Finds the connections of a burst: all hashes first, so that the misses of the index overlap.
    pub fn find_burst(&self, keys: &[Option<Key>], found: &mut [Option<Found>]) {
        let mut hashes = [0; crate::BURST];
        for (hash, key) in hashes.iter_mut().zip(keys) {
            *hash = key.as_ref().map_or(0, |key| self.hash_of(key));
        }
        for ((result, key), hash) in found.iter_mut().zip(keys).zip(hashes) {
            *result = key.as_ref().and_then(|key| self.find_hashed(hash, key));
        }
    }

    /// Puts a connection in under its keys, and sets its timer.
    ///
    /// # Errors
    /// [`TableFull`]; nothing is changed.
    pub fn insert(&mut self, conn: Conn) -> Result<ConnIndex, TableFull> {
        let (has_inbound, has_outbound) =
            (conn.entries.has(Direction::Inbound), conn.entries.has(Direction::Outbound));
        debug_assert!(
            !has_inbound || self.find(&conn.inbound).is_none(),
            "one key, one connection"
        );
        let index = self.take_place()?;
        let entry = |entry| Found { index: ConnIndex(index), entry };
        if has_inbound && self.insert_entry(&conn.inbound, entry(Direction::Inbound)).is_err() {
            self.free.push(index);
            return Err(TableFull);
        }
        if has_outbound && self.insert_entry(&conn.outbound, entry(Direction::Outbound)).is_err() {
            if has_inbound {
                self.remove_entry(&conn.inbound, entry(Direction::Inbound));
            }
            self.free.push(index);
            return Err(TableFull);
        }
        self.fill(index, conn);
        self.wheel.insert(index, conn.expires_at());
        Ok(ConnIndex(index))
    }

    fn insert_entry(&mut self, key: &Key, found: Found) -> Result<(), TableFull> {
        let hash = self.hash_of(key);
        let home = self.home(hash);
        for at in home..home + PROBES_MAX {
            if self.slot(at).value == EMPTY {
                self.set_slot(at, Slot { hash, value: found.value() });
                return Ok(());
            }
        }
        Err(TableFull)
    }

    fn find_slot(&self, key: &Key, found: Found) -> Option<usize> {
        let hash = self.hash_of(key);
        let home = self.home(hash);
        (home..home + PROBES_MAX)
            .take_while(|at| self.slot(*at).value != EMPTY)
            .find(|at| self.slot(*at).value == found.value())
    }

    fn remove_entry(&mut self, key: &Key, found: Found) {
        let Some(mut hole) = self.find_slot(key, found) else { return };
        // Shift back what follows, so that no search stops at the hole. The index is at most half
        // full, so a free slot ends this.
        let mut at = hole + 1;
        loop {
            let slot = self.slot(at);
            if slot.value == EMPTY {
                break;
            }
            let distance = at.wrapping_sub(self.home(slot.hash)) & self.mask;
            if distance >= (at.wrapping_sub(hole) & self.mask) {
                self.set_slot(hole, slot);
                hole = at;
            }
            at += 1;
        }
        self.set_slot(hole, Slot { hash: 0, value: EMPTY });
    }

    /// Lets the outbound entry of `old` lead to the inbound key of `new`, which is the same key: the
    /// reply that a request expects has come.
    ///
    /// # Errors
    /// [`TableFull`]; nothing is changed. Also where `old` has no such entry any more.
    pub fn take_over(&mut self, old: ConnIndex, new: Conn) -> Result<ConnIndex, TableFull> {
        let expected = self.get(old).map(|conn| conn.outbound).ok_or(TableFull)?;
        debug_assert_eq!(expected, new.inbound, "a reply has the key that its request expects");
        let entry = Found { index: old, entry: Direction::Outbound };
        let at = self.find_slot(&expected, entry).ok_or(TableFull)?;
        let index = self.take_place()?;
        let found = Found { index: ConnIndex(index), entry: Direction::Inbound };
        let Slot { hash, .. } = self.slot(at);
        self.set_slot(at, Slot { hash, value: found.value() });
        self.fill(index, new);
        Ok(ConnIndex(index))
    }

    fn take_place(&mut self) -> Result<u32, TableFull> {
        if self.len >= self.capacity {
            return Err(TableFull);
        }
        if let Some(index) = self.free.pop() {
            return Ok(index);
        }
        let index = u32::try_from(self.slab.len()).map_err(|_| TableFull)?;
        self.slab.push(None);
        Ok(index)
    }

    fn fill(&mut self, index: u32, conn: Conn) {
        if let Some(place) = self.slab.get_mut(position(index)) {
            *place = Some(conn);
        }
        self.len += 1;
    }

    /// Removes a connection and returns it.
    pub fn remove(&mut self, index: ConnIndex) -> Option<Conn> {
        let conn = self.slab.get_mut(position(index.0))?.take()?;
        if conn.entries.has(Direction::Inbound) {
            self.remove_entry(&conn.inbound, Found { index, entry: Direction::Inbound });
        }
        if conn.entries.has(Direction::Outbound) {
            self.remove_entry(&conn.outbound, Found { index, entry: Direction::Outbound });
        }
        self.wheel.remove(index.0);
        self.free.push(index.0);
        self.len -= 1;
        Some(conn)
    }

    /// Takes one timer that has fired, and sets it again where the connection was used since.
    pub fn pop_timer(&mut self, now: Millis) -> Timer {
        let Some(index) = self.wheel.pop_due(now) else { return Timer::None };
        let Some(conn) = self.get(ConnIndex(index)) else { return Timer::Used };
        let due = conn.expires_at();
        if due <= now {
            return Timer::Idle(ConnIndex(index));
        }
        self.wheel.insert(index, due);
        Timer::Used
    }

    /// Sets a connection's timer anew, after its timeout became shorter.
    pub fn rearm(&mut self, index: ConnIndex) {
        if let Some(due) = self.get(index).map(Conn::expires_at) {
            self.wheel.remove(index.0);
            self.wheel.insert(index.0, due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Entries, Sequences, State};
    use super::*;
    use crate::key::Address;
    use crate::net::Protocol;
    use crate::tables::{DestId, Forward, ServiceId};
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn conn(n: u16) -> Conn {
        let key = |src, dst, sport, dport| Key {
            src: Address::v4(src),
            dst: Address::v4(dst),
            sport,
            dport,
            protocol: Protocol::Udp,
        };
        Conn {
            inbound: key([192, 0, 2, 1], [203, 0, 113, 80], n, 53),
            outbound: key([10, 1, 1, 10], [10, 0, 0, 1], 53, n),
            state: State::Udp,
            service: ServiceId { slot: 0, generation: 0 },
            dest: DestId { slot: 0, generation: 0 },
            forward: Forward::FullNat,
            entries: Entries::Both,
            template: None,
            last_seen: Millis(0),
            timeout_ms: 1000,
            sequences: Sequences::default(),
            mtu_told_at: None,
            in_packets: 0,
            out_packets: 0,
        }
    }

    #[test]
    fn a_full_table_refuses_and_works_again_after_a_removal() {
        let mut table = ConnTable::with_capacity(2);
        let first = table.insert(conn(1)).unwrap();
        table.insert(conn(2)).unwrap();
        assert_eq!(table.insert(conn(3)), Err(TableFull));
        assert!(table.find(&conn(3).inbound).is_none());
        table.remove(first);
        assert!(table.insert(conn(3)).is_ok());
        assert!(table.find(&conn(1).outbound).is_none());
    }

    #[test]
    fn a_used_connection_is_not_expired_and_an_idle_one_is() {
        let mut table = ConnTable::with_capacity(4);
        let used = table.insert(conn(1)).unwrap();
        let idle = table.insert(conn(2)).unwrap();
        table.get_mut(used).unwrap().last_seen = Millis(900);
        let expired = |table: &mut ConnTable, now| loop {
            match table.pop_timer(Millis(now)) {
                Timer::Idle(index) => return Some(index),
                Timer::Used => {}
                // The wheel does a bounded piece a call; this is far more than it needs.
                Timer::None => return None,
            }
        };
        assert_eq!(expired(&mut table, 1300), Some(idle));
        assert_eq!(expired(&mut table, 1300), None);
        assert_eq!(expired(&mut table, 2500), Some(used));
    }

    proptest! {
        /// Against `HashMap`: whatever is put in and taken out, each key leads where it should.
        #[test]
        fn the_table_finds_what_a_hash_map_finds(
            steps in proptest::collection::vec((0u16..300, any::<bool>()), 1..600),
        ) {
            let mut table = ConnTable::with_capacity(200);
            let mut model: HashMap<u16, ConnIndex> = HashMap::new();
            for (n, add) in steps {
                if let Some(index) = model.get(&n).copied().filter(|_| !add) {
                    prop_assert_eq!(table.remove(index).map(|c| c.inbound), Some(conn(n).inbound));
                    model.remove(&n);
                } else if add && !model.contains_key(&n) && model.len() < 200 {
                    let index = table.insert(conn(n));
                    prop_assert!(index.is_ok());
                    model.extend(index.map(|index| (n, index)));
                }
                prop_assert_eq!(table.len(), model.len());
            }
            for n in 0..300 {
                let expected = model.get(&n).copied();
                let by = |key: &Key| table.find(key);
                let found = by(&conn(n).inbound);
                prop_assert_eq!(found.map(|f| f.index), expected);
                prop_assert_eq!(found.map(|f| f.entry), expected.map(|_| Direction::Inbound));
                let found = by(&conn(n).outbound);
                prop_assert_eq!(found.map(|f| f.index), expected);
                prop_assert_eq!(found.map(|f| f.entry), expected.map(|_| Direction::Outbound));
            }
        }
    }
}
