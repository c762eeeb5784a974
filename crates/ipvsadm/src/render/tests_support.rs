// SPDX-License-Identifier: MIT OR Apache-2.0
//! Services and servers for tests.

use dpvs_api::types::{
    Dest, Family, Forward, Protocol, Rates, Service, ServiceKey, ServicePage, Stats,
};
use std::net::Ipv4Addr;

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
        stats: Stats::default(),
        rates: Rates::default(),
    }
}

pub(super) fn page(services: Vec<Service>) -> ServicePage {
    ServicePage { generation: 1, conn_table_size: 4096, services, next: None }
}
