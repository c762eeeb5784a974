// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maglev hashing (Eisenbud et al., NSDI 2016, section 3.4): a table in which few entries change
//! their server when a server comes or goes, and which every node makes the same.
//!
//! Each server has a permutation of the table's places by two hashes of its address and port. By
//! turns, as often as its weight says, each takes the first place of its permutation that is free.
//! `mh-port` hashes the client's port too, `mh-fallback` goes on to the next server where the chosen
//! one is unavailable; without it there is no server then. O(1).
//!
//! The table has 4093 entries of 2 bytes: 8 KiB a service, 80 MB for 10,000. To make one for 100
//! servers takes 0.13 ms, 1 ms where one of them outweighs all others. The number of a server's
//! entries is right as [`Turns`] says, which makes the table good for some hundreds of servers. When
//! one of 100 servers goes, less than one in 25 of the others' entries move.

use super::sh::client;
use super::table::{Table, Turns, servers};
use super::{Algorithm, Flow, hash};
use crate::WorkerId;
use crate::tables::{Dest, Service};

/// How many entries the table has: a prime, so that every step is a permutation.
const ENTRIES: usize = 4093;

#[derive(Clone, Debug)]
pub(super) struct Mh(Table);

impl Algorithm for Mh {
    fn new(service: &Service) -> Self {
        let servers = servers(service);
        let permutations = servers.iter().map(|server| Permutation {
            place: hash::reduce(hash::of_server(server.endpoint, 0), ENTRIES),
            skip: 1 + hash::reduce(hash::of_server(server.endpoint, 1), ENTRIES - 1),
            len: ENTRIES,
        });
        let entries = populate(Turns::new(&servers), permutations.collect(), ENTRIES);
        let at = |turn: usize| servers.get(turn).map(|server| server.at);
        Mh(Table(entries.into_iter().filter_map(at).collect()))
    }

    fn pick<'a>(&self, service: &'a Service, _me: WorkerId, flow: &Flow) -> Option<&'a Dest> {
        let flags = service.settings.flags;
        self.0.pick(service, client(flow.client, flags), flags)
    }
}

/// All places of a table in an order of one server's own.
#[derive(Debug)]
struct Permutation {
    /// The next place.
    place: usize,
    skip: usize,
    len: usize,
}

impl Iterator for Permutation {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let place = self.place;
        let next = place + self.skip;
        self.place = if next >= self.len { next - self.len } else { next };
        Some(place)
    }
}

/// Fills a table with the positions of permutations; it is empty if there are none.
fn populate(
    mut turns: impl Iterator<Item = usize>,
    mut permutations: Vec<Permutation>,
    len: usize,
) -> Vec<usize> {
    let mut entries: Vec<Option<usize>> = vec![None; len];
    for turn in turns.by_ref().take(len) {
        let Some(permutation) = permutations.get_mut(turn) else { continue };
        // There is a free place, and a permutation comes to every place.
        let is_free = |place: &usize| matches!(entries.get(*place), Some(None));
        if let Some(place) = permutation.find(is_free)
            && let Some(entry) = entries.get_mut(place)
        {
            *entry = Some(turn);
        }
    }
    entries.into_iter().flatten().collect()
}

#[cfg(test)]
#[allow(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "counts of at most 4093 are exact"
)]
mod tests {
    use super::*;
    use crate::scheduler::Scheduler;
    use crate::testing::{ServicePicker, service_with_weights};
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn permutation((place, skip): (usize, usize)) -> Permutation {
        Permutation { place, skip, len: 7 }
    }

    /// Table 1 of the paper: three servers, seven places, then without the second server.
    #[test]
    fn the_example_of_the_paper_comes_out() {
        let [b0, b1, b2] = [(3, 4), (0, 2), (3, 1)];
        let before = populate((0..3).cycle(), [b0, b1, b2].map(permutation).into(), 7);
        assert_eq!(before, [1, 0, 1, 0, 2, 2, 0]);
        let after = populate((0..2).cycle(), [b0, b2].map(permutation).into(), 7);
        assert_eq!(after, [0, 0, 0, 0, 1, 1, 1]);
    }

    #[test]
    fn without_servers_there_is_none() {
        assert_eq!(service_with_weights(Scheduler::Mh, &[]).pick_ports(1), [0; 0]);
        assert_eq!(service_with_weights(Scheduler::Mh, &[0, 0]).pick_ports(1), [0; 0]);
    }

    /// The ports of the servers in the table's entries.
    fn entries(service: &ServicePicker) -> Vec<u16> {
        let service = service.service();
        let Table(entries) = Mh::new(service).0;
        entries.iter().map(|at| service.dests[usize::from(*at)].endpoint.port).collect()
    }

    /// One in 25 is the bound; 145 of the 4093 is the worst of these.
    #[test]
    fn few_entries_of_the_others_move_when_a_server_goes() {
        for n in [2, 3, 10, 25, 50, 100] {
            for gone in [0, n / 2, n - 1] {
                let mut service = service_with_weights(Scheduler::Mh, &vec![1; n]);
                let (before, port) =
                    (entries(&service), service.service().dests[gone].endpoint.port);
                service.remove(gone);
                let after = entries(&service);
                let others = before.iter().zip(&after).filter(|(before, _)| **before != port);
                let moved = others.filter(|(before, after)| before != after).count();
                assert!(moved * 25 <= ENTRIES, "server {gone} of {n} goes: {moved} moved");
            }
        }
    }

    proptest! {
        /// With n servers, one of the share s has more than 4093 s - 1 - n s entries and less than
        /// 4093 s + 2.
        #[test]
        fn entries_are_in_proportion_to_weights(
            weights in vec(prop_oneof![0..5u32, 1..300u32, Just(65535)], 1..150),
        ) {
            let entries = entries(&service_with_weights(Scheduler::Mh, &weights));
            let sum: u32 = weights.iter().sum();
            prop_assert_eq!(entries.len(), if sum > 0 { ENTRIES } else { 0 });
            let n = weights.iter().filter(|weight| **weight > 0).count();
            for (port, weight) in (1..).zip(weights).filter(|(_, weight)| *weight > 0) {
                let has = entries.iter().filter(|entry| **entry == port).count() as f64;
                let share = f64::from(weight) / f64::from(sum);
                let even = ENTRIES as f64 * share;
                prop_assert!(has > even - 1.0 - n as f64 * share && has < even + 2.0);
                prop_assert!(has >= 1.0);
            }
        }
    }
}
