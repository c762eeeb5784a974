// SPDX-License-Identifier: MIT OR Apache-2.0
//! Timers of connections: a two-level wheel of lists through the records' positions.
//!
//! Lazy: a packet writes only the record's `last_seen`; when the timer fires, the owner looks and
//! either ends the connection or puts it back. One timer a record, no allocation, O(1) to set and to
//! remove, and a bounded number of steps a call of [`Wheel::pop_due`].

use super::view::low;
use crate::Millis;
use crate::ids::position;

/// A tick of the lower level in milliseconds.
const TICK_MS: u64 = 256;
const SLOTS: u64 = 512;
const NONE: u32 = u32::MAX;
/// Most ticks or moved timers a call.
const STEPS_MAX: u32 = 256;

#[derive(Clone, Copy, Debug)]
struct Link {
    next: u32,
    prev: u32,
    /// When it is due, in ticks: the low bits.
    tick: u32,
    /// Which list it is in: a slot of either level; `NONE` if in none.
    slot: u32,
}

/// The timers of positions 0 to the capacity.
#[derive(Debug)]
pub(crate) struct Wheel {
    links: Vec<Link>,
    /// Heads of the lists: the lower level's slots, then the upper level's.
    heads: Box<[u32]>,
    /// The next tick to look at.
    tick: u64,
    /// The upper slot that is being moved down.
    moving: Option<u64>,
}

impl Wheel {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Wheel {
            links: Vec::with_capacity(capacity),
            heads: vec![NONE; position_of(SLOTS * 2)].into_boxed_slice(),
            tick: 0,
            moving: None,
        }
    }

    /// Sets the timer of a position; it must not be set.
    pub(crate) fn insert(&mut self, index: u32, due: Millis) {
        let at = position(index);
        while self.links.len() <= at {
            // Within the capacity given at the start, so this does not allocate.
            self.links.push(Link { next: NONE, prev: NONE, tick: 0, slot: NONE });
        }
        // Rounded up, so that nothing fires early.
        let tick = (due.0.div_ceil(TICK_MS)).max(self.tick);
        self.link(index, tick);
    }

    fn link(&mut self, index: u32, tick: u64) {
        let ahead = tick - self.tick;
        let slot = if ahead < SLOTS {
            tick % SLOTS
        } else {
            // Beyond the upper level's reach it waits in the last slot, and is looked at there.
            let upper = (tick / SLOTS).min(self.tick / SLOTS + SLOTS - 1);
            SLOTS + upper % SLOTS
        };
        let head = match self.heads.get_mut(position_of(slot)) {
            Some(head) => std::mem::replace(head, index),
            None => NONE,
        };
        if let Some(next) = self.links.get_mut(position(head)) {
            next.prev = index;
        }
        if let Some(link) = self.links.get_mut(position(index)) {
            let slot = u32::try_from(slot).unwrap_or(NONE);
            *link = Link { next: head, prev: NONE, tick: low(tick), slot };
        }
    }

    /// Returns the tick whose low bits these are, or the current one if that has gone by.
    fn whole(&self, tick: u32) -> u64 {
        let ahead = tick.wrapping_sub(low(self.tick));
        let is_past = ahead > u32::MAX / 2;
        if is_past { self.tick } else { self.tick + u64::from(ahead) }
    }

    /// Takes a timer away; does nothing if it is not set.
    pub(crate) fn remove(&mut self, index: u32) {
        let Some(link) = self.links.get_mut(position(index)) else { return };
        if link.slot == NONE {
            return;
        }
        let Link { next, prev, slot, .. } = *link;
        link.slot = NONE;
        match self.links.get_mut(position(prev)) {
            Some(before) => before.next = next,
            None => {
                if let Some(head) = self.heads.get_mut(position(slot)) {
                    *head = next;
                }
            }
        }
        if let Some(after) = self.links.get_mut(position(next)) {
            after.prev = prev;
        }
    }

    /// Takes the first timer of a slot away; returns its position, and its tick.
    fn pop(&mut self, slot: u64) -> Option<(u32, u32)> {
        let head = self.heads.get_mut(position_of(slot))?;
        let index = *head;
        let link = self.links.get_mut(position(index))?;
        let Link { next, tick, .. } = *link;
        link.slot = NONE;
        *head = next;
        if let Some(after) = self.links.get_mut(position(next)) {
            after.prev = NONE;
        }
        Some((index, tick))
    }

    /// Returns whether there may be timers that are due: a tick is still to be looked at.
    #[inline]
    pub(crate) fn is_behind(&self, now: Millis) -> bool {
        self.moving.is_some() || self.tick <= now.0 / TICK_MS
    }

    /// Takes away one timer that is due and returns its position. `None` if none is due, or if the
    /// steps of one call were not enough to find one.
    pub(crate) fn pop_due(&mut self, now: Millis) -> Option<u32> {
        let now_tick = now.0 / TICK_MS;
        for _ in 0..STEPS_MAX {
            if let Some(upper) = self.moving {
                match self.pop(SLOTS + upper) {
                    Some((index, tick)) => self.link(index, self.whole(tick)),
                    None => self.moving = None,
                }
                continue;
            }
            if self.tick > now_tick {
                return None;
            }
            if let Some((index, _)) = self.pop(self.tick % SLOTS) {
                return Some(index);
            }
            self.tick += 1;
            if self.tick.is_multiple_of(SLOTS) {
                self.moving = Some(self.tick / SLOTS % SLOTS);
            }
        }
        None
    }
}

fn position_of(slot: u64) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn drain(wheel: &mut Wheel, now: u64) -> Vec<u32> {
        let mut due = Vec::new();
        // Every call does a bounded piece: call until the wheel has caught up.
        while wheel.is_behind(Millis(now)) {
            due.extend(wheel.pop_due(Millis(now)));
        }
        due
    }

    proptest! {
        /// Against a sorted map: nothing early, nothing more than a tick late, nothing lost.
        #[test]
        fn the_wheel_fires_what_a_sorted_list_would(
            steps in proptest::collection::vec((0u32..64, 0u64..40_000_000, 0u64..300_000, any::<bool>()), 1..200),
        ) {
            let mut wheel = Wheel::with_capacity(64);
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            let mut now = 0;
            for (index, delay, advance, remove) in steps {
                if remove || model.contains_key(&index) {
                    wheel.remove(index);
                    model.remove(&index);
                } else {
                    wheel.insert(index, Millis(now + delay));
                    model.insert(index, now + delay);
                }
                now += advance;
                for fired in drain(&mut wheel, now) {
                    let due = model.remove(&fired);
                    prop_assert!(due.is_some_and(|due| due <= now), "{fired} was not due");
                }
                for (index, due) in &model {
                    prop_assert!(*due + TICK_MS > now, "{index} is late");
                }
            }
            now += 400_000_000;
            let mut last = drain(&mut wheel, now);
            last.sort_unstable();
            prop_assert_eq!(last, model.keys().copied().collect::<Vec<_>>());
        }
    }

    #[test]
    fn four_links_share_a_cache_line() {
        assert_eq!(size_of::<Link>(), 16);
    }

    #[test]
    fn the_low_bits_of_ticks_run_over() {
        let mut wheel = Wheel::with_capacity(2);
        let start = (1 << u32::BITS) - 3 * SLOTS;
        wheel.tick = start;
        let due = [start + SLOTS + 7, start + 5 * SLOTS + 7].map(|tick| tick * TICK_MS);
        wheel.insert(0, Millis(due[0]));
        wheel.insert(1, Millis(due[1]));
        for (index, due) in (0..).zip(due) {
            assert_eq!(drain(&mut wheel, due - 1), [0; 0]);
            assert_eq!(drain(&mut wheel, due), [index]);
        }
    }

    #[test]
    fn timers_beyond_the_upper_level_wait_and_fire_in_time() {
        let mut wheel = Wheel::with_capacity(1);
        let month = 31 * 86_400_000;
        wheel.insert(0, Millis(month));
        let fired = drain(&mut wheel, month - TICK_MS);
        assert_eq!(fired, [0; 0]);
        assert_eq!(drain(&mut wheel, month + TICK_MS), [0]);
    }
}
