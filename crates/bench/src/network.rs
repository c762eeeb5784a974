// SPDX-License-Identifier: MIT OR Apache-2.0
//! The network around a daemon that is measured.
//!
//! It stands on one port, by which everything comes and goes: 10.1.0.1/16, with 16 real servers on
//! 10.1.2.1 and so on, 16 local addresses on 10.1.1.1 and so on, and a gateway to all clients. Every
//! neighbour is known, so nothing waits.

use dpvs_api::types::{
    AddrSpec, ConfigSpec, DestConfig, Forward, LaddrConfig, NeighSpec, RouteSpec, Scope,
    ServiceConfig, ServiceKey, ServiceSpec, Tunnel, TunnelChecksum, TunnelType,
};
use std::net::IpAddr;

/// Name of the port.
pub const DEVICE: &str = "dpdk0";

/// Real servers, and local addresses: 16 million connections have room on their ports.
const SERVERS: u8 = 16;

const GATEWAY: [u8; 4] = [10, 1, 0, 254];

/// An address.
pub fn ip(octets: [u8; 4]) -> IpAddr {
    IpAddr::from(octets)
}

/// The whole configuration: a service, and the virtual addresses that are ours.
pub fn config(service: ServiceConfig, virtuals: &[IpAddr]) -> ConfigSpec {
    let virtuals = virtuals.iter().map(|address| addr(*address, 32));
    ConfigSpec {
        addrs: Some([addr(ip([10, 1, 0, 1]), 16)].into_iter().chain(virtuals).collect()),
        routes: Some(vec![default_route()]),
        neighs: Some(servers().chain([ip(GATEWAY)]).map(neighbour).collect()),
        services: Some(vec![service]),
        ..ConfigSpec::default()
    }
}

/// A service with its real servers on a port and, for full NAT, local addresses.
pub fn service(key: ServiceKey, port: u16, forward: Forward) -> ServiceConfig {
    let mut spec = ServiceSpec::new(key);
    spec.scheduler = Some("rr".to_owned());
    let mut service = ServiceConfig::new(spec);
    service.dests = servers().map(|address| dest(address, port, forward)).collect();
    if forward == Forward::FullNat {
        service.laddrs = (1..=SERVERS)
            .map(|n| LaddrConfig { address: ip([10, 1, 1, n]), device: DEVICE.to_owned() })
            .collect();
    }
    service
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

fn dest(address: IpAddr, port: u16, forward: Forward) -> DestConfig {
    let ipip = Tunnel { kind: TunnelType::Ipip, port: 0, checksum: TunnelChecksum::None };
    DestConfig {
        address,
        port,
        forward: Some(forward),
        weight: Some(1),
        upper_threshold: None,
        lower_threshold: None,
        tunnel: (forward == Forward::Tunnel).then_some(ipip),
    }
}
