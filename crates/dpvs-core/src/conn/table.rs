// SPDX-License-Identifier: MIT OR Apache-2.0
//! The connection table of one worker.
//!
//! Records of one cache line live in a slab and are found by one or two keys through an
//! open-addressed index of 8-byte slots (32 bits of hash, position and entry), eight to a cache line.
//! The index is at most half full, probes are bounded, a removal shifts back what follows: no
//! tombstones, no rehash, no allocation after the start. The hash is keyed at random, since clients
//! choose the tuples.

use super::record::{Record, of};
use super::view::{RARE_WORDS, View, low};
use super::wheel::Wheel;
use super::{Conn, Direction, State};
use crate::Millis;
use crate::ids::position;
use crate::key::{Address, Key};
use arrayvec::ArrayVec;
use std::hash::{BuildHasher, Hash};
use std::hint::black_box;

/// Longest run of slots that is searched.
pub(super) const PROBES_MAX: usize = 128;
/// Most timers that are looked at together.
pub(crate) const TIMERS_TOGETHER: usize = 16;
/// So many connections are in the cache of a processor.
const CACHED_MAX: usize = 1 << 14;
/// What a free slot has in the place of a position.
pub(super) const EMPTY: u32 = u32::MAX;

/// A connection's position in the slab of its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnIndex(pub u32);

/// The table is full, or its probes are exhausted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableFull;

/// What a key led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The connection.
    pub index: ConnIndex,
    /// By which of its two keys.
    pub entry: Direction,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) hash: u32,
    /// Position, and the entry in the lowest bit; [`EMPTY`] if free.
    pub(super) value: u32,
}

impl Found {
    fn value(self) -> u32 {
        self.index.0 << 1 | u32::from(self.entry == Direction::Outbound)
    }

    #[inline]
    pub(super) fn from_value(value: u32) -> Self {
        let entry = if value & 1 == 0 { Direction::Inbound } else { Direction::Outbound };
        Found { index: ConnIndex(value >> 1), entry }
    }
}

/// The connections of one worker, with their timers.
#[derive(Debug)]
pub struct ConnTable {
    slots: Box<[Slot]>,
    mask: usize,
    pub(super) slab: Vec<Record>,
    /// Addresses of connections that have others than IPv4, as bits: source and destination of both
    /// keys.
    wide: Vec<[[u128; 2]; 2]>,
    /// What few connections have.
    pub(super) rare: Vec<[u32; RARE_WORDS]>,
    /// The latest time that was heard of: records have the low bits of theirs.
    pub(super) clock: Millis,
    free: Vec<u32>,
    len: usize,
    capacity: usize,
    hash: foldhash::quality::RandomState,
    wheel: Wheel,
    /// No key was written to the index or taken from it since a burst's connections were found.
    pub(super) is_unchanged: bool,
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
            // Zeroes that the system hands out as they are touched.
            wide: vec![[[0; 2]; 2]; capacity],
            rare: vec![[0; RARE_WORDS]; capacity],
            clock: Millis(0),
            free: Vec::with_capacity(capacity),
            len: 0,
            capacity,
            hash: foldhash::quality::RandomState::default(),
            wheel: Wheel::with_capacity(capacity),
            is_unchanged: false,
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
    pub fn get(&self, index: ConnIndex) -> Option<Conn> {
        self.view(index).map(|view| view.whole())
    }

    /// Returns a connection to be looked at.
    #[inline]
    pub(crate) fn view(&self, index: ConnIndex) -> Option<View<'_>> {
        let record = self.slab.get(position(index.0))?;
        record.is_taken().then(|| View::new(self, record, index))
    }

    fn record_mut(&mut self, index: ConnIndex) -> Option<&mut Record> {
        self.slab.get_mut(position(index.0)).filter(|record| record.is_taken())
    }

    /// Changes a connection. Its keys must stay as they are.
    pub(crate) fn update(&mut self, index: ConnIndex, change: impl FnOnce(&mut Conn)) {
        let Some(mut conn) = self.get(index) else { return };
        change(&mut conn);
        self.write(index, &conn);
    }

    /// Notes a packet of a connection, found by one of its keys.
    #[inline]
    pub(crate) fn touch(&mut self, found: Found, now: Millis, timeout_ms: u32) {
        self.tick(now);
        let Some(record) = self.record_mut(found.index) else { return };
        record.restart(now, timeout_ms);
        let [inbound, outbound] = &mut record.packets;
        let packets = match found.entry {
            Direction::Inbound => inbound,
            Direction::Outbound => outbound,
        };
        *packets = packets.wrapping_add(1);
        if *packets == 0 {
            self.carry(found);
        }
    }

    /// Lets a connection's time start anew, without a packet found by its keys.
    pub(crate) fn refresh(&mut self, index: ConnIndex, now: Millis, timeout_ms: u32) {
        self.tick(now);
        if let Some(record) = self.record_mut(index) {
            record.restart(now, timeout_ms);
        }
    }

    /// The low bits of a count of packets have run over.
    #[cold]
    fn carry(&mut self, found: Found) {
        self.update(found.index, |conn| {
            let packets = match found.entry {
                Direction::Inbound => &mut conn.in_packets,
                Direction::Outbound => &mut conn.out_packets,
            };
            *packets += 1 << u32::BITS;
        });
    }

    /// Gives a connection another state and timeout.
    pub(crate) fn set_state(&mut self, index: ConnIndex, state: State, timeout_ms: u32) {
        if matches!(state, State::Sctp(_)) {
            return self.update(index, |conn| (conn.state, conn.timeout_ms) = (state, timeout_ms));
        }
        if let Some(record) = self.record_mut(index) {
            record.set_state(state);
            record.timeout_ms = timeout_ms;
        }
    }

    /// Writes everything of a connection but its keys.
    fn write(&mut self, index: ConnIndex, conn: &Conn) {
        let at = position(index.0);
        self.tick(conn.last_seen);
        let Some(record) = self.slab.get_mut(at) else { return };
        record.write(conn);
        if record.is_rare() {
            self.write_beside(at, conn);
        }
    }

    /// Writes what of a connection stands beside its record.
    fn write_beside(&mut self, at: usize, conn: &Conn) {
        self.tick(conn.mtu_told_at.unwrap_or(conn.last_seen));
        if let Some(place) = self.rare.get_mut(at) {
            *place = conn.rare();
        }
    }

    /// Returns the time whose low bits these are: the last one that is not after the clock.
    pub(super) fn time(&self, low_bits: u32) -> Millis {
        let age = low(self.clock.0).wrapping_sub(low_bits);
        Millis(self.clock.0.saturating_sub(u64::from(age)))
    }

    #[inline]
    pub(crate) fn hash_of(&self, key: &impl Hash) -> u32 {
        let [a, b, c, d, ..] = self.hash.hash_one(key).to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    #[inline]
    pub(super) fn home(&self, hash: u32) -> usize {
        position(hash) & self.mask
    }

    #[inline]
    pub(super) fn slot(&self, at: usize) -> Slot {
        self.slots.get(at & self.mask).copied().unwrap_or(Slot { hash: 0, value: EMPTY })
    }

    fn set_slot(&mut self, at: usize, slot: Slot) {
        self.is_unchanged = false;
        if let Some(place) = self.slots.get_mut(at & self.mask) {
            *place = slot;
        }
    }

    /// Returns source and destination of a key of a record.
    #[inline]
    pub(super) fn addresses(&self, record: &Record, found: Found) -> [Address; 2] {
        if record.is_wide()
            && let Some(wide) = self.wide.get(position(found.index.0))
        {
            return of(*wide, found.entry).map(Address::from_bits);
        }
        let narrow = record.narrow(found.entry);
        narrow.map_or([Address::UNSPECIFIED_V4; 2], |tuple| {
            tuple.addresses.map(Address::from_v4_bits)
        })
    }

    /// Puts a connection in under its keys, and sets its timer.
    ///
    /// # Errors
    /// [`TableFull`]; nothing is changed.
    pub fn insert(&mut self, conn: &Conn) -> Result<ConnIndex, TableFull> {
        self.insert_hashed(conn, [None; 2])
    }

    /// The same, with the hashes of those keys at hand that have been looked up.
    ///
    /// # Errors
    /// [`TableFull`]; nothing is changed.
    pub(crate) fn insert_hashed(
        &mut self,
        conn: &Conn,
        [inbound, outbound]: [Option<u32>; 2],
    ) -> Result<ConnIndex, TableFull> {
        let (has_inbound, has_outbound) =
            (conn.entries.has(Direction::Inbound), conn.entries.has(Direction::Outbound));
        debug_assert!(
            !has_inbound || self.find(&conn.inbound).is_none(),
            "one key, one connection"
        );
        let index = self.take_place()?;
        let entry = |entry| Found { index: ConnIndex(index), entry };
        if has_inbound
            && self.insert_entry(&conn.inbound, inbound, entry(Direction::Inbound)).is_err()
        {
            self.free.push(index);
            return Err(TableFull);
        }
        if has_outbound
            && self.insert_entry(&conn.outbound, outbound, entry(Direction::Outbound)).is_err()
        {
            if has_inbound {
                self.remove_entry(self.hash_of(&conn.inbound), entry(Direction::Inbound));
            }
            self.free.push(index);
            return Err(TableFull);
        }
        self.fill(index, conn);
        self.wheel.insert(index, conn.expires_at());
        Ok(ConnIndex(index))
    }

    fn insert_entry(
        &mut self,
        key: &Key,
        hash: Option<u32>,
        found: Found,
    ) -> Result<(), TableFull> {
        debug_assert!(hash.is_none_or(|hash| hash == self.hash_of(key)), "the hash is the key's");
        let hash = hash.unwrap_or_else(|| self.hash_of(key));
        let home = self.home(hash);
        for at in home..home + PROBES_MAX {
            if self.slot(at).value == EMPTY {
                self.set_slot(at, Slot { hash, value: found.value() });
                return Ok(());
            }
        }
        Err(TableFull)
    }

    fn find_slot(&self, hash: u32, found: Found) -> Option<usize> {
        let home = self.home(hash);
        (home..home + PROBES_MAX)
            .take_while(|at| self.slot(*at).value != EMPTY)
            .find(|at| self.slot(*at).value == found.value())
    }

    fn remove_entry(&mut self, hash: u32, found: Found) {
        let Some(mut hole) = self.find_slot(hash, found) else { return };
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
        let expected = self.view(old).map(|view| view.keys()[1]).ok_or(TableFull)?;
        debug_assert_eq!(expected, new.inbound, "a reply has the key that its request expects");
        let entry = Found { index: old, entry: Direction::Outbound };
        let at = self.find_slot(self.hash_of(&expected), entry).ok_or(TableFull)?;
        let index = self.take_place()?;
        let found = Found { index: ConnIndex(index), entry: Direction::Inbound };
        let Slot { hash, .. } = self.slot(at);
        self.set_slot(at, Slot { hash, value: found.value() });
        self.fill(index, &new);
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
        self.slab.push(Record::VACANT);
        Ok(index)
    }

    fn fill(&mut self, index: u32, conn: &Conn) {
        let at = position(index);
        let mut record = Record::VACANT;
        record.set_taken(true);
        let wide = record.set_keys(&conn.inbound, &conn.outbound);
        if let (Some(addresses), Some(place)) = (wide, self.wide.get_mut(at)) {
            *place = addresses.map(|pair| pair.map(Address::bits));
        }
        record.write(conn);
        if let Some(place) = self.slab.get_mut(at) {
            *place = record;
        }
        self.tick(conn.last_seen);
        if record.is_rare() {
            self.write_beside(at, conn);
        }
        self.len += 1;
    }

    /// Removes a connection; does nothing if there is none.
    pub fn remove(&mut self, index: ConnIndex) {
        let Some(view) = self.view(index) else { return };
        let hashes = view.entry_hashes();
        for (hash, entry) in hashes.into_iter().zip([Direction::Inbound, Direction::Outbound]) {
            if let Some(hash) = hash {
                self.remove_entry(hash, Found { index, entry });
            }
        }
        if let Some(record) = self.slab.get_mut(position(index.0)) {
            record.set_taken(false);
        }
        self.wheel.remove(index.0);
        self.free.push(index.0);
        self.len -= 1;
    }

    /// Takes timers that have fired, at most `most` of them, and sets those again whose connections
    /// were used since; returns how many there were, and puts into `idle` which connections are idle
    /// for their timeouts.
    ///
    /// Their records are read one after the other, and then their places in the index: the loads do
    /// not depend on each other, so the misses overlap.
    #[inline]
    pub(crate) fn pop_timers(
        &mut self,
        now: Millis,
        most: usize,
        idle: &mut ArrayVec<ConnIndex, TIMERS_TOGETHER>,
    ) -> usize {
        self.tick(now);
        // Between two bursts mostly none is.
        if self.wheel.is_behind(now) { self.pop_due(now, most, idle) } else { 0 }
    }

    #[inline(never)]
    fn pop_due(
        &mut self,
        now: Millis,
        most: usize,
        idle: &mut ArrayVec<ConnIndex, TIMERS_TOGETHER>,
    ) -> usize {
        let due = std::iter::from_fn(|| self.wheel.pop_due(now));
        let fired: ArrayVec<u32, TIMERS_TOGETHER> = due.take(most.min(TIMERS_TOGETHER)).collect();
        for index in &fired {
            let Some(view) = self.view(ConnIndex(*index)) else { continue };
            let due = view.expires_at();
            if due > now {
                self.wheel.insert(*index, due);
            } else {
                idle.push(ConnIndex(*index));
            }
        }
        if self.len > CACHED_MAX {
            for view in idle.iter().filter_map(|index| self.view(*index)) {
                // Only that they are loaded matters.
                black_box(view.entry_hashes().map(|hash| Some(self.slot(self.home(hash?)))));
            }
        }
        fired.len()
    }

    /// Sets a connection's timer anew, after its timeout became shorter.
    pub fn rearm(&mut self, index: ConnIndex) {
        if let Some(due) = self.view(index).map(|view| view.expires_at()) {
            self.wheel.remove(index.0);
            self.wheel.insert(index.0, due);
        }
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
