// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packets written by hand, and how a station sends them. Checksums are summed here, whole.

use crate::namespace::Namespace;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, sendto,
    socket,
};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

/// The Internet checksum (RFC 1071) of some bytes.
pub fn checksum(bytes: &[u8]) -> [u8; 2] {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!u16::try_from(sum).expect("folded")).to_be_bytes()
}

/// An IPv4 packet with time to live 64.
pub fn ipv4(src: &str, dst: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(20 + payload.len()).expect("a packet's length");
    let mut packet = vec![0x45, 0];
    packet.extend(len.to_be_bytes());
    packet.extend([0x12, 0x34, 0x40, 0, 64, protocol, 0, 0]);
    packet.extend(src.parse::<Ipv4Addr>().expect(src).octets());
    packet.extend(dst.parse::<Ipv4Addr>().expect(dst).octets());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum);
    packet.extend(payload);
    packet
}

/// An ICMP message of type, code and the four bytes after the checksum.
pub fn icmp(kind: u8, code: u8, rest: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0];
    message.extend(rest);
    message.extend(body);
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum);
    message
}

/// An ICMP echo request (8) or reply (0).
pub fn echo(kind: u8, identifier: u16, sequence: u16) -> Vec<u8> {
    let ([a, b], [c, d]) = (identifier.to_be_bytes(), sequence.to_be_bytes());
    icmp(kind, 0, [a, b, c, d], b"0123456789abcdef")
}

/// A UDP datagram without a checksum.
pub fn udp(src_port: u16, dst_port: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + payload.len()).expect("a datagram's length");
    let mut datagram = Vec::from(src_port.to_be_bytes());
    datagram.extend(dst_port.to_be_bytes());
    datagram.extend(len.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

/// Sends a whole IPv4 packet from a station; its kernel routes it.
pub fn send_ipv4(namespace: &Namespace, packet: &[u8]) {
    let dst = Ipv4Addr::new(packet[16], packet[17], packet[18], packet[19]);
    let to = SockaddrIn::from(SocketAddrV4::new(dst, 0));
    namespace.within(|| {
        let family = AddressFamily::Inet;
        let socket = socket(family, SockType::Raw, SockFlag::empty(), SockProtocol::Raw)
            .expect("a raw socket");
        sendto(socket.as_raw_fd(), packet, &to, MsgFlags::empty()).expect("sent");
    });
}

/// Sends an `ICMPv6` message from a station; its kernel writes addresses and checksum.
pub fn send_icmpv6(namespace: &Namespace, dst: &str, message: &[u8]) {
    let dst: Ipv6Addr = dst.parse().expect(dst);
    let to = SockaddrIn6::from(SocketAddrV6::new(dst, 0, 0, 0));
    namespace.within(|| {
        let family = AddressFamily::Inet6;
        let socket = socket(family, SockType::Raw, SockFlag::empty(), SockProtocol::IcmpV6)
            .expect("a raw socket");
        sendto(socket.as_raw_fd(), message, &to, MsgFlags::empty()).expect("sent");
    });
}
