// SPDX-License-Identifier: MIT OR Apache-2.0
//! The writes that make the configuration what it is to be.
//!
//! What goes away goes first, so that what comes finds its place free; ports have their addresses
//! before routes and services need them.

use super::services::Services;
use super::under;
use crate::api::convert::{address, device_name, network};
use crate::api::{addrs, conns, echo, neighs, routes, write as write_one};
use crate::control::Stage;
use dpvs_api::types::{
    AddrRef, AddrSpec, ConfigSpec, EchoRef, EchoSpec, NeighRef, NeighSpec, RouteSpec, TimeoutSpec,
    WriteSpec,
};
use dpvs_api::{Call, ErrorCode, RpcError};
use dpvs_core::key::Address;
use dpvs_core::tables::{LocalAddress, Route, StaticNeighbour};
use std::collections::{HashMap, HashSet};

/// Greatest length of the writes that are told, well below that of a line.
const TOLD_BYTES_MAX: usize = 800_000;
/// What is around a write in the answer.
const WRITE_BYTES: usize = 50;

/// The writes so far, on their stage.
pub(super) struct Difference<'s, 'a> {
    pub(super) stage: &'s mut Stage<'a>,
    /// How many there are.
    pub(super) changes: u64,
    /// Those that are told.
    pub(super) writes: Vec<WriteSpec>,
    bytes: usize,
}

/// Writes the difference on a stage.
pub(super) fn write<'s, 'a>(
    stage: &'s mut Stage<'a>,
    config: ConfigSpec,
) -> Result<Difference<'s, 'a>, RpcError> {
    let ConfigSpec { timeouts, addrs, routes, neighs, echoes, services } = config;
    let services = services.map(|rows| Services::read(stage.tables(), rows)).transpose()?;
    let mut difference = Difference { stage, changes: 0, writes: Vec::new(), bytes: 0 };
    if let Some(services) = &services {
        services.remove_others(&mut difference)?;
    }
    if let Some(addrs) = addrs {
        difference.addrs(addrs)?;
    }
    if let Some(routes) = routes {
        difference.routes(routes)?;
    }
    if let Some(neighs) = neighs {
        difference.neighs(neighs)?;
    }
    if let Some(timeouts) = timeouts {
        difference.timeouts(timeouts)?;
    }
    let served = services.as_ref().map(Services::echo_addresses).unwrap_or_default();
    if let Some(services) = services {
        services.make(&mut difference)?;
    }
    if let Some(echoes) = echoes {
        difference.echoes(echoes, &served)?;
    }
    Ok(difference)
}

impl Difference<'_, '_> {
    /// Makes one write, of what stands at `place` in the document.
    pub(super) fn write(&mut self, call: Call, place: &str) -> Result<(), RpcError> {
        let told = call.to_write().map_err(|error| {
            RpcError::new(ErrorCode::Internal, format!("cannot tell a write: {error}"))
        })?;
        write_one(self.stage, call).map_err(under(place))?;
        self.changes += 1;
        self.bytes += told.method.len() + told.params.get().len() + WRITE_BYTES;
        if self.bytes <= TOLD_BYTES_MAX {
            self.writes.push(told);
        }
        Ok(())
    }

    fn addrs(&mut self, specs: Vec<AddrSpec>) -> Result<(), RpcError> {
        let mut wanted: HashMap<Address, LocalAddress> = HashMap::new();
        for (at, spec) in specs.iter().enumerate() {
            let place = place("addrs", at);
            let address = addrs::read(self.stage, spec).map_err(under(&place))?;
            if wanted.insert(address.address, address).is_some() {
                return Err(twice(&place));
            }
        }
        let tables = self.stage.tables();
        // What came with a local address goes with it, and what one uses is still needed.
        let is_over = |a: &&LocalAddress| match wanted.get(&a.address) {
            Some(wanted) => wanted.port != a.port,
            None => !a.came_with_laddr && !tables.is_laddr(a.address),
        };
        let over: Vec<AddrRef> = tables
            .addresses()
            .iter()
            .filter(is_over)
            .map(|a| AddrRef {
                address: a.address.ip(),
                prefix_len: a.prefix.len(),
                device: device_name(tables, a.port),
            })
            .collect();
        for addr in over {
            self.write(Call::AddrDel(addr), "config.addrs")?;
        }
        for (at, spec) in specs.into_iter().enumerate() {
            let address = addrs::read(self.stage, &spec)?;
            let standing = self.stage.tables().address(address.address);
            let call = match standing {
                Some(standing) if *standing == address => continue,
                Some(_) => Call::AddrReplace(spec),
                None => Call::AddrAdd(spec),
            };
            self.write(call, &place("addrs", at))?;
        }
        Ok(())
    }

    fn routes(&mut self, specs: Vec<RouteSpec>) -> Result<(), RpcError> {
        let mut wanted = HashSet::new();
        for (at, spec) in specs.iter().enumerate() {
            let place = place("routes", at);
            let prefix = network(spec.destination, spec.prefix_len, ["destination", "prefix_len"])
                .map_err(under(&place))?;
            if !wanted.insert((prefix, spec.metric)) {
                return Err(twice(&place));
            }
        }
        let is_over =
            |route: &&Route| !route.is_connected && !wanted.contains(&(route.prefix, route.metric));
        // A write takes away the first that fits: so one after the other.
        loop {
            let tables = self.stage.tables();
            let over = tables.routes().iter().find(is_over);
            let Some(spec) = over.map(|route| routes::spec(tables, route)) else { break };
            self.write(Call::RouteDel(spec), "config.routes")?;
        }
        for (at, spec) in specs.into_iter().enumerate() {
            let place = place("routes", at);
            let route = routes::read(self.stage.tables(), &spec).map_err(under(&place))?;
            let is_same = |r: &&Route| {
                r.prefix == route.prefix && r.metric == route.metric && !r.is_connected
            };
            let call = match self.stage.tables().routes().iter().find(is_same) {
                Some(standing) if *standing == route => continue,
                Some(_) => Call::RouteReplace(spec),
                None => Call::RouteAdd(spec),
            };
            self.write(call, &place)?;
        }
        Ok(())
    }

    fn neighs(&mut self, specs: Vec<NeighSpec>) -> Result<(), RpcError> {
        let mut wanted = HashMap::new();
        for (at, spec) in specs.iter().enumerate() {
            let place = place("neighs", at);
            let neighbour = neighs::read(self.stage.tables(), spec).map_err(under(&place))?;
            if wanted.insert((neighbour.port, neighbour.address), neighbour).is_some() {
                return Err(twice(&place));
            }
        }
        let tables = self.stage.tables();
        let is_over = |n: &&StaticNeighbour| !wanted.contains_key(&(n.port, n.address));
        let over: Vec<NeighRef> = tables
            .neighbours()
            .iter()
            .filter(is_over)
            .map(|n| NeighRef { address: n.address.ip(), device: device_name(tables, n.port) })
            .collect();
        let standing: HashMap<_, _> =
            tables.neighbours().iter().map(|n| ((n.port, n.address), *n)).collect();
        for neigh in over {
            self.write(Call::NeighDel(neigh), "config.neighs")?;
        }
        for (at, spec) in specs.into_iter().enumerate() {
            let neighbour = neighs::read(self.stage.tables(), &spec)?;
            let call = match standing.get(&(neighbour.port, neighbour.address)) {
                Some(standing) if *standing == neighbour => continue,
                Some(_) => Call::NeighReplace(spec),
                None => Call::NeighAdd(spec),
            };
            self.write(call, &place("neighs", at))?;
        }
        Ok(())
    }

    fn timeouts(&mut self, spec: TimeoutSpec) -> Result<(), RpcError> {
        let standing = conns::timeouts(self.stage.tables());
        let rows = [
            (spec.tcp, standing.tcp),
            (spec.tcp_fin, standing.tcp_fin),
            (spec.udp, standing.udp),
            (spec.icmp, standing.icmp),
        ];
        let differs = |(wanted, standing): (Option<u32>, u32)| {
            wanted.is_some_and(|wanted| wanted != 0 && wanted != standing)
        };
        if !rows.into_iter().any(differs) {
            return Ok(());
        }
        self.write(Call::TimeoutSet(spec), "config.timeouts")
    }

    fn echoes(&mut self, specs: Vec<EchoSpec>, served: &HashSet<Address>) -> Result<(), RpcError> {
        let mut wanted = HashMap::new();
        for (at, spec) in specs.iter().enumerate() {
            let place = place("echoes", at);
            let address = address(spec.address, "address").map_err(under(&place))?;
            let policy = echo::read(&spec.policy, "policy").map_err(under(&place))?;
            if wanted.insert(address, policy).is_some() || served.contains(&address) {
                return Err(twice(&place));
            }
        }
        let is_over = |a: &Address| !wanted.contains_key(a) && !served.contains(a);
        let mut over: Vec<Address> =
            self.stage.tables().echoes().map(|echo| echo.address).filter(is_over).collect();
        over.sort_unstable();
        for address in over {
            self.write(Call::EchoDel(EchoRef { address: address.ip() }), "config.echoes")?;
        }
        for (at, spec) in specs.into_iter().enumerate() {
            let address = Address::from(spec.address);
            let standing = self.stage.tables().echo(address).map(|echo| echo.policy);
            if standing.is_none() || standing.as_ref() != wanted.get(&address) {
                self.write(Call::EchoSet(spec), &place("echoes", at))?;
            }
        }
        Ok(())
    }
}

/// Names a row of a section.
pub(super) fn place(section: &str, at: usize) -> String {
    format!("config.{section}[{at}]")
}

/// Refuses a row that says the same thing as one before it.
pub(super) fn twice(place: &str) -> RpcError {
    RpcError::new(ErrorCode::Invalid, "this is listed twice").at(place)
}
