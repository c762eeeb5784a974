// SPDX-License-Identifier: MIT OR Apache-2.0
//! `conn.*` and `timeout.*`.

use super::convert::{error, prefix, protocol, wire_endpoint, wire_forward, wire_protocol};
use super::keys::service_key;
use super::pages::bad_cursor;
use super::services::{find, page_limit};
use super::written;
use crate::control::{Control, Stage};
use dpvs_api::types::{
    ConnListParams, ConnPage, Connection, TimeoutSpec, Timeouts as WireTimeouts, Written,
};
use dpvs_api::{ErrorCode, RpcError};
use dpvs_core::conn::State;
use dpvs_core::net::{Family, Prefix};
use dpvs_core::tables::{Forward, Tables, Timeouts};
use dpvs_core::worker::{ConnFilter, ConnInfo, ConnQuery};
use dpvs_core::{Command, Event};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Most connections of a page.
const ROWS_MAX: u32 = 1000;
/// How long one page may take: a worker looks at some hundred places of its table at a time, and
/// other clients wait meanwhile. The next page goes on from there.
const PAGE_TIME: Duration = Duration::from_millis(20);

/// Where a listing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    worker: usize,
    position: u32,
}

/// Lists a page of connections.
pub(crate) fn list(control: &mut Control, params: &ConnListParams) -> Result<ConnPage, RpcError> {
    let limit = page_limit(params.limit, ROWS_MAX)?;
    let filter = filter(control.tables(), params)?;
    let workers = worker_range(params.worker, control.workers().len())?;
    let mut cursor = match &params.cursor {
        None => Cursor { worker: workers.start, position: 0 },
        Some(text) => read_cursor(text, &workers)?,
    };
    let end = Instant::now() + PAGE_TIME;
    let mut connections = Vec::new();
    while workers.contains(&cursor.worker) && connections.len() < limit {
        let mut piece = Vec::new();
        piece.reserve_exact(limit - connections.len());
        let query =
            ConnQuery { filter, position: cursor.position, connections: piece, is_done: false };
        let event = control.ask(cursor.worker, Command::List(Box::new(query)))?;
        let Event::Listed(found) = event else {
            return Err(RpcError::new(ErrorCode::Internal, "a worker answers out of turn"));
        };
        connections.extend(found.connections.iter().map(|info| show(cursor.worker, info)));
        cursor = if found.is_done {
            Cursor { worker: cursor.worker + 1, position: 0 }
        } else {
            Cursor { position: found.position, ..cursor }
        };
        if Instant::now() >= end {
            break;
        }
    }
    let is_over = !workers.contains(&cursor.worker);
    let next = (!is_over).then(|| format!("{}:{}", cursor.worker, cursor.position));
    Ok(ConnPage { connections, next })
}

fn filter(tables: &Tables, params: &ConnListParams) -> Result<ConnFilter, RpcError> {
    let service = match &params.service {
        Some(key) => Some(find(tables, &service_key(tables, key)?)?.id),
        None => None,
    };
    let client = params.client.as_deref().map(read_prefix).transpose()?;
    Ok(ConnFilter { service, protocol: params.protocol.map(protocol), client })
}

/// Reads `ADDR/LEN` or `ADDR`.
fn read_prefix(text: &str) -> Result<Prefix, RpcError> {
    let bad = || {
        let text = format!("{text:?} is not a prefix, ADDRESS/LENGTH or ADDRESS");
        error(ErrorCode::Invalid, text, "client")
    };
    let (ip, len) = match text.split_once('/') {
        Some((ip, len)) => (ip, Some(len)),
        None => (text, None),
    };
    let ip: IpAddr = ip.parse().map_err(|_| bad())?;
    let len = match len {
        Some(len) => len.parse().map_err(|_| bad())?,
        None => Family::of(ip).bits(),
    };
    prefix(ip, len, "client")
}

/// Returns the workers that are meant: one, or all.
pub(super) fn worker_range(
    worker: Option<u32>,
    len: usize,
) -> Result<std::ops::Range<usize>, RpcError> {
    let Some(worker) = worker else { return Ok(0..len) };
    match usize::try_from(worker) {
        Ok(at) if at < len => Ok(at..at + 1),
        _ => {
            let text = format!("there are {len} workers, counted from 0");
            Err(error(ErrorCode::Range, text, "worker"))
        }
    }
}

fn read_cursor(text: &str, workers: &std::ops::Range<usize>) -> Result<Cursor, RpcError> {
    text.split_once(':')
        .and_then(|(worker, position)| {
            Some(Cursor { worker: worker.parse().ok()?, position: position.parse().ok()? })
        })
        .filter(|cursor| workers.contains(&cursor.worker))
        .ok_or_else(bad_cursor)
}

fn show(worker: usize, info: &ConnInfo) -> Connection {
    let conn = &info.conn;
    let is_template = matches!(conn.state, State::Template { .. });
    // Elsewhere what the server answers to is the client itself.
    let has_local = !is_template && matches!(conn.forward, Forward::FullNat | Forward::Snat);
    Connection {
        worker: u32::try_from(worker).unwrap_or(u32::MAX),
        protocol: wire_protocol(conn.protocol()),
        state: conn.state.name().to_owned(),
        expires: u32::try_from(info.expires_ms.div_ceil(1000)).unwrap_or(u32::MAX),
        client: wire_endpoint(conn.client()),
        virtual_: wire_endpoint(conn.virtual_()),
        local: has_local.then(|| wire_endpoint(conn.local())),
        dest: wire_endpoint(conn.dest_end()),
        in_packets: conn.in_packets,
        out_packets: conn.out_packets,
        template: is_template,
        forward: wire_forward(conn.forward),
    }
}

/// Ends all connections.
pub(super) fn flush(control: &mut Control) -> Result<Written, RpcError> {
    control.flush_connections()?;
    Ok(written(control.tables().generation()))
}

/// Returns the timeouts.
pub(crate) fn timeouts(tables: &Tables) -> WireTimeouts {
    let Timeouts { tcp_ms, tcp_fin_ms, udp_ms, icmp_ms } = tables.timeouts;
    WireTimeouts {
        tcp: tcp_ms / 1000,
        tcp_fin: tcp_fin_ms / 1000,
        udp: udp_ms / 1000,
        icmp: icmp_ms / 1000,
    }
}

/// Changes the given timeouts.
pub(super) fn set_timeouts(stage: &mut Stage<'_>, spec: &TimeoutSpec) -> Result<(), RpcError> {
    let mut timeouts = stage.tables().timeouts;
    let icmp_min = Timeouts::ICMP_SECONDS_MIN;
    let rows = [
        (spec.tcp, 1, "tcp", &mut timeouts.tcp_ms),
        (spec.tcp_fin, 1, "tcp_fin", &mut timeouts.tcp_fin_ms),
        (spec.udp, 1, "udp", &mut timeouts.udp_ms),
        (spec.icmp, icmp_min, "icmp", &mut timeouts.icmp_ms),
    ];
    for (seconds, min, path, place) in rows {
        let Some(seconds) = seconds.filter(|seconds| *seconds > 0) else { continue };
        let max = Timeouts::SECONDS_MAX;
        if !(min..=max).contains(&seconds) {
            let text = format!("the timeout {path} is {min} to {max} s");
            return Err(error(ErrorCode::Range, text, path));
        }
        *place = seconds.saturating_mul(1000);
    }
    stage.draft.tables_mut().timeouts = timeouts;
    Ok(())
}
