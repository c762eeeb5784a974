// SPDX-License-Identifier: MIT OR Apache-2.0
//! A token bucket.

use crate::Millis;

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

#[cfg(test)]
mod tests {
    use super::*;

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
