// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ports, addresses and configured neighbours.

use crate::key::Address;
use crate::net::{Mac, Prefix};
use crate::{Millis, PortId};
use std::net::IpAddr;

/// A port as the core sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its number.
    pub id: PortId,
    /// Its name, such as `dpdk0`.
    pub name: String,
    /// Its link address.
    pub mac: Mac,
    /// Longest IP packet that it sends, in bytes.
    pub mtu: u32,
    /// Whether a kernel interface takes what is not for the dataplane.
    pub has_kernel: bool,
}

/// How far an address or a route is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// This host.
    Host,
    /// This host's kernel.
    KniHost,
    /// The link.
    Link,
    /// Everywhere.
    Global,
}

/// An address of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalAddress {
    /// The address.
    pub address: Address,
    /// The prefix that it lies in; shorter than a host's, it makes a connected route.
    pub prefix: Prefix,
    /// The port that has it.
    pub port: PortId,
    /// IPv4 broadcast address.
    pub broadcast: Option<IpAddr>,
    /// How far it is good for.
    pub scope: Scope,
    /// When it goes away.
    pub valid_until: Option<Millis>,
    /// Until when it is preferred.
    pub preferred_until: Option<Millis>,
    /// Whether it was given as a pool of local ports.
    pub is_pool: bool,
    /// Whether it came with a service's local address, and goes with it.
    pub came_with_laddr: bool,
}

/// A configured neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticNeighbour {
    /// The port that it is on.
    pub port: PortId,
    /// Its address.
    pub address: Address,
    /// Its link address.
    pub mac: Mac,
}
