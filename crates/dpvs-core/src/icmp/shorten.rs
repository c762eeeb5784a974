// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cuts an ICMP error shorter: its extensions go, or so much of the quote that it fits its way out.

use crate::Frame;
use crate::checksum::{self, Delta};
use crate::net::Family;
use crate::parse::Packet;
use crate::wire::{IcmpHeader, Ipv4Header, Ipv6Header, view_mut};
use zerocopy::big_endian::U16;

/// Cuts an error to end at `end`, an even distance behind the ICMP header. What is cut off leaves the
/// checksum by its own sum, so a damaged message stays damaged. The length of the original datagram
/// (RFC 4884) becomes 0: what it measured is cut, or what it separated is gone. Returns the packet as
/// it is then; `None` only if `packet` is not of this frame.
pub(crate) fn shorten<F: Frame>(frame: &mut F, packet: &Packet, end: usize) -> Option<Packet> {
    debug_assert_eq!((end - packet.l4) % 2, 0, "checksums know whole words");
    let bytes = frame.bytes_mut();
    let removed = checksum::fold(checksum::sum(bytes.get(end..packet.end)?));
    let mut change = Delta::words(removed.to_be_bytes(), [0, 0]);
    let cut = packet.end - end;
    match packet.family {
        Family::V4 => {
            let header: &mut Ipv4Header = view_mut(bytes, packet.l3)?;
            let old = header.total_len.to_bytes();
            header.total_len =
                U16::new(header.total_len.get().checked_sub(u16::try_from(cut).ok()?)?);
            header.checksum.update(Delta::words(old, header.total_len.to_bytes()));
        }
        Family::V6 => {
            let header: &mut Ipv6Header = view_mut(bytes, packet.l3)?;
            let len = header.payload_len.get().checked_sub(u16::try_from(cut).ok()?)?;
            header.payload_len = U16::new(len);
            // The pseudo header has the length of the message, extension headers not counted.
            let (old, new) = (packet.end - packet.l4, end - packet.l4);
            let word = |len: usize| u16::try_from(len).unwrap_or(0).to_be_bytes();
            change = change.and(Delta::words(word(old), word(new)));
        }
    }
    let icmp: &mut IcmpHeader = view_mut(bytes, packet.l4)?;
    let [a, b, ..] = icmp.rest;
    let has_length = match packet.family {
        Family::V4 => matches!(icmp.icmp_type, 3 | 11 | 12),
        Family::V6 => matches!(icmp.icmp_type, 1 | 3),
    };
    if has_length {
        let place = match packet.family {
            Family::V4 => icmp.rest.get_mut(1)?,
            Family::V6 => icmp.rest.get_mut(0)?,
        };
        *place = 0;
        let [c, d, ..] = icmp.rest;
        change = change.and(Delta::words([a, b], [c, d]));
    }
    icmp.checksum.update(change);
    frame.truncate(end);
    Some(Packet { end, ..*packet })
}
