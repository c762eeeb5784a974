// SPDX-License-Identifier: MIT OR Apache-2.0
//! `service.*`.

use super::attributes::{Shown, settings};
use super::convert::{error, refused, stats};
use super::keys::{service_key, wire_key};
use super::pages::{bad_cursor, read_cursor};
use super::{dests, echo, laddrs, written};
use crate::control::{Control, ObjectId, Stage};
use dpvs_api::types::{
    Service, ServiceListParams, ServicePage, ServiceRef, ServiceSelector, ServiceSpec, Written,
};
use dpvs_api::{ErrorCode, RpcError};
use dpvs_core::key::Address;
use dpvs_core::tables::{self, ServiceKey, Tables};
use std::sync::Arc;

/// Most services and real servers of a page.
const ROWS_MAX: u32 = 1000;
/// Greatest estimated length of a page, well below that of a line.
const PAGE_BYTES_MAX: usize = 900_000;
/// What a service, a real server and a local address take of it at most.
const SERVICE_BYTES: usize = 1400;
const DEST_BYTES: usize = 800;
const LADDR_BYTES: usize = 160;

/// Adds a service.
pub(super) fn add(stage: &mut Stage<'_>, spec: &ServiceSpec) -> Result<(), RpcError> {
    let key = service_key(stage.tables(), &spec.service)?;
    let settings = settings(spec, &key, None)?;
    let echo = echo::with_service(&key, spec)?;
    stage.draft.add_service(key, settings).map_err(refused)?;
    echo::set_with_service(stage, echo)
}

/// Makes a service so.
pub(super) fn replace(stage: &mut Stage<'_>, spec: &ServiceSpec) -> Result<(), RpcError> {
    let key = service_key(stage.tables(), &spec.service)?;
    let settings = settings(spec, &key, None)?;
    let echo = echo::with_service(&key, spec)?;
    if stage.tables().service(&key).is_some() {
        stage.draft.set_service(&key, settings).map_err(refused)?;
    } else {
        stage.draft.add_service(key, settings).map_err(refused)?;
    }
    echo::set_with_service(stage, echo)
}

/// Changes what is given.
pub(super) fn set(stage: &mut Stage<'_>, spec: &ServiceSpec) -> Result<(), RpcError> {
    let key = service_key(stage.tables(), &spec.service)?;
    let standing = find(stage.tables(), &key)?.settings;
    let settings = settings(spec, &key, Some(standing))?;
    let echo = echo::with_service(&key, spec)?;
    stage.draft.set_service(&key, settings).map_err(refused)?;
    echo::set_with_service(stage, echo)
}

/// Removes a service, and the addresses that came with it alone.
pub(super) fn del(stage: &mut Stage<'_>, service: &ServiceRef) -> Result<(), RpcError> {
    let key = service_key(stage.tables(), &service.service)?;
    let addresses: Vec<Address> =
        find(stage.tables(), &key)?.laddrs.iter().map(|laddr| laddr.address).collect();
    stage.draft.del_service(&key).map_err(refused)?;
    laddrs::clean_up(stage, addresses)
}

/// Removes all services.
pub(super) fn flush(stage: &mut Stage<'_>) -> Result<(), RpcError> {
    let came: Vec<Address> = stage
        .tables()
        .addresses()
        .iter()
        .filter(|address| address.came_with_laddr)
        .map(|address| address.address)
        .collect();
    stage.draft.flush_services();
    laddrs::clean_up(stage, came)
}

/// Finds a service.
pub(super) fn find<'a>(
    tables: &'a Tables,
    key: &ServiceKey,
) -> Result<&'a tables::Service, RpcError> {
    tables.service(key).ok_or_else(|| error(ErrorCode::NoService, "no such service", "service"))
}

/// Returns one service.
pub(crate) fn get(control: &Control, params: &ServiceRef) -> Result<Service, RpcError> {
    let tables = control.tables();
    let service = find(tables, &service_key(tables, &params.service)?)?;
    let mut whole = head(control, tables, service, true);
    whole.dests = service.dests.iter().rev().map(|d| dests::show(control, service, d)).collect();
    Ok(whole)
}

/// Zeroes counters, with those of the real servers.
pub(super) fn zero(control: &mut Control, params: &ServiceSelector) -> Result<Written, RpcError> {
    let tables = Arc::clone(control.tables());
    let mut zero_one = |service: &tables::Service| {
        service.counters.zero();
        for dest in &service.dests {
            dest.shared.zero();
        }
        control.rates_mut().forget(service);
    };
    match &params.service {
        Some(key) => zero_one(find(&tables, &service_key(&tables, key)?)?),
        None => tables.services().for_each(|service| zero_one(service)),
    }
    Ok(written(tables.generation()))
}

/// A service without its real servers.
fn head(control: &Control, tables: &Tables, service: &tables::Service, is_first: bool) -> Service {
    let shown = Shown::of(service);
    Service {
        service: wire_key(tables, &service.key),
        scheduler: service.settings.scheduler.name().to_owned(),
        scheduler_flags: shown.scheduler_flags,
        persistent: shown.persistent,
        netmask: shown.netmask,
        prefix_len: shown.prefix_len,
        persistence_engine: String::new(),
        one_packet: service.settings.one_packet,
        synproxy: false,
        expire_quiescent: service.settings.expire_quiescent,
        quic: false,
        conn_timeout: service.settings.conn_timeout_ms / 1000,
        proxy_protocol: String::new(),
        hash_target: shown.hash_target,
        dest_check: String::new(),
        icmp_echo: echo::of_service(tables, &service.key),
        stats: stats(service.counters.traffic()),
        rates: control.rates().of(ObjectId::service(service.id)),
        laddrs: if is_first { laddrs::of(tables, service) } else { Vec::new() },
        dests: Vec::new(),
    }
}

/// Where a listing goes on.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    /// Services that have been listed whole.
    services: usize,
    /// Whether the next one has been begun.
    is_begun: bool,
    /// How many of its real servers have been listed.
    dests: usize,
}

/// Lists a page of services.
pub(super) fn list(
    control: &Control,
    listing: &mut Option<Arc<Tables>>,
    params: &ServiceListParams,
) -> Result<ServicePage, RpcError> {
    let limit = page_limit(params.limit, ROWS_MAX)?;
    let (tables, from) = match &params.cursor {
        None => (Arc::clone(control.tables()), Position::default()),
        Some(cursor) => resume(control, listing.take(), cursor)?,
    };
    let only = match &params.service {
        None => None,
        Some(key) => Some(find(&tables, &service_key(&tables, key)?)?),
    };
    let mut page = Page { left: limit, bytes: 0, services: Vec::new() };
    let next = match only {
        Some(service) => page.fill(control, &tables, std::iter::once(service), from),
        None => page.fill(control, &tables, tables.services().map(Arc::as_ref), from),
    };
    let generation = tables.generation();
    let next = next
        .map(|at| format!("{generation}:{}:{}:{}", at.services, u8::from(at.is_begun), at.dests));
    let conn_table_size = super::system::conn_table_size(control);
    *listing = next.is_some().then(|| Arc::clone(&tables));
    Ok(ServicePage { generation, conn_table_size, services: page.services, next })
}

/// Reads the limit of a page.
pub(super) fn page_limit(limit: Option<u32>, max: u32) -> Result<usize, RpcError> {
    let limit = limit.unwrap_or(max);
    if limit == 0 || limit > max {
        let text = format!("the limit of a page is 1 to {max}");
        return Err(error(ErrorCode::Range, text, "limit"));
    }
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Reads a cursor and finds the snapshot that it belongs to.
fn resume(
    control: &Control,
    listing: Option<Arc<Tables>>,
    cursor: &str,
) -> Result<(Arc<Tables>, Position), RpcError> {
    let (generation, [services, begun @ (0 | 1), dests]) = read_cursor(cursor)? else {
        return Err(bad_cursor());
    };
    let tables = snapshot(control, listing, generation)?;
    Ok((tables, Position { services, is_begun: begun == 1, dests }))
}

/// Finds the snapshot that a listing goes over: the one that was kept, or the current one.
pub(super) fn snapshot(
    control: &Control,
    listing: Option<Arc<Tables>>,
    generation: u64,
) -> Result<Arc<Tables>, RpcError> {
    let is_it = |tables: &Arc<Tables>| tables.generation() == generation;
    listing.filter(is_it).or_else(|| Some(Arc::clone(control.tables())).filter(is_it)).ok_or_else(
        || {
            let text = "the listing's snapshot is gone: begin again without a cursor";
            error(ErrorCode::Conflict, text, "cursor")
        },
    )
}

struct Page {
    /// Rows that may still be added.
    left: usize,
    /// Estimated length so far.
    bytes: usize,
    services: Vec<Service>,
}

impl Page {
    fn fill<'a>(
        &mut self,
        control: &Control,
        tables: &Tables,
        services: impl Iterator<Item = &'a tables::Service>,
        from: Position,
    ) -> Option<Position> {
        let mut at = from;
        for service in services.skip(from.services) {
            let is_first = !at.is_begun;
            let laddr_bytes = if is_first { service.laddrs.len() * LADDR_BYTES } else { 0 };
            let room = PAGE_BYTES_MAX.saturating_sub(self.bytes);
            let is_full = self.left == 0 || room < SERVICE_BYTES + DEST_BYTES + laddr_bytes;
            if is_full && !self.services.is_empty() {
                return Some(at);
            }
            // The rest of a service that was split is no new row.
            self.left = self.left.saturating_sub(usize::from(is_first));
            self.bytes += SERVICE_BYTES + laddr_bytes;
            let mut shown = head(control, tables, service, is_first);
            let room = PAGE_BYTES_MAX.saturating_sub(self.bytes) / DEST_BYTES;
            let some = service.dests.iter().rev().skip(at.dests).take(self.left.min(room));
            shown.dests.extend(some.map(|dest| dests::show(control, service, dest)));
            self.left -= shown.dests.len();
            self.bytes += shown.dests.len() * DEST_BYTES;
            at.dests += shown.dests.len();
            self.services.push(shown);
            if at.dests < service.dests.len() {
                return Some(Position { is_begun: true, ..at });
            }
            at = Position { services: at.services + 1, is_begun: false, dests: 0 };
        }
        None
    }
}
