// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration as it stands, in the words of `config.apply`.

use crate::api::attributes::Shown;
use crate::api::convert::{device_name, wire_forward, wire_tunnel};
use crate::api::keys::wire_key;
use crate::api::pages::read_cursor;
use crate::api::services::snapshot;
use crate::api::{addrs, conns, echo, routes};
use crate::control::Control;
use dpvs_api::RpcError;
use dpvs_api::types::{
    ConfigGetParams, ConfigPage, ConfigSpec, DestConfig, EchoSpec, LaddrConfig, NeighSpec,
    ServiceConfig, ServiceSpec, TimeoutSpec,
};
use dpvs_core::Millis;
use dpvs_core::key::Address;
use dpvs_core::tables::{
    AccessList, Dest, DestSettings, Echo, Forward, LocalAddress, Route, Service, StaticNeighbour,
    Tables,
};
use std::net::IpAddr;
use std::sync::Arc;

/// Greatest estimated length of a page, well below that of a line.
const PAGE_BYTES_MAX: usize = 900_000;
/// What a row takes of it at most: of a service without its parts, of a real server, of others.
const SERVICE_BYTES: usize = 1000;
const DEST_BYTES: usize = 300;
const ROW_BYTES: usize = 300;
const CLIENT_BYTES: usize = 50;

/// Where a page begins: in which section, at which row of it, at which part of that row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Position {
    section: usize,
    row: usize,
    part: usize,
}

/// Returns a page of the configuration. The snapshot is kept in `listing` until the last.
pub(in crate::api) fn get(
    control: &Control,
    listing: &mut Option<Arc<Tables>>,
    params: &ConfigGetParams,
) -> Result<ConfigPage, RpcError> {
    let (tables, from) = match &params.cursor {
        None => (Arc::clone(control.tables()), Position::default()),
        Some(cursor) => {
            let (generation, [section, row, part]) = read_cursor(cursor)?;
            let position = Position { section, row, part };
            (snapshot(control, listing.take(), generation)?, position)
        }
    };
    let mut page = Page { room: PAGE_BYTES_MAX, config: ConfigSpec::default() };
    let next = page.fill(&tables, control.now(), from);
    let generation = tables.generation();
    let next = next.map(|at| format!("{generation}:{}:{}:{}", at.section, at.row, at.part));
    *listing = next.is_some().then(|| Arc::clone(&tables));
    Ok(ConfigPage { generation, config: page.config, next })
}

struct Page {
    room: usize,
    config: ConfigSpec,
}

/// The sections before the services.
const SECTIONS: usize = 4;

impl Page {
    fn fill(&mut self, tables: &Tables, now: Millis, from: Position) -> Option<Position> {
        if from == Position::default() {
            let t = conns::timeouts(tables);
            self.config.timeouts = Some(TimeoutSpec {
                tcp: Some(t.tcp),
                tcp_fin: Some(t.tcp_fin),
                udp: Some(t.udp),
                icmp: Some(t.icmp),
            });
        }
        for section in from.section..SECTIONS {
            let skip = if section == from.section { from.row } else { 0 };
            if let Some(row) = self.section(tables, now, section, skip) {
                return Some(Position { section, row, part: 0 });
            }
        }
        let from = if from.section < SECTIONS { Position::default() } else { from };
        self.services(tables, from)
    }

    /// Adds the rows of a section; returns where to go on if they did not fit.
    fn section(&mut self, t: &Tables, now: Millis, section: usize, skip: usize) -> Option<usize> {
        let config = &mut self.config;
        let room = &mut self.room;
        match section {
            0 => {
                let rows = t.addresses().iter().filter(|a| !a.came_with_laddr);
                let show = |a: &LocalAddress| addrs::show(t, now, a);
                take(rows, skip, room, show, &mut config.addrs)
            }
            1 => {
                let rows = t.routes().iter().filter(|route| !route.is_connected);
                let show = |route: &Route| routes::spec(t, route);
                take(rows, skip, room, show, &mut config.routes)
            }
            2 => {
                let show = |n: &StaticNeighbour| NeighSpec {
                    address: n.address.ip(),
                    lladdr: n.mac.to_string(),
                    device: device_name(t, n.port),
                };
                take(t.neighbours().iter(), skip, room, show, &mut config.neighs)
            }
            _ => {
                // Those of services' addresses are told with the services.
                let mut rows: Vec<&Echo> =
                    t.echoes().filter(|echo| !t.is_virtual(echo.address)).collect();
                rows.sort_unstable_by_key(|echo| echo.address);
                let show = |echo: &Echo| EchoSpec {
                    address: echo.address.ip(),
                    policy: echo::show(echo.policy),
                };
                take(rows.into_iter(), skip, room, show, &mut config.echoes)
            }
        }
    }

    fn services(&mut self, tables: &Tables, from: Position) -> Option<Position> {
        let list = self.config.services.get_or_insert_default();
        let mut at = Position { section: SECTIONS, ..from };
        for service in tables.services().skip(from.row) {
            let Some(room) = self.room.checked_sub(SERVICE_BYTES) else { return Some(at) };
            let mut config = ServiceConfig::new(attributes(tables, service));
            let mut left = room;
            let all = parts(service);
            let total = all.len();
            let mut taken = 0;
            for part in all.into_iter().skip(at.part) {
                let Some(rest) = left.checked_sub(part.bytes()) else { break };
                left = rest;
                taken += 1;
                part.add_to(tables, &mut config);
            }
            at.part += taken;
            self.room = left;
            if at.part < total && taken == 0 {
                return Some(at);
            }
            list.push(config);
            if at.part < total {
                return Some(at);
            }
            at = Position { row: at.row + 1, part: 0, ..at };
        }
        None
    }
}

/// Adds rows while there is room; returns where to go on if they did not fit.
fn take<'a, R: 'a, T>(
    rows: impl Iterator<Item = &'a R>,
    skip: usize,
    room: &mut usize,
    show: impl Fn(&R) -> T,
    section: &mut Option<Vec<T>>,
) -> Option<usize> {
    let list = section.get_or_insert_default();
    for (at, row) in rows.enumerate().skip(skip) {
        let Some(rest) = room.checked_sub(ROW_BYTES) else { return Some(at) };
        *room = rest;
        list.push(show(row));
    }
    None
}

/// A part of a service.
enum Part<'a> {
    Dest(&'a Dest),
    Laddr(&'a dpvs_core::tables::Laddr),
    Denied(IpAddr),
    Allowed(IpAddr),
}

/// The parts of a service in their order.
fn parts(service: &Service) -> Vec<Part<'_>> {
    let clients = |list| service.access.clients(list).into_iter().map(Address::ip);
    let laddrs = service.laddrs.iter().map(Part::Laddr);
    laddrs
        .chain(service.dests.iter().map(Part::Dest))
        .chain(clients(AccessList::Black).map(Part::Denied))
        .chain(clients(AccessList::White).map(Part::Allowed))
        .collect()
}

impl Part<'_> {
    /// What it takes of a page at most.
    fn bytes(&self) -> usize {
        match self {
            Part::Dest(_) => DEST_BYTES,
            Part::Laddr(_) => ROW_BYTES,
            Part::Denied(_) | Part::Allowed(_) => CLIENT_BYTES,
        }
    }

    fn add_to(self, tables: &Tables, config: &mut ServiceConfig) {
        match self {
            Part::Dest(dest) => config.dests.push(show_dest(dest)),
            Part::Laddr(laddr) => config.laddrs.push(LaddrConfig {
                address: laddr.address.ip(),
                device: device_name(tables, laddr.port),
            }),
            Part::Denied(client) => config.blacklist.push(client),
            Part::Allowed(client) => config.whitelist.push(client),
        }
    }
}

fn show_dest(dest: &Dest) -> DestConfig {
    let DestSettings { forward, weight, upper_threshold, lower_threshold, tunnel } = dest.settings;
    let unless_none = |threshold: u32| (threshold > 0).then_some(threshold);
    DestConfig {
        address: dest.endpoint.address.ip(),
        port: dest.endpoint.port,
        forward: Some(wire_forward(forward)),
        weight: Some(weight),
        upper_threshold: unless_none(upper_threshold),
        lower_threshold: unless_none(lower_threshold),
        tunnel: (forward == Forward::Tunnel).then(|| wire_tunnel(tunnel)),
    }
}

/// The attributes of a service that are not as they are by default.
fn attributes(tables: &Tables, service: &Service) -> ServiceSpec {
    let shown = Shown::of(service);
    let settings = &service.settings;
    let has_persistence = settings.persistence.is_some();
    let is_v4 = service.key.family() == dpvs_core::net::Family::V4;
    let conn_timeout = settings.conn_timeout_ms / 1000;
    let hash_target = Some(shown.hash_target).filter(|text| !text.is_empty());
    ServiceSpec {
        scheduler: Some(settings.scheduler.name().to_owned()),
        scheduler_flags: Some(shown.scheduler_flags).filter(|flags| !flags.is_empty()),
        persistent: has_persistence.then_some(shown.persistent),
        netmask: (has_persistence && is_v4).then_some(shown.netmask),
        prefix_len: (has_persistence && !is_v4).then_some(shown.prefix_len),
        one_packet: settings.one_packet.then_some(true),
        expire_quiescent: settings.expire_quiescent.then_some(true),
        conn_timeout: (conn_timeout > 0).then_some(conn_timeout),
        hash_target,
        icmp_echo: echo::of_service(tables, &service.key),
        ..ServiceSpec::new(wire_key(tables, &service.key))
    }
}
