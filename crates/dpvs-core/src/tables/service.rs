// SPDX-License-Identifier: MIT OR Apache-2.0
//! Services with their real servers and local addresses.

use super::{AccessLists, Dest, DestId, Match};
use crate::PortId;
use crate::counters::{LaddrCounters, PerWorker, ServiceCounters};
use crate::ids::position;
use crate::key::{Address, Endpoint};
use crate::net::{Family, Protocol};
use crate::scheduler::{HashTarget, Picker, Scheduler, SchedulerFlags};
use arrayvec::ArrayVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// Masks of former persistences that are remembered: each is one more worker that is asked for a
/// connection.
const MASKS_MAX: usize = 3;

/// What a service is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServiceKey {
    /// What packets are addressed to.
    Virtual(VirtualKey),
    /// What packets look like that are on their way through: SNAT.
    Match(Match),
}

/// A virtual address with protocol and port. ICMP services have port 0; other services with port 0
/// take any port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VirtualKey {
    /// The protocol.
    pub protocol: Protocol,
    /// The virtual address.
    pub address: Address,
    /// The virtual port.
    pub port: u16,
}

impl ServiceKey {
    /// Makes the key of a virtual address.
    pub fn new(protocol: Protocol, address: Address, port: u16) -> Self {
        ServiceKey::Virtual(VirtualKey { protocol, address, port })
    }

    /// Returns the family of its packets.
    pub fn family(&self) -> Family {
        match self {
            ServiceKey::Virtual(key) => key.address.family(),
            ServiceKey::Match(pattern) => pattern.family,
        }
    }

    /// Returns the virtual address, unless it is a match.
    pub fn virtual_(&self) -> Option<&VirtualKey> {
        match self {
            ServiceKey::Virtual(key) => Some(key),
            ServiceKey::Match(_) => None,
        }
    }
}

/// A service's place. The generation tells a later service in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceId {
    /// Position among all places.
    pub slot: u32,
    /// How often the place was taken.
    pub generation: u32,
}

/// Connections of one client go to one real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Persistence {
    /// How long that lasts after the last new connection, in milliseconds.
    pub timeout_ms: u32,
    /// Which bits of an address tell clients apart; see [`Address::masked`].
    pub mask: u128,
}

impl Persistence {
    /// All bits: each address is a client.
    pub const MASK_WHOLE: u128 = u128::MAX;
}

/// What can be set of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceSettings {
    /// How real servers are chosen.
    pub scheduler: Scheduler,
    /// Flags of the scheduler.
    pub flags: SchedulerFlags,
    /// What consistent hashing hashes.
    pub hash_target: HashTarget,
    /// Persistence.
    pub persistence: Option<Persistence>,
    /// Every datagram is scheduled by itself.
    pub one_packet: bool,
    /// Connections of servers that take no new ones end with the client's next packet.
    pub expire_quiescent: bool,
    /// Idle timeout of established TCP and SCTP and of UDP in milliseconds; 0 is the protocol's own.
    pub conn_timeout_ms: u32,
}

impl ServiceSettings {
    /// A service with a scheduler and nothing else.
    pub const fn new(scheduler: Scheduler) -> Self {
        ServiceSettings {
            scheduler,
            flags: SchedulerFlags::NONE,
            hash_target: HashTarget::Source,
            persistence: None,
            one_packet: false,
            expire_quiescent: false,
            conn_timeout_ms: 0,
        }
    }
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
    /// Who may connect.
    pub access: Arc<AccessLists>,
    /// What the scheduler has worked out of the list of real servers.
    pub picker: Picker,
    /// What the workers count.
    pub counters: Arc<PerWorker<ServiceCounters>>,
    pub(super) places: Vec<DestPlace>,
    /// Local addresses taken away, oldest first: connections that use them go on.
    pub(super) laddrs_removed: VecDeque<Laddr>,
    /// Real servers taken away, oldest first: see [`super::Tables`] on deleted services.
    pub(super) removed: VecDeque<Dest>,
    /// The masks of the last persistences, the last one first: connections made under them are where
    /// they put them.
    pub(super) masks: ArrayVec<u128, MASKS_MAX>,
}

/// Where a [`DestId`] points to.
#[derive(Clone, Copy, Debug)]
pub(super) struct DestPlace {
    pub(super) generation: u32,
    /// Position in `dests`; `None` while removed or free.
    pub(super) position: Option<u32>,
    /// Whether it has been taken, by a server that stands or by one that is remembered.
    pub(super) is_taken: bool,
}

impl Service {
    /// Works out what follows from the list of real servers.
    pub(super) fn index_dests(&mut self) {
        for place in &mut self.places {
            place.position = None;
        }
        for (at, dest) in (0..).zip(&self.dests) {
            if let Some(place) = self.places.get_mut(position(dest.id.slot)) {
                place.position = Some(at);
            }
        }
        self.picker = Picker::new(self);
    }

    /// Returns the masks of the last persistences that the service had.
    pub(crate) fn masks(&self) -> &[u128] {
        &self.masks
    }

    /// Remembers the mask of the persistence that the service has.
    pub(super) fn note_mask(&mut self) {
        let Some(Persistence { mask, .. }) = self.settings.persistence else { return };
        self.masks.retain(|other| *other != mask);
        self.masks.truncate(MASKS_MAX - 1);
        self.masks.insert(0, mask);
    }

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
