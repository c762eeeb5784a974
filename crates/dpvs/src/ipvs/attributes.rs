// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attributes of the family `IPVS`: their numbers, a reader and a writer.

use netlink_packet_core::{DefaultNla, Emitable as _, NLA_HEADER_SIZE, NlasIterator};
use nix::errno::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Commands.
pub(super) mod command {
    pub(crate) const NEW_SERVICE: u8 = 1;
    pub(crate) const SET_SERVICE: u8 = 2;
    pub(crate) const DEL_SERVICE: u8 = 3;
    pub(crate) const GET_SERVICE: u8 = 4;
    pub(crate) const NEW_DEST: u8 = 5;
    pub(crate) const SET_DEST: u8 = 6;
    pub(crate) const DEL_DEST: u8 = 7;
    pub(crate) const GET_DEST: u8 = 8;
    pub(crate) const NEW_DAEMON: u8 = 9;
    pub(crate) const DEL_DAEMON: u8 = 10;
    pub(crate) const GET_DAEMON: u8 = 11;
    pub(crate) const SET_CONFIG: u8 = 12;
    pub(crate) const GET_CONFIG: u8 = 13;
    pub(crate) const SET_INFO: u8 = 14;
    pub(crate) const GET_INFO: u8 = 15;
    pub(crate) const ZERO: u8 = 16;
    pub(crate) const FLUSH: u8 = 17;
    /// Ours: the text of `/proc/net/ip_vs_conn`. The preload library knows it too.
    pub(crate) const GET_CONNECTIONS: u8 = 64;
}

/// Attributes of a command.
pub(super) mod top {
    pub(crate) const SERVICE: u16 = 1;
    pub(crate) const DEST: u16 = 2;
    pub(crate) const TIMEOUT_TCP: u16 = 4;
    pub(crate) const TIMEOUT_TCP_FIN: u16 = 5;
    pub(crate) const TIMEOUT_UDP: u16 = 6;
}

/// Attributes of a service.
pub(super) mod svc {
    pub(crate) const FAMILY: u16 = 1;
    pub(crate) const PROTOCOL: u16 = 2;
    pub(crate) const ADDRESS: u16 = 3;
    pub(crate) const PORT: u16 = 4;
    pub(crate) const FWMARK: u16 = 5;
    pub(crate) const SCHEDULER: u16 = 6;
    pub(crate) const FLAGS: u16 = 7;
    pub(crate) const TIMEOUT: u16 = 8;
    pub(crate) const NETMASK: u16 = 9;
    pub(crate) const STATS: u16 = 10;
    pub(crate) const ENGINE: u16 = 11;
    pub(crate) const STATS64: u16 = 12;
}

/// Attributes of a real server.
pub(super) mod dst {
    pub(crate) const ADDRESS: u16 = 1;
    pub(crate) const PORT: u16 = 2;
    pub(crate) const FORWARD: u16 = 3;
    pub(crate) const WEIGHT: u16 = 4;
    pub(crate) const UPPER: u16 = 5;
    pub(crate) const LOWER: u16 = 6;
    pub(crate) const ACTIVE: u16 = 7;
    pub(crate) const INACTIVE: u16 = 8;
    pub(crate) const PERSISTENT: u16 = 9;
    pub(crate) const STATS: u16 = 10;
    pub(crate) const FAMILY: u16 = 11;
    pub(crate) const STATS64: u16 = 12;
    pub(crate) const TUNNEL_KIND: u16 = 13;
    pub(crate) const TUNNEL_PORT: u16 = 14;
    pub(crate) const TUNNEL_FLAGS: u16 = 15;
}

/// Address families as the kernel numbers them.
pub(super) const INET: u16 = 2;
pub(super) const INET6: u16 = 10;

/// Attributes with greater numbers are for tools that know more than we do.
const KINDS: usize = 16;
/// Longest text: names of schedulers and of the family.
const TEXT_LEN_MAX: usize = 15;
/// Longest value that the length of an attribute can tell.
const VALUE_LEN_MAX: usize = 65_531;

/// Attributes that have been found, by number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes<'a>([Option<&'a [u8]>; KINDS]);

impl<'a> Attributes<'a> {
    /// Finds them; of several with the same number the last counts, as in the kernel.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Errno> {
        let mut found = [None; KINDS];
        for attribute in NlasIterator::new(bytes) {
            let attribute = attribute.map_err(|_| Errno::EINVAL)?;
            let (kind, end) = (attribute.kind(), usize::from(attribute.length()));
            if let Some(place) = found.get_mut(usize::from(kind)) {
                *place = attribute.into_inner().get(NLA_HEADER_SIZE..end);
            }
        }
        Ok(Attributes(found))
    }

    fn value(&self, kind: u16) -> Option<&'a [u8]> {
        self.0.get(usize::from(kind)).copied().flatten()
    }

    fn number<const N: usize>(&self, kind: u16) -> Result<Option<[u8; N]>, Errno> {
        let Some(value) = self.value(kind) else { return Ok(None) };
        value.first_chunk().copied().map(Some).ok_or(Errno::EINVAL)
    }

    /// Reads a number of one byte.
    pub(super) fn u8(&self, kind: u16) -> Result<Option<u8>, Errno> {
        Ok(self.number(kind)?.map(u8::from_ne_bytes))
    }

    /// Reads a number of two bytes.
    pub(super) fn u16(&self, kind: u16) -> Result<Option<u16>, Errno> {
        Ok(self.number(kind)?.map(u16::from_ne_bytes))
    }

    /// Reads a port, which is in network order.
    pub(super) fn port(&self, kind: u16) -> Result<Option<u16>, Errno> {
        Ok(self.number(kind)?.map(u16::from_be_bytes))
    }

    /// Reads a number of four bytes.
    pub(super) fn u32(&self, kind: u16) -> Result<Option<u32>, Errno> {
        Ok(self.number(kind)?.map(u32::from_ne_bytes))
    }

    /// Reads two numbers: flags, and which of them are meant.
    pub(super) fn flags(&self, kind: u16) -> Result<Option<(u32, u32)>, Errno> {
        let Some(value) = self.value(kind) else { return Ok(None) };
        let (flags, rest) = value.split_first_chunk().ok_or(Errno::EINVAL)?;
        let mask = rest.first_chunk().ok_or(Errno::EINVAL)?;
        Ok(Some((u32::from_ne_bytes(*flags), u32::from_ne_bytes(*mask))))
    }

    /// Reads an IPv4 netmask, whose bytes are those of an address.
    pub(super) fn netmask(&self, kind: u16) -> Result<Option<Ipv4Addr>, Errno> {
        Ok(self.number::<4>(kind)?.map(Ipv4Addr::from))
    }

    /// Reads a text, up to its end or a zero byte.
    pub(super) fn text(&self, kind: u16) -> Result<Option<String>, Errno> {
        let Some(value) = self.value(kind) else { return Ok(None) };
        let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
        if text.len() > TEXT_LEN_MAX {
            return Err(Errno::ERANGE);
        }
        let text = str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        Ok(Some(text.to_owned()))
    }

    /// Reads an address of a family; those of IPv4 have zeros behind them.
    pub(super) fn address(&self, kind: u16, family: u16) -> Result<Option<IpAddr>, Errno> {
        match family {
            INET => Ok(self.number::<4>(kind)?.map(|octets| Ipv4Addr::from(octets).into())),
            INET6 => Ok(self.number::<16>(kind)?.map(|octets| Ipv6Addr::from(octets).into())),
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }

    /// Finds the attributes in an attribute.
    pub(super) fn nest(&self, kind: u16) -> Result<Option<Attributes<'a>>, Errno> {
        self.value(kind).map(Attributes::parse).transpose()
    }
}

/// Attributes to be sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// Adds bytes.
    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) {
        debug_assert!(value.len() <= VALUE_LEN_MAX, "values are short");
        let value = value.get(..VALUE_LEN_MAX).unwrap_or(value);
        let attribute = DefaultNla::new(kind, value.to_vec());
        let start = self.0.len();
        self.0.resize(start + attribute.buffer_len(), 0);
        attribute.emit(self.0.get_mut(start..).unwrap_or_default());
    }

    /// Adds a number of two bytes.
    pub(super) fn u16(&mut self, kind: u16, value: u16) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    /// Adds a port.
    pub(super) fn port(&mut self, kind: u16, value: u16) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// Adds a number of four bytes.
    pub(super) fn u32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    /// Adds a number of eight bytes.
    pub(super) fn u64(&mut self, kind: u16, value: u64) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    /// Adds a text with the zero byte at its end.
    pub(super) fn text(&mut self, kind: u16, text: &str) {
        self.bytes(kind, &[text.as_bytes(), &[0]].concat());
    }

    /// Adds an address, as 16 bytes of either family.
    pub(super) fn address(&mut self, kind: u16, address: IpAddr) {
        let mut octets = [0; 16];
        match address {
            IpAddr::V4(v4) => {
                for (place, octet) in octets.iter_mut().zip(v4.octets()) {
                    *place = octet;
                }
            }
            IpAddr::V6(v6) => octets = v6.octets(),
        }
        self.bytes(kind, &octets);
    }

    /// Adds attributes as one attribute.
    pub(super) fn nest(&mut self, kind: u16, inner: &Writer) {
        self.bytes(kind, &inner.0);
    }

    /// Returns all as they are on the wire.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Returns the number of an address's family.
pub(super) fn family_of(address: IpAddr) -> u16 {
    if address.is_ipv4() { INET } else { INET6 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_of_nests_and_unknown_numbers_do_not_matter() {
        let bytes = [8, 0, 1, 0x80, 4, 0, 2, 0, 4, 0, 99, 0];
        let found = Attributes::parse(&bytes).unwrap();
        assert!(found.nest(1).unwrap().unwrap().value(2).is_some());
        assert!(found.value(2).is_none());
    }

    #[test]
    fn what_is_too_short_is_invalid() {
        let bytes = [6, 0, 1, 0, 7, 7, 0, 0];
        let found = Attributes::parse(&bytes).unwrap();
        assert_eq!(found.u16(1), Ok(Some(0x0707)));
        assert_eq!(found.u32(1), Err(Errno::EINVAL));
        assert_eq!(found.address(1, INET), Err(Errno::EINVAL));
        assert_eq!(found.address(1, 7), Err(Errno::EAFNOSUPPORT));
        for bytes in [&[3, 0, 1, 0][..], &[5, 0, 1, 0], &[5]] {
            assert!(Attributes::parse(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn texts_end_at_a_zero_byte_and_are_short() {
        let bytes = [8, 0, 1, 0, b'r', b'r', 0, b'x'];
        assert_eq!(Attributes::parse(&bytes).unwrap().text(1), Ok(Some("rr".to_owned())));
        let mut bytes = vec![20, 0, 1, 0];
        bytes.extend_from_slice(&[b'a'; 16]);
        assert_eq!(Attributes::parse(&bytes).unwrap().text(1), Err(Errno::ERANGE));
        let bytes = [6, 0, 1, 0, 0xff, 0xfe, 0, 0];
        assert_eq!(Attributes::parse(&bytes).unwrap().text(1), Err(Errno::EINVAL));
    }
}
