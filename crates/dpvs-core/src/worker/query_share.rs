// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many ICMP queries are under way, in all, by client and by address asked: a flood of identifiers
//! must not fill the connection table, nor take the identifiers of others; one from random sources must
//! not silence pings to other addresses than the one it goes to.

use crate::key::{Address, Key};
use std::hash::BuildHasher;

/// Places for addresses. Those of one place share a limit.
const PLACES: usize = 4096;
/// Of all pairs one in this many is left for other addresses than the one that is asked most.
const OTHERS_SHARE: usize = 4;

/// Counts of query pairs.
#[derive(Debug)]
pub(super) struct QueryShare {
    pairs: usize,
    /// Most pairs of all clients.
    pairs_max: usize,
    by_client: Counts,
    by_asked: Counts,
}

/// A count for each of many addresses.
#[derive(Debug)]
struct Counts {
    counts: Box<[u32]>,
    hash: foldhash::quality::RandomState,
}

impl Counts {
    fn new() -> Self {
        Counts {
            counts: vec![0; PLACES].into_boxed_slice(),
            hash: foldhash::quality::RandomState::default(),
        }
    }

    fn place(&mut self, address: Address) -> Option<&mut u32> {
        let hash = self.hash.hash_one(address.bits()) % 4096;
        self.counts.get_mut(usize::try_from(hash).unwrap_or(0))
    }

    fn is_below(&mut self, address: Address, most: u32) -> bool {
        self.place(address).is_none_or(|count| *count < most)
    }

    fn change(&mut self, address: Address, change: impl Fn(u32) -> u32) {
        if let Some(count) = self.place(address) {
            *count = change(*count);
        }
    }
}

impl QueryShare {
    pub(super) fn new(pairs_max: usize) -> Self {
        QueryShare {
            pairs: 0,
            pairs_max: pairs_max.max(1),
            by_client: Counts::new(),
            by_asked: Counts::new(),
        }
    }

    /// Returns how many pairs are under way.
    pub(super) fn len(&self) -> usize {
        self.pairs
    }

    /// Returns whether there may be one more pair for a request; `per_client` 0 is no limit.
    pub(super) fn has_room(&mut self, request: &Key, per_client: u32) -> bool {
        let per_asked = self.pairs_max - self.pairs_max / OTHERS_SHARE;
        let per_asked = u32::try_from(per_asked).unwrap_or(u32::MAX);
        self.pairs < self.pairs_max
            && (per_client == 0 || self.by_client.is_below(request.src, per_client))
            && self.by_asked.is_below(request.dst, per_asked)
    }

    /// Counts the pair of a request that was made.
    pub(super) fn add(&mut self, request: &Key) {
        self.pairs += 1;
        self.by_client.change(request.src, |count| count + 1);
        self.by_asked.change(request.dst, |count| count + 1);
    }

    /// Counts the pair of a request that has ended.
    pub(super) fn remove(&mut self, request: &Key) {
        self.pairs = self.pairs.saturating_sub(1);
        self.by_client.change(request.src, |count| count.saturating_sub(1));
        self.by_asked.change(request.dst, |count| count.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Protocol;

    fn request(client: u8, asked: u8) -> Key {
        let (src, dst) = (Address::v4([198, 51, 100, client]), Address::v4([203, 0, 113, asked]));
        Key { src, dst, sport: 7, dport: 0x0800, protocol: Protocol::Icmp }
    }

    #[test]
    fn one_client_cannot_take_what_is_for_all() {
        let mut share = QueryShare::new(10);
        for _ in 0..3 {
            assert!(share.has_room(&request(1, 80), 3));
            share.add(&request(1, 80));
        }
        assert!(!share.has_room(&request(1, 81), 3));
        assert!(share.has_room(&request(1, 81), 0), "no limit by client");
        share.remove(&request(1, 80));
        assert!(share.has_room(&request(1, 81), 3));
        (0..8).for_each(|_| share.add(&request(2, 82)));
        assert!(!share.has_room(&request(1, 81), 3), "all have theirs");
    }

    #[test]
    fn one_address_cannot_be_asked_for_all() {
        let mut share = QueryShare::new(10);
        for client in 0..8 {
            assert!(share.has_room(&request(client, 80), 3));
            share.add(&request(client, 80));
        }
        assert!(!share.has_room(&request(8, 80), 3));
        assert!(share.has_room(&request(8, 81), 3), "another one has the rest");
        share.remove(&request(0, 80));
        assert!(share.has_room(&request(8, 80), 3));
    }
}
