// SPDX-License-Identifier: MIT OR Apache-2.0
//! The chunk of an SCTP packet that says what becomes of its association (RFC 9260 section 3).

use crate::wire::{SctpHeader, view};
use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// Most chunks of a packet that are looked at.
const CHUNKS_MAX: usize = 8;

/// Chunk types (RFC 9260 section 3.2).
pub(super) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const INIT: u8 = 1;
    pub(crate) const INIT_ACK: u8 = 2;
    pub(crate) const SACK: u8 = 3;
    pub(crate) const HEARTBEAT: u8 = 4;
    pub(crate) const HEARTBEAT_ACK: u8 = 5;
    pub(crate) const ABORT: u8 = 6;
    pub(crate) const SHUTDOWN: u8 = 7;
    pub(crate) const SHUTDOWN_ACK: u8 = 8;
    pub(crate) const COOKIE_ECHO: u8 = 10;
    pub(crate) const COOKIE_ACK: u8 = 11;
    pub(crate) const SHUTDOWN_COMPLETE: u8 = 14;
    /// RFC 8260.
    pub(crate) const I_DATA: u8 = 64;
}

/// What every chunk starts with (RFC 9260 section 3.2): 4 bytes.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ChunkHeader {
    kind: u8,
    flags: u8,
    /// With this header, without padding.
    len: U16,
}

impl ChunkHeader {
    const LEN: usize = 4;
    /// Flag T of ABORT and SHUTDOWN COMPLETE: "the tag is the one that you sent me".
    const TAG_REFLECTED: u8 = 0x01;
}

/// The fixed part of INIT and INIT ACK (RFC 9260 sections 3.3.2 and 3.3.3): 20 bytes.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct InitChunk {
    header: ChunkHeader,
    tag: U32,
    window: U32,
    out_streams: U16,
    in_streams: U16,
    tsn: U32,
}

/// The chunk that says what a packet does to its association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SctpChunk {
    /// Verification tag of the packet.
    pub tag: u32,
    /// Type of the first chunk that can change an association, else of the first chunk.
    pub kind: u8,
    /// The tag that INIT and INIT ACK tell the other end; 0 of other chunks.
    pub initiate_tag: u32,
    /// The packet's tag is that of its sender, not of its receiver (flag T of ABORT and SHUTDOWN
    /// COMPLETE): sent by who knows nothing of the association.
    pub is_tag_reflected: bool,
}

impl SctpChunk {
    /// Reads the packet whose common header starts at `l4` and that ends at `end`. `None` if its
    /// first chunk is cut short.
    ///
    /// Control chunks precede DATA (RFC 9260 section 6.10), and an ABORT or SHUTDOWN may follow a
    /// SACK or an ERROR: so up to 8 chunks are looked at, until the first that matters.
    pub fn read(bytes: &[u8], l4: usize, end: usize) -> Option<SctpChunk> {
        let packet = bytes.get(l4..end)?;
        let common: &SctpHeader = view(packet, 0)?;
        let first: &ChunkHeader = view(packet, size_of::<SctpHeader>())?;
        let (mut chunk, mut offset) = (first, size_of::<SctpHeader>());
        for _ in 1..CHUNKS_MAX {
            let len = usize::from(chunk.len.get());
            if !is_passed_over(chunk.kind) || len < ChunkHeader::LEN {
                break;
            }
            offset += len.next_multiple_of(4);
            let Some(next) = view(packet, offset) else { break };
            chunk = next;
        }
        // These stand alone (section 6.10): behind others they mean nothing.
        let is_alone = matches!(chunk.kind, kind::INIT | kind::INIT_ACK | kind::SHUTDOWN_COMPLETE);
        if is_passed_over(chunk.kind) || (is_alone && offset != size_of::<SctpHeader>()) {
            (chunk, offset) = (first, size_of::<SctpHeader>());
        }
        let initiate_tag = match chunk.kind {
            kind::INIT | kind::INIT_ACK => {
                let init: &InitChunk = view(packet, offset)?;
                if usize::from(init.header.len.get()) < size_of::<InitChunk>() {
                    return None;
                }
                init.tag.get()
            }
            _ => 0,
        };
        let can_reflect = matches!(chunk.kind, kind::ABORT | kind::SHUTDOWN_COMPLETE);
        Some(SctpChunk {
            tag: common.tag.get(),
            kind: chunk.kind,
            initiate_tag,
            is_tag_reflected: can_reflect && chunk.flags & ChunkHeader::TAG_REFLECTED != 0,
        })
    }

    /// Returns whether a client asks for an association with this: an INIT, whose packet has tag 0.
    /// One that tells the tag 0 is to be ignored (RFC 9260 section 3.3.2).
    pub fn starts_association(&self) -> bool {
        self.kind == kind::INIT && self.tag == 0 && self.initiate_tag != 0
    }
}

/// Returns whether a chunk of this type says nothing of the association, and others may follow it.
fn is_passed_over(kind: u8) -> bool {
    !matches!(
        kind,
        kind::DATA
            | kind::I_DATA
            | kind::INIT
            | kind::INIT_ACK
            | kind::ABORT
            | kind::SHUTDOWN
            | kind::SHUTDOWN_ACK
            | kind::COOKIE_ECHO
            | kind::COOKIE_ACK
            | kind::SHUTDOWN_COMPLETE
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: u32 = 0xc11e_0001;
    const SERVER: u32 = 0x5e12_0002;

    fn chunk(kind: u8, tag: u32) -> SctpChunk {
        SctpChunk { tag, kind, initiate_tag: 0, is_tag_reflected: false }
    }

    fn reflected(kind: u8, tag: u32) -> SctpChunk {
        SctpChunk { is_tag_reflected: true, ..chunk(kind, tag) }
    }

    const COMMON: [u8; 12] = [0x9c, 0x40, 0x16, 0x2e, 0x5e, 0x12, 0, 0x02, 0xaa, 0xbb, 0xcc, 0xdd];

    fn read(tag: u32, chunks: &[&[u8]]) -> Option<SctpChunk> {
        let mut packet = [&[0xff; 34][..], &COMMON, &chunks.concat()].concat();
        packet[38..42].copy_from_slice(&tag.to_be_bytes());
        let end = packet.len();
        // What follows the packet is not its own.
        packet.extend([6, 0, 0, 4]);
        SctpChunk::read(&packet, 34, end)
    }

    const INIT: [u8; 20] =
        [0x01, 0, 0, 0x14, 0xc1, 0x1e, 0, 0x01, 0, 1, 0, 0, 0, 10, 0, 10, 0x11, 0x22, 0x33, 0x44];
    const SACK: [u8; 16] = [0x03, 0, 0, 0x10, 1, 2, 3, 4, 0, 1, 0, 0, 0, 0, 0, 0];

    #[test]
    fn an_init_starts_an_association_if_it_is_whole_and_its_packet_has_tag_0() {
        assert_eq!(read(0, &[&INIT]), Some(SctpChunk { initiate_tag: CLIENT, ..chunk(1, 0) }));
        assert!(read(0, &[&INIT]).unwrap().starts_association());
        assert!(!read(SERVER, &[&INIT]).unwrap().starts_association());
        assert!(!read(0, &[&SACK]).unwrap().starts_association());
        let mut tag_0 = INIT;
        tag_0[4..8].fill(0);
        assert!(!read(0, &[&tag_0]).unwrap().starts_association());
        assert_eq!(read(0, &[&INIT[..19]]), None);
        let mut short = INIT;
        short[3] = 16;
        assert_eq!(read(0, &[&short]), None);
    }

    #[test]
    fn a_packet_is_read_up_to_its_end_and_not_further() {
        assert_eq!(read(SERVER, &[&[6, 0, 0]]), None);
        assert_eq!(read(SERVER, &[]), None);
        assert_eq!(read(SERVER, &[&[6, 0, 0, 4]]), Some(chunk(6, SERVER)));
        assert_eq!(SctpChunk::read(&COMMON, 0, 13), None);
        assert_eq!(SctpChunk::read(&COMMON, 8, 4), None);
        // The SACK ends where the packet does.
        assert_eq!(read(SERVER, &[&SACK]), Some(chunk(3, SERVER)));
    }

    #[test]
    fn flag_t_counts_in_abort_and_shutdown_complete_alone() {
        assert_eq!(read(CLIENT, &[&[6, 1, 0, 4]]), Some(reflected(6, CLIENT)));
        assert_eq!(read(CLIENT, &[&[14, 1, 0, 4]]), Some(reflected(14, CLIENT)));
        assert_eq!(read(CLIENT, &[&[14, 2, 0, 4]]), Some(chunk(14, CLIENT)));
        assert_eq!(read(CLIENT, &[&[0, 1, 0, 4]]), Some(chunk(0, CLIENT)));
    }

    #[test]
    fn a_chunk_behind_those_that_say_nothing_is_found() {
        let shutdown = [7, 0, 0, 8, 1, 2, 3, 4];
        let abort = [6, 0, 0, 4];
        assert_eq!(read(SERVER, &[&SACK, &shutdown]), Some(chunk(7, SERVER)));
        // ERROR of 5 bytes, padded to 8.
        let error = [9, 0, 0, 5, 1, 0, 0, 0];
        assert_eq!(read(SERVER, &[&error, &abort]), Some(chunk(6, SERVER)));
        // DATA is followed by DATA only, and an INIT stands alone.
        assert_eq!(read(SERVER, &[&[0, 3, 0, 4], &abort]), Some(chunk(0, SERVER)));
        assert_eq!(read(0, &[&SACK, &INIT]), Some(chunk(3, 0)));
        // A chunk without a length is the last, and so is the eighth.
        assert_eq!(read(SERVER, &[&[3, 0, 0, 0], &abort]), Some(chunk(3, SERVER)));
        let many = [&SACK[..]; 7].concat();
        assert_eq!(read(SERVER, &[&many, &abort]), Some(chunk(6, SERVER)));
        assert_eq!(read(SERVER, &[&SACK, &many, &abort]), Some(chunk(3, SERVER)));
    }
}
