// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many ICMP queries are under way, in all and by client: a flood of identifiers must not fill
//! the connection table, nor take the identifiers of others.

use crate::key::Address;
use std::hash::BuildHasher;

/// Places for clients. Clients of one place share a limit.
const PLACES: usize = 4096;

/// Counts of query pairs.
#[derive(Debug)]
pub(super) struct QueryShare {
    pairs: usize,
    /// Most pairs of all clients.
    pairs_max: usize,
    by_client: Box<[u32]>,
    hash: foldhash::quality::RandomState,
}

impl QueryShare {
    pub(super) fn new(pairs_max: usize) -> Self {
        QueryShare {
            pairs: 0,
            pairs_max: pairs_max.max(1),
            by_client: vec![0; PLACES].into_boxed_slice(),
            hash: foldhash::quality::RandomState::default(),
        }
    }

    /// Returns how many pairs are under way.
    pub(super) fn len(&self) -> usize {
        self.pairs
    }

    fn place(&mut self, client: Address) -> Option<&mut u32> {
        let hash = self.hash.hash_one(client.bits()) % 4096;
        self.by_client.get_mut(usize::try_from(hash).unwrap_or(0))
    }

    /// Returns whether a client may have one more pair; `per_client` 0 is no limit.
    pub(super) fn has_room(&mut self, client: Address, per_client: u32) -> bool {
        self.pairs < self.pairs_max
            && (per_client == 0 || self.place(client).is_none_or(|pairs| *pairs < per_client))
    }

    /// Counts a pair that was made.
    pub(super) fn add(&mut self, client: Address) {
        self.pairs += 1;
        if let Some(pairs) = self.place(client) {
            *pairs += 1;
        }
    }

    /// Counts a pair that has ended.
    pub(super) fn remove(&mut self, client: Address) {
        self.pairs = self.pairs.saturating_sub(1);
        if let Some(pairs) = self.place(client) {
            *pairs = pairs.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_cannot_take_what_is_for_all() {
        let mut share = QueryShare::new(10);
        let client = |last| Address::v4([198, 51, 100, last]);
        for _ in 0..3 {
            assert!(share.has_room(client(1), 3));
            share.add(client(1));
        }
        assert!(!share.has_room(client(1), 3));
        assert!(share.has_room(client(1), 0), "no limit by client");
        share.remove(client(1));
        assert!(share.has_room(client(1), 3));
        (0..8).for_each(|_| share.add(client(2)));
        assert!(!share.has_room(client(1), 3), "all have theirs");
    }
}
