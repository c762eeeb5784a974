// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables whose entries are servers, each as often as its weight says; a hash picks an entry.
//!
//! What is in a table depends on the servers' addresses, ports and weights alone, not on the order
//! in which they were added. Servers of weight 0 are in none.

use super::SchedulerFlags;
use super::hash::reduce;
use crate::key::Endpoint;
use crate::tables::{Dest, Service};
use std::sync::Arc;

/// A server that can be in a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server {
    /// Where it stands in the service's list. 16 bits keep tables small: of more than 65,536
    /// servers the first are used.
    pub(super) at: u16,
    pub(super) endpoint: Endpoint,
    pub(super) weight: u32,
}

/// Returns the servers with a weight in the order of their addresses and ports.
pub(super) fn servers(service: &Service) -> Vec<Server> {
    let listed = (0..=u16::MAX).zip(&service.dests).filter(|(_, dest)| dest.settings.weight > 0);
    let mut servers: Vec<Server> = listed
        .map(|(at, dest)| Server { at, endpoint: dest.endpoint, weight: dest.settings.weight })
        .collect();
    servers.sort_by_key(|server| (server.endpoint.address, server.endpoint.port));
    servers
}

/// Gives the servers turns by their weights, without end: the heaviest has one in each round, one
/// of half its weight in every second. In the first round each has one.
///
/// After any number of turns T each of n servers with the share s of all weights has had more than
/// `T s - 1 - n s` and less than `T s + 2`.
#[derive(Debug)]
pub(super) struct Turns<'a> {
    servers: &'a [Server],
    weight_max: u32,
    /// For each server what it has over from the rounds before.
    credits: Vec<u32>,
    at: usize,
}

impl<'a> Turns<'a> {
    pub(super) fn new(servers: &'a [Server]) -> Self {
        let weight_max = servers.iter().map(|server| server.weight).max().unwrap_or(0);
        let credits = vec![weight_max.saturating_sub(1); servers.len()];
        Turns { servers, weight_max, credits, at: 0 }
    }
}

impl Iterator for Turns<'_> {
    type Item = usize;

    /// Returns the position of the server whose turn it is; `None` if there is no server.
    fn next(&mut self) -> Option<usize> {
        loop {
            let at = self.at;
            let (server, credit) = (self.servers.get(at)?, self.credits.get_mut(at)?);
            self.at = if at + 1 == self.servers.len() { 0 } else { at + 1 };
            *credit += server.weight;
            if *credit >= self.weight_max {
                *credit -= self.weight_max;
                return Some(at);
            }
        }
    }
}

/// A table. Its length is a power of two or a prime, or 0.
#[derive(Clone, Debug)]
pub(super) struct Table(pub(super) Arc<[u16]>);

impl Table {
    /// Returns the server of the entry that a hash picks, if it is available.
    ///
    /// With the flag for it, otherwise the next available one: entries are tried in steps that
    /// depend on the hash too, so that the clients of one server go to all others, not to one.
    /// O(1) without unavailable servers; a whole table at most, and only if a server is available.
    pub(super) fn pick<'a>(
        &self,
        service: &'a Service,
        hash: u64,
        flags: SchedulerFlags,
    ) -> Option<&'a Dest> {
        let first = reduce(hash, self.0.len());
        let chosen = self.dest(service, first)?;
        if chosen.is_available() {
            return Some(chosen);
        }
        if !flags.has(SchedulerFlags::FALLBACK) || !service.dests.iter().any(Dest::is_available) {
            return None;
        }
        self.others(first, hash)
            .filter_map(|at| self.dest(service, at))
            .find(|dest| dest.is_available())
            // It may be lighter than one entry's worth.
            .or_else(|| service.dests.iter().find(|dest| dest.is_available()))
    }

    fn dest<'a>(&self, service: &'a Service, at: usize) -> Option<&'a Dest> {
        self.0.get(at).and_then(|position| service.dests.get(usize::from(*position)))
    }

    /// Returns all places but `first`. The step is odd and below the length, so it has no divisor
    /// in common with a power of two or a prime: no place comes twice.
    fn others(&self, first: usize, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let len = self.0.len();
        let step = reduce(hash << 32, len.saturating_sub(1)) | 1;
        let places = std::iter::successors(Some(first), move |at| {
            let next = at + step;
            Some(if next >= len { next - len } else { next })
        });
        places.skip(1).take(len.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Address;

    fn servers_of(weights: &[u32]) -> Vec<Server> {
        let endpoint = |port| Endpoint { address: Address::v4([10, 1, 1, 10]), port };
        { 0u16.. }
            .zip(weights)
            .map(|(at, weight)| Server { at, endpoint: endpoint(at), weight: *weight })
            .collect()
    }

    #[test]
    fn turns_are_taken_by_weight() {
        let turns = |weights: &[u32]| Turns::new(&servers_of(weights)).take(9).collect::<Vec<_>>();
        assert_eq!(turns(&[7, 7, 7]), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
        assert_eq!(turns(&[4, 2, 1]), [0, 1, 2, 0, 0, 1, 0, 0, 1]);
        assert_eq!(turns(&[1, 65535]), [0, 1, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(turns(&[]), [0; 0]);
    }

    #[test]
    fn a_fallback_comes_to_every_other_place_once() {
        for len in [1, 2, 256, 4093] {
            let table = Table(vec![0; len].into());
            for hash in [0, 1, 2, 0x8000_0000, 0xffff_ffff, 0x1234_5678_9abc_def0] {
                let first = reduce(hash, len);
                let mut places: Vec<usize> = table.others(first, hash).collect();
                places.push(first);
                places.sort_unstable();
                assert_eq!(places, (0..len).collect::<Vec<_>>(), "{hash:x} of {len}");
            }
        }
    }
}
