// SPDX-License-Identifier: MIT OR Apache-2.0
//! ICMP (RFC 792) and ICMPv6 (RFC 4443): one header shape for both.

use crate::checksum::Checksum;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Type, code, checksum and four bytes that depend on the type: 8 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct IcmpHeader {
    /// Type.
    pub icmp_type: u8,
    /// Code.
    pub code: u8,
    /// Checksum over the message; with the pseudo header in `ICMPv6`.
    pub checksum: Checksum,
    /// Identifier and sequence number, or MTU, pointer, unused.
    pub rest: [u8; 4],
}

impl IcmpHeader {
    /// Length in bytes.
    pub const LEN: usize = 8;
    /// Where the identifier of a query stands.
    pub const ID_OFFSET: usize = 4;

    /// Returns the identifier of a query.
    pub fn id(&self) -> u16 {
        let [a, b, ..] = self.rest;
        u16::from_be_bytes([a, b])
    }

    /// Returns the next-hop MTU of an ICMP "fragmentation needed" (RFC 1191 section 4).
    pub fn mtu_v4(&self) -> u32 {
        let [_, _, c, d] = self.rest;
        u32::from(u16::from_be_bytes([c, d]))
    }

    /// Returns the MTU of an `ICMPv6` "packet too big" (RFC 4443 section 3.2).
    pub fn mtu_v6(&self) -> u32 {
        u32::from_be_bytes(self.rest)
    }
}
