// SPDX-License-Identifier: MIT OR Apache-2.0
//! The methods of the API, carried out on the control state. One file per object.
//!
//! A write changes a `Stage`; whether it stands alone, in a transaction or among others of a batch,
//! the stage is committed once, so a write is there whole or not at all.

mod access;
mod addrs;
mod attributes;
mod config;
mod conns;
mod convert;
mod dests;
mod echo;
mod icmp;
mod keys;
mod laddrs;
mod links;
mod neighs;
mod pages;
mod routes;
mod services;
mod system;
mod transaction;

pub(crate) use echo::set as set_echo;

use crate::control::{Control, Paused, Stage};
use dpvs_api::types::{ConfigSpec, Empty, ServiceKey, ServiceListParams, ServicePage, Written};
use dpvs_api::{Call, ErrorCode, RpcError};
use dpvs_core::tables::{AccessList, Tables};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;

// Replies as they are, for the door whose clients do not speak JSON.
pub(crate) use conns::{list as list_conns, timeouts as get_timeouts};
pub(crate) use dests::method_of;
pub(crate) use services::get as get_service;
pub(crate) use system::info as system_info;

/// What a method answers, as it goes out.
pub(crate) type Reply = Box<RawValue>;

/// What is kept for a client between its requests.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// The snapshot that a listing by pages goes over, until its last page.
    listing: Option<Arc<Tables>>,
    /// The transaction of which more is to come.
    transaction: Option<Paused>,
    /// The configuration of which more is to come.
    config: Option<ConfigSpec>,
}

/// Carries out a call. Whether the caller may do so has been checked.
///
/// # Errors
/// Why it was refused.
pub(crate) fn call(
    control: &mut Control,
    session: &mut Session,
    call: Call,
) -> Result<Reply, RpcError> {
    match call {
        Call::ServiceGet(params) => reply(services::get(control, &params)),
        Call::ServiceList(params) => reply(services::list(control, &mut session.listing, &params)),
        Call::ServiceZero(params) => reply(services::zero(control, &params)),
        Call::LaddrList(params) => reply(laddrs::list(control, &mut session.listing, &params)),
        Call::BlacklistList(params) => {
            reply(access::list(control, &mut session.listing, AccessList::Black, &params))
        }
        Call::WhitelistList(params) => {
            reply(access::list(control, &mut session.listing, AccessList::White, &params))
        }
        Call::EchoList(Empty {}) => reply(Ok(echo::list(control))),
        Call::ConnList(params) => reply(conns::list(control, &params)),
        Call::ConnFlush(Empty {}) => reply(conns::flush(control)),
        Call::TimeoutGet(Empty {}) => reply(Ok(conns::timeouts(control.tables()))),
        Call::AddrList(params) => reply(addrs::list(control, &params)),
        Call::RouteList(params) => reply(routes::list(control, &params)),
        Call::NeighList(params) => reply(neighs::list(control, &params)),
        Call::LinkList(params) => reply(links::list(control, &params)),
        Call::DropList(Empty {}) => reply(Ok(system::drops(control))),
        Call::StatsGet(Empty {}) => reply(Ok(system::stats(control))),
        Call::IcmpGet(Empty {}) => reply(Ok(icmp::status(control))),
        Call::IcmpServers(params) => reply(icmp::servers(control, params)),
        Call::IcmpDecisions(params) => reply(icmp::decisions(control, &params)),
        Call::SystemInfo(Empty {}) => reply(Ok(system::info(control))),
        Call::SystemPing(Empty {}) => reply(system::ping(control)),
        Call::SystemDescribe(Empty {}) => reply(Ok(dpvs_api::describe())),
        Call::SystemShutdown(Empty {}) => {
            control.end();
            reply(Ok(Empty {}))
        }
        Call::ConfigApply(params) => reply(config::apply(control, session, params)),
        Call::ConfigGet(params) => reply(config::get(control, &mut session.listing, &params)),
        Call::Transaction(params) => reply(transaction::run(control, session, params)),
        single => {
            let mut stage = control.stage();
            write(&mut stage, single)?;
            let generation = stage.commit().map_err(|(_, error)| error)?;
            written_reply(generation)
        }
    }
}

/// Returns whether a write may share a stage with writes that stand or fall without it: it changes
/// the draft all or, refusing, nothing, and asks nothing of ports and workers.
///
/// What services are made of is written by the thousand; the rest can be carried out alone.
pub(crate) fn shares_stage(call: &Call) -> bool {
    matches!(
        call,
        Call::ServiceAdd(_)
            | Call::ServiceReplace(_)
            | Call::ServiceSet(_)
            | Call::ServiceDel(_)
            | Call::ServiceFlush(_)
            | Call::DestAdd(_)
            | Call::DestReplace(_)
            | Call::DestSet(_)
            | Call::DestDel(_)
            | Call::LaddrAdd(_)
            | Call::LaddrDel(_)
            | Call::BlacklistAdd(_)
            | Call::BlacklistDel(_)
            | Call::WhitelistAdd(_)
            | Call::WhitelistDel(_)
            | Call::EchoSet(_)
            | Call::EchoDel(_)
    )
}

/// Puts one write on a stage.
pub(crate) fn write(stage: &mut Stage<'_>, call: Call) -> Result<(), RpcError> {
    match call {
        Call::ServiceAdd(spec) => services::add(stage, &spec),
        Call::ServiceReplace(spec) => services::replace(stage, &spec),
        Call::ServiceSet(spec) => services::set(stage, &spec),
        Call::ServiceDel(service) => services::del(stage, &service),
        Call::ServiceFlush(Empty {}) => services::flush(stage),
        Call::DestAdd(spec) => dests::add(stage, &spec),
        Call::DestReplace(spec) => dests::replace(stage, &spec),
        Call::DestSet(spec) => dests::set(stage, &spec),
        Call::DestDel(dest) => dests::del(stage, &dest),
        Call::LaddrAdd(spec) => laddrs::add(stage, &spec),
        Call::LaddrDel(spec) => laddrs::del(stage, &spec),
        Call::BlacklistAdd(spec) => access::add(stage, AccessList::Black, &spec),
        Call::BlacklistDel(spec) => access::del(stage, AccessList::Black, &spec),
        Call::WhitelistAdd(spec) => access::add(stage, AccessList::White, &spec),
        Call::WhitelistDel(spec) => access::del(stage, AccessList::White, &spec),
        Call::EchoSet(spec) => echo::set(&mut stage.draft, &spec),
        Call::EchoDel(echo) => echo::del(stage, &echo),
        Call::TimeoutSet(spec) => conns::set_timeouts(stage, &spec),
        Call::AddrAdd(spec) => addrs::add(stage, &spec),
        Call::AddrReplace(spec) => addrs::replace(stage, &spec),
        Call::AddrDel(addr) => addrs::del(stage, &addr),
        Call::AddrFlush(device) => addrs::flush(stage, &device),
        Call::RouteAdd(spec) => routes::add(stage, &spec),
        Call::RouteReplace(spec) => routes::replace(stage, &spec),
        Call::RouteDel(spec) => routes::del(stage, &spec),
        Call::RouteFlush(device) => routes::flush(stage, &device),
        Call::NeighAdd(spec) => neighs::add(stage, &spec),
        Call::NeighReplace(spec) => neighs::replace(stage, &spec),
        Call::NeighDel(neigh) => neighs::del(stage, &neigh),
        Call::LinkSet(spec) => links::set(stage, &spec),
        other => Err(RpcError::new(
            ErrorCode::Invalid,
            format!("{} is not a write of the configuration", other.name()),
        )
        .at("method")),
    }
}

/// Lists a page of services, going on with the snapshot that the client has begun.
pub(crate) fn list_services(
    control: &Control,
    session: &mut Session,
    params: &ServiceListParams,
) -> Result<ServicePage, RpcError> {
    services::list(control, &mut session.listing, params)
}

/// Returns the keys of all services.
pub(crate) fn service_keys(tables: &Tables) -> Vec<ServiceKey> {
    tables.services().map(|service| keys::wire_key(tables, &service.key)).collect()
}

fn written(generation: u64) -> Written {
    Written { generation }
}

/// The reply of a write.
pub(crate) fn written_reply(generation: u64) -> Result<Reply, RpcError> {
    reply(Ok(written(generation)))
}

fn reply<T: Serialize>(outcome: Result<T, RpcError>) -> Result<Reply, RpcError> {
    to_raw_value(&outcome?)
        .map_err(|error| RpcError::new(ErrorCode::Internal, format!("cannot answer: {error}")))
}
