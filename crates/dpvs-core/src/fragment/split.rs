// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cuts an IPv4 packet into fragments that fit a link (RFC 791 section 3.2).
//!
//! The pieces borrow the packet's data and have headers of their own, so nothing is allocated and
//! the frame stays as it is. IPv6 routers do not fragment (RFC 8200 section 5): they answer "too
//! big".

use super::{Fragment, UNIT_LEN};
use crate::checksum::{self, Checksum};
use crate::net::Family;
use crate::parse::Packet;
use crate::wire::{EthernetHeader, Ipv4Header, view, view_mut};
use arrayvec::ArrayVec;
use zerocopy::big_endian::U16;

/// Most pieces that one packet is cut into.
pub const PIECES_MAX: usize = 64;

/// Least MTU: RFC 791 section 3.2 has every link take 68 bytes, the longest header and one unit.
pub const MTU_MIN: usize = 68;

/// Longest header of a piece: Ethernet and IPv4 with all its options.
pub const HEADERS_LEN_MAX: usize = EthernetHeader::LEN + 60;

/// End of the options.
const OPTION_END: u8 = 0;
/// One byte without a meaning.
const OPTION_NONE: u8 = 1;
/// "Copied": the option is in every fragment (RFC 791 section 3.1).
const OPTION_COPIED: u8 = 0x80;

type Headers = ArrayVec<u8, HEADERS_LEN_MAX>;

/// A fragment in two runs of bytes.
#[derive(Clone, Debug)]
pub struct Piece<'a> {
    /// Ethernet and IPv4 header.
    pub header: ArrayVec<u8, HEADERS_LEN_MAX>,
    /// Its part of the packet's data.
    pub payload: &'a [u8],
}

impl Piece<'_> {
    /// Returns the bytes of its frame in order.
    pub fn parts(&self) -> [&[u8]; 2] {
        [&self.header, self.payload]
    }

    /// Returns the length of its frame in bytes.
    pub fn len(&self) -> usize {
        self.header.len() + self.payload.len()
    }

    /// Returns false: a piece has its header.
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// The fragments of a packet, first to last. At least one, at most [`PIECES_MAX`].
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    /// Header of the next piece, but for the fields that differ from piece to piece.
    header: Headers,
    /// Header of those after it.
    later: Headers,
    l3: usize,
    mtu: usize,
    /// Where the next piece belongs, in units.
    offset: u16,
    /// Whether something follows the packet that is cut.
    has_more: bool,
    /// Data still to send; `None` after the last piece.
    rest: Option<&'a [u8]>,
}

/// Cuts `packet`, which `frame` holds from its Ethernet header on, into fragments of at most `mtu`
/// bytes from the IP header on.
///
/// The Ethernet header goes before each as it is. A fragment is cut further. `None` if it cannot be
/// done: the packet is IPv6 or says "do not fragment", its options or its length as a fragment are
/// broken, `mtu` is below [`MTU_MIN`], or there would be more than [`PIECES_MAX`].
pub fn split<'a>(frame: &'a [u8], packet: &Packet, mtu: u32) -> Option<Pieces<'a>> {
    let mtu = usize::try_from(mtu).ok()?;
    if packet.family != Family::V4 || mtu < MTU_MIN {
        return None;
    }
    let ip: &Ipv4Header = view(frame, packet.l3)?;
    let data = frame.get(packet.l4..packet.end)?;
    let fragment = Fragment::read_v4(ip);
    if ip.is_dont_fragment() || fragment.is_some_and(|fragment| fragment.check(data.len()).is_err())
    {
        return None;
    }
    let header = copy(frame.get(..packet.l4)?)?;
    let pieces = Pieces {
        later: later_header(&header, packet.l3)?,
        header,
        l3: packet.l3,
        mtu,
        offset: ip.flags_fragment.get() & Ipv4Header::OFFSET_MASK,
        has_more: fragment.is_some_and(|fragment| fragment.has_more),
        rest: Some(data),
    };
    // The last piece is the only one that need not end at a unit.
    let (first, later) = (pieces.room(&pieces.header), pieces.room(&pieces.later));
    let most = whole_units(first) + (PIECES_MAX - 2) * whole_units(later) + later;
    (data.len() <= first.max(most)).then_some(pieces)
}

fn copy(bytes: &[u8]) -> Option<Headers> {
    let mut headers = Headers::new();
    headers.try_extend_from_slice(bytes).ok()?;
    Some(headers)
}

/// Makes the headers of all pieces but the first: the options that are not to be copied are left
/// out, and what is left is padded to whole words. `None` if the options are broken.
fn later_header(header: &Headers, l3: usize) -> Option<Headers> {
    let fixed_end = l3 + Ipv4Header::LEN;
    let mut later = copy(header.get(..fixed_end)?)?;
    let mut options = header.get(fixed_end..)?;
    while let [kind, rest @ ..] = options {
        let len = match (*kind, rest) {
            (OPTION_END, _) => break,
            (OPTION_NONE, _) => 1,
            (_, [len, ..]) if *len >= 2 => usize::from(*len),
            _ => return None,
        };
        let (option, after) = options.split_at_checked(len)?;
        if kind & OPTION_COPIED != 0 {
            later.try_extend_from_slice(option).ok()?;
        }
        options = after;
    }
    while !(later.len() - l3).is_multiple_of(4) {
        later.try_push(OPTION_END).ok()?;
    }
    let words = u8::try_from((later.len() - l3) / 4).ok()?;
    let ip: &mut Ipv4Header = view_mut(&mut later, l3)?;
    ip.version_ihl = 0x40 | words;
    Some(later)
}

fn whole_units(len: usize) -> usize {
    len - len % UNIT_LEN
}

impl Pieces<'_> {
    /// Returns how many bytes of data fit behind a header.
    fn room(&self, header: &Headers) -> usize {
        self.mtu.saturating_sub(header.len() - self.l3)
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let rest = self.rest.take()?;
        let room = self.room(&self.header);
        let len = if rest.len() <= room { rest.len() } else { whole_units(room) };
        let (payload, after) = rest.split_at_checked(len)?;
        let is_last = after.is_empty();
        if !is_last {
            self.rest = Some(after);
        }
        let mut header = std::mem::replace(&mut self.header, self.later.clone());
        let total_len = u16::try_from(header.len() - self.l3 + len).ok()?;
        let more = if is_last && !self.has_more { 0 } else { Ipv4Header::MORE_FRAGMENTS };
        let ip: &mut Ipv4Header = view_mut(&mut header, self.l3)?;
        let kept = !(Ipv4Header::OFFSET_MASK | Ipv4Header::MORE_FRAGMENTS);
        ip.total_len = U16::new(total_len);
        ip.flags_fragment = U16::new(ip.flags_fragment.get() & kept | more | self.offset);
        // Computed anew, as the options differ; the parser saw that the packet's own was right.
        ip.checksum = Checksum::default();
        let checksum = checksum::finish(checksum::sum(header.get(self.l3..)?));
        let ip: &mut Ipv4Header = view_mut(&mut header, self.l3)?;
        ip.checksum = checksum;
        self.offset += u16::try_from(len / UNIT_LEN).ok()?;
        Some(Piece { header, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Mac;
    use crate::parse::{Parsed, parse};
    use crate::testing::PacketBuilder;
    use proptest::prelude::*;

    fn packet(frame: &[u8]) -> Packet {
        let Ok(Parsed::Ip(packet)) = parse(frame, Mac(PacketBuilder::OUR_MAC)) else {
            panic!("not an IP packet: {frame:02x?}");
        };
        packet
    }

    fn cut(frame: &[u8], mtu: u32) -> Option<Vec<Vec<u8>>> {
        let pieces = split(frame, &packet(frame), mtu)?;
        Some(
            pieces
                .map(|piece| {
                    assert_eq!(piece.parts().concat().len(), piece.len());
                    piece.parts().concat()
                })
                .collect(),
        )
    }

    const ETHERNET: [u8; 14] = [0x02, 0, 0, 0, 0, 0xbb, 0x02, 0, 0, 0, 0, 0x01, 0x08, 0x00];

    fn frame(ip: &[u8], data: &[u8]) -> Vec<u8> {
        [&ETHERNET, ip, data].concat()
    }

    /// UDP from 198.51.100.10:40000 to 203.0.113.80:53, 92 bytes of data.
    fn udp() -> (Vec<u8>, Vec<u8>) {
        let ip = [
            0x45, 0x28, 0x00, 0x78, 0x12, 0x34, 0x00, 0x00, 0x3f, 0x11, 0x02, 0x8b, 0xc6, 0x33,
            0x64, 0x0a, 0xcb, 0x00, 0x71, 0x50,
        ];
        let mut data = vec![0x9c, 0x40, 0x00, 0x35, 0x00, 0x64, 0xdd, 0xd5];
        data.extend(0..92);
        (frame(&ip, &data), data)
    }

    /// The headers are those that scapy's `fragment(packet, 48)` makes.
    #[test]
    fn a_datagram_is_cut_as_another_implementation_cuts_it() {
        let (whole, data) = udp();
        let expected = [
            frame(
                &[
                    0x45, 0x28, 0x00, 0x44, 0x12, 0x34, 0x20, 0x00, 0x3f, 0x11, 0xe2, 0xbe, 0xc6,
                    0x33, 0x64, 0x0a, 0xcb, 0x00, 0x71, 0x50,
                ],
                &data[..48],
            ),
            frame(
                &[
                    0x45, 0x28, 0x00, 0x44, 0x12, 0x34, 0x20, 0x06, 0x3f, 0x11, 0xe2, 0xb8, 0xc6,
                    0x33, 0x64, 0x0a, 0xcb, 0x00, 0x71, 0x50,
                ],
                &data[48..96],
            ),
            frame(
                &[
                    0x45, 0x28, 0x00, 0x18, 0x12, 0x34, 0x00, 0x0c, 0x3f, 0x11, 0x02, 0xdf, 0xc6,
                    0x33, 0x64, 0x0a, 0xcb, 0x00, 0x71, 0x50,
                ],
                &[0x58, 0x59, 0x5a, 0x5b],
            ),
        ];
        assert_eq!(cut(&whole, 68).unwrap(), expected);
        // 68 to 75 bytes hold the same number of units; only the last piece need not end at one.
        assert_eq!(cut(&whole, 71).unwrap(), expected);
        assert_eq!(cut(&whole, 72).unwrap().len(), 2);
    }

    #[test]
    fn a_packet_that_fits_is_one_piece_and_stays_as_it_is() {
        let (whole, _) = udp();
        assert_eq!(cut(&whole, 120).unwrap(), vec![whole.clone()]);
        assert_eq!(cut(&whole, 119).unwrap().len(), 2);
        // What Ethernet pads a short packet with does not go along.
        let padded = [&whole[..], &[0; 6]].concat();
        assert_eq!(cut(&padded, 1500).unwrap(), [whole]);
    }

    /// 88 bytes of the datagram above from offset 48 on: with others to follow, and as the last.
    #[test]
    fn a_fragment_is_cut_further_and_keeps_its_place() {
        let (_, data) = udp();
        let middle = |flags: u8, checksum: [u8; 2], data: &[u8]| {
            let [high, low] = checksum;
            let ip = [
                0x45, 0x28, 0x00, 0x6c, 0x12, 0x34, flags, 0x06, 0x3f, 0x11, high, low, 0xc6, 0x33,
                0x64, 0x0a, 0xcb, 0x00, 0x71, 0x50,
            ];
            frame(&ip, data)
        };
        let pieces = cut(&middle(0x20, [0xe2, 0x90], &data[..88]), 68).unwrap();
        let header = |piece: &Vec<u8>| piece[16..26].to_vec();
        assert_eq!(
            pieces.iter().map(header).collect::<Vec<_>>(),
            [
                [0x00, 0x44, 0x12, 0x34, 0x20, 0x06, 0x3f, 0x11, 0xe2, 0xb8],
                [0x00, 0x3c, 0x12, 0x34, 0x20, 0x0c, 0x3f, 0x11, 0xe2, 0xba],
            ]
        );
        assert_eq!([&pieces[0][34..], &pieces[1][34..]].concat(), data[..88]);
        let pieces = cut(&middle(0x00, [0x02, 0x91], &data[..88]), 68).unwrap();
        assert_eq!(header(&pieces[0])[4..6], [0x20, 0x06]);
        assert_eq!(header(&pieces[1])[4..6], [0x00, 0x0c]);
    }

    /// Router alert (148, copied), a timestamp (68, not copied), fillers.
    #[test]
    fn only_copied_options_are_in_later_pieces() {
        let options =
            [0x01, 0x94, 0x04, 0x00, 0x00, 0x44, 0x08, 0x05, 0x00, 0, 0, 0, 0, 0x01, 0x00, 0xff];
        let whole = PacketBuilder::new("198.51.100.10", "203.0.113.80")
            .flags_fragment(0)
            .options(&options)
            .udp(40_000, 53, &[7; 92]);
        let pieces = cut(&whole, 68).unwrap();
        assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [14 + 68, 14 + 64, 14 + 52]);
        assert_eq!(pieces[0][14], 0x49);
        assert_eq!(pieces[0][34..50], options);
        for piece in &pieces[1..] {
            assert_eq!(piece[14], 0x46);
            assert_eq!(piece[34..38], [0x94, 0x04, 0x00, 0x00]);
        }
        assert_eq!(pieces[1][20..22], [0x20, 0x04]);
        assert_eq!(pieces[2][20..22], [0x00, 0x09]);
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        let builder = PacketBuilder::new("198.51.100.10", "203.0.113.80").flags_fragment(0);
        let udp = builder.udp(1, 2, &[0; 200]);
        assert!(cut(&udp, 67).is_none(), "no link is that narrow");
        assert!(cut(&builder.clone().flags_fragment(0x4000).udp(1, 2, &[0; 200]), 68).is_none());
        for broken in [[0x94, 0x01, 0, 0], [0x94, 0x05, 0, 0], [0x01, 0x01, 0x01, 0x94]] {
            let packet = builder.clone().options(&broken).udp(1, 2, &[0; 200]);
            assert!(cut(&packet, 68).is_none(), "{broken:02x?}");
        }
        let v6 = PacketBuilder::new("2001:db8::1", "2001:db8::2").udp(1, 2, &[0; 200]);
        assert!(cut(&v6, 68).is_none());
    }

    #[test]
    fn no_packet_is_cut_into_more_than_64_pieces() {
        let builder = PacketBuilder::new("198.51.100.10", "203.0.113.80").flags_fragment(0);
        // 48 bytes to a piece, 8 of the first being UDP's.
        assert_eq!(cut(&builder.udp(1, 2, &[0; 64 * 48 - 8]), 68).unwrap().len(), 64);
        assert!(cut(&builder.udp(1, 2, &[0; 64 * 48 - 7]), 68).is_none());
        // The last one may be longer than whole units are.
        assert_eq!(cut(&builder.udp(1, 2, &[0; 64 * 48 - 1]), 75).unwrap().len(), 64);
        assert!(cut(&builder.udp(1, 2, &[0; 64 * 48]), 75).is_none());
    }

    fn options() -> impl Strategy<Value = Vec<u8>> {
        let option = (any::<u8>(), 2u8..12).prop_map(|(kind, len)| {
            let mut option = vec![kind | 0x02, len];
            option.resize(usize::from(len), 0xaa);
            option
        });
        proptest::collection::vec(option, 0..4).prop_map(|options| {
            let mut all = Vec::new();
            for option in options {
                if all.len() + option.len() <= 40 {
                    all.extend(option);
                }
            }
            all.resize(all.len().next_multiple_of(4), 0);
            all
        })
    }

    proptest! {
        /// A receiver that puts the pieces together has the packet.
        #[test]
        fn the_pieces_put_together_are_the_packet(
            options in options(),
            data in proptest::collection::vec(any::<u8>(), 0..3000),
            mtu in 68u32..1600,
            base in 0u16..4000,
            has_more in any::<bool>(),
        ) {
            let more = if has_more { 0x2000 } else { 0 };
            let len = if has_more { data.len() / 8 * 8 } else { data.len() };
            let whole = PacketBuilder::new("198.51.100.10", "203.0.113.80")
                .flags_fragment(more | base)
                .options(&options)
                .udp(40_000, 53, &data[..len]);
            let Some(pieces) = cut(&whole, mtu) else {
                // At 60 bytes of header a piece has 8 of data.
                prop_assert!(len + 8 > 64 * 8);
                return Ok(());
            };
            prop_assert!(!pieces.is_empty() && pieces.len() <= 64);
            let mut received: Vec<u8> = Vec::new();
            for (number, piece) in pieces.iter().enumerate() {
                let sliced = etherparse::SlicedPacket::from_ethernet(piece).unwrap();
                let Some(etherparse::NetSlice::Ipv4(ip)) = &sliced.net else {
                    panic!("not IPv4");
                };
                let (header, payload) = (ip.header(), ip.payload().payload);
                let is_last = number + 1 == pieces.len();
                prop_assert!(piece.len() - 14 <= usize::try_from(mtu).unwrap());
                prop_assert_eq!(usize::from(header.total_len()) + 14, piece.len());
                let checksum = header.to_header().calc_header_checksum();
                prop_assert_eq!(checksum, header.header_checksum());
                let offset = usize::from(header.fragments_offset().value()) * 8;
                prop_assert_eq!(offset, usize::from(base) * 8 + received.len());
                prop_assert_eq!(header.more_fragments(), has_more || !is_last);
                prop_assert!(is_last || payload.len() % 8 == 0);
                received.extend(payload);
            }
            prop_assert_eq!(&received, &whole[34 + options.len()..]);
        }
    }
}
