// SPDX-License-Identifier: MIT OR Apache-2.0
//! TCP (RFC 9293), UDP (RFC 768), SCTP (RFC 9260).

use crate::checksum::Checksum;
use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The fixed part of a TCP header: 20 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct TcpHeader {
    /// Source port.
    pub sport: U16,
    /// Destination port.
    pub dport: U16,
    /// Sequence number.
    pub seq: U32,
    /// Acknowledgement number.
    pub ack: U32,
    /// Header length in 32-bit words, in the high four bits.
    pub data_offset: u8,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window.
    pub window: U16,
    /// Checksum over pseudo header, header and data.
    pub checksum: Checksum,
    /// Urgent pointer.
    pub urgent: U16,
}

impl TcpHeader {
    /// Length without options, in bytes.
    pub const LEN: usize = 20;
    /// Where the checksum stands.
    pub const CHECKSUM_OFFSET: usize = 16;

    /// Returns the length with options in bytes, as the field says.
    pub fn header_len(&self) -> usize {
        usize::from(self.data_offset >> 4) * 4
    }
}

/// TCP's control bits.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(transparent)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: TcpFlags = TcpFlags(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: TcpFlags = TcpFlags(0x02);
    /// Reset.
    pub const RST: TcpFlags = TcpFlags(0x04);
    /// The acknowledgement number counts.
    pub const ACK: TcpFlags = TcpFlags(0x10);

    /// Returns whether all bits of `other` are set.
    pub fn has(self, other: TcpFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns whether the sender ends the connection, or its half of it.
    pub fn ends(self) -> bool {
        self.has(TcpFlags::FIN) || self.has(TcpFlags::RST)
    }
}

/// A UDP header: 8 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct UdpHeader {
    /// Source port.
    pub sport: U16,
    /// Destination port.
    pub dport: U16,
    /// Header and data in bytes.
    pub len: U16,
    /// Checksum over pseudo header, header and data; zero is none.
    pub checksum: Checksum,
}

impl UdpHeader {
    /// Length in bytes.
    pub const LEN: usize = 8;
    /// Where the checksum stands.
    pub const CHECKSUM_OFFSET: usize = 6;
}

/// The common header of SCTP: 12 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct SctpHeader {
    /// Source port.
    pub sport: U16,
    /// Destination port.
    pub dport: U16,
    /// Verification tag.
    pub tag: U32,
    /// CRC32c of the packet.
    pub crc: U32,
}
