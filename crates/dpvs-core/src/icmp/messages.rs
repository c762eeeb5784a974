// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many ICMP messages of each type a worker has received, relayed and made. Its thread writes them,
//! the control thread reads.

use super::generate::{Error, Unreachable};
use crate::counters::Counter;
use crate::net::Family;

/// Types of a family that are counted one by one, and one place for the others.
const PLACES: usize = 64;
/// Where other types of ICMP are counted: no message has this one.
const OTHER_V4: u8 = 63;
/// Where other types of `ICMPv6` are counted. Errors stand below, queries and discovery, which begin
/// at 128, above.
const OTHER_V6: u8 = 31;
/// First type of `ICMPv6` that is no error (RFC 4443 section 2.1).
const V6_INFORMATION: u8 = 128;

/// Both families.
const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Messages of one worker.
#[derive(Debug, Default)]
pub struct Messages {
    /// All that came in by ports.
    pub received: ByType,
    /// Errors translated towards real servers.
    pub relayed_in: ByType,
    /// Errors translated towards clients.
    pub relayed_out: ByType,
    /// Errors made here.
    pub made: Made,
}

/// Counts by family and type.
#[derive(Debug)]
pub struct ByType([[Counter; PLACES]; 2]);

impl Default for ByType {
    fn default() -> Self {
        ByType([(); 2].map(|()| std::array::from_fn(|_| Counter::default())))
    }
}

impl ByType {
    /// Counts a message. Only the owning worker may call this.
    #[inline]
    pub(crate) fn add(&self, family: Family, icmp_type: u8) {
        let [v4, v6] = &self.0;
        let counter = match family {
            Family::V4 => v4.get(usize::from(icmp_type.min(OTHER_V4))),
            Family::V6 => v6.get(usize::from(place_v6(icmp_type))),
        };
        if let Some(counter) = counter {
            counter.add(1);
        }
    }

    /// Returns what has been counted, by family and type; no type stands for others.
    pub fn counted(&self) -> impl Iterator<Item = (Family, Option<u8>, u64)> {
        FAMILIES.into_iter().zip(&self.0).flat_map(|(family, counters)| {
            (0..).zip(counters).filter(|(_, counter)| counter.get() > 0).map(
                move |(place, counter)| {
                    let icmp_type = match family {
                        Family::V4 => (place != OTHER_V4).then_some(place),
                        Family::V6 if place > OTHER_V6 => Some(place - 32 + V6_INFORMATION),
                        Family::V6 => (place != OTHER_V6).then_some(place),
                    };
                    (family, icmp_type, counter.get())
                },
            )
        })
    }
}

fn place_v6(icmp_type: u8) -> u8 {
    match icmp_type {
        0..OTHER_V6 => icmp_type,
        V6_INFORMATION..160 => icmp_type - V6_INFORMATION + 32,
        _ => OTHER_V6,
    }
}

/// What can be made; of "too big" any.
const ERRORS: [Error; 6] = [
    Error::TimeExceeded,
    Error::TooBig(0),
    Error::Unreachable(Unreachable::Net),
    Error::Unreachable(Unreachable::Host),
    Error::Unreachable(Unreachable::Port),
    Error::Unreachable(Unreachable::Prohibited),
];

/// Counts of errors by family, type and code.
#[derive(Debug, Default)]
pub struct Made([[Counter; ERRORS.len()]; 2]);

impl Made {
    /// Counts an error. Only the owning worker may call this.
    pub(crate) fn add(&self, family: Family, error: Error) {
        let place = match error {
            Error::TimeExceeded => 0,
            Error::TooBig(_) => 1,
            Error::Unreachable(Unreachable::Net) => 2,
            Error::Unreachable(Unreachable::Host) => 3,
            Error::Unreachable(Unreachable::Port) => 4,
            Error::Unreachable(Unreachable::Prohibited) => 5,
        };
        let [v4, v6] = &self.0;
        let counters = if family == Family::V4 { v4 } else { v6 };
        if let Some(counter) = counters.get(place) {
            counter.add(1);
        }
    }

    /// Returns what has been counted, by family, type and code.
    pub fn counted(&self) -> impl Iterator<Item = (Family, (u8, u8), u64)> {
        FAMILIES.into_iter().zip(&self.0).flat_map(|(family, counters)| {
            let counted = ERRORS.into_iter().zip(counters).filter(|(_, count)| count.get() > 0);
            counted.map(move |(error, count)| (family, error.kind(family), count.get()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_place_and_unknown_ones_share_one() {
        let counts = ByType::default();
        for icmp_type in [0, 3, 62, 63, 64, 255] {
            counts.add(Family::V4, icmp_type);
        }
        for icmp_type in [1, 4, 30, 31, 127, 128, 137, 159, 160, 255] {
            counts.add(Family::V6, icmp_type);
        }
        let v4 = [(Some(0), 1), (Some(3), 1), (Some(62), 1), (None, 3)];
        let v6 = [(Some(1), 1), (Some(4), 1), (Some(30), 1), (None, 4)];
        let v6 = v6.into_iter().chain([(Some(128), 1), (Some(137), 1), (Some(159), 1)]);
        let expected: Vec<_> = v4
            .map(|(t, n)| (Family::V4, t, n))
            .into_iter()
            .chain(v6.map(|(t, n)| (Family::V6, t, n)))
            .collect();
        assert_eq!(counts.counted().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn errors_made_are_counted_by_type_and_code() {
        let made = Made::default();
        made.add(Family::V4, Error::TooBig(1400));
        made.add(Family::V4, Error::TooBig(1300));
        made.add(Family::V6, Error::TooBig(1280));
        made.add(Family::V4, Error::Unreachable(Unreachable::Prohibited));
        made.add(Family::V6, Error::Unreachable(Unreachable::Port));
        made.add(Family::V6, Error::TimeExceeded);
        let expected = [
            (Family::V4, (3, 4), 2),
            (Family::V4, (3, 13), 1),
            (Family::V6, (3, 0), 1),
            (Family::V6, (2, 0), 1),
            (Family::V6, (1, 4), 1),
        ];
        assert_eq!(made.counted().collect::<Vec<_>>(), expected);
    }
}
