// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is done with ICMP: counters, settings in force, the last decisions.

use super::{Endpoint, Protocol, ServiceKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What has been done with ICMP, and what is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IcmpStatus {
    /// Counters by name, over all workers.
    pub counters: BTreeMap<String, u64>,
    /// Dropped frames by reason, over all workers: the reasons that are ICMP's own.
    pub drops: BTreeMap<String, u64>,
    /// Messages by type, as far as there were any.
    pub messages: IcmpMessages,
    /// The section `[icmp]` of the configuration as it is in force.
    pub settings: IcmpSettings,
}

/// ICMP messages, over all workers: `icmp 3`, `icmpv6 128`, `icmp other` for types that nobody uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IcmpMessages {
    /// Received by ports.
    pub received: BTreeMap<String, u64>,
    /// Errors translated towards real servers.
    pub relayed_in: BTreeMap<String, u64>,
    /// Errors translated towards clients.
    pub relayed_out: BTreeMap<String, u64>,
    /// Errors made here, by type and code: `icmp 3/4`.
    pub made: BTreeMap<String, u64>,
}

/// Limits and switches of ICMP, with the keys and words of the configuration. Rates are per second
/// and worker; 0 is no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "switches, each with a name of its own")]
#[allow(missing_docs, reason = "the keys are those of the configuration, explained there")]
pub struct IcmpSettings {
    pub relayed_per_s: u32,
    pub relayed_per_vip_per_s: u32,
    pub mtu_gap_ms: u32,
    pub made_per_s: u32,
    pub made_per_destination_per_s: u32,
    pub prohibited_per_s: u32,
    pub echo_per_s: u32,
    pub echo_per_source_per_s: u32,
    pub echo_allow: Vec<String>,
    pub pool_echo: bool,
    pub queries_per_client: u32,
    pub source_quench: String,
    pub source_to_clients: String,
    pub source_to_servers: String,
    pub sequence_check: String,
    pub quoted_checksum: String,
    pub extensions: String,
    pub expire_unreachable_udp: bool,
    pub reschedule_unreachable_syn: bool,
    pub tell_unreachable: bool,
    pub tell_denied: bool,
    pub tell_exhausted: bool,
    pub silent_ports: Vec<String>,
}

/// Which real servers to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IcmpServersParams {
    /// Most servers: 1 to 2048; default 256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A real server that ICMP errors were about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IcmpServer {
    /// Its service.
    pub service: ServiceKey,
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// How many there were since the counters were zeroed.
    pub icmp: IcmpErrors,
}

/// Real servers that ICMP errors were about; others are not listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IcmpServers {
    /// Those with most of them first.
    pub servers: Vec<IcmpServer>,
}

/// Which decisions to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IcmpDecisionsParams {
    /// Only those of this worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<u32>,
    /// Most decisions, the newest: 1 to 2048; default 256. A worker remembers its last 256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The packet that an ICMP error quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IcmpQuote {
    /// Its protocol.
    pub protocol: Protocol,
    /// Where it came from; for an ICMP query the port is the identifier.
    pub src: Endpoint,
    /// Where it went to; port 0 for an ICMP query.
    pub dst: Endpoint,
}

/// What became of one ICMP error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IcmpDecision {
    /// How long ago, in milliseconds.
    pub age_ms: u64,
    /// The worker that decided, counted from 0.
    pub worker: u32,
    /// The port it came in by.
    pub device: String,
    /// Who sent it.
    pub src: IpAddr,
    /// Whom to.
    pub dst: IpAddr,
    /// ICMP or `ICMPv6` type.
    #[serde(rename = "type")]
    pub icmp_type: u8,
    /// Code.
    pub code: u8,
    /// The packet it quotes; missing if that could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<IcmpQuote>,
    /// `relayed-in` to a real server, `relayed-out` to a client, `steered` to another worker, which
    /// decides, `host` for its own stack, `used` here for a tunnel's path, or why it was dropped: a
    /// reason of `drop.list`.
    pub outcome: String,
    /// The worker it was handed to, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steered_to: Option<u32>,
}

/// The last decisions about ICMP errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IcmpDecisions {
    /// Oldest first.
    pub decisions: Vec<IcmpDecision>,
}

/// ICMP errors about packets to a real server, from itself or from routers on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IcmpErrors {
    /// Unreachable: 3 but not 3/4, `ICMPv6` 1.
    pub unreachable: u32,
    /// The time to live ended: 11, `ICMPv6` 3.
    pub time_exceeded: u32,
    /// Too big: 3/4, `ICMPv6` 2.
    pub too_big: u32,
}
