// SPDX-License-Identifier: MIT OR Apache-2.0
//! Schedulers that hash: against plain models, and what nodes of a cluster rely on.
#![cfg(test)]

use dpvs_core::key::Endpoint;
use dpvs_core::net::Protocol;
use dpvs_core::scheduler::{Flow, HashTarget, Scheduler, SchedulerFlags};
use dpvs_core::tables::{ServiceKey, ServiceSettings};
use dpvs_core::testing::{ServicePicker, client_flow};
use proptest::collection::vec;
use proptest::prelude::*;
use siphasher::sip::SipHasher13;
use std::collections::BTreeMap;

const HASHING: [Scheduler; 4] = [Scheduler::Sh, Scheduler::Dh, Scheduler::Mh, Scheduler::Conhash];
const CLIENTS: u32 = 2000;

fn key() -> ServiceKey {
    ServiceKey::new(Protocol::Udp, client_flow(0).target.address, 80)
}

/// A service whose servers are 10.1.1.10 with these ports.
fn service(settings: ServiceSettings, servers: &[(u16, u32)]) -> ServicePicker {
    ServicePicker::new(key(), settings, servers)
}

fn settings(scheduler: Scheduler) -> ServiceSettings {
    ServiceSettings::new(scheduler)
}

fn with_flags(scheduler: Scheduler, flags: u8) -> ServiceSettings {
    ServiceSettings { flags: SchedulerFlags(flags), ..settings(scheduler) }
}

/// `n` servers of one weight.
fn equal(n: u16) -> Vec<(u16, u32)> {
    (1..=n).map(|port| (port, 1)).collect()
}

/// A packet of the `n`th client to the `n`th destination.
fn flow(n: u32) -> Flow {
    let client = client_flow(n).client;
    Flow { client, target: Endpoint { port: 80, ..client }, ..client_flow(n) }
}

fn picks(service: &ServicePicker) -> Vec<Option<u16>> {
    (0..CLIENTS).map(|n| service.pick(&flow(n))).collect()
}

fn shares(picks: &[Option<u16>]) -> BTreeMap<u16, usize> {
    let mut shares = BTreeMap::new();
    picks.iter().flatten().for_each(|port| *shares.entry(*port).or_insert(0) += 1);
    shares
}

fn sip(bytes: &[u8]) -> u64 {
    SipHasher13::new_with_key(b"dpvs scheduling.").hash(bytes)
}

fn client_hash(n: u32) -> u64 {
    sip(&flow(n).client.address.v6_octets())
}

/// The `turn`th hash of 10.1.1.10 with a port.
fn server_hash(port: u16, turn: u16) -> u64 {
    let mut bytes = vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 1, 10];
    bytes.extend(port.to_be_bytes());
    bytes.extend(turn.to_be_bytes());
    sip(&bytes)
}

fn reduce(hash: u64, len: u64) -> usize {
    usize::try_from((hash >> 32) * len / (1 << 32)).unwrap()
}

/// Servers in the order of their ports, as often as it is their turn.
fn turns(servers: &[(u16, u32)], len: usize) -> Vec<u16> {
    let mut servers: Vec<(u16, u32)> = servers.iter().copied().filter(|s| s.1 > 0).collect();
    servers.sort_unstable();
    let most = servers.iter().map(|server| u64::from(server.1)).max();
    let mut turns = Vec::new();
    for round in 0.. {
        for (port, weight) in &servers {
            let due = |round: u64| (round * u64::from(*weight)).div_ceil(most.unwrap());
            if due(round + 1) > due(round) {
                turns.push(*port);
            }
        }
        if turns.len() >= len || servers.is_empty() {
            break;
        }
    }
    turns.truncate(len);
    turns
}

/// The pseudocode of the Maglev paper.
fn maglev(servers: &[(u16, u32)]) -> Vec<u16> {
    const M: usize = 4093;
    let mut entries: Vec<Option<u16>> = vec![None; M];
    let mut next: BTreeMap<u16, usize> = BTreeMap::new();
    for port in turns(servers, M) {
        let offset = reduce(server_hash(port, 0), 4093);
        let skip = 1 + reduce(server_hash(port, 1), 4092);
        let j = next.entry(port).or_default();
        while entries[(offset + *j * skip) % M].is_some() {
            *j += 1;
        }
        entries[(offset + *j * skip) % M] = Some(port);
    }
    entries.into_iter().flatten().collect()
}

/// The server of the point that comes first from the client's place upwards, around the ring.
fn on_ring(servers: &[(u16, u32)], client: u64) -> Option<u16> {
    let most = servers.iter().map(|server| server.1).max()?;
    let mut nearest = None;
    for (port, weight) in servers.iter().filter(|server| server.1 > 0) {
        let points = (f64::from(*weight) * 160.0 / f64::from(most)).round().max(1.0);
        for turn in (0..u16::MAX).take_while(|turn| f64::from(*turn) < points) {
            let place = |hash: u64| hash >> 16;
            let distance = place(server_hash(*port, turn)).wrapping_sub(place(client)) << 16;
            nearest = nearest.min(Some((distance, *port))).or(Some((distance, *port)));
        }
    }
    nearest.map(|(_, port)| port)
}

fn servers() -> impl Strategy<Value = Vec<(u16, u32)>> {
    let weight = prop_oneof![6 => 0..5u32, 1 => 1..200u32];
    vec(weight, 1..12).prop_map(|weights| (1..).zip(weights).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Two nodes of a cluster are configured by people or programs in different orders.
    #[test]
    fn the_order_of_adding_servers_does_not_matter(
        (servers, shuffled) in servers().prop_flat_map(|s| (Just(s.clone()), Just(s).prop_shuffle())),
        flags in 0..4u8,
    ) {
        for scheduler in HASHING {
            let one = service(with_flags(scheduler, flags), &servers);
            let other = service(with_flags(scheduler, flags), &shuffled);
            prop_assert_eq!(picks(&one), picks(&other), "{:?}", scheduler);
        }
    }

    #[test]
    fn tables_and_rings_are_those_of_the_models(servers in servers()) {
        let (maglev, buckets) = (maglev(&servers), turns(&servers, 256));
        let looked_up = |table: &[u16], n| {
            table.get(reduce(client_hash(n), u64::try_from(table.len()).unwrap())).copied()
        };
        let [sh, dh, mh, conhash] = HASHING.map(|scheduler| service(settings(scheduler), &servers));
        for n in 0..200 {
            prop_assert_eq!(sh.pick(&flow(n)), looked_up(&buckets, n));
            prop_assert_eq!(dh.pick(&flow(n)), looked_up(&buckets, n));
            prop_assert_eq!(mh.pick(&flow(n)), looked_up(&maglev, n));
            prop_assert_eq!(conhash.pick(&flow(n)), on_ring(&servers, client_hash(n)));
        }
    }

    /// An overloaded server's clients have no server, or with the flag (always on the ring) one of
    /// the available ones; the others' clients stay where they are.
    #[test]
    fn only_the_clients_of_unavailable_servers_go_elsewhere(
        servers in servers(), closed in vec(any::<bool>(), 12), fallback: bool,
    ) {
        for scheduler in HASHING {
            let mut service = service(with_flags(scheduler, u8::from(fallback)), &servers);
            let before = picks(&service);
            for (at, _) in servers.iter().enumerate() {
                service.set_overloaded(at, closed[at]);
            }
            let is_open = |port: u16| !closed[usize::from(port) - 1];
            let any_is_open = servers.iter().any(|(port, weight)| *weight > 0 && is_open(*port));
            let falls_back = match scheduler {
                Scheduler::Dh => false,
                Scheduler::Conhash => true,
                _ => fallback,
            };
            for (before, after) in before.into_iter().zip(picks(&service)) {
                match before {
                    Some(port) if is_open(port) => prop_assert_eq!(after, before),
                    _ => prop_assert_eq!(after.is_some(), falls_back && any_is_open),
                }
                prop_assert!(after.is_none_or(is_open));
            }
        }
    }
}

/// 10 servers: each has a tenth of 2000 clients within a third of it; of the ring, within a half.
#[test]
fn clients_are_spread_over_the_servers() {
    for (scheduler, within) in HASHING.into_iter().zip([66, 66, 66, 100]) {
        let shares = shares(&picks(&service(settings(scheduler), &equal(10))));
        assert_eq!(shares.len(), 10);
        for share in shares.values() {
            assert!(share.abs_diff(200) <= within, "{scheduler:?}: {shares:?}");
        }
    }
}

#[test]
fn clients_are_spread_by_weight() {
    for scheduler in HASHING {
        let shares = shares(&picks(&service(settings(scheduler), &[(1, 30), (2, 0), (3, 10)])));
        assert_eq!(shares.len(), 2);
        assert!(shares[&1].abs_diff(1500) <= 150, "{scheduler:?}: {shares:?}");
    }
}

/// The ring: nobody but the clients of the server that goes. Maglev: one in 25 of the others.
#[test]
fn few_other_clients_move_when_a_server_goes() {
    for (scheduler, moved_max) in [(Scheduler::Conhash, 0), (Scheduler::Mh, 80)] {
        for n in [3, 10, 25] {
            let mut service = service(settings(scheduler), &equal(n));
            let before = picks(&service);
            service.remove(1);
            let after = picks(&service);
            let others = before.iter().zip(&after).filter(|(before, _)| **before != Some(2));
            let moved = others.filter(|(before, after)| before != after).count();
            assert!(moved <= moved_max, "{scheduler:?} of {n}: {moved} moved");
        }
    }
}

/// A closed server's clients would overload one server after the other if all went to the next.
#[test]
fn the_clients_of_an_overloaded_server_are_spread_over_the_others() {
    for scheduler in [Scheduler::Sh, Scheduler::Mh, Scheduler::Conhash] {
        let mut service = service(with_flags(scheduler, 1), &equal(5));
        let before = picks(&service);
        service.set_overloaded(2, true);
        let after = picks(&service);
        let moved = before.iter().zip(after).filter(|(before, _)| **before == Some(3));
        let shares = shares(&moved.map(|(_, after)| after).collect::<Vec<_>>());
        let clients: usize = shares.values().sum();
        assert_eq!(shares.keys().copied().collect::<Vec<_>>(), [1, 2, 4, 5]);
        // A quarter each would be even.
        assert!(shares.values().all(|share| share * 8 >= clients), "{scheduler:?}: {shares:?}");
    }
}

/// A ring without a server's points is what its clients see while it is closed.
#[test]
fn on_the_ring_an_overloaded_server_is_as_one_that_is_not_there() {
    let mut closed = service(settings(Scheduler::Conhash), &equal(8));
    let mut removed = service(settings(Scheduler::Conhash), &equal(8));
    closed.set_overloaded(4, true);
    removed.remove(4);
    assert_eq!(picks(&closed), picks(&removed));
}

#[test]
fn the_port_counts_where_its_flag_is_set() {
    let ports = |service: &ServicePicker| {
        let client = flow(7).client;
        let at = |port| flow_from(Endpoint { port, ..client });
        shares(&(1..=500).map(|port| service.pick(&at(port))).collect::<Vec<_>>()).len()
    };
    for scheduler in [Scheduler::Sh, Scheduler::Mh] {
        assert_eq!(ports(&service(with_flags(scheduler, 0), &equal(5))), 1, "{scheduler:?}");
        assert_eq!(ports(&service(with_flags(scheduler, 2), &equal(5))), 5, "{scheduler:?}");
    }
    for scheduler in [Scheduler::Dh, Scheduler::Conhash] {
        assert_eq!(ports(&service(with_flags(scheduler, 2), &equal(5))), 1, "{scheduler:?}");
    }
}

fn flow_from(client: Endpoint) -> Flow {
    Flow { client, ..flow(0) }
}

/// A QUIC client keeps its server when its address changes (RFC 9000 section 9).
#[test]
fn a_connection_id_decides_where_the_service_says_so() {
    let quic = ServiceSettings { hash_target: HashTarget::QuicId, ..settings(Scheduler::Conhash) };
    let (by_id, by_address) =
        (service(quic, &equal(9)), service(settings(Scheduler::Conhash), &equal(9)));
    let with_id = |n, id: u64| Flow { quic_id: Some(id.to_be_bytes()), ..flow(n) };
    let ids: Vec<Option<u16>> = (0..500).map(|id| by_id.pick(&with_id(0, id))).collect();
    let moved: Vec<Option<u16>> = (0..500).map(|id| by_id.pick(&with_id(77, id))).collect();
    assert_eq!(ids, moved);
    assert_eq!(shares(&ids).len(), 9);
    let addresses: Vec<Option<u16>> = (0..500).map(|n| by_address.pick(&with_id(n, 1))).collect();
    let without: Vec<Option<u16>> = (0..500).map(|n| by_id.pick(&flow(n))).collect();
    assert_eq!(addresses, without);
}
