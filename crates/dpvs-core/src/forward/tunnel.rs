// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tunnels: the packet goes to the real server inside of another. The server unwraps it, has the
//! virtual address itself, and answers to the client past us.
//!
//! ```text
//! inbound    C:cport -> V:vport   becomes   B -> R [ C:cport -> V:vport ]
//!
//! IP in IP   outer IP | inner packet                          RFC 2003, 2473, 4213
//! GRE        outer IP | 4 or 8 bytes | inner packet           RFC 2784
//! GUE        outer IP | UDP | 4 bytes | inner packet          draft-ietf-intarea-gue, variant 0
//! ```
//! Either family goes in either. The outer source B is the route's, else an address of ours on the
//! port that the packet leaves by.

use super::{Answer, Binding};
use crate::checksum::{self, Checksum};
use crate::ip_header::{self, Fields};
use crate::key::{Address, Endpoint};
use crate::net::Family;
use crate::parse::{Packet, Payload};
use crate::tables::{Refusal, RefusalKind, ServiceKey, Tunnel, TunnelChecksum, TunnelKind};
use crate::wire::{
    EthernetHeader, GreHeader, GueHeader, Ipv4Header, Ipv6Header, UdpHeader, view, view_mut,
};
use crate::{DropReason, Frame};
use zerocopy::big_endian::U16;

/// Time to live of the outer packet.
const TTL: u8 = 64;
/// Source ports of GUE: 14 bits of the flow's hash above this, so that routers spread the flows.
pub(crate) const SOURCE_PORT_MIN: u16 = 0xc000;

pub(super) fn check(key: &ServiceKey, endpoint: Endpoint, tunnel: Tunnel) -> Result<(), Refusal> {
    let invalid = |text: &str, at| Err(Refusal::new(RefusalKind::Invalid, text).at(at));
    if key.virtual_().is_none() {
        return invalid("services by match are for SNAT (-J) alone", "forward");
    }
    if tunnel.kind == TunnelKind::Gue && tunnel.port == 0 {
        return invalid("a GUE tunnel needs a UDP port (--tun-port)", "tunnel.port");
    }
    debug_assert!(endpoint.address.bits() != 0, "a server has an address");
    Ok(())
}

/// The answer is never seen here; its key is for listings.
pub(super) fn bind<'a>(binding: &Binding<'_, 'a>) -> Result<Answer<'a>, DropReason> {
    let key = binding.answer_to_client().ok_or(DropReason::MalformedHeader)?;
    Ok(Answer { key, hash: None, pool: None })
}

/// Returns how much longer a wrapped packet is, in bytes.
pub(super) fn overhead(outer: Family, tunnel: Tunnel) -> usize {
    let ip = match outer {
        Family::V4 => Ipv4Header::LEN,
        Family::V6 => Ipv6Header::LEN,
    };
    ip + inner_overhead(tunnel)
}

fn inner_overhead(tunnel: Tunnel) -> usize {
    match (tunnel.kind, tunnel.checksum) {
        (TunnelKind::Ipip, _) => 0,
        (TunnelKind::Gre, TunnelChecksum::None) => GreHeader::LEN,
        (TunnelKind::Gre, _) => GreHeader::LEN + GreHeader::CHECKSUM_LEN,
        (TunnelKind::Gue, _) => UdpHeader::LEN + GueHeader::LEN,
    }
}

/// Wraps a packet; returns the outer one. `None` if the frame has no room in front, and then it is
/// as it was.
pub(super) fn wrap<F: Frame>(
    frame: &mut F,
    packet: &Packet,
    (src, dst): (Address, Address),
    tunnel: Tunnel,
) -> Option<Packet> {
    let family = dst.family();
    let (tos, dont_fragment) = inherited(frame.bytes(), packet)?;
    // About an error nobody may be told, so it must not be lost for its length on the way.
    let dont_fragment = dont_fragment && !matches!(packet.payload, Payload::IcmpError { .. });
    let flow = flow_of(packet);
    let len = packet.len();
    frame.truncate(packet.end);
    let l3 = EthernetHeader::LEN;
    let l4 = l3 + overhead(family, tunnel) - inner_overhead(tunnel);
    let inner = l4 + inner_overhead(tunnel);
    // All in front of the inner packet is written anew.
    let grow = inner.checked_sub(packet.l3)?;
    frame.push_front(grow).ok()?;
    let outer = Packet {
        l3,
        l4,
        end: inner + len,
        family,
        src,
        dst,
        ttl: TTL,
        is_link_group: false,
        fragment: None,
        payload: Payload::Other(0),
    };
    let bytes = frame.bytes_mut();
    let protocol = match tunnel.kind {
        TunnelKind::Ipip => ip_protocol(packet.family),
        TunnelKind::Gre => write_gre(bytes, &outer, packet.family, tunnel)?,
        TunnelKind::Gue => write_gue(bytes, &outer, (packet.family, flow), tunnel)?,
    };
    // RFC 6864: what a router on the way may fragment needs a number of its own. The inner packet's
    // first bytes tell packets apart: its own number, ports, sequence numbers.
    let start = bytes.get(inner..outer.end.min(inner + 64))?;
    let id = checksum::fold(checksum::sum(start)).wrapping_mul(0x9e37);
    let id = (!dont_fragment).then_some(id);
    ip_header::write(bytes, &outer, Fields { protocol, tos, id })?;
    Some(outer)
}

fn ip_protocol(family: Family) -> u8 {
    match family {
        Family::V4 => 4,
        Family::V6 => 41,
    }
}

/// Traffic class and "do not fragment" of the inner packet, which the outer one takes over: ECN must
/// not be lost (RFC 6040), and path MTU discovery must reach through (RFC 2003 section 3.1).
fn inherited(bytes: &[u8], packet: &Packet) -> Option<(u8, bool)> {
    match packet.family {
        Family::V4 => {
            let header: &Ipv4Header = view(bytes, packet.l3)?;
            Some((header.tos, header.is_dont_fragment()))
        }
        Family::V6 => {
            let header: &Ipv6Header = view(bytes, packet.l3)?;
            let [_, _, a, b] = (header.version_class_flow.get() >> 20).to_be_bytes();
            debug_assert!(a <= 0x0f, "four bits of version are left above the class");
            Some((b, true))
        }
    }
}

/// A number that packets of one flow share.
fn flow_of(packet: &Packet) -> u16 {
    let fold = |address: Address| {
        address.v6_octets().chunks_exact(2).fold(0u16, |sum, pair| match pair {
            [a, b] => sum.rotate_left(3) ^ u16::from_be_bytes([*a, *b]),
            _ => sum,
        })
    };
    let ports = packet.key().map_or(0, |key| key.sport ^ key.dport.rotate_left(7));
    (fold(packet.src) ^ fold(packet.dst).rotate_left(5)).wrapping_mul(0x9e37) ^ ports
}

fn write_gre(bytes: &mut [u8], outer: &Packet, inner: Family, tunnel: Tunnel) -> Option<u8> {
    let has_checksum = tunnel.checksum != TunnelChecksum::None;
    let header: &mut GreHeader = view_mut(bytes, outer.l4)?;
    *header = GreHeader {
        flags_version: U16::new(if has_checksum { GreHeader::CHECKSUM } else { 0 }),
        protocol: U16::new(crate::wire::EtherType::of(inner)),
    };
    if has_checksum {
        let at = outer.l4 + GreHeader::LEN;
        *view_mut::<[u8; GreHeader::CHECKSUM_LEN]>(bytes, at)? = [0; GreHeader::CHECKSUM_LEN];
        let sum = checksum::sum(bytes.get(outer.l4..outer.end)?);
        *view_mut::<Checksum>(bytes, at)? = checksum::finish(sum);
    }
    Some(47)
}

fn write_gue(
    bytes: &mut [u8],
    outer: &Packet,
    (inner, flow): (Family, u16),
    tunnel: Tunnel,
) -> Option<u8> {
    let len = u16::try_from(outer.end - outer.l4).ok()?;
    let udp: &mut UdpHeader = view_mut(bytes, outer.l4)?;
    *udp = UdpHeader {
        sport: U16::new(SOURCE_PORT_MIN | flow & !SOURCE_PORT_MIN),
        dport: U16::new(tunnel.port),
        len: U16::new(len),
        checksum: Checksum::default(),
    };
    let gue: &mut GueHeader = view_mut(bytes, outer.l4 + UdpHeader::LEN)?;
    *gue = GueHeader { version_len: 0, protocol: ip_protocol(inner), flags: U16::new(0) };
    // Over IPv6 a checksum of zero is for receivers that were told to take it (RFC 6935, RFC 6936);
    // most drop it, so there is always one.
    if tunnel.checksum != TunnelChecksum::None || outer.family == Family::V6 {
        let body = checksum::sum(bytes.get(outer.l4..outer.end)?);
        let udp: &mut UdpHeader = view_mut(bytes, outer.l4)?;
        udp.checksum = match checksum::finish(body + ip_header::pseudo_sum(outer, 17)) {
            // Zero would say that there is none (RFC 768).
            Checksum([0, 0]) => Checksum([0xff, 0xff]),
            checksum => checksum,
        };
    }
    Some(17)
}
