// SPDX-License-Identifier: MIT OR Apache-2.0
//! The listing of services and their real servers.

use super::{Namer, cut, port_protocol, sort};
use crate::invocation::{Format, ServiceListing, View};
use crate::listopts::DestCheck;
use crate::names::{Names, protocol_name};
use crate::schedflags::listed_flags;
use dpvs_api::types::{
    Dest, Family, Forward, Match, Protocol, Rates, Service, ServiceKey, ServicePage, Stats, Tunnel,
    TunnelChecksum, TunnelType,
};
use std::fmt::Write as _;
use std::net::Ipv4Addr;

/// The version of IPVS that listings name: scripts look for the line.
const IPVS_VERSION: &str = "1.2.1";
const SERVICE_CHARS_MAX: usize = 33;
const DEST_CHARS_MAX: usize = 28;
const TUNNEL_CHARS_MAX: usize = 15;
const REMOTE: &str = "  -> RemoteAddress:Port";

/// Prints services with their real servers. The DPVS format has marks at the end of its lines.
pub fn render(
    page: &ServicePage,
    listing: &ServiceListing,
    format: Format,
    names: &dyn Names,
) -> String {
    let namer = Namer { names, numeric: listing.numeric };
    let mut services = page.services.clone();
    if !listing.nosort {
        sort(&mut services);
    }
    let mut text = String::new();
    if listing.service.is_none() {
        let size = page.conn_table_size;
        push(&mut text, format_args!("IP Virtual Server version {IPVS_VERSION} (size={size})\n"));
    }
    text.push_str(&title(listing.view));
    for service in &services {
        service_line(&mut text, service, listing, &namer);
        for dest in &service.dests {
            dest_line(&mut text, service, dest, (listing, format), &namer);
        }
    }
    text
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(arguments);
}

fn title(view: View) -> String {
    let local = "Prot LocalAddress:Port";
    let flags = "Prot LocalAddress:Port Scheduler Flags\n";
    match view {
        View::Default => {
            format!("{flags}{REMOTE}           Forward Weight ActiveConn InActConn\n")
        }
        View::TunInfo => {
            format!("{flags}{REMOTE}           Forward TunnelInfo    Weight ActiveConn InActConn\n")
        }
        View::Stats => format!(
            "{local:<33} {:>8} {:>8} {:>8} {:>8} {:>8}\n{REMOTE}\n",
            "Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"
        ),
        View::Rate => format!(
            "{local:<33} {:>8} {:>8} {:>8} {:>8} {:>8}\n{REMOTE}\n",
            "CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"
        ),
        View::Thresholds => format!(
            "{local:<33} {:<10} {:<10} {:<10} {:<10}\n{REMOTE}\n",
            "Uthreshold", "Lthreshold", "ActiveConn", "InActConn"
        ),
        View::PersistentConn => format!(
            "{local:<33} {:<9} {:<11} {:<10} {:<10}\n{REMOTE}\n",
            "Weight", "PersistConn", "ActiveConn", "InActConn"
        ),
    }
}

fn service_line(text: &mut String, service: &Service, listing: &ServiceListing, namer: &Namer<'_>) {
    let name = service_name(&service.service, namer);
    match listing.view {
        View::Stats => {
            push(text, format_args!("{name:<33}{}\n", stats(&service.stats, listing.exact)));
        }
        View::Rate => {
            let rates = service.rates;
            let Rates { connections, in_packets, out_packets, in_bytes, out_bytes } = rates;
            let numbers = [connections, in_packets, out_packets, in_bytes, out_bytes];
            let numbers = numbers.map(|number| scaled(number, listing.exact)).concat();
            push(text, format_args!("{name:<33}{numbers}\n"));
        }
        _ => push(text, format_args!("{name} {}{}\n", service.scheduler, flags(service))),
    }
}

/// Returns the name of a service as a listing has it.
fn service_name(key: &ServiceKey, namer: &Namer<'_>) -> String {
    match key {
        ServiceKey::Address { protocol, address, port } => {
            let endpoint = namer.endpoint(*address, *port, *protocol);
            let name = format!("{:<4} {endpoint}", protocol_word(*protocol));
            if address.is_ipv6() { name } else { cut(name, SERVICE_CHARS_MAX) }
        }
        ServiceKey::FwMark { fwmark, family } => {
            // The real program prints marks as signed numbers.
            let mark = i32::from_ne_bytes(fwmark.to_ne_bytes());
            let family = if *family == Family::Inet6 { " IPv6" } else { "" };
            format!("FWM  {mark}{family}")
        }
        ServiceKey::Match { pattern } => match_text(pattern),
    }
}

/// Returns a protocol's word in listings.
pub(super) fn protocol_word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
        Protocol::Icmp => "ICMP",
        Protocol::Icmpv6 => "ICMPv6",
    }
}

/// Returns the name of a match in listings.
pub(super) fn match_text(pattern: &Match) -> String {
    let mut text = format!("MATCH {}", pattern.protocol.map_or("any", protocol_name));
    let parts = [
        ("from", &pattern.src_range),
        ("to", &pattern.dst_range),
        ("iif", &pattern.iif),
        ("oif", &pattern.oif),
    ];
    for (key, value) in parts {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            push(&mut text, format_args!(",{key}={value}"));
        }
    }
    text
}

fn flags(service: &Service) -> String {
    let mut text = String::new();
    if !service.scheduler_flags.is_empty() {
        let listed = listed_flags(&service.scheduler_flags, &service.scheduler);
        push(&mut text, format_args!(" ({listed})"));
    }
    if !service.hash_target.is_empty() {
        push(&mut text, format_args!(" {}", service.hash_target));
    }
    if service.persistent > 0 {
        push(&mut text, format_args!(" persistent {}", service.persistent));
        if let Some(mask) = mask(service) {
            push(&mut text, format_args!(" mask {mask}"));
        }
        if !service.persistence_engine.is_empty() {
            push(&mut text, format_args!(" pe {}", service.persistence_engine));
        }
    }
    if service.one_packet {
        text.push_str(" ops");
    }
    if service.synproxy {
        text.push_str(" synproxy");
    }
    if service.conn_timeout > 0 {
        push(&mut text, format_args!(" conn-timeout {}", service.conn_timeout));
    }
    if !service.proxy_protocol.is_empty() {
        push(&mut text, format_args!(" pp{}", service.proxy_protocol));
    }
    if service.expire_quiescent {
        text.push_str(" expire-quiescent");
    }
    if service.quic {
        text.push_str(" quic");
    }
    text.push_str(&dest_check(&service.dest_check));
    text
}

/// Returns the persistence granularity where it is not that of one address.
pub(super) fn mask(service: &Service) -> Option<String> {
    let family = match &service.service {
        ServiceKey::Address { address, .. } if address.is_ipv4() => Family::Inet,
        ServiceKey::Address { .. } => Family::Inet6,
        ServiceKey::FwMark { family, .. } => *family,
        ServiceKey::Match { pattern } => crate::matchspec::match_family(pattern),
    };
    match family {
        Family::Inet => {
            (service.netmask != Ipv4Addr::BROADCAST).then(|| service.netmask.to_string())
        }
        Family::Inet6 => (service.prefix_len != 128).then(|| service.prefix_len.to_string()),
    }
}

fn dest_check(text: &str) -> String {
    let check = DestCheck::from_api(text);
    let mut line = String::new();
    if let Some(passive) = &check.passive {
        push(&mut line, format_args!(" internal:{passive}"));
    }
    let external = check.external_names();
    if !external.is_empty() {
        push(&mut line, format_args!(" external:{}", external.join(",")));
    }
    if line.is_empty() { line } else { format!(" dest-check{line}") }
}

fn dest_line(
    text: &mut String,
    service: &Service,
    dest: &Dest,
    (listing, format): (&ServiceListing, Format),
    namer: &Namer<'_>,
) {
    let protocol = port_protocol(&service.service);
    let mut name = namer.endpoint(dest.address, dest.port, protocol);
    if dest.address.is_ipv4() {
        name = cut(name, DEST_CHARS_MAX);
    }
    let (weight, active, inactive) = (dest.weight, dest.active, dest.inactive);
    let forward = forward_word(dest.forward);
    push(text, format_args!("  -> {name:<28}"));
    match listing.view {
        View::Default => {
            let is_marked = dest.overloaded && format == Format::Dpvs;
            let mark = if is_marked { " overload" } else { "" };
            push(
                text,
                format_args!(" {forward:<7} {weight:<6} {active:<10} {inactive:<10}{mark}\n"),
            );
        }
        View::TunInfo => {
            let tunnel = tunnel_text(dest);
            push(
                text,
                format_args!(
                    " {forward:<7} {tunnel:<13} {weight:<6} {active:<10} {inactive:<10}\n"
                ),
            );
        }
        View::Stats => push(text, format_args!("{}\n", stats(&dest.stats, listing.exact))),
        View::Rate => {
            let rates = dest.rates;
            let [input, output] =
                [rates.in_bytes, rates.out_bytes].map(|n| scaled(n, listing.exact));
            push(
                text,
                format_args!(
                    " {:>8} {:>8} {:>8}{input}{output}\n",
                    rates.connections, rates.in_packets, rates.out_packets
                ),
            );
        }
        View::Thresholds => {
            let (upper, lower) = (dest.upper_threshold, dest.lower_threshold);
            push(text, format_args!(" {upper:<10} {lower:<10} {active:<10} {inactive:<10}\n"));
        }
        View::PersistentConn => {
            let persistent = dest.persistent;
            push(text, format_args!(" {weight:<9} {persistent:<11} {active:<10} {inactive:<10}\n"));
        }
    }
}

fn forward_word(forward: Forward) -> &'static str {
    match forward {
        Forward::FullNat => "FullNat",
        Forward::Nat => "Masq",
        Forward::Direct => "Route",
        Forward::Tunnel => "Tunnel",
        Forward::Snat => "SNAT",
        Forward::Local => "Local",
    }
}

fn tunnel_text(dest: &Dest) -> String {
    let ipip = Tunnel { kind: TunnelType::Ipip, port: 0, checksum: TunnelChecksum::None };
    let tunnel = match (dest.forward, dest.tunnel) {
        (Forward::Tunnel, tunnel) => tunnel.unwrap_or(ipip),
        _ => return "n/a".to_owned(),
    };
    let checksum = match tunnel.checksum {
        TunnelChecksum::None => "-c",
        TunnelChecksum::Checksum => "+c",
        TunnelChecksum::Remote => "r+c",
    };
    let text = match tunnel.kind {
        TunnelType::Ipip => "ipip".to_owned(),
        TunnelType::Gue => format!("gue:{}:{checksum}", tunnel.port),
        TunnelType::Gre => format!("gre:{checksum}"),
    };
    cut(text, TUNNEL_CHARS_MAX)
}

fn stats(stats: &Stats, exact: bool) -> String {
    let Stats { connections, in_packets, out_packets, in_bytes, out_bytes } = *stats;
    let numbers = [connections, in_packets, out_packets, in_bytes, out_bytes];
    numbers.map(|number| scaled(number, exact)).concat()
}

/// Returns a number in 9 columns, with K, M, G or T where it is too long.
fn scaled(number: u64, exact: bool) -> String {
    if exact {
        // One blank more than the digits where they fill the column.
        let digits = number.to_string();
        return if digits.len() <= 8 { format!("{digits:>9}") } else { format!(" {digits}") };
    }
    match number {
        0..=99_999_999 => format!("{number:>9}"),
        100_000_000..=999_999_999 => format!("{:>8}K", number / 1000),
        1_000_000_000..=99_999_999_999 => format!("{:>8}M", number / 1_000_000),
        100_000_000_000..=99_999_999_999_999 => format!("{:>8}G", number / 1_000_000_000),
        _ => format!("{:>8}T", number / 1_000_000_000_000),
    }
}

#[cfg(test)]
#[path = "services_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "dpvs_tests.rs"]
mod dpvs_tests;
