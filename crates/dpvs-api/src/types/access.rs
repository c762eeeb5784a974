// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who may connect to a service: its black list and its white list.

use super::ServiceKey;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A client to be put on a list of a service, or taken off it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessSpec {
    /// The service.
    pub service: ServiceKey,
    /// The client's address.
    pub address: IpAddr,
}

/// Of which services to list the clients, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessListParams {
    /// Only of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceKey>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Most clients of a page, 1 to 10000; default 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The clients on a list of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceClients {
    /// The service.
    pub service: ServiceKey,
    /// Its clients, in the order of their addresses.
    pub clients: Vec<IpAddr>,
}

/// One page of a list of clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessPage {
    /// The generation that all pages of a listing are of.
    pub generation: u64,
    /// The services that have clients on the list; one that is split goes on as the first of the
    /// next page.
    pub services: Vec<ServiceClients>,
    /// Give this as `cursor` to get the next page; missing on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
