// SPDX-License-Identifier: MIT OR Apache-2.0
//! What stands between outer and inner packet of a tunnel: GRE (RFC 2784) and GUE variant 0
//! (draft-ietf-intarea-gue section 3).

use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// GRE without its optional checksum: 4 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct GreHeader {
    /// [`GreHeader::CHECKSUM`], reserved bits, version 0.
    pub flags_version: U16,
    /// [`EtherType`](super::EtherType) of the inner packet.
    pub protocol: U16,
}

impl GreHeader {
    /// Length in bytes.
    pub const LEN: usize = 4;
    /// Length of the checksum with the reserved bytes behind it.
    pub const CHECKSUM_LEN: usize = 4;
    /// "A checksum is present."
    pub const CHECKSUM: u16 = 0x8000;
}

/// GUE, variant 0, without extension fields: 4 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct GueHeader {
    /// Two bits of variant, the control bit, five bits of length beyond 4 bytes in words.
    pub version_len: u8,
    /// IP protocol of what follows.
    pub protocol: u8,
    /// Which extension fields there are.
    pub flags: U16,
}

impl GueHeader {
    /// Length in bytes.
    pub const LEN: usize = 4;
}
