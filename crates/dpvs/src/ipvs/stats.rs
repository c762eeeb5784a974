// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counters and rates as attributes.

use super::attributes::Writer;
use dpvs_api::types::{Rates, Stats};

/// Adds them twice: as 64-bit numbers, and for older tools as 32-bit numbers, which stay at their
/// greatest.
pub(super) fn write(writer: &mut Writer, [kind, kind64]: [u16; 2], stats: &Stats, rates: &Rates) {
    let Stats { connections, in_packets, out_packets, in_bytes, out_bytes } = *stats;
    let totals = [connections, in_packets, out_packets, in_bytes, out_bytes];
    let Rates { connections, in_packets, out_packets, in_bytes, out_bytes } = *rates;
    let all = totals.into_iter().chain([connections, in_packets, out_packets, in_bytes, out_bytes]);
    let (mut narrow, mut wide) = (Writer::default(), Writer::default());
    for (number, value) in (1..).zip(all) {
        wide.u64(number, value);
        if matches!(number, IN_BYTES | OUT_BYTES) {
            narrow.u64(number, value);
        } else {
            narrow.u32(number, u32::try_from(value).unwrap_or(u32::MAX));
        }
    }
    writer.nest(kind, &narrow);
    writer.nest(kind64, &wide);
}

/// These have 64 bits in both.
const IN_BYTES: u16 = 4;
const OUT_BYTES: u16 = 5;
