// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stamped traffic of established connections at a steady pace, and how long each packet was away.
//!
//! This thread may lose its processor to others. What was under way then comes late without any
//! guilt of the balancer's, so a packet counts only if this thread looked at its ring all the time
//! between the packet's start and its return.

use crate::frames::Template;
use crate::stamp::{is_traffic, read_stamp, stamp};
use crate::wire::{BURST, Wire};
use dpdk::{tsc, tsc_hz};
use dpvs_bench::measure::to_f64;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longest time between two looks at the ring that is no gap.
const GAP_US: u64 = 10;

/// How long packets may take to come back after the last was sent.
const REST: Duration = Duration::from_millis(50);

/// What became of the packets of some time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flight {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Found no place in the ring.
    pub(crate) refused: u64,
    /// Cycles on the way, of those that count.
    times: Vec<u64>,
}

impl Flight {
    /// What did not come back.
    pub(crate) fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }

    /// How many were timed.
    pub(crate) fn timed(&self) -> usize {
        self.times.len()
    }

    /// Nanoseconds that so many thousandths of the packets did not exceed.
    pub(crate) fn quantile(&mut self, per_mille: usize) -> f64 {
        self.times.sort_unstable();
        let at = (self.times.len() * per_mille / 1000).min(self.times.len().saturating_sub(1));
        let cycles = self.times.get(at).copied().unwrap_or(0);
        to_f64(cycles) * 1e9 / to_f64(tsc_hz().max(1))
    }
}

/// Sends packets of `flows` clients in turn, so many a second, and takes them as they come back.
pub(crate) fn fly(wire: &mut Wire, flows: u64, per_second: f64, time: Duration) -> Flight {
    let template = Template::udp();
    let hz = to_f64(tsc_hz());
    let gap = tsc_hz() / 1_000_000 * GAP_US;
    let mut flight = Flight::default();
    let mut client = 0;
    let start = tsc();
    let (mut due, step) = (to_f64(0), hz / per_second);
    let mut looked = start;
    let mut gap_ended = start;
    let began = Instant::now();
    loop {
        let now = tsc();
        if now - looked > gap {
            gap_ended = now;
            // What was to be sent in the gap is not sent: that would be a burst.
            due = due.max(to_f64(now - start));
        }
        looked = now;
        let mut count = 0;
        while due <= to_f64(now - start) && count < BURST {
            due += step;
            count += 1;
        }
        if count > 0 {
            let sent = wire.send(count, template.len(), |bytes| {
                template.write(bytes, client);
                stamp(bytes, now);
                client = (client + 1) % flows;
            });
            flight.sent += u64::try_from(sent).unwrap_or(0);
            flight.refused += u64::try_from(count - sent).unwrap_or(0);
        }
        take(wire, &mut flight, gap_ended);
        if began.elapsed() > time {
            break;
        }
    }
    let ended = Instant::now();
    while flight.lost() > 0 && ended.elapsed() < REST {
        take(wire, &mut flight, u64::MAX);
        sleep(Duration::from_micros(10));
    }
    flight
}

fn take(wire: &mut Wire, flight: &mut Flight, gap_ended: u64) {
    let now = tsc();
    wire.drain(|bytes| {
        if !is_traffic(bytes) {
            return;
        }
        flight.received += 1;
        if let Some(time) = read_stamp(bytes).filter(|time| *time >= gap_ended) {
            flight.times.push(now.saturating_sub(time));
        }
    });
}

/// Packets a second that come back from connections that stand, at most: what is sent is what comes
/// back and half a ring.
pub(crate) fn capacity(wire: &mut Wire, flows: u64, time: Duration) -> f64 {
    const UNDER_WAY: u64 = 512;
    let template = Template::udp();
    let (mut sent, mut received, mut client) = (0_u64, 0_u64, 0);
    let began = Instant::now();
    let mut heard = Instant::now();
    while began.elapsed() < time {
        if sent - received < UNDER_WAY {
            let took = wire.send(BURST, template.len(), |bytes| {
                template.write(bytes, client);
                client = (client + 1) % flows;
            });
            sent += u64::try_from(took).unwrap_or(0);
        }
        let came = wire.drain(|_| {});
        received = (received + u64::try_from(came).unwrap_or(0)).min(sent);
        if came > 0 {
            heard = Instant::now();
        } else if heard.elapsed() > Duration::from_millis(100) {
            // Some were lost: nothing is under way.
            sent = received;
        }
    }
    to_f64(received) / began.elapsed().as_secs_f64()
}
