// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is configured about ICMP.

use crate::PortId;
use crate::conn::Direction;
use crate::key::Address;
use crate::net::Prefix;
use std::sync::Arc;

/// What becomes of something doubtful.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// It is not looked at.
    Off,
    /// It is counted and goes on.
    #[default]
    Count,
    /// It is dropped.
    Drop,
}

/// What a translated error comes from, as its receiver sees it. Only the outer header is meant: what
/// is quoted is always what the receiver sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorSource {
    /// The address that the receiver talks to: the virtual address for clients, the local one for
    /// real servers. Most filters let that pass.
    #[default]
    Peer,
    /// An address of ours on the port that the error leaves by: in a traceroute, one hop.
    Own,
    /// The address of whoever sent the error, where the receiver may see it.
    Keep,
}

/// ICMP's limits and switches. Rates are per second and worker; 0 is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "switches, each with a name of its own")]
pub struct IcmpPolicy {
    /// Errors translated, in all.
    pub relayed_per_s: u32,
    /// Errors translated for one virtual address.
    pub relayed_per_virtual_per_s: u32,
    /// Least time between two translated path MTUs of one connection in milliseconds; 0 is none.
    pub mtu_gap_ms: u32,
    /// Errors made, in all.
    pub made_per_s: u32,
    /// Errors made for one destination.
    pub made_per_destination_per_s: u32,
    /// Answers that something is forbidden, in all.
    pub prohibited_per_s: u32,
    /// Echo requests to one address answered.
    pub echo_per_s: u32,
    /// Echo requests of one source network (/24, IPv6 /48) answered.
    pub echo_per_source_per_s: u32,
    /// Whose echo requests are taken where no ICMP service stands; if there are none, everybody's.
    pub echo_admitted: Arc<[Prefix]>,
    /// Whether local addresses and those of SNAT answer echo requests, as virtual ones do.
    pub answers_pool_echo: bool,
    /// Query pairs that one client may have at a time.
    pub queries_per_client: u32,
    /// Whether source quench is translated like other errors, or dropped.
    pub relays_source_quench: bool,
    /// The source of errors towards clients.
    pub source_to_clients: ErrorSource,
    /// The source of errors towards real servers.
    pub source_to_servers: ErrorSource,
    /// Quoted TCP sequence numbers outside of what is under way (RFC 5927 section 4.1).
    pub sequence: Check,
    /// Quoted IPv4 headers with a wrong checksum (RFC 5508 REQ-3a).
    pub quoted_checksum: Check,
    /// Whether extensions (RFC 4884) are cut off: they may tell of networks behind us.
    pub strips_extensions: bool,
    /// Whether a UDP connection ends when its real server says that it has no such port.
    pub expires_unreachable_udp: bool,
    /// Whether a TCP connection ends that its real server has not answered, when the network or the
    /// host cannot be reached.
    pub reschedules_unreachable_syn: bool,
    /// Whether no route and no neighbour are told to the client.
    pub tells_unreachable: bool,
    /// Whether a client that the access lists refuse is told.
    pub tells_denied: bool,
    /// Whether hosts behind SNAT are told that no port or identifier is left (RFC 5508 REQ-8).
    pub tells_exhausted: bool,
    /// Ports by which no error made here leaves, whatever else is set (RFC 5508 REQ-9).
    pub silent_ports: Arc<[PortId]>,
}

impl IcmpPolicy {
    /// Returns which source errors get that go in `direction`.
    #[inline]
    pub(crate) fn error_source(&self, direction: Direction) -> ErrorSource {
        match direction {
            Direction::Inbound => self.source_to_servers,
            Direction::Outbound => self.source_to_clients,
        }
    }

    /// Returns whether echo requests of a sender are taken where no ICMP service stands.
    pub fn admits_echo(&self, sender: Address) -> bool {
        let admitted = &self.echo_admitted;
        admitted.is_empty() || admitted.iter().any(|prefix| prefix.contains(sender.ip()))
    }
}

impl Default for IcmpPolicy {
    fn default() -> Self {
        IcmpPolicy {
            relayed_per_s: 20_000,
            relayed_per_virtual_per_s: 1000,
            mtu_gap_ms: 100,
            made_per_s: 1000,
            made_per_destination_per_s: 1,
            prohibited_per_s: 100,
            echo_per_s: 10_000,
            echo_per_source_per_s: 0,
            echo_admitted: Arc::default(),
            answers_pool_echo: true,
            queries_per_client: 1024,
            relays_source_quench: true,
            source_to_clients: ErrorSource::Peer,
            source_to_servers: ErrorSource::Peer,
            sequence: Check::Off,
            quoted_checksum: Check::Count,
            strips_extensions: false,
            expires_unreachable_udp: false,
            reschedules_unreachable_syn: false,
            tells_unreachable: false,
            tells_denied: false,
            tells_exhausted: true,
            silent_ports: Arc::default(),
        }
    }
}
