// SPDX-License-Identifier: MIT OR Apache-2.0
//! Neighbours' answers, on whichever worker they arrive.
#![cfg(test)]

use dpvs_core::key::Address;
use dpvs_core::neighbour::NeighbourUpdate;
use dpvs_core::net::{Mac, Prefix, Protocol};
use dpvs_core::tables::{Route, Scope};
use dpvs_core::testing::{Lab, Outcome, PacketBuilder};
use dpvs_core::{PortId, Verdict};

const R6: &str = "2001:db8:a::77";
const OURS: &str = "2001:db8:a::2";
const SOLICITED: u8 = 0x40;
const MAC: Mac = Mac([2, 0, 0, 0, 0, 0x77]);

/// An advertisement of `R6`, from `MAC`, with or without the option that names it.
fn advertisement(flags: u8, has_option: bool) -> Vec<u8> {
    let mut body = Vec::from(R6.parse::<std::net::Ipv6Addr>().unwrap().octets());
    if has_option {
        body.extend([2, 1]);
        body.extend(MAC.0);
    }
    let mut frame = PacketBuilder::new(R6, OURS).ttl(255).icmp(136, 0, [flags, 0, 0, 0], &body);
    frame[6..12].copy_from_slice(&MAC.0);
    frame
}

/// What worker 1, which asked for nobody, tells the others after a frame.
fn told(lab: &mut Lab, frame: &[u8]) -> Vec<NeighbourUpdate> {
    assert_eq!(lab.send(1, frame), Outcome::Other(Verdict::Consumed));
    lab.workers[1].take_learned().collect()
}

fn update() -> NeighbourUpdate {
    NeighbourUpdate {
        port: PortId(0),
        address: Address::from(R6.parse::<std::net::IpAddr>().unwrap()),
        mac: MAC,
    }
}

/// 10.1.1.77's answer, from `mac`.
fn arp_answer(mac: Mac) -> Vec<u8> {
    let mut frame = [&PacketBuilder::OUR_MAC[..], &mac.0, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2]].concat();
    frame.extend(mac.0);
    frame.extend([10, 1, 1, 77]);
    frame.extend(PacketBuilder::OUR_MAC);
    frame.extend([10, 1, 1, 2]);
    frame
}

#[test]
fn an_answer_to_another_worker_is_told_to_it() {
    // Worker 0 asked, the device gave the answer to worker 1: IPv6 stood still.
    let mut lab = Lab::new(2);
    assert_eq!(told(&mut lab, &advertisement(SOLICITED, true)), [update()]);
    // Again at once: who asked may have lost its entry.
    assert_eq!(told(&mut lab, &advertisement(SOLICITED, true)), [update()]);
}

#[test]
fn an_answer_without_the_link_address_is_from_its_sender() {
    // Linux leaves the option out when it was asked by unicast: every entry failed after 30 s.
    let mut lab = Lab::new(2);
    assert_eq!(told(&mut lab, &advertisement(SOLICITED, false)), [update()]);
}

#[test]
fn an_advertisement_that_nobody_asked_for_makes_no_entry() {
    let mut lab = Lab::new(2);
    assert_eq!(told(&mut lab, &advertisement(0, true)), []);
    assert_eq!(told(&mut lab, &advertisement(0, false)), []);
}

#[test]
fn an_arp_answer_is_told_each_time() {
    // Worker 0 lost its entry, worker 1 got the answer and had a fresh one: worker 0 heard nothing.
    let mut lab = Lab::new(2);
    let frame = arp_answer(MAC);
    let expected = NeighbourUpdate { address: Address::v4([10, 1, 1, 77]), ..update() };
    assert_eq!(told(&mut lab, &frame), [expected]);
    assert_eq!(told(&mut lab, &frame), [expected]);
}

/// Tells worker 0 by ARP that 10.1.1.77 is at `mac`.
fn move_to(lab: &mut Lab, mac: Mac) {
    assert_eq!(lab.send(0, &arp_answer(mac)), Outcome::Other(Verdict::Consumed));
}

#[test]
fn a_server_that_moves_gets_the_next_packet_of_a_connection_that_stands() {
    // The way to it is remembered for a tenth of a second; what is heard of it counts at once.
    let mut lab = Lab::new(1);
    lab.service(Protocol::Udp, "203.0.113.80", 53, &[("10.1.1.77", 53)]);
    let packet = PacketBuilder::new("198.51.100.10", "203.0.113.80").udp(4000, 53, b"first");
    move_to(&mut lab, MAC);
    for _ in 0..3 {
        assert_eq!(lab.send(0, &packet).sent()[..6], MAC.0);
    }
    let elsewhere = Mac([2, 0, 0, 0, 1, 0x77]);
    move_to(&mut lab, elsewhere);
    assert_eq!(lab.send(0, &packet).sent()[..6], elsewhere.0);
}

#[test]
fn a_route_that_is_set_gets_the_next_packet_of_a_connection_that_stands() {
    // The way was remembered as one on the link, for longer than no time passes here.
    let mut lab = Lab::new(1);
    lab.service(Protocol::Udp, "203.0.113.80", 53, &[("10.1.1.77", 53)]);
    let packet = PacketBuilder::new("198.51.100.10", "203.0.113.80").udp(4000, 53, b"first");
    move_to(&mut lab, MAC);
    for _ in 0..3 {
        assert_eq!(lab.send(0, &packet).sent()[..6], MAC.0);
    }
    lab.change(|draft| {
        let route = Route {
            prefix: Prefix::containing([10, 1, 1, 77].into(), 32).unwrap(),
            via: Some([10, 1, 1, 254].into()),
            port: PortId(0),
            src: None,
            mtu: 0,
            scope: Scope::Global,
            metric: 0,
            is_connected: false,
        };
        draft.add_route(route).unwrap();
    });
    for _ in 0..3 {
        assert_eq!(lab.send(0, &packet).sent()[..6], [2, 0, 0, 0, 0, 3]);
    }
}

#[test]
fn a_server_that_gets_packets_all_the_time_is_asked_for_after_half_a_minute() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Udp, "203.0.113.80", 53, &[("10.1.1.77", 53)]);
    let packet = PacketBuilder::new("198.51.100.10", "203.0.113.80").udp(4000, 53, b"again");
    move_to(&mut lab, MAC);
    let mut asked = Vec::new();
    for ms in (0..31_000).step_by(50) {
        assert_eq!(lab.send(0, &packet).sent()[..6], MAC.0, "after {ms} ms");
        asked.extend(lab.workers[0].take_made().map(|_| ms));
        lab.now = lab.now + 50;
    }
    assert_eq!(asked, [30_000], "milliseconds at which the neighbour was asked for");
}
