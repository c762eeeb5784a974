// SPDX-License-Identifier: MIT OR Apache-2.0
//! Outer headers of tunnelled packets: what they say, whether it is true, and what is inside.

use crate::packet::checksum;
use crate::tunnel_end::GUE_PORT;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is between the outer header and the packet inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: IP in IP.
    Ipip,
    /// Generic routing encapsulation.
    Gre,
    /// UDP and generic UDP encapsulation, variant 0.
    Gue,
}

/// Which checksum the tunnel's header has; a wrong one is a complaint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sum {
    /// None.
    Absent,
    /// One over all that follows.
    Whole,
    /// One over all that follows, and the inner one left to us (remote checksum offload).
    Remote,
}

/// What the outer headers of a packet said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outer {
    /// The kind of tunnel.
    pub kind: Kind,
    /// The source address.
    pub src: IpAddr,
    /// The destination address.
    pub dst: IpAddr,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Whether routers must not fragment it; true for IPv6.
    pub is_unfragmentable: bool,
    /// The source port of GUE, else 0.
    pub src_port: u16,
    /// The checksum.
    pub sum: Sum,
    /// All bytes from the outer header on.
    pub len: usize,
}

/// The network header of a packet, and what it carries.
struct Network<'a> {
    src: IpAddr,
    dst: IpAddr,
    ttl: u8,
    protocol: u8,
    is_unfragmentable: bool,
    is_fragment: bool,
    payload: &'a [u8],
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn network(packet: &[u8]) -> Result<Network<'_>, String> {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) if packet.len() >= 20 => {
            let header_len = usize::from(packet[0] & 15) * 4;
            let total_len = usize::from(be16(packet, 2));
            if total_len > packet.len() || header_len > total_len {
                return Err(format!("IPv4 length {total_len} of {} bytes", packet.len()));
            }
            if checksum(&packet[..header_len]) != [0, 0] {
                return Err(format!("IPv4 header checksum: {:02x?}", &packet[..header_len]));
            }
            let address =
                |at| Ipv4Addr::from(<[u8; 4]>::try_from(&packet[at..at + 4]).expect("4 bytes"));
            Ok(Network {
                src: address(12).into(),
                dst: address(16).into(),
                ttl: packet[8],
                protocol: packet[9],
                is_unfragmentable: packet[6] & 0x40 != 0,
                is_fragment: be16(packet, 6) & 0x3fff != 0,
                payload: &packet[header_len..total_len],
            })
        }
        Some(6) if packet.len() >= 40 => {
            let total_len = 40 + usize::from(be16(packet, 4));
            if total_len > packet.len() {
                return Err(format!("IPv6 length {total_len} of {} bytes", packet.len()));
            }
            let address =
                |at| Ipv6Addr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).expect("16 bytes"));
            Ok(Network {
                src: address(8).into(),
                dst: address(24).into(),
                ttl: packet[7],
                protocol: packet[6],
                is_unfragmentable: true,
                is_fragment: false,
                payload: &packet[40..total_len],
            })
        }
        _ => Err("neither IPv4 nor IPv6".to_owned()),
    }
}

/// Takes the outer headers off a packet to one of `addresses`; `None` if it is no tunnel's.
///
/// # Errors
/// Says what is wrong with the outer headers.
pub fn decapsulate(
    packet: &[u8],
    addresses: &[IpAddr],
) -> Result<Option<(Outer, Vec<u8>)>, String> {
    if !matches!(packet.first().map(|byte| byte >> 4), Some(4 | 6)) {
        return Ok(None);
    }
    let ip = network(packet)?;
    let is_gue = ip.protocol == 17 && ip.payload.len() >= 8 && be16(ip.payload, 2) == GUE_PORT;
    if !addresses.contains(&ip.dst) || !(is_gue || matches!(ip.protocol, 4 | 41 | 47)) {
        return Ok(None);
    }
    if ip.is_fragment {
        return Err("the outer packet is a fragment".to_owned());
    }
    let (kind, src_port, sum, version, inner) = match ip.protocol {
        4 | 41 => (Kind::Ipip, 0, Sum::Absent, inner_version(ip.protocol)?, ip.payload.to_vec()),
        47 => gre(ip.payload)?,
        _ => gue(&ip)?,
    };
    if inner.first().map(|byte| byte >> 4) != Some(version) {
        return Err(format!("the packet inside is not IPv{version}: {inner:02x?}"));
    }
    // What the network header says is all that is inside: no trailer, nothing cut.
    let inside = network(&inner).map_err(|complaint| format!("inside: {complaint}"))?;
    let header_len = if version == 4 { usize::from(inner[0] & 15) * 4 } else { 40 };
    if header_len + inside.payload.len() != inner.len() {
        return Err(format!("inside, {} bytes too many", inner.len()));
    }
    let Network { src, dst, ttl, is_unfragmentable, .. } = ip;
    let len = packet.len();
    Ok(Some((Outer { kind, src, dst, ttl, is_unfragmentable, src_port, sum, len }, inner)))
}

type Inner = (Kind, u16, Sum, u8, Vec<u8>);

fn inner_version(protocol: u8) -> Result<u8, String> {
    match protocol {
        4 => Ok(4),
        41 => Ok(6),
        other => Err(format!("protocol {other} is inside")),
    }
}

/// RFC 2784: flags and version, the protocol inside, and a checksum if the first flag is set.
fn gre(message: &[u8]) -> Result<Inner, String> {
    if message.len() < 8 {
        return Err(format!("{} bytes of GRE", message.len()));
    }
    let (sum, header_len) = match be16(message, 0) {
        0 => (Sum::Absent, 4),
        0x8000 if checksum(message) == [0, 0] && message[6..8] == [0, 0] => (Sum::Whole, 8),
        0x8000 => return Err(format!("GRE checksum: {:02x?}", &message[..8])),
        flags => return Err(format!("GRE flags {flags:04x}")),
    };
    let version = match be16(message, 2) {
        0x0800 => 4,
        0x86dd => 6,
        other => return Err(format!("GRE protocol {other:04x}")),
    };
    Ok((Kind::Gre, 0, sum, version, message[header_len..].to_vec()))
}

/// Version, control bit and length; the protocol inside; flags; then fields by the flags.
fn gue(ip: &Network<'_>) -> Result<Inner, String> {
    let datagram = ip.payload;
    let len = usize::from(be16(datagram, 4));
    if len != datagram.len() || len < 12 {
        return Err(format!("UDP length {len} of {} bytes", datagram.len()));
    }
    let mut sum = match be16(datagram, 6) {
        0 => Sum::Absent,
        _ if checksum(&[pseudo_header(ip), datagram.to_vec()].concat()) == [0, 0] => Sum::Whole,
        wrong => return Err(format!("UDP checksum {wrong:04x}")),
    };
    let header = &datagram[8..];
    // Variant 0, no control message, a length in words of what follows the first four bytes.
    let header_len = 4 + usize::from(header[0] & 31) * 4;
    if header[0] & 0xe0 != 0 || header_len > header.len() {
        return Err(format!("GUE header {:02x?}", &header[..4]));
    }
    let mut inner = header[header_len..].to_vec();
    match (be16(header, 2), header_len) {
        (0, 4) => {}
        // The private flag, and of the private flags that of remote checksum offload.
        (1, 12) if header[4..8] == [0x80, 0, 0, 0] => {
            let (start, at) = (usize::from(be16(header, 8)), usize::from(be16(header, 10)));
            if sum != Sum::Whole || start > at || at + 2 > inner.len() {
                return Err(format!("remote checksum of {start} at {at}, outer {sum:?}"));
            }
            let whole = checksum(&inner[start..]);
            inner[at..at + 2].copy_from_slice(&whole);
            sum = Sum::Remote;
        }
        (flags, len) => return Err(format!("GUE flags {flags:04x} in {len} bytes")),
    }
    Ok((Kind::Gue, be16(datagram, 0), sum, inner_version(header[1])?, inner))
}

/// What a UDP checksum covers besides the datagram: addresses, protocol and length.
fn pseudo_header(ip: &Network<'_>) -> Vec<u8> {
    let mut header = Vec::new();
    for address in [ip.src, ip.dst] {
        match address {
            IpAddr::V4(address) => header.extend(address.octets()),
            IpAddr::V6(address) => header.extend(address.octets()),
        }
    }
    header.extend(u32::from(ip.protocol).to_be_bytes());
    header.extend(u32::try_from(ip.payload.len()).expect("a datagram").to_be_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "hi" from port 4000 to port 7.
    const INSIDE: &str = "4500 001e 1234 4000 4011 142d 0a01 000a 0a00 0064
        0fa0 0007 000a 735b 6869";
    const INSIDE6: &str = "6000 0000 000a 1140
        fd00 0001 0000 0000 0000 0000 0000 0010 fd00 0000 0000 0000 0000 0000 0000 0100
        0fa0 0007 000a 8cb7 6869";
    const IPIP: &str = "4500 0032 1234 4000 4004 1485 0a02 0001 0a02 000b";
    const IP6_GRE: &str = "6000 0000 0022 2f40
        fd00 0002 0000 0000 0000 0000 0000 0001 fd00 0002 0000 0000 0000 0000 0000 0011
        0000 0800";
    const GRE_SUM: &str = "4500 004e 1234 4000 402f 143e 0a02 0001 0a02 000b 8000 86dd 87f2 0000";
    const GUE: &str = "4500 003e 1234 4000 4011 146c 0a02 0001 0a02 000b
        c350 17c0 002a 2500 0004 0000";
    const GUE_NO_SUM: &str = "4500 0052 1234 4000 4011 1458 0a02 0001 0a02 000b
        c350 17c0 003e 0000 0029 0000";
    /// The inside's UDP checksum, at 26, is that of the pseudo-header alone, and is to be from 20 on.
    const GUE_REMOTE: &str = "4500 0046 1234 4000 4011 1464 0a02 0001 0a02 000b
        c350 17c0 0032 0192 0204 0001 8000 0000 0014 001a
        4500 001e 1234 4000 4011 142d 0a01 000a 0a00 0064 0fa0 0007 000a 148a 6869";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<char> = hex.chars().filter(|c| !c.is_whitespace()).collect();
        let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
        pairs.map(|pair| u8::from_str_radix(&pair, 16).unwrap()).collect()
    }

    fn taken_off(packet: &[u8]) -> Result<Option<(Outer, Vec<u8>)>, String> {
        decapsulate(packet, &["10.2.0.11".parse().unwrap(), "fd00:2::11".parse().unwrap()])
    }

    #[test]
    fn every_kind_of_tunnel_is_known() {
        for (header, inside, kind, sum) in [
            (IPIP, INSIDE, Kind::Ipip, Sum::Absent),
            (IP6_GRE, INSIDE, Kind::Gre, Sum::Absent),
            (GRE_SUM, INSIDE6, Kind::Gre, Sum::Whole),
            (GUE, INSIDE, Kind::Gue, Sum::Whole),
            (GUE_NO_SUM, INSIDE6, Kind::Gue, Sum::Absent),
        ] {
            let packet = [bytes(header), bytes(inside)].concat();
            let (outer, inner) = taken_off(&packet).unwrap().unwrap();
            assert_eq!((outer.kind, outer.sum, outer.ttl), (kind, sum, 64), "{header}");
            assert_eq!(outer.src_port, if kind == Kind::Gue { 50_000 } else { 0 });
            assert_eq!((inner, outer.len), (bytes(inside), packet.len()), "{header}");
        }
    }

    #[test]
    fn a_remote_checksum_is_finished() {
        let (outer, inner) = taken_off(&bytes(GUE_REMOTE)).unwrap().unwrap();
        assert_eq!((outer.sum, inner), (Sum::Remote, bytes(INSIDE)));
    }

    #[test]
    fn a_wrong_byte_is_a_complaint() {
        for header in [IPIP, GRE_SUM, GUE] {
            let inside = if header == GRE_SUM { INSIDE6 } else { INSIDE };
            let packet = [bytes(header), bytes(inside)].concat();
            // The time to live, the inside's version or the checksum, and what only that covers.
            let places = if header == IPIP { vec![8, 20] } else { vec![8, 24, 44] };
            for place in places {
                let mut packet = packet.clone();
                packet[place] ^= 0x10;
                assert!(taken_off(&packet).is_err(), "{header} {place}");
            }
        }
    }

    #[test]
    fn other_packets_are_left_alone() {
        assert_eq!(taken_off(&bytes(INSIDE)), Ok(None));
        assert_eq!(taken_off(&[]), Ok(None));
        let packet = [bytes(IPIP), bytes(INSIDE)].concat();
        assert_eq!(decapsulate(&packet, &["10.2.0.12".parse().unwrap()]), Ok(None));
    }
}
