// SPDX-License-Identifier: MIT OR Apache-2.0
//! Schedulers that count, against the definitions of their algorithms, written down plainly.
#![cfg(test)]

use dpvs_core::key::{Address, Endpoint};
use dpvs_core::net::Family;
use dpvs_core::scheduler::{Flow, Scheduler};
use dpvs_core::tables::{DestSettings, Draft, Forward, Match, ServiceKey, ServiceSettings};
use dpvs_core::testing::{ServicePicker, client_flow, service_with_weights, tables};
use dpvs_core::{Millis, WorkerId};
use proptest::collection::vec;
use proptest::prelude::*;
use std::cmp::Ordering;

/// A real server as the definitions see it.
#[derive(Clone, Copy, Debug)]
struct Server {
    port: u16,
    weight: u64,
    active: u64,
    inactive: u64,
    overloaded: bool,
}

impl Server {
    fn is_available(&self) -> bool {
        self.weight > 0 && !self.overloaded
    }

    fn connections(&self) -> u64 {
        self.active * 256 + self.inactive
    }
}

/// Weights and loads that often tie, and their extremes.
fn servers() -> impl Strategy<Value = Vec<Server>> {
    let weight = prop_oneof![8 => 0..6u32, 1 => Just(65535u32)];
    let active = prop_oneof![8 => 0..8u32, 1 => 0..100_000u32];
    let inactive = prop_oneof![4 => Just(0u32), 2 => 0..1024u32, 1 => Just(u32::MAX)];
    vec((weight, active, inactive, prop::bool::weighted(0.2)), 0..8).prop_map(|rows| {
        let server = |(port, (weight, active, inactive, overloaded))| Server {
            port,
            weight: u64::from(weight),
            active: u64::from(active),
            inactive: u64::from(inactive),
            overloaded,
        };
        (1..).zip(rows).map(server).collect()
    })
}

fn weights(servers: &[Server]) -> Vec<u32> {
    servers.iter().map(|server| u32::try_from(server.weight).unwrap()).collect()
}

fn set_loads(service: &mut ServicePicker, servers: &[Server]) {
    for (at, server) in servers.iter().enumerate() {
        let [active, inactive] = [server.active, server.inactive].map(|n| n.try_into().unwrap());
        service.set_connections(at, active, inactive);
        service.set_overloaded(at, server.overloaded);
    }
}

/// Compares `a / b` of two pairs; the weights are not 0.
fn by_ratio(a: (u64, u64), b: (u64, u64)) -> Ordering {
    (u128::from(a.0) * u128::from(b.1)).cmp(&(u128::from(b.0) * u128::from(a.1)))
}

fn least(
    servers: &[Server],
    allowed: impl Fn(&Server) -> bool,
    load: impl Fn(&Server) -> u64,
    weight: impl Fn(&Server) -> u64,
) -> Option<&Server> {
    let candidates = servers.iter().filter(|server| server.is_available() && allowed(server));
    candidates.min_by(|a, b| by_ratio((load(a), weight(a)), (load(b), weight(b))))
}

fn wlc(servers: &[Server]) -> Option<&Server> {
    least(servers, |_| true, Server::connections, |server| server.weight)
}

fn sed(servers: &[Server], allowed: impl Fn(&Server) -> bool) -> Option<&Server> {
    least(servers, allowed, |server| server.active + 1, |server| server.weight)
}

/// The choice of an algorithm that looks at nothing but the servers.
fn defined(scheduler: Scheduler, servers: &[Server]) -> Option<&Server> {
    let heaviest = |allowed: fn(&Server) -> bool| {
        let candidates = servers.iter().filter(|server| server.is_available() && allowed(server));
        candidates.rev().max_by_key(|server| server.weight)
    };
    match scheduler {
        Scheduler::Lc => least(servers, |_| true, Server::connections, |_| 1),
        Scheduler::Wlc => wlc(servers),
        Scheduler::Sed => sed(servers, |_| true),
        Scheduler::Nq => {
            let idle = |server: &&Server| server.is_available() && server.active == 0;
            servers.iter().find(idle).or_else(|| sed(servers, |server| server.active > 0))
        }
        Scheduler::Fo => heaviest(|_| true),
        Scheduler::Ovf => heaviest(|server| server.active < server.weight),
        other => panic!("{other:?}"),
    }
}

/// Weighted round robin as the LVS documentation writes it, step by step.
struct Rounds {
    at: usize,
    level: u64,
}

impl Rounds {
    fn next(&mut self, servers: &[Server]) -> Option<u16> {
        if !servers.iter().any(Server::is_available) {
            return None;
        }
        let divides_all = |n: &u64| servers.iter().all(|server| server.weight % n == 0);
        let greatest = servers.iter().map(|server| server.weight).max()?;
        let gcd = (1..=greatest).rev().find(divides_all)?;
        loop {
            if self.at == servers.len() || self.level == 0 {
                self.at = 0;
                self.level = self.level.saturating_sub(gcd);
                if self.level == 0 {
                    self.level = greatest;
                }
            }
            let server = &servers[self.at];
            self.at += 1;
            if server.weight >= self.level && server.is_available() {
                return Some(server.port);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_choice_is_the_one_of_the_definition(servers in servers()) {
        use Scheduler::{Fo, Lc, Nq, Ovf, Sed, Wlc};
        for scheduler in [Lc, Wlc, Sed, Nq, Fo, Ovf] {
            let mut service = service_with_weights(scheduler, &weights(&servers));
            set_loads(&mut service, &servers);
            let expected = defined(scheduler, &servers).map(|server| server.port);
            prop_assert_eq!(service.pick(&client_flow(0)), expected, "{:?}", scheduler);
        }
    }
}

proptest! {
    #[test]
    fn round_robin_goes_through_the_available_servers_in_order(servers in servers()) {
        let mut service = service_with_weights(Scheduler::Rr, &weights(&servers));
        set_loads(&mut service, &servers);
        let available = servers.iter().filter(|server| server.is_available());
        let expected: Vec<u16> = available.map(|server| server.port).cycle().take(20).collect();
        prop_assert_eq!(service.pick_ports(20), expected);
    }

    /// Servers are closed and opened between the choices.
    #[test]
    fn weighted_rounds_are_those_of_the_documentation(
        servers in vec(0..13u64, 0..6),
        closed in vec(vec(prop::bool::weighted(0.3), 6), 1..6),
    ) {
        let server = |(port, weight)| {
            Server { port, weight, active: 0, inactive: 0, overloaded: false }
        };
        let mut servers: Vec<Server> = (1..).zip(servers).map(server).collect();
        let mut service = service_with_weights(Scheduler::Wrr, &weights(&servers));
        let mut rounds = Rounds { at: 0, level: 0 };
        for closed in closed {
            for (server, closed) in servers.iter_mut().zip(closed) {
                server.overloaded = closed;
            }
            set_loads(&mut service, &servers);
            for _ in 0..25 {
                prop_assert_eq!(service.pick(&client_flow(0)), rounds.next(&servers));
            }
        }
    }

    #[test]
    fn a_destination_keeps_its_server_until_the_rule_of_lblc_moves_it(
        steps in vec(servers(), 1..12), weights_of in servers(),
    ) {
        let mut service = service_with_weights(Scheduler::Lblc, &weights(&weights_of));
        let mut assigned: Option<usize> = None;
        for loads in steps {
            let servers = with_loads(&weights_of, &loads);
            set_loads(&mut service, &servers);
            let keeps = assigned.is_some_and(|at| {
                servers[at].is_available() && !needs_help(&servers[at], &servers)
            });
            if !keeps && let Some(server) = wlc(&servers) {
                assigned = Some(usize::from(server.port) - 1);
            }
            let is_open = servers.iter().any(Server::is_available);
            let expected = assigned.filter(|_| is_open).map(|at| servers[at].port);
            prop_assert_eq!(service.pick(&client_flow(0)), expected);
        }
    }

    #[test]
    fn a_destinations_set_grows_and_shrinks_by_the_rules_of_lblcr(
        steps in vec((servers(), 0..200_000u64), 1..25), weights_of in servers(),
    ) {
        let mut service = service_with_weights(Scheduler::Lblcr, &weights(&weights_of));
        let mut set = Set::default();
        let mut now = 1000;
        for (loads, passed) in steps {
            now += passed;
            let servers = with_loads(&weights_of, &loads);
            set_loads(&mut service, &servers);
            let flow = Flow { now: Millis(now), ..client_flow(0) };
            prop_assert_eq!(service.pick(&flow), set.next(&servers, now), "{:?}", set);
        }
    }
}

/// The same servers under other loads.
fn with_loads(servers: &[Server], loads: &[Server]) -> Vec<Server> {
    let mut servers = servers.to_vec();
    for (server, load) in servers.iter_mut().zip(loads) {
        *server = Server { port: server.port, weight: server.weight, ..*load };
    }
    servers
}

/// `(n.conns > n.weight) AND (there is a node m with m.conns < m.weight / 2)`.
fn needs_help(server: &Server, servers: &[Server]) -> bool {
    let is_half_idle = |m: &Server| m.is_available() && 2 * m.active < m.weight;
    server.active > server.weight && servers.iter().any(is_half_idle)
}

/// The set of a destination: positions in the order of joining, gaps are filled first.
#[derive(Debug, Default)]
struct Set {
    members: Vec<Option<usize>>,
    changed: u64,
}

impl Set {
    fn next(&mut self, servers: &[Server], now: u64) -> Option<u16> {
        let members = || self.members.iter().copied().flatten();
        let listed: Vec<Server> = members().map(|at| servers[at]).collect();
        if let Some(chosen) = wlc(&listed).filter(|chosen| !needs_help(chosen, servers)) {
            if now - self.changed > 360_000 && listed.len() > 1 {
                let ratio = |at: usize| (servers[at].connections(), servers[at].weight);
                let most = members().max_by(|a, b| by_ratio(ratio(*a), ratio(*b)));
                self.members.iter_mut().filter(|member| **member == most).for_each(|m| *m = None);
                self.changed = now;
            }
            return Some(chosen.port);
        }
        let chosen = wlc(servers)?;
        let at = Some(usize::from(chosen.port) - 1);
        if !self.members.contains(&at) {
            match self.members.iter_mut().find(|member| member.is_none()) {
                Some(gap) => *gap = at,
                None => self.members.push(at),
            }
            self.changed = now;
        }
        Some(chosen.port)
    }
}

/// Two workers have turns of their own, but what is remembered of destinations is common.
#[test]
fn workers_take_turns_by_themselves_and_share_destinations() {
    let flow = client_flow(0);
    let turns = service_with_weights(Scheduler::Rr, &[1, 1]);
    assert_eq!([0, 1].map(|worker| turns.pick_on(WorkerId(worker), &flow)), [Some(1); 2]);
    let kept = service_with_weights(Scheduler::Lblcr, &[1, 1]);
    assert_eq!(kept.pick_on(WorkerId(0), &flow), Some(1));
    kept.set_connections(0, 1, 0);
    assert_eq!(kept.pick_on(WorkerId(1), &flow), Some(1));
}

/// Destinations of a service by match are many: each has a server of its own, and keeps it.
#[test]
fn destinations_of_a_service_by_match_keep_their_own_servers() {
    let everything =
        Match { family: Family::V4, protocol: None, src: None, dst: None, iif: None, oif: None };
    let key = ServiceKey::Match(everything);
    for scheduler in [Scheduler::Lblc, Scheduler::Lblcr] {
        let mut draft = Draft::new(&tables(1));
        draft.add_service(key, ServiceSettings::new(scheduler)).unwrap();
        for n in 1..=3 {
            let end = Endpoint { address: Address::v4([10, 1, 1, n]), port: 0 };
            draft.add_dest(&key, end, DestSettings::new(Forward::Snat)).unwrap();
        }
        let tables = draft.publish();
        let service = tables.service(&key).unwrap();
        let server_for = |n| {
            let flow = Flow { target: client_flow(n).client, ..client_flow(0) };
            let dest = service.picker.pick(service, WorkerId(0), &flow).unwrap();
            let [.., last] = dest.endpoint.address.v4_octets();
            dest.shared.counters.part(0).unwrap().active.increment();
            last
        };
        assert_eq!([1, 2, 3].map(server_for), [1, 2, 3], "{scheduler:?}");
        service.dests[1].shared.counters.part(0).unwrap().active.decrement();
        assert_eq!([1, 3].map(server_for), [1, 3], "{scheduler:?}: not the least loaded");
    }
}
