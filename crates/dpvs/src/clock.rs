// SPDX-License-Identifier: MIT OR Apache-2.0
//! The workers' clock. It counts milliseconds, so the kernel's clock need not be asked in every round
//! of the worker's loop: that would take as long as a third of a packet. The processor's cycle counter
//! tells when it is time to.

use dpvs_core::Millis;
use std::time::Instant;

/// How often a second the kernel's clock is read: each 20 us.
const READINGS_PER_S: u64 = 50_000;

/// The clock of one worker.
#[derive(Debug)]
pub(crate) struct Clock {
    /// When the clock of all workers stood at 0.
    origin: Instant,
    now: Millis,
    /// In cycles.
    read_at: u64,
    read_every: u64,
}

impl Clock {
    /// Makes a clock of a processor with `hz` cycles a second. It has been read at `cycles`.
    pub(crate) fn new(origin: Instant, hz: u64, cycles: u64) -> Self {
        let read_every = hz / READINGS_PER_S;
        Clock { origin, now: millis_since(origin), read_at: cycles, read_every }
    }

    /// Returns what time it is when the processor's counter stands at `cycles`.
    #[inline]
    pub(crate) fn at(&mut self, cycles: u64) -> Millis {
        if cycles.wrapping_sub(self.read_at) >= self.read_every {
            self.read_at = cycles;
            self.now = millis_since(self.origin);
        }
        self.now
    }
}

/// Returns what time it is on a clock that stood at 0 at `origin`, by the kernel's clock.
pub(crate) fn millis_since(origin: Instant) -> Millis {
    let elapsed = origin.elapsed();
    Millis(elapsed.as_secs() * 1000 + u64::from(elapsed.subsec_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const HZ: u64 = 50_000 * 100;

    fn started_ago(ms: u64) -> Instant {
        Instant::now().checked_sub(Duration::from_millis(ms)).unwrap()
    }

    #[test]
    fn the_time_is_read_when_enough_cycles_have_gone_by() {
        let mut clock = Clock::new(started_ago(5000), HZ, 1000);
        let first = clock.at(1000);
        assert!(first >= Millis(5000));
        clock.origin = started_ago(70_000);
        assert_eq!(clock.at(1099), first);
        assert!(clock.at(1100) >= Millis(70_000));
    }

    #[test]
    fn a_counter_that_was_set_back_stops_no_clock() {
        let mut clock = Clock::new(started_ago(5000), HZ, 1000);
        clock.origin = started_ago(70_000);
        assert!(clock.at(3) >= Millis(70_000));
    }

    #[test]
    fn without_a_counter_it_is_read_each_time() {
        let mut clock = Clock::new(started_ago(5000), 0, 0);
        clock.origin = started_ago(70_000);
        assert!(clock.at(0) >= Millis(70_000));
    }
}
