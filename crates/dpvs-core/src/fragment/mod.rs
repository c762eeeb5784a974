// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fragments: what their headers say, which of them are refused, and how packets are cut.
//!
//! Nothing is put together here. Only a datagram's first fragment has the ports, so a worker
//! remembers in its [`FragmentTable`] what it did with the first, and does the same with the later
//! ones. A later fragment that overtakes its first is not held: the sender repeats the datagram.

mod split;
mod table;

pub use split::{HEADERS_LEN_MAX, MTU_MIN, PIECES_MAX, Piece, Pieces, split};
pub use table::{FragmentTable, LIFETIME_MS};

use crate::key::Address;
use crate::net::{Family, Protocol};
use crate::wire::{Ipv4Header, Ipv6FragmentHeader};

/// Offsets count units of this many bytes.
const UNIT_LEN: usize = 8;

/// What the fragments of one datagram have in common.
///
/// IPv4: addresses, protocol and identification (RFC 791 section 3.2). IPv6: addresses and
/// identification (RFC 8200 section 4.5); the fragments' next headers may differ, so `protocol` is
/// 0 there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FragmentKey {
    /// Source address.
    pub src: Address,
    /// Destination address.
    pub dst: Address,
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// Protocol in IPv4, 0 in IPv6.
    pub protocol: u8,
}

/// What a packet's headers say of it as a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The datagram that it is part of.
    pub key: FragmentKey,
    /// Where its data belongs in the datagram's, in bytes.
    pub offset: usize,
    /// Whether others follow.
    pub has_more: bool,
    /// What the datagram carries: the protocol in IPv4, the fragment header's next header in IPv6.
    pub protocol: u8,
}

/// Why a fragment is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    /// It carries nothing.
    #[error("fragment has no data")]
    Empty,
    /// It is not the last one, and its length is not a multiple of 8 bytes.
    #[error("fragment of {0} bytes is not the last one")]
    UnevenLength(usize),
    /// Its datagram would be longer than any can be: a "ping of death".
    #[error("fragment ends at byte {0}, beyond any datagram")]
    TooLong(usize),
    /// It would write over the control bits of a TCP header that was let through.
    #[error("fragment overlaps its TCP header")]
    OverlapsHeader,
}

impl Fragment {
    /// Reads an IPv4 header; `None` if the packet is whole.
    pub fn read_v4(header: &Ipv4Header) -> Option<Fragment> {
        if !header.is_fragment() {
            return None;
        }
        let flags_fragment = header.flags_fragment.get();
        Some(Fragment {
            key: FragmentKey {
                src: Address::v4(header.src),
                dst: Address::v4(header.dst),
                id: u32::from(header.id.get()),
                protocol: header.protocol,
            },
            offset: usize::from(flags_fragment & Ipv4Header::OFFSET_MASK) * UNIT_LEN,
            has_more: flags_fragment & Ipv4Header::MORE_FRAGMENTS != 0,
            protocol: header.protocol,
        })
    }

    /// Reads the fragment header of an IPv6 packet; `None` if the packet is whole, which includes
    /// "atomic" fragments (RFC 6946).
    pub fn read_v6(src: Address, dst: Address, header: &Ipv6FragmentHeader) -> Option<Fragment> {
        // The offset stands in the upper 13 bits: with the rest masked it counts bytes.
        let offset_more = header.offset_more.get();
        let (offset, has_more) = (usize::from(offset_more & 0xfff8), offset_more & 1 != 0);
        if offset == 0 && !has_more {
            return None;
        }
        let key = FragmentKey { src, dst, id: header.id.get(), protocol: 0 };
        Some(Fragment { key, offset, has_more, protocol: header.next_header })
    }

    /// Returns whether it is the first of its datagram, the one with the transport header.
    pub fn is_first(&self) -> bool {
        self.offset == 0
    }

    /// Checks what holds for every honest fragment. `payload_len` counts the bytes after the IPv4
    /// header or the IPv6 fragment header.
    ///
    /// That a first fragment holds its transport header is not checked here but by the parser,
    /// which reads that header anyway.
    ///
    /// # Errors
    /// The reason to drop it.
    pub fn check(&self, payload_len: usize) -> Result<(), FragmentError> {
        if payload_len == 0 {
            return Err(FragmentError::Empty);
        }
        // RFC 8200 section 4.5; in IPv4 nothing could continue it either.
        if self.has_more && !payload_len.is_multiple_of(UNIT_LEN) {
            return Err(FragmentError::UnevenLength(payload_len));
        }
        // The length fields have 16 bits; that of IPv4 counts the header too.
        let len_max = match self.key.src.family() {
            Family::V4 => usize::from(u16::MAX) - Ipv4Header::LEN,
            Family::V6 => usize::from(u16::MAX),
        };
        let end = self.offset + payload_len;
        if end > len_max {
            return Err(FragmentError::TooLong(end));
        }
        // RFC 3128 section 3: the first fragment went through for its header, and one at offset 8
        // would replace the control bits in it. No TCP header is that short.
        if self.offset == UNIT_LEN && self.protocol == Protocol::Tcp.number() {
            return Err(FragmentError::OverlapsHeader);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::view;

    const SRC: [u8; 4] = [198, 51, 100, 10];
    const DST: [u8; 4] = [203, 0, 113, 80];

    fn v4(protocol: u8, flags_fragment: [u8; 2]) -> Option<Fragment> {
        let [high, low] = flags_fragment;
        let bytes = [
            0x45, 0, 0, 0x44, 0x12, 0x34, high, low, 0x3f, protocol, 0, 0, 198, 51, 100, 10, 203,
            0, 113, 80,
        ];
        Fragment::read_v4(view(&bytes, 0).unwrap())
    }

    fn v6(next_header: u8, offset_more: [u8; 2]) -> Option<Fragment> {
        let [high, low] = offset_more;
        let bytes = [next_header, 0, high, low, 0xde, 0xad, 0xbe, 0xef];
        let (src, dst) = (Address::v6([0x20; 16]), Address::v6([0x21; 16]));
        Fragment::read_v6(src, dst, view(&bytes, 0).unwrap())
    }

    #[test]
    fn fragments_are_told_from_whole_packets() {
        assert_eq!(v4(17, [0x00, 0x00]), None);
        assert_eq!(v4(17, [0x40, 0x00]), None);
        assert_eq!(v6(17, [0x00, 0x00]), None);
        // Reserved bits are none of the offset (RFC 8200 section 4.5).
        assert_eq!(v6(17, [0x00, 0x06]), None);
    }

    #[test]
    fn the_fields_of_both_families_are_read() {
        let key =
            FragmentKey { src: Address::v4(SRC), dst: Address::v4(DST), id: 0x1234, protocol: 17 };
        let first = Fragment { key, offset: 0, has_more: true, protocol: 17 };
        assert_eq!(v4(17, [0x20, 0x00]), Some(first));
        assert!(first.is_first());
        let last = Fragment { key, offset: 65_528, has_more: false, protocol: 17 };
        assert_eq!(v4(17, [0x1f, 0xff]), Some(last));
        assert!(!last.is_first());

        let middle = v6(6, [0x05, 0xa9]).unwrap();
        assert_eq!((middle.offset, middle.has_more, middle.protocol), (1448, true, 6));
        assert_eq!((middle.key.id, middle.key.protocol), (0xdead_beef, 0));
        let last = v6(60, [0x05, 0xae]).unwrap();
        assert_eq!((last.offset, last.has_more, last.key), (1448, false, middle.key));
    }

    #[test]
    fn a_ping_of_death_is_refused_and_the_longest_datagram_is_not() {
        // IPv4: offset 65 512 is 0x1ffd units; 20 bytes of header count too.
        assert_eq!(v4(1, [0x1f, 0xfd]).unwrap().check(3), Ok(()));
        assert_eq!(v4(1, [0x1f, 0xfd]).unwrap().check(4), Err(FragmentError::TooLong(65_516)));
        assert_eq!(v6(58, [0xff, 0xf8]).unwrap().check(7), Ok(()));
        assert_eq!(v6(58, [0xff, 0xf8]).unwrap().check(8), Err(FragmentError::TooLong(65_536)));
    }

    #[test]
    fn a_fragment_that_overlaps_the_tcp_header_is_refused() {
        for fragment in [v4(6, [0x00, 0x01]), v4(6, [0x20, 0x01]), v6(6, [0x00, 0x08])] {
            assert_eq!(fragment.unwrap().check(40), Err(FragmentError::OverlapsHeader));
        }
        // UDP's header ends there, and TCP's ends by its own length further on.
        assert_eq!(v4(17, [0x00, 0x01]).unwrap().check(40), Ok(()));
        assert_eq!(v4(6, [0x00, 0x03]).unwrap().check(40), Ok(()));
    }

    #[test]
    fn empty_and_uneven_fragments_are_refused_but_the_last_may_end_anywhere() {
        assert_eq!(v4(17, [0x00, 0x02]).unwrap().check(0), Err(FragmentError::Empty));
        assert_eq!(v4(17, [0x20, 0x02]).unwrap().check(9), Err(FragmentError::UnevenLength(9)));
        assert_eq!(v6(17, [0x00, 0x11]).unwrap().check(1), Err(FragmentError::UnevenLength(1)));
        assert_eq!(v4(17, [0x00, 0x02]).unwrap().check(9), Ok(()));
        assert_eq!(v4(17, [0x20, 0x00]).unwrap().check(16), Ok(()));
    }
}
