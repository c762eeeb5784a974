// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a daemon has counted, and whether it adds up.

use crate::daemon::Daemon;
use crate::run::wait_until;
use dpvs_api::method;
use dpvs_api::types::{DeviceFilter, Empty};
use std::collections::BTreeMap;

/// Counters at one moment, or what was counted between two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Counters of the dataplane by name.
    pub counters: BTreeMap<String, u64>,
    /// Dropped frames by reason.
    pub drops: BTreeMap<String, u64>,
    /// Frames that the ports received.
    pub received: u64,
    /// Frames that the ports sent.
    pub sent: u64,
    /// Frames that the ports had no room for.
    pub missed: u64,
}

impl Ledger {
    /// Reads all counters.
    pub fn of(daemon: &Daemon) -> Ledger {
        let mut client = daemon.client();
        let stats = client.call::<method::StatsGet>(&Empty {}).expect("stats.get");
        let drops = client.call::<method::DropList>(&Empty {}).expect("drop.list").drops;
        let links = client.call::<method::LinkList>(&DeviceFilter::default()).expect("link.list");
        let sum = |count: fn(&dpvs_api::types::LinkStats) -> u64| {
            links.links.iter().map(|link| count(&link.stats)).sum()
        };
        let names = drops.len();
        let drops: BTreeMap<_, _> =
            drops.into_iter().map(|drop| (drop.reason, drop.count)).collect();
        assert_eq!(drops.len(), names, "each reason has a name of its own");
        Ledger {
            counters: stats.counters,
            drops,
            received: sum(|stats| stats.in_packets),
            sent: sum(|stats| stats.out_packets),
            missed: sum(|stats| stats.in_missed),
        }
    }

    /// Waits until nothing is under way, and reads all counters: by then everything that came in has
    /// become something, and was counted as that alone.
    #[track_caller]
    pub fn settled(daemon: &Daemon) -> Ledger {
        let mut ledger = Ledger::of(daemon);
        wait_until(&format!("it adds up, as not in {ledger:#?}"), || {
            ledger = Ledger::of(daemon);
            let (came, went) = ledger.sides();
            came == went
                && ledger.received == ledger.counter("frames_in")
                && ledger.sent == ledger.counter("frames_out")
        });
        ledger
    }

    /// Returns what was counted since an earlier moment.
    #[must_use]
    pub fn since(&self, earlier: &Ledger) -> Ledger {
        let less = |all: &BTreeMap<String, u64>, before: &BTreeMap<String, u64>| {
            // A few are of what is under way, and go down.
            let less =
                |(name, count): (&String, &u64)| (name.clone(), count.saturating_sub(before[name]));
            all.iter().map(less).collect()
        };
        Ledger {
            counters: less(&self.counters, &earlier.counters),
            drops: less(&self.drops, &earlier.drops),
            received: self.received - earlier.received,
            sent: self.sent - earlier.sent,
            missed: self.missed - earlier.missed,
        }
    }

    /// Returns a counter.
    pub fn counter(&self, name: &str) -> u64 {
        *self.counters.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.counters))
    }

    /// Returns the sum of the counters whose names begin so.
    pub fn counters_of(&self, prefix: &str) -> u64 {
        let of = self.counters.iter().filter(|(name, _)| name.starts_with(prefix));
        of.map(|(_, count)| count).sum()
    }

    /// Returns the errors that were made here.
    pub fn made(&self) -> u64 {
        let kinds = ["time_exceeded", "too_big", "unreachable"];
        kinds.iter().map(|kind| self.counter(&format!("icmp_made_{kind}"))).sum()
    }

    /// Returns all dropped frames.
    pub fn dropped(&self) -> u64 {
        self.drops.values().sum()
    }

    /// Returns the frames that came or were made, and those that went, were used up or dropped.
    pub fn sides(&self) -> (u64, u64) {
        let sum = |names: &[&str]| names.iter().map(|name| self.counter(name)).sum::<u64>();
        let came = sum(&["frames_in", "frames_from_kernel", "frames_made"]);
        let went = sum(&["frames_out", "frames_to_kernel", "frames_used"]);
        (came, went + self.dropped())
    }

    /// Returns the reasons that most frames were dropped for, as a text.
    pub fn top_drops(&self, count: usize) -> String {
        let mut drops: Vec<_> = self.drops.iter().filter(|(_, count)| **count > 0).collect();
        drops.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let words: Vec<_> =
            drops.iter().take(count).map(|(reason, count)| format!("{reason} {count}")).collect();
        words.join(", ")
    }
}
