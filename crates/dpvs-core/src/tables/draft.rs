// SPDX-License-Identifier: MIT OR Apache-2.0
//! A changeable copy of the tables: services, real servers, local addresses of services.

use super::dest::DestShared;
use super::service::{DestPlace, ServiceSlot, SlotState};
use super::{
    Dest, DestId, DestSettings, Forward, Laddr, MapHash, Refusal, RefusalKind, Service, ServiceId,
    ServiceKey, ServiceSettings, Tables,
};
use crate::PortId;
use crate::counters::PerWorker;
use crate::ids::position;
use crate::key::{Address, Endpoint};
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// Deleted services and removed real servers that keep their places.
const REMEMBERED_MAX: usize = 1024;

/// Greatest weight, as in IPVS.
const WEIGHT_MAX: u32 = 65535;

/// A copy of the tables to be changed. Each method changes all or, refusing, nothing.
#[derive(Clone, Debug)]
pub struct Draft {
    pub(super) tables: Tables,
}

impl Draft {
    /// Starts from `tables`.
    pub fn new(tables: &Tables) -> Self {
        Draft { tables: tables.clone() }
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
        self.tables.generation += 1;
        self.tables
    }

    fn workers(&self) -> usize {
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
        check_service_key(&key)?;
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
        let service = match &entry.state {
            SlotState::Deleted(old) => Service { settings, ..Service::clone(old) },
            SlotState::Free | SlotState::Live(_) => Service {
                id: ServiceId { slot, generation: entry.generation },
                key,
                settings,
                dests: Vec::new(),
                laddrs: Vec::new(),
                weight_max: 0,
                weight_gcd: 0,
                counters: Arc::new(PerWorker::new(workers)),
                places: Vec::new(),
                removed: VecDeque::new(),
                laddrs_removed: VecDeque::new(),
            },
        };
        entry.state = SlotState::Live(Arc::new(service));
        self.tables.service_index.insert(key, slot);
        *self.tables.virtual_index.entry(key.address).or_insert(0) += 1;
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
                    release(&mut tables.laddr_index, laddr.address);
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
        self.service_mut(key)?.settings = settings;
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
        for endpoint in endpoints {
            remove_dest(service, endpoint)?;
        }
        let Some(slot) = self.tables.service_index.remove(key) else {
            return Err(no_service());
        };
        release(&mut self.tables.virtual_index, key.address);
        if let Some(entry) = self.tables.services.get_mut(position(slot))
            && let SlotState::Live(service) = &entry.state
        {
            entry.state = SlotState::Deleted(Arc::clone(service));
            self.tables.deleted.push_back(slot);
        }
        Ok(())
    }

    /// Removes all services.
    pub fn flush_services(&mut self) {
        let keys: Vec<ServiceKey> = self.tables.services().map(|service| service.key).collect();
        for key in keys {
            // Each stands: it has just been listed.
            let _ = self.del_service(&key);
        }
    }

    /// Adds a real server to a service.
    ///
    /// # Errors
    /// `NoService`, `Exist`, `Invalid` for an address that cannot be a server's, `Range` for a
    /// weight or thresholds, `NotSupported` for a forwarding method that is not offered.
    pub fn add_dest(
        &mut self,
        key: &ServiceKey,
        endpoint: Endpoint,
        settings: DestSettings,
    ) -> Result<(), Refusal> {
        let workers = self.workers();
        let service = self.service_mut(key)?;
        check_dest(service, endpoint, &settings)?;
        if service.dest_at(endpoint).is_some() {
            return Err(Refusal::new(RefusalKind::Exist, "the real server stands already"));
        }
        let (id, shared) = match service.removed.iter().position(|d| d.endpoint == endpoint) {
            Some(at) => {
                let old = service
                    .removed
                    .remove(at)
                    .ok_or_else(|| Refusal::new(RefusalKind::NoMemory, "too many servers"))?;
                (old.id, old.shared)
            }
            None => (take_place(service)?, Arc::new(DestShared::new(workers))),
        };
        let dest = Dest { id, endpoint, settings, shared };
        dest.check_thresholds();
        service.dests.push(dest);
        index_dests(service);
        Ok(())
    }

    /// Changes the settings of a real server; its connections stay.
    ///
    /// # Errors
    /// As [`Draft::add_dest`]; `NoDest` if it does not stand.
    pub fn set_dest(
        &mut self,
        key: &ServiceKey,
        endpoint: Endpoint,
        settings: DestSettings,
    ) -> Result<(), Refusal> {
        let service = self.service_mut(key)?;
        let Some(dest) = service.dests.iter_mut().find(|dest| dest.endpoint == endpoint) else {
            return Err(no_dest());
        };
        check_settings(&settings)?;
        dest.settings = settings;
        dest.check_thresholds();
        index_dests(service);
        Ok(())
    }

    /// Removes a real server. Its connections find it gone until it comes back.
    ///
    /// # Errors
    /// `NoService`, `NoDest`.
    pub fn del_dest(&mut self, key: &ServiceKey, endpoint: Endpoint) -> Result<(), Refusal> {
        remove_dest(self.service_mut(key)?, endpoint)
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
        if address.family() != key.address.family() {
            return Err(Refusal::new(
                RefusalKind::NotSupported,
                "a local address of the other family",
            )
            .at("address"));
        }
        if service.laddrs.iter().any(|laddr| laddr.address == address) {
            return Err(Refusal::new(RefusalKind::Exist, "the local address stands already"));
        }
        let had = service.laddrs_removed.iter().position(|laddr| laddr.address == address);
        if let Some(old) = had.and_then(|at| service.laddrs_removed.remove(at)) {
            service.laddrs.push(Laddr { port, ..old });
            return Ok(());
        }
        service.laddrs.push(Laddr { address, port, counters: Arc::new(PerWorker::new(workers)) });
        *self.tables.laddr_index.entry(address).or_insert(0) += 1;
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
            release(&mut self.tables.laddr_index, oldest.address);
        }
        Ok(())
    }

    fn service_mut(&mut self, key: &ServiceKey) -> Result<&mut Service, Refusal> {
        let slot = self.tables.service_index.get(key).copied().ok_or_else(no_service)?;
        match self.tables.services.get_mut(position(slot)).map(|entry| &mut entry.state) {
            Some(SlotState::Live(service)) => Ok(Arc::make_mut(service)),
            _ => Err(no_service()),
        }
    }
}

/// Counts one use of an address less.
fn release(uses: &mut HashMap<Address, u32, MapHash>, address: Address) {
    if let Some(count) = uses.get_mut(&address) {
        *count -= 1;
        if *count == 0 {
            uses.remove(&address);
        }
    }
}

fn no_service() -> Refusal {
    Refusal::new(RefusalKind::NoService, "no such service").at("service")
}

fn no_dest() -> Refusal {
    Refusal::new(RefusalKind::NoDest, "no such real server").at("address")
}

fn check_service_key(key: &ServiceKey) -> Result<(), Refusal> {
    check_unicast(key.address, "service.address")?;
    let invalid = |text: &str| Err(Refusal::new(RefusalKind::Invalid, text).at("service.port"));
    if key.protocol.is_icmp() {
        if key.protocol != crate::parse::icmp_protocol(key.address.family()) {
            return Err(Refusal::new(RefusalKind::Invalid, "ICMP of the other address family")
                .at("service.protocol"));
        }
        return if key.port == 0 { Ok(()) } else { invalid("ICMP services have port 0") };
    }
    if key.protocol == crate::net::Protocol::Sctp {
        return Err(Refusal::new(RefusalKind::NotSupported, "SCTP services are not offered")
            .at("service.protocol"));
    }
    if key.port == 0 { invalid("port 0 needs a persistent service") } else { Ok(()) }
}

pub(super) fn check_unicast(address: Address, field: &'static str) -> Result<(), Refusal> {
    if is_unicast(address) {
        Ok(())
    } else {
        Err(Refusal::new(RefusalKind::Invalid, format!("{address:?} is not a host's address"))
            .at(field))
    }
}

fn is_unicast(address: Address) -> bool {
    match address.ip() {
        std::net::IpAddr::V4(a) => {
            !a.is_unspecified() && !a.is_multicast() && !a.is_broadcast() && !a.is_loopback()
        }
        std::net::IpAddr::V6(a) => !a.is_unspecified() && !a.is_multicast() && !a.is_loopback(),
    }
}

fn check_dest(
    service: &Service,
    endpoint: Endpoint,
    settings: &DestSettings,
) -> Result<(), Refusal> {
    check_unicast(endpoint.address, "address")?;
    let is_icmp = service.key.protocol.is_icmp();
    if is_icmp && endpoint.port != 0 {
        return Err(Refusal::new(
            RefusalKind::Invalid,
            "real servers of ICMP services have port 0",
        )
        .at("port"));
    }
    if endpoint.address.family() != service.key.address.family() {
        return Err(Refusal::new(
            RefusalKind::NotSupported,
            "a real server of the other address family needs a tunnel",
        )
        .at("address"));
    }
    if !is_icmp && endpoint.port == 0 {
        return Err(
            Refusal::new(RefusalKind::Invalid, "port 0 needs a service with port 0").at("port")
        );
    }
    check_settings(settings)
}

fn check_settings(settings: &DestSettings) -> Result<(), Refusal> {
    if settings.forward != Forward::FullNat {
        let text = format!(
            "forwarding method {:?} is not offered: full NAT (-b) is the one there is",
            settings.forward
        );
        return Err(Refusal::new(RefusalKind::NotSupported, text).at("forward"));
    }
    if settings.weight > WEIGHT_MAX {
        return Err(Refusal::new(RefusalKind::Range, "a weight is 0 to 65535").at("weight"));
    }
    if settings.lower_threshold > settings.upper_threshold {
        return Err(Refusal::new(
            RefusalKind::Range,
            "the lower threshold is above the upper threshold",
        )
        .at("lower_threshold"));
    }
    Ok(())
}

fn take_place(service: &mut Service) -> Result<DestId, Refusal> {
    let free = service.places.iter().position(|p| p.position.is_none() && !p.is_removed);
    let slot = free.unwrap_or(service.places.len());
    if free.is_none() {
        service.places.push(DestPlace { generation: 0, position: None, is_removed: false });
    }
    let generation = service.places.get(slot).map_or(0, |place| place.generation);
    let slot = u32::try_from(slot)
        .map_err(|_| Refusal::new(RefusalKind::NoMemory, "too many real servers"))?;
    Ok(DestId { slot, generation })
}

fn remove_dest(service: &mut Service, endpoint: Endpoint) -> Result<(), Refusal> {
    let at = service.dests.iter().position(|d| d.endpoint == endpoint).ok_or_else(no_dest)?;
    let dest = service.dests.remove(at);
    service.removed.push_back(dest);
    if service.removed.len() > REMEMBERED_MAX
        && let Some(oldest) = service.removed.pop_front()
        && let Some(place) = service.places.get_mut(position(oldest.id.slot))
    {
        place.generation = place.generation.wrapping_add(1);
    }
    index_dests(service);
    Ok(())
}

/// Makes everything that follows from the list of real servers anew.
fn index_dests(service: &mut Service) {
    for place in &mut service.places {
        place.position = None;
        place.is_removed = false;
    }
    for dest in &service.removed {
        if let Some(place) = service.places.get_mut(position(dest.id.slot)) {
            place.is_removed = true;
        }
    }
    for (at, dest) in (0..).zip(&service.dests) {
        if let Some(place) = service.places.get_mut(position(dest.id.slot)) {
            place.position = Some(at);
        }
    }
    let weights = || service.dests.iter().map(|dest| dest.settings.weight);
    service.weight_max = weights().max().unwrap_or(0);
    service.weight_gcd = weights().fold(0, gcd);
}

fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
