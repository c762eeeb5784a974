// SPDX-License-Identifier: MIT OR Apache-2.0
//! The connection id of a QUIC packet, as far as every version of QUIC has it (RFC 8999).

use crate::parse::Packet;
use crate::wire::{UdpHeader, view};

/// Bytes of a connection id that are used. A packet with a short header does not say how long its
/// connection id is, so servers that are to be told apart by it give out ids at least as long.
pub(crate) const ID_LEN: usize = 8;

/// Returns the first bytes of the destination connection id, a shorter one filled up with zeros.
/// `None` if there is none, or the datagram is not long enough to be QUIC's.
pub(crate) fn connection_id(bytes: &[u8], packet: &Packet) -> Option<[u8; ID_LEN]> {
    let datagram = bytes.get(packet.l4 + UdpHeader::LEN..packet.end)?;
    let [first, ..] = *datagram else { return None };
    let is_long = first & 0x80 != 0;
    if !is_long {
        return view::<[u8; ID_LEN]>(datagram, 1).copied();
    }
    // The form bit and version come before the length (RFC 8999 section 5.1).
    let [len]: [u8; 1] = *view(datagram, 5)?;
    let id = datagram.get(6..6 + usize::from(len))?;
    if id.is_empty() {
        return None;
    }
    let mut start = [0; ID_LEN];
    for (place, byte) in start.iter_mut().zip(id) {
        *place = *byte;
    }
    Some(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Mac;
    use crate::parse::{Parsed, parse};
    use crate::testing::PacketBuilder;

    fn id(data: &[u8]) -> Option<[u8; ID_LEN]> {
        let frame = PacketBuilder::new("198.51.100.10", "203.0.113.80").udp(1, 443, data);
        match parse(&frame, Mac(PacketBuilder::OUR_MAC)) {
            Ok(Parsed::Ip(packet)) => connection_id(&frame, &packet),
            _ => None,
        }
    }

    /// The Initial packet of RFC 9001 appendix A.2 has the connection id 8394c8f03e515708.
    #[test]
    fn the_id_of_a_long_header_is_found() {
        let initial = [0xc0, 0, 0, 0, 1, 8, 0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08, 0, 0];
        assert_eq!(id(&initial), Some([0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08]));
        assert_eq!(id(&[0xc0, 0, 0, 0, 1, 3, 7, 8, 9, 0]), Some([7, 8, 9, 0, 0, 0, 0, 0]));
        assert_eq!(id(&[0xc0, 0, 0, 0, 1, 0, 0]), None);
    }

    #[test]
    fn the_id_of_a_short_header_is_what_follows_its_first_byte() {
        assert_eq!(id(&[0x40, 1, 2, 3, 4, 5, 6, 7, 8, 9]), Some([1, 2, 3, 4, 5, 6, 7, 8]));
    }

    #[test]
    fn what_is_too_short_has_none() {
        for data in [&[][..], &[0x40], &[0x40, 1, 2, 3, 4, 5, 6, 7], &[0xc0, 0, 0, 0, 1, 8, 0]] {
            assert_eq!(id(data), None, "{data:02x?}");
        }
    }
}
