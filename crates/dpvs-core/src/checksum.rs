// SPDX-License-Identifier: MIT OR Apache-2.0
//! Internet checksums (RFC 1071) and their incremental update (RFC 1624).
//!
//! A checksum is the one's complement of the one's complement sum of 16-bit words. Two values stand
//! for zero in that arithmetic, 0x0000 and 0xffff, and both verify; only UDP gives 0x0000 a meaning
//! of its own. Sums are kept unfolded in 32 or 64 bits: carries are added back at the end, so the
//! order of words does not matter, nor do their number up to 2^16.
//!
//! An update is `HC' = ~(~HC + ~m + m')` (RFC 1624 equation 3). [`Delta`] collects `~m + m'` of all
//! changed words, so one field may be patched for several changes, and one change may be applied to
//! several checksums. Changed runs start at an even offset of what the checksum covers and have an
//! even length.

/// A checksum field as it stands on the wire. Not a number, so that it is never compared as one.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    zerocopy::FromBytes,
    zerocopy::IntoBytes,
    zerocopy::KnownLayout,
    zerocopy::Immutable,
    zerocopy::Unaligned,
)]
#[repr(transparent)]
pub struct Checksum(pub [u8; 2]);

impl Checksum {
    /// Returns whether the field is 0x0000: in UDP, "no checksum" (RFC 768).
    pub fn is_zero(self) -> bool {
        self.0 == [0, 0]
    }

    /// Updates the field for a change of what it covers.
    #[inline]
    pub fn update(&mut self, delta: Delta) {
        let sum = u64::from(!u16::from_be_bytes(self.0)) + delta.0;
        self.0 = (!fold(sum)).to_be_bytes();
    }

    /// Updates a UDP checksum: "none" stays none, and a sum of zero is sent as 0xffff (RFC 768).
    #[inline]
    pub fn update_udp(&mut self, delta: Delta) {
        if self.is_zero() {
            return;
        }
        self.update(delta);
        if self.is_zero() {
            self.0 = [0xff, 0xff];
        }
    }

    /// Returns the change of this field against an earlier value, as part of what covers both.
    pub fn change_from(self, old: Checksum) -> Delta {
        Delta::words(old.0, self.0)
    }
}

/// The sum of `~old + new` over all changed words.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delta(u64);

impl Delta {
    /// The change of one word.
    #[inline]
    pub fn words(old: [u8; 2], new: [u8; 2]) -> Self {
        Delta(u64::from(!u16::from_be_bytes(old)) + u64::from(u16::from_be_bytes(new)))
    }

    /// The change of two words in a row.
    #[inline]
    pub fn pairs(old: u32, new: u32) -> Self {
        Delta(u64::from(!old) + u64::from(new))
    }

    /// The change of a run of words, both of the same even length.
    #[inline]
    pub fn runs(old: &[u8], new: &[u8]) -> Self {
        debug_assert_eq!(old.len(), new.len(), "a change keeps the length");
        debug_assert_eq!(old.len() % 2, 0, "a change covers whole words");
        let ((old, old_rest), (new, new_rest)) = (old.as_chunks::<4>(), new.as_chunks::<4>());
        let mut sum = Delta::default();
        for (o, n) in old.iter().zip(new) {
            sum = sum.and(Delta::pairs(u32::from_be_bytes(*o), u32::from_be_bytes(*n)));
        }
        for (o, n) in old_rest.as_chunks::<2>().0.iter().zip(new_rest.as_chunks::<2>().0) {
            sum = sum.and(Delta::words(*o, *n));
        }
        sum
    }

    /// Both changes together.
    #[must_use]
    #[inline]
    pub fn and(self, other: Delta) -> Self {
        Delta(self.0 + other.0)
    }
}

/// Replaces a run of words and returns the change.
#[inline]
pub fn replace(place: &mut [u8], new: &[u8]) -> Delta {
    let delta = Delta::runs(place, new);
    if place.len() == new.len() {
        place.copy_from_slice(new);
    }
    delta
}

/// Sums `bytes` as 16-bit words, an odd last byte padded with zero; 0 only if all of them are.
#[inline]
pub fn sum(bytes: &[u8]) -> u64 {
    u64::from(u16::from_be_bytes(native_sum(bytes).to_ne_bytes()))
}

/// Sums two words at a time, in the order of this machine: the sum of swapped words is the swapped sum
/// (RFC 1071 section 2 B).
#[inline]
fn native_sum(bytes: &[u8]) -> u16 {
    let (quads, rest) = bytes.as_chunks::<4>();
    let mut total: u64 = quads.iter().map(|q| u64::from(u32::from_ne_bytes(*q))).sum();
    let (pairs, odd) = rest.as_chunks::<2>();
    total += pairs.iter().map(|p| u64::from(u16::from_ne_bytes(*p))).sum::<u64>();
    if let [last] = odd {
        total += u64::from(u16::from_ne_bytes([*last, 0]));
    }
    fold(total)
}

/// Adds the carries back: a one's complement sum in 16 bits.
#[inline]
pub fn fold(sum: u64) -> u16 {
    // At most 2^33, then 2^18, 2^16 + 3 and 0xffff: no branch that depends on the carries.
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let [low, high, ..] = sum.to_le_bytes();
    u16::from_le_bytes([low, high])
}

/// Returns whether what is summed holds its checksum: the whole sums to minus zero.
pub fn verifies(sum: u64) -> bool {
    fold(sum) == 0xffff
}

/// Returns whether bytes that hold their checksum are whole.
#[inline]
pub fn is_good(bytes: &[u8]) -> bool {
    // Minus zero is the same in either order.
    native_sum(bytes) == 0xffff
}

/// Makes the checksum of a sum taken with the field as zero.
pub fn finish(sum: u64) -> Checksum {
    Checksum((!fold(sum)).to_be_bytes())
}

/// Sums the pseudo header of IPv4 (RFC 9293 section 3.1) or IPv6 (RFC 8200 section 8.1): addresses
/// as on the wire, the upper layer's length in bytes, and its protocol.
pub fn pseudo(src: &[u8], dst: &[u8], len: usize, protocol: u8) -> u64 {
    sum(src) + sum(dst) + u64::try_from(len).unwrap_or(0) + u64::from(protocol)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The example of RFC 1071 section 3.
    #[test]
    fn the_rfc_1071_example_sums_to_its_figure() {
        assert_eq!(fold(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), 0xddf2);
        assert_eq!(fold(sum(&[0x00, 0x01, 0xf2])), 0xf201);
    }

    /// The example of RFC 1624 section 4: the case that equation 2 of RFC 1141 gets wrong.
    #[test]
    fn the_rfc_1624_example_gives_zero_not_minus_zero() {
        let mut checksum = Checksum([0xdd, 0x2f]);
        checksum.update(Delta::words([0x55, 0x55], [0x32, 0x85]));
        assert_eq!(checksum.0, [0x00, 0x00]);
    }

    #[test]
    fn udp_keeps_none_and_never_sends_zero() {
        let mut none = Checksum([0, 0]);
        none.update_udp(Delta::words([0, 1], [0, 2]));
        assert_eq!(none.0, [0, 0]);
        let mut some = Checksum([0xdd, 0x2f]);
        some.update_udp(Delta::words([0x55, 0x55], [0x32, 0x85]));
        assert_eq!(some.0, [0xff, 0xff]);
    }

    proptest! {
        /// An update gives what a full computation gives, except that a sum of nothing but zero
        /// words has two representations.
        #[test]
        fn an_update_equals_a_full_computation(
            mut data in proptest::collection::vec(any::<u8>(), 2..200),
            new in proptest::collection::vec(any::<u8>(), 8),
            at in 0usize..96,
        ) {
            let mut checksum = finish(sum(&data));
            let at = (at * 2).min(data.len() & !1).saturating_sub(8) & !1;
            let len = 8.min((data.len() - at) & !1);
            let delta = replace(&mut data[at..at + len], &new[..len]);
            checksum.update(delta);
            prop_assert!(verifies(sum(&data) + u64::from(u16::from_be_bytes(checksum.0))));
            prop_assert_eq!(is_good(&data), verifies(sum(&data)));
        }

        #[test]
        fn folding_is_associative(a in any::<u32>(), b in any::<u32>()) {
            let (a, b) = (u64::from(a), u64::from(b));
            prop_assert_eq!(fold(a + b), fold(u64::from(fold(a)) + u64::from(fold(b))));
        }
    }
}
