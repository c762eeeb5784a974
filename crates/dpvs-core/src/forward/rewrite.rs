// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rewriting of addresses, ports and identifiers, with their checksums: what all translating methods
//! do.

use super::Ends;
use crate::checksum::{self, Delta};
use crate::crc32c;
use crate::net::Family;
use crate::parse::{Packet, Payload};
use crate::wire::{IcmpHeader, Ipv4Header, Ipv6Header, SctpHeader, TcpHeader, UdpHeader, view_mut};
use zerocopy::big_endian::{U16, U32};

/// Rewrites a packet to `ends`: addresses, ports or identifier, time to live, checksums.
///
/// `None` only if `packet` is not of this frame.
pub fn rewrite(bytes: &mut [u8], packet: &Packet, ends: Ends) -> Option<()> {
    let addresses = rewrite_addresses(bytes, packet, ends)?;
    let (sport, dport) = (ends.src.port.to_be_bytes(), ends.dst.port.to_be_bytes());
    match packet.payload {
        Payload::Tcp { .. } => {
            let tcp: &mut TcpHeader = view_mut(bytes, packet.l4)?;
            let ports = Delta::words(tcp.sport.to_bytes(), sport)
                .and(Delta::words(tcp.dport.to_bytes(), dport));
            (tcp.sport, tcp.dport) = (U16::from_bytes(sport), U16::from_bytes(dport));
            tcp.checksum.update(addresses.and(ports));
        }
        Payload::Udp { .. } => {
            let udp: &mut UdpHeader = view_mut(bytes, packet.l4)?;
            let ports = Delta::words(udp.sport.to_bytes(), sport)
                .and(Delta::words(udp.dport.to_bytes(), dport));
            (udp.sport, udp.dport) = (U16::from_bytes(sport), U16::from_bytes(dport));
            udp.checksum.update_udp(addresses.and(ports));
        }
        Payload::Sctp { .. } => {
            let len = packet.end.checked_sub(packet.l4)?;
            let sctp: &mut SctpHeader = view_mut(bytes, packet.l4)?;
            let join = |[a, b]: [u8; 2], [c, d]: [u8; 2]| [a, b, c, d];
            let old = join(sctp.sport.to_bytes(), sctp.dport.to_bytes());
            (sctp.sport, sctp.dport) = (U16::from_bytes(sport), U16::from_bytes(dport));
            // The addresses are not in it: there is no pseudo header (RFC 9260 section 6.8).
            let crc = crc32c::update(sctp.crc.to_bytes(), old, join(sport, dport), len);
            sctp.crc = U32::from_bytes(crc);
        }
        Payload::IcmpQuery { .. } => {
            let icmp: &mut IcmpHeader = view_mut(bytes, packet.l4)?;
            let [a, b, sequence @ ..] = icmp.rest;
            let identifier = Delta::words([a, b], sport);
            let ([a, b], [c, d]) = (sport, sequence);
            icmp.rest = [a, b, c, d];
            icmp.checksum.update(match packet.family {
                Family::V4 => identifier,
                Family::V6 => identifier.and(addresses),
            });
            if packet.fragment.is_none() {
                crate::icmp::settle_zero(bytes, packet)?;
            }
        }
        // What follows the first part of a datagram has no ports.
        Payload::Fragment => {}
        _ => return None,
    }
    Some(())
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
            let ttl = header.less_ttl();
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

/// Takes one from the time to live, which must not be 0, and changes nothing else.
pub(crate) fn take_ttl(bytes: &mut [u8], packet: &Packet) -> Option<()> {
    match packet.family {
        Family::V4 => {
            let header: &mut Ipv4Header = view_mut(bytes, packet.l3)?;
            let ttl = header.less_ttl();
            header.checksum.update(ttl);
        }
        Family::V6 => {
            let header: &mut Ipv6Header = view_mut(bytes, packet.l3)?;
            header.hop_limit = header.hop_limit.saturating_sub(1);
        }
    }
    Some(())
}
