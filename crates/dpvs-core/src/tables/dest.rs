// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real servers.

use crate::counters::{DestCounters, IcmpErrorCounters, IcmpErrors, LaddrCounters, PerWorker};
use crate::key::Endpoint;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

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

impl Forward {
    /// Returns whether the answers of the real server come through the balancer.
    pub fn sees_replies(self) -> bool {
        matches!(self, Forward::FullNat | Forward::Nat | Forward::Snat)
    }
}

/// How a packet is wrapped for a tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TunnelKind {
    /// IP in IP (RFC 2003, RFC 2473, RFC 4213).
    #[default]
    Ipip,
    /// Generic UDP encapsulation, variant 0 (draft-ietf-intarea-gue).
    Gue,
    /// Generic routing encapsulation (RFC 2784).
    Gre,
}

/// The checksum of a GUE or GRE header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TunnelChecksum {
    /// None.
    #[default]
    None,
    /// One over all that is wrapped.
    Full,
    /// Remote checksum offload: as [`TunnelChecksum::Full`], since what is forwarded already has
    /// its inner checksum and leaves nothing to be finished at the other end.
    Remote,
}

/// The wrapping for a real server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// The encapsulation.
    pub kind: TunnelKind,
    /// UDP destination port of GUE, 0 otherwise.
    pub port: u16,
    /// Checksum of GUE and GRE.
    pub checksum: TunnelChecksum,
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
    /// The wrapping; it counts with [`Forward::Tunnel`] alone.
    pub tunnel: Tunnel,
}

impl DestSettings {
    /// A server of weight 1 without thresholds.
    pub const fn new(forward: Forward) -> Self {
        let tunnel = Tunnel { kind: TunnelKind::Ipip, port: 0, checksum: TunnelChecksum::None };
        DestSettings { forward, weight: 1, upper_threshold: 0, lower_threshold: 0, tunnel }
    }
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
    /// The ICMP errors that stood there when the counters were last zeroed.
    icmp_base: IcmpErrorCounters,
    /// Use of the address as a pool of local ports: SNAT.
    pool: OnceLock<PerWorker<LaddrCounters>>,
    /// Connections scheduled to it that have not ended: what the thresholds are about. Shared by
    /// all workers, because a limit that each of them kept alone would not be one.
    sessions: AtomicU32,
    overloaded: AtomicBool,
}

impl DestShared {
    pub(super) fn new(workers: usize) -> Self {
        DestShared {
            counters: PerWorker::new(workers),
            icmp_base: IcmpErrorCounters::default(),
            pool: OnceLock::new(),
            sessions: AtomicU32::new(0),
            overloaded: AtomicBool::new(false),
        }
    }

    /// Returns the ICMP errors about packets to it since the counters were zeroed.
    pub fn icmp_errors(&self) -> IcmpErrors {
        self.counters.icmp_errors().since(self.icmp_base.read())
    }

    /// Zeroes its counters, those of traffic and those of ICMP errors. Only the control thread may
    /// call this.
    pub fn zero(&self) {
        self.counters.zero();
        self.icmp_base.write(self.counters.icmp_errors());
    }

    /// Makes room for counting the use of its local ports.
    pub(super) fn make_pool(&self, workers: usize) {
        self.pool.get_or_init(|| PerWorker::new(workers));
    }

    /// Returns how its local ports are used, if it is a server of a SNAT service.
    pub fn pool(&self) -> Option<&PerWorker<LaddrCounters>> {
        self.pool.get()
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

    /// Takes a place for a new connection; false if the upper threshold is reached. Two workers
    /// never take the same last place.
    pub(crate) fn reserve(&self) -> bool {
        let upper = self.settings.upper_threshold;
        let sessions = &self.shared.sessions;
        let taken = sessions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (upper == 0 || count < upper).then_some(count.saturating_add(1))
        });
        let count = match taken {
            Ok(before) => before.saturating_add(1),
            Err(count) => count,
        };
        if upper > 0 && count >= upper {
            self.shared.overloaded.store(true, Ordering::Relaxed);
        }
        taken.is_ok()
    }

    /// Takes a place for a connection of a client that is bound to it, whatever the thresholds say.
    pub(crate) fn reserve_bound(&self) {
        let sessions = &self.shared.sessions;
        let before = sessions.fetch_add(1, Ordering::Relaxed);
        let upper = self.settings.upper_threshold;
        if upper > 0 && before.saturating_add(1) >= upper {
            self.shared.overloaded.store(true, Ordering::Relaxed);
        }
    }

    /// Gives the place of a connection back.
    pub(crate) fn release(&self) {
        let sessions = &self.shared.sessions;
        let _ = sessions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            Some(count.saturating_sub(1))
        });
        self.check_thresholds();
    }

    /// Looks at the thresholds again, after they or the connections have changed.
    ///
    /// With an upper threshold U and a lower one L, a server is closed at U connections and opened
    /// below L, or below three quarters of U where no L is set, as in IPVS.
    pub fn check_thresholds(&self) {
        let DestSettings { upper_threshold: upper, lower_threshold: lower, .. } = self.settings;
        let count = self.shared.sessions.load(Ordering::Relaxed);
        let is_overloaded = if upper == 0 {
            false
        } else if count >= upper {
            true
        } else if lower > 0 {
            count >= lower && self.is_overloaded()
        } else {
            u64::from(count) * 4 >= u64::from(upper) * 3 && self.is_overloaded()
        };
        self.shared.overloaded.store(is_overloaded, Ordering::Relaxed);
    }
}
