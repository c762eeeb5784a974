// SPDX-License-Identifier: MIT OR Apache-2.0
//! Defects that were found once: hostile and unlucky sequences of frames and changes.
#![cfg(test)]
use dpvs_core::conn::{ConnIndex, State};
use dpvs_core::key::{Address, Endpoint};
use dpvs_core::net::{Mac, Prefix, Protocol};
use dpvs_core::tables::{DestSettings, Forward, Route, Scope, ServiceKey};
use dpvs_core::testing::{HeapFrame, Lab, Outcome, PacketBuilder, assert_checksums};
use dpvs_core::waiting::Waiting;
use dpvs_core::*;

const C: &str = "198.51.100.10";
const V: &str = "203.0.113.80";
const L: &str = "10.1.1.200";
const R: &str = "10.1.1.10";
const SYN: u8 = 2;
const ACK: u8 = 16;
const FINACK: u8 = 17;

fn p(a: &str, b: &str) -> PacketBuilder {
    PacketBuilder::new(a, b)
}
fn a(text: &str) -> Address {
    Address::from(text.parse::<std::net::IpAddr>().unwrap())
}
fn key(protocol: Protocol, vip: &str, port: u16) -> ServiceKey {
    ServiceKey::new(protocol, a(vip), port)
}
fn end(ip: &str, port: u16) -> Endpoint {
    Endpoint { address: a(ip), port }
}
fn set(weight: u32, upper: u32) -> DestSettings {
    DestSettings { weight, upper_threshold: upper, ..DestSettings::new(Forward::FullNat) }
}
fn id(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[38], frame[39]])
}
fn lport(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[34], frame[35]])
}
fn ping_lab(n: usize) -> Lab {
    let mut l = Lab::new(n);
    l.service(Protocol::Icmp, V, 0, &[(R, 0)]);
    l
}
fn gauges(lab: &Lab, k: &ServiceKey) -> (u32, u32) {
    let s = lab.tables.service(k).unwrap();
    (s.dests[0].shared.counters.active(), s.dests[0].shared.counters.inactive())
}
fn burst(lab: &mut Lab, w: usize, frames: &[Vec<u8>]) -> Vec<Verdict> {
    let mut fs: Vec<HeapFrame> = frames.iter().map(|f| HeapFrame::new(f)).collect();
    let mut v = [Verdict::Consumed; BURST];
    let now = lab.now;
    lab.workers[w].process(now, &mut fs, &mut v);
    v[..frames.len()].to_vec()
}

#[test]
fn two_first_replies_in_one_burst_make_one_reply() {
    let mut lab = ping_lab(1);
    let req = lab.send(0, &p(C, V).ping(7, 1, b"a")).sent();
    let pong = |s| p(R, L).pong(id(&req), s, b"a");
    burst(&mut lab, 0, &[pong(1), pong(1)]);
    assert_eq!(lab.connections(), 2, "request and one reply");
}

#[test]
fn nothing_of_the_pair_outlives_it() {
    let mut lab = ping_lab(1);
    let req = lab.send(0, &p(C, V).ping(7, 1, b"a")).sent();
    let pong = |s| p(R, L).pong(id(&req), s, b"a");
    burst(&mut lab, 0, &[pong(1), pong(1)]);
    lab.pass(130_000);
    let late = lab.send(0, &pong(2));
    assert_eq!((lab.connections(), late), (0, Outcome::Dropped(DropReason::IcmpUnsolicited)));
}

#[test]
fn reply_made_while_dest_removed_keeps_the_gauge() {
    let mut lab = ping_lab(1);
    let k = key(Protocol::Icmp, V, 0);
    let req = lab.send(0, &p(C, V).ping(7, 1, b"a")).sent();
    lab.change(|d| d.del_dest(&k, end(R, 0)).unwrap());
    lab.send(0, &p(R, L).pong(id(&req), 1, b"a")).sent();
    lab.change(|d| d.add_dest(&k, end(R, 0), set(1, 0)).unwrap());
    assert_eq!(gauges(&lab, &k), (0, 2), "two connections stand: {}", lab.connections());
}

#[test]
fn tcp_state_change_while_dest_removed_keeps_the_gauge() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Tcp, V, 80, &[(R, 8080)]);
    let k = key(Protocol::Tcp, V, 80);
    let s = lab.send(0, &p(C, V).tcp(4000, 80, SYN, &[])).sent();
    lab.send(0, &p(C, V).tcp(4000, 80, ACK, &[])).sent();
    assert_eq!(gauges(&lab, &k), (1, 0));
    lab.change(|d| d.del_dest(&k, end(R, 8080)).unwrap());
    lab.send(0, &p(R, L).tcp(8080, lport(&s), FINACK, &[])).sent();
    lab.pass(200_000);
    assert_eq!(lab.connections(), 0);
    lab.change(|d| d.add_dest(&k, end(R, 8080), set(1, 0)).unwrap());
    assert_eq!(gauges(&lab, &k), (0, 0));
}

#[test]
fn laddr_gauge_after_readding() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Udp, V, 53, &[(R, 53)]);
    let k = key(Protocol::Udp, V, 53);
    lab.send(0, &p(C, V).udp(1, 53, b"x")).sent();
    lab.change(|d| {
        d.del_laddr(&k, a(L)).unwrap();
        d.add_laddr(&k, a(L), PortId(0)).unwrap();
    });
    lab.pass(200_000);
    lab.send(0, &p(C, V).udp(2, 53, b"x")).sent();
    lab.pass(150_000);
    assert_eq!(lab.connections(), 1);
    let n: u32 = lab.tables.service(&k).unwrap().laddrs[0]
        .counters
        .parts()
        .map(|c| c.connections.get())
        .sum();
    assert_eq!(n, 1);
}

#[test]
fn reply_half_counts_for_thresholds() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Icmp, V, 0, &[]);
    let k = key(Protocol::Icmp, V, 0);
    lab.change(|d| d.add_dest(&k, end(R, 0), set(1, 2)).unwrap());
    let req = lab.send(0, &p(C, V).ping(7, 1, b"a")).sent();
    lab.send(0, &p(R, L).pong(id(&req), 1, b"a")).sent();
    assert_eq!(gauges(&lab, &k).1, 2);
    assert_eq!(
        lab.send(0, &p("198.51.100.11", V).ping(7, 1, b"a")),
        Outcome::Dropped(DropReason::NoDest)
    );
}

#[test]
fn error_about_a_ping_from_a_local_address_with_a_service_finds_its_owner() {
    for workers in [2, 3, 4, 5] {
        let mut lab = ping_lab(workers);
        lab.service(Protocol::Icmp, L, 0, &[("10.1.1.11", 0)]);
        for w in 0..workers {
            let req = lab.send(0, &p(C, V).ping(u16::try_from(w).unwrap(), 1, b"abcdefgh")).sent();
            let out = lab.send(w, &p("10.1.1.254", L).icmp(3, 1, [0; 4], &req[14..]));
            assert!(matches!(out, Outcome::Sent(_)), "{workers} workers, at {w}: {out:?}");
        }
    }
}

#[test]
fn local_port_never_collides_with_a_service_on_the_local_address() {
    for workers in 2..6 {
        for host in 10..12u8 {
            let r = format!("10.1.1.{host}");
            let r = r.as_str();
            let mut lab = Lab::new(workers);
            lab.service(Protocol::Udp, V, 53, &[(r, 53)]);
            lab.service(Protocol::Udp, L, 5000, &[("10.1.1.11", 53)]);
            lab.change(|d| {
                d.tables_mut().limits.local_port_min = 5000;
                d.tables_mut().limits.local_port_max = 5001;
            });
            let mut bad = Vec::new();
            for cport in 1..40u16 {
                let Outcome::Sent(out) = lab.send(0, &p(C, V).udp(cport, 53, b"q")) else {
                    continue;
                };
                for w in 0..workers {
                    let before = lab.connections();
                    let back = lab.send(w, &p(r, L).udp(53, lport(&out), b"r"));
                    let ok = matches!(&back, Outcome::Sent(b) if b[30..34] == [198, 51, 100, 10]);
                    if !ok || lab.connections() != before {
                        bad.push((cport, lport(&out), w, back));
                    }
                }
            }
            assert!(bad.is_empty(), "{workers} {r} {bad:?}");
        }
    }
}

#[test]
fn connections_go_on_after_their_local_address_is_removed() {
    for service in [false, true] {
        let mut lab = Lab::new(4);
        lab.service(Protocol::Tcp, V, 80, &[(R, 8080)]);
        let k = key(Protocol::Tcp, V, 80);
        let s = lab.send(0, &p(C, V).tcp(4000, 80, SYN, &[])).sent();
        lab.change(|d| {
            if service { d.del_service(&k).unwrap() } else { d.del_laddr(&k, a(L)).unwrap() }
        });
        for w in 0..4 {
            let out = lab.send(w, &p(R, L).tcp(8080, lport(&s), ACK, &[]));
            assert!(matches!(out, Outcome::Sent(_)), "service deleted {service}, at {w}: {out:?}");
        }
    }
}

#[test]
fn errors_about_connections_whose_local_address_is_removed() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Tcp, V, 80, &[(R, 8080)]);
    let k = key(Protocol::Tcp, V, 80);
    let s = lab.send(0, &p(C, V).tcp(4000, 80, SYN, &[])).sent();
    lab.change(|d| d.del_laddr(&k, a(L)).unwrap());
    lab.send(0, &p("10.1.1.254", L).icmp(3, 1, [0; 4], &s[14..])).sent();
}

#[test]
fn too_big_without_df_is_never_answered_with_3_4() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Tcp, V, 80, &[(R, 8080)]);
    lab.send(0, &p(C, V).tcp(4000, 80, SYN, &[])).sent();
    let out = lab.send(0, &p(C, V).flags_fragment(0).tcp(4000, 80, ACK, &[0; 1480]));
    if let Outcome::Sent(b) = &out {
        assert_ne!((b[23], b[34], b[35]), (1, 3, 4), "3/4 for a packet without DF");
    }
}

#[test]
fn our_own_addresses_are_no_clients() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Udp, V, 53, &[(R, 53)]);
    lab.service(Protocol::Udp, "203.0.113.90", 53, &[(R, 53)]);
    for own in ["203.0.113.2", L, "203.0.113.90"] {
        let out = lab.send(0, &p(own, V).udp(53, 53, b"x"));
        assert_eq!(out, Outcome::Dropped(DropReason::BadSource), "{own}");
    }
}

#[test]
fn frames_for_a_dead_hop_are_all_given_up_together() {
    let mut lab = Lab::new(1);
    let hop = NextHop { port: PortId(0), address: a("10.1.1.77") };
    let mut w = Waiting::new();
    for _ in 0..16 {
        w.push(&lab.workers[0], HeapFrame::new(&[0; 60]), hop);
    }
    let mut gone = 0;
    for ms in (0..5000).step_by(10) {
        w.poll(&mut lab.workers[0], Millis(1000 + ms), |_, _| gone += 1);
    }
    assert_eq!(w.len(), 0, "gone {gone} after 5 s");
}

#[test]
fn first_reply_is_no_forwarded_query_nor_is_an_expired_one() {
    let mut lab = ping_lab(1);
    let req = lab.send(0, &p(C, V).ping(7, 1, b"a")).sent();
    lab.send(0, &p(R, L).pong(id(&req), 1, b"a")).sent();
    lab.send(0, &p(R, L).pong(id(&req), 1, b"a")).sent();
    assert_eq!(lab.workers[0].counters().icmp_query_forwarded.get(), 1);
}

#[test]
fn expired_query_is_not_forwarded() {
    let mut lab = ping_lab(1);
    lab.send(0, &p(C, V).ttl(1).ping(7, 1, b"a")).sent();
    assert_eq!((lab.workers[0].counters().icmp_query_forwarded.get(), lab.connections()), (0, 0));
}

#[test]
fn one_drop_one_reason() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Tcp, V, 80, &[(R, 8080)]);
    lab.send(0, &p("192.0.2.5", V).tcp(4000, 80, SYN, &[])).sent();
    let out = lab.send(0, &p("192.0.2.5", V).ttl(1).tcp(4000, 80, ACK, &[]));
    let all: u64 = DropReason::ALL.iter().map(|r| lab.drops(*r)).sum();
    assert_eq!((all, lab.workers[0].counters().icmp_made_time_exceeded.get()), (1, 0), "{out:?}");
}

#[test]
fn fragments_for_a_service_are_not_the_kernels() {
    let mut lab = ping_lab(1);
    lab.change(|d| {
        let mut port = d.tables().port(PortId(0)).unwrap().clone();
        port.has_kernel = true;
        d.set_port(port).unwrap();
    });
    let later = p(C, V).flags_fragment(0x0010).raw(1, &[0; 64]);
    assert_eq!(lab.send(0, &later), Outcome::Dropped(DropReason::Fragment));
    lab.send(0, &p(C, V).flags_fragment(0x2000).ping(7, 1, &[0; 64])).sent();
    lab.send(0, &later).sent();
}

#[test]
fn new_timeouts_hold_from_the_next_packet_on() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Udp, V, 53, &[(R, 53)]);
    lab.send(0, &p(C, V).udp(1, 53, b"x")).sent();
    lab.change(|d| d.tables_mut().timeouts.udp_ms = 10_000);
    lab.send(0, &p(C, V).udp(1, 53, b"x")).sent();
    lab.pass(12_000);
    assert_eq!(lab.connections(), 0);
}

#[test]
fn longer_timeouts_hold_from_the_next_packet_on() {
    let mut lab = ping_lab(1);
    lab.send(0, &p(C, V).ping(1, 53, b"x")).sent();
    lab.change(|d| d.tables_mut().timeouts.icmp_ms = 120_000);
    lab.send(0, &p(C, V).ping(1, 53, b"x")).sent();
    lab.pass(100_000);
    assert_eq!(lab.connections(), 1);
}

#[test]
fn a_connection_whose_time_is_over_is_over_before_the_wheel_turns() {
    let mut lab = ping_lab(1);
    let req = lab.send(0, &p(C, V).ping(7, 1, b"a")).sent();
    lab.now = lab.now + 75_000;
    let late = lab.send(0, &p(R, L).pong(id(&req), 1, b"a"));
    assert_eq!(late, Outcome::Dropped(DropReason::IcmpUnsolicited));
}

#[test]
fn laddrs_of_the_other_family_do_not_hide_one() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Udp, V, 53, &[(R, 53)]);
    let k = key(Protocol::Udp, V, 53);
    lab.change(|d| {
        for n in 1..20 {
            let _ = d.add_laddr(&k, a(&format!("2001:db8:a::{n}")), PortId(0));
        }
    });
    for n in 1..6 {
        lab.send(0, &p(C, V).udp(n, 53, b"x")).sent();
    }
}

#[test]
fn a_reply_that_dies_here_makes_nothing() {
    let mut lab = ping_lab(1);
    let req = lab.send(0, &p(C, V).ping(7, 1, b"a")).sent();
    lab.send(0, &p(R, L).ttl(1).pong(id(&req), 1, b"a"));
    assert_eq!(lab.connections(), 1);
}

#[test]
fn syn_that_dies_here_makes_nothing() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Udp, V, 53, &[(R, 53)]);
    lab.send(0, &p(C, V).ttl(1).udp(7, 53, b"a"));
    assert_eq!(lab.connections(), 0);
}

#[test]
fn arp_with_a_link_address_of_nobody_is_not_learned() {
    for mac in [[0u8; 6], PacketBuilder::OUR_MAC] {
        let mut lab = Lab::new(1);
        let mut arp =
            [&[0xff; 6][..], &PacketBuilder::PEER_MAC, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
        arp.extend(mac);
        arp.extend([198, 51, 100, 77, 0, 0, 0, 0, 0, 0, 198, 51, 100, 2]);
        lab.send(0, &arp);
        let learned: Vec<_> = lab.workers[0].take_learned().collect();
        assert!(learned.is_empty(), "{learned:?}");
    }
    let _ = Mac::default();
}

#[test]
fn thresholds_start_afresh_after_zero() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Udp, V, 53, &[]);
    let k = key(Protocol::Udp, V, 53);
    lab.change(|d| d.add_dest(&k, end(R, 53), set(1, 4)).unwrap());
    for n in 1..5 {
        lab.send(0, &p(C, V).udp(n, 53, b"x")).sent();
    }
    lab.change(|d| d.set_dest(&k, end(R, 53), set(1, 0)).unwrap());
    lab.change(|d| d.set_dest(&k, end(R, 53), set(1, 5)).unwrap());
    lab.send(0, &p(C, V).udp(9, 53, b"x")).sent();
}

#[test]
fn oversized_local_reply_is_not_sent_beyond_the_mtu() {
    let mut lab = Lab::new(1);
    let out = lab.send(0, &p(C, V).ping(1, 1, &[0; 3000]));
    if let Outcome::Sent(b) = out {
        assert!(b.len() <= 1514, "{}", b.len());
    }
}

#[test]
fn an_oversized_relayed_error_is_not_sent_beyond_the_mtu() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Udp, V, 53, &[(R, 53)]);
    let s = lab.send(0, &p(C, V).udp(1, 53, &[0; 1200])).sent();
    lab.change(|d| {
        let mut port = d.tables().port(PortId(0)).unwrap().clone();
        port.mtu = 1000;
        d.set_port(port).unwrap();
    });
    let out = lab.send(0, &p("10.1.1.254", L).icmp(3, 1, [0; 4], &s[14..])).sent();
    assert_eq!(out.len(), 14 + 1000, "the quote is cut");
    assert_checksums(&out);
}

#[test]
fn an_orphaned_reply_keeps_nobody_else_alive() {
    let mut lab = ping_lab(1);
    lab.service(Protocol::Udp, V, 53, &[(R, 53)]);
    let req = lab.send(0, &p(C, V).ping(7, 1, b"a")).sent();
    let pong = |s| p(R, L).pong(id(&req), s, b"a");
    burst(&mut lab, 0, &[pong(1), pong(1)]);
    lab.pass(62_000);
    // Two connections take the two free positions, the request's among them.
    lab.send(0, &p(C, V).udp(1, 53, b"x")).sent();
    lab.send(0, &p(C, V).udp(2, 53, b"x")).sent();
    for _ in 0..40 {
        lab.pass(10_000);
        lab.send(0, &pong(9));
    }
    let udp = (0..9)
        .filter_map(|n| lab.workers[0].connections().get(ConnIndex(n)))
        .filter(|c| matches!(c.state, State::Udp))
        .count();
    assert_eq!(udp, 0, "400 s after the last UDP packet");
}

#[test]
fn two_services_do_not_answer_each_other_for_ever() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Udp, "192.0.2.80", 53, &[(R, 53)]);
    lab.change(|d| {
        d.add_route(Route {
            prefix: Prefix::containing("0.0.0.0".parse().unwrap(), 0).unwrap(),
            via: Some("198.51.100.254".parse().unwrap()),
            port: PortId(0),
            src: None,
            mtu: 0,
            scope: Scope::Global,
            metric: 0,
            is_connected: false,
        })
        .unwrap();
    });
    lab.service(Protocol::Udp, "192.0.2.81", 53, &[("10.1.1.11", 53)]);
    // A client forges the other service as source. The router sends what we send back to us.
    let mut frame = p("192.0.2.81", "192.0.2.80").udp(53, 53, b"x");
    let mut hops = 0;
    for _ in 0..20 {
        let Outcome::Sent(to_server) = lab.send(0, &frame) else { break };
        let r: std::net::Ipv4Addr = <[u8; 4]>::try_from(&to_server[30..34]).unwrap().into();
        let l: std::net::Ipv4Addr = <[u8; 4]>::try_from(&to_server[26..30]).unwrap().into();
        let answer = p(&r.to_string(), &l.to_string()).udp(53, lport(&to_server), b"x");
        let Outcome::Sent(back) = lab.send(0, &answer) else { break };
        hops += 1;
        let s: std::net::Ipv4Addr = <[u8; 4]>::try_from(&back[26..30]).unwrap().into();
        let d: std::net::Ipv4Addr = <[u8; 4]>::try_from(&back[30..34]).unwrap().into();
        frame = p(&s.to_string(), &d.to_string()).udp(53, 53, b"x");
    }
    assert_eq!(hops, 0);
}

#[test]
fn half_a_quoted_tcp_checksum() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Tcp, V, 80, &[(R, 8080)]);
    let there = p(C, V).tcp(4000, 80, 2, b"data");
    let s = lab.send(0, &there).sent();
    let e = p("10.1.1.254", L).icmp(3, 1, [0; 4], &s[14..14 + 20 + 17]);
    let out = lab.send(0, &e).sent();
    assert_checksums(&out);
    assert_eq!(out[42 + 36], e[42 + 36], "half a checksum stays as it came");
}
