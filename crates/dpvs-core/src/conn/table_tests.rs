// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table against models.

use super::super::{Entries, Sctp, Sequences, Sought, State, TcpState};
use super::*;
use crate::BURST;
use crate::key::Address;
use crate::net::Protocol;
use crate::tables::{DestId, Forward, ServiceId};
use proptest::prelude::*;
use std::collections::HashMap;

fn conn(n: u16) -> Conn {
    let key = |src, dst, sport, dport| Key {
        src: Address::v4(src),
        dst: Address::v4(dst),
        sport,
        dport,
        protocol: Protocol::Udp,
    };
    Conn {
        inbound: key([192, 0, 2, 1], [203, 0, 113, 80], n, 53),
        outbound: key([10, 1, 1, 10], [10, 0, 0, 1], 53, n),
        state: State::Udp,
        service: ServiceId { slot: 0, generation: 0 },
        dest: DestId { slot: 0, generation: 0 },
        forward: Forward::FullNat,
        entries: Entries::Both,
        template: None,
        last_seen: Millis(0),
        timeout_ms: 1000,
        sequences: Sequences::default(),
        mtu_told_at: None,
        in_packets: 0,
        out_packets: 0,
    }
}

#[test]
fn a_full_table_refuses_and_works_again_after_a_removal() {
    let mut table = ConnTable::with_capacity(2);
    let first = table.insert(&conn(1)).unwrap();
    table.insert(&conn(2)).unwrap();
    assert_eq!(table.insert(&conn(3)), Err(TableFull));
    assert!(table.find(&conn(3).inbound).is_none());
    table.remove(first);
    assert!(table.insert(&conn(3)).is_ok());
    assert!(table.find(&conn(1).outbound).is_none());
}

#[test]
fn a_used_connection_is_not_expired_and_an_idle_one_is() {
    let mut table = ConnTable::with_capacity(4);
    let used = table.insert(&conn(1)).unwrap();
    let idle = table.insert(&conn(2)).unwrap();
    table.update(used, |conn| conn.last_seen = Millis(900));
    let expired = |table: &mut ConnTable, now| loop {
        let mut idle = ArrayVec::new();
        // The wheel does a bounded piece a call; this is far more than it needs.
        let fired = table.pop_timers(Millis(now), 1, &mut idle);
        if fired == 0 || !idle.is_empty() {
            return idle.pop();
        }
    };
    assert_eq!(expired(&mut table, 1300), Some(idle));
    assert_eq!(expired(&mut table, 1300), None);
    assert_eq!(expired(&mut table, 2500), Some(used));
}

/// The answers of a connection by NAT are found by their key; those of one by direct routing, which has
/// the same keys, go past us.
#[test]
fn what_was_found_by_a_key_is_not_what_took_its_place_and_is_found_by_the_other() {
    let mut table = ConnTable::with_capacity(1);
    let both = conn(1);
    let index = table.insert(&both).unwrap();
    let found = table.find(&both.outbound);
    assert!(found.is_some());
    table.remove(index);
    table.insert(&Conn { entries: Entries::Inbound, ..both }).unwrap();
    let again = |key, found| table.find_again(key, table.hash_of(key), found);
    assert_eq!(again(&both.outbound, found), None);
    assert_eq!(again(&both.inbound, found), table.find(&both.inbound));
}

#[test]
fn timers_that_are_taken_together_are_those_that_fired() {
    let mut table = ConnTable::with_capacity(40);
    let all: Vec<_> = (0..40).map(|n| table.insert(&conn(n)).unwrap()).collect();
    let (used, idle): (Vec<_>, Vec<_>) = all.iter().partition(|index| index.0 % 3 == 0);
    for index in &used {
        table.update(*index, |conn| conn.last_seen = Millis(900));
    }
    for (now, expected) in [(1300, idle), (2500, used)] {
        let mut seen = Vec::new();
        for most in [1, 7, 40, 40, 40, 40] {
            let mut idle = ArrayVec::new();
            assert!(table.pop_timers(Millis(now), most, &mut idle) <= most.min(TIMERS_TOGETHER));
            seen.extend(idle);
        }
        seen.sort_unstable();
        assert_eq!(seen, expected);
        for index in &seen {
            table.remove(*index);
        }
    }
    assert!(table.is_empty());
}

proptest! {
    /// Against `HashMap`: whatever is put in and taken out, each key leads where it should.
    #[test]
    fn the_table_finds_what_a_hash_map_finds(
        steps in proptest::collection::vec((0u16..300, any::<bool>()), 1..600),
    ) {
        let mut table = ConnTable::with_capacity(200);
        let mut model: HashMap<u16, ConnIndex> = HashMap::new();
        for (n, add) in steps {
            if let Some(index) = model.get(&n).copied().filter(|_| !add) {
                table.remove(index);
                model.remove(&n);
            } else if add && !model.contains_key(&n) && model.len() < 200 {
                let index = table.insert(&conn(n));
                prop_assert!(index.is_ok());
                model.extend(index.map(|index| (n, index)));
            }
            prop_assert_eq!(table.len(), model.len());
        }
        for n in 0..300 {
            let expected = model.get(&n).copied();
            let by = |key: &Key| table.find(key);
            let found = by(&conn(n).inbound);
            prop_assert_eq!(found.map(|f| f.index), expected);
            prop_assert_eq!(found.map(|f| f.entry), expected.map(|_| Direction::Inbound));
            let found = by(&conn(n).outbound);
            prop_assert_eq!(found.map(|f| f.index), expected);
            prop_assert_eq!(found.map(|f| f.entry), expected.map(|_| Direction::Outbound));
        }
        // A burst finds what its keys find one by one.
        let keys: Vec<_> = (0..300u16).map(|n| Some(conn(n).outbound).filter(|_| n % 7 != 0)).collect();
        let mut burst = [Sought::NONE; BURST];
        for keys in keys.chunks(BURST) {
            burst.iter_mut().zip(keys).for_each(|(sought, key)| sought.put(*key));
            table.find_burst(&mut burst[..keys.len()]);
            for (sought, key) in burst.iter().zip(keys) {
                prop_assert_eq!(sought.found, key.as_ref().and_then(|key| table.find(key)));
            }
        }
    }
}

/// A connection of any kind.
fn any_conn() -> impl Strategy<Value = Conn> {
    let address = || {
        prop_oneof![
            any::<[u8; 4]>().prop_map(Address::v4),
            any::<[u8; 16]>().prop_map(|mut octets| {
                octets[0] |= 0x20;
                Address::v6(octets)
            }),
        ]
    };
    let key = || {
        (address(), address(), any::<u16>(), any::<u16>()).prop_map(|(src, dst, sport, dport)| {
            Key { src, dst, sport, dport, protocol: Protocol::Tcp }
        })
    };
    let index = || (0..1u32 << 30).prop_map(ConnIndex);
    let state = prop_oneof![
        Just(State::Tcp(TcpState::Established)),
        Just(State::Udp),
        Just(State::Sctp(Sctp::new())),
        proptest::option::of(index()).prop_map(|reply| State::Request { reply }),
        index().prop_map(|request| State::Reply { request }),
        any::<u32>().prop_map(|members| State::Template { members }),
    ];
    let entries = prop_oneof![Just(Entries::Both), Just(Entries::Inbound), Just(Entries::Outbound)];
    let times = (1u64 << 31..1 << 40, 0u64..1 << 30, any::<bool>(), any::<u32>());
    let counts = (any::<u64>(), any::<u64>(), any::<[u32; 4]>());
    let rest = (state, entries, proptest::option::of(index()), times, counts);
    (key(), key(), rest).prop_map(|(inbound, outbound, rest)| {
        let (state, entries, template, (seen, ago, is_told, timeout_ms), counts) = rest;
        let (in_packets, out_packets, ids) = counts;
        Conn {
            inbound,
            outbound,
            state,
            service: ServiceId { slot: ids[0], generation: ids[1] },
            dest: DestId { slot: ids[2], generation: ids[3] },
            forward: Forward::Tunnel,
            entries,
            template,
            last_seen: Millis(seen),
            timeout_ms,
            sequences: Sequences::default(),
            mtu_told_at: is_told.then_some(Millis(seen - ago)),
            in_packets,
            out_packets,
        }
    })
}

proptest! {
    /// What is put in comes out: whatever the family, the state, the time since the start.
    #[test]
    fn a_connection_is_what_was_put_in(first in any_conn(), second in any_conn()) {
        let mut table = ConnTable::with_capacity(2);
        // What stood there before does not show through.
        let index = table.insert(&first).unwrap();
        prop_assert_eq!(format!("{:?}", table.get(index).unwrap()), format!("{first:?}"));
        table.remove(index);
        prop_assert!(table.get(index).is_none());
        // Nothing is told of times longer ago than the low bits reach.
        let last_seen = first.last_seen.max(second.last_seen);
        let mtu_told_at = second.mtu_told_at.map(|_| last_seen);
        let second = Conn { last_seen, mtu_told_at, ..second };
        let index = table.insert(&second).unwrap();
        prop_assert_eq!(format!("{:?}", table.get(index).unwrap()), format!("{second:?}"));
    }
}

#[test]
fn counts_of_packets_run_over_into_what_stands_beside() {
    let mut table = ConnTable::with_capacity(1);
    let most = u64::from(u32::MAX);
    let index = table.insert(&Conn { in_packets: most, out_packets: 7, ..conn(1) }).unwrap();
    for entry in [Direction::Inbound, Direction::Inbound, Direction::Outbound] {
        table.touch(Found { index, entry }, Millis(5), 1000);
    }
    let conn = table.get(index).unwrap();
    assert_eq!((conn.in_packets, conn.out_packets), (most + 2, 8));
    assert_eq!(conn.last_seen, Millis(5));
}
