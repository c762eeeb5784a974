// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real servers and local addresses of services.

use super::{IcmpErrors, Rates, ServiceKey, Stats};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// How packets get to a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Forward {
    /// Both addresses are translated (`-b`).
    FullNat,
    /// The destination is translated (`-m`).
    Nat,
    /// The packet is sent to the server's link address (`-g`).
    Direct,
    /// The packet is encapsulated (`-i`).
    Tunnel,
    /// The source of outgoing packets is translated (`-J`).
    Snat,
    /// The balancer itself.
    Local,
}

/// The encapsulation of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TunnelType {
    /// IP in IP.
    Ipip,
    /// Generic UDP encapsulation.
    Gue,
    /// Generic routing encapsulation.
    Gre,
}

/// The checksum of a GUE or GRE header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TunnelChecksum {
    /// None.
    None,
    /// A checksum.
    Checksum,
    /// Remote checksum offload.
    Remote,
}

/// How to encapsulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tunnel {
    /// The encapsulation.
    #[serde(rename = "type")]
    pub kind: TunnelType,
    /// UDP port of GUE; 0 otherwise.
    pub port: u16,
    /// Checksum of GUE and GRE.
    pub checksum: TunnelChecksum,
}

/// A real server to be made or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestSpec {
    /// The service it belongs to.
    pub service: ServiceKey,
    /// Its address.
    pub address: IpAddr,
    /// Its port; 0 for ICMP and for "the client's port".
    pub port: u16,
    /// Forwarding method; default `direct`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<Forward>,
    /// Weight 0 to 65535; default 1. 0 takes no new connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// No new connections at or above this many; 0 is no limit, the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper_threshold: Option<u32>,
    /// New connections again below this many; 0 is three quarters of the upper one, the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower_threshold: Option<u32>,
    /// Encapsulation; default IP in IP where the method is `tunnel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<Tunnel>,
}

/// Names a real server of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestRef {
    /// The service it belongs to.
    pub service: ServiceKey,
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
}

/// A real server as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dest {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Forwarding method.
    pub forward: Forward,
    /// Weight.
    pub weight: u32,
    /// Upper threshold; 0 is none.
    pub upper_threshold: u32,
    /// Lower threshold; 0 is none.
    pub lower_threshold: u32,
    /// Encapsulation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<Tunnel>,
    /// Established connections over all workers.
    pub active: u32,
    /// Other connections over all workers.
    pub inactive: u32,
    /// Persistence templates over all workers.
    pub persistent: u32,
    /// Whether the thresholds keep new connections away.
    #[serde(default)]
    pub overloaded: bool,
    /// ICMP errors about packets to it, over all workers, since it was made.
    #[serde(default)]
    pub icmp: IcmpErrors,
    /// Counters over all workers.
    pub stats: Stats,
    /// Rates over all workers.
    pub rates: Rates,
}

/// A local address of a service, to be made or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LaddrSpec {
    /// The service it belongs to.
    pub service: ServiceKey,
    /// The address.
    pub address: IpAddr,
    /// The port (interface) that has or gets the address.
    pub device: String,
}

/// A local address as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Laddr {
    /// The address.
    pub address: IpAddr,
    /// The port (interface) that has it.
    pub device: String,
    /// How often no local port or identifier could be had.
    pub conflicts: u64,
    /// Connections that use it now, over all workers.
    pub connections: u32,
}

/// The local addresses of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceLaddrs {
    /// The service.
    pub service: ServiceKey,
    /// Its local addresses.
    pub laddrs: Vec<Laddr>,
}

/// Which local addresses to list, and which page of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LaddrListParams {
    /// Only of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceKey>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Most local addresses of a page, 1 to 10000; default 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// One page of local addresses by service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LaddrList {
    /// The generation that all pages of a listing are of.
    pub generation: u64,
    /// Services, those without local addresses too; one that is split goes on as the first of the
    /// next page.
    pub services: Vec<ServiceLaddrs>,
    /// Give this as `cursor` to get the next page; missing on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
