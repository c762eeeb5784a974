// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which worker owns a packet, computed from the packet alone.
//!
//! * From the client: by the Toeplitz hash of addresses and ports, as a NIC with the same key and
//!   indirection table computes it, so that with RSS a packet arrives where it belongs. ICMP has no
//!   ports there: its hash covers the addresses.
//! * From the real server: by the local port or identifier. A worker hands out only those of its own
//!   class (the low bits), so the owner of a reply, or of an error that quotes one, follows from the
//!   number.
//!
//! No table is shared between workers for this.

use crate::WorkerId;
use crate::key::{Address, Key, Tuple};
use crate::net::Family;

/// Entries of the indirection table: what most NICs have, and enough to be fair to 64 workers.
pub const RETA_LEN: usize = 128;

/// Classes of local ports. Worker `w` of `n` has the classes `c` with `c % n == w`.
pub const PORT_CLASSES: usize = 64;

/// Most workers: each has at least one class of local ports.
pub const WORKERS_MAX: usize = PORT_CLASSES;

/// Length of the hash key in bytes: two IPv6 addresses, two ports, and the 32 bits beyond.
pub const KEY_LEN: usize = 40;

/// Addresses and ports of IPv6 in bytes, the longest input.
const INPUT_MAX: usize = 36;

/// Microsoft's verification key ("Verifying the RSS Hash Calculation"), the default of most NICs.
pub const KEY_DEFAULT: [u8; KEY_LEN] = [
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
    0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
    0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
];

/// The Toeplitz hash with its key expanded: one lookup a byte of input.
#[derive(Clone)]
pub struct Toeplitz {
    /// `table[i][b]` is the contribution of byte `b` at position `i`.
    table: Box<[[u32; 256]; INPUT_MAX]>,
}

impl std::fmt::Debug for Toeplitz {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Toeplitz")
    }
}

impl Toeplitz {
    /// Expands a key.
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        let rows = vec![[0; 256]; INPUT_MAX].into_boxed_slice();
        let mut table: Box<[[u32; 256]; INPUT_MAX]> =
            rows.try_into().unwrap_or_else(|_| unreachable!("it was made of this length"));
        for (row, at) in table.iter_mut().zip(0..) {
            let bits: [u32; 8] = std::array::from_fn(|bit| key_bits(key, at * 8 + bit));
            for (entry, byte) in row.iter_mut().zip(0u8..=255) {
                let is_set = |bit: &usize| byte & (0x80 >> bit) != 0;
                let set = bits.iter().enumerate().filter(|(bit, _)| is_set(bit));
                *entry = set.fold(0, |hash, (_, bits)| hash ^ bits);
            }
        }
        Toeplitz { table }
    }

    /// Returns what bytes of the input add to its hash that stand at `start`: a hash is the exclusive
    /// or of its parts'.
    #[inline]
    pub fn part<const N: usize>(&self, start: usize, bytes: [u8; N]) -> u32 {
        let rows = self.table.iter().skip(start);
        rows.zip(bytes)
            .fold(0, |hash, (row, byte)| hash ^ row.get(usize::from(byte)).copied().unwrap_or(0))
    }
}

/// Returns the 32 bits of the key from bit `start` on.
fn key_bits(key: &[u8; KEY_LEN], start: usize) -> u32 {
    let bit = |at: usize| {
        let byte = key.get(at / 8).copied().unwrap_or(0);
        u32::from(byte >> (7 - at % 8) & 1)
    };
    (start..start + 32).fold(0, |bits, at| bits << 1 | bit(at))
}

/// Who owns what.
#[derive(Clone, Debug)]
pub struct Steering {
    workers: u8,
    key: [u8; KEY_LEN],
    toeplitz: Toeplitz,
    reta: [u8; RETA_LEN],
    classes: [u8; PORT_CLASSES],
}

impl Steering {
    /// Shares the work between `workers`, 1 to [`WORKERS_MAX`]; other numbers are taken to the
    /// nearest of these.
    pub fn new(workers: usize, key: &[u8; KEY_LEN]) -> Self {
        let workers = workers.clamp(1, WORKERS_MAX);
        let share = |at: usize| u8::try_from(at % workers).unwrap_or(0);
        Steering {
            workers: u8::try_from(workers).unwrap_or(1),
            key: *key,
            toeplitz: Toeplitz::new(key),
            reta: std::array::from_fn(share),
            classes: std::array::from_fn(share),
        }
    }

    /// Returns the number of workers.
    pub fn workers(&self) -> usize {
        usize::from(self.workers)
    }

    /// Returns the hash key, for ports that can take it.
    pub fn key(&self) -> &[u8; KEY_LEN] {
        &self.key
    }

    /// Returns the indirection table, for ports that can take it: worker by low bits of the hash.
    pub fn reta(&self) -> &[u8; RETA_LEN] {
        &self.reta
    }

    /// Returns the owner of a packet from a client, by its key as it arrives.
    pub fn inbound(&self, key: &Key) -> WorkerId {
        if self.workers == 1 {
            return WorkerId(0);
        }
        if key.protocol.is_icmp() {
            return self.addresses(key.src, key.dst);
        }
        self.worker_of(self.hash(key))
    }

    /// The same for a packet of IPv4 with ports.
    #[inline]
    pub(crate) fn inbound_tuple(&self, tuple: &Tuple) -> WorkerId {
        self.worker_of(self.hash_tuple(tuple))
    }

    /// Returns the owner of what two addresses alone tell: fragments, and clients that persistence
    /// binds. A NIC that sees no ports hashes the same.
    pub fn addresses(&self, src: Address, dst: Address) -> WorkerId {
        if self.workers == 1 {
            return WorkerId(0);
        }
        self.worker_of(self.hash_addresses(src, dst))
    }

    #[inline]
    fn worker_of(&self, hash: u32) -> WorkerId {
        let low = usize::try_from(hash).unwrap_or(0) % RETA_LEN;
        WorkerId(self.reta.get(low).copied().unwrap_or(0))
    }

    /// Returns the hash that a NIC with our key gives a packet with ports.
    pub fn hash(&self, key: &Key) -> u32 {
        if let Some(tuple) = key.tuple() {
            return self.hash_tuple(&tuple);
        }
        let ports = u32::from(key.sport) << 16 | u32::from(key.dport);
        self.hash_addresses(key.src, key.dst) ^ self.toeplitz.part(32, ports.to_be_bytes())
    }

    #[inline]
    fn hash_tuple(&self, tuple: &Tuple) -> u32 {
        let [src, dst] = tuple.addresses.map(u32::to_be_bytes);
        let ports = tuple.port_pair().to_be_bytes();
        let toeplitz = &self.toeplitz;
        toeplitz.part(0, src) ^ toeplitz.part(4, dst) ^ toeplitz.part(8, ports)
    }

    fn hash_addresses(&self, src: Address, dst: Address) -> u32 {
        let toeplitz = &self.toeplitz;
        match src.family() {
            Family::V4 => toeplitz.part(0, src.v4_octets()) ^ toeplitz.part(4, dst.v4_octets()),
            Family::V6 => toeplitz.part(0, src.v6_octets()) ^ toeplitz.part(16, dst.v6_octets()),
        }
    }

    /// Returns the owner of a local port or identifier.
    pub fn local_port(&self, port: u16) -> WorkerId {
        let class = usize::from(port) % PORT_CLASSES;
        WorkerId(self.classes.get(class).copied().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Protocol;
    use proptest::prelude::*;

    /// Microsoft's published test vectors (destination is named first there).
    #[test]
    fn the_published_vectors_come_out() {
        let toeplitz = Toeplitz::new(&KEY_DEFAULT);
        let ports = |at, s: u16, d: u16| {
            toeplitz.part(at, s.to_be_bytes()) ^ toeplitz.part(at + 2, d.to_be_bytes())
        };
        let v4 = |s: [u8; 4], d: [u8; 4]| toeplitz.part(0, s) ^ toeplitz.part(4, d);
        let addresses = v4([66, 9, 149, 187], [161, 142, 100, 80]);
        assert_eq!(addresses, 0x323e_8fc2);
        assert_eq!(addresses ^ ports(8, 2794, 1766), 0x51cc_c178);
        let addresses = v4([199, 92, 111, 2], [65, 69, 140, 83]);
        assert_eq!(addresses ^ ports(8, 14230, 4739), 0xc626_b0ea);
        let src = "3ffe:2501:200:1fff::7".parse::<std::net::Ipv6Addr>().unwrap().octets();
        let dst = "3ffe:2501:200:3::1".parse::<std::net::Ipv6Addr>().unwrap().octets();
        let addresses = toeplitz.part(0, src) ^ toeplitz.part(16, dst);
        assert_eq!(addresses, 0x2cc1_8cd5);
        assert_eq!(addresses ^ ports(32, 2794, 1766), 0x4020_7d3d);
    }

    #[test]
    fn every_worker_owns_a_fair_share_of_local_ports() {
        for workers in 1..=8 {
            let steering = Steering::new(workers, &KEY_DEFAULT);
            let mut shares = vec![0; workers];
            for port in 0..=u16::MAX {
                shares[steering.local_port(port).index()] += 1;
            }
            let least = shares.iter().min().unwrap();
            assert!(least * workers * 10 > 65536 * 8, "{workers} workers: {shares:?}");
        }
    }

    proptest! {
        /// An error that quotes what we sent belongs to the worker of the packet it is about.
        #[test]
        fn the_owner_of_a_tuple_is_the_owner_of_its_reversed_quote(
            src: u32, dst: u32, sport: u16, dport: u16, workers in 1usize..9,
        ) {
            let steering = Steering::new(workers, &KEY_DEFAULT);
            let key = Key {
                src: Address::v4(src.to_be_bytes()),
                dst: Address::v4(dst.to_be_bytes()),
                sport, dport, protocol: Protocol::Tcp,
            };
            let quote = key.reversed().unwrap();
            prop_assert_eq!(steering.inbound(&key), steering.inbound(&quote.reversed().unwrap()));
        }
    }
}
