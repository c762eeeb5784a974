// SPDX-License-Identifier: MIT OR Apache-2.0
//! The link's own protocols: ARP (RFC 826) and neighbour discovery (RFC 4861).

use super::process::{Context, to_kernel};
use super::{WorkerState, multicast_mac};
use crate::checksum::{self, Checksum};
use crate::icmp;
use crate::key::Address;
use crate::neighbour::NeighbourUpdate;
use crate::net::{Family, Mac};
use crate::parse::Packet;
use crate::tables::Tables;
use crate::wire::{
    ArpHeader, EtherType, EthernetHeader, Ipv6Header, NeighbourHeader, view, view_mut,
};
use crate::{DropReason, Frame, Millis, NextHop, PortId, Verdict};
use zerocopy::IntoBytes;
use zerocopy::big_endian::{U16, U32};

/// Hop limit of neighbour discovery: proof that no router was between (RFC 4861 section 3.1).
const HOP_LIMIT: u8 = 255;

/// All nodes on the link, `ff02::1`.
const ALL_NODES: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

impl WorkerState {
    pub(super) fn arp<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        offset: usize,
    ) -> Verdict {
        let Some(arp) = view::<ArpHeader>(frame.bytes(), offset).copied() else {
            return Verdict::Drop(DropReason::TruncatedHeader);
        };
        let sender = Address::v4(arp.sender_ip);
        let sender_mac = Mac(arp.sender_mac);
        if !arp.is_ipv4_over_ethernet()
            || sender_mac.is_group()
            || sender_mac == Mac::default()
            || context.tables.port(context.port).is_some_and(|port| port.mac == sender_mac)
            || context.tables.address(sender).is_some()
        {
            return Verdict::Drop(DropReason::Arp);
        }
        let target = Address::v4(arp.target_ip);
        let is_ours = has_address(context, target);
        // A probe (RFC 5227) comes from 0.0.0.0: it is answered, but there is nobody to learn.
        let is_probe = arp.sender_ip == [0; 4];
        if !is_probe {
            let update = NeighbourUpdate { port: context.port, address: sender, mac: sender_mac };
            let is_answer = is_ours && arp.operation.get() == ArpHeader::REPLY;
            self.learn_here(context.now, update, is_ours, is_answer);
        }
        match arp.operation.get() {
            ArpHeader::REQUEST if is_ours => {
                let Some(port) = context.tables.port(context.port) else {
                    return Verdict::Drop(DropReason::Arp);
                };
                if write_arp_reply(frame, offset, &arp, port.mac).is_none() {
                    return Verdict::Drop(DropReason::Arp);
                }
                self.counters.arp_replied.add(1);
                Verdict::Transmit(port.id)
            }
            ArpHeader::REPLY => match to_kernel(context, DropReason::Arp) {
                Verdict::Drop(_) => Verdict::Consumed,
                verdict => verdict,
            },
            _ => to_kernel(context, DropReason::Arp),
        }
    }

    /// Learns a link address, and tells the other workers if it is news. An answer always is: the
    /// worker that asked may be another one.
    fn learn_here(&mut self, now: Millis, update: NeighbourUpdate, make: bool, is_answer: bool) {
        if self.neighbours.learn(now, update, make) || is_answer {
            // A full list is no loss: the neighbour will speak again, to that worker too.
            let _ = self.learned.try_push(update);
        }
    }

    /// Asks for a neighbour: by unicast where its link address is known but old.
    pub(super) fn ask(&mut self, tables: &Tables, hop: NextHop, known: Option<Mac>) {
        let Some(port) = tables.port(hop.port) else { return };
        let Some(source) = tables.source_for(hop.port, hop.address) else { return };
        self.counters.neighbour_asked.add(1);
        match hop.address.family() {
            Family::V4 => {
                let ethernet = EthernetHeader {
                    dst: known.unwrap_or(Mac::BROADCAST).0,
                    src: port.mac.0,
                    ether_type: U16::new(EtherType::ARP),
                };
                let arp = ArpHeader::new(
                    ArpHeader::REQUEST,
                    (port.mac.0, source.v4_octets()),
                    ([0; 6], hop.address.v4_octets()),
                );
                self.make(port.id, &[ethernet.as_bytes(), arp.as_bytes()]);
            }
            Family::V6 => {
                let target = hop.address.v6_octets();
                let group = solicited_node(target);
                let (dst, mac) = match known {
                    Some(mac) => (target, mac),
                    None => (group, multicast_mac(group)),
                };
                let message = Message {
                    icmp_type: NeighbourHeader::SOLICITATION,
                    flags: 0,
                    target,
                    option: NeighbourHeader::SOURCE_LINK_ADDRESS,
                };
                self.make_discovery(port.id, port.mac, (source.v6_octets(), dst), mac, message);
            }
        }
    }

    fn make_discovery(
        &mut self,
        port: PortId,
        our_mac: Mac,
        (src, dst): ([u8; 16], [u8; 16]),
        dst_mac: Mac,
        message: Message,
    ) {
        let len = NeighbourHeader::LEN + NeighbourHeader::LINK_OPTION_LEN;
        let ethernet = EthernetHeader {
            dst: dst_mac.0,
            src: our_mac.0,
            ether_type: U16::new(EtherType::IPV6),
        };
        let ip = Ipv6Header {
            version_class_flow: U32::new(6 << 28),
            payload_len: U16::new(u16::try_from(len).unwrap_or(0)),
            next_header: 58,
            hop_limit: HOP_LIMIT,
            src,
            dst,
        };
        let mut header = NeighbourHeader {
            icmp_type: message.icmp_type,
            code: 0,
            checksum: Checksum::default(),
            flags: [message.flags, 0, 0, 0],
            target: message.target,
        };
        // The option's length counts units of 8 bytes, its own two included.
        let mut option = [message.option, 1, 0, 0, 0, 0, 0, 0];
        if let Some(place) = option.last_chunk_mut() {
            *place = our_mac.0;
        }
        let sum = checksum::pseudo(&src, &dst, len, 58)
            + checksum::sum(header.as_bytes())
            + checksum::sum(&option);
        header.checksum = checksum::finish(sum);
        self.make(port, &[ethernet.as_bytes(), ip.as_bytes(), header.as_bytes(), &option]);
    }

    pub(super) fn discovery<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
    ) -> Verdict {
        const BAD: Verdict = Verdict::Drop(DropReason::NeighbourDiscovery);
        let bytes = frame.bytes();
        let Some(header) = view::<NeighbourHeader>(bytes, packet.l4).copied() else {
            // Routers' messages and MLD are the kernel's.
            return to_kernel(context, DropReason::NeighbourDiscovery);
        };
        let is_neighbour = matches!(
            header.icmp_type,
            NeighbourHeader::SOLICITATION | NeighbourHeader::ADVERTISEMENT
        );
        if !is_neighbour {
            return to_kernel(context, DropReason::NeighbourDiscovery);
        }
        // RFC 4861 sections 7.1.1 and 7.1.2.
        let target = Address::v6(header.target);
        if packet.ttl != HOP_LIMIT
            || header.code != 0
            || packet.l4 + NeighbourHeader::LEN > packet.end
            || target.ip().is_multicast()
            || !icmp::has_good_checksum(bytes, packet)
        {
            return BAD;
        }
        let Ok(options) = link_option(bytes, packet) else { return BAD };
        if header.icmp_type == NeighbourHeader::ADVERTISEMENT {
            if context.tables.address(target).is_none() {
                self.advertised(context, bytes, packet, &header, options);
            }
            return match to_kernel(context, DropReason::NeighbourDiscovery) {
                Verdict::Drop(_) => Verdict::Consumed,
                verdict => verdict,
            };
        }
        if !has_address(context, target) {
            return to_kernel(context, DropReason::NeighbourDiscovery);
        }
        self.answer_solicitation(context, bytes, packet, header.target, options)
    }

    /// Learns from an advertisement. An answer to a solicitation may have come to another worker
    /// than the one that asked: it makes an entry here, and every worker is told.
    fn advertised(
        &mut self,
        context: &Context<'_>,
        bytes: &[u8],
        packet: &Packet,
        header: &NeighbourHeader,
        option: Option<(u8, Mac)>,
    ) {
        let [flags, ..] = header.flags;
        let is_answer = flags & NeighbourHeader::SOLICITED != 0 && has_address(context, packet.dst);
        let mac = match option {
            Some((NeighbourHeader::TARGET_LINK_ADDRESS, mac)) => mac,
            // RFC 4861 section 7.2.4: who was asked by unicast may leave it out, and Linux does.
            _ if is_answer => match view::<EthernetHeader>(bytes, 0).map(|e| Mac(e.src)) {
                Some(mac) if !mac.is_group() => mac,
                _ => return,
            },
            _ => return,
        };
        let address = Address::v6(header.target);
        let update = NeighbourUpdate { port: context.port, address, mac };
        self.learn_here(context.now, update, is_answer, is_answer);
    }

    fn answer_solicitation(
        &mut self,
        context: &Context<'_>,
        bytes: &[u8],
        packet: &Packet,
        target: [u8; 16],
        option: Option<(u8, Mac)>,
    ) -> Verdict {
        const BAD: Verdict = Verdict::Drop(DropReason::NeighbourDiscovery);
        let Some(port) = context.tables.port(context.port) else { return BAD };
        let Some(ethernet) = view::<EthernetHeader>(bytes, 0) else { return BAD };
        let is_probe = packet.src == Address::v6([0; 16]);
        let source = match option {
            Some((NeighbourHeader::SOURCE_LINK_ADDRESS, mac)) if !is_probe => Some(mac),
            _ => None,
        };
        if let Some(mac) = source.filter(|_| context.tables.address(packet.src).is_none()) {
            let update = NeighbourUpdate { port: context.port, address: packet.src, mac };
            self.learn_here(context.now, update, true, false);
        }
        // RFC 4861 section 7.2.4: who probes has no address yet, so all nodes are told.
        let (dst, mac, flags) = if is_probe {
            (ALL_NODES, multicast_mac(ALL_NODES), NeighbourHeader::OVERRIDE)
        } else {
            let flags = NeighbourHeader::SOLICITED | NeighbourHeader::OVERRIDE;
            (packet.src.v6_octets(), source.unwrap_or(Mac(ethernet.src)), flags)
        };
        let message = Message {
            icmp_type: NeighbourHeader::ADVERTISEMENT,
            flags,
            target,
            option: NeighbourHeader::TARGET_LINK_ADDRESS,
        };
        self.counters.neighbour_advertised.add(1);
        self.make_discovery(port.id, port.mac, (target, dst), mac, message);
        Verdict::Consumed
    }
}

/// What of a solicitation or advertisement differs.
#[derive(Clone, Copy)]
struct Message {
    icmp_type: u8,
    flags: u8,
    target: [u8; 16],
    option: u8,
}

/// Returns whether the port that a frame came in by has an address.
fn has_address(context: &Context<'_>, address: Address) -> bool {
    context.tables.address(address).is_some_and(|a| a.port == context.port)
}

fn write_arp_reply<F: Frame>(
    frame: &mut F,
    offset: usize,
    request: &ArpHeader,
    mac: Mac,
) -> Option<()> {
    frame.truncate(offset + ArpHeader::LEN);
    let bytes = frame.bytes_mut();
    let ethernet: &mut EthernetHeader = view_mut(bytes, 0)?;
    ethernet.dst = request.sender_mac;
    ethernet.src = mac.0;
    *view_mut(bytes, offset)? = ArpHeader::new(
        ArpHeader::REPLY,
        (mac.0, request.target_ip),
        (request.sender_mac, request.sender_ip),
    );
    Some(())
}

/// The solicited-node multicast address (RFC 4291 section 2.7.1).
fn solicited_node(target: [u8; 16]) -> [u8; 16] {
    let [.., a, b, c] = target;
    [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]
}

/// Returns the first link address option, source or target. An option of length 0 is an error
/// (RFC 4861 section 4.6).
fn link_option(bytes: &[u8], packet: &Packet) -> Result<Option<(u8, Mac)>, ()> {
    let mut at = packet.l4 + NeighbourHeader::LEN;
    while at + 2 <= packet.end {
        let Some([kind, units]) = view::<[u8; 2]>(bytes, at).copied() else { return Err(()) };
        let len = usize::from(units) * 8;
        if len == 0 || at + len > packet.end {
            return Err(());
        }
        let is_link = kind == NeighbourHeader::SOURCE_LINK_ADDRESS
            || kind == NeighbourHeader::TARGET_LINK_ADDRESS;
        if is_link && let Some(mac) = view::<[u8; 6]>(bytes, at + 2) {
            let mac = Mac(*mac);
            return if mac.is_group() { Err(()) } else { Ok(Some((kind, mac))) };
        }
        at += len;
    }
    Ok(None)
}
