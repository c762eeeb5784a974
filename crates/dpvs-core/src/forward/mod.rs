// SPDX-License-Identifier: MIT OR Apache-2.0
//! Forwarding methods: how a packet of a connection is rewritten. One file a method.

pub mod fullnat;

use crate::checksum::{self, Delta};
use crate::key::Endpoint;
use crate::net::Family;
use crate::parse::Packet;
use crate::wire::{Ipv4Header, Ipv6Header, view_mut};

/// Where a packet comes from and goes to. For an ICMP query the identifier is `src.port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Source.
    pub src: Endpoint,
    /// Destination.
    pub dst: Endpoint,
}

/// Rewrites the addresses of an IP header and takes one from its time to live, which must not be 0.
///
/// The IPv4 header checksum is updated; the change of the addresses is returned for the transport
/// checksum. `None` only if `packet` is not of this frame.
pub(crate) fn rewrite_addresses(bytes: &mut [u8], packet: &Packet, ends: Ends) -> Option<Delta> {
    match packet.family {
        Family::V4 => {
            let header: &mut Ipv4Header = view_mut(bytes, packet.l3)?;
            let addresses = checksum::replace(&mut header.src, &ends.src.address.v4_octets())
                .and(checksum::replace(&mut header.dst, &ends.dst.address.v4_octets()));
            let old = [header.ttl, header.protocol];
            header.ttl = header.ttl.saturating_sub(1);
            let ttl = Delta::words(old, [header.ttl, header.protocol]);
            header.checksum.update(addresses.and(ttl));
            Some(addresses)
        }
        Family::V6 => {
            let header: &mut Ipv6Header = view_mut(bytes, packet.l3)?;
            let addresses = checksum::replace(&mut header.src, &ends.src.address.v6_octets())
                .and(checksum::replace(&mut header.dst, &ends.dst.address.v6_octets()));
            header.hop_limit = header.hop_limit.saturating_sub(1);
            Some(addresses)
        }
    }
}
