// SPDX-License-Identifier: MIT OR Apache-2.0
//! The daemon itself: information, counters, transactions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What runs here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemInfo {
    /// The daemon's version.
    pub version: String,
    /// DPDK's version.
    pub dpdk: String,
    /// The daemon's process.
    pub pid: u32,
    /// Seconds since its start.
    pub uptime: u64,
    /// Number of workers.
    pub workers: u32,
    /// Generation of the configuration.
    pub generation: u64,
    /// How many connections the tables of all workers can hold.
    pub conn_table_size: u64,
    /// How many they hold.
    pub connections: u64,
}

/// One reason to drop a frame, with its count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropCount {
    /// The reason, a word.
    pub reason: String,
    /// Frames over all workers.
    pub count: u64,
    /// Frames by worker.
    pub workers: Vec<u64>,
}

/// Dropped frames by reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropList {
    /// Every reason, those that never happened too.
    pub drops: Vec<DropCount>,
}

/// Counters of one worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerStats {
    /// The worker, counted from 0.
    pub worker: u32,
    /// The processor it is pinned to.
    pub cpu: u32,
    /// Connections in its table.
    pub connections: u64,
    /// Connections its table can hold.
    pub connections_max: u64,
    /// Share of time in which it was busy with frames, in thousandths, over the last second.
    pub busy_permille: u32,
}

/// Counters of the dataplane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataplaneStats {
    /// By name, over all workers: `frames_in`, `icmp_echo_replied`, `icmp_error_relayed` ...
    pub counters: BTreeMap<String, u64>,
    /// By worker.
    pub workers: Vec<WorkerStats>,
}

/// One write of a transaction.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteSpec {
    /// A method whose access is `write`.
    pub method: String,
    /// Its parameters.
    #[serde(default)]
    #[schemars(with = "Value")]
    pub params: Box<RawValue>,
}

/// Writes that are applied whole or not at all.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransactionSpec {
    /// The writes, in order.
    pub writes: Vec<WriteSpec>,
    /// Refuse with `CONFLICT` unless this is the current generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// More of the same transaction follows on this connection: nothing is applied before the part
    /// without this, and nothing at all if a part is refused or the connection ends. Refused with
    /// `CONFLICT` if the configuration is changed in between.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// One method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MethodDescription {
    /// `object.verb`.
    pub name: String,
    /// One sentence.
    pub description: String,
    /// `read`, `write` or `operate`.
    pub access: String,
    /// JSON schema of the parameters.
    pub params: Value,
    /// JSON schema of the reply.
    pub reply: Value,
}

/// All methods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The methods.
    pub methods: Vec<MethodDescription>,
}
