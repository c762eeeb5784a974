// SPDX-License-Identifier: MIT OR Apache-2.0
//! Routes: a sorted list, longest prefix first. Balancers have few.

use super::Scope;
use crate::PortId;
use crate::key::Address;
use crate::net::{Family, Prefix};
use std::net::IpAddr;

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub prefix: Prefix,
    /// The gateway; `None` where the destination is on the link.
    pub via: Option<IpAddr>,
    /// The port to leave by.
    pub port: PortId,
    /// Source of packets that we make ourselves.
    pub src: Option<IpAddr>,
    /// Longest packet; 0 is the port's MTU.
    pub mtu: u32,
    /// How far it goes.
    pub scope: Scope,
    /// The smaller one of two routes to the same prefix is used.
    pub metric: u32,
    /// Whether it follows from an address of a port, not from a command.
    pub is_connected: bool,
}

/// Where to send a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteLookup {
    /// The port to leave by.
    pub port: PortId,
    /// The next hop's address.
    pub next_hop: Address,
    /// Longest packet; 0 is the port's MTU.
    pub mtu: u32,
    /// Source of packets that we make ourselves.
    pub src: Option<Address>,
}

/// All routes.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    v4: Vec<Route>,
    v6: Vec<Route>,
}

impl Routes {
    fn of(&self, family: Family) -> &Vec<Route> {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    pub(super) fn of_mut(&mut self, family: Family) -> &mut Vec<Route> {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }

    /// Returns all routes, each family longest prefix first.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.v4.iter().chain(&self.v6)
    }

    /// Finds the way to an address. O(routes of the family).
    pub fn lookup(&self, address: Address) -> Option<RouteLookup> {
        let ip = address.ip();
        let route = self.of(address.family()).iter().find(|route| route.prefix.contains(ip))?;
        Some(RouteLookup {
            port: route.port,
            next_hop: route.via.map_or(address, Address::from),
            mtu: route.mtu,
            src: route.src.map(Address::from),
        })
    }

    pub(super) fn insert(&mut self, route: Route) {
        let list = self.of_mut(route.prefix.family());
        let order = |r: &Route| (u8::MAX - r.prefix.len(), r.metric);
        let at = list.partition_point(|r| order(r) <= order(&route));
        list.insert(at, route);
    }
}
