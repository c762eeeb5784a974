// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a worker knows of its neighbours' link addresses (ARP, RFC 826; neighbour discovery,
//! RFC 4861).
//!
//! Entries are looked at when a frame needs them, never by a timer: one that was confirmed lately is
//! used; an older one is used and asked again; one that does not answer is forgotten. The table has
//! a fixed size, and a bucket that is full gives up its least recently used entry, so neither a scan
//! of the subnet nor forged ARP makes it grow. Configured neighbours are in the tables and win.

use crate::key::Address;
use crate::net::Mac;
use crate::tables::Tables;
use crate::{Millis, NextHop, PortId};
use std::hash::BuildHasher;

const BUCKETS: usize = 512;
const BUCKET_LEN: usize = 8;

/// How long a confirmed entry is used without asking again (RFC 4861 section 10: 30 s).
const REACHABLE_MS: u64 = 30_000;
/// How long the link address of a neighbour in use is not looked up again: a scan of the subnet must not
/// push it out meanwhile.
const RECENT_MS: u64 = 100;
/// Time between two questions (RFC 4861 section 10: 1 s).
const RETRANSMIT_MS: u64 = 1000;
/// Questions without an answer before an entry counts as failed (RFC 4861 section 10: 3).
const PROBES_MAX: u8 = 3;

/// A link address that was learned, for other workers to learn too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourUpdate {
    /// The port that it is on.
    pub port: PortId,
    /// Its address.
    pub address: Address,
    /// Its link address.
    pub mac: Mac,
}

/// An entry as a listing shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourInfo {
    /// The port that it is on.
    pub port: PortId,
    /// Its address.
    pub address: Address,
    /// Its link address, if known.
    pub mac: Option<Mac>,
    /// How well it is known.
    pub state: NeighbourState,
}

/// How well a neighbour is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourState {
    /// Asked for, not answered yet.
    Send,
    /// Confirmed lately.
    Reachable,
    /// Used, but its confirmation is old.
    Delay,
    /// Used, and being asked again.
    Probe,
}

/// What to do with a frame for a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resolution {
    /// Where the frame can go.
    pub(crate) link: Link,
    /// Ask for the neighbour now.
    pub(crate) ask: bool,
}

/// Whether a neighbour can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// At this link address.
    Known(Mac),
    /// Asked for: wait.
    Pending,
    /// It does not answer.
    Failed,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hop: NextHop,
    mac: Option<Mac>,
    confirmed_at: Millis,
    used_at: Millis,
    asked_at: Option<Millis>,
    probes: u8,
}

/// Where frames for a neighbour went lately: good for the tables of one generation, until a time.
#[derive(Clone, Copy, Debug)]
struct Recent {
    hop: NextHop,
    mac: Mac,
    generation: u64,
    until: Millis,
}

impl Recent {
    const NONE: Recent = Recent {
        hop: NextHop { port: PortId(0), address: Address::UNSPECIFIED_V4 },
        mac: Mac([0; 6]),
        generation: 0,
        until: Millis(0),
    };
}

/// A worker's neighbours.
#[derive(Debug)]
pub(crate) struct Neighbours {
    buckets: Box<[[Option<Entry>; BUCKET_LEN]]>,
    hash: foldhash::fast::RandomState,
    /// By the last byte of the address.
    recent: Box<[Recent; 256]>,
    /// How often a neighbour was learned or forgotten.
    changes: u64,
}

impl Neighbours {
    pub(crate) fn new() -> Self {
        Neighbours {
            buckets: vec![[None; BUCKET_LEN]; BUCKETS].into_boxed_slice(),
            hash: foldhash::fast::RandomState::default(),
            recent: Box::new([Recent::NONE; 256]),
            changes: 0,
        }
    }

    /// Returns how often a neighbour was learned or forgotten: what [`Neighbours::recent`] said stands
    /// until then.
    #[inline]
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Returns the link address of a neighbour that frames have gone to lately, and until when it can be
    /// used without being looked up.
    #[inline]
    pub(crate) fn recent(
        &self,
        tables: &Tables,
        now: Millis,
        hop: NextHop,
    ) -> Option<(Mac, Millis)> {
        let [.., last] = hop.address.v6_octets();
        let recent = self.recent.get(usize::from(last))?;
        let is_good =
            recent.hop == hop && recent.generation == tables.generation() && now < recent.until;
        is_good.then_some((recent.mac, recent.until))
    }

    fn set_recent(&mut self, recent: Recent) {
        let [.., last] = recent.hop.address.v6_octets();
        if let Some(place) = self.recent.get_mut(usize::from(last)) {
            *place = recent;
        }
    }

    fn unset_recent(&mut self, hop: NextHop) {
        self.set_recent(Recent { hop, ..Recent::NONE });
        self.changes = self.changes.wrapping_add(1);
    }

    fn bucket(&mut self, hop: NextHop) -> &mut [Option<Entry>] {
        let hash = self.hash.hash_one((hop.port.0, hop.address.bits()));
        let at = usize::try_from(hash % 512).unwrap_or(0);
        self.buckets.get_mut(at).map_or(&mut [], |bucket| bucket.as_mut_slice())
    }

    /// Says where a frame for a neighbour goes, and whether to ask for it.
    pub(crate) fn resolve(&mut self, tables: &Tables, now: Millis, hop: NextHop) -> Resolution {
        if let Some((mac, _)) = self.recent(tables, now, hop) {
            return Resolution { link: Link::Known(mac), ask: false };
        }
        let generation = tables.generation();
        let is_it =
            |n: &&crate::tables::StaticNeighbour| n.port == hop.port && n.address == hop.address;
        if let Some(fixed) = tables.neighbours().iter().find(is_it) {
            let until = Millis(u64::MAX);
            self.set_recent(Recent { hop, mac: fixed.mac, generation, until });
            return Resolution { link: Link::Known(fixed.mac), ask: false };
        }
        let entry = entry_for(self.bucket(hop), hop, now);
        entry.used_at = now;
        if entry.mac.is_some() && now.since(entry.confirmed_at) < REACHABLE_MS {
            let mac = entry.mac.unwrap_or_default();
            // Not for longer: the entry shows when it was used last.
            let until = (entry.confirmed_at + REACHABLE_MS).min(now + RECENT_MS);
            entry.used_at = until;
            self.set_recent(Recent { hop, mac, generation, until });
            return Resolution { link: Link::Known(mac), ask: false };
        }
        let is_time = entry.asked_at.is_none_or(|at| now.since(at) >= RETRANSMIT_MS);
        if !is_time {
            let has_failed = entry.probes > PROBES_MAX;
            let link = if has_failed { Link::Failed } else { entry.link() };
            return Resolution { link, ask: false };
        }
        if entry.probes == PROBES_MAX {
            // Three questions, no answer: all that wait and come within a second are lost, then it
            // starts over (RFC 4861 section 7.2.2).
            entry.probes = PROBES_MAX + 1;
            entry.mac = None;
            entry.asked_at = Some(now);
            return Resolution { link: Link::Failed, ask: false };
        }
        if entry.probes > PROBES_MAX {
            entry.probes = 0;
        }
        entry.probes += 1;
        entry.asked_at = Some(now);
        Resolution { link: entry.link(), ask: true }
    }

    /// Returns whether a neighbour was asked for and does not answer.
    pub(crate) fn has_failed(&mut self, hop: NextHop) -> bool {
        let is_it = |entry: &&mut Entry| entry.hop == hop;
        self.bucket(hop)
            .iter_mut()
            .flatten()
            .find(is_it)
            .is_some_and(|entry| entry.mac.is_none() && entry.probes > PROBES_MAX)
    }

    /// Learns a link address. `make` tells whether an unknown neighbour gets an entry: only one
    /// that speaks to us does.
    pub(crate) fn learn(&mut self, now: Millis, update: NeighbourUpdate, make: bool) -> bool {
        let hop = NextHop { port: update.port, address: update.address };
        self.unset_recent(hop);
        let bucket = self.bucket(hop);
        let stands = bucket.iter().flatten().any(|entry| entry.hop == hop);
        if !stands && !make {
            return false;
        }
        let entry = entry_for(bucket, hop, now);
        let is_news = entry.mac != Some(update.mac)
            || entry.probes > 0
            || now.since(entry.confirmed_at) >= REACHABLE_MS / 2;
        entry.mac = Some(update.mac);
        entry.confirmed_at = now;
        entry.probes = 0;
        entry.asked_at = None;
        is_news
    }

    /// Forgets a neighbour.
    pub(crate) fn forget(&mut self, hop: NextHop) {
        self.unset_recent(hop);
        for place in self.bucket(hop) {
            if place.is_some_and(|entry| entry.hop == hop) {
                *place = None;
            }
        }
    }

    /// Returns all entries.
    pub(crate) fn iter(&self, now: Millis) -> impl Iterator<Item = NeighbourInfo> {
        self.buckets.iter().flatten().flatten().map(move |entry| NeighbourInfo {
            port: entry.hop.port,
            address: entry.hop.address,
            mac: entry.mac,
            state: entry.state(now),
        })
    }
}

impl Entry {
    fn link(&self) -> Link {
        self.mac.map_or(Link::Pending, Link::Known)
    }

    fn state(&self, now: Millis) -> NeighbourState {
        if self.mac.is_none() {
            NeighbourState::Send
        } else if now.since(self.confirmed_at) < REACHABLE_MS {
            NeighbourState::Reachable
        } else if self.probes > 0 {
            NeighbourState::Probe
        } else {
            NeighbourState::Delay
        }
    }
}

/// Finds the entry of `hop` in its bucket, or makes one in the place of the least recently used.
fn entry_for(bucket: &mut [Option<Entry>], hop: NextHop, now: Millis) -> &mut Entry {
    let new =
        Entry { hop, mac: None, confirmed_at: Millis(0), used_at: now, asked_at: None, probes: 0 };
    let at = bucket
        .iter()
        .position(|place| place.is_some_and(|entry| entry.hop == hop))
        .or_else(|| bucket.iter().position(Option::is_none))
        .or_else(|| {
            let used_at = |place: &Option<Entry>| place.map_or(Millis(0), |entry| entry.used_at);
            (0..bucket.len()).min_by_key(|at| bucket.get(*at).map(used_at))
        })
        .unwrap_or(0);
    let Some(place) = bucket.get_mut(at) else {
        unreachable!("a bucket has {BUCKET_LEN} places");
    };
    if place.is_none_or(|entry| entry.hop != hop) {
        *place = Some(new);
    }
    place.get_or_insert(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn hop(last: u8) -> NextHop {
        NextHop { port: PortId(0), address: Address::v4([10, 0, 0, last]) }
    }

    fn update(last: u8, mac: u8) -> NeighbourUpdate {
        NeighbourUpdate {
            port: PortId(0),
            address: hop(last).address,
            mac: Mac([2, 0, 0, 0, 0, mac]),
        }
    }

    #[test]
    fn an_unknown_neighbour_is_asked_once_a_second_and_fails_after_three_questions() {
        let tables = testing::tables(1);
        let mut neighbours = Neighbours::new();
        let mut at = |ms| neighbours.resolve(&tables, Millis(ms), hop(1));
        assert_eq!(at(0), Resolution { link: Link::Pending, ask: true });
        assert_eq!(at(999), Resolution { link: Link::Pending, ask: false });
        assert_eq!(at(1000), Resolution { link: Link::Pending, ask: true });
        assert_eq!(at(2000), Resolution { link: Link::Pending, ask: true });
        assert_eq!(at(3000), Resolution { link: Link::Failed, ask: false });
        assert_eq!(at(3001), Resolution { link: Link::Failed, ask: false });
        assert_eq!(at(4000), Resolution { link: Link::Pending, ask: true });
    }

    #[test]
    fn a_learned_neighbour_is_used_and_asked_again_when_old() {
        let tables = testing::tables(1);
        let mut neighbours = Neighbours::new();
        assert!(!neighbours.learn(Millis(0), update(1, 9), false));
        assert!(neighbours.learn(Millis(0), update(1, 9), true));
        let known = Link::Known(Mac([2, 0, 0, 0, 0, 9]));
        let mut at = |ms| neighbours.resolve(&tables, Millis(ms), hop(1));
        assert_eq!(at(29_999), Resolution { link: known, ask: false });
        assert_eq!(at(30_000), Resolution { link: known, ask: true });
        assert_eq!(at(30_500), Resolution { link: known, ask: false });
        at(31_000);
        at(32_000);
        assert_eq!(at(33_000), Resolution { link: Link::Failed, ask: false });
    }

    #[test]
    fn a_scan_of_the_subnet_does_not_push_out_a_neighbour_in_use() {
        let tables = testing::tables(1);
        let mut neighbours = Neighbours::new();
        neighbours.learn(Millis(0), update(1, 9), true);
        for n in 0..20_000u32 {
            let [_, a, b, c] = n.to_be_bytes();
            let hop = NextHop { port: PortId(0), address: Address::v4([172, a + 16, b, c]) };
            neighbours.resolve(&tables, Millis(u64::from(n)), hop);
            let used = neighbours.resolve(&tables, Millis(u64::from(n) + 1), self::hop(1));
            assert_ne!(used.link, Link::Pending, "after {n}");
        }
    }
}
