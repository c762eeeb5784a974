// SPDX-License-Identifier: MIT OR Apache-2.0
//! Translates an ICMP error about one of our packets, so that its receiver knows the packet.
//!
//! All checksums are updated incrementally (RFC 1624): a quote is seldom whole, and a damaged one
//! must stay damaged.

use super::quote::Quote;
use crate::checksum::{self, Checksum, Delta};
use crate::forward::{Ends, rewrite_addresses};
use crate::net::{Family, Protocol};
use crate::parse::Packet;
use crate::wire::{IcmpHeader, view_mut};

/// Offset of the source address in an IPv4 header; the destination follows.
const ADDRESSES_V4: usize = 12;
/// Offset of the source address in an IPv6 header; the destination follows.
const ADDRESSES_V6: usize = 8;
/// Offset of the checksum in an IPv4 header.
const CHECKSUM_V4: usize = 10;

/// Rewrites an error: `outer` are its new ends (their ports do not matter), `inner` those of the
/// packet it quotes (for a query the identifier is `inner.src.port`). The time to live goes down.
///
/// Type, code, MTU, pointer and every byte that is not named here stay as they are. `None` only if
/// the offsets are not those of this frame; then bytes may have changed, and the frame is to be
/// dropped.
pub fn translate(
    bytes: &mut [u8],
    packet: &Packet,
    quote: &Quote,
    outer: Ends,
    inner: Ends,
) -> Option<()> {
    let body = translate_quote(bytes, packet.family, quote, inner)?;
    let outer_addresses = rewrite_addresses(bytes, packet, outer)?;
    let icmp: &mut IcmpHeader = view_mut(bytes, packet.l4)?;
    icmp.checksum.update(match packet.family {
        Family::V4 => body,
        // ICMPv6 covers the pseudo header too (RFC 4443 section 2.3).
        Family::V6 => body.and(outer_addresses),
    });
    Some(())
}

/// Rewrites the quoted packet; returns the change of all its bytes, its own checksums included.
fn translate_quote(bytes: &mut [u8], family: Family, quote: &Quote, inner: Ends) -> Option<Delta> {
    let mut change = Delta::default();
    let addresses = match family {
        Family::V4 => {
            let [a, b] = [inner.src.address.v4_octets(), inner.dst.address.v4_octets()];
            let place = bytes.get_mut(quote.l3 + ADDRESSES_V4..)?;
            let (src, rest) = place.split_at_mut_checked(4)?;
            let addresses =
                checksum::replace(src, &a).and(checksum::replace(rest.get_mut(..4)?, &b));
            let header: &mut Checksum = view_mut(bytes, quote.l3 + CHECKSUM_V4)?;
            let old = *header;
            header.update(addresses);
            change = change.and(header.change_from(old));
            addresses
        }
        Family::V6 => {
            let [a, b] = [inner.src.address.v6_octets(), inner.dst.address.v6_octets()];
            let place = bytes.get_mut(quote.l3 + ADDRESSES_V6..)?;
            let (src, rest) = place.split_at_mut_checked(16)?;
            checksum::replace(src, &a).and(checksum::replace(rest.get_mut(..16)?, &b))
        }
    };
    let protocol = quote.key.protocol;
    let (at, new) = if protocol.is_icmp() {
        let [a, b] = inner.src.port.to_be_bytes();
        (quote.l4 + IcmpHeader::ID_OFFSET, [a, b, 0, 0])
    } else {
        let ([a, b], [c, d]) = (inner.src.port.to_be_bytes(), inner.dst.port.to_be_bytes());
        (quote.l4, [a, b, c, d])
    };
    let len = if protocol.is_icmp() { 2 } else { 4 };
    let ports = checksum::replace(bytes.get_mut(at..at + len)?, new.get(..len)?);
    change = change.and(addresses).and(ports);
    if let Some(at) = quote.checksum {
        let field: &mut Checksum = view_mut(bytes, at)?;
        let old = *field;
        match protocol {
            Protocol::Udp => field.update_udp(addresses.and(ports)),
            // ICMP for IPv4 has no pseudo header.
            Protocol::Icmp => field.update(ports),
            Protocol::Tcp | Protocol::Icmpv6 => field.update(addresses.and(ports)),
            Protocol::Sctp => {}
        }
        change = change.and(field.change_from(old));
    }
    Some(change)
}
