// SPDX-License-Identifier: MIT OR Apache-2.0
//! IP headers around a message: plain ones, and such with options, extension headers and fragments.

use super::random::Random;
use crate::packet::checksum;
use std::net::IpAddr;

/// Writes the checksum of an ICMP or `ICMPv6` message.
pub(super) fn write_checksum(message: &mut [u8], src: IpAddr, dst: IpAddr) {
    message[2..4].fill(0);
    let sum = match (src, dst) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let len = u32::try_from(message.len()).expect("a packet's length");
            let octets = [src.octets(), dst.octets()].concat();
            checksum(&[&octets[..], &len.to_be_bytes(), &[0, 0, 0, 58], message].concat())
        }
        _ => checksum(message),
    };
    message[2..4].copy_from_slice(&sum);
}

/// Makes a packet. `is_whole` is false of one that is quoted: its length is then that of a longer
/// one now and then.
pub(super) fn packet(
    random: &mut Random,
    (src, dst): (IpAddr, IpAddr),
    protocol: u8,
    payload: &[u8],
    is_whole: bool,
) -> Vec<u8> {
    let ttl = random.pick(&[64, 64, 64, 64, 64, 255, 2, 1, 0]);
    let more = if is_whole || random.chance(50) { 0 } else { random.below(1400) };
    let mut packet = match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let octets = [src.octets(), dst.octets()].concat();
            ipv4(random, &octets, (protocol, ttl), payload.len() + more)
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let octets = [src.octets(), dst.octets()].concat();
            ipv6(random, &octets, (protocol, ttl), payload.len() + more)
        }
        _ => panic!("{src} and {dst} are of two families"),
    };
    packet.extend(payload);
    packet
}

fn ipv4(
    random: &mut Random,
    addresses: &[u8],
    (protocol, ttl): (u8, u8),
    payload_len: usize,
) -> Vec<u8> {
    let words = if random.chance(8) { 1 + random.below(10) } else { 0 };
    let header_len = 20 + 4 * words;
    let fragment: u16 = match random.below(40) {
        0 => 0x2000,
        1 => 0x2000 | random.port() & 0x1fff,
        2 => random.port() & 0x1fff,
        _ => random.pick(&[0, 0x4000]),
    };
    let version = 0x45 + u8::try_from(words).expect("at most 10");
    let mut header = vec![version, random.pick(&[0, 0, 0xc0])];
    header.extend(u16::try_from(header_len + payload_len).unwrap_or(u16::MAX).to_be_bytes());
    header.extend(random.port().to_be_bytes());
    header.extend(fragment.to_be_bytes());
    header.extend([ttl, protocol, 0, 0]);
    header.extend(addresses);
    // No-operations, a record of the route, or anything.
    match random.below(3) {
        0 => header.extend(vec![1; 4 * words]),
        1 => header.extend(random.bytes(4 * words)),
        _ if words > 0 => {
            header.extend([7, u8::try_from(4 * words - 1).expect("at most 39"), 4]);
            header.resize(header_len, 0);
        }
        _ => {}
    }
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    if random.chance(3) {
        header[10] ^= 0x55;
    }
    header
}

fn ipv6(
    random: &mut Random,
    addresses: &[u8],
    (protocol, hop_limit): (u8, u8),
    payload_len: usize,
) -> Vec<u8> {
    let count = if random.chance(10) { 1 + random.below(10) } else { 0 };
    // Hop-by-hop options, routing, fragment, authentication, destination options, mobility.
    let kinds: Vec<u8> =
        (0..count).map(|_| random.pick(&[0, 43, 44, 51, 60, 60, 60, 135])).collect();
    let mut extensions = Vec::new();
    for (at, kind) in kinds.iter().enumerate() {
        let next = kinds.get(at + 1).copied().unwrap_or(protocol);
        let any = random.port().to_be_bytes();
        let offset = random.pick(&[[0, 0], [0, 1], any]);
        match kind {
            44 => {
                extensions.extend([next, 0]);
                extensions.extend(offset);
                extensions.extend(random.bytes(4));
            }
            51 => extensions.extend([next, 0, 0, 0, 0, 0, 0, 1]),
            // An option of padding over the rest.
            _ => extensions.extend([next, random.pick(&[0, 0, 0, 0, 9]), 1, 4, 0, 0, 0, 0]),
        }
    }
    let mut header = vec![0x60, 0, 0, 0];
    let len = u16::try_from(extensions.len() + payload_len).unwrap_or(u16::MAX);
    header.extend(len.to_be_bytes());
    header.extend([kinds.first().copied().unwrap_or(protocol), hop_limit]);
    header.extend(addresses);
    header.extend(extensions);
    header
}
