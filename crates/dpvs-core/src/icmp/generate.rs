// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes an ICMP error out of the packet that it is about, in the packet's own frame.

use crate::checksum::{self, Checksum};
use crate::ip_header::{self, Fields};
use crate::key::Address;
use crate::net::Family;
use crate::parse::{Packet, Payload, icmp_protocol};
use crate::wire::{EthernetHeader, IcmpHeader, Ipv4Header, Ipv6Header, view_mut};
use crate::{Frame, tables::Tables};

/// Longest ICMP error for IPv4 (RFC 1812 section 4.3.2.3).
const V4_LEN_MAX: usize = 576;
/// Longest ICMPv6 error (RFC 4443 section 2.4 (c)).
const V6_LEN_MAX: usize = 1280;
/// Differentiated services of errors: CS6 (RFC 1812 section 4.3.2.5).
const TOS: u8 = 0xc0;
/// Time to live of what we send ourselves.
pub(crate) const TTL: u8 = 64;

/// An error to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The time to live ended: 11/0, ICMPv6 3/0.
    TimeExceeded,
    /// Longer than the way out can take, in bytes: 3/4, ICMPv6 2/0.
    TooBig(u32),
    /// There is nobody to take it: 3, ICMPv6 1.
    Unreachable(Unreachable),
}

/// What cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// The network: 3/0, ICMPv6 1/0.
    Net,
    /// The host: 3/1, ICMPv6 1/3.
    Host,
    /// The port: 3/3, ICMPv6 1/4.
    Port,
    /// It is forbidden: 3/13, ICMPv6 1/1.
    Prohibited,
}

impl Unreachable {
    /// Returns what an error of a type and code says; `None` if it says something else.
    pub(crate) fn from_wire(family: Family, icmp_type: u8, code: u8) -> Option<Self> {
        match (family, icmp_type, code) {
            (Family::V4, 3, 0) | (Family::V6, 1, 0) => Some(Unreachable::Net),
            (Family::V4, 3, 1) | (Family::V6, 1, 3) => Some(Unreachable::Host),
            (Family::V4, 3, 3) | (Family::V6, 1, 4) => Some(Unreachable::Port),
            (Family::V4, 3, 13) | (Family::V6, 1, 1) => Some(Unreachable::Prohibited),
            _ => None,
        }
    }

    fn code_v4(self) -> u8 {
        match self {
            Unreachable::Net => 0,
            Unreachable::Host => 1,
            Unreachable::Port => 3,
            Unreachable::Prohibited => 13,
        }
    }

    fn code_v6(self) -> u8 {
        match self {
            Unreachable::Net => 0,
            Unreachable::Prohibited => 1,
            Unreachable::Host => 3,
            Unreachable::Port => 4,
        }
    }
}

impl Error {
    /// Returns its type and code.
    pub(super) fn kind(self, family: Family) -> (u8, u8) {
        let IcmpHeader { icmp_type, code, .. } = self.header(family);
        (icmp_type, code)
    }

    fn header(self, family: Family) -> IcmpHeader {
        let (icmp_type, code, rest) = match (self, family) {
            (Error::TimeExceeded, Family::V4) => (11, 0, [0; 4]),
            (Error::TimeExceeded, Family::V6) => (3, 0, [0; 4]),
            (Error::TooBig(mtu), Family::V4) => {
                let [a, b] = u16::try_from(mtu).unwrap_or(u16::MAX).to_be_bytes();
                (3, 4, [0, 0, a, b])
            }
            (Error::TooBig(mtu), Family::V6) => (2, 0, mtu.to_be_bytes()),
            (Error::Unreachable(what), Family::V4) => (3, what.code_v4(), [0; 4]),
            (Error::Unreachable(what), Family::V6) => (1, what.code_v6(), [0; 4]),
        };
        IcmpHeader { icmp_type, code, checksum: Checksum::default(), rest }
    }
}

/// Returns whether an error about a packet may be sent at all (RFC 1122 section 3.2.2, RFC 1812
/// section 4.3.2.7, RFC 4443 section 2.4 (e)).
pub fn may_answer(tables: &Tables, packet: &Packet) -> bool {
    let is_error = match packet.payload {
        Payload::IcmpError { .. } | Payload::NeighbourDiscovery | Payload::Fragment => true,
        // Redirects and what is not known may be errors.
        Payload::IcmpOther { icmp_type } => packet.family == Family::V4 || icmp_type < 128,
        _ => false,
    };
    !is_error
        && !packet.is_link_group
        && is_host(packet.src)
        && is_host(packet.dst)
        && tables.address(packet.src).is_none()
}

/// Returns whether an address can be a single host's.
pub(crate) fn is_host(address: Address) -> bool {
    match address.ip() {
        std::net::IpAddr::V4(a) => {
            let [first, ..] = a.octets();
            // 0/8, loopback, multicast, class E and broadcast.
            first != 0 && first != 127 && first < 224
        }
        std::net::IpAddr::V6(a) => !a.is_unspecified() && !a.is_loopback() && !a.is_multicast(),
    }
}

/// Turns a frame into an error from `src` about the packet in it. Returns the error as a packet;
/// `None` if the frame has no room in front, and then it is as it was.
pub fn make<F: Frame>(frame: &mut F, about: &Packet, error: Error, src: Address) -> Option<Packet> {
    let (ip_len, len_max) = match about.family {
        Family::V4 => (Ipv4Header::LEN, V4_LEN_MAX),
        Family::V6 => (Ipv6Header::LEN, V6_LEN_MAX),
    };
    let l3 = EthernetHeader::LEN;
    let l4 = l3 + ip_len;
    let quote = l4 + IcmpHeader::LEN;
    let quote_len = about.len().min(len_max - ip_len - IcmpHeader::LEN);
    frame.push_front(quote.checked_sub(about.l3)?).ok()?;
    frame.truncate(quote + quote_len);
    let bytes = frame.bytes_mut();
    let packet = Packet {
        l3,
        l4,
        end: quote + quote_len,
        family: about.family,
        src,
        dst: about.src,
        ttl: TTL,
        is_link_group: false,
        fragment: None,
        payload: Payload::Other(0),
    };
    let header = error.header(about.family);
    *view_mut(bytes, l4)? = header;
    let mut sum = checksum::sum(bytes.get(l4..packet.end)?);
    let protocol = icmp_protocol(packet.family).number();
    ip_header::write(bytes, &packet, Fields { protocol, tos: TOS, id: None })?;
    if packet.family == Family::V6 {
        sum += ip_header::pseudo_sum(&packet, protocol);
    }
    let icmp: &mut IcmpHeader = view_mut(bytes, l4)?;
    icmp.checksum = checksum::finish(sum);
    let IcmpHeader { icmp_type, code, .. } = header;
    Some(Packet { payload: Payload::IcmpError { icmp_type, code }, ..packet })
}
