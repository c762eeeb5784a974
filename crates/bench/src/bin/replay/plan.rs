// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the balancer is told for each kind of traffic. Virtual is 10.0.0.100.

use dpvs_api::types::{ConfigSpec, Forward, Protocol, ServiceKey};
use dpvs_bench::network;
pub(crate) use dpvs_bench::network::DEVICE;
use dpvs_bench::traffic::{PORT, Traffic, VIRTUAL};
use std::net::IpAddr;

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
    Ok(network::config(network::service(key, port, forward), &[virtual_]))
}
