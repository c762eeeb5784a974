// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a connection is found by.

use crate::net::{Family, Protocol};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address of either family in 16 bytes; IPv4 is held IPv4-mapped.
///
/// `IpAddr` takes 17 bytes and a branch for every comparison; a key has two of them and they are
/// compared for each packet. The mapping is free of clashes because [`crate::parse`] refuses IPv6
/// packets with IPv4-mapped addresses (RFC 4942 section 2.2: they must not be on the wire).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(u128);

const MAPPED: u128 = 0xffff_0000_0000;

impl Address {
    /// The IPv6 address of 16 bytes as on the wire.
    pub fn v6(octets: [u8; 16]) -> Self {
        Address(u128::from_be_bytes(octets))
    }

    /// The IPv4 address of 4 bytes as on the wire.
    pub fn v4(octets: [u8; 4]) -> Self {
        Address(MAPPED | u128::from(u32::from_be_bytes(octets)))
    }

    /// Returns the family.
    pub fn family(self) -> Family {
        if self.0 >> 32 == MAPPED >> 32 { Family::V4 } else { Family::V6 }
    }

    /// Returns the low 4 bytes: the whole of an IPv4 address.
    pub fn v4_octets(self) -> [u8; 4] {
        let [.., a, b, c, d] = self.0.to_be_bytes();
        [a, b, c, d]
    }

    /// 0.0.0.0.
    pub(crate) const UNSPECIFIED_V4: Address = Address(MAPPED);

    /// The IPv4 address of 32 bits.
    #[inline]
    pub fn from_v4_bits(bits: u32) -> Self {
        Address(MAPPED | u128::from(bits))
    }

    /// Returns the 32 bits of an IPv4 address; `None` for IPv6.
    #[inline]
    pub fn v4_bits(self) -> Option<u32> {
        let [a, b, c, d] = self.v4_octets();
        (self.family() == Family::V4).then(|| u32::from_be_bytes([a, b, c, d]))
    }

    /// Returns all 16 bytes: an IPv6 address as on the wire.
    pub fn v6_octets(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Returns the address with the bits that `mask` does not have cleared. An IPv4 mask has its
    /// upper 96 bits set, so that the family stays.
    #[must_use]
    pub fn masked(self, mask: u128) -> Address {
        Address(self.0 & mask)
    }

    /// Returns the bits, for hashing.
    pub fn bits(self) -> u128 {
        self.0
    }

    /// The address that has these [`Address::bits`].
    pub(crate) fn from_bits(bits: u128) -> Self {
        Address(bits)
    }

    /// Returns the address as the standard library has it.
    pub fn ip(self) -> IpAddr {
        match self.family() {
            Family::V4 => IpAddr::V4(Ipv4Addr::from(self.v4_octets())),
            Family::V6 => IpAddr::V6(Ipv6Addr::from(self.v6_octets())),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(a) => Address::v4(a.octets()),
            IpAddr::V6(a) => Address::v6(a.octets()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.ip(), f)
    }
}

/// An address with a port, or with the identifier of an ICMP query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The address.
    pub address: Address,
    /// The port or identifier.
    pub port: u16,
}

/// What a packet looks like to the connection table, as it arrives.
///
/// TCP, UDP and SCTP: source and destination port. ICMP queries: `sport` is the identifier, `dport`
/// is type and code (`type << 8 | code`), as in IPVS and DPVS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Source address.
    pub src: Address,
    /// Destination address.
    pub dst: Address,
    /// Source port, or identifier.
    pub sport: u16,
    /// Destination port, or type and code.
    pub dport: u16,
    /// The protocol.
    pub protocol: Protocol,
}

impl Hash for Key {
    /// Whole words: the derived form would feed each small field on its own.
    fn hash<H: Hasher>(&self, state: &mut H) {
        if let Some(tuple) = self.tuple() {
            return tuple.hash(state);
        }
        state.write_u128(self.src.0);
        state.write_u128(self.dst.0);
        let ports = u64::from(self.sport) << 16 | u64::from(self.dport);
        state.write_u64(ports << 8 | u64::from(self.protocol.number()));
    }
}

/// A [`Key`] of IPv4, in few bytes. Its hash is the key's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tuple {
    /// Source and destination.
    pub(crate) addresses: [u32; 2],
    /// Those of both, as in [`Key`].
    pub(crate) ports: [u16; 2],
    pub(crate) protocol: Protocol,
}

impl Tuple {
    /// Returns both ports as they stand on the wire, in a row.
    #[inline]
    pub(crate) fn port_pair(&self) -> u32 {
        let [sport, dport] = self.ports.map(u32::from);
        sport << 16 | dport
    }

    /// Returns that of a packet that answers this one, as [`Key::reversed`] does.
    #[inline]
    pub(crate) fn reversed(&self) -> Option<Tuple> {
        let ([src, dst], [sport, dport]) = (self.addresses, self.ports);
        let ports = reversed_ports(self.protocol, sport, dport)?;
        Some(Tuple { addresses: [dst, src], ports, protocol: self.protocol })
    }
}

impl Hash for Tuple {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [src, dst] = self.addresses.map(u64::from);
        state.write_u64(src << 32 | dst);
        state.write_u64(u64::from(self.port_pair()) << 8 | u64::from(self.protocol.number()));
    }
}

impl From<Tuple> for Key {
    fn from(tuple: Tuple) -> Self {
        let Tuple { addresses, ports: [sport, dport], protocol } = tuple;
        let [src, dst] = addresses.map(Address::from_v4_bits);
        Key { src, dst, sport, dport, protocol }
    }
}

impl Key {
    /// Returns the same in few bytes, if it is of IPv4.
    #[inline]
    pub(crate) fn tuple(&self) -> Option<Tuple> {
        let addresses = [self.src.v4_bits()?, self.dst.v4_bits()?];
        Some(Tuple { addresses, ports: [self.sport, self.dport], protocol: self.protocol })
    }

    /// Returns the source.
    pub fn source(&self) -> Endpoint {
        Endpoint { address: self.src, port: self.sport }
    }

    /// Returns the destination; for an ICMP query its port is type and code.
    pub fn destination(&self) -> Endpoint {
        Endpoint { address: self.dst, port: self.dport }
    }

    /// Returns the key of a packet that answers this one.
    ///
    /// An ICMP query's answer has the other type (RFC 792: 8 and 0, 13 and 14; RFC 4443: 128 and
    /// 129). `None` for a type that is not half of a query.
    pub fn reversed(&self) -> Option<Key> {
        let [sport, dport] = reversed_ports(self.protocol, self.sport, self.dport)?;
        Some(Key { src: self.dst, dst: self.src, sport, dport, protocol: self.protocol })
    }
}

/// The ports of an answer.
#[inline]
fn reversed_ports(protocol: Protocol, sport: u16, dport: u16) -> Option<[u16; 2]> {
    if !protocol.is_icmp() {
        return Some([dport, sport]);
    }
    Some([sport, QueryType::from_ports(protocol, dport)?.opposite().ports()])
}

/// The ICMP types that ask and answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryType {
    /// ICMP 8 (RFC 792).
    EchoRequest,
    /// ICMP 0.
    EchoReply,
    /// ICMP 13.
    TimestampRequest,
    /// ICMP 14.
    TimestampReply,
    /// ICMPv6 128 (RFC 4443 section 4.1).
    Echo6Request,
    /// ICMPv6 129.
    Echo6Reply,
}

impl QueryType {
    /// Returns the query that type and code of a message stand for. Only code 0 exists.
    pub fn from_wire(protocol: Protocol, icmp_type: u8, code: u8) -> Option<Self> {
        Some(match (protocol, icmp_type, code) {
            (Protocol::Icmp, 8, 0) => QueryType::EchoRequest,
            (Protocol::Icmp, 0, 0) => QueryType::EchoReply,
            (Protocol::Icmp, 13, 0) => QueryType::TimestampRequest,
            (Protocol::Icmp, 14, 0) => QueryType::TimestampReply,
            (Protocol::Icmpv6, 128, 0) => QueryType::Echo6Request,
            (Protocol::Icmpv6, 129, 0) => QueryType::Echo6Reply,
            _ => return None,
        })
    }

    pub(crate) fn from_ports(protocol: Protocol, ports: u16) -> Option<Self> {
        let [icmp_type, code] = ports.to_be_bytes();
        QueryType::from_wire(protocol, icmp_type, code)
    }

    /// Returns the type on the wire.
    pub fn number(self) -> u8 {
        match self {
            QueryType::EchoRequest => 8,
            QueryType::EchoReply => 0,
            QueryType::TimestampRequest => 13,
            QueryType::TimestampReply => 14,
            QueryType::Echo6Request => 128,
            QueryType::Echo6Reply => 129,
        }
    }

    /// Returns type and code as they stand in a [`Key`].
    pub fn ports(self) -> u16 {
        u16::from_be_bytes([self.number(), 0])
    }

    /// Returns whether this asks.
    pub fn is_request(self) -> bool {
        matches!(
            self,
            QueryType::EchoRequest | QueryType::TimestampRequest | QueryType::Echo6Request
        )
    }

    /// Returns the answer to a request, the request to an answer.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            QueryType::EchoRequest => QueryType::EchoReply,
            QueryType::EchoReply => QueryType::EchoRequest,
            QueryType::TimestampRequest => QueryType::TimestampReply,
            QueryType::TimestampReply => QueryType::TimestampRequest,
            QueryType::Echo6Request => QueryType::Echo6Reply,
            QueryType::Echo6Reply => QueryType::Echo6Request,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_come_back() {
        for text in ["10.0.0.100", "0.0.0.0", "2001:db8::1", "::", "::1"] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(Address::from(ip).ip(), ip);
        }
    }

    #[test]
    fn the_reverse_of_a_ping_is_its_reply() {
        let request = Key {
            src: Address::v4([198, 51, 100, 10]),
            dst: Address::v4([203, 0, 113, 80]),
            sport: 0x1234,
            dport: 0x0800,
            protocol: Protocol::Icmp,
        };
        let reply = request.reversed().unwrap();
        assert_eq!((reply.sport, reply.dport), (0x1234, 0x0000));
        assert_eq!(reply.reversed(), Some(request));
        assert_eq!(Key { dport: 0x0300, ..request }.reversed(), None);
    }
}
