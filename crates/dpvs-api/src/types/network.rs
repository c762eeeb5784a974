// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses, routes, neighbours and links.

use super::Family;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Names a port of the dataplane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceRef {
    /// The port's name, such as `dpdk0`.
    pub device: String,
}

/// Restricts a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceFilter {
    /// Only this port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Only this family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
}

/// How far an address or a route is good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// This host: the address is ours.
    Host,
    /// This host's kernel: packets go to the port's kernel interface.
    KniHost,
    /// The link.
    Link,
    /// Everywhere.
    #[default]
    Global,
}

/// An address of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddrSpec {
    /// The address.
    pub address: IpAddr,
    /// Length of its prefix, at most 32 or 128; 0 counts as that.
    #[serde(default)]
    pub prefix_len: u8,
    /// The port that has it.
    pub device: String,
    /// IPv4 broadcast address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<IpAddr>,
    /// How far it is good for; default everywhere.
    #[serde(default)]
    pub scope: Scope,
    /// Seconds for which it stands; 0 is for ever.
    #[serde(default)]
    pub valid_lft: u32,
    /// Seconds for which it is preferred; 0 is for ever.
    #[serde(default)]
    pub preferred_lft: u32,
    /// Whether it may serve as a pool of local ports.
    #[serde(default)]
    pub sapool: bool,
}

/// Names an address of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddrRef {
    /// The address.
    pub address: IpAddr,
    /// Length of its prefix; 0 counts as 32 or 128.
    #[serde(default)]
    pub prefix_len: u8,
    /// The port that has it.
    pub device: String,
}

/// Use of an address as a pool of local ports and identifiers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolUse {
    /// Connections that use it now.
    pub used: u64,
    /// Ports and identifiers free, summed over workers; those towards one real server.
    pub free: u64,
    /// How often none could be had.
    pub missed: u64,
}

/// An address as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddrInfo {
    /// What was asked for; lifetimes are what is left.
    pub addr: AddrSpec,
    /// Use as a local address, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolUse>,
}

/// Addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddrList {
    /// The generation of the listing.
    pub generation: u64,
    /// The addresses in the order of their making.
    pub addrs: Vec<AddrInfo>,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteSpec {
    /// Destination; host bits must be zero.
    pub destination: IpAddr,
    /// Length of its prefix; 0 is the default route.
    pub prefix_len: u8,
    /// The gateway; missing for a link route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<IpAddr>,
    /// The port to leave by; may be missing where the gateway tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Source of packets that we make ourselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src: Option<IpAddr>,
    /// MTU in bytes; 0 is the port's.
    #[serde(default)]
    pub mtu: u32,
    /// How far it goes.
    #[serde(default)]
    pub scope: Scope,
    /// Of two routes to the same prefix the one with the smaller metric is used.
    #[serde(default)]
    pub metric: u32,
}

/// Routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteList {
    /// The generation of the listing.
    pub generation: u64,
    /// The routes: local, connected and static ones.
    pub routes: Vec<RouteSpec>,
}

/// A static neighbour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NeighSpec {
    /// Its address.
    pub address: IpAddr,
    /// Its link address, `52:54:00:12:34:56`.
    pub lladdr: String,
    /// The port that it is on.
    pub device: String,
}

/// Names a neighbour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NeighRef {
    /// Its address.
    pub address: IpAddr,
    /// The port that it is on.
    pub device: String,
}

/// A neighbour as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NeighInfo {
    /// Its address.
    pub address: IpAddr,
    /// Its link address, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lladdr: Option<String>,
    /// The port that it is on.
    pub device: String,
    /// `NONE`, `SEND`, `REACHABLE`, `PROBE` or `DELAY`.
    pub state: String,
    /// The worker whose table this is from.
    pub worker: u32,
    /// Whether it was configured.
    #[serde(rename = "static")]
    pub is_static: bool,
}

/// Neighbours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NeighList {
    /// The neighbours.
    pub neighs: Vec<NeighInfo>,
}

/// Settings of a port to change; missing ones stay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkSpec {
    /// The port.
    pub device: String,
    /// Take frames for any link address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promisc: Option<bool>,
    /// Take frames for any multicast link address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allmulticast: Option<bool>,
    /// Bring the link up or down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<bool>,
    /// MTU in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Link address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lladdr: Option<String>,
}

/// Counters of a port, from its driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkStats {
    /// Frames received.
    pub in_packets: u64,
    /// Frames sent.
    pub out_packets: u64,
    /// Bytes received.
    pub in_bytes: u64,
    /// Bytes sent.
    pub out_bytes: u64,
    /// Frames received with errors.
    pub in_errors: u64,
    /// Frames that could not be sent.
    pub out_errors: u64,
    /// Frames lost because the receive queue was full.
    pub in_missed: u64,
    /// Frames lost because there was no buffer.
    pub no_buffer: u64,
}

/// A port as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkInfo {
    /// Number of the port, counted from 0.
    pub index: u32,
    /// Its name.
    pub device: String,
    /// The device as it was configured: a PCI address, `af_packet:eth0` ...
    pub spec: String,
    /// DPDK's driver.
    pub driver: String,
    /// NUMA node, or -1.
    pub socket: i32,
    /// MTU in bytes.
    pub mtu: u32,
    /// Receive queues in use.
    pub rx_queues: u32,
    /// Transmit queues in use.
    pub tx_queues: u32,
    /// Link state.
    pub up: bool,
    /// Speed, 0 if unknown.
    pub speed_mbps: u32,
    /// Duplex.
    pub full_duplex: bool,
    /// Whether speed was negotiated.
    pub autoneg: bool,
    /// Whether it takes frames for any link address.
    pub promisc: bool,
    /// Whether it takes frames for any multicast link address.
    pub allmulticast: bool,
    /// Whether a kernel interface gets what is not ours.
    pub kernel: bool,
    /// Link address.
    pub lladdr: String,
    /// Offloads in use, as `dpip` names them: `OF_RX_IP_CSUM` ...
    #[serde(default)]
    pub offloads: Vec<String>,
    /// How frames get to the worker that owns their connection: `single`, `rss` or `handoff`.
    pub steering: String,
    /// Counters.
    pub stats: LinkStats,
    /// Frame buffers free.
    pub buffers_free: u64,
    /// Frame buffers in use.
    pub buffers_used: u64,
}

/// Ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkList {
    /// The ports in the order of their numbers.
    pub links: Vec<LinkInfo>,
}
