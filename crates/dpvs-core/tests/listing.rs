// SPDX-License-Identifier: MIT OR Apache-2.0
//! A walk over the connections in pieces that keep no frame waiting.
#![cfg(test)]

use dpvs_core::net::Protocol;
use dpvs_core::testing::{Lab, PacketBuilder};
use dpvs_core::worker::{ConnFilter, ConnQuery};
use dpvs_core::{Command, Event};
use std::collections::BTreeMap;

const VIP: &str = "203.0.113.80";

/// A balancer with UDP connections from these ports.
fn lab(ports: std::ops::Range<u16>) -> Lab {
    let mut lab = Lab::with_addresses(1, 8192);
    lab.service(Protocol::Udp, VIP, 53, &[("10.1.1.10", 53)]);
    ports.for_each(|port| open(&mut lab, port));
    lab
}

fn open(lab: &mut Lab, port: u16) {
    let frame = PacketBuilder::new("198.51.100.10", VIP).udp(port, 53, b"?");
    lab.send(0, &frame).sent();
}

fn piece(lab: &mut Lab, position: u32, room: usize) -> ConnQuery {
    let connections = Vec::with_capacity(room);
    let query = ConnQuery { filter: ConnFilter::default(), position, connections, is_done: false };
    match lab.command(0, Command::List(Box::new(query))) {
        Event::Listed(query) => *query,
        other => panic!("{other:?}"),
    }
}

/// 512 places, or a command for a page of a table with few connections would scan all of it.
#[test]
fn a_piece_of_a_walk_looks_at_few_places() {
    let mut lab = lab(1000..4000);
    let found = piece(&mut lab, 0, 4000);
    assert_eq!((found.position, found.connections.len(), found.is_done), (512, 512, false));
    assert_eq!(piece(&mut lab, 512, 100).connections.len(), 100, "no more than there is room for");
}

#[test]
fn a_walk_in_pieces_lists_each_connection_once_while_others_come() {
    let mut lab = lab(1000..4000);
    let (mut position, mut seen, mut next_port) = (0, BTreeMap::<u16, usize>::new(), 10_000);
    loop {
        let found = piece(&mut lab, position, 100);
        for info in &found.connections {
            *seen.entry(info.conn.client().port).or_default() += 1;
        }
        if found.is_done {
            break;
        }
        position = found.position;
        open(&mut lab, next_port);
        next_port += 1;
    }
    assert!(seen.values().all(|count| *count == 1), "none is listed twice");
    assert!((1000..4000).all(|port| seen.contains_key(&port)), "all that stood are listed");
}

/// 64 places: to end a connection costs more than to look at it.
#[test]
fn all_connections_end_in_small_pieces() {
    let mut lab = lab(1000..4000);
    lab.order(0, Command::Flush);
    let mut before = lab.connections();
    assert_eq!(before, 3000);
    while lab.answer(0).is_none() {
        lab.poll();
        assert!(before - lab.connections() <= 64, "{before} to {}", lab.connections());
        before = lab.connections();
    }
    assert_eq!(before, 0);
}
