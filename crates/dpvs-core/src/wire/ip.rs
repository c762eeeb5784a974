// SPDX-License-Identifier: MIT OR Apache-2.0
//! IPv4 (RFC 791) and IPv6 (RFC 8200).

use crate::checksum::{Checksum, Delta};
use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The fixed part of an IPv4 header: 20 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Ipv4Header {
    /// Version (4) and header length in 32-bit words.
    pub version_ihl: u8,
    /// Differentiated services and ECN.
    pub tos: u8,
    /// Header and payload in bytes.
    pub total_len: U16,
    /// Identification of fragments.
    pub id: U16,
    /// Three flags, 13 bits of offset in units of 8 bytes.
    pub flags_fragment: U16,
    /// Time to live.
    pub ttl: u8,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Checksum of the header.
    pub checksum: Checksum,
    /// Source address.
    pub src: [u8; 4],
    /// Destination address.
    pub dst: [u8; 4],
}

impl Ipv4Header {
    /// Length without options, in bytes.
    pub const LEN: usize = 20;
    /// "Do not fragment."
    pub const DONT_FRAGMENT: u16 = 0x4000;
    /// "More fragments follow."
    pub const MORE_FRAGMENTS: u16 = 0x2000;
    /// The offset's bits.
    pub const OFFSET_MASK: u16 = 0x1fff;

    /// Returns the version field.
    pub fn version(&self) -> u8 {
        self.version_ihl >> 4
    }

    /// Returns the length with options in bytes, 0 to 60 as the field says.
    pub fn header_len(&self) -> usize {
        usize::from(self.version_ihl & 0x0f) * 4
    }

    /// Returns whether this is a fragment other than the first.
    pub fn is_later_fragment(&self) -> bool {
        self.flags_fragment.get() & Self::OFFSET_MASK != 0
    }

    /// Returns whether this is any fragment.
    pub fn is_fragment(&self) -> bool {
        self.flags_fragment.get() & (Self::OFFSET_MASK | Self::MORE_FRAGMENTS) != 0
    }

    /// Takes one from the time to live, if there is one; returns the change for the checksum.
    #[inline]
    pub fn less_ttl(&mut self) -> Delta {
        match self.ttl.checked_sub(1) {
            Some(less) => {
                self.ttl = less;
                // What is beside it in the word does not matter.
                Delta::words([1, 0], [0, 0])
            }
            None => Delta::words([0, 0], [0, 0]),
        }
    }

    /// Returns whether routers may not fragment it.
    pub fn is_dont_fragment(&self) -> bool {
        self.flags_fragment.get() & Self::DONT_FRAGMENT != 0
    }
}

/// The fixed IPv6 header: 40 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Ipv6Header {
    /// Version (6), traffic class, flow label.
    pub version_class_flow: U32,
    /// What follows this header, in bytes.
    pub payload_len: U16,
    /// Type of what follows.
    pub next_header: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source address.
    pub src: [u8; 16],
    /// Destination address.
    pub dst: [u8; 16],
}

impl Ipv6Header {
    /// Length in bytes.
    pub const LEN: usize = 40;

    /// Returns the version field.
    pub fn version(&self) -> u8 {
        let [first, ..] = self.version_class_flow.to_bytes();
        first >> 4
    }
}

/// The IPv6 fragment header (RFC 8200 section 4.5): 8 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Ipv6FragmentHeader {
    /// Type of what follows.
    pub next_header: u8,
    /// Zero.
    pub reserved: u8,
    /// 13 bits of offset in units of 8 bytes, two reserved bits, "more follow".
    pub offset_more: U16,
    /// Identification.
    pub id: U32,
}

/// IPv6 next-header values that are walked over or end a walk (IANA's registry).
pub mod next_header {
    /// Hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// Routing.
    pub const ROUTING: u8 = 43;
    /// Fragment.
    pub const FRAGMENT: u8 = 44;
    /// Authentication header: its length counts words of 4 bytes, less 2 (RFC 4302).
    pub const AUTHENTICATION: u8 = 51;
    /// Destination options.
    pub const DESTINATION: u8 = 60;
    /// Mobility (RFC 6275).
    pub const MOBILITY: u8 = 135;
}
