// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a worker remembers of fragmented datagrams.
//!
//! A fixed table of buckets. A bucket is chosen by source and destination alone, not by the
//! identification: whoever floods us with fragments fills the one bucket of its own address pair
//! and pushes out only what is in there. The hash is keyed at random, so nobody can aim at the
//! bucket of another pair. Expired entries are looked at when their place is needed, never by a
//! timer.

use super::FragmentKey;
use crate::Millis;
use crate::key::Address;
use std::hash::BuildHasher;

/// Datagrams that are remembered of one bucket's address pairs.
const BUCKET_LEN: usize = 8;

/// How long a datagram is remembered from its first fragment on.
///
/// RFC 791 section 3.2 suggests 15 s for putting one together. RFC 8200 section 4.5 has 60 s, but
/// fragments that come that late come to a receiver that has mostly given up, and an identification
/// of 16 bits is used again sooner than that by a busy sender (RFC 4963).
pub const LIFETIME_MS: u64 = 15_000;

#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    key: FragmentKey,
    value: T,
    made_at: Millis,
}

impl<T> Entry<T> {
    fn is_live(&self, now: Millis) -> bool {
        now.since(self.made_at) < LIFETIME_MS
    }
}

/// For each datagram whose first fragment was forwarded, what its later fragments need: `T`.
#[derive(Debug)]
pub struct FragmentTable<T> {
    buckets: Box<[[Option<Entry<T>>; BUCKET_LEN]]>,
    hash: foldhash::quality::RandomState,
}

impl<T: Copy> FragmentTable<T> {
    /// Makes a table for `capacity` datagrams or somewhat more. All memory is taken here.
    pub fn with_capacity(capacity: usize) -> Self {
        let buckets = capacity.clamp(1, 1 << 24).div_ceil(BUCKET_LEN).next_power_of_two();
        FragmentTable {
            buckets: vec![[None; BUCKET_LEN]; buckets].into_boxed_slice(),
            hash: foldhash::quality::RandomState::default(),
        }
    }

    /// Returns how many datagrams it can remember.
    pub fn capacity(&self) -> usize {
        self.buckets.len() * BUCKET_LEN
    }

    fn position(&self, src: Address, dst: Address) -> usize {
        let [.., a, b, c, d] = self.hash.hash_one((src.bits(), dst.bits())).to_be_bytes();
        crate::ids::position(u32::from_be_bytes([a, b, c, d])) & (self.buckets.len() - 1)
    }

    fn bucket(&self, key: &FragmentKey) -> &[Option<Entry<T>>] {
        self.buckets.get(self.position(key.src, key.dst)).map_or(&[], |bucket| bucket)
    }

    fn bucket_mut(&mut self, key: &FragmentKey) -> &mut [Option<Entry<T>>] {
        let at = self.position(key.src, key.dst);
        self.buckets.get_mut(at).map_or(&mut [], |bucket| bucket)
    }

    /// Remembers a datagram whose first fragment came `now`, in the place of an older one of the
    /// same key, else of an expired one, else of the oldest in its bucket.
    pub fn insert(&mut self, now: Millis, key: FragmentKey, value: T) {
        // What may go first sorts first: the same key, then free and expired places, then by age.
        let rank = |place: &Option<Entry<T>>| match place {
            Some(entry) if entry.key == key => (0, Millis(0)),
            Some(entry) if entry.is_live(now) => (2, entry.made_at),
            _ => (1, Millis(0)),
        };
        if let Some(place) = self.bucket_mut(&key).iter_mut().min_by_key(|place| rank(place)) {
            *place = Some(Entry { key, value, made_at: now });
        }
    }

    /// Finds what the later fragments of a datagram need.
    pub fn find(&self, now: Millis, key: &FragmentKey) -> Option<T> {
        let is_it = |entry: &&Entry<T>| entry.key == *key && entry.is_live(now);
        self.bucket(key).iter().flatten().find(is_it).map(|entry| entry.value)
    }

    /// Forgets a datagram.
    pub fn remove(&mut self, key: &FragmentKey) {
        for place in self.bucket_mut(key) {
            if place.as_ref().is_some_and(|entry| entry.key == *key) {
                *place = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn key(host: u8, id: u32) -> FragmentKey {
        FragmentKey {
            src: Address::v4([198, 51, 100, host]),
            dst: Address::v4([203, 0, 113, 80]),
            id,
            protocol: 17,
        }
    }

    #[test]
    fn a_datagram_is_remembered_for_fifteen_seconds_from_its_first_fragment() {
        let mut table = FragmentTable::with_capacity(64);
        table.insert(Millis(1000), key(1, 7), 'a');
        assert_eq!(table.find(Millis(15_999), &key(1, 7)), Some('a'));
        assert_eq!(table.find(Millis(16_000), &key(1, 7)), None);
    }

    #[test]
    fn the_whole_key_counts() {
        let mut table = FragmentTable::with_capacity(64);
        table.insert(Millis(0), key(1, 7), 'a');
        assert_eq!(table.find(Millis(0), &key(1, 8)), None);
        assert_eq!(table.find(Millis(0), &key(2, 7)), None);
        assert_eq!(table.find(Millis(0), &FragmentKey { protocol: 1, ..key(1, 7) }), None);
        assert_eq!(table.find(Millis(0), &key(1, 7)), Some('a'));
    }

    #[test]
    fn an_identification_that_is_used_again_means_the_new_datagram() {
        let mut table = FragmentTable::with_capacity(8);
        for id in 0..8 {
            table.insert(Millis(u64::from(id)), key(1, id), 'a');
        }
        table.insert(Millis(100), key(1, 3), 'b');
        assert_eq!(table.find(Millis(100), &key(1, 3)), Some('b'));
        for id in [0, 1, 2, 4, 5, 6, 7] {
            assert_eq!(table.find(Millis(100), &key(1, id)), Some('a'), "{id}");
        }
    }

    #[test]
    fn a_full_bucket_gives_up_what_expired_before_what_is_oldest() {
        let mut table = FragmentTable::with_capacity(8);
        table.insert(Millis(0), key(1, 0), 'a');
        for id in 1..8 {
            table.insert(Millis(10_000), key(1, id), 'a');
        }
        table.insert(Millis(15_000), key(1, 8), 'a');
        assert!((1..=8).all(|id| table.find(Millis(15_000), &key(1, id)).is_some()));
        table.insert(Millis(15_001), key(1, 9), 'a');
        let now = Millis(15_001);
        assert_eq!((1..=9).filter(|id| table.find(now, &key(1, *id)).is_none()).count(), 1);
        assert!(table.find(now, &key(1, 8)).is_some() && table.find(now, &key(1, 9)).is_some());
    }

    /// Somebody who sends first fragments without end must not stop those of others.
    #[test]
    fn a_flood_of_one_source_leaves_the_datagram_of_another_alone() {
        let mut table = FragmentTable::with_capacity(4096);
        assert_eq!(table.capacity(), 4096);
        let bucket = |host| table.position(key(host, 0).src, key(host, 0).dst);
        let other = (2..=255).find(|host| bucket(*host) != bucket(1)).unwrap();
        table.insert(Millis(0), key(other, 7), 'a');
        for id in 0..100_000 {
            table.insert(Millis(1), key(1, id), 'b');
        }
        assert_eq!(table.find(Millis(1), &key(other, 7)), Some('a'));
    }

    proptest! {
        /// As long as nothing is pushed out, the table is a map whose entries expire: one pair of
        /// addresses has as many identifications here as a bucket has places.
        #[test]
        fn the_table_is_a_map_with_a_lifetime(
            steps in proptest::collection::vec((0u8..4, 0u32..8, any::<u16>(), 0u64..3000), 1..200),
        ) {
            let mut table = FragmentTable::with_capacity(64);
            let mut model: HashMap<u32, (u64, u16)> = HashMap::new();
            let mut now = 0;
            for (action, id, value, wait) in steps {
                now += wait;
                match action {
                    0 | 1 => {
                        table.insert(Millis(now), key(1, id), value);
                        model.insert(id, (now, value));
                    }
                    2 => {
                        table.remove(&key(1, id));
                        model.remove(&id);
                    }
                    _ => {}
                }
                for id in 0..8 {
                    let expected = model.get(&id).filter(|(at, _)| now - at < 15_000);
                    prop_assert_eq!(table.find(Millis(now), &key(1, id)), expected.map(|e| e.1));
                }
            }
        }
    }
}
