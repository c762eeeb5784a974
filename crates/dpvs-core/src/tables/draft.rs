// SPDX-License-Identifier: MIT OR Apache-2.0
//! A changeable copy of the tables: services, real servers, local addresses of services.

use super::draft_dests::{forget_dest, remove_dest};
use super::echo::EchoChanges;
use super::service::{ServiceSlot, SlotState};
use super::{
    AccessList, AccessLists, Laddr, MapHash, Refusal, RefusalKind, Service, ServiceId, ServiceKey,
    ServiceSettings, Tables, Uses,
};
use crate::PortId;
use crate::counters::PerWorker;
use crate::ids::position;
use crate::key::{Address, Endpoint};
use crate::net::Protocol;
use crate::scheduler::{Picker, Scheduler};
use arrayvec::ArrayVec;
use hashbrown::HashSet;
use std::collections::VecDeque;
use std::sync::Arc;

/// Deleted services and removed real servers that keep their places.
pub(super) const REMEMBERED_MAX: usize = 1024;

/// A copy of the tables to be changed. Each method changes all or, refusing, nothing.
#[derive(Clone, Debug)]
pub struct Draft {
    pub(super) tables: Tables,
    /// Services whose real servers have changed: what follows from them is worked out once, when
    /// the draft is published.
    pub(super) changed: HashSet<u32, MapHash>,
    pub(super) echoes: EchoChanges,
}

impl Draft {
    /// Starts from `tables`.
    pub fn new(tables: &Tables) -> Self {
        Draft {
            tables: tables.clone(),
            changed: HashSet::default(),
            echoes: EchoChanges::default(),
        }
    }

    /// Returns the tables as they would be.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Returns the tables, to set timeouts and limits.
    pub fn tables_mut(&mut self) -> &mut Tables {
        &mut self.tables
    }

    /// Ends the draft: tables of the next generation.
    pub fn publish(mut self) -> Tables {
        for slot in self.changed.drain() {
            if let Some(entry) = self.tables.services.get_mut(position(slot))
                && let SlotState::Live(service) | SlotState::Deleted(service) = &mut entry.state
            {
                Arc::make_mut(service).index_dests();
            }
        }
        self.settle_echoes();
        let is_shared = |uses: &Uses| uses.virtual_ > 0 && uses.local > 0;
        self.tables.has_shared_addresses = self.tables.served.values().any(is_shared);
        self.tables.generation += 1;
        self.tables
    }

    pub(super) fn workers(&self) -> usize {
        self.tables.steering.workers()
    }

    /// Adds a service.
    ///
    /// # Errors
    /// `Exist` if it stands; `Invalid` for an address that cannot be virtual or a wrong port.
    pub fn add_service(
        &mut self,
        key: ServiceKey,
        settings: ServiceSettings,
    ) -> Result<(), Refusal> {
        check_service(&key, &settings)?;
        if self.tables.service_index.contains_key(&key) {
            return Err(Refusal::new(RefusalKind::Exist, "the service stands already"));
        }
        let slot = self.take_slot(&key)?;
        let workers = self.workers();
        let entry = self
            .tables
            .services
            .get_mut(position(slot))
            .ok_or_else(|| Refusal::new(RefusalKind::NoMemory, "too many services"))?;
        let mut service = match &entry.state {
            SlotState::Deleted(old) => {
                // It is a new service; only its connections are the old one's.
                old.counters.zero();
                for dest in &old.removed {
                    dest.shared.zero();
                }
                Service { settings, ..Service::clone(old) }
            }
            SlotState::Free | SlotState::Live(_) => Service {
                id: ServiceId { slot, generation: entry.generation },
                key,
                settings,
                dests: Vec::new(),
                laddrs: Vec::new(),
                access: Arc::default(),
                picker: Picker::default(),
                counters: Arc::new(PerWorker::new(workers)),
                places: Vec::new(),
                removed: VecDeque::new(),
                laddrs_removed: VecDeque::new(),
                masks: ArrayVec::new(),
            },
        };
        service.note_mask();
        entry.state = SlotState::Live(Arc::new(service));
        self.changed.insert(slot);
        self.echoes.touch(&key);
        self.tables.service_index.insert(key, slot);
        match key {
            ServiceKey::Virtual(key) => {
                self.tables.served.entry(key.address).or_default().virtual_ += 1;
            }
            ServiceKey::Match(_) => self.tables.match_slots.push(slot),
        }
        Ok(())
    }

    /// Finds the place of a service that is to be made: the one it had, a free one, a new one.
    fn take_slot(&mut self, key: &ServiceKey) -> Result<u32, Refusal> {
        let tables = &mut self.tables;
        let had = tables.deleted.iter().position(|slot| {
            matches!(tables.services.get(position(*slot)).map(|s| &s.state),
                Some(SlotState::Deleted(old)) if old.key == *key)
        });
        if let Some(slot) = had.and_then(|at| tables.deleted.remove(at)) {
            return Ok(slot);
        }
        if tables.deleted.len() >= REMEMBERED_MAX
            && let Some(oldest) = tables.deleted.pop_front()
            && let Some(slot) = tables.services.get_mut(position(oldest))
        {
            slot.generation = slot.generation.wrapping_add(1);
            if let SlotState::Deleted(old) = std::mem::replace(&mut slot.state, SlotState::Free) {
                for laddr in &old.laddrs_removed {
                    release(tables, laddr.address, |uses| &mut uses.local);
                }
                for dest in &old.removed {
                    forget_dest(tables, oldest, &old.key, dest);
                }
            }
            return Ok(oldest);
        }
        let slot = u32::try_from(tables.services.len())
            .map_err(|_| Refusal::new(RefusalKind::NoMemory, "too many services"))?;
        tables.services.push(ServiceSlot { generation: 0, state: SlotState::Free });
        Ok(slot)
    }

    /// Changes the settings of a service; real servers and connections stay.
    ///
    /// # Errors
    /// `NoService`.
    pub fn set_service(
        &mut self,
        key: &ServiceKey,
        settings: ServiceSettings,
    ) -> Result<(), Refusal> {
        check_service(key, &settings)?;
        self.slot_to_change(key)?;
        let service = self.service_mut(key)?;
        service.settings = settings;
        service.note_mask();
        Ok(())
    }

    /// Removes a service with its real servers. Its connections find no server until it comes back.
    ///
    /// # Errors
    /// `NoService`.
    pub fn del_service(&mut self, key: &ServiceKey) -> Result<(), Refusal> {
        let laddrs: Vec<Address> =
            self.service_mut(key)?.laddrs.iter().map(|laddr| laddr.address).collect();
        for address in laddrs {
            self.del_laddr(key, address)?;
        }
        let service = self.service_mut(key)?;
        let endpoints: Vec<Endpoint> = service.dests.iter().map(|dest| dest.endpoint).collect();
        let mut forgotten = Vec::new();
        for endpoint in endpoints {
            forgotten.extend(remove_dest(service, endpoint)?);
        }
        service.access = Arc::default();
        let Some(slot) = self.tables.service_index.remove(key) else {
            return Err(no_service());
        };
        for dest in &forgotten {
            forget_dest(&mut self.tables, slot, key, dest);
        }
        self.echoes.touch(key);
        match key {
            ServiceKey::Virtual(key) => {
                release(&mut self.tables, key.address, |uses| &mut uses.virtual_);
            }
            ServiceKey::Match(_) => self.tables.match_slots.retain(|other| *other != slot),
        }
        if let Some(entry) = self.tables.services.get_mut(position(slot))
            && let SlotState::Live(service) = &entry.state
        {
            entry.state = SlotState::Deleted(Arc::clone(service));
            self.tables.deleted.push_back(slot);
        }
        Ok(())
    }

    /// Removes all services, and the echo policies that came with them.
    pub fn flush_services(&mut self) {
        let keys: Vec<ServiceKey> = self.tables.services().map(|service| service.key).collect();
        for key in keys {
            // Each stands: it has just been listed.
            let _ = self.del_service(&key);
        }
        self.flush_echoes();
    }

    /// Adds a local address to a service. The address itself is [`Draft::add_address`]'s.
    ///
    /// # Errors
    /// `NoService`, `Exist`, `NoDevice`, `Invalid` for an address that no host may have.
    pub fn add_laddr(
        &mut self,
        key: &ServiceKey,
        address: Address,
        port: PortId,
    ) -> Result<(), Refusal> {
        check_unicast(address, "address")?;
        if self.tables.port(port).is_none() {
            return Err(Refusal::new(RefusalKind::NoDevice, "no such port").at("device"));
        }
        let workers = self.workers();
        let service = self.service_mut(key)?;
        if key.virtual_().is_none() {
            let text = "services by match (SNAT) take their addresses from their real servers";
            return Err(Refusal::new(RefusalKind::NotSupported, text).at("service"));
        }
        if address.family() != key.family() {
            return Err(Refusal::new(
                RefusalKind::NotSupported,
                "a local address of the other family",
            )
            .at("address"));
        }
        if service.laddrs.iter().any(|laddr| laddr.address == address) {
            return Err(Refusal::new(RefusalKind::Exist, "the local address stands already"));
        }
        // It would answer to itself for its own server.
        if service.dests.iter().any(|dest| dest.endpoint.address == address) {
            let text = "a real server of the service has the address";
            return Err(Refusal::new(RefusalKind::Invalid, text).at("address"));
        }
        let had = service.laddrs_removed.iter().position(|laddr| laddr.address == address);
        if let Some(old) = had.and_then(|at| service.laddrs_removed.remove(at)) {
            service.laddrs.push(Laddr { port, ..old });
            return Ok(());
        }
        service.laddrs.push(Laddr { address, port, counters: Arc::new(PerWorker::new(workers)) });
        self.tables.served.entry(address).or_default().local += 1;
        Ok(())
    }

    /// Removes a local address from a service. Connections that use it go on.
    ///
    /// # Errors
    /// `NoService`, `NoDest`.
    pub fn del_laddr(&mut self, key: &ServiceKey, address: Address) -> Result<(), Refusal> {
        let service = self.service_mut(key)?;
        let Some(at) = service.laddrs.iter().position(|laddr| laddr.address == address) else {
            return Err(Refusal::new(RefusalKind::NoDest, "no such local address").at("address"));
        };
        let laddr = service.laddrs.remove(at);
        service.laddrs_removed.push_back(laddr);
        if service.laddrs_removed.len() > REMEMBERED_MAX
            && let Some(oldest) = service.laddrs_removed.pop_front()
        {
            release(&mut self.tables, oldest.address, |uses| &mut uses.local);
        }
        Ok(())
    }

    /// Puts a client on a list of a service. Connections that stand go on.
    ///
    /// # Errors
    /// `NoService`, `Exist`, `Invalid` for an address that is no client's or of the other family.
    pub fn add_access(
        &mut self,
        key: &ServiceKey,
        list: AccessList,
        client: Address,
    ) -> Result<(), Refusal> {
        check_unicast(client, "address")?;
        if client.family() != key.family() {
            let text = "a client of the other address family";
            return Err(Refusal::new(RefusalKind::Invalid, text).at("address"));
        }
        let access = Arc::make_mut(&mut self.service_mut(key)?.access);
        if access.insert(list, client) {
            Ok(())
        } else {
            Err(Refusal::new(RefusalKind::Exist, "the address stands on the list").at("address"))
        }
    }

    /// Takes a client from a list of a service.
    ///
    /// # Errors
    /// `NoService`, `NoDest`.
    pub fn del_access(
        &mut self,
        key: &ServiceKey,
        list: AccessList,
        client: Address,
    ) -> Result<(), Refusal> {
        let access: &mut AccessLists = Arc::make_mut(&mut self.service_mut(key)?.access);
        if access.remove(list, client) {
            Ok(())
        } else {
            Err(Refusal::new(RefusalKind::NoDest, "not on the list").at("address"))
        }
    }

    /// Returns the place of a service whose real servers are going to change.
    pub(super) fn slot_to_change(&mut self, key: &ServiceKey) -> Result<u32, Refusal> {
        let slot = self.tables.service_index.get(key).copied().ok_or_else(no_service)?;
        self.changed.insert(slot);
        self.echoes.touch(key);
        Ok(slot)
    }

    pub(super) fn service_mut(&mut self, key: &ServiceKey) -> Result<&mut Service, Refusal> {
        let slot = self.tables.service_index.get(key).copied().ok_or_else(no_service)?;
        match self.tables.services.get_mut(position(slot)).map(|entry| &mut entry.state) {
            Some(SlotState::Live(service)) => Ok(Arc::make_mut(service)),
            _ => Err(no_service()),
        }
    }
}

/// Counts one use of an address less.
pub(super) fn release(
    tables: &mut Tables,
    address: Address,
    count: impl FnOnce(&mut Uses) -> &mut u32,
) {
    if let Some(uses) = tables.served.get_mut(&address) {
        let uses_of_kind = count(uses);
        *uses_of_kind = uses_of_kind.saturating_sub(1);
        if *uses == Uses::default() {
            tables.served.remove(&address);
        }
    }
}

fn no_service() -> Refusal {
    Refusal::new(RefusalKind::NoService, "no such service").at("service")
}

fn check_service(key: &ServiceKey, settings: &ServiceSettings) -> Result<(), Refusal> {
    check_settings(key, settings)?;
    let ServiceKey::Virtual(key) = key else { return Ok(()) };
    check_unicast(key.address, "service.address")?;
    let invalid = |text: &str| Err(Refusal::new(RefusalKind::Invalid, text).at("service.port"));
    if key.protocol.is_icmp() {
        if key.protocol != crate::parse::icmp_protocol(key.address.family()) {
            return Err(Refusal::new(RefusalKind::Invalid, "ICMP of the other address family")
                .at("service.protocol"));
        }
        return if key.port == 0 { Ok(()) } else { invalid("ICMP services have port 0") };
    }
    if key.port == 0 && settings.persistence.is_none() {
        return invalid("port 0 needs a persistent service");
    }
    Ok(())
}

fn check_settings(key: &ServiceKey, settings: &ServiceSettings) -> Result<(), Refusal> {
    let is_udp = key.virtual_().is_some_and(|key| key.protocol == Protocol::Udp);
    let invalid = |text: &str, field| Err(Refusal::new(RefusalKind::Invalid, text).at(field));
    if settings.one_packet && !is_udp {
        return invalid("one-packet scheduling is for UDP services alone", "one_packet");
    }
    if settings.persistence.is_some_and(|persistence| persistence.timeout_ms == 0) {
        return invalid("a persistence of 0 seconds", "persistent");
    }
    if settings.hash_target == crate::scheduler::HashTarget::QuicId
        && (settings.scheduler != Scheduler::Conhash || !is_udp)
    {
        let text = "QUIC connection ids can be hashed by conhash for UDP services alone";
        return invalid(text, "hash_target");
    }
    Ok(())
}

pub(super) fn check_unicast(address: Address, field: &'static str) -> Result<(), Refusal> {
    if is_unicast(address) { Ok(()) } else { Err(not_a_host(address, field)) }
}

/// Refuses an address that no single host has.
pub(super) fn not_a_host(address: Address, field: &'static str) -> Refusal {
    Refusal::new(RefusalKind::Invalid, format!("{address:?} is not a host's address")).at(field)
}

fn is_unicast(address: Address) -> bool {
    match address.ip() {
        std::net::IpAddr::V4(a) => {
            !a.is_unspecified() && !a.is_multicast() && !a.is_broadcast() && !a.is_loopback()
        }
        std::net::IpAddr::V6(a) => !a.is_unspecified() && !a.is_multicast() && !a.is_loopback(),
    }
}
