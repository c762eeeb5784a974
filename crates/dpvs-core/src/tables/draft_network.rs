// SPDX-License-Identifier: MIT OR Apache-2.0
//! A changeable copy of the tables: ports, addresses, routes, neighbours.

use super::draft::check_unicast;
use super::{
    Draft, LocalAddress, Port, Refusal, RefusalKind, Route, Routes, Scope, StaticNeighbour,
};
use crate::key::Address;
use crate::net::Mac;
use crate::{Millis, PortId};
use std::sync::Arc;

impl Draft {
    /// Changes a port's link address, MTU or kernel interface.
    ///
    /// # Errors
    /// `NoDevice`.
    pub fn set_port(&mut self, port: Port) -> Result<(), Refusal> {
        match Arc::make_mut(&mut self.tables.ports).get_mut(port.id.index()) {
            Some(place) => {
                *place = port;
                Ok(())
            }
            None => Err(no_device()),
        }
    }

    /// Adds an address to a port; its prefix makes a connected route.
    ///
    /// # Errors
    /// `NoDevice`, `Invalid` for an address that no host may have, `Exist` if any port has it.
    pub fn add_address(&mut self, address: LocalAddress) -> Result<(), Refusal> {
        check_unicast(address.address, "address")?;
        if self.tables.port(address.port).is_none() {
            return Err(no_device());
        }
        if self.tables.address(address.address).is_some() {
            return Err(Refusal::new(RefusalKind::Exist, "the address stands already"));
        }
        Arc::make_mut(&mut self.tables.addresses).push(address);
        self.index_addresses();
        Ok(())
    }

    /// Removes an address from a port.
    ///
    /// # Errors
    /// `NoDest` if the port does not have it.
    pub fn del_address(&mut self, address: Address, port: PortId) -> Result<(), Refusal> {
        let addresses = Arc::make_mut(&mut self.tables.addresses);
        let before = addresses.len();
        addresses.retain(|a| a.address != address || a.port != port);
        if addresses.len() == before {
            return Err(Refusal::new(RefusalKind::NoDest, "no such address").at("address"));
        }
        self.index_addresses();
        Ok(())
    }

    /// Removes all addresses of a port.
    pub fn flush_addresses(&mut self, port: PortId) {
        Arc::make_mut(&mut self.tables.addresses).retain(|a| a.port != port);
        self.index_addresses();
    }

    /// Removes addresses whose lifetime has ended; returns whether there were any.
    pub fn expire_addresses(&mut self, now: Millis) -> bool {
        let is_over = |a: &LocalAddress| a.valid_until.is_some_and(|until| until <= now);
        if !self.tables.addresses.iter().any(is_over) {
            return false;
        }
        Arc::make_mut(&mut self.tables.addresses).retain(|a| !is_over(a));
        self.index_addresses();
        true
    }

    /// Makes what follows from the addresses: their index and the connected routes.
    fn index_addresses(&mut self) {
        let tables = &mut self.tables;
        tables.address_index =
            Arc::new(tables.addresses.iter().map(|a| a.address).zip(0..).collect());
        let mut routes = Routes::default();
        for route in tables.routes.iter().filter(|route| !route.is_connected) {
            routes.insert(*route);
        }
        for address in tables.addresses.iter() {
            let family = address.address.family();
            let stands = routes
                .iter()
                .any(|r| r.is_connected && r.prefix == address.prefix && r.port == address.port);
            if address.prefix.len() < family.bits() && !stands {
                routes.insert(Route {
                    prefix: address.prefix,
                    via: None,
                    port: address.port,
                    src: Some(address.address.ip()),
                    mtu: 0,
                    scope: Scope::Link,
                    metric: 0,
                    is_connected: true,
                });
            }
        }
        tables.routes = Arc::new(routes);
    }

    /// Adds a route.
    ///
    /// # Errors
    /// `NoDevice`, `Exist` for the same prefix and metric, `Invalid` for a gateway of the other
    /// family or no host's address.
    pub fn add_route(&mut self, route: Route) -> Result<(), Refusal> {
        if self.tables.port(route.port).is_none() {
            return Err(no_device());
        }
        if let Some(via) = route.via {
            check_unicast(Address::from(via), "via")?;
            if crate::net::Family::of(via) != route.prefix.family() {
                return Err(
                    Refusal::new(RefusalKind::Invalid, "a gateway of the other family").at("via")
                );
            }
        }
        let is_same = |r: &Route| r.prefix == route.prefix && r.metric == route.metric;
        if self.tables.routes.iter().any(|r| !r.is_connected && is_same(r)) {
            return Err(Refusal::new(RefusalKind::Exist, "the route stands already"));
        }
        Arc::make_mut(&mut self.tables.routes).insert(route);
        Ok(())
    }

    /// Removes the configured routes that `matches` picks; returns how many.
    pub fn del_routes(&mut self, matches: impl Fn(&Route) -> bool) -> usize {
        let routes = Arc::make_mut(&mut self.tables.routes);
        let before = routes.iter().count();
        routes.retain(|route| route.is_connected || !matches(route));
        before - routes.iter().count()
    }

    /// Adds a neighbour.
    ///
    /// # Errors
    /// `NoDevice`, `Exist`, `Invalid` for addresses that no host may have.
    pub fn add_neighbour(&mut self, neighbour: StaticNeighbour) -> Result<(), Refusal> {
        check_unicast(neighbour.address, "address")?;
        if neighbour.mac.is_group() || neighbour.mac == Mac::default() {
            return Err(
                Refusal::new(RefusalKind::Invalid, "not a host's link address").at("lladdr")
            );
        }
        if self.tables.port(neighbour.port).is_none() {
            return Err(no_device());
        }
        let is_same =
            |n: &StaticNeighbour| n.port == neighbour.port && n.address == neighbour.address;
        if self.tables.neighbours.iter().any(is_same) {
            return Err(Refusal::new(RefusalKind::Exist, "the neighbour stands already"));
        }
        Arc::make_mut(&mut self.tables.neighbours).push(neighbour);
        Ok(())
    }

    /// Removes a configured neighbour.
    ///
    /// # Errors
    /// `NoDest`.
    pub fn del_neighbour(&mut self, port: PortId, address: Address) -> Result<(), Refusal> {
        let neighbours = Arc::make_mut(&mut self.tables.neighbours);
        let before = neighbours.len();
        neighbours.retain(|n| n.port != port || n.address != address);
        if neighbours.len() == before {
            return Err(Refusal::new(RefusalKind::NoDest, "no such neighbour").at("address"));
        }
        Ok(())
    }
}

fn no_device() -> Refusal {
    Refusal::new(RefusalKind::NoDevice, "no such port").at("device")
}
