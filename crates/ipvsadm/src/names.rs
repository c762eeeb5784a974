// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of hosts and of ports.

use dpvs_api::types::Protocol;
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

const SERVICES_PATH: &str = "/etc/services";

/// Where names come from.
pub trait Names {
    /// Returns the first IPv4 address of a host.
    fn host_v4(&self, name: &str) -> Option<Ipv4Addr>;
    /// Returns the first IPv6 address of a host.
    fn host_v6(&self, name: &str) -> Option<Ipv6Addr>;
    /// Returns the name of a host.
    fn host_name(&self, address: IpAddr) -> Option<String>;
    /// Returns the port of a service name.
    fn port(&self, name: &str, protocol: Protocol) -> Option<u16>;
    /// Returns the service name of a port.
    fn port_name(&self, port: u16, protocol: Protocol) -> Option<String>;
}

/// No names at all: for parsing without any system call.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNames;

impl Names for NoNames {
    fn host_v4(&self, _: &str) -> Option<Ipv4Addr> {
        None
    }
    fn host_v6(&self, _: &str) -> Option<Ipv6Addr> {
        None
    }
    fn host_name(&self, _: IpAddr) -> Option<String> {
        None
    }
    fn port(&self, _: &str, _: Protocol) -> Option<u16> {
        None
    }
    fn port_name(&self, _: u16, _: Protocol) -> Option<String> {
        None
    }
}

/// The names of this machine: the system's resolver and `/etc/services`. Hosts are asked once.
#[derive(Default)]
pub struct SystemNames {
    services: OnceCell<Services>,
    hosts: RefCell<HashMap<IpAddr, Option<String>>>,
}

impl fmt::Debug for SystemNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemNames").finish_non_exhaustive()
    }
}

impl SystemNames {
    fn services(&self) -> &Services {
        self.services.get_or_init(|| {
            // Without the file there are no names, as with the C library.
            Services::parse(&std::fs::read_to_string(SERVICES_PATH).unwrap_or_default())
        })
    }
}

fn addresses(name: &str) -> impl Iterator<Item = IpAddr> {
    let usable = !name.is_empty() && !name.contains('\0');
    let found = usable.then(|| (name, 0_u16).to_socket_addrs().ok()).flatten();
    found.into_iter().flatten().map(|address| address.ip())
}

impl Names for SystemNames {
    fn host_v4(&self, name: &str) -> Option<Ipv4Addr> {
        addresses(name).find_map(|address| match address {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(_) => None,
        })
    }

    fn host_v6(&self, name: &str) -> Option<Ipv6Addr> {
        addresses(name).find_map(|address| match address {
            IpAddr::V6(v6) => Some(v6),
            IpAddr::V4(_) => None,
        })
    }

    fn host_name(&self, address: IpAddr) -> Option<String> {
        let look_up = || {
            let name = dns_lookup::lookup_addr(&address).ok()?;
            // The resolver gives the literal where it knows no name.
            (name.parse::<IpAddr>() != Ok(address)).then_some(name)
        };
        self.hosts.borrow_mut().entry(address).or_insert_with(look_up).clone()
    }

    fn port(&self, name: &str, protocol: Protocol) -> Option<u16> {
        self.services().port(name, protocol)
    }

    fn port_name(&self, port: u16, protocol: Protocol) -> Option<String> {
        self.services().port_name(port, protocol)
    }
}

/// The content of `/etc/services`.
#[derive(Clone, Debug, Default)]
pub struct Services {
    rows: Vec<ServiceRow>,
}

#[derive(Clone, Debug)]
struct ServiceRow {
    names: Vec<String>,
    port: u16,
    protocol: String,
}

impl Services {
    /// Reads the text of `/etc/services`; lines that make no sense are skipped.
    pub fn parse(text: &str) -> Self {
        let rows = text.lines().filter_map(|line| {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let name = words.next()?;
            let (port, protocol) = words.next()?.split_once('/')?;
            let names = std::iter::once(name).chain(words).map(str::to_owned).collect();
            Some(ServiceRow { names, port: port.parse().ok()?, protocol: protocol.to_owned() })
        });
        Services { rows: rows.collect() }
    }

    /// Returns the port of a service name or alias.
    pub fn port(&self, name: &str, protocol: Protocol) -> Option<u16> {
        let protocol = protocol_name(protocol);
        let matches =
            |row: &&ServiceRow| row.protocol == protocol && row.names.iter().any(|n| n == name);
        self.rows.iter().find(matches).map(|row| row.port)
    }

    /// Returns the service name of a port.
    pub fn port_name(&self, port: u16, protocol: Protocol) -> Option<String> {
        let protocol = protocol_name(protocol);
        let matches = |row: &&ServiceRow| row.protocol == protocol && row.port == port;
        self.rows.iter().find(matches).and_then(|row| row.names.first().cloned())
    }
}

/// Returns a protocol's name in small letters.
pub fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
        Protocol::Icmp => "icmp",
        Protocol::Icmpv6 => "icmpv6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_found_by_name_alias_and_port_of_the_protocol() {
        let text = "# comment\nhttp 80/tcp www # web\ndomain\t53/udp\nbad line\nx 99999/tcp\n";
        let services = Services::parse(text);
        assert_eq!(services.port("www", Protocol::Tcp), Some(80));
        assert_eq!(services.port("http", Protocol::Udp), None);
        assert_eq!(services.port_name(53, Protocol::Udp).as_deref(), Some("domain"));
        assert_eq!(services.port_name(53, Protocol::Tcp), None);
    }
}
