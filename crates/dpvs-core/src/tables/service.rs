// SPDX-License-Identifier: MIT OR Apache-2.0
//! Services with their real servers and local addresses.

use super::{Dest, DestId};
use crate::PortId;
use crate::counters::{LaddrCounters, PerWorker, ServiceCounters};
use crate::ids::position;
use crate::key::{Address, Endpoint};
use crate::net::Protocol;
use crate::scheduler::Scheduler;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a service is found by. ICMP services have port 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServiceKey {
    /// The protocol.
    pub protocol: Protocol,
    /// The virtual address.
    pub address: Address,
    /// The virtual port.
    pub port: u16,
}

/// A service's place. The generation tells a later service in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceId {
    /// Position among all places.
    pub slot: u32,
    /// How often the place was taken.
    pub generation: u32,
}

/// What can be set of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceSettings {
    /// How real servers are chosen.
    pub scheduler: Scheduler,
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its place.
    pub id: ServiceId,
    /// What it is found by.
    pub key: ServiceKey,
    /// What can be set.
    pub settings: ServiceSettings,
    /// Real servers in the order of their making.
    pub dests: Vec<Dest>,
    /// Local addresses in the order of their making.
    pub laddrs: Vec<Laddr>,
    /// Greatest weight of all real servers.
    pub weight_max: u32,
    /// Greatest common divisor of the weights, 0 if all are 0.
    pub weight_gcd: u32,
    /// What the workers count.
    pub counters: Arc<PerWorker<ServiceCounters>>,
    pub(super) places: Vec<DestPlace>,
    /// Local addresses taken away, oldest first: connections that use them go on.
    pub(super) laddrs_removed: VecDeque<Laddr>,
    /// Real servers taken away, oldest first: see [`super::Tables`] on deleted services.
    pub(super) removed: VecDeque<Dest>,
}

/// Where a [`DestId`] points to.
#[derive(Clone, Copy, Debug)]
pub(super) struct DestPlace {
    pub(super) generation: u32,
    /// Position in `dests`; `None` while removed or free.
    pub(super) position: Option<u32>,
    pub(super) is_removed: bool,
}

impl Service {
    /// Returns the real server of an id, unless it was removed.
    #[inline]
    pub fn dest(&self, id: DestId) -> Option<&Dest> {
        let place = self.places.get(position(id.slot))?;
        if place.generation != id.generation {
            return None;
        }
        self.dests.get(position(place.position?))
    }

    /// Returns the real server of an id also while it is removed but not forgotten.
    pub fn dest_or_removed(&self, id: DestId) -> Option<&Dest> {
        self.dest(id).or_else(|| self.removed.iter().find(|dest| dest.id == id))
    }

    /// Returns a local address also after it was removed, as long as it is remembered.
    pub fn laddr_or_removed(&self, address: Address) -> Option<&Laddr> {
        self.laddrs.iter().chain(&self.laddrs_removed).find(|laddr| laddr.address == address)
    }

    /// Returns the real server of an address and port.
    pub fn dest_at(&self, endpoint: Endpoint) -> Option<&Dest> {
        self.dests.iter().find(|dest| dest.endpoint == endpoint)
    }
}

/// A local address of a service.
#[derive(Clone, Debug)]
pub struct Laddr {
    /// The address.
    pub address: Address,
    /// The port that has it.
    pub port: PortId,
    /// What the workers count.
    pub counters: Arc<PerWorker<LaddrCounters>>,
}

#[derive(Clone, Debug)]
pub(super) struct ServiceSlot {
    pub(super) generation: u32,
    pub(super) state: SlotState,
}

#[derive(Clone, Debug)]
pub(super) enum SlotState {
    Free,
    Live(Arc<Service>),
    /// Deleted, with all real servers among its removed ones.
    Deleted(Arc<Service>),
}

impl ServiceSlot {
    pub(super) fn live(&self) -> Option<&Arc<Service>> {
        match &self.state {
            SlotState::Live(service) => Some(service),
            SlotState::Free | SlotState::Deleted(_) => None,
        }
    }
}
