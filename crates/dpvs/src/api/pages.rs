// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages of rows that belong to services: clients on lists, local addresses.

use super::convert::error;
use super::keys::{service_key, wire_key};
use super::services::{find, page_limit, snapshot};
use crate::control::Control;
use dpvs_api::types::ServiceKey;
use dpvs_api::{ErrorCode, RpcError};
use dpvs_core::tables::{Service, Tables};
use std::sync::Arc;

/// Most rows of a page.
const ROWS_MAX: u32 = 10_000;
/// Greatest estimated length of a page, well below that of a line.
const PAGE_BYTES_MAX: usize = 900_000;
/// What a service takes of it at most, without its rows.
const SERVICE_BYTES: usize = 500;

/// Where a listing goes on: services that have been listed whole, and rows of the next one.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    services: usize,
    rows: usize,
}

/// Which page is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// Only rows of this service.
    pub(super) service: Option<&'a ServiceKey>,
    /// The `next` of the page before.
    pub(super) cursor: Option<&'a str>,
    /// Most rows.
    pub(super) limit: Option<u32>,
}

/// How the rows of a service are listed.
pub(super) struct Rows<F> {
    /// Returns them.
    pub(super) of: F,
    /// What a row takes of a line at most.
    pub(super) bytes: usize,
    /// Whether services are listed that have none.
    pub(super) with_empty: bool,
}

/// One page: services with rows, as many as there is room for.
pub(super) struct Page<R> {
    /// The snapshot's generation.
    pub(super) generation: u64,
    /// Services; one that is split goes on as the first of the next page.
    pub(super) services: Vec<(ServiceKey, Vec<R>)>,
    /// The cursor of the next page.
    pub(super) next: Option<String>,
}

/// Lists a page. The snapshot is kept in `listing` until the last.
pub(super) fn list<R>(
    control: &Control,
    listing: &mut Option<Arc<Tables>>,
    wanted: Wanted<'_>,
    rows: &Rows<impl Fn(&Tables, &Service) -> Vec<R>>,
) -> Result<Page<R>, RpcError> {
    let limit = page_limit(wanted.limit, ROWS_MAX)?;
    let (tables, from) = match wanted.cursor {
        None => (Arc::clone(control.tables()), Position::default()),
        Some(cursor) => {
            let (generation, [services, rows]) = read_cursor(cursor)?;
            let position = Position { services, rows };
            (snapshot(control, listing.take(), generation)?, position)
        }
    };
    let mut page = Filling { left: limit, bytes: 0, services: Vec::new() };
    let next = match wanted.service {
        Some(key) => {
            let service = find(&tables, &service_key(&tables, key)?)?;
            page.fill(&tables, std::iter::once(service), from, rows)
        }
        None => page.fill(&tables, tables.services().map(Arc::as_ref), from, rows),
    };
    let generation = tables.generation();
    let next = next.map(|at| format!("{generation}:{}:{}", at.services, at.rows));
    *listing = next.is_some().then(|| Arc::clone(&tables));
    Ok(Page { generation, services: page.services, next })
}

/// Reads a cursor: the generation of its snapshot, and where the page begins.
pub(super) fn read_cursor<const N: usize>(cursor: &str) -> Result<(u64, [usize; N]), RpcError> {
    let read = || {
        let (generation, rest) = cursor.split_once(':')?;
        let numbers: Option<Vec<usize>> = rest.split(':').map(|part| part.parse().ok()).collect();
        Some((generation.parse().ok()?, numbers?.try_into().ok()?))
    };
    read().ok_or_else(bad_cursor)
}

/// Refuses what is no cursor.
pub(super) fn bad_cursor() -> RpcError {
    error(ErrorCode::Invalid, "not the cursor of a page", "cursor")
}

struct Filling<R> {
    /// Rows that may still be added.
    left: usize,
    /// Estimated length so far.
    bytes: usize,
    services: Vec<(ServiceKey, Vec<R>)>,
}

impl<R> Filling<R> {
    fn fill<'a>(
        &mut self,
        tables: &Tables,
        services: impl Iterator<Item = &'a Service>,
        from: Position,
        rows: &Rows<impl Fn(&Tables, &Service) -> Vec<R>>,
    ) -> Option<Position> {
        let mut at = from;
        for service in services.skip(from.services) {
            let all = (rows.of)(tables, service);
            let count = all.len();
            if count > 0 || rows.with_empty {
                let Some(room) = PAGE_BYTES_MAX.checked_sub(self.bytes + SERVICE_BYTES) else {
                    return Some(at);
                };
                let room = self.left.min(room / rows.bytes);
                let some: Vec<R> = all.into_iter().skip(at.rows).take(room).collect();
                let is_whole = at.rows + some.len() >= count;
                if is_whole || !some.is_empty() {
                    self.left -= some.len();
                    self.bytes += SERVICE_BYTES + some.len() * rows.bytes;
                    at.rows += some.len();
                    self.services.push((wire_key(tables, &service.key), some));
                }
                if !is_whole {
                    return Some(at);
                }
            }
            at = Position { services: at.services + 1, rows: 0 };
        }
        None
    }
}
