// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands that make the services again.

use super::{Namer, numeric_endpoint, port_protocol, services::mask, sort, sort_servers};
use crate::echo;
use crate::listopts::DestCheck;
use crate::names::protocol_name;
use crate::schedflags::saved_flags;
use dpvs_api::types::{
    AccessPage, Dest, Family, Forward, Match, Protocol, Service, ServiceKey, ServicePage, Timeouts,
    Tunnel, TunnelChecksum, TunnelType,
};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::net::IpAddr;

/// What is saved.
#[derive(Clone, Copy, Debug)]
pub struct Saved<'a> {
    /// The services.
    pub page: &'a ServicePage,
    /// The timeouts of idle connections.
    pub timeouts: &'a Timeouts,
    /// The clients on black lists.
    pub black: &'a AccessPage,
    /// The clients on white lists.
    pub white: &'a AccessPage,
}

/// Prints one command a line: timeouts, then each service with local addresses, lists and servers.
pub fn render(saved: &Saved<'_>, namer: &Namer<'_>) -> String {
    let Saved { page, timeouts, .. } = saved;
    let is_match = |service: &Service| matches!(service.service, ServiceKey::Match { .. });
    // The first match that fits a packet wins, so their order is part of what they mean.
    let (mut matches, mut services): (Vec<Service>, Vec<Service>) =
        page.services.iter().cloned().partition(is_match);
    sort(&mut services);
    matches.iter_mut().for_each(sort_servers);
    services.append(&mut matches);
    let [black, white] = [saved.black, saved.white].map(by_service);
    let mut text = format!("--set {} {} {}\n", timeouts.tcp, timeouts.tcp_fin, timeouts.udp);
    let mut pinged = HashSet::new();
    // Writing to a string cannot fail.
    for service in &services {
        let name = service_text(&service.service, namer);
        let echo = echo_option(service, &mut pinged);
        let _ = writeln!(text, "-A {name} -s {}{}{echo}", service.scheduler, options(service));
        for laddr in &service.laddrs {
            let _ = writeln!(text, "-P {name} -z {} -F {}", laddr.address, laddr.device);
        }
        // Before the servers: nobody connects whom the lists keep out.
        for (lists, options) in [(&black, ["-U", "-k"]), (&white, ["-O", "-2"])] {
            let [command, option] = options;
            for client in lists.get(&service.service).copied().unwrap_or_default() {
                let _ = writeln!(text, "{command} {name} {option} {client}");
            }
        }
        let protocol = port_protocol(&service.service);
        // Servers are listed newest first and sorted: the order of their making is lost.
        for dest in &service.dests {
            let _ = writeln!(text, "-a {name} {}", dest_text(dest, protocol, namer));
        }
    }
    text
}

fn by_service(page: &AccessPage) -> HashMap<&ServiceKey, &[IpAddr]> {
    page.services.iter().map(|list| (&list.service, list.clients.as_slice())).collect()
}

/// Returns `address:port`. A name that a listing would cut is written as a number.
fn endpoint(ip: IpAddr, port: u16, protocol: Protocol, namer: &Namer<'_>) -> String {
    let whole = namer.whole_endpoint(ip, port, protocol);
    if whole == namer.endpoint(ip, port, protocol) { whole } else { numeric_endpoint(ip, port) }
}

fn service_text(key: &ServiceKey, namer: &Namer<'_>) -> String {
    match key {
        ServiceKey::Address { protocol, address, port } => {
            let option = match protocol {
                Protocol::Tcp => "-t",
                Protocol::Udp => "-u",
                Protocol::Sctp => "--sctp-service",
                Protocol::Icmp => "-q",
                Protocol::Icmpv6 => "-1",
            };
            format!("{option} {}", endpoint(*address, *port, *protocol, namer))
        }
        ServiceKey::FwMark { fwmark, family: Family::Inet } => format!("-f {fwmark}"),
        ServiceKey::FwMark { fwmark, family: Family::Inet6 } => format!("-f {fwmark} -6"),
        ServiceKey::Match { pattern } => format!("-H {}", match_option(pattern)),
    }
}

fn match_option(pattern: &Match) -> String {
    let mut parts = Vec::new();
    if let Some(protocol) = pattern.protocol {
        parts.push(format!("proto={}", protocol_name(protocol)));
    }
    if let Some(family) = pattern.family {
        let family = if family == Family::Inet { "ipv4" } else { "ipv6" };
        parts.push(format!("af={family}"));
    }
    let named = [
        ("src-range", &pattern.src_range),
        ("dst-range", &pattern.dst_range),
        ("iif", &pattern.iif),
        ("oif", &pattern.oif),
    ];
    for (key, value) in named {
        parts.extend(value.as_ref().map(|value| format!("{key}={value}")));
    }
    parts.join(",")
}

fn options(service: &Service) -> String {
    let mut text = String::new();
    if service.persistent > 0 {
        let _ = write!(text, " -p {}", service.persistent);
        if let Some(mask) = mask(service) {
            let _ = write!(text, " -M {mask}");
        }
        if !service.persistence_engine.is_empty() {
            let _ = write!(text, " --pe {}", service.persistence_engine);
        }
    }
    if service.one_packet {
        text.push_str(" -o");
    }
    if !service.scheduler_flags.is_empty() {
        let flags = saved_flags(&service.scheduler_flags, &service.scheduler);
        let _ = write!(text, " -b {}", flags.join(","));
    }
    if service.synproxy {
        text.push_str(" -j enable");
    }
    if !service.hash_target.is_empty() {
        let _ = write!(text, " --hash-target {}", service.hash_target);
    }
    if service.conn_timeout > 0 {
        let _ = write!(text, " --conn-timeout {}", service.conn_timeout);
    }
    if !service.proxy_protocol.is_empty() {
        let _ = write!(text, " --proxy-protocol {}", service.proxy_protocol);
    }
    if service.expire_quiescent {
        text.push_str(" --expire-quiescent");
    }
    if service.quic {
        text.push_str(" --quic");
    }
    for part in DestCheck::from_api(&service.dest_check).parts() {
        let _ = write!(text, " --dest-check {part}");
    }
    text
}

/// Writes the echo policy with the first service of its address.
fn echo_option(service: &Service, pinged: &mut HashSet<IpAddr>) -> String {
    match (service.icmp_echo, &service.service) {
        (Some(policy), ServiceKey::Address { address, .. }) if pinged.insert(*address) => {
            format!(" --icmp-echo {}", echo::text(&policy))
        }
        _ => String::new(),
    }
}

fn dest_text(dest: &Dest, protocol: Protocol, namer: &Namer<'_>) -> String {
    let forward = match dest.forward {
        Forward::FullNat => "-b",
        Forward::Nat => "-m",
        // The balancer's own addresses are found out again when the server is added.
        Forward::Direct | Forward::Local => "-g",
        Forward::Tunnel => "-i",
        Forward::Snat => "-J",
    };
    let server = endpoint(dest.address, dest.port, protocol, namer);
    let mut text = format!("-r {server} {forward} -w {}", dest.weight);
    if dest.forward == Forward::Tunnel {
        text.push_str(&tunnel_options(dest.tunnel));
    }
    if dest.upper_threshold > 0 {
        let _ = write!(text, " -x {}", dest.upper_threshold);
    }
    if dest.lower_threshold > 0 {
        let _ = write!(text, " -y {}", dest.lower_threshold);
    }
    text
}

fn tunnel_options(tunnel: Option<Tunnel>) -> String {
    let Some(Tunnel { kind, port, checksum }) = tunnel else {
        return " --tun-type ipip".to_owned();
    };
    let checksum = match checksum {
        TunnelChecksum::None => "--tun-nocsum",
        TunnelChecksum::Checksum => "--tun-csum",
        TunnelChecksum::Remote => "--tun-remcsum",
    };
    match kind {
        TunnelType::Ipip => " --tun-type ipip".to_owned(),
        TunnelType::Gue => format!(" --tun-type gue --tun-port {port} {checksum}"),
        TunnelType::Gre => format!(" --tun-type gre {checksum}"),
    }
}

#[cfg(test)]
#[path = "save_tests.rs"]
mod tests;
