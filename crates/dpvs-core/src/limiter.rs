// SPDX-License-Identifier: MIT OR Apache-2.0
//! Token buckets: one, or many in fixed memory.

use crate::Millis;
use std::hash::{BuildHasher, Hash};

/// Lets `rate` events a second pass, in bursts of at most `burst`. A new bucket is full.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TokenBucket {
    /// Thousandths of tokens missing from a full bucket.
    missing: u64,
    filled_at: Millis,
}

impl TokenBucket {
    /// Takes a token if there is one. A rate of 0 is no limit.
    pub(crate) fn take(&mut self, now: Millis, rate: u32, burst: u32) -> bool {
        if rate == 0 {
            return true;
        }
        let gained = now.since(self.filled_at).saturating_mul(u64::from(rate));
        self.filled_at = now;
        self.missing = self.missing.saturating_sub(gained);
        if self.missing + 1000 > u64::from(burst) * 1000 {
            return false;
        }
        self.missing += 1000;
        true
    }
}

/// Buckets of a [`Buckets`].
const BUCKETS: usize = 4096;

/// A bucket for each of many keys. Keys of one hash share a bucket: that limits both of them more
/// than it should, never less. The hash is keyed at random, so nobody can aim at another's.
#[derive(Debug)]
pub(crate) struct Buckets {
    buckets: Box<[TokenBucket]>,
    hash: foldhash::quality::RandomState,
}

impl Buckets {
    pub(crate) fn new() -> Self {
        Buckets {
            buckets: vec![TokenBucket::default(); BUCKETS].into_boxed_slice(),
            hash: foldhash::quality::RandomState::default(),
        }
    }

    /// Takes a token of a key's bucket if there is one. A rate of 0 is no limit.
    pub(crate) fn take(&mut self, now: Millis, key: impl Hash, rate: u32, burst: u32) -> bool {
        if rate == 0 {
            return true;
        }
        let hash = self.hash.hash_one(key) % 4096;
        let at = usize::try_from(hash).unwrap_or(0);
        self.buckets.get_mut(at).is_none_or(|bucket| bucket.take(now, rate, burst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_a_bucket() {
        let mut buckets = Buckets::new();
        let mut passed = |key: u32| (0..10).filter(|_| buckets.take(Millis(0), key, 1, 3)).count();
        let full = (0..100).filter(|key| passed(*key) == 3).count();
        assert!(full > 90, "a hundred keys in 4096 buckets seldom meet: {full}");
    }

    #[test]
    fn a_bucket_lets_a_burst_pass_and_then_its_rate() {
        let mut bucket = TokenBucket::default();
        let passed = |bucket: &mut TokenBucket, at, n| {
            (0..n).filter(|_| bucket.take(Millis(at), 100, 50)).count()
        };
        assert_eq!(passed(&mut bucket, 0, 1000), 50);
        assert_eq!(passed(&mut bucket, 100, 1000), 10);
        assert_eq!(passed(&mut bucket, 100_000, 1000), 50);
    }

    #[test]
    fn rate_zero_is_no_limit() {
        let mut bucket = TokenBucket::default();
        assert!((0..100_000).all(|_| bucket.take(Millis(0), 0, 0)));
    }
}
