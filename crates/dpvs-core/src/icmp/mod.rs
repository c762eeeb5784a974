// SPDX-License-Identifier: MIT OR Apache-2.0
//! ICMP: errors that relate to our connections, query pairs, and errors that we make.
//!
//! * [`quote`]: reads the packet that an error embeds, by offset, changing nothing.
//! * [`translate`]: turns an error about our packet into one that its receiver understands.
//! * `plain`: both of these at fixed places, for the errors that almost all are.
//! * [`generate`]: makes an error out of the packet that it is about.
//! * [`tunnel_quote`]: reads a quoted packet of one of our tunnels.
//! * [`messages`]: how many of each type there were.
//! * [`recorder`]: what became of the last errors.

pub mod generate;
pub mod messages;
pub(crate) mod plain;
pub mod quote;
pub mod recorder;
mod shorten;
pub mod translate;
pub mod tunnel_quote;

pub(crate) use shorten::shorten;

use crate::checksum::{self, Checksum};
use crate::ip_header;
use crate::net::{Family, Protocol};
use crate::parse::Packet;
use crate::wire::{IcmpHeader, view_mut};

/// Returns whether the ICMP checksum of a packet is right. Sums the whole message.
pub fn has_good_checksum(bytes: &[u8], packet: &Packet) -> bool {
    let Some(message) = bytes.get(packet.l4..packet.end) else { return false };
    let mut sum = checksum::sum(message);
    if packet.family == Family::V6 {
        sum += ip_header::pseudo_sum(packet, Protocol::Icmpv6.number());
    }
    checksum::verifies(sum)
}

/// Mends the checksum of an updated ICMPv4 query in the one case where the update cannot know it.
///
/// Of the two zeros an update gives minus zero, field 0x0000, which is right unless everything that
/// is summed is zero: an echo reply with identifier 0, sequence number 0 and a body of zeros. Its
/// checksum is 0xffff. With a pseudo header, as everywhere else, the sum is never of zeros alone.
pub(crate) fn settle_zero(bytes: &mut [u8], packet: &Packet) -> Option<()> {
    if packet.family == Family::V6 {
        return Some(());
    }
    settle_zero_v4(bytes.get_mut(packet.l4..packet.end)?)
}

/// The same, for the message.
#[inline]
pub(crate) fn settle_zero_v4(message: &mut [u8]) -> Option<()> {
    let [_, _, a, b, ..] = message else { return None };
    if [*a, *b] == [0, 0] && message.iter().all(|byte| *byte == 0) {
        let header: &mut IcmpHeader = view_mut(message, 0)?;
        header.checksum = Checksum([0xff, 0xff]);
    }
    Some(())
}
