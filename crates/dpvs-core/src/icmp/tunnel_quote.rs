// SPDX-License-Identifier: MIT OR Apache-2.0
//! A quoted packet that we have wrapped for a tunnel, and the client's packet in it.

use super::quote::{Header, parse_header};
use crate::key::{Address, QueryType};
use crate::net::Family;
use crate::parse::{Packet, Payload, icmp_protocol};
use crate::wire::{EtherType, GreHeader, GueHeader, IcmpHeader, Ipv4Header, UdpHeader, view};

/// A quoted packet of a tunnel that begins here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelQuote {
    /// The other end.
    pub server: Address,
    /// Length of the outer packet as its header says, in bytes.
    pub len: u32,
    /// How much longer the outer packet is than the inner one, in bytes.
    pub overhead: usize,
    /// Where the inner packet starts, if so much was quoted, and its family.
    inner: (usize, Family),
}

/// Reads a quoted packet that we have wrapped; `None` if it is none.
pub fn parse_tunnel(bytes: &[u8], packet: &Packet) -> Option<TunnelQuote> {
    let l3 = packet.l4 + IcmpHeader::LEN;
    let datagram = bytes.get(..packet.end)?;
    let header = parse_header(datagram, l3, packet.family).ok()?;
    if header.src != packet.dst {
        return None;
    }
    let (wrapping, family) = match header.protocol {
        4 => (0, Family::V4),
        41 => (0, Family::V6),
        47 => {
            let gre: &GreHeader = view(datagram, header.l4)?;
            let flags = gre.flags_version.get();
            // With a key, a sequence number or routing it is not ours: we write none of them.
            if flags & !GreHeader::CHECKSUM != 0 {
                return None;
            }
            let has_checksum = flags & GreHeader::CHECKSUM != 0;
            let checksum_len = if has_checksum { GreHeader::CHECKSUM_LEN } else { 0 };
            (GreHeader::LEN + checksum_len, EtherType::family(gre.protocol.get())?)
        }
        // From the ports that we take for it. Of a quote of 8 bytes the GUE header is missing: then
        // the family does not matter, since the inner packet is missing too.
        17 => {
            let udp: &UdpHeader = view(datagram, header.l4)?;
            if udp.sport.get() < crate::forward::GUE_SOURCE_PORT_MIN {
                return None;
            }
            let gue = view::<GueHeader>(datagram, header.l4 + UdpHeader::LEN);
            let is_v6 = gue.is_some_and(|gue| gue.protocol == 41);
            let family = if is_v6 { Family::V6 } else { Family::V4 };
            (UdpHeader::LEN + GueHeader::LEN, family)
        }
        _ => return None,
    };
    let inner = header.l4 + wrapping;
    Some(TunnelQuote {
        server: header.dst,
        len: header.len,
        overhead: inner - l3,
        inner: (inner, family),
    })
}

/// Returns the client's packet in a quoted tunnel packet, if its addresses and ports were quoted and
/// its sender may be told that it was too big: it forbade to cut it, and it is no ICMP error itself.
pub fn inner_packet(bytes: &[u8], packet: &Packet, tunnel: &TunnelQuote) -> Option<Packet> {
    let (l3, family) = tunnel.inner;
    let datagram = bytes.get(..packet.end)?;
    let Header { l4, src, dst, protocol, .. } = parse_header(datagram, l3, family).ok()?;
    // RFC 792: what is quoted of it in turn must have 8 bytes behind its header.
    let transport: &IcmpHeader = view(datagram, l4)?;
    let may_be_cut = family == Family::V4
        && !view::<Ipv4Header>(datagram, l3).is_some_and(Ipv4Header::is_dont_fragment);
    let icmp = icmp_protocol(family);
    // Of ICMP, requests and replies alone are known to be no errors.
    let is_error = protocol == icmp.number()
        && QueryType::from_wire(icmp, transport.icmp_type, transport.code).is_none();
    if may_be_cut || is_error {
        return None;
    }
    Some(Packet {
        l3,
        l4,
        end: packet.end,
        family,
        src,
        dst,
        ttl: packet.ttl,
        is_link_group: false,
        fragment: None,
        payload: Payload::Other(0),
    })
}
