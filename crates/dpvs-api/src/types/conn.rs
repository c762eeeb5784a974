// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections and timeouts.

use super::{Forward, Protocol, ServiceKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// An address with a port. For ICMP queries the port is the identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// The port, or the identifier of an ICMP query.
    pub port: u16,
}

/// A connection. A ping has two: one for the request, one for the reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// The worker that owns it, counted from 0.
    pub worker: u32,
    /// The protocol.
    pub protocol: Protocol,
    /// Its state by the name that IPVS uses: `ESTABLISHED`, `UDP`; `REQUEST` or `REPLY` for ICMP;
    /// `NONE` for templates.
    pub state: String,
    /// Seconds until it expires if it stays idle.
    pub expires: u32,
    /// The client. Of a template: the part of its address that counts, and port 0.
    pub client: Endpoint,
    /// The virtual address; port 0 for ICMP.
    #[serde(rename = "virtual")]
    pub virtual_: Endpoint,
    /// How it is forwarded.
    pub forward: Forward,
    /// The local address of full NAT and SNAT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<Endpoint>,
    /// The real server; port 0 for ICMP.
    pub dest: Endpoint,
    /// Packets from the client.
    pub in_packets: u64,
    /// Packets to the client.
    pub out_packets: u64,
    /// Whether this is no connection, but what binds a client to a real server (persistence).
    #[serde(default)]
    pub template: bool,
}

/// Which connections to list, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnListParams {
    /// Only those of this service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceKey>,
    /// Only those of this protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Only those of clients in this prefix, `ADDR/LEN` or `ADDR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Only those of this worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<u32>,
    /// Most connections of a page, 1 to 1000; default 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// One page of connections. Pages are slices of a living table: a connection that stands through
/// the whole listing is listed once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnPage {
    /// The connections. A page may hold fewer than `limit`, even none, and not be the last.
    pub connections: Vec<Connection>,
    /// Give this as `cursor` to get the next page; missing on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Timeouts of idle connections in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// Established TCP connections.
    pub tcp: u32,
    /// TCP connections that one end has closed.
    pub tcp_fin: u32,
    /// UDP.
    pub udp: u32,
    /// ICMP queries, at least 60 (RFC 5508 REQ-2).
    pub icmp: u32,
}

/// Timeouts to change; missing ones and 0 stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeoutSpec {
    /// Established TCP connections, at most 2678400 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<u32>,
    /// TCP connections that one end has closed, at most 2678400 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_fin: Option<u32>,
    /// UDP, at most 2678400 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udp: Option<u32>,
    /// ICMP queries, 60 to 2678400 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp: Option<u32>,
}
