// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of the command line: numbers, addresses, prefixes, link addresses, devices.

use crate::stop::{INVALID, Stop};
use dpvs_api::types::Family;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reads a number as C's `atoi` does: blanks, a sign, digits; anything else is 0. Saturates.
pub(crate) fn atoi(text: &str) -> i32 {
    let text = text.trim_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let magnitude = digits
        .bytes()
        .map_while(|byte| char::from(byte).to_digit(10))
        .fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit)));
    let value = if negative { -magnitude } else { magnitude };
    i32::try_from(value).unwrap_or(if negative { i32::MIN } else { i32::MAX })
}

/// Reads a whole decimal number of `T`'s range.
///
/// What is not one gets the daemon's answer for a wrong number. The original sends 0 instead,
/// so that a misspelt lifetime is for ever.
pub(crate) fn number<T: std::str::FromStr>(text: &str) -> Result<T, Stop> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Stop::Action(INVALID));
    }
    text.parse().map_err(|_| Stop::Action(INVALID))
}

/// Reads an address of `family`; IPv4 is tried first where that is open.
pub(crate) fn address(text: &str, family: Option<Family>) -> Result<IpAddr, Stop> {
    parse_address(text, family).ok_or_else(|| bad_address(text, family))
}

fn parse_address(text: &str, family: Option<Family>) -> Option<IpAddr> {
    match family {
        Some(Family::Inet) => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        Some(Family::Inet6) => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

fn bad_address(text: &str, family: Option<Family>) -> Stop {
    let family = match family {
        Some(Family::Inet) => "inet",
        Some(Family::Inet6) => "inet6",
        None => "unspec",
    };
    Stop::parse(format!("invalid ipaddress: {family} {text}"))
}

/// An address with the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    /// The address, host bits as given.
    pub(crate) address: IpAddr,
    /// The length, 0 only where the caller allows it.
    pub(crate) len: u8,
}

impl Prefix {
    /// Reads `ADDR[/LEN]`; a length that is missing or 0 counts as the whole address.
    pub(crate) fn parse(text: &str, family: Option<Family>) -> Result<Prefix, Stop> {
        let (front, len) = match text.split_once('/') {
            Some((front, len)) => (front, Some(len)),
            None => (text, None),
        };
        let address = parse_address(front, family).ok_or_else(|| bad_address(text, family))?;
        let max = address_bits(address);
        let len = len.map_or(Ok(0), number::<u8>)?;
        if len > max {
            return Err(Stop::Action(INVALID));
        }
        Ok(Prefix { address, len: if len == 0 { max } else { len } })
    }
}

/// Returns the length of an address in bits.
pub(crate) fn address_bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Returns an address's family.
pub(crate) fn family_of(address: IpAddr) -> Family {
    if address.is_ipv4() { Family::Inet } else { Family::Inet6 }
}

/// Reads a link address: six groups of one or two hexadecimal digits.
pub(crate) fn link_address(text: &str) -> Option<[u8; 6]> {
    let mut bytes = [0; 6];
    let mut groups = text.split(':');
    for byte in &mut bytes {
        let group = groups.next()?;
        let is_hex = group.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !is_hex || !(1..=2).contains(&group.len()) {
            return None;
        }
        *byte = u8::from_str_radix(group, 16).ok()?;
    }
    groups.next().is_none().then_some(bytes)
}

/// Writes a link address in the usual form, `52:54:00:12:34:56`.
pub(crate) fn link_address_text(bytes: [u8; 6]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atoi_reads_what_c_reads() {
        for (text, value) in
            [("12", 12), (" -3x", -3), ("+4", 4), ("x", 0), ("", 0), ("99999999999", i32::MAX)]
        {
            assert_eq!(atoi(text), value, "{text:?}");
        }
    }

    #[test]
    fn a_number_that_is_none_is_refused_instead_of_counting_as_0() {
        assert_eq!(number::<u8>("255"), Ok(255));
        for text in ["", "256", "-1", "+1", "1x", " 1"] {
            assert_eq!(number::<u8>(text), Err(Stop::Action(INVALID)), "{text:?}");
        }
    }

    #[test]
    fn a_prefix_without_a_length_or_with_0_is_the_whole_address() {
        let prefix = |text| Prefix::parse(text, None).map(|p| (p.address.to_string(), p.len));
        assert_eq!(prefix("10.0.0.1"), Ok(("10.0.0.1".to_owned(), 32)));
        assert_eq!(prefix("10.0.0.1/0"), Ok(("10.0.0.1".to_owned(), 32)));
        assert_eq!(prefix("2001:db8::/32"), Ok(("2001:db8::".to_owned(), 32)));
        assert_eq!(prefix("2001:db8::1"), Ok(("2001:db8::1".to_owned(), 128)));
        assert_eq!(prefix("10.0.0.1/33"), Err(Stop::Action(INVALID)));
    }

    #[test]
    fn a_wrong_address_names_the_family_that_was_looked_for() {
        let note = |text, family| match Prefix::parse(text, family) {
            Err(Stop::Parse { note, .. }) => note,
            other => panic!("{other:?}"),
        };
        assert_eq!(note("100", None), "invalid ipaddress: unspec 100");
        assert_eq!(note("::1", Some(Family::Inet)), "invalid ipaddress: inet ::1");
        assert_eq!(note("10.1/8", Some(Family::Inet6)), "invalid ipaddress: inet6 10.1/8");
    }

    #[test]
    fn link_addresses_have_six_groups() {
        assert_eq!(link_address("2:54:0:aA:bb:1"), Some([2, 0x54, 0, 0xaa, 0xbb, 1]));
        for text in ["", "2:54:0:aa:bb", "2:54:0:aa:bb:1:2", "200:54:0:aa:bb:1", "2:+4:0:a:b:1"] {
            assert_eq!(link_address(text), None, "{text:?}");
        }
    }
}
