// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is counted as answered or relayed has left: what cannot leave is counted as dropped alone.
#![cfg(test)]

mod icmp_shared;

use dpvs_core::net::Protocol;
use dpvs_core::testing::{Lab, Outcome, PacketBuilder};
use dpvs_core::{DropReason, Verdict};
use icmp_shared::tally;

/// No route leads there.
const FAR: &str = "192.0.2.7";
const VIP: &str = "203.0.113.80";

fn no_route(lab: &mut Lab, frame: &[u8]) {
    let dropped = Outcome::Dropped(DropReason::NoRoute);
    assert_eq!(tally(lab, 0, frame), (dropped, vec!["no_route"]));
}

#[test]
fn an_echo_reply_that_cannot_leave_is_not_counted_as_sent() {
    let mut lab = Lab::new(1);
    no_route(&mut lab, &PacketBuilder::new(FAR, VIP).ping(7, 1, b"data"));
}

/// Nor is a ping that a server never gets.
#[test]
fn a_query_that_cannot_leave_is_not_counted_as_forwarded() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Icmp, VIP, 0, &[(FAR, 0)]);
    let request = PacketBuilder::new("198.51.100.10", VIP).ping(7, 1, b"data");
    let (outcome, counted) = tally(&mut lab, 0, &request);
    assert_eq!(outcome, Outcome::Dropped(DropReason::NoRoute));
    assert!(!counted.contains(&"icmp_query_forwarded"), "{counted:?}");
}

#[test]
fn an_error_that_cannot_leave_is_not_counted_as_relayed() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Tcp, VIP, 80, &[("10.1.1.10", 8080)]);
    let seen = lab.send(0, &PacketBuilder::new(FAR, VIP).tcp(40000, 80, 2, &[])).sent();
    // Of the server's router, about what the server got: it would go to the client.
    let router = PacketBuilder::new("10.1.1.254", "10.1.1.200");
    no_route(&mut lab, &router.icmp(3, 1, [0; 4], &seen[14..42]));
}

/// Or the frames that came in would not add up with those that went and were dropped.
#[test]
fn a_frame_that_is_learned_from_is_counted_as_used() {
    let mut lab = Lab::new(1);
    let [us, them] = [[203, 0, 113, 2], [203, 0, 113, 99]];
    let mac = [2, 0, 0, 0, 0, 1];
    let ethernet = [&PacketBuilder::OUR_MAC[..], &mac, &[8, 6]].concat();
    let reply = [&[0, 1, 8, 0, 6, 4, 0, 2][..], &mac, &them, &PacketBuilder::OUR_MAC, &us].concat();
    let outcome = lab.send(0, &[ethernet, reply].concat());
    assert_eq!(outcome, Outcome::Other(Verdict::Consumed));
    let counters = lab.workers[0].counters();
    assert_eq!((counters.frames_in.get(), counters.frames_used.get()), (1, 1));
}
