// SPDX-License-Identifier: MIT OR Apache-2.0
//! Configurations that are longer than a line: cut into parts, and put together again.

use crate::types::{ConfigSpec, ServiceConfig};
use serde::Serialize;

/// Greatest length of a part as JSON, well below that of a line.
const PART_BYTES_MAX: usize = 800_000;
/// Most parts of one service that go into one part; 300 bytes are the most that one takes.
const SERVICE_PARTS_MAX: usize = 2000;

/// Adds a part of a configuration to those before it.
pub fn join(mut whole: ConfigSpec, part: ConfigSpec) -> ConfigSpec {
    let ConfigSpec { timeouts, addrs, routes, neighs, echoes, services } = part;
    whole.timeouts = timeouts.or(whole.timeouts);
    extend(&mut whole.addrs, addrs);
    extend(&mut whole.routes, routes);
    extend(&mut whole.neighs, neighs);
    extend(&mut whole.echoes, echoes);
    if let Some(services) = services {
        let list = whole.services.get_or_insert_default();
        for service in services {
            add_service(list, service);
        }
    }
    whole
}

/// Adds a service; one that was cut goes on where it was left.
fn add_service(list: &mut Vec<ServiceConfig>, service: ServiceConfig) {
    match list.last_mut() {
        Some(last) if last.spec == service.spec => {
            let ServiceConfig { spec: _, dests, laddrs, blacklist, whitelist } = service;
            last.dests.extend(dests);
            last.laddrs.extend(laddrs);
            last.blacklist.extend(blacklist);
            last.whitelist.extend(whitelist);
        }
        _ => list.push(service),
    }
}

fn extend<T>(section: &mut Option<Vec<T>>, more: Option<Vec<T>>) {
    match (section, more) {
        (Some(rows), Some(more)) => rows.extend(more),
        (section @ None, more) => *section = more,
        (Some(_), None) => {}
    }
}

/// Cuts a configuration into parts that fit a line each; at least one.
pub fn split(config: ConfigSpec) -> Vec<ConfigSpec> {
    let ConfigSpec { timeouts, addrs, routes, neighs, echoes, services } = config;
    let first = ConfigSpec { timeouts, ..ConfigSpec::default() };
    let mut parts = Parts { list: Vec::new(), current: first, bytes: 0 };
    parts.section(addrs, |config| &mut config.addrs);
    parts.section(routes, |config| &mut config.routes);
    parts.section(neighs, |config| &mut config.neighs);
    parts.section(echoes, |config| &mut config.echoes);
    let services = services.map(|rows| rows.into_iter().flat_map(split_service).collect());
    parts.section(services, |config| &mut config.services);
    parts.list.push(parts.current);
    parts.list
}

struct Parts {
    list: Vec<ConfigSpec>,
    current: ConfigSpec,
    /// The length of the current part so far.
    bytes: usize,
}

impl Parts {
    fn section<T: Serialize>(
        &mut self,
        rows: Option<Vec<T>>,
        of: impl Fn(&mut ConfigSpec) -> &mut Option<Vec<T>>,
    ) {
        let Some(rows) = rows else { return };
        // An empty section says something too.
        of(&mut self.current).get_or_insert_default();
        for row in rows {
            // What cannot be written has no length, and is refused where it is sent.
            let bytes = serde_json::to_string(&row).map_or(0, |text| text.len() + 1);
            if self.bytes + bytes > PART_BYTES_MAX && self.bytes > 0 {
                self.list.push(std::mem::take(&mut self.current));
                self.bytes = 0;
            }
            self.bytes += bytes;
            of(&mut self.current).get_or_insert_default().push(row);
        }
    }
}

/// Cuts a service with very many parts.
fn split_service(mut service: ServiceConfig) -> Vec<ServiceConfig> {
    let mut pieces = Vec::new();
    while service.parts_len() > SERVICE_PARTS_MAX {
        let mut piece = ServiceConfig::new(service.spec.clone());
        let mut room = SERVICE_PARTS_MAX;
        move_some(&mut service.dests, &mut piece.dests, &mut room);
        move_some(&mut service.laddrs, &mut piece.laddrs, &mut room);
        move_some(&mut service.blacklist, &mut piece.blacklist, &mut room);
        move_some(&mut service.whitelist, &mut piece.whitelist, &mut room);
        pieces.push(piece);
    }
    pieces.push(service);
    pieces
}

fn move_some<T>(from: &mut Vec<T>, to: &mut Vec<T>, room: &mut usize) {
    let rest = from.split_off(from.len().min(*room));
    *to = std::mem::replace(from, rest);
    *room -= to.len();
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_cut_fits_a_line_and_comes_together_again() {
        let clients: Vec<std::net::Ipv4Addr> =
            (0..50_000).map(|at| std::net::Ipv4Addr::from_bits(0x0a00_0000 + at)).collect();
        let service = |port: u16, clients: &[std::net::Ipv4Addr]| {
            json!({ "service": { "protocol": "tcp", "address": "10.0.0.100", "port": port },
                "dests": [{ "address": "10.2.0.11", "port": 80 }], "blacklist": clients })
        };
        let config = json!({ "timeouts": { "udp": 30 }, "neighs": [],
            "services": [service(80, &clients), service(81, &[]), service(82, &clients)] });
        let config: ConfigSpec = serde_json::from_value(config).unwrap();
        let parts = split(config.clone());
        assert!((2..9).contains(&parts.len()), "{}", parts.len());
        assert!(parts.iter().all(|p| serde_json::to_string(p).unwrap().len() < 1_000_000));
        let whole = parts.into_iter().fold(ConfigSpec::default(), join);
        assert!(whole == config, "not what was cut");
        assert_eq!(split(ConfigSpec::default()), [ConfigSpec::default()]);
    }
}
