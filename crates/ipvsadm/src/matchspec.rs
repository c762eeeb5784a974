// SPDX-License-Identifier: MIT OR Apache-2.0
//! The match of a SNAT service: `proto=tcp,src-range=10.0.0.1-10.0.0.9:0-0,oif=dpdk1`.

use dpvs_api::types::{Family, Match, Protocol};
use std::net::IpAddr;

/// Longest match in bytes.
const MATCH_BYTES_MAX: usize = 255;

/// Reads a match. Ranges come out as `A-B:P-Q` or `[A-B]:P-Q`; one of zeros counts as none.
pub(crate) fn parse_match(text: &[u8]) -> Option<Match> {
    if text.len() > MATCH_BYTES_MAX {
        return None;
    }
    let mut pattern = Match::default();
    let mut families = Vec::new();
    for part in std::str::from_utf8(text).ok()?.split(',') {
        let (key, value) = part.split_once('=')?;
        match key {
            "proto" => pattern.protocol = Some(parse_protocol(value)?),
            "af" => {
                let family = parse_family(value)?;
                pattern.family = Some(family);
                families.push(family);
            }
            "src-range" | "dst-range" => {
                let (range, family) = parse_range(value)?;
                families.extend(range.is_some().then_some(family));
                let field = if key == "src-range" {
                    &mut pattern.src_range
                } else {
                    &mut pattern.dst_range
                };
                *field = range;
            }
            "iif" => pattern.iif = (!value.is_empty()).then(|| value.to_owned()),
            "oif" => pattern.oif = (!value.is_empty()).then(|| value.to_owned()),
            _ => return None,
        }
    }
    let first = families.first()?;
    families.iter().all(|family| family == first).then_some(pattern)
}

/// Returns the family of the packets that a match is about.
pub(crate) fn match_family(pattern: &Match) -> Family {
    let range = pattern.src_range.as_ref().or(pattern.dst_range.as_ref());
    match (pattern.family, range) {
        (Some(family), _) => family,
        (None, Some(range)) if range.starts_with('[') => Family::Inet6,
        _ => Family::Inet,
    }
}

fn parse_protocol(text: &str) -> Option<Protocol> {
    Some(match text {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        "icmp" => Protocol::Icmp,
        "icmpv6" => Protocol::Icmpv6,
        _ => return None,
    })
}

fn parse_family(text: &str) -> Option<Family> {
    match text {
        "ipv4" => Some(Family::Inet),
        "ipv6" => Some(Family::Inet6),
        _ => None,
    }
}

fn parse_range(text: &str) -> Option<(Option<String>, Family)> {
    let ((low, high), ports) = split_range(text)?;
    let (from, to) = match ports {
        None => (0, 0),
        Some(ports) => match ports.split_once('-') {
            Some((from, to)) => (parse_u16(from)?, parse_u16(to)?),
            None => (parse_u16(ports)?, parse_u16(ports)?),
        },
    };
    if low > high || from > to {
        return None;
    }
    let family = if low.is_ipv4() { Family::Inet } else { Family::Inet6 };
    if high.is_unspecified() && to == 0 {
        return Some((None, family));
    }
    let range = match family {
        Family::Inet => format!("{low}-{high}:{from}-{to}"),
        Family::Inet6 => format!("[{low}-{high}]:{from}-{to}"),
    };
    Some((Some(range), family))
}

type Pair = (IpAddr, IpAddr);

fn split_range(text: &str) -> Option<(Pair, Option<&str>)> {
    if let Some(inner) = text.strip_prefix('[') {
        let (pair, after) = inner.split_once(']')?;
        let ports = if after.is_empty() { None } else { Some(after.strip_prefix(':')?) };
        return Some((parse_pair(pair)?, ports));
    }
    if let Some(pair) = parse_pair(text) {
        return Some((pair, None));
    }
    let (pair, ports) = text.rsplit_once(':')?;
    Some((parse_pair(pair)?, Some(ports)))
}

fn parse_pair(text: &str) -> Option<Pair> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let pair: Pair = (low.parse().ok()?, high.parse().ok()?);
    (pair.0.is_ipv4() == pair.1.is_ipv4()).then_some(pair)
}

fn parse_u16(text: &str) -> Option<u16> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_saved_by_dpvs_is_read() {
        let text = b"proto=icmp,src-range=192.168.0.0-192.168.0.254:0-0,\
            dst-range=0.0.0.0-0.0.0.0:0-0,iif=,oif=dpdk0";
        let pattern = parse_match(text).unwrap();
        assert_eq!(pattern.protocol, Some(Protocol::Icmp));
        assert_eq!(pattern.src_range.as_deref(), Some("192.168.0.0-192.168.0.254:0-0"));
        assert_eq!((pattern.dst_range, pattern.iif), (None, None));
        assert_eq!(pattern.oif.as_deref(), Some("dpdk0"));
    }

    #[test]
    fn ranges_have_a_short_form_and_brackets() {
        let pattern = parse_match(b"src-range=[2001:db8::1-2001:db8::9]:80,oif=d1").unwrap();
        assert_eq!(pattern.src_range.as_deref(), Some("[2001:db8::1-2001:db8::9]:80-80"));
        assert_eq!(match_family(&pattern), Family::Inet6);
        let pattern = parse_match(b"dst-range=10.0.0.1:5-6").unwrap();
        assert_eq!(pattern.dst_range.as_deref(), Some("10.0.0.1-10.0.0.1:5-6"));
    }

    #[test]
    fn a_wrong_match_is_refused_and_not_turned_into_another() {
        for bad in [
            "",
            "proto=tcp",
            "proto=gre,af=ipv4",
            "af=ipv5",
            "x=y,af=ipv4",
            "oif",
            "src-range=192.168.0.1-10:80-100",
            "src-range=10.0.0.9-10.0.0.1",
            "af=ipv6,src-range=10.0.0.1",
        ] {
            assert_eq!(parse_match(bad.as_bytes()), None, "{bad}");
        }
    }
}
