// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the balancer is told.
//!
//! It stands on one port, by which everything comes and goes: 10.1.0.1/16, with 16 real servers on
//! 10.1.2.1 and so on, 16 local addresses on 10.1.1.1 and so on, and a gateway to all clients. Every
//! neighbour is known, so nothing waits.

use crate::frames::{PORT, VIRTUAL};
use dpvs_api::Call;
use dpvs_api::types::{
    AddrSpec, ConfigSpec, DestConfig, DestSpec, Forward, LaddrConfig, LaddrSpec, NeighSpec,
    Protocol, RouteSpec, Scope, ServiceConfig, ServiceKey, ServiceSpec,
};
use std::net::IpAddr;

/// Name of the port.
pub(crate) const DEVICE: &str = "dpdk0";

/// Real servers, and local addresses: 16 million connections have room on their ports.
const SERVERS: u8 = 16;

const GATEWAY: [u8; 4] = [10, 1, 0, 254];

/// The service that the traffic is for.
pub(crate) fn config(protocol: Protocol, forward: Forward) -> anyhow::Result<ConfigSpec> {
    let virtual_: IpAddr = VIRTUAL.parse()?;
    let key = ServiceKey::Address { protocol, address: virtual_, port: PORT };
    Ok(ConfigSpec {
        addrs: Some(vec![
            addr(ip([10, 1, 0, 1]), 16),
            addr(virtual_, 32),
            addr(other_virtual(), 32),
        ]),
        routes: Some(vec![default_route()]),
        neighs: Some(servers().chain([ip(GATEWAY)]).map(neighbour).collect()),
        services: Some(vec![service(key, forward)]),
        ..ConfigSpec::default()
    })
}

/// The key of one of the other services.
pub(crate) fn other(n: u16) -> ServiceKey {
    ServiceKey::Address { protocol: Protocol::Udp, address: other_virtual(), port: 1000 + n }
}

/// The real server of one of the other services.
pub(crate) fn dest_of(service: ServiceKey) -> DestSpec {
    DestSpec {
        service,
        address: ip([10, 1, 2, 1]),
        port: PORT,
        forward: Some(Forward::FullNat),
        weight: Some(1),
        upper_threshold: None,
        lower_threshold: None,
        tunnel: None,
    }
}

/// What adds another service, with a real server and a local address.
pub(crate) fn adding(n: u16) -> [Call; 3] {
    let service = other(n);
    [
        Call::ServiceAdd(ServiceSpec::new(service.clone())),
        Call::DestAdd(dest_of(service.clone())),
        Call::LaddrAdd(LaddrSpec {
            service,
            address: ip([10, 1, 1, 1]),
            device: DEVICE.to_owned(),
        }),
    ]
}

/// A service with its real servers and, for full NAT, local addresses.
fn service(key: ServiceKey, forward: Forward) -> ServiceConfig {
    let mut spec = ServiceSpec::new(key);
    spec.scheduler = Some("rr".to_owned());
    let mut service = ServiceConfig::new(spec);
    service.dests = servers().map(|address| dest(address, forward)).collect();
    if forward == Forward::FullNat {
        service.laddrs = (1..=SERVERS)
            .map(|n| LaddrConfig { address: ip([10, 1, 1, n]), device: DEVICE.to_owned() })
            .collect();
    }
    service
}

fn other_virtual() -> IpAddr {
    ip([10, 0, 0, 200])
}

fn ip(octets: [u8; 4]) -> IpAddr {
    IpAddr::from(octets)
}

fn servers() -> impl Iterator<Item = IpAddr> {
    (1..=SERVERS).map(|n| ip([10, 1, 2, n]))
}

fn addr(address: IpAddr, prefix_len: u8) -> AddrSpec {
    AddrSpec {
        address,
        prefix_len,
        device: DEVICE.to_owned(),
        broadcast: None,
        scope: Scope::Global,
        valid_lft: 0,
        preferred_lft: 0,
        sapool: false,
    }
}

fn default_route() -> RouteSpec {
    RouteSpec {
        destination: ip([0; 4]),
        prefix_len: 0,
        via: Some(ip(GATEWAY)),
        device: Some(DEVICE.to_owned()),
        src: None,
        mtu: 0,
        scope: Scope::Global,
        metric: 0,
    }
}

fn neighbour(address: IpAddr) -> NeighSpec {
    NeighSpec { address, lladdr: "02:00:00:00:00:01".to_owned(), device: DEVICE.to_owned() }
}

fn dest(address: IpAddr, forward: Forward) -> DestConfig {
    DestConfig {
        address,
        port: PORT,
        forward: Some(forward),
        weight: Some(1),
        upper_threshold: None,
        lower_threshold: None,
        tunnel: None,
    }
}
