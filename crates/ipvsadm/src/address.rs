// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses with ports as the command line writes them.

use crate::names::Names;
use crate::numbers::{number_in, strtol};
use dpvs_api::types::Protocol;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address, and a port where one was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Addr {
    /// The address.
    pub(crate) ip: IpAddr,
    /// The port; `None` where none was written.
    pub(crate) port: Option<u16>,
}

/// Reads `host[:port]` or `[host]:port`. An IPv6 literal has a port only in the bracket form.
///
/// The oddities are those that scripts see in the real program: a text of digits is no address,
/// `[2001:db8::1]` without a port is none, and `[1.2.3.4]:80` loses its port.
pub(crate) fn parse_addr(
    text: &[u8],
    protocol: Option<Protocol>,
    names: &dyn Names,
) -> Option<Addr> {
    if text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    if let Some(inner) = text.strip_prefix('[') {
        let (host, after) = inner.split_once(']')?;
        let port = after.strip_prefix(':')?;
        if let Some(ip) = bracketed_v6(host, names) {
            return Some(Addr { ip: ip.into(), port: Some(parse_port(port, protocol, names)?) });
        }
        return parse_v4(host, protocol, names);
    }
    if let Ok(ip) = text.parse::<Ipv6Addr>() {
        return Some(Addr { ip: ip.into(), port: None });
    }
    parse_v4(text, protocol, names)
}

/// Reads the address of an ICMP service: no port, or `:0`. Brackets may stand without a port.
///
/// `any_port` takes other ports too, and drops them.
pub(crate) fn parse_icmp_addr(text: &[u8], any_port: bool, names: &dyn Names) -> Option<IpAddr> {
    let bare = text.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    if let Some(ip) =
        bare.and_then(|inner| std::str::from_utf8(inner).ok()?.parse::<Ipv6Addr>().ok())
    {
        return Some(ip.into());
    }
    let addr = parse_addr(text, None, names)?;
    (any_port || addr.port.unwrap_or(0) == 0).then_some(addr.ip)
}

/// A literal, or the name of a host that has an IPv6 address: saved rules hold such names.
fn bracketed_v6(host: &str, names: &dyn Names) -> Option<Ipv6Addr> {
    if let Ok(ip) = host.parse() {
        return Some(ip);
    }
    if host.is_empty() || host.contains(':') || inet_aton(host).is_some() {
        return None;
    }
    names.host_v6(host)
}

fn parse_v4(text: &str, protocol: Option<Protocol>, names: &dyn Names) -> Option<Addr> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let ip = parse_host_v4(host, names)?.into();
    let port = match port {
        Some(port) => Some(parse_port(port, protocol, names)?),
        None => None,
    };
    Some(Addr { ip, port })
}

/// Reads an IPv4 address as `inet_aton` does, or looks up a host's.
pub(crate) fn parse_host_v4(host: &str, names: &dyn Names) -> Option<Ipv4Addr> {
    inet_aton(host).or_else(|| if host.is_empty() { None } else { names.host_v4(host) })
}

fn parse_port(text: &str, protocol: Option<Protocol>, names: &dyn Names) -> Option<u16> {
    if strtol(text.as_bytes()).is_some() {
        return number_in(text.as_bytes(), 0, 65535).and_then(|port| u16::try_from(port).ok());
    }
    names.port(text, protocol.unwrap_or(Protocol::Tcp))
}

/// Reads one to four numbers, decimal, octal or hexadecimal; the last fills the rest.
pub(crate) fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let text = text.trim_end_matches(|c: char| c.is_ascii_whitespace());
    let mut parts = Vec::with_capacity(4);
    for part in text.split('.') {
        if parts.len() == 4 {
            return None;
        }
        parts.push(c_number(part)?);
    }
    let (&last, first) = parts.split_last()?;
    let mut address = 0_u32;
    for (index, &part) in first.iter().enumerate() {
        address |= u32::from(u8::try_from(part).ok()?) << (24 - 8 * index);
    }
    let room = 32 - 8 * u32::try_from(first.len()).ok()?;
    (u64::from(last) < 1_u64 << room).then(|| Ipv4Addr::from(address | last))
}

fn c_number(text: &str) -> Option<u32> {
    let (radix, digits) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, text.get(2..)?),
        [b'0', _, ..] => (8, text.get(1..)?),
        _ => (10, text),
    };
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::NoNames;

    fn addr(text: &str) -> Option<(String, Option<u16>)> {
        parse_addr(text.as_bytes(), Some(Protocol::Tcp), &NoNames)
            .map(|a| (a.ip.to_string(), a.port))
    }

    #[test]
    fn literals_are_read_in_all_forms() {
        assert_eq!(addr("1.2.3.4"), Some(("1.2.3.4".to_owned(), None)));
        assert_eq!(addr("1.2.3.4:+90"), Some(("1.2.3.4".to_owned(), Some(90))));
        assert_eq!(addr("10.1:80"), Some(("10.0.0.1".to_owned(), Some(80))));
        assert_eq!(addr("0x0a000001:80"), Some(("10.0.0.1".to_owned(), Some(80))));
        assert_eq!(addr("010.0.0.1"), Some(("8.0.0.1".to_owned(), None)));
        assert_eq!(addr("[2001:db8::1]:80"), Some(("2001:db8::1".to_owned(), Some(80))));
        assert_eq!(addr("2001:db8::1:80"), Some(("2001:db8::1:80".to_owned(), None)));
        assert_eq!(addr("[1.2.3.4]:80"), Some(("1.2.3.4".to_owned(), None)));
    }

    #[test]
    fn what_the_real_program_refuses_is_refused() {
        for bad in [
            "",
            "1234",
            ":80",
            "1.2.3.4:",
            "1.2.3.4:-1",
            "1.2.3.4:99999",
            "1.2.3.4:http:80",
            "[2001:db8::1]",
            "[2001:db8::1]80",
            "[2001:db8::1]:",
            "fe80::1%eth0",
            "256.1.1.1",
            "1.2.3.4.5:80",
            "1.2.3.65536",
            "0x:80",
        ] {
            assert_eq!(addr(bad), None, "{bad}");
        }
    }

    #[test]
    fn icmp_addresses_have_port_0_or_none() {
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(parse_icmp_addr(b"[2001:db8::1]", false, &NoNames), Some(v6));
        assert_eq!(parse_icmp_addr(b"[2001:db8::1]:0", false, &NoNames), Some(v6));
        assert_eq!(parse_icmp_addr(b"1.2.3.4:1", false, &NoNames), None);
        assert!(parse_icmp_addr(b"1.2.3.4:1", true, &NoNames).is_some());
    }
}
