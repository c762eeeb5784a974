// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `lblc` and `lblcr` remember of destinations.
//!
//! Destinations are told apart by a bucket of their hash: one bucket is all that a service with a
//! virtual address needs, and services by match, whose destinations are without number, have 1024.
//! Destinations in one bucket share what is remembered, so that nothing has to be thrown out, and
//! each of them still stays where it is. All workers share the buckets: a destination's cache is
//! warm on one server whichever worker's client asks. What is written is one word, a whole id or
//! none; when two workers write at once either is right.

use super::{Flow, hash};
use crate::tables::{Dest, DestId, Service, ServiceKey};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets of a service by match.
const BUCKETS: usize = 1024;

/// What is remembered, a `T` for each bucket.
#[derive(Debug)]
pub(super) struct Memory<T>(Arc<[T]>);

impl<T> Clone for Memory<T> {
    fn clone(&self) -> Self {
        Memory(Arc::clone(&self.0))
    }
}

impl<T: Default> Memory<T> {
    /// Makes buckets that remember nothing.
    pub(super) fn new(service: &Service) -> Self {
        let buckets = match service.key {
            ServiceKey::Virtual(_) => 1,
            ServiceKey::Match(_) => BUCKETS,
        };
        Memory((0..buckets).map(|_| T::default()).collect())
    }

    /// Returns what is remembered of a packet's destination.
    pub(super) fn of(&self, flow: &Flow) -> Option<&T> {
        self.0.get(hash::reduce(hash::of_address(flow.target.address), self.0.len()))
    }
}

/// A server that is remembered, or none.
#[derive(Debug, Default)]
pub(super) struct Place(AtomicU64);

impl Place {
    /// Returns the server, unless it is gone.
    pub(super) fn dest<'a>(&self, service: &'a Service) -> Option<&'a Dest> {
        let word = self.0.load(Ordering::Relaxed);
        let slot = u32::try_from(word >> 32).ok()?.checked_sub(1)?;
        let generation = u32::try_from(word & u64::from(u32::MAX)).ok()?;
        service.dest(DestId { slot, generation })
    }

    /// Remembers a server.
    pub(super) fn set(&self, dest: &Dest) {
        let DestId { slot, generation } = dest.id;
        self.0.store((u64::from(slot) + 1) << 32 | u64::from(generation), Ordering::Relaxed);
    }

    /// Forgets.
    pub(super) fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Returns whether a destination's server should have help: it has more established connections
/// than its weight, and a server has less than half of its own. O(servers) if the first is true.
pub(super) fn is_overloaded(dest: &Dest, service: &Service) -> bool {
    let active = |dest: &Dest| u64::from(dest.shared.counters.active());
    let weight = |dest: &Dest| u64::from(dest.settings.weight);
    let is_half_idle = |other: &Dest| other.is_available() && active(other) * 2 < weight(other);
    active(dest) > weight(dest) && service.dests.iter().any(is_half_idle)
}
