// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real servers.

use crate::counters::{DestCounters, PerWorker};
use crate::key::Endpoint;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How packets get to a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forward {
    /// Both addresses are translated.
    FullNat,
    /// The destination is translated.
    Nat,
    /// The packet is sent to the server's link address.
    Direct,
    /// The packet is encapsulated.
    Tunnel,
    /// The source of outgoing packets is translated.
    Snat,
    /// The balancer itself.
    Local,
}

/// A real server's place in its service. The generation tells a later server in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DestId {
    /// Position among the service's places.
    pub slot: u32,
    /// How often the place was taken.
    pub generation: u32,
}

/// What can be set of a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DestSettings {
    /// The forwarding method.
    pub forward: Forward,
    /// 0 to 65535; 0 takes no new connections.
    pub weight: u32,
    /// No new connections at or above this many; 0 is no limit.
    pub upper_threshold: u32,
    /// New connections again below this many; 0 is three quarters of the upper one.
    pub lower_threshold: u32,
}

/// A real server.
#[derive(Clone, Debug)]
pub struct Dest {
    /// Its place.
    pub id: DestId,
    /// Its address and port.
    pub endpoint: Endpoint,
    /// What can be set.
    pub settings: DestSettings,
    /// What the workers share about it.
    pub shared: Arc<DestShared>,
}

/// What all workers share about a real server; it lives as long as connections may refer to it.
#[derive(Debug)]
pub struct DestShared {
    /// Counts.
    pub counters: PerWorker<DestCounters>,
    overloaded: AtomicBool,
}

impl DestShared {
    pub(super) fn new(workers: usize) -> Self {
        DestShared { counters: PerWorker::new(workers), overloaded: AtomicBool::new(false) }
    }
}

impl Dest {
    /// Returns whether it takes new connections.
    pub fn is_available(&self) -> bool {
        self.settings.weight > 0 && !self.is_overloaded()
    }

    /// Returns whether it is above its thresholds.
    pub fn is_overloaded(&self) -> bool {
        self.settings.upper_threshold > 0 && self.shared.overloaded.load(Ordering::Relaxed)
    }

    /// Looks at the thresholds again, after a connection was made or has ended.
    ///
    /// With an upper threshold U and a lower one L, a server is closed at U connections and opened
    /// below L, or below three quarters of U where no L is set, as in IPVS.
    pub fn check_thresholds(&self) {
        let DestSettings { upper_threshold: upper, lower_threshold: lower, .. } = self.settings;
        if upper == 0 {
            self.shared.overloaded.store(false, Ordering::Relaxed);
            return;
        }
        let counters = &self.shared.counters;
        let connections = u64::from(counters.active()) + u64::from(counters.inactive());
        let is_overloaded = if connections >= u64::from(upper) {
            true
        } else if lower > 0 {
            connections >= u64::from(lower) && self.is_overloaded()
        } else {
            connections * 4 >= u64::from(upper) * 3 && self.is_overloaded()
        };
        self.shared.overloaded.store(is_overloaded, Ordering::Relaxed);
    }
}
