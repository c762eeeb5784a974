// SPDX-License-Identifier: MIT OR Apache-2.0
//! Path MTUs to real servers at the far ends of tunnels (RFC 2003 section 5, RFC 4213 section 3.2).
//!
//! Routers on the way to such a server complain to us about the outer packets. What they say is kept
//! for ten minutes and told to clients whose packets would not fit. All workers share the table: the
//! complaint arrives at any of them. An entry is one word, read and written whole, so no lock is
//! needed; of two servers with one place the later one has it, and the other's is learned again.

use crate::Millis;
use crate::key::Address;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

/// Places of the table.
const PLACES: usize = 4096;
/// How long a path MTU is believed (RFC 1191 section 6.3).
const LIFETIME_S: u64 = 600;
/// What is believed at least. A router that tells less is broken or hostile: every IPv4 host takes
/// 576 bytes (RFC 1122 section 3.3.2), and every IPv6 link 1280.
const MTU_V4_MIN: u32 = 576;
const MTU_V6_MIN: u32 = 1280;
/// MTUs that exist (RFC 1191 section 7), for routers that do not tell theirs.
const PLATEAUS: [u32; 6] = [8166, 4352, 2002, 1492, 1006, 576];

/// The table.
#[derive(Debug)]
pub struct PathMtus {
    /// Upper 24 bits of the server's hash, 16 bits of MTU, 24 bits of seconds of its end.
    places: Box<[AtomicU64]>,
    hash: foldhash::quality::RandomState,
}

impl Default for PathMtus {
    fn default() -> Self {
        PathMtus {
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            hash: foldhash::quality::RandomState::default(),
        }
    }
}

impl PathMtus {
    fn place(&self, server: Address) -> Option<(&AtomicU64, u64)> {
        let hash = self.hash.hash_one(server.bits());
        let at = usize::try_from(hash % 4096).unwrap_or(0);
        Some((self.places.get(at)?, hash >> 40))
    }

    /// Returns what is known of the way to a server.
    pub fn find(&self, now: Millis, server: Address) -> Option<u32> {
        let (place, tag) = self.place(server)?;
        let word = place.load(Ordering::Relaxed);
        let (mtu, ends_at) = (word >> 24 & 0xffff, word & 0xff_ffff);
        // The low bits of the seconds run over after half a year.
        let left = ends_at.wrapping_sub(now.0 / 1000) & 0xff_ffff;
        let is_it = word >> 40 == tag && mtu != 0 && 0 < left && left <= LIFETIME_S;
        if is_it { u32::try_from(mtu).ok() } else { None }
    }

    /// Learns that a packet of `len` bytes was too long for the way to a server, which takes `mtu`; 0
    /// if the router did not tell. Returns whether that was new.
    pub fn learn(&self, now: Millis, server: Address, mtu: u32, len: u32) -> bool {
        let told = if mtu == 0 { plateau_below(len) } else { mtu };
        let least = match server.family() {
            crate::net::Family::V4 => MTU_V4_MIN,
            crate::net::Family::V6 => MTU_V6_MIN,
        };
        // One that would have let the packet through, or widens the way, tells nothing.
        let known = self.find(now, server).unwrap_or(u32::from(u16::MAX));
        let mtu = told.max(least).min(known);
        if told >= len.max(least + 1) {
            return false;
        }
        let Some((place, tag)) = self.place(server) else { return false };
        let ends_at = (now.0 / 1000 + LIFETIME_S) & 0xff_ffff;
        place.store(tag << 40 | u64::from(mtu & 0xffff) << 24 | ends_at, Ordering::Relaxed);
        mtu < known
    }
}

fn plateau_below(len: u32) -> u32 {
    PLATEAUS.into_iter().find(|plateau| *plateau < len).unwrap_or(MTU_V4_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Address {
        Address::v4([10, 1, 1, 10])
    }

    #[test]
    fn what_was_told_is_believed_for_ten_minutes() {
        let mtus = PathMtus::default();
        assert!(mtus.learn(Millis(5000), server(), 1400, 1500));
        assert_eq!(mtus.find(Millis(5000), server()), Some(1400));
        assert_eq!(mtus.find(Millis(604_999), server()), Some(1400));
        assert_eq!(mtus.find(Millis(605_000), server()), None);
        assert_eq!(mtus.find(Millis(5000), Address::v4([192, 0, 2, 1])), None);
    }

    /// 2^24 seconds are 194 days.
    #[test]
    fn what_was_told_is_believed_after_half_a_year_too() {
        for day in [193, 194, 195, 389] {
            for hour in 0..24 {
                let mtus = PathMtus::default();
                let now = Millis((day * 24 + hour) * 3_600_000);
                assert!(mtus.learn(now, server(), 1400, 1500));
                assert_eq!(mtus.find(now + 599_999, server()), Some(1400), "day {day}, {hour} h");
                assert_eq!(mtus.find(now + 601_000, server()), None, "day {day}, {hour} h");
            }
        }
    }

    #[test]
    fn a_router_that_does_not_tell_leaves_the_next_plateau() {
        let mtus = PathMtus::default();
        mtus.learn(Millis(0), server(), 0, 1500);
        assert_eq!(mtus.find(Millis(0), server()), Some(1492));
    }

    #[test]
    fn what_cannot_be_is_not_believed() {
        let mtus = PathMtus::default();
        assert!(
            !mtus.learn(Millis(0), server(), 1500, 1500),
            "it would have let the packet through"
        );
        mtus.learn(Millis(0), server(), 68, 1500);
        assert_eq!(mtus.find(Millis(0), server()), Some(576));
        mtus.learn(Millis(0), server(), 1400, 1500);
        assert_eq!(mtus.find(Millis(0), server()), Some(576), "the way does not widen by itself");
    }
}
