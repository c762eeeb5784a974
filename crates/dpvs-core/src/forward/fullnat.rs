// SPDX-License-Identifier: MIT OR Apache-2.0
//! Full NAT: both addresses and both ports are translated, so that the real server answers to us.
//!
//! ```text
//! inbound    C:cport -> V:vport   becomes   L:lport -> R:dport
//! outbound   R:dport -> L:lport   becomes   V:vport -> C:cport
//! ```
//! In an ICMP query the identifier takes the ports' place: `cport` on one side, `lport` on the other.

use super::{Ends, rewrite_addresses};
use crate::checksum;
use crate::conn::{Conn, Direction};
use crate::key::Endpoint;
use crate::net::Family;
use crate::parse::{Packet, Payload};
use crate::wire::{IcmpHeader, TcpHeader, UdpHeader, view_mut};
use zerocopy::big_endian::U16;

/// Returns the ends that a packet of a connection has when it leaves. `direction` is the packet's
/// way through the balancer, not the entry that it was found by.
pub fn ends(conn: &Conn, direction: Direction) -> Ends {
    match direction {
        Direction::Inbound => Ends { src: conn.local(), dst: conn.dest_end() },
        Direction::Outbound if conn.protocol().is_icmp() => {
            let identifier = conn.client().port;
            Ends { src: Endpoint { port: identifier, ..conn.virtual_() }, dst: conn.client() }
        }
        Direction::Outbound => Ends { src: conn.virtual_(), dst: conn.client() },
    }
}

/// Rewrites a packet to `ends`: addresses, ports or identifier, time to live, checksums.
///
/// `None` only if `packet` is not of this frame.
pub fn rewrite(bytes: &mut [u8], packet: &Packet, ends: Ends) -> Option<()> {
    let addresses = rewrite_addresses(bytes, packet, ends)?;
    let (sport, dport) = (ends.src.port.to_be_bytes(), ends.dst.port.to_be_bytes());
    match packet.payload {
        Payload::Tcp { .. } => {
            let tcp: &mut TcpHeader = view_mut(bytes, packet.l4)?;
            let ports = checksum::Delta::words(tcp.sport.to_bytes(), sport)
                .and(checksum::Delta::words(tcp.dport.to_bytes(), dport));
            (tcp.sport, tcp.dport) = (U16::from_bytes(sport), U16::from_bytes(dport));
            tcp.checksum.update(addresses.and(ports));
        }
        Payload::Udp { .. } => {
            let udp: &mut UdpHeader = view_mut(bytes, packet.l4)?;
            let ports = checksum::Delta::words(udp.sport.to_bytes(), sport)
                .and(checksum::Delta::words(udp.dport.to_bytes(), dport));
            (udp.sport, udp.dport) = (U16::from_bytes(sport), U16::from_bytes(dport));
            udp.checksum.update_udp(addresses.and(ports));
        }
        Payload::IcmpQuery { .. } => {
            let icmp: &mut IcmpHeader = view_mut(bytes, packet.l4)?;
            let [a, b, sequence @ ..] = icmp.rest;
            let identifier = checksum::Delta::words([a, b], sport);
            let ([a, b], [c, d]) = (sport, sequence);
            icmp.rest = [a, b, c, d];
            icmp.checksum.update(match packet.family {
                Family::V4 => identifier,
                Family::V6 => identifier.and(addresses),
            });
            crate::icmp::settle_zero(bytes, packet)?;
        }
        _ => return None,
    }
    Some(())
}
