// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a command line asks of the daemon, in the API's own types.

use dpvs_api::types::{
    AddrRef, AddrSpec, DeviceFilter, DeviceRef, EchoRef, EchoSpec, Family, IcmpDecisionsParams,
    IcmpServersParams, LinkSpec, NeighRef, NeighSpec, RouteSpec,
};
use std::path::PathBuf;

/// One request. What prints and how is in [`Options`](crate::Options).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `addr show`.
    AddrShow(DeviceFilter),
    /// `addr add`: refuses an address that stands.
    AddrAdd(AddrSpec),
    /// `addr replace`: whatever stands.
    AddrReplace(AddrSpec),
    /// `addr set`: refuses an address that does not stand.
    AddrSet(AddrSpec),
    /// `addr del`.
    AddrDel(AddrRef),
    /// `addr flush`, of one family if the filter has one.
    AddrFlush(DeviceFilter),
    /// `route show`.
    RouteShow(DeviceFilter),
    /// `route add`: refuses a route that stands.
    RouteAdd(RouteSpec),
    /// `route replace`: whatever stands.
    RouteReplace(RouteSpec),
    /// `route set`: refuses a prefix without a route.
    RouteSet(RouteSpec),
    /// `route del`.
    RouteDel(RouteSpec),
    /// `route flush`.
    RouteFlush(DeviceRef),
    /// `neigh show`.
    NeighShow(DeviceFilter),
    /// `neigh add`: refuses a neighbour that stands.
    NeighAdd(NeighSpec),
    /// `neigh replace`: whatever stands.
    NeighReplace(NeighSpec),
    /// `neigh del`.
    NeighDel(NeighRef),
    /// `link show`, of one port or all.
    LinkShow(Option<String>),
    /// `link set`.
    LinkSet(LinkSpec),
    /// `echo show`, of one family or both.
    EchoShow(Option<Family>),
    /// `echo set`: whatever stands.
    EchoSet(EchoSpec),
    /// `echo del`.
    EchoDel(EchoRef),
    /// `icmp show`.
    IcmpShow,
    /// `icmp servers`.
    IcmpServers(IcmpServersParams),
    /// `icmp decisions`.
    IcmpDecisions(IcmpDecisionsParams),
    /// `config show`.
    ConfigShow,
    /// `config replace` and `config test`.
    ConfigApply {
        /// The document; `-` is standard input.
        path: PathBuf,
        /// Whether it is only tried.
        dry_run: bool,
    },
}
