// SPDX-License-Identifier: MIT OR Apache-2.0
//! A changeable copy of the tables: real servers.

use super::dest::DestShared;
use super::draft::{REMEMBERED_MAX, check_unicast, not_a_host, release};
use super::service::DestPlace;
use super::{
    Dest, DestId, DestSettings, Draft, Forward, NatEnd, Refusal, RefusalKind, Service, ServiceKey,
    Tables, TunnelPlace,
};
use crate::forward;
use crate::ids::position;
use crate::key::Endpoint;
use std::net::IpAddr;
use std::sync::Arc;

/// Greatest weight, as in IPVS.
const WEIGHT_MAX: u32 = 65535;

impl Draft {
    /// Adds a real server to a service.
    ///
    /// # Errors
    /// `NoService`, `Exist`, `Invalid` for an address that cannot be a server's, `Range` for a
    /// weight or thresholds, `NotSupported` for a forwarding method that the addresses do not allow.
    pub fn add_dest(
        &mut self,
        key: &ServiceKey,
        endpoint: Endpoint,
        settings: DestSettings,
    ) -> Result<(), Refusal> {
        let workers = self.workers();
        if self.service_mut(key)?.dest_at(endpoint).is_some() {
            return Err(Refusal::new(RefusalKind::Exist, "the real server stands already"));
        }
        check_dest(&self.tables, key, endpoint, &settings)?;
        let slot = self.slot_to_change(key)?;
        let service = self.service_mut(key)?;
        let removed = service.removed.iter().position(|d| d.endpoint == endpoint);
        let (id, shared) = if let Some(old) = removed.and_then(|at| service.removed.remove(at)) {
            (old.id, old.shared)
        } else {
            let id = take_place(service)?;
            if settings.forward == Forward::Snat {
                self.tables.served.entry(endpoint.address).or_default().local += 1;
            }
            (id, Arc::new(DestShared::new(workers)))
        };
        if settings.forward == Forward::Snat {
            shared.make_pool(workers);
        }
        let dest = Dest { id, endpoint, settings, shared };
        dest.check_thresholds();
        self.service_mut(key)?.dests.push(dest);
        self.note_method(slot, key, (id, endpoint), &settings);
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
        if self.service_mut(key)?.dest_at(endpoint).is_none() {
            return Err(no_dest());
        }
        check_dest(&self.tables, key, endpoint, &settings)?;
        let slot = self.slot_to_change(key)?;
        let service = self.service_mut(key)?;
        let Some(dest) = service.dests.iter_mut().find(|dest| dest.endpoint == endpoint) else {
            return Err(no_dest());
        };
        dest.settings = settings;
        dest.check_thresholds();
        let id = dest.id;
        self.note_method(slot, key, (id, endpoint), &settings);
        Ok(())
    }

    /// Removes a real server. Its connections find it gone until it comes back.
    ///
    /// # Errors
    /// `NoService`, `NoDest`.
    pub fn del_dest(&mut self, key: &ServiceKey, endpoint: Endpoint) -> Result<(), Refusal> {
        let slot = self.slot_to_change(key)?;
        if let Some(forgotten) = remove_dest(self.service_mut(key)?, endpoint)? {
            forget_dest(&mut self.tables, slot, key, &forgotten);
        }
        Ok(())
    }

    /// Remembers that answers of a real server to clients may be those of a service, and that errors
    /// about packets to it may be about a tunnel's.
    fn note_method(
        &mut self,
        slot: u32,
        key: &ServiceKey,
        (id, end): (DestId, Endpoint),
        settings: &DestSettings,
    ) {
        if let (ServiceKey::Virtual(key), Forward::Nat) = (key, settings.forward) {
            let index = Arc::make_mut(&mut self.tables.nat_index);
            let slots = index.entry(NatEnd { protocol: key.protocol, end }).or_default();
            if !slots.contains(&slot) {
                slots.push(slot);
            }
        }
        if settings.forward == Forward::Tunnel {
            let ends = Arc::make_mut(&mut self.tables.tunnel_ends);
            let places = ends.entry(end.address).or_default();
            let place = TunnelPlace { slot, port: end.port, id };
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }
}

fn no_dest() -> Refusal {
    Refusal::new(RefusalKind::NoDest, "no such real server").at("address")
}

fn check_dest(
    tables: &Tables,
    key: &ServiceKey,
    endpoint: Endpoint,
    settings: &DestSettings,
) -> Result<(), Refusal> {
    check_unicast(endpoint.address, "address")?;
    if matches!(endpoint.address.ip(), IpAddr::V6(ip) if ip.is_unicast_link_local()) {
        // Every link has all of them, and a real server is named without one.
        return Err(not_a_host(endpoint.address, "address"));
    }
    if settings.weight > WEIGHT_MAX {
        return Err(Refusal::new(RefusalKind::Range, "a weight is 0 to 65535").at("weight"));
    }
    if settings.lower_threshold > settings.upper_threshold {
        let text = "the lower threshold is above the upper threshold";
        return Err(Refusal::new(RefusalKind::Range, text).at("lower_threshold"));
    }
    if let ServiceKey::Virtual(key) = key {
        let invalid = |text: &str| Err(Refusal::new(RefusalKind::Invalid, text).at("port"));
        if key.protocol.is_icmp() && endpoint.port != 0 {
            return invalid("real servers of ICMP services have port 0");
        }
    }
    forward::check(tables, key, endpoint, settings)
}

fn take_place(service: &mut Service) -> Result<DestId, Refusal> {
    // Servers are mostly added: looked for is only where there may be a free place.
    let is_full = service.places.len() == service.dests.len() + service.removed.len();
    let free = if is_full { None } else { service.places.iter().position(|p| !p.is_taken) };
    let slot = free.unwrap_or(service.places.len());
    if free.is_none() {
        service.places.push(DestPlace { generation: 0, position: None, is_taken: false });
    }
    let no_memory = || Refusal::new(RefusalKind::NoMemory, "too many real servers");
    let place = service.places.get_mut(slot).ok_or_else(no_memory)?;
    place.is_taken = true;
    let generation = place.generation;
    let slot = u32::try_from(slot).map_err(|_| no_memory())?;
    Ok(DestId { slot, generation })
}

/// Takes a server from the list and remembers it; returns the one that is forgotten for it.
pub(super) fn remove_dest(
    service: &mut Service,
    endpoint: Endpoint,
) -> Result<Option<Dest>, Refusal> {
    let at = service.dests.iter().position(|d| d.endpoint == endpoint).ok_or_else(no_dest)?;
    let dest = service.dests.remove(at);
    service.removed.push_back(dest);
    if service.removed.len() <= REMEMBERED_MAX {
        return Ok(None);
    }
    let oldest = service.removed.pop_front();
    if let Some(oldest) = &oldest
        && let Some(place) = service.places.get_mut(position(oldest.id.slot))
    {
        place.generation = place.generation.wrapping_add(1);
        place.is_taken = false;
    }
    Ok(oldest)
}

/// Takes away what the tables know of a server that nothing refers to any more.
pub(super) fn forget_dest(tables: &mut Tables, slot: u32, key: &ServiceKey, dest: &Dest) {
    let Endpoint { address, port } = dest.endpoint;
    if tables.tunnel_ends.contains_key(&address) {
        let ends = Arc::make_mut(&mut tables.tunnel_ends);
        if let Some(places) = ends.get_mut(&address) {
            places.retain(|place| (place.slot, place.port) != (slot, port));
            if places.is_empty() {
                ends.remove(&address);
            }
        }
    }
    match key {
        ServiceKey::Match(_) => release(tables, dest.endpoint.address, |uses| &mut uses.local),
        ServiceKey::Virtual(key) => {
            let nat = NatEnd { protocol: key.protocol, end: dest.endpoint };
            if tables.nat_index.contains_key(&nat) {
                let index = Arc::make_mut(&mut tables.nat_index);
                if let Some(slots) = index.get_mut(&nat) {
                    slots.retain(|other| *other != slot);
                    if slots.is_empty() {
                        index.remove(&nat);
                    }
                }
            }
        }
    }
}
