// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds packets with right checksums, and checks those of others. Its arithmetic is its own: it
//! shares nothing with `checksum`.

use std::net::IpAddr;

/// Builds an Ethernet frame with an IP packet.
#[derive(Clone, Debug)]
pub struct PacketBuilder {
    src: IpAddr,
    dst: IpAddr,
    dst_mac: [u8; 6],
    ttl: u8,
    tos: u8,
    options: Vec<u8>,
    id: u16,
    flags_fragment: u16,
}

/// The plain sum of RFC 1071, word by word.
fn internet_sum(parts: &[&[u8]]) -> u16 {
    let bytes: Vec<u8> = parts.concat();
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

impl PacketBuilder {
    /// Link address of the balancer's port 0 in tests.
    pub const OUR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xbb];
    /// Link address of whoever sends in tests.
    pub const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x01];

    /// Starts a packet between two addresses of one family.
    pub fn new(src: &str, dst: &str) -> Self {
        PacketBuilder {
            src: src.parse().unwrap(),
            dst: dst.parse().unwrap(),
            dst_mac: Self::OUR_MAC,
            ttl: 64,
            tos: 0,
            options: Vec::new(),
            id: 0xabcd,
            flags_fragment: 0x4000,
        }
    }

    /// Sets the time to live or hop limit.
    #[must_use]
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets the TOS or traffic class.
    #[must_use]
    pub fn tos(mut self, tos: u8) -> Self {
        self.tos = tos;
        self
    }

    /// Sets IPv4 options, a multiple of 4 bytes.
    #[must_use]
    pub fn options(mut self, options: &[u8]) -> Self {
        self.options = options.to_vec();
        self
    }

    /// Sets the IPv4 identification.
    #[must_use]
    pub fn id(mut self, id: u16) -> Self {
        self.id = id;
        self
    }

    /// Sets IPv4 flags and fragment offset; by default "do not fragment".
    #[must_use]
    pub fn flags_fragment(mut self, value: u16) -> Self {
        self.flags_fragment = value;
        self
    }

    /// Sets the link destination.
    #[must_use]
    pub fn dst_mac(mut self, mac: [u8; 6]) -> Self {
        self.dst_mac = mac;
        self
    }

    /// Ends with TCP: control bits and data.
    pub fn tcp(&self, sport: u16, dport: u16, flags: u8, data: &[u8]) -> Vec<u8> {
        let mut tcp = [&sport.to_be_bytes()[..], &dport.to_be_bytes()].concat();
        tcp.extend([0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x50, flags]);
        tcp.extend([0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend(data);
        self.with_checksum(6, tcp, 16)
    }

    /// Ends with UDP.
    pub fn udp(&self, sport: u16, dport: u16, data: &[u8]) -> Vec<u8> {
        let len = u16::try_from(8 + data.len()).unwrap();
        let mut udp =
            [sport.to_be_bytes(), dport.to_be_bytes(), len.to_be_bytes(), [0, 0]].concat();
        udp.extend(data);
        self.with_checksum(17, udp, 6)
    }

    /// Ends with an ICMP or `ICMPv6` message: type, code, the four bytes after the checksum, body.
    pub fn icmp(&self, icmp_type: u8, code: u8, rest: [u8; 4], body: &[u8]) -> Vec<u8> {
        let icmp = [&[icmp_type, code, 0, 0][..], &rest, body].concat();
        self.with_checksum(if self.src.is_ipv4() { 1 } else { 58 }, icmp, 2)
    }

    /// Ends with an echo request.
    pub fn ping(&self, id: u16, seq: u16, data: &[u8]) -> Vec<u8> {
        let ([a, b], [c, d]) = (id.to_be_bytes(), seq.to_be_bytes());
        self.icmp(if self.src.is_ipv4() { 8 } else { 128 }, 0, [a, b, c, d], data)
    }

    /// Ends with an echo reply.
    pub fn pong(&self, id: u16, seq: u16, data: &[u8]) -> Vec<u8> {
        let ([a, b], [c, d]) = (id.to_be_bytes(), seq.to_be_bytes());
        self.icmp(if self.src.is_ipv4() { 0 } else { 129 }, 0, [a, b, c, d], data)
    }

    fn with_checksum(&self, protocol: u8, mut segment: Vec<u8>, at: usize) -> Vec<u8> {
        let mut checksum = !self.transport_sum(protocol, &segment);
        if protocol == 17 && checksum == 0 {
            checksum = 0xffff;
        }
        segment[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
        self.raw(protocol, &segment)
    }

    fn transport_sum(&self, protocol: u8, segment: &[u8]) -> u16 {
        if protocol == 1 {
            return internet_sum(&[segment]);
        }
        let len = u32::try_from(segment.len()).unwrap().to_be_bytes();
        internet_sum(&[&octets(self.src), &octets(self.dst), &len, &[0, 0, 0, protocol], segment])
    }

    /// Ends with any payload.
    pub fn raw(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = self.dst_mac.to_vec();
        frame.extend(Self::PEER_MAC);
        if self.src.is_ipv4() {
            frame.extend([0x08, 0x00]);
            frame.extend(self.v4_header(protocol, payload.len()));
        } else {
            frame.extend([0x86, 0xdd, 0x60 | self.tos >> 4, self.tos << 4, 0, 0]);
            frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
            frame.extend([protocol, self.ttl]);
            frame.extend(octets(self.src));
            frame.extend(octets(self.dst));
        }
        frame.extend(payload);
        frame
    }

    fn v4_header(&self, protocol: u8, payload_len: usize) -> Vec<u8> {
        let len = 20 + self.options.len();
        let mut header = vec![0x40 | u8::try_from(len / 4).unwrap(), self.tos];
        header.extend(u16::try_from(len + payload_len).unwrap().to_be_bytes());
        header.extend(self.id.to_be_bytes());
        header.extend(self.flags_fragment.to_be_bytes());
        header.extend([self.ttl, protocol, 0, 0]);
        header.extend(octets(self.src));
        header.extend(octets(self.dst));
        header.extend(&self.options);
        let checksum = !internet_sum(&[&header]);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        header
    }
}

/// Returns an untagged frame with a priority tag (802.1Q, VLAN identifier 0), which changes nothing of
/// what becomes of it, but that it is not plain.
pub fn priority_tagged(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &[0x81, 0x00, 0xa0, 0x00], &frame[12..]].concat()
}

/// Checks the IPv4 header checksum and the transport checksum of an untagged, unfragmented packet.
///
/// # Panics
/// If one is wrong, or the frame is no such packet.
pub fn assert_checksums(frame: &[u8]) {
    assert_eq!(checksums_hold(frame), Some(true), "checksums of {frame:02x?}");
}

/// Says whether all checksums of an untagged TCP, UDP or ICMP packet are right; `None` if the frame
/// is no such packet.
pub fn checksums_hold(frame: &[u8]) -> Option<bool> {
    let packet = frame.get(14..)?;
    let word =
        |at: usize| Some(usize::from(*packet.get(at)?) << 8 | usize::from(*packet.get(at + 1)?));
    let (protocol, src, dst, payload) = if packet.first()? >> 4 == 4 {
        let header_len = usize::from(packet[0] & 15) * 4;
        let header = packet.get(..header_len.max(20))?;
        if internet_sum(&[header]) != 0xffff {
            return Some(false);
        }
        (
            *packet.get(9)?,
            packet.get(12..16)?,
            packet.get(16..20)?,
            packet.get(header_len..word(2)?)?,
        )
    } else {
        let end = 40 + word(4)?;
        let (mut protocol, mut at) = (*packet.get(6)?, 40);
        while matches!(protocol, 0 | 43 | 60) {
            (protocol, at) = (*packet.get(at)?, at + 8 + 8 * usize::from(*packet.get(at + 1)?));
        }
        (protocol, packet.get(8..24)?, packet.get(24..40)?, packet.get(at..end)?)
    };
    let len = u32::try_from(payload.len()).ok()?.to_be_bytes();
    let sum = match protocol {
        1 => internet_sum(&[payload]),
        6 | 17 | 58 => internet_sum(&[src, dst, &len, &[0, 0, 0, protocol], payload]),
        _ => return None,
    };
    let is_udp_without = protocol == 17 && payload.get(6..8)? == [0, 0];
    Some(sum == 0xffff || is_udp_without)
}

/// Makes the checksums of a packet right, as far as there are any.
pub fn repair_checksums(frame: &mut [u8]) {
    let Some(packet) = frame.get_mut(14..) else { return };
    let (protocol, at, end) = match packet.first() {
        Some(first) if first >> 4 == 4 && packet.len() >= 20 => {
            let header_len = usize::from(first & 15) * 4;
            let end = usize::from(packet[2]) << 8 | usize::from(packet[3]);
            if header_len < 20 || header_len > packet.len() {
                return;
            }
            packet[10..12].fill(0);
            let checksum = !internet_sum(&[&packet[..header_len]]);
            packet[10..12].copy_from_slice(&checksum.to_be_bytes());
            (packet[9], header_len, end)
        }
        Some(first) if first >> 4 == 6 && packet.len() >= 40 => {
            (packet[6], 40, 40 + (usize::from(packet[4]) << 8 | usize::from(packet[5])))
        }
        _ => return,
    };
    let field = match protocol {
        1 | 58 => at + 2,
        6 => at + 16,
        17 => at + 6,
        _ => return,
    };
    if end > packet.len() || field + 2 > end {
        return;
    }
    let addresses = if at == 40 && packet[0] >> 4 == 6 { 8..40 } else { 12..20 };
    packet[field..field + 2].fill(0);
    let len = u32::try_from(end - at).unwrap().to_be_bytes();
    let checksum = match protocol {
        1 => !internet_sum(&[&packet[at..end]]),
        _ => !internet_sum(&[&packet[addresses], &len, &[0, 0, 0, protocol], &packet[at..end]]),
    };
    let checksum = if protocol == 17 && checksum == 0 { 0xffff } else { checksum };
    packet[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
}
