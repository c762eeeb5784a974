// SPDX-License-Identifier: MIT OR Apache-2.0
//! Regressions: ICMP at the edges of what a link or a clock can hold.
#![cfg(test)]

mod icmp_shared;

use dpvs_core::net::Prefix;
use dpvs_core::tables::{Route, Scope};
use dpvs_core::testing::assert_checksums;
use dpvs_core::{DropReason, Millis, PortId};
use icmp_shared::*;

/// A link so narrow that the quoted checksum is cut off leaves the rest to be translated.
#[test]
fn an_error_cut_before_the_quoted_checksum_is_relayed() {
    let mut lab = Method::FullNat.lab(1);
    let session = Session::open(&mut lab, Method::FullNat, false, L4::Tcp, 40000);
    let narrow = Route {
        prefix: Prefix::containing(R[0].parse().unwrap(), 32).unwrap(),
        via: None,
        port: PortId(0),
        src: None,
        mtu: 64,
        scope: Scope::Global,
        metric: 0,
        is_connected: false,
    };
    lab.change(|draft| draft.add_route(narrow).unwrap());
    let out = lab.send(0, &session.error(Side::Client, HOST[0], [0; 4], 30)).sent();
    assert_checksums(&out);
    assert_eq!(ends_of(&out)[..2], [L[0], R[0]]);
    // 8 bytes of ICMP, and of what the server sent the IP header and 16 bytes of TCP.
    assert_eq!(out.len(), 14 + 20 + 8 + 20 + 16);
    assert_eq!(out[42..], session.passage(Side::Client).quoted[14..50]);
}

/// The low 32 bits of the time run over after 49.7 days.
#[test]
fn connections_expire_in_time_after_fifty_days() {
    let mut lab = Method::FullNat.lab(1);
    lab.now = Millis((1 << 32) - 30_000);
    for _ in 0..70_000 {
        lab.poll();
    }
    let _ = Session::open(&mut lab, Method::FullNat, false, L4::Ping, 40000);
    assert_eq!(lab.connections(), 2);
    lab.pass(59_800);
    assert_eq!(lab.connections(), 2);
    lab.pass(600);
    assert_eq!(lab.connections(), 0);
}

/// The timer may not have fired yet, as with the packets of the connection.
#[test]
fn an_error_about_a_connection_whose_time_is_over_relates_to_nothing() {
    for l4 in [L4::Ping, L4::Udp] {
        for side in Side::BOTH {
            let mut lab = Method::FullNat.lab(1);
            let session = Session::open(&mut lab, Method::FullNat, false, l4, 40000);
            let error = session.error(side, HOST[0], [0; 4], 8);
            let timeout = if l4 == L4::Ping { 60_000 } else { 300_000 };
            lab.now = lab.now + (timeout - 1);
            session.assert_translated(side, &error, &lab.send(0, &error).sent());
            lab.now = lab.now + 1;
            drops(&mut lab, 0, &error, DropReason::IcmpUnrelated);
        }
    }
}
