// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words of `dpip route`.

use crate::options::Options;
use crate::request::Request;
use crate::stop::{NOT_SUPPORT, Stop};
use crate::value::{Prefix, address, family_of, number};
use crate::words::{Command, Words};
use dpvs_api::types::{DeviceFilter, DeviceRef, Family, RouteSpec, Scope};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Debug, Default)]
struct Given {
    prefix: Option<Prefix>,
    via: Option<IpAddr>,
    src: Option<IpAddr>,
    device: Option<String>,
    mtu: u32,
    metric: u32,
    scope: Option<Scope>,
}

/// Reads the words after `route COMMAND`.
pub(crate) fn parse(
    command: Command,
    options: &Options,
    words: Words<'_>,
) -> Result<Request, Stop> {
    let given = read(options, words)?;
    match command {
        Command::Show => {
            // Without a family the original lists IPv4 alone, and scripts count on it.
            let family = Some(options.family.unwrap_or(Family::Inet));
            Ok(Request::RouteShow(DeviceFilter { device: given.device, family }))
        }
        Command::Flush => {
            let device = given.device.ok_or_else(|| Stop::check("no device specified"))?;
            if options.family.is_some() {
                // The daemon flushes both families; taking more than was named is no answer.
                return Err(Stop::Action(NOT_SUPPORT));
            }
            Ok(Request::RouteFlush(DeviceRef { device }))
        }
        Command::Set if options.family == Some(Family::Inet6) => Err(Stop::Action(NOT_SUPPORT)),
        Command::Add => complete(given).map(Request::RouteAdd),
        Command::Replace => complete(given).map(Request::RouteReplace),
        Command::Set => complete(given).map(Request::RouteSet),
        Command::Del => spec(given).map(Request::RouteDel),
        _ => Err(Stop::Action(NOT_SUPPORT)),
    }
}

fn read(options: &Options, mut words: Words<'_>) -> Result<Given, Stop> {
    let mut given = Given::default();
    while let Some(word) = words.next() {
        match word {
            "via" => given.via = Some(address(words.value(word)?, options.family)?),
            "src" => given.src = Some(address(words.value(word)?, options.family)?),
            "dev" => given.device = Some(words.value(word)?.to_owned()),
            "mtu" => given.mtu = number(words.value(word)?)?,
            "metric" => given.metric = number(words.value(word)?)?,
            "scope" => given.scope = scope(words.value(word)?, given.scope),
            "local" => given.scope = Some(Scope::Host),
            // Accepted and ignored, as the original does.
            "tos" | "proto" if options.family == Some(Family::Inet6) => {
                words.value(word)?;
            }
            "onlink" if options.family == Some(Family::Inet6) => {}
            "default" => given.prefix = Some(default_route(options.family)),
            _ => given.prefix = Some(prefix(word, options.family)?),
        }
    }
    Ok(given)
}

/// Reads a scope. `global` and numbers change nothing, as in the original.
fn scope(text: &str, before: Option<Scope>) -> Option<Scope> {
    match text {
        "host" => Some(Scope::Host),
        "kni_host" => Some(Scope::KniHost),
        "link" => Some(Scope::Link),
        _ => before,
    }
}

fn default_route(family: Option<Family>) -> Prefix {
    let address = match family {
        Some(Family::Inet6) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    Prefix { address, len: 0 }
}

/// Reads a prefix. `0.0.0.0/0` and `::/0` are the default route, not the address 0.0.0.0.
fn prefix(text: &str, family: Option<Family>) -> Result<Prefix, Stop> {
    let prefix = Prefix::parse(text, family)?;
    if prefix.address.is_unspecified() && text.ends_with("/0") {
        return Ok(Prefix { len: 0, ..prefix });
    }
    Ok(prefix)
}

/// Makes a route of the words. The family is the prefix's; the others must have the same.
fn spec(given: Given) -> Result<RouteSpec, Stop> {
    let prefix = given.prefix.ok_or_else(|| Stop::check("missing prefix"))?;
    let family = family_of(prefix.address);
    if [given.via, given.src].into_iter().flatten().any(|other| family_of(other) != family) {
        return Err(Stop::check("invalid family."));
    }
    let derived = if given.via.is_some() { Scope::Global } else { Scope::Link };
    Ok(RouteSpec {
        destination: prefix.address,
        prefix_len: prefix.len,
        via: given.via.filter(|via| !via.is_unspecified()),
        device: given.device,
        src: given.src.filter(|src| !src.is_unspecified()),
        mtu: given.mtu,
        scope: given.scope.unwrap_or(derived),
        metric: given.metric,
    })
}

/// Makes a route that packets can follow: it has a gateway or a port.
fn complete(given: Given) -> Result<RouteSpec, Stop> {
    let spec = spec(given)?;
    if spec.via.is_none() && spec.device.is_none() {
        return Err(Stop::check("no device specified"));
    }
    Ok(spec)
}
