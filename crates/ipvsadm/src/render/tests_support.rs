// SPDX-License-Identifier: MIT OR Apache-2.0
//! Services and servers for tests, and what was recorded of the real program.

use crate::names::{Names, Services};
use dpvs_api::types::{
    AccessPage, Dest, Family, Forward, IcmpErrors, Protocol, Rates, Service, ServiceClients,
    ServiceKey, ServicePage, Stats,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) fn key(protocol: Protocol, address: &str, port: u16) -> ServiceKey {
    ServiceKey::Address { protocol, address: address.parse().unwrap(), port }
}

pub(super) fn fwmark(fwmark: u32, is_v6: bool) -> ServiceKey {
    let family = if is_v6 { Family::Inet6 } else { Family::Inet };
    ServiceKey::FwMark { fwmark, family }
}

pub(super) fn service(service: ServiceKey, scheduler: &str) -> Service {
    Service {
        service,
        scheduler: scheduler.to_owned(),
        scheduler_flags: Vec::new(),
        persistent: 0,
        netmask: Ipv4Addr::BROADCAST,
        prefix_len: 128,
        persistence_engine: String::new(),
        one_packet: false,
        synproxy: false,
        expire_quiescent: false,
        quic: false,
        conn_timeout: 0,
        proxy_protocol: String::new(),
        hash_target: String::new(),
        dest_check: String::new(),
        icmp_echo: None,
        stats: Stats::default(),
        rates: Rates::default(),
        laddrs: Vec::new(),
        dests: Vec::new(),
    }
}

pub(super) fn dest(address: &str, port: u16, forward: Forward) -> Dest {
    Dest {
        address: address.parse().unwrap(),
        port,
        forward,
        weight: 1,
        upper_threshold: 0,
        lower_threshold: 0,
        tunnel: None,
        active: 0,
        inactive: 0,
        persistent: 0,
        overloaded: false,
        icmp: IcmpErrors::default(),
        stats: Stats::default(),
        rates: Rates::default(),
    }
}

pub(super) fn page(services: Vec<Service>) -> ServicePage {
    ServicePage { generation: 1, conn_table_size: 4096, services, next: None }
}

pub(super) fn clients(lists: &[(ServiceKey, &[&str])]) -> AccessPage {
    let list = |(service, clients): &(ServiceKey, &[&str])| ServiceClients {
        service: service.clone(),
        clients: clients.iter().map(|client| client.parse().unwrap()).collect(),
    };
    AccessPage { generation: 1, services: lists.iter().map(list).collect(), next: None }
}

/// Returns the recorded runs of the real program.
pub(super) fn recorded_cases() -> Vec<serde_json::Value> {
    let cases = include_str!("../../tests/golden/ipvsadm-stock-cases.json");
    serde_json::from_str(cases).unwrap()
}

/// The names that the recorded listings were made with.
pub(super) struct FileNames {
    hosts: Vec<(IpAddr, Vec<String>)>,
    services: Services,
}

impl FileNames {
    pub(super) fn new() -> Self {
        let hosts = include_str!("../../tests/golden/etc-hosts").lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next()?.parse().ok()?;
            Some((address, words.map(str::to_owned).collect()))
        });
        let services = Services::parse(include_str!("../../tests/golden/etc-services"));
        FileNames { hosts: hosts.collect(), services }
    }

    fn addresses(&self, name: &str) -> impl Iterator<Item = IpAddr> {
        self.hosts.iter().filter(move |row| row.1.iter().any(|n| n == name)).map(|row| row.0)
    }
}

impl Names for FileNames {
    fn host_v4(&self, name: &str) -> Option<Ipv4Addr> {
        self.addresses(name).find_map(|ip| if let IpAddr::V4(v4) = ip { Some(v4) } else { None })
    }
    fn host_v6(&self, name: &str) -> Option<Ipv6Addr> {
        self.addresses(name).find_map(|ip| if let IpAddr::V6(v6) = ip { Some(v6) } else { None })
    }
    fn host_name(&self, address: IpAddr) -> Option<String> {
        self.hosts.iter().find(|row| row.0 == address).map(|row| row.1[0].clone())
    }
    fn port(&self, name: &str, protocol: Protocol) -> Option<u16> {
        self.services.port(name, protocol)
    }
    fn port_name(&self, port: u16, protocol: Protocol) -> Option<String> {
        self.services.port_name(port, protocol)
    }
}
