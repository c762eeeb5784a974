// SPDX-License-Identifier: MIT OR Apache-2.0
//! `addr.*`.

use super::convert::{
    Wanted, address, device, device_name, error, prefix, refused, scope, wire_scope,
};
use super::laddrs::usage;
use crate::control::{Control, Stage};
use dpvs_api::types::{AddrInfo, AddrList, AddrRef, AddrSpec, DeviceFilter, DeviceRef, PoolUse};
use dpvs_api::{ErrorCode, RpcError};
use dpvs_core::Millis;
use dpvs_core::key::Address;
use dpvs_core::tables::{LocalAddress, Tables};
use std::collections::HashMap;

/// Adds an address.
pub(super) fn add(stage: &mut Stage<'_>, spec: &AddrSpec) -> Result<(), RpcError> {
    let address = read(stage, spec)?;
    stage.draft.add_address(address).map_err(refused)
}

/// Makes an address so; one on another port is in the way.
pub(super) fn replace(stage: &mut Stage<'_>, spec: &AddrSpec) -> Result<(), RpcError> {
    let address = read(stage, spec)?;
    let standing = stage.tables().address(address.address).map(|standing| standing.port);
    if standing == Some(address.port) {
        stage.draft.del_address(address.address, address.port).map_err(refused)?;
    }
    stage.draft.add_address(address).map_err(refused)
}

/// Removes an address.
pub(super) fn del(stage: &mut Stage<'_>, addr: &AddrRef) -> Result<(), RpcError> {
    let wanted = address(addr.address, "address")?;
    let port = device(stage.tables(), &addr.device)?.id;
    let len = length(addr.address.is_ipv4(), addr.prefix_len);
    prefix(addr.address, len, "prefix_len")?;
    let stands = |standing: &LocalAddress| standing.port == port && standing.prefix.len() == len;
    if !stage.tables().address(wanted).is_some_and(stands) {
        let text = format!("no address {}/{len} on {}", addr.address, addr.device);
        return Err(error(ErrorCode::NoDest, text, "address"));
    }
    stage.draft.del_address(wanted, port).map_err(refused)
}

/// Removes all addresses of a port.
pub(super) fn flush(stage: &mut Stage<'_>, params: &DeviceRef) -> Result<(), RpcError> {
    let port = device(stage.tables(), &params.device)?.id;
    stage.draft.flush_addresses(port);
    Ok(())
}

/// 0 counts as the length of a host's prefix.
fn length(is_ipv4: bool, len: u8) -> u8 {
    match (len, is_ipv4) {
        (0, true) => 32,
        (0, false) => 128,
        _ => len,
    }
}

pub(super) fn read(stage: &Stage<'_>, spec: &AddrSpec) -> Result<LocalAddress, RpcError> {
    let now = stage.control.now();
    let until = |seconds: u32| (seconds > 0).then(|| now + u64::from(seconds) * 1000);
    let len = length(spec.address.is_ipv4(), spec.prefix_len);
    if spec.broadcast.is_some_and(|broadcast| !broadcast.is_ipv4() || !spec.address.is_ipv4()) {
        let text = "a broadcast address is IPv4, of an IPv4 address";
        return Err(error(ErrorCode::Invalid, text, "broadcast"));
    }
    Ok(LocalAddress {
        address: address(spec.address, "address")?,
        prefix: prefix(spec.address, len, "prefix_len")?,
        port: device(stage.tables(), &spec.device)?.id,
        broadcast: spec.broadcast,
        scope: scope(spec.scope),
        valid_until: until(spec.valid_lft),
        preferred_until: until(spec.preferred_lft),
        is_pool: spec.sapool,
        came_with_laddr: false,
    })
}

/// Lists addresses.
pub(super) fn list(control: &Control, filter: &DeviceFilter) -> Result<AddrList, RpcError> {
    let tables = control.tables();
    let wanted = Wanted::new(tables, filter)?;
    let pools = pools(tables);
    let now = control.now();
    let addrs = tables
        .addresses()
        .iter()
        .filter(|address| wanted.matches(address.port, address.address.family()))
        .map(|address| AddrInfo {
            addr: show(tables, now, address),
            pool: pools.get(&address.address).copied(),
        })
        .collect();
    Ok(AddrList { generation: tables.generation(), addrs })
}

pub(super) fn show(tables: &Tables, now: Millis, address: &LocalAddress) -> AddrSpec {
    // What is over is so for less than a second: 0 would say "for ever".
    let left = |until: Option<Millis>| {
        until.map_or(0, |until| {
            u32::try_from(until.since(now).div_ceil(1000)).unwrap_or(u32::MAX).max(1)
        })
    };
    AddrSpec {
        address: address.address.ip(),
        prefix_len: address.prefix.len(),
        device: device_name(tables, address.port),
        broadcast: address.broadcast,
        scope: wire_scope(address.scope),
        valid_lft: left(address.valid_until),
        preferred_lft: left(address.preferred_until),
        sapool: address.is_pool,
    }
}

/// How the local addresses of services are used, over all services.
fn pools(tables: &Tables) -> HashMap<Address, PoolUse> {
    let limits = &tables.limits;
    let ports = u64::from(limits.local_port_max.saturating_sub(limits.local_port_min)) + 1;
    let mut pools: HashMap<Address, PoolUse> = HashMap::new();
    for laddr in tables.services().flat_map(|service| &service.laddrs) {
        let usage = usage(laddr);
        let pool = pools.entry(laddr.address).or_default();
        pool.used += u64::from(usage.connections);
        pool.missed += usage.conflicts;
        pool.free = ports.saturating_sub(pool.used);
    }
    pools
}
