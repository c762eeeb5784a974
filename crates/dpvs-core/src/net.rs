// SPDX-License-Identifier: MIT OR Apache-2.0
//! The field's words: families, protocols, link addresses, prefixes.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Returns the family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// Returns the length of an address in bits.
    pub fn bits(self) -> u8 {
        match self {
            Family::V4 => 32,
            Family::V6 => 128,
        }
    }
}

/// A transport protocol that has connections. The values are IANA's protocol numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Protocol {
    /// ICMP for IPv4.
    Icmp = 1,
    /// TCP.
    Tcp = 6,
    /// UDP.
    Udp = 17,
    /// ICMP for IPv6.
    Icmpv6 = 58,
    /// SCTP.
    Sctp = 132,
}

impl Protocol {
    /// Returns the protocol of an IANA number.
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Protocol::Icmp,
            6 => Protocol::Tcp,
            17 => Protocol::Udp,
            58 => Protocol::Icmpv6,
            132 => Protocol::Sctp,
            _ => return None,
        })
    }

    /// Returns the IANA number.
    #[allow(clippy::as_conversions, reason = "the discriminants are the numbers")]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Returns whether this is ICMP of either family, whose services have port 0.
    pub fn is_icmp(self) -> bool {
        matches!(self, Protocol::Icmp | Protocol::Icmpv6)
    }
}

/// An Ethernet address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The broadcast address.
    pub const BROADCAST: Mac = Mac([0xff; 6]);

    /// Returns whether the group bit is set: multicast or broadcast.
    pub fn is_group(self) -> bool {
        let [first, ..] = self.0;
        first & 1 != 0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, octet) in self.0.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{octet:02x}")?;
        }
        Ok(())
    }
}

/// A text is not an Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a link address is six hexadecimal numbers with colons, as in 52:54:00:12:34:56")]
pub struct BadMac;

impl FromStr for Mac {
    type Err = BadMac;

    fn from_str(text: &str) -> Result<Self, BadMac> {
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().ok_or(BadMac)?;
            if part.is_empty() || part.len() > 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(BadMac);
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| BadMac)?;
        }
        if parts.next().is_some() { Err(BadMac) } else { Ok(Mac(octets)) }
    }
}

/// A network prefix. Host bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    address: IpAddr,
    len: u8,
}

impl Prefix {
    /// Makes the prefix of `len` bits that `address` lies in; `None` if `len` is too long.
    pub fn containing(address: IpAddr, len: u8) -> Option<Self> {
        if len > Family::of(address).bits() {
            return None;
        }
        Some(Prefix { address: mask(address, len), len })
    }

    /// Returns the network address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Returns the length in bits.
    pub fn len(&self) -> u8 {
        self.len
    }

    /// Returns whether this is a default route's prefix.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the family.
    pub fn family(&self) -> Family {
        Family::of(self.address)
    }

    /// Returns whether `address` lies in the prefix. Families never mix.
    pub fn contains(&self, address: IpAddr) -> bool {
        Family::of(address) == self.family() && mask(address, self.len) == self.address
    }
}

fn mask(address: IpAddr, len: u8) -> IpAddr {
    match address {
        IpAddr::V4(a) => {
            let bits = u32::MAX.checked_shl(u32::from(32u8.saturating_sub(len))).unwrap_or(0);
            IpAddr::from((u32::from(a) & bits).to_be_bytes())
        }
        IpAddr::V6(a) => {
            let bits = u128::MAX.checked_shl(u32::from(128u8.saturating_sub(len))).unwrap_or(0);
            IpAddr::from((u128::from(a) & bits).to_be_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_clear_host_bits_at_both_ends_of_the_range() {
        let p = |text: &str, len| Prefix::containing(text.parse().unwrap(), len).unwrap();
        assert_eq!(p("10.1.2.3", 8).address(), "10.0.0.0".parse::<IpAddr>().unwrap());
        assert_eq!(p("10.1.2.3", 32).address(), "10.1.2.3".parse::<IpAddr>().unwrap());
        assert!(p("10.1.2.3", 0).contains("192.0.2.1".parse().unwrap()));
        assert!(!p("10.1.2.3", 0).contains("2001:db8::1".parse().unwrap()));
        assert!(p("2001:db8::1", 64).contains("2001:db8::ffff".parse().unwrap()));
        assert_eq!(Prefix::containing("10.0.0.1".parse().unwrap(), 33), None);
    }

    #[test]
    fn link_addresses_read_one_or_two_digits_and_nothing_else() {
        assert_eq!("52:54:0:12:34:56".parse(), Ok(Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56])));
        for bad in
            ["", "52:54:00:12:34", "52:54:00:12:34:56:78", "+2:54:00:12:34:56", "g:0:0:0:0:0"]
        {
            assert_eq!(bad.parse::<Mac>(), Err(BadMac), "{bad}");
        }
    }
}
