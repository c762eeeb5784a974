// SPDX-License-Identifier: MIT OR Apache-2.0
//! The errors that almost all are: about TCP, UDP or half of a ping, in plain IPv4 (see
//! [`crate::plain`]), the embedded header without options too.
//!
//! [`PlainError::read`] accepts nothing that [`super::quote`] would not, and reads the same of it;
//! [`PlainError::translate`] writes what [`super::translate`] does.

use super::quote::QUERY_LEN;
use crate::checksum::{self, Checksum, Delta};
use crate::key::{QueryType, Tuple};
use crate::net::{Mac, Protocol};
use crate::plain::{ETHERNET_LEN, L4, VERSION_IHL, is_good_message, is_plain_ip};
use crate::wire::{EthernetHeader, IcmpHeader, Ipv4Header, TcpHeader, UdpHeader, view_mut};
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The headers of a plain error, and 8 bytes of what is quoted behind them: as much as RFC 792 obliges
/// routers to quote.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Headers<T> {
    ethernet: EthernetHeader,
    ip: Ipv4Header,
    icmp: IcmpHeader,
    quoted: Ipv4Header,
    transport: T,
}

/// Where the embedded IP header starts.
const QUOTED_L3: usize = L4 + IcmpHeader::LEN;
/// Where the embedded transport header starts.
const QUOTED_L4: usize = QUOTED_L3 + Ipv4Header::LEN;
/// Where the checksum of an embedded TCP header stands, if as much is quoted. It is in front of all
/// extensions (RFC 4884 section 3).
const QUOTED_TCP_CHECKSUM: usize = QUOTED_L4 + TcpHeader::CHECKSUM_OFFSET;

/// A plain error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlainError {
    /// What it quotes; the source is whom the error was sent to.
    pub(crate) quoted: Tuple,
    /// What would answer that: its connection is found by it.
    pub(crate) answer: Tuple,
    /// Who sent the error.
    pub(crate) sender: u32,
    /// Length of the quoted packet as its header says, in bytes.
    pub(crate) quoted_len: u16,
    /// The MTU that it tells, if it is one that should.
    pub(crate) mtu: Option<u32>,
    /// Where the packet ends; at most the frame's length.
    pub(crate) end: u16,
    /// Time to live.
    pub(crate) ttl: u8,
    /// Type.
    pub(crate) icmp_type: u8,
    /// Code.
    pub(crate) code: u8,
}

impl PlainError {
    /// Reads a frame that came in by a port with link address `mac`; `None` if it is no plain error, or
    /// not good. The checksum of the message is not looked at.
    #[inline]
    pub(crate) fn read(bytes: &[u8], mac: Mac) -> Option<PlainError> {
        let (headers, _) = Headers::<UdpHeader>::ref_from_prefix(bytes).ok()?;
        let Headers { ethernet, ip, icmp, quoted, transport } = headers;
        let end = EthernetHeader::LEN + usize::from(ip.total_len.get());
        let is_plain = is_plain_ip(ethernet, ip, mac)
            && ip.protocol == Protocol::Icmp.number()
            // Destination unreachable, time exceeded, parameter problem.
            && matches!(icmp.icmp_type, 3 | 11 | 12)
            && quoted.version_ihl == VERSION_IHL
            && !quoted.is_fragment()
            && quoted.src == ip.dst
            && (QUOTED_L4 + UdpHeader::LEN..=bytes.len()).contains(&end);
        if !is_plain || !checksum::is_good(ip.as_bytes()) {
            return None;
        }
        let protocol = Protocol::from_number(quoted.protocol)?;
        let ports = match protocol {
            Protocol::Udp | Protocol::Tcp => [transport.sport.get(), transport.dport.get()],
            Protocol::Icmp => {
                let query: &[u8; QUERY_LEN] = transport.as_bytes().first_chunk()?;
                let [icmp_type, code, _, _, a, b] = *query;
                let query = QueryType::from_wire(protocol, icmp_type, code)?;
                [u16::from_be_bytes([a, b]), query.ports()]
            }
            _ => return None,
        };
        let addresses = [quoted.src, quoted.dst].map(u32::from_be_bytes);
        let IcmpHeader { icmp_type, code, .. } = *icmp;
        let quoted_len = quoted.total_len.get();
        let quoted = Tuple { addresses, ports, protocol };
        Some(PlainError {
            quoted,
            answer: quoted.reversed()?,
            sender: u32::from_be_bytes(ip.src),
            quoted_len,
            mtu: ((icmp_type, code) == (3, 4)).then(|| icmp.mtu_v4()),
            end: u16::try_from(end).ok()?,
            ttl: ip.ttl,
            icmp_type,
            code,
        })
    }

    /// Returns the length from the IP header on, in bytes.
    #[inline]
    pub(crate) fn len(&self) -> u16 {
        self.end.saturating_sub(ETHERNET_LEN)
    }

    /// Returns whether the checksum of the message is right.
    #[inline]
    pub(crate) fn has_good_message(&self, bytes: &[u8]) -> bool {
        is_good_message(bytes, self.end)
    }

    /// Makes it an error from `source` about what was sent before it got to be what is quoted: what
    /// would answer that is `answer`. `None` only if it is not of this frame.
    #[inline]
    pub(crate) fn translate(&self, bytes: &mut [u8], source: u32, answer: &Tuple) -> Option<()> {
        let [peer, receiver] = answer.addresses;
        let quoted_tcp_checksum = QUOTED_TCP_CHECKSUM + size_of::<Checksum>();
        let has_tcp_checksum =
            self.quoted.protocol == Protocol::Tcp && quoted_tcp_checksum <= usize::from(self.end);
        let (headers, _) = Headers::<UdpHeader>::mut_from_prefix(bytes).ok()?;
        let Headers { ip, quoted, .. } = headers;
        // What the receiver sent went to its peer.
        let [src, dst] = self.quoted.addresses;
        let addresses = Delta::pairs(src, receiver).and(Delta::pairs(dst, peer));
        (quoted.src, quoted.dst) = (receiver.to_be_bytes(), peer.to_be_bytes());
        let old = quoted.checksum;
        quoted.checksum.update(addresses);
        let mut change = addresses.and(quoted.checksum.change_from(old));

        let outer = Delta::pairs(self.sender, source).and(Delta::pairs(src, receiver));
        (ip.src, ip.dst) = (source.to_be_bytes(), receiver.to_be_bytes());
        let ttl = ip.less_ttl();
        ip.checksum.update(outer.and(ttl));

        let [sport, dport] = answer.ports;
        if self.quoted.protocol == Protocol::Icmp {
            let (headers, _) = Headers::<IcmpHeader>::mut_from_prefix(bytes).ok()?;
            let query = &mut headers.transport;
            let ([a, b, sequence @ ..], new) = (query.rest, sport.to_be_bytes());
            let identifier = Delta::words([a, b], new);
            let ([a, b], [c, d]) = (new, sequence);
            query.rest = [a, b, c, d];
            // ICMP for IPv4 has no pseudo header.
            let old = query.checksum;
            query.checksum.update(identifier);
            change = change.and(identifier).and(query.checksum.change_from(old));
        } else {
            let transport = &mut headers.transport;
            let new = u32::from(dport) << 16 | u32::from(sport);
            let ports = Delta::pairs(self.quoted.port_pair(), new);
            (transport.sport, transport.dport) = (U16::new(dport), U16::new(sport));
            change = change.and(ports);
            if self.quoted.protocol == Protocol::Udp {
                let old = transport.checksum;
                transport.checksum.update_udp(addresses.and(ports));
                change = change.and(transport.checksum.change_from(old));
            } else if has_tcp_checksum {
                let field: &mut Checksum = view_mut(bytes, QUOTED_TCP_CHECKSUM)?;
                let old = *field;
                field.update(addresses.and(ports));
                change = change.and(field.change_from(old));
            }
        }
        let icmp: &mut IcmpHeader = view_mut(bytes, L4)?;
        icmp.checksum.update(change);
        Some(())
    }
}

/// Returns whether the checksum of the IP header that a plain error embeds is right.
#[inline]
pub(crate) fn has_intact_quote(bytes: &[u8]) -> bool {
    bytes.get(QUOTED_L3..QUOTED_L4).is_some_and(checksum::is_good)
}
