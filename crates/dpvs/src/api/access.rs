// SPDX-License-Identifier: MIT OR Apache-2.0
//! `blacklist.*` and `whitelist.*`.

use super::convert::{address, refused};
use super::keys::service_key;
use super::pages::{self, Page, Rows, Wanted};
use crate::control::{Control, Stage};
use dpvs_api::RpcError;
use dpvs_api::types::{AccessListParams, AccessPage, AccessSpec, ServiceClients};
use dpvs_core::key::Address;
use dpvs_core::tables::{AccessList, Service, Tables};
use std::sync::Arc;

/// What a client takes of a line at most.
const CLIENT_BYTES: usize = 50;

/// Puts a client on a list.
pub(super) fn add(
    stage: &mut Stage<'_>,
    list: AccessList,
    spec: &AccessSpec,
) -> Result<(), RpcError> {
    let key = service_key(stage.tables(), &spec.service)?;
    let client = address(spec.address, "address")?;
    stage.draft.add_access(&key, list, client).map_err(refused)
}

/// Takes a client off a list.
pub(super) fn del(
    stage: &mut Stage<'_>,
    list: AccessList,
    spec: &AccessSpec,
) -> Result<(), RpcError> {
    let key = service_key(stage.tables(), &spec.service)?;
    let client = address(spec.address, "address")?;
    stage.draft.del_access(&key, list, client).map_err(refused)
}

/// Lists a page of the clients on a list.
pub(super) fn list(
    control: &Control,
    listing: &mut Option<Arc<Tables>>,
    list: AccessList,
    params: &AccessListParams,
) -> Result<AccessPage, RpcError> {
    let AccessListParams { service, cursor, limit } = params;
    let wanted = Wanted { service: service.as_ref(), cursor: cursor.as_deref(), limit: *limit };
    let of = |_: &Tables, service: &Service| service.access.clients(list);
    let rows = Rows { of, bytes: CLIENT_BYTES, with_empty: false };
    let Page { generation, services, next } = pages::list(control, listing, wanted, &rows)?;
    let services = services.into_iter().map(|(service, clients)| ServiceClients {
        service,
        clients: clients.into_iter().map(Address::ip).collect(),
    });
    Ok(AccessPage { generation, services: services.collect(), next })
}
