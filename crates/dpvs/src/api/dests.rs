// SPDX-License-Identifier: MIT OR Apache-2.0
//! `dest.*`.

use super::convert::{address, error, forward, refused, stats, tunnel, wire_forward, wire_tunnel};
use super::icmp;
use super::keys::service_key;
use super::services::find;
use crate::control::{Control, ObjectId, Stage};
use dpvs_api::types::{self as wire, DestRef, DestSpec};
use dpvs_api::{ErrorCode, RpcError};
use dpvs_core::key::Endpoint;
use dpvs_core::tables::{Dest, DestSettings, Forward, Service, Tables, Tunnel};

/// What a new real server has unless told otherwise.
pub(super) const DEFAULT: DestSettings = DestSettings::new(Forward::Direct);

/// Adds a real server.
pub(super) fn add(stage: &mut Stage<'_>, spec: &DestSpec) -> Result<(), RpcError> {
    let key = service_key(stage.tables(), &spec.service)?;
    let endpoint = endpoint(spec.address, spec.port)?;
    find(stage.tables(), &key)?;
    let settings = settings(spec, DEFAULT)?;
    stage.draft.add_dest(&key, endpoint, settings).map_err(refused)
}

/// Makes a real server so.
pub(super) fn replace(stage: &mut Stage<'_>, spec: &DestSpec) -> Result<(), RpcError> {
    let key = service_key(stage.tables(), &spec.service)?;
    let endpoint = endpoint(spec.address, spec.port)?;
    let stands = find(stage.tables(), &key)?.dest_at(endpoint).is_some();
    let settings = settings(spec, DEFAULT)?;
    if stands {
        stage.draft.set_dest(&key, endpoint, settings).map_err(refused)
    } else {
        stage.draft.add_dest(&key, endpoint, settings).map_err(refused)
    }
}

/// Changes what is given.
pub(super) fn set(stage: &mut Stage<'_>, spec: &DestSpec) -> Result<(), RpcError> {
    let key = service_key(stage.tables(), &spec.service)?;
    let endpoint = endpoint(spec.address, spec.port)?;
    let standing = find(stage.tables(), &key)?
        .dest_at(endpoint)
        .ok_or_else(|| error(ErrorCode::NoDest, "no such real server", "address"))?
        .settings;
    let settings = settings(spec, standing)?;
    stage.draft.set_dest(&key, endpoint, settings).map_err(refused)
}

/// Removes a real server.
pub(super) fn del(stage: &mut Stage<'_>, dest: &DestRef) -> Result<(), RpcError> {
    let key = service_key(stage.tables(), &dest.service)?;
    let endpoint = endpoint(dest.address, dest.port)?;
    stage.draft.del_dest(&key, endpoint).map_err(refused)
}

/// Returns the forwarding method of a real server, if it stands.
pub(crate) fn method_of(tables: &Tables, spec: &DestSpec) -> Option<wire::Forward> {
    let key = service_key(tables, &spec.service).ok()?;
    let dest = tables.service(&key)?.dest_at(endpoint(spec.address, spec.port).ok()?)?;
    Some(wire_forward(dest.settings.forward))
}

pub(super) fn endpoint(ip: std::net::IpAddr, port: u16) -> Result<Endpoint, RpcError> {
    Ok(Endpoint { address: address(ip, "address")?, port })
}

pub(super) fn settings(spec: &DestSpec, standing: DestSettings) -> Result<DestSettings, RpcError> {
    let forward = spec.forward.map_or(standing.forward, forward);
    let tunnel = match spec.tunnel {
        Some(_) if forward != Forward::Tunnel => {
            let text = "an encapsulation goes with the forwarding method tunnel alone";
            return Err(error(ErrorCode::Invalid, text, "tunnel"));
        }
        Some(given) => tunnel(given)?,
        None if forward == Forward::Tunnel => standing.tunnel,
        // It went with the method that it was for.
        None => Tunnel::default(),
    };
    Ok(DestSettings {
        forward,
        weight: spec.weight.unwrap_or(standing.weight),
        upper_threshold: spec.upper_threshold.unwrap_or(standing.upper_threshold),
        lower_threshold: spec.lower_threshold.unwrap_or(standing.lower_threshold),
        tunnel,
    })
}

/// A real server as a listing shows it.
pub(super) fn show(control: &Control, service: &Service, dest: &Dest) -> wire::Dest {
    let counters = &dest.shared.counters;
    let DestSettings { forward, weight, upper_threshold, lower_threshold, tunnel } = dest.settings;
    wire::Dest {
        address: dest.endpoint.address.ip(),
        port: dest.endpoint.port,
        forward: wire_forward(forward),
        weight,
        upper_threshold,
        lower_threshold,
        tunnel: (forward == Forward::Tunnel).then(|| wire_tunnel(tunnel)),
        active: counters.active(),
        inactive: counters.inactive(),
        persistent: counters.persistent(),
        overloaded: dest.is_overloaded(),
        icmp: icmp::errors(dest.shared.icmp_errors()),
        stats: stats(counters.traffic()),
        rates: control.rates().of(ObjectId::dest(service.id, dest.id)),
    }
}
