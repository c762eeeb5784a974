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
//! servers takes about 0.1 ms. A server's share is right within 1/4093 or two, so that the table
//! is good for some hundreds of servers.

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
mod tests {
    use super::*;
    use crate::scheduler::Scheduler;
    use crate::testing::service_with_weights;

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
}
