// SPDX-License-Identifier: MIT OR Apache-2.0
//! Locality-based least connections with replication: a destination has a set of servers.
//!
//! As the LVS documentation has it: the least loaded available server of the set is chosen. If there
//! is none, or it has more established connections than its weight while a server has less than half
//! of its own, the one that `wlc` chooses joins the set. From a set of several that has not changed
//! for 6 minutes the most loaded one is taken. Loads are those of `wlc`. O(set).
//!
//! A set has 16 servers at most; then the most loaded one makes room. 136 bytes a service, 136 KiB
//! for a service by match; see [`super::locality`].

use super::locality::{Memory, Place, is_overloaded};
use super::{Algorithm, Flow, Prepared, load, wlc};
use crate::tables::{Dest, Service};
use crate::{Millis, WorkerId};
use std::sync::atomic::{AtomicU64, Ordering};

/// Most servers of a destination.
const MEMBERS_MAX: usize = 16;
/// How long a set stays as it is before it shrinks.
const UNCHANGED_MS: u64 = 360_000;

#[derive(Clone, Debug)]
pub(super) struct Lblcr(Memory<Set>);

/// The servers of a destination.
#[derive(Debug, Default)]
struct Set {
    places: [Place; MEMBERS_MAX],
    /// When a server joined or left.
    changed: AtomicU64,
}

impl Algorithm for Lblcr {
    fn new(service: &Service) -> Self {
        match &service.picker.0 {
            Some(Prepared::Lblcr(before)) => before.clone(),
            _ => Lblcr(Memory::new(service)),
        }
    }

    fn pick<'a>(&self, service: &'a Service, _me: WorkerId, flow: &Flow) -> Option<&'a Dest> {
        let set = self.0.of(flow)?;
        match load::least(set.dests(service), wlc::load) {
            Some(dest) if !is_overloaded(dest, service) => {
                set.shrink(service, flow.now);
                Some(dest)
            }
            _ => {
                let dest = load::least(&service.dests, wlc::load)?;
                set.add(dest, service, flow.now);
                Some(dest)
            }
        }
    }
}

impl Set {
    fn dests<'a>(&self, service: &'a Service) -> impl Iterator<Item = &'a Dest> {
        self.places.iter().filter_map(|place| place.dest(service))
    }

    fn add(&self, dest: &Dest, service: &Service, now: Millis) {
        if self.dests(service).any(|member| member.id == dest.id) {
            return;
        }
        let free = self.places.iter().find(|place| place.dest(service).is_none());
        if let Some(place) = free.or_else(|| self.most_loaded(service)) {
            place.set(dest);
            self.changed.store(now.0, Ordering::Relaxed);
        }
    }

    /// Takes the most loaded server from a set of several that has stood long enough.
    fn shrink(&self, service: &Service, now: Millis) {
        let changed = self.changed.load(Ordering::Relaxed);
        if now.since(Millis(changed)) <= UNCHANGED_MS || self.dests(service).nth(1).is_none() {
            return;
        }
        // One worker alone: two that see the same old set would take two servers.
        let order = Ordering::Relaxed;
        if self.changed.compare_exchange(changed, now.0, order, order).is_ok()
            && let Some(place) = self.most_loaded(service)
        {
            place.clear();
        }
    }

    /// Returns the place of the most loaded server, the last among equals.
    fn most_loaded(&self, service: &Service) -> Option<&Place> {
        let members = self.places.iter().filter_map(|place| Some((place, place.dest(service)?)));
        let loads = members.map(|(place, dest)| (place, wlc::load(dest)));
        loads.reduce(|most, next| if next.1.is_below(most.1) { most } else { next }).map(|m| m.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::Millis;
    use crate::scheduler::{Flow, Scheduler};
    use crate::testing::{ServicePicker, client_flow, service_with_weights};

    const SIX_MINUTES: u64 = 360_000;

    fn pick_at(service: &ServicePicker, now: u64) -> Option<u16> {
        service.pick(&Flow { now: Millis(now), ..client_flow(0) })
    }

    /// Two servers of weight 2 in the set since the time 1000, the first with 3 connections, the
    /// second with 1, and a third, idle one that is not in it.
    fn two_of_three() -> ServicePicker {
        let service = service_with_weights(Scheduler::Lblcr, &[2, 2, 2]);
        assert_eq!(pick_at(&service, 500), Some(1));
        service.set_connections(0, 3, 0);
        assert_eq!(pick_at(&service, 1000), Some(2));
        service.set_connections(1, 1, 0);
        service
    }

    #[test]
    fn a_set_grows_when_its_least_loaded_server_is_overloaded() {
        let service = two_of_three();
        assert_eq!(pick_at(&service, 1000), Some(2), "the least loaded of the set, not of all");
        service.set_connections(0, 0, 1);
        assert_eq!(pick_at(&service, 1000), Some(1), "still in the set");
        service.set_connections(0, 3, 0);
        service.set_connections(1, 3, 0);
        assert_eq!(pick_at(&service, 1000), Some(3));
    }

    #[test]
    fn the_most_loaded_server_leaves_a_set_that_has_not_changed() {
        let service = two_of_three();
        assert_eq!(pick_at(&service, 1000 + SIX_MINUTES), Some(2));
        service.set_connections(0, 0, 0);
        assert_eq!(pick_at(&service, 1000 + SIX_MINUTES), Some(1), "not longer than 6 minutes");
        service.set_connections(0, 3, 0);
        assert_eq!(pick_at(&service, 1001 + SIX_MINUTES), Some(2));
        service.set_connections(0, 0, 0);
        assert_eq!(pick_at(&service, 1001 + SIX_MINUTES), Some(2), "the first has left");
        assert_eq!(pick_at(&service, 1_000_000_000), Some(2), "the last one never does");
    }

    #[test]
    fn a_full_set_changes_its_most_loaded_server() {
        let service = service_with_weights(Scheduler::Lblcr, &[1; 18]);
        for server in 0..17 {
            assert_eq!(pick_at(&service, 1000), u16::try_from(server + 1).ok());
            service.set_connections(server, 2, if server == 6 { 9 } else { 0 });
        }
        // The seventeenth came for the seventh, which would have room now.
        service.set_connections(6, 1, 0);
        assert_eq!(pick_at(&service, 1000), Some(18));
    }

    #[test]
    fn unavailable_and_removed_servers_are_passed_over() {
        let mut service = two_of_three();
        service.set_overloaded(1, true);
        assert_eq!(
            pick_at(&service, 1000),
            Some(3),
            "the first is overloaded, the third half idle"
        );
        service.remove(2);
        service.set_connections(0, 1, 0);
        assert_eq!(pick_at(&service, 1000), Some(1));
        service.set_weight(0, 0);
        assert_eq!(pick_at(&service, 1000), None);
    }
}
