// SPDX-License-Identifier: MIT OR Apache-2.0
//! `laddr.*`.
//!
//! A local address must be answered for, so `laddr.add` brings it to the port where it is missing;
//! it goes again with the last service that uses it.

use super::convert::{address, device, device_name, error, prefix, refused};
use super::keys::service_key;
use super::pages::{self, Page, Rows, Wanted};
use super::services::find;
use crate::control::{Control, Stage};
use dpvs_api::types::{Laddr, LaddrList, LaddrListParams, LaddrSpec, ServiceLaddrs};
use dpvs_api::{ErrorCode, RpcError};
use dpvs_core::key::Address;
use dpvs_core::tables::{LocalAddress, Scope, Service, Tables};
use std::sync::Arc;

/// What a local address takes of a line at most.
const LADDR_BYTES: usize = 160;

/// Adds a local address to a service, and to the port.
pub(super) fn add(stage: &mut Stage<'_>, spec: &LaddrSpec) -> Result<(), RpcError> {
    let key = service_key(stage.tables(), &spec.service)?;
    let address = address(spec.address, "address")?;
    let port = device(stage.tables(), &spec.device)?.id;
    find(stage.tables(), &key)?;
    if address.family() != key.family() {
        let text = "a local address of the other address family: translation between them is \
                    not offered";
        return Err(error(ErrorCode::NotSupported, text, "address"));
    }
    let standing = stage.tables().address(address).map(|standing| standing.port);
    if let Some(other) = standing.filter(|other| *other != port) {
        let text = format!("the address stands on {}", device_name(stage.tables(), other));
        return Err(error(ErrorCode::Invalid, text, "device"));
    }
    let prefix = prefix(spec.address, address.family().bits(), "address")?;
    // First, so that a refused write brings no address to the port.
    stage.draft.add_laddr(&key, address, port).map_err(refused)?;
    if standing.is_some() {
        return Ok(());
    }
    let host = LocalAddress {
        address,
        prefix,
        port,
        broadcast: None,
        scope: Scope::Global,
        valid_until: None,
        preferred_until: None,
        is_pool: true,
        came_with_laddr: true,
    };
    stage.draft.add_address(host).map_err(refused)
}

/// Removes a local address from a service, and from the port if it came so.
pub(super) fn del(stage: &mut Stage<'_>, spec: &LaddrSpec) -> Result<(), RpcError> {
    let key = service_key(stage.tables(), &spec.service)?;
    let address = address(spec.address, "address")?;
    let port = device(stage.tables(), &spec.device)?.id;
    let laddrs = &find(stage.tables(), &key)?.laddrs;
    if !laddrs.iter().any(|laddr| laddr.address == address && laddr.port == port) {
        return Err(error(ErrorCode::NoDest, "no such local address", "address"));
    }
    stage.draft.del_laddr(&key, address).map_err(refused)?;
    clean_up(stage, vec![address])
}

/// Removes addresses that came with local addresses and that no service uses any more.
pub(super) fn clean_up(stage: &mut Stage<'_>, addresses: Vec<Address>) -> Result<(), RpcError> {
    for address in addresses {
        let port = match stage.tables().address(address) {
            Some(standing) if standing.came_with_laddr => standing.port,
            _ => continue,
        };
        // `Tables::is_laddr` also knows addresses that connections may still use.
        let has = |service: &Arc<Service>| service.laddrs.iter().any(|l| l.address == address);
        if !stage.tables().services().any(has) {
            stage.draft.del_address(address, port).map_err(refused)?;
        }
    }
    Ok(())
}

/// Lists a page of the local addresses of one service or of all.
pub(super) fn list(
    control: &Control,
    listing: &mut Option<Arc<Tables>>,
    params: &LaddrListParams,
) -> Result<LaddrList, RpcError> {
    let LaddrListParams { service, cursor, limit } = params;
    let wanted = Wanted { service: service.as_ref(), cursor: cursor.as_deref(), limit: *limit };
    let rows = Rows { of, bytes: LADDR_BYTES, with_empty: true };
    let Page { generation, services, next } = pages::list(control, listing, wanted, &rows)?;
    let services =
        services.into_iter().map(|(service, laddrs)| ServiceLaddrs { service, laddrs }).collect();
    Ok(LaddrList { generation, services, next })
}

/// The local addresses of a service.
pub(super) fn of(tables: &Tables, service: &Service) -> Vec<Laddr> {
    let show = |laddr: &dpvs_core::tables::Laddr| {
        let use_ = usage(laddr);
        Laddr {
            address: laddr.address.ip(),
            device: device_name(tables, laddr.port),
            conflicts: use_.conflicts,
            connections: use_.connections,
        }
    };
    service.laddrs.iter().map(show).collect()
}

/// How a local address of a service is used, over all workers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Connections that use it.
    pub(super) connections: u32,
    /// How often no port or identifier was found.
    pub(super) conflicts: u64,
}

/// Sums up how a local address is used.
pub(super) fn usage(laddr: &dpvs_core::tables::Laddr) -> Usage {
    laddr.counters.parts().fold(Usage::default(), |sum, part| Usage {
        connections: sum.connections.saturating_add(part.connections.get()),
        conflicts: sum.conflicts.wrapping_add(part.conflicts.get()),
    })
}
