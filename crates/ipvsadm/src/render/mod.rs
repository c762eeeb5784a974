// SPDX-License-Identifier: MIT OR Apache-2.0
//! Replies of the API to text. Pure functions: what they print is decided by their arguments.

pub mod clients;
pub mod connections;
pub mod laddrs;
pub mod save;
pub mod services;
#[cfg(test)]
mod tests_support;

use crate::names::Names;
use dpvs_api::types::{Protocol, Service, ServiceKey};
use std::net::IpAddr;

/// Longest address with port in a listing.
const ENDPOINT_CHARS_MAX: usize = 59;

/// Turns addresses and ports into names, or does not.
#[derive(Clone, Copy)]
pub struct Namer<'a> {
    /// Where names come from.
    pub names: &'a dyn Names,
    /// Numbers instead.
    pub numeric: bool,
}

impl std::fmt::Debug for Namer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Namer").field("numeric", &self.numeric).finish_non_exhaustive()
    }
}

impl Namer<'_> {
    /// Returns `address:port`, `[address]:port` for IPv6, of any length.
    pub fn whole_endpoint(&self, ip: IpAddr, port: u16, protocol: Protocol) -> String {
        let host = if self.numeric { None } else { self.names.host_name(ip) };
        let host = host.unwrap_or_else(|| ip.to_string());
        let service = if self.numeric { None } else { self.names.port_name(port, protocol) };
        let port = service.unwrap_or_else(|| port.to_string());
        if ip.is_ipv4() { format!("{host}:{port}") } else { format!("[{host}]:{port}") }
    }

    /// Returns `address:port` as listings have it.
    pub fn endpoint(&self, ip: IpAddr, port: u16, protocol: Protocol) -> String {
        cut(self.whole_endpoint(ip, port, protocol), ENDPOINT_CHARS_MAX)
    }
}

/// Returns `address:port` in numbers.
pub(crate) fn numeric_endpoint(ip: IpAddr, port: u16) -> String {
    if ip.is_ipv4() { format!("{ip}:{port}") } else { format!("[{ip}]:{port}") }
}

pub(crate) fn cut(text: String, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => text[..at].to_owned(),
        None => text,
    }
}

/// Returns the number that stands for a protocol in IP headers.
fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Icmp => 1,
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Icmpv6 => 58,
        Protocol::Sctp => 132,
    }
}

/// Returns the protocol that names the ports of a service's servers.
fn port_protocol(key: &ServiceKey) -> Protocol {
    match key {
        ServiceKey::Address { protocol, .. } => *protocol,
        ServiceKey::FwMark { .. } => Protocol::Tcp,
        ServiceKey::Match { pattern } => pattern.protocol.unwrap_or(Protocol::Tcp),
    }
}

/// Sorts services by mark, family, protocol, address and port; servers by address and port.
pub fn sort(services: &mut [Service]) {
    services.sort_by_cached_key(|service| match &service.service {
        ServiceKey::Address { protocol, address, port } => {
            (0, address.is_ipv6(), protocol_number(*protocol), Some(*address), *port, String::new())
        }
        ServiceKey::FwMark { fwmark, family } => {
            let is_v6 = *family == dpvs_api::types::Family::Inet6;
            (*fwmark, is_v6, 0, None, 0, String::new())
        }
        ServiceKey::Match { pattern } => {
            let is_v6 = crate::matchspec::match_family(pattern) == dpvs_api::types::Family::Inet6;
            let protocol = pattern.protocol.map_or(0, protocol_number);
            (0, is_v6, protocol, None, 0, services::match_text(pattern))
        }
    });
    services.iter_mut().for_each(sort_servers);
}

/// Sorts the servers of a service by address and port.
fn sort_servers(service: &mut Service) {
    service.dests.sort_by_key(|dest| (dest.address, dest.port));
}
