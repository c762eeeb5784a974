// SPDX-License-Identifier: MIT OR Apache-2.0
//! ICMP: errors that relate to our connections, query pairs, and errors that we make.
//!
//! * [`quote`]: reads the packet that an error embeds, by offset, changing nothing.
//! * [`translate`]: turns an error about our packet into one that its receiver understands.
//! * [`generate`]: makes an error out of the packet that it is about.

pub mod generate;
pub mod quote;
pub mod translate;

use crate::checksum;
use crate::net::Family;
use crate::parse::Packet;

/// Returns whether the ICMP checksum of a packet is right. Sums the whole message.
pub fn has_good_checksum(bytes: &[u8], packet: &Packet) -> bool {
    let Some(message) = bytes.get(packet.l4..packet.end) else { return false };
    let mut sum = checksum::sum(message);
    if packet.family == Family::V6 {
        let (src, dst) = (packet.src.v6_octets(), packet.dst.v6_octets());
        sum += checksum::pseudo(&src, &dst, message.len(), 58);
    }
    checksum::verifies(sum)
}
