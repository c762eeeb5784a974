// SPDX-License-Identifier: MIT OR Apache-2.0
//! The section `[icmp]`.

use super::{PortSection, values};
use dpvs_core::PortId;
use dpvs_core::net::Prefix;
use dpvs_core::tables::{self, IcmpPolicy};
use serde::Deserialize;

/// Limits and switches of ICMP. Rates are per second and worker; 0 is no limit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::struct_excessive_bools, reason = "switches, each with a name of its own")]
pub(crate) struct IcmpSection {
    relayed_per_s: u32,
    relayed_per_vip_per_s: u32,
    mtu_gap_ms: u32,
    made_per_s: u32,
    made_per_destination_per_s: u32,
    prohibited_per_s: u32,
    echo_per_s: u32,
    echo_per_source_per_s: u32,
    #[serde(deserialize_with = "values::prefixes")]
    echo_allow: Vec<Prefix>,
    pool_echo: bool,
    queries_per_client: u32,
    source_quench: SourceQuench,
    source_to_clients: ErrorSource,
    source_to_servers: ErrorSource,
    sequence_check: Check,
    quoted_checksum: Check,
    extensions: Extensions,
    expire_unreachable_udp: bool,
    reschedule_unreachable_syn: bool,
    tell_unreachable: bool,
    tell_denied: bool,
    tell_exhausted: bool,
    /// Names of ports.
    pub(super) silent_ports: Vec<String>,
}

/// What becomes of source quench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SourceQuench {
    Relay,
    Drop,
}

/// What becomes of something doubtful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Check {
    Off,
    Count,
    Drop,
}

/// Where a translated error seems to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ErrorSource {
    Peer,
    Own,
    Keep,
}

/// What becomes of extensions (RFC 4884).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Extensions {
    Keep,
    Strip,
}

impl Default for IcmpSection {
    fn default() -> Self {
        let policy = IcmpPolicy::default();
        IcmpSection {
            relayed_per_s: policy.relayed_per_s,
            relayed_per_vip_per_s: policy.relayed_per_virtual_per_s,
            mtu_gap_ms: policy.mtu_gap_ms,
            made_per_s: policy.made_per_s,
            made_per_destination_per_s: policy.made_per_destination_per_s,
            prohibited_per_s: policy.prohibited_per_s,
            echo_per_s: policy.echo_per_s,
            echo_per_source_per_s: policy.echo_per_source_per_s,
            echo_allow: policy.echo_admitted.to_vec(),
            pool_echo: policy.answers_pool_echo,
            queries_per_client: policy.queries_per_client,
            source_quench: SourceQuench::Relay,
            source_to_clients: ErrorSource::Peer,
            source_to_servers: ErrorSource::Peer,
            sequence_check: Check::Off,
            quoted_checksum: Check::Count,
            extensions: Extensions::Keep,
            expire_unreachable_udp: policy.expires_unreachable_udp,
            reschedule_unreachable_syn: policy.reschedules_unreachable_syn,
            tell_unreachable: policy.tells_unreachable,
            tell_denied: policy.tells_denied,
            tell_exhausted: policy.tells_exhausted,
            silent_ports: Vec::new(),
        }
    }
}

impl IcmpSection {
    /// The section as the tables have it, which know `ports` by their numbers.
    pub(super) fn policy(&self, ports: &[PortSection]) -> IcmpPolicy {
        let numbered = (0..).map(PortId).zip(ports);
        let silent = numbered.filter(|(_, port)| self.silent_ports.contains(&port.name));
        IcmpPolicy {
            relayed_per_s: self.relayed_per_s,
            relayed_per_virtual_per_s: self.relayed_per_vip_per_s,
            mtu_gap_ms: self.mtu_gap_ms,
            made_per_s: self.made_per_s,
            made_per_destination_per_s: self.made_per_destination_per_s,
            prohibited_per_s: self.prohibited_per_s,
            echo_per_s: self.echo_per_s,
            echo_per_source_per_s: self.echo_per_source_per_s,
            echo_admitted: self.echo_allow.as_slice().into(),
            answers_pool_echo: self.pool_echo,
            queries_per_client: self.queries_per_client,
            relays_source_quench: self.source_quench == SourceQuench::Relay,
            source_to_clients: self.source_to_clients.into(),
            source_to_servers: self.source_to_servers.into(),
            sequence: self.sequence_check.into(),
            quoted_checksum: self.quoted_checksum.into(),
            strips_extensions: self.extensions == Extensions::Strip,
            expires_unreachable_udp: self.expire_unreachable_udp,
            reschedules_unreachable_syn: self.reschedule_unreachable_syn,
            tells_unreachable: self.tell_unreachable,
            tells_denied: self.tell_denied,
            tells_exhausted: self.tell_exhausted,
            silent_ports: silent.map(|(id, _)| id).collect(),
        }
    }
}

impl From<Check> for tables::Check {
    fn from(check: Check) -> Self {
        match check {
            Check::Off => tables::Check::Off,
            Check::Count => tables::Check::Count,
            Check::Drop => tables::Check::Drop,
        }
    }
}

impl From<ErrorSource> for tables::ErrorSource {
    fn from(source: ErrorSource) -> Self {
        match source {
            ErrorSource::Peer => tables::ErrorSource::Peer,
            ErrorSource::Own => tables::ErrorSource::Own,
            ErrorSource::Keep => tables::ErrorSource::Keep,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_section_is_the_default_policy() {
        let section: IcmpSection = toml::from_str("").unwrap();
        assert_eq!(section.policy(&[]), IcmpPolicy::default());
    }

    #[test]
    fn every_switch_reaches_the_policy() {
        let section: IcmpSection = toml::from_str(
            r#"
            source_to_clients = "own"
            source_to_servers = "keep"
            sequence_check = "drop"
            quoted_checksum = "off"
            extensions = "strip"
            expire_unreachable_udp = true
            reschedule_unreachable_syn = true
            tell_unreachable = true
            tell_denied = true
            tell_exhausted = false
            queries_per_client = 7
            echo_allow = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"]
            pool_echo = false
            silent_ports = ["dpdk1"]
            "#,
        )
        .unwrap();
        let expected = IcmpPolicy {
            source_to_clients: tables::ErrorSource::Own,
            source_to_servers: tables::ErrorSource::Keep,
            sequence: tables::Check::Drop,
            quoted_checksum: tables::Check::Off,
            strips_extensions: true,
            expires_unreachable_udp: true,
            reschedules_unreachable_syn: true,
            tells_unreachable: true,
            tells_denied: true,
            tells_exhausted: false,
            queries_per_client: 7,
            echo_admitted: [("10.0.0.0", 8), ("2001:db8::", 32), ("192.0.2.1", 32)]
                .map(|(text, len)| Prefix::containing(text.parse().unwrap(), len).unwrap())
                .into(),
            answers_pool_echo: false,
            silent_ports: [PortId(1)].into(),
            ..IcmpPolicy::default()
        };
        let port = |name: &str| PortSection::new(name.to_owned(), "tap:t0".parse().unwrap());
        assert_eq!(section.policy(&["dpdk0", "dpdk1", "dpdk2"].map(port)), expected);
    }

    #[test]
    fn networks_are_written_without_host_bits() {
        for bad in ["10.1.0.0/8", "10.0.0.0/33", "10.0.0.0/", "2001:db8::1/64", "here", "/8"] {
            let text = format!("echo_allow = [\"{bad}\"]");
            assert!(toml::from_str::<IcmpSection>(&text).is_err(), "{bad}");
        }
    }
}
