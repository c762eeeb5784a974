// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes the IP header of a packet that we make: an ICMP error, the outer packet of a tunnel.

use crate::checksum::{self, Checksum};
use crate::net::Family;
use crate::parse::Packet;
use crate::wire::{Ipv4Header, Ipv6Header, view_mut};
use zerocopy::big_endian::{U16, U32};

/// What a header says that [`Packet`] does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    /// The protocol of what follows.
    pub(crate) protocol: u8,
    /// Traffic class.
    pub(crate) tos: u8,
    /// The number that tells IPv4 fragments of one packet; `None` forbids fragments, and then there
    /// is none (RFC 6864).
    pub(crate) id: Option<u16>,
}

/// Writes the header of `packet`, without options. `None` only if it is not of this frame, or too
/// long.
pub(crate) fn write(bytes: &mut [u8], packet: &Packet, fields: Fields) -> Option<()> {
    let Fields { protocol, tos, id } = fields;
    match packet.family {
        Family::V4 => {
            let flags = if id.is_none() { Ipv4Header::DONT_FRAGMENT } else { 0 };
            let header: &mut Ipv4Header = view_mut(bytes, packet.l3)?;
            *header = Ipv4Header {
                version_ihl: 0x45,
                tos,
                total_len: U16::new(u16::try_from(packet.len()).ok()?),
                id: U16::new(id.unwrap_or(0)),
                flags_fragment: U16::new(flags),
                ttl: packet.ttl,
                protocol,
                checksum: Checksum::default(),
                src: packet.src.v4_octets(),
                dst: packet.dst.v4_octets(),
            };
            let sum = checksum::sum(bytes.get(packet.l3..packet.l4)?);
            let header: &mut Ipv4Header = view_mut(bytes, packet.l3)?;
            header.checksum = checksum::finish(sum);
        }
        Family::V6 => {
            let header: &mut Ipv6Header = view_mut(bytes, packet.l3)?;
            *header = Ipv6Header {
                version_class_flow: U32::new(6 << 28 | u32::from(tos) << 20),
                payload_len: U16::new(u16::try_from(packet.end - packet.l4).ok()?),
                next_header: protocol,
                hop_limit: packet.ttl,
                src: packet.src.v6_octets(),
                dst: packet.dst.v6_octets(),
            };
        }
    }
    Some(())
}

/// Sums the pseudo header of what a packet carries, from `l4` to its end.
pub(crate) fn pseudo_sum(packet: &Packet, protocol: u8) -> u64 {
    let len = packet.end - packet.l4;
    match packet.family {
        Family::V4 => {
            checksum::pseudo(&packet.src.v4_octets(), &packet.dst.v4_octets(), len, protocol)
        }
        Family::V6 => {
            checksum::pseudo(&packet.src.v6_octets(), &packet.dst.v6_octets(), len, protocol)
        }
    }
}
