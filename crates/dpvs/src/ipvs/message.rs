// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages of generic netlink, and packets of them.

use super::attributes::Writer;
use netlink_packet_core::{
    DecodeError, DoneMessage, ErrorMessage, NLM_F_CAPPED, NLM_F_MULTIPART, NetlinkDeserializable,
    NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use nix::errno::Errno;
use std::collections::VecDeque;
use std::num::NonZeroI32;

/// Length of the header of all messages.
pub(super) const HEADER_LEN: usize = 16;
/// The family that tells the numbers of families.
pub(super) const CONTROL_FAMILY: u16 = 0x10;
/// Our number for the family `IPVS`. The kernel's differs from boot to boot.
pub(super) const IPVS_FAMILY: u16 = 0x1c;
/// Longest packet that answers: what stock tools have room for.
pub(super) const PACKET_LEN_MAX: usize = 16 << 10;

/// A message without its netlink header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Generic {
    /// The family's number.
    pub(super) family: u16,
    pub(super) command: u8,
    pub(super) version: u8,
    /// Attributes as they are on the wire.
    pub(super) attributes: Vec<u8>,
}

impl NetlinkSerializable for Generic {
    fn message_type(&self) -> u16 {
        self.family
    }

    fn buffer_len(&self) -> usize {
        4 + self.attributes.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let bytes = [self.command, self.version, 0, 0];
        for (place, byte) in buffer.iter_mut().zip(bytes.iter().chain(&self.attributes)) {
            *place = *byte;
        }
    }
}

impl NetlinkDeserializable for Generic {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let [command, version, _, _, attributes @ ..] = payload else {
            return Err(DecodeError::from("no room for a command"));
        };
        let (command, version) = (*command, *version);
        let attributes = attributes.to_vec();
        Ok(Generic { family: header.message_type, command, version, attributes })
    }
}

/// The packets that answer a client.
#[derive(Debug, Default)]
pub(super) struct Packets(VecDeque<Vec<u8>>);

impl Packets {
    /// Returns the packet that is next to be sent.
    pub(super) fn front(&self) -> Option<&[u8]> {
        self.0.front().map(Vec::as_slice)
    }

    /// Takes the packet that is next away.
    pub(super) fn pop(&mut self) {
        self.0.pop_front();
    }

    /// Returns whether all are sent.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Answers a request with one message.
    pub(super) fn reply(&mut self, to: &NetlinkHeader, generic: Generic) {
        self.0.push_back(bytes(to, 0, NetlinkPayload::InnerMessage(generic)));
    }

    /// Adds a message to a listing, in the packet that is there if it has room.
    pub(super) fn list(&mut self, to: &NetlinkHeader, command: u8, attributes: Writer) {
        let attributes = attributes.into_bytes();
        let generic = Generic { family: IPVS_FAMILY, command, version: 1, attributes };
        self.add(bytes(to, NLM_F_MULTIPART, NetlinkPayload::InnerMessage(generic)));
    }

    /// Ends a listing.
    pub(super) fn done(&mut self, to: &NetlinkHeader) {
        self.add(bytes(to, NLM_F_MULTIPART, NetlinkPayload::Done(DoneMessage::default())));
    }

    fn add(&mut self, mut message: Vec<u8>) {
        match self.0.back_mut() {
            Some(last) if last.len() + message.len() <= PACKET_LEN_MAX => last.append(&mut message),
            _ => self.0.push_back(message),
        }
    }

    /// Says how a request ended, in a packet of its own: some wait for that after the answer.
    pub(super) fn end(&mut self, to: &NetlinkHeader, outcome: Result<(), Errno>) {
        let code = outcome.err().and_then(|errno| NonZeroI32::new(-error_number(errno)));
        let mut error = ErrorMessage::default();
        error.code = code;
        error.header = header_bytes(to);
        self.0.push_back(bytes(to, NLM_F_CAPPED, NetlinkPayload::Error(error)));
    }
}

/// The number of an error. Its variants have the numbers of the system.
#[allow(clippy::as_conversions, reason = "an enum without fields, of type i32")]
fn error_number(errno: Errno) -> i32 {
    errno as i32
}

/// Puts a header as it came back into bytes.
fn header_bytes(header: &NetlinkHeader) -> Vec<u8> {
    let NetlinkHeader { length, message_type, flags, sequence_number, port_number, .. } = header;
    let mut bytes = Vec::with_capacity(HEADER_LEN);
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&message_type.to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&sequence_number.to_ne_bytes());
    bytes.extend_from_slice(&port_number.to_ne_bytes());
    bytes
}

fn bytes(to: &NetlinkHeader, flags: u16, payload: NetlinkPayload<Generic>) -> Vec<u8> {
    let mut header = *to;
    header.flags = flags;
    let mut message = NetlinkMessage::new(header, payload);
    message.finalize();
    let len = message.buffer_len();
    // The next message of the packet begins at a multiple of 4.
    let mut bytes = vec![0; len.next_multiple_of(4)];
    if let Some(place) = bytes.get_mut(..len) {
        message.serialize(place);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> NetlinkHeader {
        let mut header = NetlinkHeader::default();
        (header.length, header.message_type, header.flags) = (20, 0x1c, 0x305);
        (header.sequence_number, header.port_number) = (0x0403_0201, 0x0807_0605);
        header
    }

    #[test]
    fn a_success_and_an_error_have_the_request_header_in_them() {
        let mut packets = Packets::default();
        packets.end(&header(), Ok(()));
        packets.end(&header(), Err(Errno::ESRCH));
        let begin = [36, 0, 0, 0, 2, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8];
        let request = [20, 0, 0, 0, 0x1c, 0, 5, 3, 1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(packets.front(), Some(&[&begin[..], &[0; 4], &request].concat()[..]));
        packets.pop();
        // 3 is ESRCH.
        let code = [0xfd, 0xff, 0xff, 0xff];
        assert_eq!(packets.front(), Some(&[&begin[..], &code, &request].concat()[..]));
    }

    #[test]
    fn a_listing_is_cut_into_packets_that_stock_tools_have_room_for() {
        let mut packets = Packets::default();
        for _ in 0..100 {
            let mut writer = Writer::default();
            writer.bytes(1, &[7; 1000]);
            packets.list(&header(), 1, writer);
        }
        packets.done(&header());
        let lens: Vec<usize> = packets.0.iter().map(Vec::len).collect();
        // 16 messages of 1024 bytes in each but the last, which has 4 and 20 bytes for the end.
        assert_eq!(lens, [16384, 16384, 16384, 16384, 16384, 16384, 4116]);
    }
}
