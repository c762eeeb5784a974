// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every reason to drop is reached, counted once, and leaves no connection behind.
//!
//! `MultiSegment`, `SteerFull` and `TransmitFull` are counted by the daemon, which owns buffers, rings
//! and queues; its tests reach them.
#![cfg(test)]

use dpvs_core::net::Protocol;
use dpvs_core::testing::{Lab, Outcome, PacketBuilder};
use dpvs_core::{DropReason, Verdict};

const C: &str = "198.51.100.10";
const V: &str = "203.0.113.80";
const L: &str = "10.1.1.200";
const R: &str = "10.1.1.10";
const X: &str = "198.51.100.254";
const C6: &str = "2001:db8:c::10";
const V6: &str = "2001:db8:80::80";
const SYN: u8 = 2;
const ACK: u8 = 16;

fn v4(src: &str, dst: &str) -> PacketBuilder {
    PacketBuilder::new(src, dst)
}

fn lab() -> Lab {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Tcp, V, 80, &[(R, 8080)]);
    lab.service(Protocol::Icmp, V, 0, &[(R, 0)]);
    lab.service(Protocol::Tcp, V6, 80, &[("2001:db8:a::10", 8080)]);
    lab
}

/// The frame is dropped for the reason, the counter moves by one, and no connection is made.
fn drops(lab: &mut Lab, frame: &[u8], reason: DropReason) {
    let before: Vec<u64> = DropReason::ALL.iter().map(|r| lab.drops(*r)).collect();
    let connections = lab.connections();
    assert_eq!(lab.send(0, frame), Outcome::Dropped(reason));
    for (r, before) in DropReason::ALL.iter().zip(before) {
        assert_eq!(lab.drops(*r) - before, u64::from(*r == reason), "{}", r.name());
    }
    assert_eq!(lab.connections(), connections, "{} made a connection", reason.name());
}

/// A quote of the connection C:40000 -> V:80 as the client side saw its answers.
fn quote(len: usize) -> Vec<u8> {
    v4(V, C).tcp(80, 40000, ACK, &[0; 64])[14..14 + len].to_vec()
}

fn error(icmp_type: u8, code: u8, rest: [u8; 4], quote: &[u8]) -> Vec<u8> {
    v4(X, V).icmp(icmp_type, code, rest, quote)
}

#[test]
fn frames_that_lie_about_their_lengths() {
    let mut lab = lab();
    let good = v4(C, V).tcp(40000, 80, SYN, &[]);
    // TruncatedHeader at every length that cuts a header or the packet.
    for len in 0..good.len() {
        let outcome = lab.send(0, &good[..len]);
        assert!(matches!(outcome, Outcome::Dropped(_)), "{len} bytes: {outcome:?}");
    }
    assert_eq!(lab.connections(), 0);
    drops(&mut lab, &good[..20], DropReason::TruncatedHeader);
    let mut frame = good.clone();
    frame[14] = 0x44;
    drops(&mut lab, &frame, DropReason::MalformedHeader);
    let mut frame = v4(C, V).udp(1, 53, b"x");
    frame[14 + 20 + 4] = 0xff;
    drops(&mut lab, &frame, DropReason::MalformedHeader);
}

#[test]
fn damaged_headers_and_strangers_frames() {
    let mut lab = lab();
    let mut frame = v4(C, V).tcp(40000, 80, SYN, &[]);
    frame[22] ^= 1;
    drops(&mut lab, &frame, DropReason::BadChecksum);
    let other = v4(C, V).dst_mac([2, 0, 0, 0, 0, 0x77]).tcp(40000, 80, SYN, &[]);
    drops(&mut lab, &other, DropReason::NotOurMac);
    let mut tagged = v4(C, V).tcp(40000, 80, SYN, &[]);
    tagged.splice(12..12, [0x81, 0x00, 0x00, 0x07]);
    drops(&mut lab, &tagged, DropReason::UnknownVlan);
    let mut lldp = v4(C, V).tcp(40000, 80, SYN, &[]);
    lldp[12..14].copy_from_slice(&[0x88, 0xcc]);
    drops(&mut lab, &lldp, DropReason::NotIp);
    for bad in ["224.0.0.1", "127.0.0.1", "0.0.0.0", "255.255.255.255", V] {
        drops(&mut lab, &v4(bad, V).tcp(40000, 80, SYN, &[]), DropReason::BadSource);
    }
}

/// A tag with VLAN 0 carries only a priority: the frame is as good as untagged.
#[test]
fn a_priority_tag_is_looked_through_and_taken_off() {
    let mut lab = lab();
    let plain = v4(C, V).tcp(40000, 80, SYN, &[]);
    let mut tagged = plain.clone();
    tagged.splice(12..12, [0x81, 0x00, 0xe0, 0x00]);
    let first = lab.send(0, &tagged).sent();
    assert_eq!(lab.send(0, &plain).sent(), first);
}

#[test]
fn fragments_and_extension_headers() {
    let mut lab = lab();
    let uneven = v4(C, V).flags_fragment(0x2000).udp(1, 80, &[0; 65]);
    drops(&mut lab, &uneven, DropReason::MalformedHeader);
    let beyond = v4(C, V).flags_fragment(0x1fff).raw(17, &[0; 64]);
    drops(&mut lab, &beyond, DropReason::MalformedHeader);
    let later = v4(C, V).flags_fragment(0x0010).raw(17, &[0; 64]);
    drops(&mut lab, &later, DropReason::Fragment);
    let chain: Vec<u8> = (0..10).flat_map(|_| [60, 0, 1, 4, 0, 0, 0, 0]).collect();
    drops(&mut lab, &v4(C6, V6).raw(60, &chain), DropReason::ExtensionHeaders);
}

#[test]
fn packets_for_nobody_or_nothing() {
    let mut lab = lab();
    drops(&mut lab, &v4(C, "192.0.2.77").tcp(1, 80, SYN, &[]), DropReason::NotForUs);
    drops(&mut lab, &v4(C, "203.0.113.2").tcp(1, 22, SYN, &[]), DropReason::NoKernelInterface);
    drops(&mut lab, &v4(C, V).tcp(1, 81, SYN, &[]), DropReason::NoService);
    drops(&mut lab, &v4(C, V).tcp(40000, 80, ACK, &[]), DropReason::NoConnection);
    drops(&mut lab, &v4(R, L).tcp(8080, 1024, ACK, &[]), DropReason::NoConnection);
}

#[test]
fn connections_that_cannot_be_made() {
    let mut lab = Lab::with_capacity(1, 1);
    lab.service(Protocol::Tcp, V, 80, &[]);
    drops(&mut lab, &v4(C, V).tcp(1, 80, SYN, &[]), DropReason::NoDest);

    let vip = dpvs_core::key::Address::v4([203, 0, 113, 80]);
    let key = dpvs_core::tables::ServiceKey::new(Protocol::Tcp, vip, 80);
    let laddr = dpvs_core::key::Address::v4([10, 1, 1, 200]);
    let end = |last| dpvs_core::key::Endpoint {
        address: dpvs_core::key::Address::v4([10, 1, 1, last]),
        port: 8080,
    };
    let settings = dpvs_core::tables::DestSettings::new(dpvs_core::tables::Forward::FullNat);
    lab.change(|draft| {
        draft.add_dest(&key, end(10), settings).unwrap();
        draft.del_laddr(&key, laddr).unwrap();
    });
    drops(&mut lab, &v4(C, V).tcp(1, 80, SYN, &[]), DropReason::NoLocalAddress);

    // One local port, towards one server: the second connection finds none.
    lab.change(|draft| {
        draft.add_laddr(&key, laddr, dpvs_core::PortId(0)).unwrap();
        draft.tables_mut().limits.local_port_min = 5000;
        draft.tables_mut().limits.local_port_max = 5000;
    });
    // No route: the connection stands, its packet is lost.
    assert_eq!(lab.send(0, &v4(C, V).tcp(1, 80, SYN, &[])), Outcome::Dropped(DropReason::NoRoute));
    assert_eq!(lab.connections(), 1);
    drops(&mut lab, &v4(C, V).tcp(2, 80, SYN, &[]), DropReason::LocalPortsExhausted);
    // Another server has its own 5000, but the table has room for one connection.
    lab.change(|draft| draft.add_dest(&key, end(11), settings).unwrap());
    lab.change(|draft| draft.del_dest(&key, end(10)).unwrap());
    drops(&mut lab, &v4(C, V).tcp(2, 80, SYN, &[]), DropReason::TableFull);
    // The first one's server is gone: what its client sends is lost, and nothing else changes.
    drops(&mut lab, &v4(C, V).tcp(1, 80, ACK, &[]), DropReason::DestGone);
}

#[test]
fn a_next_hop_that_never_answers() {
    let mut lab = lab();
    lab.service(Protocol::Tcp, V, 81, &[("10.1.1.77", 8080)]);
    let frame = v4(C, V).tcp(1, 81, SYN, &[]);
    for second in 0..3 {
        let outcome = lab.send(0, &frame);
        assert!(matches!(outcome, Outcome::Other(Verdict::Wait(_))), "{second}: {outcome:?}");
        assert_eq!(lab.workers[0].take_made().count(), 1, "asked once a second");
        lab.pass(1000);
    }
    assert_eq!(lab.send(0, &frame), Outcome::Dropped(DropReason::NeighbourUnresolved));
}

#[test]
fn a_full_queue_of_waiting_frames() {
    use dpvs_core::testing::HeapFrame;
    use dpvs_core::{NextHop, PortId, waiting::Waiting};
    let lab = lab();
    let mut waiting = Waiting::new();
    let address = dpvs_core::key::Address::v4([10, 1, 1, 77]);
    let hop = NextHop { port: PortId(0), address };
    for n in 0..20 {
        let back = waiting.push(&lab.workers[0], HeapFrame::new(&[0; 60]), hop);
        assert_eq!(back.is_some(), n >= 16, "frame {n}");
    }
    assert_eq!(lab.drops(DropReason::WaitingFull), 4);
}

#[test]
fn time_to_live_and_size() {
    let mut lab = lab();
    lab.send(0, &v4(C, V).tcp(40000, 80, SYN, &[])).sent();
    let made = lab.send(0, &v4(C, V).ttl(1).tcp(40000, 80, ACK, &[])).sent();
    assert_eq!((made[34], made[35]), (11, 0));
    assert_eq!(lab.drops(DropReason::TtlExceeded), 1);
    let made = lab.send(0, &v4(C, V).tcp(40000, 80, ACK, &[0; 1480])).sent();
    assert_eq!((made[34], made[35], &made[40..42]), (3, 4, &1500u16.to_be_bytes()[..]));
    assert_eq!(made.len(), 14 + 576, "RFC 1812: at most 576 bytes");
    assert_eq!(lab.drops(DropReason::TooBig), 1);
}

#[test]
fn the_links_own_protocols() {
    let mut lab = lab();
    let mut arp =
        [&[0xff; 6][..], &PacketBuilder::PEER_MAC, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
    arp.extend(PacketBuilder::PEER_MAC);
    arp.extend([198, 51, 100, 10, 0, 0, 0, 0, 0, 0, 198, 51, 100, 77]);
    drops(&mut lab, &arp, DropReason::Arp);
    // A solicitation that a router has passed on: hop limit 254.
    let mut body = vec![0x20, 1, 0xd, 0xb8, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80];
    body.extend([1, 1, 2, 0, 0, 0, 0, 1]);
    let bad = v4(C6, V6).ttl(254).icmp(135, 0, [0; 4], &body);
    drops(&mut lab, &bad, DropReason::NeighbourDiscovery);
}

#[test]
fn icmp_that_is_no_query_and_no_related_error() {
    let mut lab = lab();
    let mut ping = v4(C, V).ping(1, 1, b"x");
    ping[36] ^= 1;
    drops(&mut lab, &ping, DropReason::IcmpBadChecksum);
    drops(&mut lab, &v4(R, L).pong(7, 1, b"x"), DropReason::IcmpUnsolicited);
    drops(&mut lab, &v4(C, V).pong(7, 1, b"x"), DropReason::IcmpUnsolicited);
    let stamp = v4(C, "203.0.113.2").icmp(13, 0, [0, 1, 0, 1], &[0; 12]);
    drops(&mut lab, &stamp, DropReason::IcmpQuery);
    for other in [9, 10, 15, 17, 40, 42, 253] {
        drops(&mut lab, &error(other, 0, [0; 4], &quote(48)), DropReason::IcmpUnknownType);
    }
    drops(&mut lab, &error(5, 1, [0; 4], &quote(48)), DropReason::IcmpRedirect);
    lab.change(|draft| draft.tables_mut().limits.icmp.relays_source_quench = false);
    drops(&mut lab, &error(4, 0, [0; 4], &quote(48)), DropReason::IcmpQuench);
}

#[test]
fn errors_whose_quotes_are_no_good() {
    let mut lab = lab();
    lab.send(0, &v4(C, V).tcp(40000, 80, SYN, &[])).sent();
    for len in [0, 12, 20, 23] {
        drops(&mut lab, &error(3, 1, [0; 4], &quote(len)), DropReason::IcmpShortQuote);
    }
    let mut bad = quote(48);
    bad[0] = 0x65;
    drops(&mut lab, &error(3, 1, [0; 4], &bad), DropReason::IcmpBadQuote);
    let nested = v4(V, C).icmp(3, 1, [0; 4], &[0; 28])[14..].to_vec();
    drops(&mut lab, &error(3, 1, [0; 4], &nested), DropReason::IcmpNested);
    let mut later = quote(48);
    later[6..8].copy_from_slice(&[0, 9]);
    drops(&mut lab, &error(3, 1, [0; 4], &later), DropReason::IcmpQuoteFragment);
    let esp = v4(V, C).raw(50, &[0; 32])[14..].to_vec();
    drops(&mut lab, &error(3, 1, [0; 4], &esp), DropReason::IcmpQuoteProtocol);
    let other = v4("203.0.113.2", C).tcp(80, 40000, ACK, &[])[14..].to_vec();
    drops(&mut lab, &error(3, 1, [0; 4], &other), DropReason::IcmpSourceMismatch);
    let unknown = v4(V, C).tcp(80, 40001, ACK, &[])[14..].to_vec();
    drops(&mut lab, &error(3, 1, [0; 4], &unknown), DropReason::IcmpUnrelated);
}

/// A-53 of the specification: MTUs that cannot be, that are old, and that are odd.
#[test]
fn a53_errors_with_path_mtus_at_the_edges() {
    let mut lab = lab();
    lab.send(0, &v4(C, V).tcp(40000, 80, SYN, &[])).sent();
    lab.change(|draft| draft.tables_mut().limits.icmp.mtu_gap_ms = 0);
    let with = |mtu: u16| {
        let [a, b] = mtu.to_be_bytes();
        error(3, 4, [0, 0, a, b], &quote(48))
    };
    for mtu in [1, 20, 67] {
        drops(&mut lab, &with(mtu), DropReason::IcmpMtuTooSmall);
    }
    for mtu in [0, 68, 575, 1500] {
        lab.send(0, &with(mtu)).sent();
    }
    let counters = lab.workers[0].counters();
    assert_eq!(counters.icmp_error_ptb_zero_mtu.get(), 1);
    assert_eq!(counters.icmp_error_ptb_implausible.get(), 2);
}

#[test]
fn errors_at_their_end_of_life_and_floods_of_them() {
    let mut lab = lab();
    lab.send(0, &v4(C, V).tcp(40000, 80, SYN, &[])).sent();
    let old = v4(X, V).ttl(1).icmp(3, 1, [0; 4], &quote(48));
    drops(&mut lab, &old, DropReason::IcmpTtl);
    lab.change(|draft| draft.tables_mut().limits.icmp.relayed_per_s = 10);
    let frame = error(3, 1, [0; 4], &quote(48));
    let sent = (0..50).filter(|_| matches!(lab.send(0, &frame), Outcome::Sent(_))).count();
    assert!(sent <= 10, "{sent} relayed");
    assert!(lab.drops(DropReason::IcmpLimited) >= 40);
}
