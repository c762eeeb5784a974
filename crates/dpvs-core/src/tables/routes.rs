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

/// Returns the longest packet where a route tells one, 0 if it does not, and a port or a tunnel another.
#[inline]
pub(crate) fn smaller_mtu(told: u32, limit: u32) -> u32 {
    if told == 0 { limit } else { told.min(limit) }
}

/// All routes.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    v4: List,
    v6: List,
}

/// The routes of a family, longest prefix first.
#[derive(Clone, Debug, Default)]
struct List {
    routes: Vec<Route>,
    /// The same, as packets need them.
    ways: Vec<Way>,
}

/// A route as packets need it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// Bits of the prefix, and which of them count.
    network: u128,
    mask: u128,
    via: Option<Address>,
    src: Option<Address>,
    /// Longest packet; 0 is the port's MTU.
    pub(crate) mtu: u32,
    /// The port to leave by.
    pub(crate) port: PortId,
}

impl Way {
    /// Returns whether there is no gateway.
    pub(crate) fn is_on_link(&self) -> bool {
        self.via.is_none()
    }

    /// Returns the next hop's address on the way to an address.
    #[inline]
    pub(crate) fn next_hop(&self, address: Address) -> Address {
        self.via.unwrap_or(address)
    }

    fn of(route: &Route) -> Self {
        let family = route.prefix.family();
        let host_bits = u32::from(family.bits() - route.prefix.len());
        Way {
            network: Address::from(route.prefix.address()).bits(),
            mask: u128::MAX.checked_shl(host_bits).unwrap_or(0),
            via: route.via.map(Address::from),
            src: route.src.map(Address::from),
            mtu: route.mtu,
            port: route.port,
        }
    }
}

impl Routes {
    /// Returns all routes, each family longest prefix first.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.v4.routes.iter().chain(&self.v6.routes)
    }

    /// Finds the way to an address. O(routes of the family).
    #[inline]
    pub fn lookup(&self, address: Address) -> Option<RouteLookup> {
        let way = self.way(address)?;
        let next_hop = way.next_hop(address);
        Some(RouteLookup { port: way.port, next_hop, mtu: way.mtu, src: way.src })
    }

    /// The same, as it stands.
    #[inline]
    fn way(&self, address: Address) -> Option<&Way> {
        match address.v4_bits() {
            Some(address) => self.way_v4(address),
            None => self.v6.ways.iter().find(|way| address.bits() & way.mask == way.network),
        }
    }

    /// The same for an IPv4 address of 32 bits, which takes half as long.
    #[inline]
    pub(crate) fn way_v4(&self, address: u32) -> Option<&Way> {
        // All that differs in IPv4.
        let low = |bits| u32::from_be_bytes(Address::from_bits(bits).v4_octets());
        self.v4.ways.iter().find(|way| address & low(way.mask) == low(way.network))
    }

    pub(super) fn insert(&mut self, route: Route) {
        let List { routes, ways } = match route.prefix.family() {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        };
        let order = |r: &Route| (u8::MAX - r.prefix.len(), r.metric);
        let at = routes.partition_point(|r| order(r) <= order(&route));
        routes.insert(at, route);
        ways.insert(at, Way::of(&route));
    }

    /// Keeps the routes that `stays` picks.
    pub(super) fn retain(&mut self, stays: impl Fn(&Route) -> bool) {
        for List { routes, ways } in [&mut self.v4, &mut self.v6] {
            routes.retain(&stays);
            *ways = routes.iter().map(Way::of).collect();
        }
    }
}
