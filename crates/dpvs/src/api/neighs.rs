// SPDX-License-Identifier: MIT OR Apache-2.0
//! `neigh.*`: configured neighbours, and those that the workers have learned.

use super::convert::{Wanted, address, device, device_name, error, mac, refused};
use crate::control::{Control, Stage};
use dpvs_api::types::{DeviceFilter, NeighInfo, NeighList, NeighRef, NeighSpec};
use dpvs_api::{ErrorCode, RpcError};
use dpvs_core::neighbour::{NeighbourInfo, NeighbourState};
use dpvs_core::tables::{StaticNeighbour, Tables};
use dpvs_core::{Command, Event, NextHop};

/// Most neighbours that a worker knows.
const LEARNED_MAX: usize = 4096;

/// Adds a neighbour.
pub(super) fn add(stage: &mut Stage<'_>, spec: &NeighSpec) -> Result<(), RpcError> {
    let neighbour = read(stage.tables(), spec)?;
    stage.draft.add_neighbour(neighbour).map_err(refused)
}

/// Makes a neighbour so.
pub(super) fn replace(stage: &mut Stage<'_>, spec: &NeighSpec) -> Result<(), RpcError> {
    let neighbour = read(stage.tables(), spec)?;
    let hop = NextHop { port: neighbour.port, address: neighbour.address };
    if is_configured(stage.tables(), hop) {
        stage.draft.del_neighbour(neighbour.port, neighbour.address).map_err(refused)?;
    }
    stage.draft.add_neighbour(neighbour).map_err(refused)
}

/// Removes a neighbour: the configured one, or what the workers have learned.
pub(super) fn del(stage: &mut Stage<'_>, neigh: &NeighRef) -> Result<(), RpcError> {
    let address = address(neigh.address, "address")?;
    let port = device(stage.tables(), &neigh.device)?.id;
    let hop = NextHop { port, address };
    if is_configured(stage.tables(), hop) {
        return stage.draft.del_neighbour(port, address).map_err(refused);
    }
    let is_it = |info: &NeighbourInfo| info.port == port && info.address == address;
    if !learned(stage.control)?.iter().flatten().any(is_it) {
        return Err(error(ErrorCode::NoDest, "no such neighbour", "address"));
    }
    stage.forget(hop);
    Ok(())
}

fn is_configured(tables: &Tables, hop: NextHop) -> bool {
    let is_it = |n: &StaticNeighbour| n.port == hop.port && n.address == hop.address;
    tables.neighbours().iter().any(is_it)
}

pub(super) fn read(tables: &Tables, spec: &NeighSpec) -> Result<StaticNeighbour, RpcError> {
    Ok(StaticNeighbour {
        port: device(tables, &spec.device)?.id,
        address: address(spec.address, "address")?,
        mac: mac(&spec.lladdr)?,
    })
}

/// What each worker has learned.
fn learned(control: &mut Control) -> Result<Vec<Vec<NeighbourInfo>>, RpcError> {
    let events = control.ask_all(|| Command::Neighbours(Vec::with_capacity(LEARNED_MAX)))?;
    let lists = events.into_iter().map(|event| match event {
        Event::Neighbours(list) => list,
        _ => Vec::new(),
    });
    Ok(lists.collect())
}

/// Lists neighbours, the configured ones first.
pub(super) fn list(control: &mut Control, filter: &DeviceFilter) -> Result<NeighList, RpcError> {
    let wanted = Wanted::new(control.tables(), filter)?;
    let learned = learned(control)?;
    let tables = control.tables();
    let configured = tables.neighbours().iter().map(|neighbour| NeighInfo {
        address: neighbour.address.ip(),
        lladdr: Some(neighbour.mac.to_string()),
        device: device_name(tables, neighbour.port),
        state: state_name(NeighbourState::Reachable).to_owned(),
        worker: 0,
        is_static: true,
    });
    let is_wanted = |n: &&StaticNeighbour| wanted.matches(n.port, n.address.family());
    let mut neighs: Vec<NeighInfo> = Vec::new();
    for (neighbour, info) in tables.neighbours().iter().zip(configured) {
        if is_wanted(&neighbour) {
            neighs.push(info);
        }
    }
    for (worker, list) in (0..).zip(learned) {
        for info in list {
            let hop = NextHop { port: info.port, address: info.address };
            if !wanted.matches(info.port, info.address.family()) || is_configured(tables, hop) {
                continue;
            }
            neighs.push(NeighInfo {
                address: info.address.ip(),
                lladdr: info.mac.map(|mac| mac.to_string()),
                device: device_name(tables, info.port),
                state: state_name(info.state).to_owned(),
                worker,
                is_static: false,
            });
        }
    }
    Ok(NeighList { neighs })
}

fn state_name(state: NeighbourState) -> &'static str {
    match state {
        NeighbourState::Send => "SEND",
        NeighbourState::Reachable => "REACHABLE",
        NeighbourState::Delay => "DELAY",
        NeighbourState::Probe => "PROBE",
    }
}
