// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames of clients and real servers, made from a template with real checksums.

use dpvs_core::testing::PacketBuilder;

/// Link address of the balancer's port.
pub(crate) const BALANCER_MAC: [u8; 6] = [0x02, 0x70, 0x63, 0x61, 0x70, 0x00];

/// The virtual address of the service.
pub(crate) const VIRTUAL: &str = "10.0.0.100";

/// Port of the service and of the real servers.
pub(crate) const PORT: u16 = 53;

/// Data of a UDP packet that makes it the shortest of Ethernet, 64 bytes with the frame check.
const UDP_DATA: [u8; 18] = [0; 18];

/// Where the IPv4 header and the TCP or UDP header start.
const IP: usize = 14;
pub(crate) const TRANSPORT: usize = IP + 20;

const IP_CHECKSUM: usize = IP + 10;
pub(crate) const SOURCE: usize = IP + 12;
pub(crate) const UDP_CHECKSUM: usize = TRANSPORT + 6;
const TCP_CHECKSUM: usize = TRANSPORT + 16;

/// The first client, in the network for benchmarks (RFC 2544).
const CLIENT_FIRST: u32 = u32::from_be_bytes([198, 18, 0, 0]);

/// So many addresses that network has, as a power of two.
const CLIENT_BITS: u32 = 17;

/// Least port of clients, and how many they use.
const CLIENT_PORT_FIRST: u64 = 1024;
const CLIENT_PORTS: u64 = 64_000;

/// A packet from a client that is yet to be named.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    transport_checksum: usize,
    /// Sums without the client's address and port.
    ip_sum: u32,
    transport_sum: u32,
}

impl Template {
    /// The shortest UDP packet.
    pub(crate) fn udp() -> Self {
        let packet = PacketBuilder::new("0.0.0.0", VIRTUAL).dst_mac(BALANCER_MAC);
        Template::new(packet.udp(0, PORT, &UDP_DATA), UDP_CHECKSUM)
    }

    /// A TCP segment with SYN.
    pub(crate) fn syn() -> Self {
        let packet = PacketBuilder::new("0.0.0.0", VIRTUAL).dst_mac(BALANCER_MAC);
        Template::new(packet.tcp(0, PORT, 2, &[0; 6]), TCP_CHECKSUM)
    }

    fn new(bytes: Vec<u8>, transport_checksum: usize) -> Self {
        let ip_sum = u32::from(!word(&bytes, IP_CHECKSUM));
        let transport_sum = u32::from(!word(&bytes, transport_checksum));
        Template { bytes, transport_checksum, ip_sum, transport_sum }
    }

    /// Its length.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Writes the packet of a client: another one for every number below 8 thousand million.
    pub(crate) fn write(&self, out: &mut [u8], client: u64) {
        let Some(out) = out.get_mut(..self.bytes.len()) else { return };
        out.copy_from_slice(&self.bytes);
        let index = u32::try_from(client & ((1 << CLIENT_BITS) - 1)).unwrap_or(0);
        let port = CLIENT_PORT_FIRST + (client >> CLIENT_BITS) % CLIENT_PORTS;
        let port = u16::try_from(port).unwrap_or(u16::MAX);
        let [a, b, c, d] = (CLIENT_FIRST + index).to_be_bytes();
        let address = u32::from(u16::from_be_bytes([a, b])) + u32::from(u16::from_be_bytes([c, d]));
        put(out, SOURCE, &[a, b, c, d]);
        put(out, TRANSPORT, &port.to_be_bytes());
        put(out, IP_CHECKSUM, &checksum(self.ip_sum + address));
        let transport = checksum(self.transport_sum + address + u32::from(port));
        put(out, self.transport_checksum, &transport);
    }
}

/// Writes bytes into a frame, if it is long enough.
pub(crate) fn put(frame: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = frame.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Reads a word of a frame; 0 behind its end.
pub(crate) fn word(frame: &[u8], at: usize) -> u16 {
    match frame.get(at..) {
        Some([high, low, ..]) => u16::from_be_bytes([*high, *low]),
        _ => 0,
    }
}

/// The checksum of a sum of words.
pub(crate) fn checksum(sum: u32) -> [u8; 2] {
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    (!u16::try_from(sum).unwrap_or(0)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpvs_core::testing::assert_checksums;
    use std::collections::HashSet;

    #[test]
    fn frames_of_all_clients_have_right_checksums_and_are_different() {
        for template in [Template::udp(), Template::syn()] {
            let mut seen = HashSet::new();
            for client in (0..2000).chain((1 << 17)..(1 << 17) + 2000) {
                let mut frame = vec![0; template.len()];
                template.write(&mut frame, client);
                assert_checksums(&frame);
                assert!(seen.insert(frame), "client {client} is another's");
            }
        }
    }
}
