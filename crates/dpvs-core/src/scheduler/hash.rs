// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hash that all nodes of a cluster agree on: SipHash-1-3 with one key, whatever the machine.
//!
//! The key is no secret. Nodes that answer for the same virtual address must send a client to the
//! same server without telling each other, so no node may draw a key of its own.
//! What is hashed has a different length for each purpose (8, 16, 18, 20, 32 bytes), and the length is
//! part of what it hashes: no two purposes ever hash the same.

use crate::key::{Address, Endpoint};
use siphasher::sip::SipHasher13;

/// The key, as its 16 bytes in ASCII.
const KEY: &[u8; 16] = b"dpvs scheduling.";

fn sip(bytes: &[u8]) -> u64 {
    SipHasher13::new_with_key(KEY).hash(bytes)
}

/// Hashes an address: 16 bytes, an IPv4 address as `::ffff:a.b.c.d`.
pub(super) fn of_address(address: Address) -> u64 {
    sip(&address.v6_octets())
}

/// Hashes an address and port: 18 bytes, the port big-endian.
pub(super) fn of_endpoint(end: Endpoint) -> u64 {
    let mut bytes = [0; 18];
    let (address, port) = bytes.split_at_mut(16);
    address.copy_from_slice(&end.address.v6_octets());
    port.copy_from_slice(&end.port.to_be_bytes());
    sip(&bytes)
}

/// Hashes the first 8 bytes of a QUIC connection id.
pub(super) fn of_quic_id(id: [u8; 8]) -> u64 {
    sip(&id)
}

/// Hashes two addresses: 32 bytes.
pub(crate) fn of_pair(client: Address, virtual_: Address) -> u64 {
    let mut bytes = [0; 32];
    let (first, second) = bytes.split_at_mut(16);
    first.copy_from_slice(&client.v6_octets());
    second.copy_from_slice(&virtual_.v6_octets());
    sip(&bytes)
}

/// Gives a real server as many hashes as it needs, one for each `turn`: 20 bytes.
pub(crate) fn of_server(server: Endpoint, turn: u16) -> u64 {
    let mut bytes = [0; 20];
    let (address, rest) = bytes.split_at_mut(16);
    let (port, number) = rest.split_at_mut(2);
    address.copy_from_slice(&server.address.v6_octets());
    port.copy_from_slice(&server.port.to_be_bytes());
    number.copy_from_slice(&turn.to_be_bytes());
    sip(&bytes)
}

/// Brings the upper half of a hash into `0..len`, each number as often as any other.
pub(crate) fn reduce(hash: u64, len: usize) -> usize {
    let len = u64::from(u32::try_from(len).unwrap_or(u32::MAX));
    usize::try_from(((hash >> 32) * len) >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of another implementation of SipHash-1-3. If they change, nodes of two releases send
    /// the clients of one virtual address to different servers.
    #[test]
    fn hashes_stay_what_they_are() {
        let v4 = Address::v4([198, 51, 100, 10]);
        let v6 = Address::v6([0x20, 1, 0x0d, 0xb8, 0, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10]);
        assert_eq!(of_address(v4), 0x6ad3_9494_c983_33ae);
        assert_eq!(of_address(v6), 0x9ce2_a0df_4488_edf8);
        let client = Endpoint { address: v4, port: 40000 };
        assert_eq!(of_endpoint(client), 0x39d9_2575_ace6_f926);
        assert_eq!(of_quic_id([1, 2, 3, 4, 5, 6, 7, 8]), 0x5ea7_04ac_0259_9aef);
        let server = Endpoint { address: Address::v4([10, 1, 1, 10]), port: 8080 };
        let virtual_ = Address::v4([203, 0, 113, 80]);
        assert_eq!(of_pair(v4, virtual_), 0xd520_9a56_a3e9_9c77);
        assert_eq!(of_server(server, 0), 0x08e1_3d5f_da5a_d130);
        assert_eq!(of_server(server, 1), 0xb3a8_5da0_f512_19f4);
    }

    #[test]
    fn a_reduced_hash_is_below_the_length() {
        assert_eq!(reduce(0, 4093), 0);
        assert_eq!(reduce(u64::MAX, 4093), 4092);
        assert_eq!(reduce(1 << 63, 256), 128);
        assert_eq!(reduce(u64::MAX, 0), 0);
    }
}
