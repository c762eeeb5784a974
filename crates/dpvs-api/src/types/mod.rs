// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parameters and replies of the methods. One file per object.
//!
//! In the parameters of `add` and `replace` a missing field means its default, in those of `set`
//! it means "as it is". Unknown fields are errors everywhere.

mod access;
mod config;
mod conn;
mod dest;
mod echo;
mod icmp;
mod network;
mod service;
mod system;

pub use access::*;
pub use config::*;
pub use conn::*;
pub use dest::*;
pub use echo::*;
pub use icmp::*;
pub use network::*;
pub use service::*;
pub use system::*;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// No parameters, or no reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// The reply of a write: every worker has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// The generation of the configuration that holds the change.
    pub generation: u64,
}

/// Counters since the object was made or last zeroed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stats {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub in_packets: u64,
    /// Packets to clients.
    pub out_packets: u64,
    /// Bytes from clients, from the IP header on.
    pub in_bytes: u64,
    /// Bytes to clients, from the IP header on.
    pub out_bytes: u64,
}

/// Rates over the last seconds (an average that halves about every two seconds).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Connections a second.
    pub connections: u64,
    /// Packets a second from clients.
    pub in_packets: u64,
    /// Packets a second to clients.
    pub out_packets: u64,
    /// Bytes a second from clients.
    pub in_bytes: u64,
    /// Bytes a second to clients.
    pub out_bytes: u64,
}
