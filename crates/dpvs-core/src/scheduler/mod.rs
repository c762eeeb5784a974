// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a real server is chosen for a new connection. One file an algorithm.
//!
//! To add one: write its file, with its `mod` line and a type that is an `Algorithm` in it, and
//! register it by one line of the table below, which makes the variant of [`Scheduler`], the name
//! that users write and the way to the file's type. Nothing else knows the algorithms, and the
//! compiler says what is missing.
//!
//! An algorithm's `new` is called by the control thread whenever a draft with a changed service is
//! published, and may take its time; what it works out is shared by the copies of a [`Service`].
//! `pick` is called by workers for each new connection: no allocation, no lock. What it has to
//! remember is either the worker's own ([`ServiceCounters`](crate::counters::ServiceCounters)), or
//! an atomic that all workers share.
//!
//! | cost of `pick` | algorithms |
//! |---|---|
//! | O(1), more where servers are unavailable or full | `rr`, `sh`, `dh`, `mh`, `fo`, `ovf`, `lblc` |
//! | O(log servers) | `conhash` |
//! | O(1), O(servers) where a level ends | `wrr` |
//! | O(set x workers) | `lblcr` |
//! | O(servers x workers): loads change on other workers all the time | `lc`, `wlc`, `sed`, `nq` |
//!
//! "Unavailable" below is a server with weight 0 or above its thresholds.

mod conhash;
mod dh;
mod fo;
pub(crate) mod hash;
mod lblc;
mod lblcr;
mod lc;
mod load;
mod locality;
mod mh;
mod nq;
mod ovf;
mod rr;
mod sed;
mod sh;
mod table;
mod wlc;
mod wrr;

use crate::key::Endpoint;
use crate::tables::{Dest, Service};
use crate::{Millis, WorkerId};
use std::fmt::Debug;

/// The table of algorithms: file and name, type and variant.
macro_rules! schedulers {
    ($( $(#[doc = $doc:literal])+ $name:ident => $variant:ident, )+) => {
        /// A scheduling algorithm.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Scheduler {
            $( $(#[doc = $doc])+ $variant, )+
        }

        impl Scheduler {
            /// Every algorithm with its IPVS name.
            pub const ALL: &'static [(Scheduler, &'static str)] =
                &[ $( (Scheduler::$variant, stringify!($name)), )+ ];
        }

        #[derive(Clone, Debug)]
        enum Prepared {
            $( $variant($name::$variant), )+
        }

        impl Prepared {
            fn new(service: &Service) -> Self {
                match service.settings.scheduler {
                    $( Scheduler::$variant => {
                        Prepared::$variant($name::$variant::new(service))
                    } )+
                }
            }

            fn pick<'a>(
                &self,
                service: &'a Service,
                me: WorkerId,
                flow: &Flow,
            ) -> Option<&'a Dest> {
                match self {
                    $( Prepared::$variant(algorithm) => algorithm.pick(service, me, flow), )+
                }
            }
        }
    };
}

schedulers! {
    /// Round robin.
    rr => Rr,
    /// Weighted round robin.
    wrr => Wrr,
    /// Least connections.
    lc => Lc,
    /// Weighted least connections.
    wlc => Wlc,
    /// Locality-based least connections.
    lblc => Lblc,
    /// Locality-based least connections with replication.
    lblcr => Lblcr,
    /// Destination hashing.
    dh => Dh,
    /// Source hashing.
    sh => Sh,
    /// Shortest expected delay.
    sed => Sed,
    /// Never queue.
    nq => Nq,
    /// Weighted failover.
    fo => Fo,
    /// Weighted overflow.
    ovf => Ovf,
    /// Maglev hashing.
    mh => Mh,
    /// Consistent hashing.
    conhash => Conhash,
}

/// An algorithm, with what it has worked out of a service's real servers.
trait Algorithm: Clone + Debug {
    /// Works it out. `service.picker` is still that of the service before the change.
    fn new(service: &Service) -> Self;

    /// Chooses a real server that takes connections; `None` if there is none.
    fn pick<'a>(&self, service: &'a Service, me: WorkerId, flow: &Flow) -> Option<&'a Dest>;
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
    /// When it came.
    pub now: Millis,
}

/// A service's algorithm, with what it has worked out of the real servers.
#[derive(Clone, Debug, Default)]
pub struct Picker(Option<Prepared>);

impl Picker {
    /// Works out what the service's algorithm needs. What that has remembered of destinations stays
    /// in use, unless the algorithm has changed.
    pub fn new(service: &Service) -> Self {
        Picker(Some(Prepared::new(service)))
    }

    /// Chooses a real server that takes connections for a new one; `None` if there is none.
    /// `service` is the one that this belongs to.
    pub fn pick<'a>(&self, service: &'a Service, me: WorkerId, flow: &Flow) -> Option<&'a Dest> {
        self.0.as_ref()?.pick(service, me, flow)
    }
}

impl Scheduler {
    /// Returns the algorithm of an IPVS name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// Returns the IPVS name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_ipvsadm_and_dpvs_is_known() {
        let names = [
            "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh",
            "conhash",
        ];
        assert_eq!(
            names.map(|name| Scheduler::from_name(name).map(Scheduler::name)),
            names.map(Some)
        );
        assert_eq!(Scheduler::ALL.len(), names.len());
        assert_eq!(Scheduler::from_name("twos"), None);
    }
}
