// SPDX-License-Identifier: MIT OR Apache-2.0
//! Neighbour solicitation and advertisement (RFC 4861 sections 4.3 and 4.4).

use crate::checksum::Checksum;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A neighbour solicitation or advertisement without its options: 24 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct NeighbourHeader {
    /// [`NeighbourHeader::SOLICITATION`] or [`NeighbourHeader::ADVERTISEMENT`].
    pub icmp_type: u8,
    /// 0.
    pub code: u8,
    /// Checksum with the pseudo header.
    pub checksum: Checksum,
    /// Flags of an advertisement in the first byte.
    pub flags: [u8; 4],
    /// The address asked for, or that is answered for.
    pub target: [u8; 16],
}

impl NeighbourHeader {
    /// Length in bytes.
    pub const LEN: usize = 24;
    /// `ICMPv6` type of a solicitation.
    pub const SOLICITATION: u8 = 135;
    /// `ICMPv6` type of an advertisement.
    pub const ADVERTISEMENT: u8 = 136;
    /// "This answers a solicitation."
    pub const SOLICITED: u8 = 0x40;
    /// "Replace what you know."
    pub const OVERRIDE: u8 = 0x20;
    /// Option: link address of the sender.
    pub const SOURCE_LINK_ADDRESS: u8 = 1;
    /// Option: link address of the target.
    pub const TARGET_LINK_ADDRESS: u8 = 2;
    /// Length of a link address option in bytes.
    pub const LINK_OPTION_LEN: usize = 8;
}
