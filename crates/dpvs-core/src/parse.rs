// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frame to [`Parsed`]: offsets and fields, once and bounds-checked. Nothing is changed here.
//!
//! Lengths are believed only as far as the frame goes: a packet ends where its IP header says
//! (what follows is an Ethernet trailer), and a header that says more than there is is dropped.

use crate::DropReason;
use crate::conn::SctpChunk;
use crate::extensions::walk_extensions;
use crate::fragment::{Fragment, FragmentKey};
use crate::key::{Address, Endpoint, Key, QueryType};
use crate::net::{Family, Mac, Protocol};
use crate::wire::{
    EtherType, EthernetHeader, IcmpHeader, Ipv4Header, Ipv6Header, SctpHeader, TcpFlags, TcpHeader,
    UdpHeader, VlanHeader, view,
};

/// An IP packet in a frame.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// Where the IP header starts.
    pub l3: usize,
    /// Where the transport header starts.
    pub l4: usize,
    /// Where the packet ends; at most the frame's length.
    pub end: usize,
    /// The family.
    pub family: Family,
    /// Source address.
    pub src: Address,
    /// Destination address.
    pub dst: Address,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Whether the link destination was multicast or broadcast.
    pub is_link_group: bool,
    /// What is said of it as a part of a larger packet, if it is one.
    pub fragment: Option<Part>,
    /// What it carries.
    pub payload: Payload,
}

/// What of a packet matters for sending it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Where the IP header starts.
    pub(crate) l3: usize,
    /// Where the packet ends.
    pub(crate) end: usize,
    /// The family.
    pub(crate) family: Family,
}

impl Packet {
    /// Nothing: what a place for packets has before its first.
    pub(crate) const NONE: Packet = Packet {
        l3: 0,
        l4: 0,
        end: 0,
        family: Family::V4,
        src: Address::UNSPECIFIED_V4,
        dst: Address::UNSPECIFIED_V4,
        ttl: 0,
        is_link_group: false,
        fragment: None,
        payload: Payload::NeighbourDiscovery,
    };

    /// Returns what matters for sending it.
    #[inline]
    pub(crate) fn span(&self) -> Span {
        Span { l3: self.l3, end: self.end, family: self.family }
    }

    /// Returns the length from the IP header on, in bytes.
    pub fn len(&self) -> usize {
        self.end - self.l3
    }

    /// Returns false: a packet has at least its header.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Returns the key of its connection, if its kind has one. ICMP errors have none of their own.
    pub fn key(&self) -> Option<Key> {
        let key = |protocol, sport, dport| {
            Some(Key { src: self.src, dst: self.dst, sport, dport, protocol })
        };
        match self.payload {
            Payload::Tcp { sport, dport, .. } => key(Protocol::Tcp, sport, dport),
            Payload::Udp { sport, dport } => key(Protocol::Udp, sport, dport),
            Payload::Sctp { sport, dport, .. } => key(Protocol::Sctp, sport, dport),
            Payload::IcmpQuery { query, id } => key(icmp_protocol(self.family), id, query.ports()),
            Payload::IcmpError { .. }
            | Payload::NeighbourDiscovery
            | Payload::IcmpOther { .. }
            | Payload::Fragment
            | Payload::Other(_) => None,
        }
    }

    /// Returns what all parts of its datagram share, if it is a part.
    pub fn fragment_key(&self) -> Option<FragmentKey> {
        let Part { id, protocol, .. } = self.fragment?;
        Some(FragmentKey { src: self.src, dst: self.dst, id, protocol })
    }

    /// Returns whether it is the first part of a larger packet.
    pub fn is_first_fragment(&self) -> bool {
        self.fragment.is_some_and(|part| part.is_first)
    }

    /// Returns where it comes from, with the source port or identifier.
    pub fn source(&self) -> Endpoint {
        let port = self.key().map_or(0, |key| key.sport);
        Endpoint { address: self.src, port }
    }
}

/// A packet as part of a larger one. With the addresses it names the larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    id: u32,
    protocol: u8,
    /// Whether it is the first, which has the transport header.
    pub is_first: bool,
}

impl From<Fragment> for Part {
    fn from(fragment: Fragment) -> Self {
        let FragmentKey { id, protocol, .. } = fragment.key;
        Part { id, protocol, is_first: fragment.is_first() }
    }
}

/// Returns the ICMP of a family.
pub fn icmp_protocol(family: Family) -> Protocol {
    match family {
        Family::V4 => Protocol::Icmp,
        Family::V6 => Protocol::Icmpv6,
    }
}

/// What an IP packet carries, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// TCP with a whole fixed header.
    Tcp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
        /// Control bits.
        flags: TcpFlags,
        /// Sequence number.
        sequence: u32,
        /// Acknowledgement number, if it counts.
        ack: Option<u32>,
    },
    /// UDP.
    Udp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
    },
    /// SCTP.
    Sctp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
        /// What it does to its association.
        chunk: SctpChunk,
    },
    /// Half of an ICMP query: echo, or timestamp.
    IcmpQuery {
        /// Which half.
        query: QueryType,
        /// Its identifier.
        id: u16,
    },
    /// An ICMP error: it quotes a packet.
    IcmpError {
        /// Type.
        icmp_type: u8,
        /// Code.
        code: u8,
    },
    /// Router or neighbour discovery (RFC 4861) or MLD (RFC 2710, 3810).
    NeighbourDiscovery,
    /// Any other ICMP message.
    IcmpOther {
        /// Type.
        icmp_type: u8,
    },
    /// A fragment other than the first, or the first of something that is never passed on in parts.
    Fragment,
    /// Another protocol, by its number.
    Other(u8),
}

impl Payload {
    /// What a TCP header tells.
    #[inline]
    pub(crate) fn tcp(header: &TcpHeader) -> Self {
        Payload::Tcp {
            sport: header.sport.get(),
            dport: header.dport.get(),
            flags: header.flags,
            sequence: header.seq.get(),
            ack: header.flags.has(TcpFlags::ACK).then(|| header.ack.get()),
        }
    }

    /// Returns whether it is an ICMP message of either family, or begins one.
    pub(crate) fn is_icmp(&self) -> bool {
        use Payload::{IcmpError, IcmpOther, IcmpQuery, NeighbourDiscovery};
        matches!(self, IcmpQuery { .. } | IcmpError { .. } | IcmpOther { .. } | NeighbourDiscovery)
    }

    /// Returns whether this is half of an ICMP query.
    pub fn is_query(self) -> bool {
        matches!(self, Payload::IcmpQuery { .. })
    }
}

/// What a frame is.
#[derive(Clone, Copy, Debug)]
pub enum Parsed {
    /// An IP packet.
    Ip(Packet),
    /// ARP; the header starts at the offset.
    Arp(usize),
    /// Neither: left to the kernel interface.
    Other,
}

/// What a frame is, its packet being elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// An IP packet.
    Ip,
    /// ARP; the header starts at the offset.
    Arp(usize),
    /// Neither.
    Other,
}

/// Reads a frame that came in by a port with link address `mac`.
///
/// # Errors
/// The reason to drop it.
pub fn parse(bytes: &[u8], mac: Mac) -> Result<Parsed, DropReason> {
    let mut packet = Packet::NONE;
    Ok(match parse_into(bytes, mac, &mut packet)? {
        Kind::Ip => Parsed::Ip(packet),
        Kind::Arp(offset) => Parsed::Arp(offset),
        Kind::Other => Parsed::Other,
    })
}

/// The same, with the packet written where it is to be: one that is handed on by value is read by
/// other widths than it was written by, and every such load waits for the store.
///
/// # Errors
/// The reason to drop it; the packet is then nothing to go by.
#[inline]
pub(crate) fn parse_into(bytes: &[u8], mac: Mac, packet: &mut Packet) -> Result<Kind, DropReason> {
    let ethernet: &EthernetHeader = view(bytes, 0).ok_or(DropReason::TruncatedHeader)?;
    let destination = Mac(ethernet.dst);
    if destination != mac && !destination.is_group() {
        return Err(DropReason::NotOurMac);
    }
    let mut offset = EthernetHeader::LEN;
    let mut ether_type = ethernet.ether_type.get();
    if ether_type == EtherType::VLAN || ether_type == EtherType::QINQ {
        let vlan: &VlanHeader = view(bytes, offset).ok_or(DropReason::TruncatedHeader)?;
        // A tag with identifier 0 carries only a priority (802.1Q): the frame is untagged.
        if vlan.id() != 0 {
            return Err(DropReason::UnknownVlan);
        }
        offset += VlanHeader::LEN;
        ether_type = vlan.ether_type.get();
    }
    packet.is_link_group = destination.is_group();
    match ether_type {
        EtherType::IPV4 => parse_v4(bytes, offset, packet)?,
        EtherType::IPV6 => parse_v6(bytes, offset, packet)?,
        EtherType::ARP => return Ok(Kind::Arp(offset)),
        _ => return Ok(Kind::Other),
    }
    Ok(Kind::Ip)
}

#[inline]
fn parse_v4(bytes: &[u8], l3: usize, packet: &mut Packet) -> Result<(), DropReason> {
    let header: &Ipv4Header = view(bytes, l3).ok_or(DropReason::TruncatedHeader)?;
    let header_len = header.header_len();
    let total_len = usize::from(header.total_len.get());
    if header.version() != 4 || header_len < Ipv4Header::LEN || total_len < header_len {
        return Err(DropReason::MalformedHeader);
    }
    let end = l3 + total_len;
    let whole = bytes.get(l3..l3 + header_len).ok_or(DropReason::TruncatedHeader)?;
    if end > bytes.len() {
        return Err(DropReason::TruncatedHeader);
    }
    // RFC 1812 section 5.2.2: a router verifies it. Ours is updated incrementally, so a wrong one
    // would stay wrong, but nothing may be decided by a damaged header.
    if !crate::checksum::is_good(whole) {
        return Err(DropReason::BadChecksum);
    }
    let l4 = l3 + header_len;
    let fragment = Fragment::read_v4(header);
    let whole = bytes.get(..end).unwrap_or(bytes);
    (packet.l3, packet.l4, packet.end) = (l3, l4, end);
    packet.family = Family::V4;
    (packet.src, packet.dst) = (Address::v4(header.src), Address::v4(header.dst));
    packet.ttl = header.ttl;
    packet.fragment = fragment.map(Part::from);
    parse_part(whole, l4, (header.protocol, Family::V4), fragment, &mut packet.payload)
}

fn parse_v6(bytes: &[u8], l3: usize, packet: &mut Packet) -> Result<(), DropReason> {
    let header: &Ipv6Header = view(bytes, l3).ok_or(DropReason::TruncatedHeader)?;
    if header.version() != 6 {
        return Err(DropReason::MalformedHeader);
    }
    let end = l3 + Ipv6Header::LEN + usize::from(header.payload_len.get());
    if end > bytes.len() {
        return Err(DropReason::TruncatedHeader);
    }
    let (src, dst) = (Address::v6(header.src), Address::v6(header.dst));
    if src.family() == Family::V4 || dst.family() == Family::V4 {
        return Err(DropReason::MalformedHeader);
    }
    let whole = bytes.get(..end).unwrap_or(bytes);
    let chain = walk_extensions(whole, l3 + Ipv6Header::LEN, header.next_header)
        .map_err(|_| DropReason::ExtensionHeaders)?;
    let fragment = match chain.fragment_at {
        Some(at) => {
            let header = view(whole, at).ok_or(DropReason::TruncatedHeader)?;
            Fragment::read_v6(src, dst, header)
        }
        None => None,
    };
    (packet.l3, packet.l4, packet.end) = (l3, chain.offset, end);
    packet.family = Family::V6;
    (packet.src, packet.dst) = (src, dst);
    packet.ttl = header.hop_limit;
    packet.fragment = fragment.map(Part::from);
    let upper = (chain.protocol, Family::V6);
    parse_part(whole, chain.offset, upper, fragment, &mut packet.payload)
}

/// Reads what a packet carries that may be part of a larger one.
#[inline]
fn parse_part(
    packet: &[u8],
    l4: usize,
    (protocol, family): (u8, Family),
    fragment: Option<Fragment>,
    payload: &mut Payload,
) -> Result<(), DropReason> {
    let Some(fragment) = fragment else {
        parse_payload(packet, l4, (protocol, family), payload)?;
        return match payload {
            Payload::Udp { .. } if !has_whole_udp(packet, l4) => Err(DropReason::MalformedHeader),
            _ => Ok(()),
        };
    };
    fragment.check(packet.len().saturating_sub(l4)).map_err(|_| DropReason::MalformedHeader)?;
    if !fragment.is_first() {
        *payload = Payload::Fragment;
        return Ok(());
    }
    parse_payload(packet, l4, (protocol, family), payload)?;
    let has_connections = matches!(
        payload,
        Payload::Tcp { .. }
            | Payload::Udp { .. }
            | Payload::Sctp { .. }
            | Payload::IcmpQuery { .. }
    );
    if !has_connections {
        *payload = Payload::Fragment;
    }
    Ok(())
}

#[inline]
fn has_whole_udp(packet: &[u8], l4: usize) -> bool {
    view::<UdpHeader>(packet, l4).is_some_and(|udp| l4 + usize::from(udp.len.get()) <= packet.len())
}

#[inline]
fn parse_payload(
    packet: &[u8],
    l4: usize,
    (protocol, family): (u8, Family),
    payload: &mut Payload,
) -> Result<(), DropReason> {
    const TRUNCATED: DropReason = DropReason::TruncatedHeader;
    // Each family has its own ICMP: the other one's number is an unknown protocol.
    *payload = match (Protocol::from_number(protocol), family) {
        (Some(Protocol::Tcp), _) => {
            let tcp: &TcpHeader = view(packet, l4).ok_or(TRUNCATED)?;
            if tcp.header_len() < TcpHeader::LEN || l4 + tcp.header_len() > packet.len() {
                return Err(DropReason::MalformedHeader);
            }
            Payload::tcp(tcp)
        }
        (Some(Protocol::Udp), _) => {
            let udp: &UdpHeader = view(packet, l4).ok_or(TRUNCATED)?;
            if usize::from(udp.len.get()) < UdpHeader::LEN {
                return Err(DropReason::MalformedHeader);
            }
            Payload::Udp { sport: udp.sport.get(), dport: udp.dport.get() }
        }
        (Some(Protocol::Sctp), _) => {
            let sctp: &SctpHeader = view(packet, l4).ok_or(TRUNCATED)?;
            let chunk = SctpChunk::read(packet, l4, packet.len()).ok_or(TRUNCATED)?;
            Payload::Sctp { sport: sctp.sport.get(), dport: sctp.dport.get(), chunk }
        }
        (Some(Protocol::Icmp), Family::V4) => classify_v4(*view(packet, l4).ok_or(TRUNCATED)?),
        (Some(Protocol::Icmpv6), Family::V6) => {
            // MLDv1's done and a bare ICMPv6 header are 4 bytes at least; all that matter have 8.
            classify_v6(*view(packet, l4).ok_or(TRUNCATED)?)
        }
        _ => Payload::Other(protocol),
    };
    Ok(())
}

fn classify_v4(icmp: IcmpHeader) -> Payload {
    let IcmpHeader { icmp_type, code, .. } = icmp;
    if let Some(query) = QueryType::from_wire(Protocol::Icmp, icmp_type, code) {
        return Payload::IcmpQuery { query, id: icmp.id() };
    }
    match icmp_type {
        3 | 4 | 11 | 12 => Payload::IcmpError { icmp_type, code },
        _ => Payload::IcmpOther { icmp_type },
    }
}

fn classify_v6(icmp: IcmpHeader) -> Payload {
    let IcmpHeader { icmp_type, code, .. } = icmp;
    if let Some(query) = QueryType::from_wire(Protocol::Icmpv6, icmp_type, code) {
        return Payload::IcmpQuery { query, id: icmp.id() };
    }
    match icmp_type {
        1..=4 => Payload::IcmpError { icmp_type, code },
        130..=132 | 133..=136 | 143 => Payload::NeighbourDiscovery,
        _ => Payload::IcmpOther { icmp_type },
    }
}
