// SPDX-License-Identifier: MIT OR Apache-2.0
//! Services.

use super::{Dest, EchoPolicy, Laddr, Rates, Stats};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};

/// A transport protocol that services and connections can have.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP (6).
    Tcp,
    /// UDP (17).
    Udp,
    /// SCTP (132).
    Sctp,
    /// ICMP (1). Services have port 0.
    Icmp,
    /// `ICMPv6` (58). Services have port 0.
    Icmpv6,
}

/// An address family.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

/// What a service is known by: protocol, address and port, or a firewall mark, or a match.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, try_from = "RawServiceKey")]
#[schemars(with = "RawServiceKey")]
pub enum ServiceKey {
    /// `{"protocol": "tcp", "address": "10.0.0.100", "port": 80}`.
    Address {
        /// The protocol.
        protocol: Protocol,
        /// The virtual address.
        address: IpAddr,
        /// The virtual port; 0 for ICMP and for "any port".
        port: u16,
    },
    /// `{"fwmark": 8, "family": "inet"}`.
    FwMark {
        /// The mark, not 0.
        fwmark: u32,
        /// The family of the packets.
        family: Family,
    },
    /// `{"match": {"protocol": "tcp", "src_range": "10.0.0.1-10.0.0.9"}}`.
    Match {
        /// What packets must look like.
        #[serde(rename = "match")]
        pattern: Match,
    },
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawServiceKey {
    protocol: Option<Protocol>,
    address: Option<IpAddr>,
    #[serde(default)]
    port: Option<u16>,
    fwmark: Option<u32>,
    family: Option<Family>,
    #[serde(rename = "match")]
    pattern: Option<Match>,
}

impl TryFrom<RawServiceKey> for ServiceKey {
    type Error = String;

    fn try_from(raw: RawServiceKey) -> Result<Self, String> {
        match raw {
            RawServiceKey {
                protocol: Some(protocol),
                address: Some(address),
                port,
                fwmark: None,
                family: None,
                pattern: None,
            } => Ok(ServiceKey::Address { protocol, address, port: port.unwrap_or(0) }),
            RawServiceKey {
                protocol: None,
                address: None,
                port: None,
                fwmark: Some(fwmark),
                family,
                pattern: None,
            } => Ok(ServiceKey::FwMark { fwmark, family: family.unwrap_or(Family::Inet) }),
            RawServiceKey {
                protocol: None,
                address: None,
                port: None,
                fwmark: None,
                family: None,
                pattern: Some(pattern),
            } => Ok(ServiceKey::Match { pattern }),
            _ => Err("a service is {protocol, address, port}, {fwmark, family} or {match}".into()),
        }
    }
}

/// A match of SNAT services. Ranges are texts, `IP1-IP2:PORT1-PORT2`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// The protocol; any if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// The family, where no range tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// Source addresses and ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src_range: Option<String>,
    /// Destination addresses and ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dst_range: Option<String>,
    /// The port that packets come in by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iif: Option<String>,
    /// The port that packets leave by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oif: Option<String>,
}

/// Names one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceRef {
    /// The service.
    pub service: ServiceKey,
}

/// Names one service, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceSelector {
    /// The service; all if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceKey>,
}

/// A service to be made or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceSpec {
    /// The service.
    pub service: ServiceKey,
    /// Scheduler by its IPVS name; default `wlc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<String>,
    /// Scheduler flags by name: `flag-1`, `sh-port`, `mh-fallback` ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler_flags: Option<Vec<String>>,
    /// Persistence in seconds; 0 is off, the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent: Option<u32>,
    /// Persistence granularity of IPv4; default 255.255.255.255. Need not be contiguous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netmask: Option<Ipv4Addr>,
    /// Persistence granularity of IPv6, a prefix length 1 to 128; default 128.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_len: Option<u8>,
    /// Persistence engine; empty is none, the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistence_engine: Option<String>,
    /// One-packet scheduling; default off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_packet: Option<bool>,
    /// SYN proxy; default off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synproxy: Option<bool>,
    /// Expire connections of quiescent servers; default off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_quiescent: Option<bool>,
    /// QUIC connection ids; default off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quic: Option<bool>,
    /// Idle timeout of established connections in seconds; 0 is the protocol's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conn_timeout: Option<u32>,
    /// PROXY protocol: `v1`, `v2`, `v1-insecure`, `v2-insecure`; empty is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<String>,
    /// What conhash hashes: `sip` or `qid`; empty is neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_target: Option<String>,
    /// Health checks as the command line writes them; empty is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dest_check: Option<String>,
    /// The echo policy of the service's address, which all its services share; as it is if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp_echo: Option<EchoPolicy>,
}

impl ServiceSpec {
    /// Names a service and gives nothing else.
    pub fn new(service: ServiceKey) -> Self {
        ServiceSpec {
            service,
            scheduler: None,
            scheduler_flags: None,
            persistent: None,
            netmask: None,
            prefix_len: None,
            persistence_engine: None,
            one_packet: None,
            synproxy: None,
            expire_quiescent: None,
            quic: None,
            conn_timeout: None,
            proxy_protocol: None,
            hash_target: None,
            dest_check: None,
            icmp_echo: None,
        }
    }
}

/// A service as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The service.
    pub service: ServiceKey,
    /// Scheduler by its IPVS name.
    pub scheduler: String,
    /// Scheduler flags by name.
    #[serde(default)]
    pub scheduler_flags: Vec<String>,
    /// Persistence in seconds; 0 is off.
    pub persistent: u32,
    /// Persistence granularity of IPv4.
    pub netmask: Ipv4Addr,
    /// Persistence granularity of IPv6.
    pub prefix_len: u8,
    /// Persistence engine; empty is none.
    pub persistence_engine: String,
    /// One-packet scheduling.
    pub one_packet: bool,
    /// SYN proxy.
    pub synproxy: bool,
    /// Expire connections of quiescent servers.
    pub expire_quiescent: bool,
    /// QUIC connection ids.
    pub quic: bool,
    /// Idle timeout of established connections in seconds; 0 is the protocol's own.
    pub conn_timeout: u32,
    /// PROXY protocol; empty is off.
    pub proxy_protocol: String,
    /// What conhash hashes; empty is neither.
    pub hash_target: String,
    /// Health checks; empty is none.
    pub dest_check: String,
    /// The echo policy of the service's address, if it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp_echo: Option<EchoPolicy>,
    /// Counters over all workers.
    pub stats: Stats,
    /// Rates over all workers.
    pub rates: Rates,
    /// Local addresses in the order of their making. Only in a service's first page.
    #[serde(default)]
    pub laddrs: Vec<Laddr>,
    /// Real servers in the order of their making, newest first as the kernel lists them.
    #[serde(default)]
    pub dests: Vec<Dest>,
}

/// Which services to list, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceListParams {
    /// Only this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceKey>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Most services and real servers of a page, 1 to 1000; default 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// One page of services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServicePage {
    /// The generation that all pages of a listing are of.
    pub generation: u64,
    /// How many connections the tables of all workers can hold.
    pub conn_table_size: u64,
    /// The services; one that is split goes on as the first of the next page.
    pub services: Vec<Service>,
    /// Give this as `cursor` to get the next page; missing on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_kinds_of_key_read_and_write_the_same() {
        for text in [
            r#"{"protocol":"icmpv6","address":"2001:db8::1","port":0}"#,
            r#"{"fwmark":8,"family":"inet6"}"#,
            r#"{"match":{"protocol":"udp","src_range":"10.0.0.1-10.0.0.9"}}"#,
        ] {
            let key: ServiceKey = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&key).unwrap(), text);
        }
    }

    #[test]
    fn a_mixture_of_kinds_is_refused_with_the_kinds() {
        let text = r#"{"fwmark":8,"protocol":"tcp","address":"10.0.0.1"}"#;
        let error = serde_json::from_str::<ServiceKey>(text).unwrap_err();
        assert!(error.to_string().contains("{protocol, address, port}"));
    }
}
