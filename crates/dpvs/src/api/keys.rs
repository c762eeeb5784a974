// SPDX-License-Identifier: MIT OR Apache-2.0
//! Services' keys, between the wire and the core: virtual addresses, and the matches of SNAT.
//!
//! A match names ports, the core numbers them, so both ways need the tables. Its ranges are texts,
//! `IP1-IP2:PORT1-PORT2`, IPv6 as `[IP1-IP2]:PORT1-PORT2`. One address or port stands for a range
//! of one, and a range without ports is one of any. What is written always has all four.

use super::convert::{address, device_at, device_name, error, protocol, wire_protocol};
use dpvs_api::types as wire;
use dpvs_api::{ErrorCode, RpcError};
use dpvs_core::key::Address;
use dpvs_core::net::{Family, Protocol};
use dpvs_core::tables::{Match, Range, ServiceKey, Tables};
use std::net::IpAddr;

/// Reads a service's key.
pub(super) fn service_key(tables: &Tables, key: &wire::ServiceKey) -> Result<ServiceKey, RpcError> {
    match key {
        wire::ServiceKey::Address { protocol: name, address: ip, port } => {
            Ok(ServiceKey::new(protocol(*name), address(*ip, "service.address")?, *port))
        }
        wire::ServiceKey::FwMark { .. } => Err(error(
            ErrorCode::NotSupported,
            "services by firewall mark are not offered: there are no marks in the dataplane",
            "service.fwmark",
        )),
        wire::ServiceKey::Match { pattern } => Ok(ServiceKey::Match(read_match(tables, pattern)?)),
    }
}

/// Writes a service's key.
pub(super) fn wire_key(tables: &Tables, key: &ServiceKey) -> wire::ServiceKey {
    match key {
        ServiceKey::Virtual(key) => wire::ServiceKey::Address {
            protocol: wire_protocol(key.protocol),
            address: key.address.ip(),
            port: key.port,
        },
        ServiceKey::Match(pattern) => {
            wire::ServiceKey::Match { pattern: write_match(tables, pattern) }
        }
    }
}

fn read_match(tables: &Tables, pattern: &wire::Match) -> Result<Match, RpcError> {
    let range = |text: &Option<String>, path| {
        text.as_deref().map(|text| read_range(text, path)).transpose()
    };
    let src = range(&pattern.src_range, "service.match.src_range")?;
    let dst = range(&pattern.dst_range, "service.match.dst_range")?;
    let port = |name: &Option<String>, path| {
        let Some(name) = name else { return Ok(None) };
        device_at(tables, name, path).map(|port| Some(port.id))
    };
    let family = family_of(pattern.family, src, dst)?;
    let protocol = pattern.protocol.map(protocol);
    let foreign = match family {
        Family::V4 => Protocol::Icmpv6,
        Family::V6 => Protocol::Icmp,
    };
    if protocol == Some(foreign) {
        let text = "ICMP of the other address family";
        return Err(error(ErrorCode::Invalid, text, "service.match.protocol"));
    }
    Ok(Match {
        family,
        protocol,
        src,
        dst,
        iif: port(&pattern.iif, "service.match.iif")?,
        oif: port(&pattern.oif, "service.match.oif")?,
    })
}

/// Finds the family of a match's packets; all that tell one must tell the same.
fn family_of(
    given: Option<wire::Family>,
    src: Option<Range>,
    dst: Option<Range>,
) -> Result<Family, RpcError> {
    let given = given.map(|family| match family {
        wire::Family::Inet => Family::V4,
        wire::Family::Inet6 => Family::V6,
    });
    let of_range = |range: Option<Range>| range.map(|range| range.first.family());
    let all = [
        (given, "service.match.family"),
        (of_range(src), "service.match.src_range"),
        (of_range(dst), "service.match.dst_range"),
    ];
    let Some(family) = all.iter().find_map(|row| row.0) else {
        let text = "a match needs a range of addresses, or at least the family";
        return Err(error(ErrorCode::Invalid, text, "service.match"));
    };
    match all.iter().find(|row| row.0.is_some_and(|other| other != family)) {
        None => Ok(family),
        Some((_, path)) => {
            Err(error(ErrorCode::Invalid, "the parts of a match are of one address family", path))
        }
    }
}

/// Reads `IP1[-IP2][:PORT1[-PORT2]]`, or `[IP1[-IP2]][:PORT1[-PORT2]]`.
fn read_range(text: &str, path: &str) -> Result<Range, RpcError> {
    let bad = || {
        let text = format!("{text:?} is not a range, IP1-IP2:PORT1-PORT2 or [IP1-IP2]:PORT1-PORT2");
        error(ErrorCode::Invalid, text, path)
    };
    let ((first, last), ports) = split_range(text).ok_or_else(bad)?;
    let (first_port, last_port) = match ports {
        None => (0, 0),
        Some(ports) => read_pair::<u16>(ports).ok_or_else(bad)?,
    };
    let (first, last) = (address(first, path)?, address(last, path)?);
    if first.family() != last.family() {
        return Err(error(ErrorCode::Invalid, "the ends of a range are of one family", path));
    }
    if last < first || last_port < first_port {
        return Err(error(ErrorCode::Invalid, "the end of a range is below its start", path));
    }
    if last.ip().is_unspecified() {
        let text = format!("no packet has the address {last:?}: leave the range out for any");
        return Err(error(ErrorCode::Invalid, text, path));
    }
    Ok(Range { first, last, first_port, last_port })
}

/// Tells the addresses from the ports.
fn split_range(text: &str) -> Option<((IpAddr, IpAddr), Option<&str>)> {
    if let Some(inner) = text.strip_prefix('[') {
        let (addresses, after) = inner.split_once(']')?;
        let ports = if after.is_empty() { None } else { Some(after.strip_prefix(':')?) };
        return Some((read_pair(addresses)?, ports));
    }
    // An IPv6 address without brackets has no ports: its colons are its own.
    if let Some(pair) = read_pair(text) {
        return Some((pair, None));
    }
    let (addresses, ports) = text.rsplit_once(':')?;
    Some((read_pair(addresses).filter(|(first, _): &(IpAddr, _)| first.is_ipv4())?, Some(ports)))
}

/// Reads `A-B`, or `A` for both.
fn read_pair<T: std::str::FromStr>(text: &str) -> Option<(T, T)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}

fn write_match(tables: &Tables, pattern: &Match) -> wire::Match {
    let Match { family, protocol, src, dst, iif, oif } = *pattern;
    let is_told = src.is_some() || dst.is_some();
    wire::Match {
        protocol: protocol.map(wire_protocol),
        family: (!is_told).then_some(match family {
            Family::V4 => wire::Family::Inet,
            Family::V6 => wire::Family::Inet6,
        }),
        src_range: src.map(write_range),
        dst_range: dst.map(write_range),
        iif: iif.map(|port| device_name(tables, port)),
        oif: oif.map(|port| device_name(tables, port)),
    }
}

fn write_range(range: Range) -> String {
    let Range { first, last, first_port, last_port } = range;
    let ip = |address: Address| address.ip();
    match first.family() {
        Family::V4 => format!("{}-{}:{first_port}-{last_port}", ip(first), ip(last)),
        Family::V6 => format!("[{}-{}]:{first_port}-{last_port}", ip(first), ip(last)),
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
