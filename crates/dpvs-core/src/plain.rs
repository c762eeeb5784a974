// SPDX-License-Identifier: MIT OR Apache-2.0
//! The packets that almost all are: TCP, UDP or half of a ping in IPv4 without options, whole, in an
//! untagged frame.
//!
//! [`Plain::read`] accepts nothing that [`crate::parse`] would not, and reads the same of it: what is
//! not plain is read there. Everything stands at a fixed place, so one comparison of lengths is
//! enough for all of it.

use crate::checksum::{self, Delta};
use crate::icmp;
use crate::key::{Address, QueryType, Tuple};
use crate::net::{Family, Mac, Protocol};
use crate::parse::{Packet, Payload};
use crate::wire::{
    EtherType, EthernetHeader, IcmpHeader, Ipv4Header, TcpFlags, TcpHeader, UdpHeader,
};
use std::hash::{Hash, Hasher};
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Version 4, five words.
pub(crate) const VERSION_IHL: u8 = 0x45;

pub(crate) const ETHERNET_LEN: u16 = 14;

/// Where the transport header starts.
pub(crate) const L4: usize = EthernetHeader::LEN + Ipv4Header::LEN;

/// The headers of a plain packet.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Headers<T> {
    ethernet: EthernetHeader,
    ip: Ipv4Header,
    transport: T,
}

/// Returns whether a packet for the port with link address `mac` is whole IPv4 without options; its
/// checksum is not looked at.
#[inline]
pub(crate) fn is_plain_ip(ethernet: &EthernetHeader, ip: &Ipv4Header, mac: Mac) -> bool {
    ethernet.dst == mac.0
        && ethernet.ether_type == U16::new(EtherType::IPV4)
        && ip.version_ihl == VERSION_IHL
        && !ip.is_fragment()
}

/// Returns whether the checksum of the ICMP message that ends at `end` is right.
#[inline]
pub(crate) fn is_good_message(bytes: &[u8], end: u16) -> bool {
    bytes.get(L4..usize::from(end)).is_some_and(checksum::is_good)
}

/// A plain packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain {
    /// What its connection is found by.
    pub(crate) tuple: Tuple,
    /// Where the packet ends; at most the frame's length.
    pub(crate) end: u16,
    /// Control bits of TCP.
    pub(crate) flags: TcpFlags,
    /// Time to live.
    pub(crate) ttl: u8,
}

impl Hash for Plain {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tuple.hash(state);
    }
}

impl Plain {
    /// Reads a frame that came in by a port with link address `mac`; `None` if it is not plain, or
    /// not good.
    #[inline]
    pub(crate) fn read(bytes: &[u8], mac: Mac) -> Option<Plain> {
        let (headers, _) = Headers::<UdpHeader>::ref_from_prefix(bytes).ok()?;
        let Headers { ethernet, ip, transport } = headers;
        let total_len = ip.total_len.get();
        let end = EthernetHeader::LEN + usize::from(total_len);
        if !is_plain_ip(ethernet, ip, mac) || end > bytes.len() {
            return None;
        }
        let mut ports = [transport.sport.get(), transport.dport.get()];
        let (protocol, flags) = match Protocol::from_number(ip.protocol)? {
            Protocol::Udp => {
                let len = usize::from(transport.len.get());
                if len < UdpHeader::LEN || L4 + len > end {
                    return None;
                }
                (Protocol::Udp, TcpFlags::default())
            }
            Protocol::Tcp => {
                let (headers, _) = Headers::<TcpHeader>::ref_from_prefix(bytes).ok()?;
                let len = headers.transport.header_len();
                if len < TcpHeader::LEN || L4 + len > end {
                    return None;
                }
                (Protocol::Tcp, headers.transport.flags)
            }
            Protocol::Icmp => {
                let (headers, _) = Headers::<IcmpHeader>::ref_from_prefix(bytes).ok()?;
                let IcmpHeader { icmp_type, code, .. } = headers.transport;
                match QueryType::from_wire(Protocol::Icmp, icmp_type, code)? {
                    query @ (QueryType::EchoRequest | QueryType::EchoReply)
                        if L4 + IcmpHeader::LEN <= end =>
                    {
                        ports = [headers.transport.id(), query.ports()];
                    }
                    _ => return None,
                }
                (Protocol::Icmp, TcpFlags::default())
            }
            _ => return None,
        };
        if !checksum::is_good(ip.as_bytes()) {
            return None;
        }
        let addresses = [u32::from_be_bytes(ip.src), u32::from_be_bytes(ip.dst)];
        Some(Plain {
            tuple: Tuple { addresses, ports, protocol },
            end: u16::try_from(end).ok()?,
            flags,
            ttl: ip.ttl,
        })
    }

    /// Returns the length from the IP header on, in bytes.
    #[inline]
    pub(crate) fn len(&self) -> u16 {
        self.end.saturating_sub(ETHERNET_LEN)
    }

    /// Writes it into the place of a packet, as [`crate::parse`] would. `None` only if it is not of
    /// this frame.
    #[inline]
    pub(crate) fn spread(&self, bytes: &[u8], packet: &mut Packet) -> Option<()> {
        let Tuple { addresses, ports: [sport, dport], protocol } = self.tuple;
        let [src, dst] = addresses.map(Address::from_v4_bits);
        (packet.l3, packet.l4, packet.end) = (EthernetHeader::LEN, L4, usize::from(self.end));
        (packet.family, packet.src, packet.dst, packet.ttl) = (Family::V4, src, dst, self.ttl);
        (packet.is_link_group, packet.fragment) = (false, None);
        packet.payload = match protocol {
            Protocol::Udp => Payload::Udp { sport, dport },
            Protocol::Tcp => {
                let (headers, _) = Headers::<TcpHeader>::ref_from_prefix(bytes).ok()?;
                Payload::tcp(&headers.transport)
            }
            _ => {
                let [icmp_type, code] = dport.to_be_bytes();
                let query = QueryType::from_wire(Protocol::Icmp, icmp_type, code)?;
                Payload::IcmpQuery { query, id: sport }
            }
        };
        Some(())
    }

    /// Gives it the addresses and ports of `to`, and takes one from its time to live, as
    /// [`crate::forward::rewrite`] does. `None` only if it is not of this frame.
    #[inline]
    pub(crate) fn translate(&self, bytes: &mut [u8], to: &Tuple) -> Option<()> {
        let addresses = self.tuple.addresses.iter().zip(&to.addresses);
        let addresses =
            addresses.fold(Delta::default(), |sum, (old, new)| sum.and(Delta::pairs(*old, *new)));
        let all = addresses.and(Delta::pairs(self.tuple.port_pair(), to.port_pair()));
        let [sport, dport] = to.ports.map(U16::new);
        let ip = match self.tuple.protocol {
            Protocol::Udp => {
                let (headers, _) = Headers::<UdpHeader>::mut_from_prefix(bytes).ok()?;
                let Headers { ip, transport, .. } = headers;
                (transport.sport, transport.dport) = (sport, dport);
                transport.checksum.update_udp(all);
                ip
            }
            Protocol::Icmp => {
                let (headers, _) = Headers::<IcmpHeader>::mut_from_prefix(bytes).ok()?;
                let Headers { ip, transport, .. } = headers;
                let ([a, b], [_, _, c, d]) = (sport.to_bytes(), transport.rest);
                transport.rest = [a, b, c, d];
                // There is no pseudo header. The type stays.
                transport.checksum.update(Delta::pairs(self.tuple.port_pair(), to.port_pair()));
                ip
            }
            _ => {
                let (headers, _) = Headers::<TcpHeader>::mut_from_prefix(bytes).ok()?;
                let Headers { ip, transport, .. } = headers;
                (transport.sport, transport.dport) = (sport, dport);
                transport.checksum.update(all);
                ip
            }
        };
        (ip.src, ip.dst) = to.addresses.map(u32::to_be_bytes).into();
        let ttl = ip.less_ttl();
        ip.checksum.update(addresses.and(ttl));
        if self.tuple.protocol == Protocol::Icmp {
            icmp::settle_zero_v4(self.message_mut(bytes)?)?;
        }
        Some(())
    }

    /// Returns the type of an ICMP message.
    #[inline]
    pub(crate) fn icmp_type(&self) -> u8 {
        let [_, kind] = self.tuple.ports;
        let [icmp_type, _] = kind.to_be_bytes();
        icmp_type
    }

    /// Returns whether this is an echo request.
    #[inline]
    pub(crate) fn is_echo_request(&self) -> bool {
        let [_, dport] = self.tuple.ports;
        self.tuple.protocol == Protocol::Icmp && dport == QueryType::EchoRequest.ports()
    }

    /// Returns whether the checksum of an ICMP message is right.
    #[inline]
    pub(crate) fn has_good_message(&self, bytes: &[u8]) -> bool {
        is_good_message(bytes, self.end)
    }

    fn message_mut<'a>(&self, bytes: &'a mut [u8]) -> Option<&'a mut [u8]> {
        bytes.get_mut(L4..usize::from(self.end))
    }

    /// Makes an echo request the reply to it, as `worker::queries` does. `None` only if it is not of
    /// this frame.
    #[inline]
    pub(crate) fn answer(&self, bytes: &mut [u8]) -> Option<()> {
        let (headers, _) = Headers::<IcmpHeader>::mut_from_prefix(bytes).ok()?;
        let Headers { ip, transport: icmp, .. } = headers;
        (ip.src, ip.dst) = (ip.dst, ip.src);
        let old = [ip.ttl, ip.protocol];
        ip.ttl = icmp::generate::TTL;
        ip.checksum.update(Delta::words(old, [ip.ttl, ip.protocol]));
        let old = [icmp.icmp_type, icmp.code];
        icmp.icmp_type = QueryType::EchoReply.number();
        icmp.checksum.update(Delta::words(old, [icmp.icmp_type, icmp.code]));
        icmp::settle_zero_v4(self.message_mut(bytes)?)
    }
}
