// SPDX-License-Identifier: MIT OR Apache-2.0
//! `route.*`.

use super::convert::{
    Wanted, address, device, device_name, error, network, refused, scope, wire_scope,
};
use crate::control::{Control, Stage};
use dpvs_api::types::{self as wire, DeviceFilter, DeviceRef, RouteList, RouteSpec};
use dpvs_api::{ErrorCode, RpcError};
use dpvs_core::PortId;
use dpvs_core::net::{Family, Prefix};
use dpvs_core::tables::{LocalAddress, Route, Tables};
use std::cell::Cell;
use std::net::IpAddr;

/// Greatest length of an IP packet.
const MTU_MAX: u32 = 65535;

/// Adds a route.
pub(super) fn add(stage: &mut Stage<'_>, spec: &RouteSpec) -> Result<(), RpcError> {
    let route = read(stage.tables(), spec)?;
    stage.draft.add_route(route).map_err(refused)
}

/// Makes a route so.
pub(super) fn replace(stage: &mut Stage<'_>, spec: &RouteSpec) -> Result<(), RpcError> {
    let route = read(stage.tables(), spec)?;
    let is_same = |r: &Route| r.prefix == route.prefix && r.metric == route.metric;
    stage.draft.del_routes(is_same);
    stage.draft.add_route(route).map_err(refused)
}

/// Removes the first route that fits: that to the prefix, with whatever else is given. The scope
/// does not count, since the command line makes one up.
pub(super) fn del(stage: &mut Stage<'_>, spec: &RouteSpec) -> Result<(), RpcError> {
    let prefix = network(spec.destination, spec.prefix_len, ["destination", "prefix_len"])?;
    let port = match &spec.device {
        Some(name) => Some(device(stage.tables(), name)?.id),
        None => None,
    };
    let fits = |route: &Route| {
        route.prefix == prefix
            && port.is_none_or(|port| route.port == port)
            && spec.via.is_none_or(|via| route.via == Some(via))
            && spec.src.is_none_or(|src| route.src == Some(src))
            && (spec.mtu == 0 || route.mtu == spec.mtu)
            && (spec.metric == 0 || route.metric == spec.metric)
    };
    let is_first = Cell::new(true);
    if stage.draft.del_routes(|route| fits(route) && is_first.replace(false)) > 0 {
        return Ok(());
    }
    if stage.tables().routes().iter().any(fits) {
        let text = "this route follows from an address of the port, and goes with it";
        return Err(error(ErrorCode::NotSupported, text, "destination"));
    }
    Err(error(ErrorCode::NoDest, "no such route", "destination"))
}

/// Removes the configured routes of a port.
pub(super) fn flush(stage: &mut Stage<'_>, params: &DeviceRef) -> Result<(), RpcError> {
    let port = device(stage.tables(), &params.device)?.id;
    stage.draft.del_routes(|route| route.port == port);
    Ok(())
}

pub(super) fn read(tables: &Tables, spec: &RouteSpec) -> Result<Route, RpcError> {
    let prefix = network(spec.destination, spec.prefix_len, ["destination", "prefix_len"])?;
    if matches!(spec.scope, wire::Scope::Host | wire::Scope::KniHost) {
        let text = "routes to this host are not made by hand: add the address to a port";
        return Err(error(ErrorCode::NotSupported, text, "scope"));
    }
    if spec.mtu > MTU_MAX {
        let text = format!("an MTU is at most {MTU_MAX}");
        return Err(error(ErrorCode::Range, text, "mtu"));
    }
    if let Some(src) = spec.src {
        check_source(prefix, src)?;
    }
    Ok(Route {
        prefix,
        via: spec.via,
        port: port(tables, spec)?,
        src: spec.src,
        mtu: spec.mtu,
        scope: scope(spec.scope),
        metric: spec.metric,
        is_connected: false,
    })
}

fn check_source(prefix: Prefix, src: IpAddr) -> Result<(), RpcError> {
    address(src, "src")?;
    if Family::of(src) == prefix.family() {
        return Ok(());
    }
    Err(error(ErrorCode::Invalid, "a source of the other address family", "src"))
}

/// The port to leave by: the one given, or the one that the gateway is reached by.
fn port(tables: &Tables, spec: &RouteSpec) -> Result<PortId, RpcError> {
    if let Some(via) = spec.via {
        let via = address(via, "via")?;
        if tables.address(via).is_some() {
            let text = format!("the gateway {} is an address of ours", via.ip());
            return Err(error(ErrorCode::Invalid, text, "via"));
        }
        if spec.device.is_none() {
            let to_link = |r: &&Route| r.via.is_none() && r.prefix.contains(via.ip());
            let route = tables.routes().iter().find(to_link).ok_or_else(|| {
                let text = format!("no port has a link route to the gateway {}", via.ip());
                error(ErrorCode::NoRoute, text, "via")
            })?;
            return Ok(route.port);
        }
    }
    match &spec.device {
        Some(name) => Ok(device(tables, name)?.id),
        None => Err(error(ErrorCode::Invalid, "a route has a gateway or a port", "device")),
    }
}

/// Lists routes: to our addresses, connected and configured ones.
pub(super) fn list(control: &Control, filter: &DeviceFilter) -> Result<RouteList, RpcError> {
    let tables = control.tables();
    let wanted = Wanted::new(tables, filter)?;
    let local = tables
        .addresses()
        .iter()
        .filter(|address| wanted.matches(address.port, address.address.family()))
        .map(|address| show_local(tables, address));
    let others = tables
        .routes()
        .iter()
        .filter(|route| wanted.matches(route.port, route.prefix.family()))
        .map(|route| show(tables, route));
    Ok(RouteList { generation: tables.generation(), routes: local.chain(others).collect() })
}

fn mtu(tables: &Tables, port: PortId) -> u32 {
    tables.port(port).map_or(0, |port| port.mtu)
}

fn show_local(tables: &Tables, address: &LocalAddress) -> RouteSpec {
    RouteSpec {
        destination: address.address.ip(),
        prefix_len: address.address.family().bits(),
        via: None,
        device: Some(device_name(tables, address.port)),
        src: None,
        mtu: mtu(tables, address.port),
        scope: wire::Scope::Host,
        metric: 0,
    }
}

/// A route as a listing shows it: with the MTU that counts.
fn show(tables: &Tables, route: &Route) -> RouteSpec {
    let spec = spec(tables, route);
    RouteSpec { mtu: if spec.mtu == 0 { mtu(tables, route.port) } else { spec.mtu }, ..spec }
}

/// A route as it was configured.
pub(super) fn spec(tables: &Tables, route: &Route) -> RouteSpec {
    RouteSpec {
        destination: route.prefix.address(),
        prefix_len: route.prefix.len(),
        via: route.via,
        device: Some(device_name(tables, route.port)),
        src: route.src,
        mtu: route.mtu,
        scope: wire_scope(route.scope),
        metric: route.metric,
    }
}
