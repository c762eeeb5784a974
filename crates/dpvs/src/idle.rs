// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a worker spends its time: it polls while frames come, sleeps longer and longer while none
//! do, and tells what share of its time went into frames.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Polls that find nothing before the first sleep: gaps between bursts are shorter than these.
const SPINS: u32 = 256;

/// Sleeps of one length before the length is doubled.
const SLEEPS_PER_STEP: u32 = 64;

/// The first sleep in microseconds. The kernel's timer slack adds about 50 to it.
const SLEEP_US_MIN: u32 = 16;

/// Doublings at most: 16 us to 1024 us.
const STEPS_MAX: u32 = 6;

/// Decides when to sleep. Owned by the worker's thread.
#[derive(Debug)]
pub(crate) struct Idle {
    empty_polls: u32,
    sleep_us_max: u32,
}

impl Idle {
    /// Sleeps at most `sleep_us_max` at a time; 0 is never.
    pub(crate) fn new(sleep_us_max: u32) -> Self {
        Idle { empty_polls: 0, sleep_us_max }
    }

    /// Takes note of a poll and says how long to sleep, if at all.
    pub(crate) fn pause(&mut self, was_busy: bool) -> Option<Duration> {
        if was_busy {
            self.empty_polls = 0;
            return None;
        }
        self.empty_polls = self.empty_polls.saturating_add(1);
        let sleeps = self.empty_polls.checked_sub(SPINS)?;
        if self.sleep_us_max == 0 {
            return None;
        }
        let step = (sleeps / SLEEPS_PER_STEP).min(STEPS_MAX);
        let sleep_us = (SLEEP_US_MIN << step).min(self.sleep_us_max);
        Some(Duration::from_micros(u64::from(sleep_us)))
    }
}

/// Measures the share of time that went into frames. Time is in cycles of the processor.
#[derive(Debug)]
pub(crate) struct BusyMeter {
    permille: Arc<AtomicU32>,
    /// Cycles of a second.
    hz: u64,
    busy: u64,
    began: u64,
    last: u64,
}

impl BusyMeter {
    /// Starts to measure; the result goes to `permille` each second.
    pub(crate) fn new(permille: Arc<AtomicU32>, hz: u64, now: u64) -> Self {
        BusyMeter { permille, hz, busy: 0, began: now, last: now }
    }

    /// Takes note that the time since the last call was spent on frames, or was not.
    pub(crate) fn note(&mut self, now: u64, was_busy: bool) {
        if was_busy {
            self.busy += now.saturating_sub(self.last);
        }
        self.last = now;
        // If the counter was set back that is very long, and the next second begins.
        let elapsed = now.wrapping_sub(self.began);
        if elapsed >= self.hz {
            let share = u128::from(self.busy) * 1000 / u128::from(elapsed.max(1));
            self.permille.store(u32::try_from(share).unwrap_or(1000).min(1000), Ordering::Relaxed);
            self.busy = 0;
            self.began = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeps_begin_late_and_grow_to_their_limit() {
        let mut idle = Idle::new(1000);
        let pauses: Vec<_> = (0..2000).map(|_| idle.pause(false)).collect();
        assert_eq!(pauses[..255], vec![None; 255]);
        assert_eq!(pauses[255], Some(Duration::from_micros(16)));
        assert_eq!(pauses[255 + 64], Some(Duration::from_micros(32)));
        assert_eq!(pauses[1999], Some(Duration::from_millis(1)));
        assert_eq!(idle.pause(true), None);
        assert_eq!(idle.pause(false), None);
    }

    #[test]
    fn a_limit_of_0_never_sleeps() {
        let mut idle = Idle::new(0);
        assert!((0..10_000).all(|_| idle.pause(false).is_none()));
    }

    #[test]
    fn the_share_of_busy_time_is_told_each_second() {
        let permille = Arc::new(AtomicU32::new(7));
        let start = u64::MAX / 2;
        let mut meter = BusyMeter::new(Arc::clone(&permille), 1_000_000_000, start);
        meter.note(start + 250_000_000, true);
        assert_eq!(permille.load(Ordering::Relaxed), 7);
        meter.note(start + 1_000_000_000, false);
        assert_eq!(permille.load(Ordering::Relaxed), 250);
        meter.note(start + 2_000_000_000, false);
        assert_eq!(permille.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_counter_that_was_set_back_stops_no_measuring() {
        let permille = Arc::new(AtomicU32::new(7));
        let mut meter = BusyMeter::new(Arc::clone(&permille), 1_000_000_000, u64::MAX / 2);
        meter.note(5, true);
        assert_eq!(permille.load(Ordering::Relaxed), 0);
        meter.note(1_000_000_005, true);
        assert_eq!(permille.load(Ordering::Relaxed), 1000);
    }
}
