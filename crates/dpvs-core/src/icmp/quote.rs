// SPDX-License-Identifier: MIT OR Apache-2.0
//! The packet that an ICMP error embeds.

use crate::DropReason;
use crate::checksum;
use crate::extensions::walk_extensions;
use crate::key::{Address, Key, QueryType};
use crate::net::{Family, Protocol};
use crate::parse::Packet;
use crate::wire::{IcmpHeader, Ipv4Header, Ipv6Header, TcpHeader, UdpHeader, view};

/// Bytes of a transport header that hold both ports: all that is needed of TCP, UDP and SCTP.
///
/// RFC 792 obliges routers to quote 8 bytes, and many quote exactly that. TCP's checksum is not
/// within them (offset 16).
pub const PORTS_LEN: usize = 4;

/// Bytes of an ICMP query up to its identifier.
pub const QUERY_LEN: usize = 6;

/// Shortest original datagram in front of extensions, padded (RFC 4884 section 3).
const ORIGINAL_LEN_MIN: usize = 128;

/// An embedded packet: offsets into the frame, and what identifies its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Where the embedded IP header starts.
    pub l3: usize,
    /// Where the embedded transport header starts.
    pub l4: usize,
    /// Where the embedded transport checksum stands, if it was quoted.
    pub checksum: Option<usize>,
    /// What the embedded packet looked like when it was sent.
    pub key: Key,
    /// Length of the embedded packet as its header says, in bytes.
    pub len: u32,
    /// Where what was quoted of the packet ends; extensions may follow (RFC 4884).
    pub end: usize,
    /// Quoted sequence number of TCP.
    pub sequence: Option<u32>,
    /// Whether the embedded IPv4 header has a right checksum.
    pub is_intact: bool,
}

impl Quote {
    /// Returns what is left of it in an error that was cut to end at `end`.
    #[must_use]
    pub(crate) fn cut(self, end: usize) -> Self {
        let checksum = self.checksum.filter(|at| at + 2 <= end);
        Quote { checksum, end: self.end.min(end), ..self }
    }
}

/// Reads the packet that an error embeds. `packet` is the error itself.
///
/// # Errors
/// The reason to drop the error: `icmp_short_quote`, `icmp_bad_quote`, `icmp_nested`,
/// `icmp_quote_fragment`, `icmp_quote_protocol`, `icmp_unrelated`.
pub fn parse(bytes: &[u8], packet: &Packet) -> Result<Quote, DropReason> {
    let icmp: &IcmpHeader = view(bytes, packet.l4).ok_or(DropReason::TruncatedHeader)?;
    let l3 = packet.l4 + IcmpHeader::LEN;
    let end = original_end(packet, *icmp, l3);
    let datagram = bytes.get(..end).ok_or(DropReason::TruncatedHeader)?;
    let header = parse_header(datagram, l3, packet.family)?;
    parse_transport(datagram, packet.family, &header)
}

/// Returns where the original datagram ends: RFC 4884 section 4 puts extensions behind it and its
/// length, in units of 4 or 8 bytes, into a byte that used to be zero.
fn original_end(packet: &Packet, icmp: IcmpHeader, l3: usize) -> usize {
    let [first, second, ..] = icmp.rest;
    let len = match (packet.family, icmp.icmp_type) {
        (Family::V4, 3 | 11 | 12) => usize::from(second) * 4,
        (Family::V6, 1 | 3) => usize::from(first) * 8,
        _ => 0,
    };
    // A length that cannot be is no length: the sender is older than the RFC (section 5), which
    // asks for 128 bytes where extensions follow (section 3).
    if len < ORIGINAL_LEN_MIN || l3 + len > packet.end { packet.end } else { l3 + len }
}

/// An embedded IP header.
pub(super) struct Header {
    l3: usize,
    pub(super) l4: usize,
    pub(super) src: Address,
    pub(super) dst: Address,
    pub(super) protocol: u8,
    pub(super) len: u32,
    is_intact: bool,
}

/// Reads the embedded IP header of a family.
pub(super) fn parse_header(
    datagram: &[u8],
    l3: usize,
    family: Family,
) -> Result<Header, DropReason> {
    match family {
        Family::V4 => parse_v4(datagram, l3),
        Family::V6 => parse_v6(datagram, l3),
    }
}

fn parse_v4(datagram: &[u8], l3: usize) -> Result<Header, DropReason> {
    let header: &Ipv4Header = view(datagram, l3).ok_or(DropReason::IcmpShortQuote)?;
    let header_len = header.header_len();
    if header.version() != 4 || header_len < Ipv4Header::LEN {
        return Err(DropReason::IcmpBadQuote);
    }
    if l3 + header_len > datagram.len() {
        return Err(DropReason::IcmpShortQuote);
    }
    if header.is_later_fragment() {
        return Err(DropReason::IcmpQuoteFragment);
    }
    Ok(Header {
        l3,
        l4: l3 + header_len,
        src: Address::v4(header.src),
        dst: Address::v4(header.dst),
        protocol: header.protocol,
        len: u32::from(header.total_len.get()),
        is_intact: datagram.get(l3..l3 + header_len).is_some_and(checksum::is_good),
    })
}

fn parse_v6(datagram: &[u8], l3: usize) -> Result<Header, DropReason> {
    let header: &Ipv6Header = view(datagram, l3).ok_or(DropReason::IcmpShortQuote)?;
    if header.version() != 6 {
        return Err(DropReason::IcmpBadQuote);
    }
    let chain = walk_extensions(datagram, l3 + Ipv6Header::LEN, header.next_header)
        .map_err(|_| DropReason::IcmpBadQuote)?;
    if chain.is_later_fragment {
        return Err(DropReason::IcmpQuoteFragment);
    }
    Ok(Header {
        l3,
        l4: chain.offset,
        src: Address::v6(header.src),
        dst: Address::v6(header.dst),
        protocol: chain.protocol,
        len: u32::from(header.payload_len.get()) + 40,
        is_intact: true,
    })
}

fn parse_transport(datagram: &[u8], family: Family, header: &Header) -> Result<Quote, DropReason> {
    let protocol = Protocol::from_number(header.protocol).ok_or(DropReason::IcmpQuoteProtocol)?;
    let quoted_checksum = |offset: usize| {
        let at = header.l4 + offset;
        (at + 2 <= datagram.len()).then_some(at)
    };
    let (sport, dport, checksum) = match (protocol, family) {
        (Protocol::Tcp | Protocol::Udp | Protocol::Sctp, _) => {
            let ports: &[u8; PORTS_LEN] =
                view(datagram, header.l4).ok_or(DropReason::IcmpShortQuote)?;
            let [a, b, c, d] = *ports;
            let checksum = match protocol {
                Protocol::Tcp => quoted_checksum(TcpHeader::CHECKSUM_OFFSET),
                Protocol::Udp => quoted_checksum(UdpHeader::CHECKSUM_OFFSET),
                // SCTP's CRC32c covers the ports and cannot be patched without the whole packet.
                _ => None,
            };
            (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]), checksum)
        }
        (Protocol::Icmp, Family::V4) | (Protocol::Icmpv6, Family::V6) => {
            let query: &[u8; QUERY_LEN] =
                view(datagram, header.l4).ok_or(DropReason::IcmpShortQuote)?;
            let [icmp_type, code, _, _, a, b] = *query;
            let Some(query) = QueryType::from_wire(protocol, icmp_type, code) else {
                return Err(reason_of_type(protocol, icmp_type));
            };
            (u16::from_be_bytes([a, b]), query.ports(), quoted_checksum(2))
        }
        _ => return Err(DropReason::IcmpQuoteProtocol),
    };
    let key = Key { src: header.src, dst: header.dst, sport, dport, protocol };
    let sequence = match protocol {
        Protocol::Tcp => view::<[u8; 4]>(datagram, header.l4 + PORTS_LEN).copied(),
        _ => None,
    };
    Ok(Quote {
        l3: header.l3,
        l4: header.l4,
        checksum,
        key,
        len: header.len,
        end: datagram.len(),
        sequence: sequence.map(u32::from_be_bytes),
        is_intact: header.is_intact,
    })
}

/// An error about an error must not be (RFC 1122 section 3.2.2); other messages have no connection.
fn reason_of_type(protocol: Protocol, icmp_type: u8) -> DropReason {
    let is_error = match protocol {
        Protocol::Icmp => matches!(icmp_type, 3 | 4 | 5 | 11 | 12),
        _ => icmp_type < 128,
    };
    if is_error { DropReason::IcmpNested } else { DropReason::IcmpUnrelated }
}
