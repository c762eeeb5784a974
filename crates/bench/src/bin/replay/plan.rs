// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the balancer is told for each kind of traffic.
//!
//! It stands on one port, by which everything comes and goes: 10.1.0.1/16, with 16 real servers on
//! 10.1.2.1 and so on, 16 local addresses on 10.1.1.1 and so on, and a gateway to all clients. Every
//! neighbour is known, so nothing waits. Virtual is 10.0.0.100.

use dpvs_api::types::{
    AddrSpec, ConfigSpec, DestConfig, Forward, LaddrConfig, NeighSpec, Protocol, RouteSpec, Scope,
    ServiceConfig, ServiceKey, ServiceSpec, Tunnel, TunnelChecksum, TunnelType,
};
use dpvs_bench::traffic::{PORT, Traffic, VIRTUAL};
use std::net::{IpAddr, Ipv4Addr};

/// Name of the port.
pub(crate) const DEVICE: &str = "dpdk0";

/// Real servers, and local addresses: so many connections have room on their ports.
const SERVERS: u8 = 16;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 254);

/// The configuration for a kind of traffic.
pub(crate) fn config(traffic: Traffic) -> anyhow::Result<ConfigSpec> {
    let virtual_: IpAddr = VIRTUAL.parse()?;
    let (forward, protocol) = match traffic {
        Traffic::FullNat | Traffic::RelatedError => (Forward::FullNat, Protocol::Udp),
        Traffic::SynFullNat => (Forward::FullNat, Protocol::Tcp),
        Traffic::Echo => (Forward::FullNat, Protocol::Icmp),
        Traffic::Nat => (Forward::Nat, Protocol::Udp),
        Traffic::Direct | Traffic::LocalEcho => (Forward::Direct, Protocol::Udp),
        Traffic::Tunnel => (Forward::Tunnel, Protocol::Udp),
    };
    let port = if protocol == Protocol::Icmp { 0 } else { PORT };
    let key = ServiceKey::Address { protocol, address: virtual_, port };
    let mut spec = ServiceSpec::new(key);
    spec.scheduler = Some("rr".to_owned());
    let mut service = ServiceConfig::new(spec);
    service.dests = servers().map(|address| dest(address, port, forward)).collect();
    if forward == Forward::FullNat {
        service.laddrs = (1..=SERVERS)
            .map(|n| LaddrConfig { address: ip([10, 1, 1, n]), device: DEVICE.to_owned() })
            .collect();
    }
    Ok(ConfigSpec {
        addrs: Some(vec![addr(ip([10, 1, 0, 1]), 16), addr(virtual_, 32)]),
        routes: Some(vec![default_route()]),
        neighs: Some(servers().chain([IpAddr::V4(GATEWAY)]).map(neighbour).collect()),
        services: Some(vec![service]),
        ..ConfigSpec::default()
    })
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
        via: Some(IpAddr::V4(GATEWAY)),
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
