// SPDX-License-Identifier: MIT OR Apache-2.0
//! The whole configuration as one document.

use super::{
    AddrSpec, DestSpec, EchoSpec, Forward, NeighSpec, RouteSpec, ServiceKey, ServiceSpec,
    TimeoutSpec, Tunnel, WriteSpec,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What the balancer is to be like. A section that is missing stays as it stands; one that is there
/// is meant whole: what it does not name goes away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigSpec {
    /// Timeouts of idle connections; missing ones stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<TimeoutSpec>,
    /// Addresses of ports, without those that local addresses of services bring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addrs: Option<Vec<AddrSpec>>,
    /// Routes, without those that follow from addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<RouteSpec>>,
    /// Static neighbours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighs: Option<Vec<NeighSpec>>,
    /// Echo policies, besides those that services name for their addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echoes: Option<Vec<EchoSpec>>,
    /// Services. One that is listed again goes on where it was left: its parts are added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<ServiceConfig>>,
}

/// A service with all its parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// The service and its attributes; missing ones have their defaults.
    #[serde(flatten)]
    pub spec: ServiceSpec,
    /// Its real servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dests: Vec<DestConfig>,
    /// Its local addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub laddrs: Vec<LaddrConfig>,
    /// Clients that may not connect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blacklist: Vec<IpAddr>,
    /// Clients that may connect; if there are any, no others may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub whitelist: Vec<IpAddr>,
}

impl ServiceConfig {
    /// A service without parts.
    pub fn new(spec: ServiceSpec) -> Self {
        ServiceConfig {
            spec,
            dests: Vec::new(),
            laddrs: Vec::new(),
            blacklist: Vec::new(),
            whitelist: Vec::new(),
        }
    }

    /// Returns how many parts it has.
    pub fn parts_len(&self) -> usize {
        self.dests.len() + self.laddrs.len() + self.blacklist.len() + self.whitelist.len()
    }
}

/// A real server of a service; what is missing has its default, as with `dest.add`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestConfig {
    /// Its address.
    pub address: IpAddr,
    /// Its port; 0 for ICMP and for "the client's port".
    pub port: u16,
    /// Forwarding method; default `direct`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<Forward>,
    /// Weight 0 to 65535; default 1.
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

impl DestConfig {
    /// Returns it as the real server of a service.
    pub fn of(self, service: ServiceKey) -> DestSpec {
        let DestConfig { address, port, forward, weight, upper_threshold, lower_threshold, tunnel } =
            self;
        DestSpec {
            service,
            address,
            port,
            forward,
            weight,
            upper_threshold,
            lower_threshold,
            tunnel,
        }
    }
}

/// A local address of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LaddrConfig {
    /// The address.
    pub address: IpAddr,
    /// The port (interface) that has or gets the address.
    pub device: String,
}

/// A configuration to be applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigApplyParams {
    /// What the balancer is to be like.
    pub config: ConfigSpec,
    /// Only tell the difference, after trying it.
    #[serde(default)]
    pub dry_run: bool,
    /// More of the configuration comes with the next call: nothing is done yet. For documents that
    /// are longer than a line.
    #[serde(default)]
    pub more: bool,
    /// Refuse unless this is the generation that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

/// What applying a configuration came to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigApplied {
    /// The generation of the configuration that stands now.
    pub generation: u64,
    /// How many writes make the difference.
    pub changes: u64,
    /// Those writes in their order; of very many the first ones.
    pub writes: Vec<WriteSpec>,
}

/// Which page of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigGetParams {
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// One page of the configuration, as `config.apply` takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigPage {
    /// The generation that all pages are of.
    pub generation: u64,
    /// This page of it.
    pub config: ConfigSpec,
    /// Give this as `cursor` to get the next page; missing on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_flat_and_unknown_fields_are_refused() {
        let text = r#"{"service":{"protocol":"tcp","address":"10.0.0.100","port":80},"scheduler":"rr",
            "dests":[{"address":"10.2.0.11","port":8080,"forward":"fullnat"}],
            "laddrs":[{"address":"10.2.0.200","device":"dpdk1"}]}"#;
        let service: ServiceConfig = serde_json::from_str(text).unwrap();
        assert_eq!(service.spec.scheduler.as_deref(), Some("rr"));
        assert_eq!((service.dests.len(), service.laddrs.len()), (1, 1));
        for wrong in [
            text.replace("scheduler", "shceduler"),
            text.replace("device", "divice"),
            text.replace("forward", "foreward"),
        ] {
            assert!(serde_json::from_str::<ServiceConfig>(&wrong).is_err(), "{wrong}");
        }
    }
}
