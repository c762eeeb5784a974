// SPDX-License-Identifier: MIT OR Apache-2.0
//! `blacklist.*` and `whitelist.*`.

use super::convert::{address, error, refused};
use super::keys::{service_key, wire_key};
use super::services::{find, page_limit, snapshot};
use crate::control::{Control, Stage};
use dpvs_api::types::{AccessListParams, AccessPage, AccessSpec, ServiceClients};
use dpvs_api::{ErrorCode, RpcError};
use dpvs_core::tables::{AccessList, Service, Tables};
use std::sync::Arc;

/// Most clients of a page.
const ROWS_MAX: u32 = 10_000;
/// Greatest estimated length of a page, well below that of a line.
const PAGE_BYTES_MAX: usize = 900_000;
/// What a service and a client take of it at most.
const SERVICE_BYTES: usize = 500;
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

/// Where a listing goes on: services that have been listed whole, and clients of the next one.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    services: usize,
    clients: usize,
}

/// Lists a page of the clients on a list.
pub(super) fn list(
    control: &Control,
    listing: &mut Option<Arc<Tables>>,
    list: AccessList,
    params: &AccessListParams,
) -> Result<AccessPage, RpcError> {
    let limit = page_limit(params.limit, ROWS_MAX)?;
    let (tables, from) = match &params.cursor {
        None => (Arc::clone(control.tables()), Position::default()),
        Some(cursor) => {
            let (generation, position) = read_cursor(cursor)
                .ok_or_else(|| error(ErrorCode::Invalid, "not the cursor of a page", "cursor"))?;
            (snapshot(control, listing.take(), generation)?, position)
        }
    };
    let mut page = Page { list, left: limit, bytes: 0, services: Vec::new() };
    let next = match &params.service {
        Some(key) => {
            let service = find(&tables, &service_key(&tables, key)?)?;
            page.fill(&tables, std::iter::once(service), from)
        }
        None => page.fill(&tables, tables.services().map(Arc::as_ref), from),
    };
    let generation = tables.generation();
    let next = next.map(|at| format!("{generation}:{}:{}", at.services, at.clients));
    *listing = next.is_some().then(|| Arc::clone(&tables));
    Ok(AccessPage { generation, services: page.services, next })
}

fn read_cursor(cursor: &str) -> Option<(u64, Position)> {
    let (generation, rest) = cursor.split_once(':')?;
    let (services, clients) = rest.split_once(':')?;
    let position = Position { services: services.parse().ok()?, clients: clients.parse().ok()? };
    Some((generation.parse().ok()?, position))
}

struct Page {
    list: AccessList,
    /// Clients that may still be added.
    left: usize,
    /// Estimated length so far.
    bytes: usize,
    services: Vec<ServiceClients>,
}

impl Page {
    fn fill<'a>(
        &mut self,
        tables: &Tables,
        services: impl Iterator<Item = &'a Service>,
        from: Position,
    ) -> Option<Position> {
        let mut at = from;
        for service in services.skip(from.services) {
            let clients = service.access.clients(self.list);
            if !clients.is_empty() {
                let used = self.bytes + SERVICE_BYTES;
                let room = PAGE_BYTES_MAX.saturating_sub(used) / CLIENT_BYTES;
                let some: Vec<_> = clients
                    .iter()
                    .skip(at.clients)
                    .take(self.left.min(room))
                    .map(|client| client.ip())
                    .collect();
                if !some.is_empty() {
                    self.left -= some.len();
                    self.bytes = used + some.len() * CLIENT_BYTES;
                    at.clients += some.len();
                    let service = wire_key(tables, &service.key);
                    self.services.push(ServiceClients { service, clients: some });
                }
                if at.clients < clients.len() {
                    return Some(at);
                }
            }
            at = Position { services: at.services + 1, clients: 0 };
        }
        None
    }
}
