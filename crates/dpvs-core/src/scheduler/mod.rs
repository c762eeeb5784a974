// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a real server is chosen for a new connection. One file an algorithm.
//!
//! A new one is a file with a `pick` function of the same shape, a variant of [`Scheduler`], and a
//! line in each of the tables below. Nothing else knows the algorithms. What an algorithm can work
//! out of the list of real servers once, it keeps in its [`Picker`], which is made anew when a draft
//! with changed servers is published.

mod rr;
mod wlc;
mod wrr;

use crate::WorkerId;
use crate::key::Endpoint;
use crate::tables::{Dest, Service, ServiceSettings};

/// A scheduling algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheduler {
    /// Round robin.
    Rr,
    /// Weighted round robin.
    Wrr,
    /// Weighted least connections.
    Wlc,
    /// Consistent hashing.
    Conhash,
}

/// Flags of a scheduler by their position, `flag-1` to `flag-3` on the command line. What they mean
/// is the algorithm's own; `sh` and `mh` name the first "fallback" and the second "port".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SchedulerFlags(pub u8);

impl SchedulerFlags {
    /// None.
    pub const NONE: SchedulerFlags = SchedulerFlags(0);
    /// `flag-1`, `sh-fallback`, `mh-fallback`: another server where the chosen one takes none.
    pub const FALLBACK: SchedulerFlags = SchedulerFlags(1);
    /// `flag-2`, `sh-port`, `mh-port`: the client's port is hashed too.
    pub const PORT: SchedulerFlags = SchedulerFlags(2);
    /// `flag-3`.
    pub const THIRD: SchedulerFlags = SchedulerFlags(4);

    /// Returns whether all flags of `other` are set.
    pub fn has(self, other: SchedulerFlags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What consistent hashing (`conhash`) hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HashTarget {
    /// The client's address.
    #[default]
    Source,
    /// The destination connection id of QUIC (RFC 9000 section 17); the address where there is none.
    QuicId,
}

/// What a scheduler may look at of a packet that makes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The client; its port is the identifier for ICMP.
    pub client: Endpoint,
    /// Where the packet goes.
    pub target: Endpoint,
    /// The first 8 bytes of the destination connection id of QUIC, where the service asks for it.
    pub quic_id: Option<[u8; 8]>,
}

/// What an algorithm has worked out of a service's real servers.
#[derive(Clone, Debug, Default)]
pub struct Picker {
    /// Greatest weight of all real servers.
    pub weight_max: u32,
    /// Greatest common divisor of the weights, 0 if all are 0.
    pub weight_gcd: u32,
}

impl Picker {
    /// Works it out.
    pub fn new(_settings: &ServiceSettings, dests: &[Dest]) -> Self {
        let weights = || dests.iter().map(|dest| dest.settings.weight);
        Picker { weight_max: weights().max().unwrap_or(0), weight_gcd: weights().fold(0, gcd) }
    }
}

fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl Scheduler {
    /// Every algorithm with its IPVS name.
    pub const ALL: &'static [(Scheduler, &'static str)] =
        &[(Scheduler::Rr, "rr"), (Scheduler::Wrr, "wrr"), (Scheduler::Wlc, "wlc")];

    /// Returns the algorithm of an IPVS name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// Returns the IPVS name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }

    /// Chooses a real server that takes connections; `None` if there is none.
    pub fn pick<'a>(self, service: &'a Service, me: WorkerId, _flow: &Flow) -> Option<&'a Dest> {
        match self {
            Scheduler::Rr => rr::pick(service, me),
            Scheduler::Wrr => wrr::pick(service, me),
            Scheduler::Wlc | Scheduler::Conhash => wlc::pick(service),
        }
    }
}
