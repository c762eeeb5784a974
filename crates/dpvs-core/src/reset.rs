// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes a TCP reset out of the segment that it answers, in the segment's own frame.

use crate::Frame;
use crate::checksum::{self, Checksum};
use crate::icmp::generate::TTL;
use crate::ip_header;
use crate::net::Family;
use crate::parse::{Packet, Payload};
use crate::wire::{Ipv4Header, Ipv6Header, TcpFlags, TcpHeader, view, view_mut};
use zerocopy::big_endian::{U16, U32};

/// Turns a segment for a closed port into the reset that answers it (RFC 9293 section 3.10.7.1).
/// Options and data go. Returns the reset as a packet; `None` if it is no segment, or a reset.
pub(crate) fn make<F: Frame>(frame: &mut F, about: &Packet) -> Option<Packet> {
    let Payload::Tcp { sport, dport, flags, .. } = about.payload else { return None };
    if flags.has(TcpFlags::RST) {
        return None;
    }
    let old: TcpHeader = *view(frame.bytes(), about.l4)?;
    let data_len = about.end.checked_sub(about.l4 + old.header_len())?;
    let occupied = u32::try_from(data_len).ok()?
        + u32::from(flags.has(TcpFlags::SYN))
        + u32::from(flags.has(TcpFlags::FIN));
    let (seq, ack, flags) = if flags.has(TcpFlags::ACK) {
        (old.ack.get(), 0, TcpFlags::RST)
    } else {
        (0, old.seq.get().wrapping_add(occupied), TcpFlags(TcpFlags::RST.0 | TcpFlags::ACK.0))
    };
    let end = about.l4 + TcpHeader::LEN;
    frame.truncate(end);
    let packet = Packet { src: about.dst, dst: about.src, end, ttl: TTL, ..*about };
    let bytes = frame.bytes_mut();
    *view_mut(bytes, packet.l4)? = TcpHeader {
        sport: U16::new(dport),
        dport: U16::new(sport),
        seq: U32::new(seq),
        ack: U32::new(ack),
        data_offset: 5 << 4,
        flags,
        window: U16::new(0),
        checksum: Checksum::default(),
        urgent: U16::new(0),
    };
    turn_ip(bytes, &packet)?;
    let sum = checksum::sum(bytes.get(packet.l4..end)?) + ip_header::pseudo_sum(&packet, 6);
    let tcp: &mut TcpHeader = view_mut(bytes, packet.l4)?;
    tcp.checksum = checksum::finish(sum);
    Some(packet)
}

/// Turns the IP header round.
fn turn_ip(bytes: &mut [u8], packet: &Packet) -> Option<()> {
    match packet.family {
        Family::V4 => {
            let header: &mut Ipv4Header = view_mut(bytes, packet.l3)?;
            (header.src, header.dst) = (header.dst, header.src);
            header.ttl = packet.ttl;
            header.total_len = U16::new(u16::try_from(packet.len()).ok()?);
            header.checksum = Checksum::default();
            let sum = checksum::sum(bytes.get(packet.l3..packet.l4)?);
            let header: &mut Ipv4Header = view_mut(bytes, packet.l3)?;
            header.checksum = checksum::finish(sum);
        }
        Family::V6 => {
            let payload_len = packet.end.checked_sub(packet.l3 + Ipv6Header::LEN)?;
            let header: &mut Ipv6Header = view_mut(bytes, packet.l3)?;
            (header.src, header.dst) = (header.dst, header.src);
            header.hop_limit = packet.ttl;
            header.payload_len = U16::new(u16::try_from(payload_len).ok()?);
        }
    }
    Some(())
}
