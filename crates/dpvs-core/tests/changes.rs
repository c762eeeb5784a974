// SPDX-License-Identifier: MIT OR Apache-2.0
//! Servers and services that change under connections, and answers that many services may own.
#![cfg(test)]

use dpvs_core::conn::Conn;
use dpvs_core::key::Endpoint;
use dpvs_core::net::{Prefix, Protocol};
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{
    DestSettings, Forward, Persistence, Route, Scope, ServiceKey, ServiceSettings,
};
use dpvs_core::testing::{HeapFrame, Lab, Outcome, PacketBuilder, address, end, service_key};
use dpvs_core::{BURST, DropReason, Frame, PortId, Verdict};

const C: &str = "198.51.100.10";
const C2: &str = "198.51.100.11";
const V: &str = "203.0.113.80";
const R: &str = "10.1.1.10";
const R2: &str = "10.1.1.11";
const SYN: u8 = 2;
const ACK: u8 = 16;
const SYNACK: u8 = 18;

const RR: ServiceSettings = ServiceSettings::new(Scheduler::Rr);
const METHODS: [Forward; 4] = [Forward::FullNat, Forward::Nat, Forward::Direct, Forward::Tunnel];

fn p(src: &str, dst: &str) -> PacketBuilder {
    PacketBuilder::new(src, dst)
}

fn text(end: Endpoint) -> String {
    format!("{:?}", end.address)
}

fn tcp() -> ServiceKey {
    service_key(Protocol::Tcp, V, 80)
}

fn udp() -> ServiceKey {
    service_key(Protocol::Udp, V, 53)
}

fn weighing(forward: Forward, weight: u32) -> DestSettings {
    DestSettings { weight, ..DestSettings::new(forward) }
}

/// What the real server of a connection sends.
fn answer(conn: &Conn, flags: u8) -> Vec<u8> {
    let [r, l] = [conn.dest_end(), conn.local()];
    let packet = p(&text(r), &text(l));
    match conn.protocol() {
        Protocol::Tcp => packet.tcp(r.port, l.port, flags, b"a"),
        Protocol::Udp => packet.udp(r.port, l.port, b"a"),
        _ => packet.pong(l.port, 1, b"a"),
    }
}

// ---- one burst

/// What is looked up for a whole burst may end within it, and its place be taken by another client.
#[test]
fn a_connection_that_ends_within_a_burst_is_nobody_elses() {
    for method in METHODS {
        let mut lab = Lab::new(1);
        lab.serve(&tcp(), RR, &[(end(R, 80), DestSettings::new(method))]);
        let data = p(C, V).tcp(4000, 80, ACK, b"of the first client");
        lab.send(0, &p(C, V).tcp(4000, 80, SYN, &[])).sent();
        lab.now = lab.now + 2_000_000;
        let out = lab.burst(0, &[data.clone(), p(C2, V).tcp(5000, 80, SYN, &[]), data]);
        assert_eq!(out[0].0, Verdict::Drop(DropReason::NoConnection), "{method:?}");
        assert_eq!(out[1].0, Verdict::Transmit(PortId(0)), "{method:?}");
        assert_eq!(out[2].0, Verdict::Drop(DropReason::NoConnection), "{method:?}");
    }
}

#[test]
fn two_queries_in_a_burst_after_the_pair_has_ended_make_one_new_pair() {
    for method in METHODS {
        let mut lab = Lab::new(1);
        let key = service_key(Protocol::Icmp, V, 0);
        lab.serve(&key, RR, &[(end(R, 0), DestSettings::new(method))]);
        lab.send(0, &p(C, V).ping(7, 1, b"a")).sent();
        if method.sees_replies() {
            let conn = lab.all()[0].1;
            lab.send(0, &answer(&conn, 0)).sent();
        }
        lab.now = lab.now + 75_000;
        let out = lab.burst(0, &[p(C, V).ping(7, 2, b"a"), p(C, V).ping(7, 3, b"a")]);
        assert!(out[..2].iter().all(|(v, _)| *v == Verdict::Transmit(PortId(0))), "{method:?}");
        assert_eq!((lab.connections(), lab.gauges(&key)), (1, [0, 1, 0]), "{method:?}");
    }
}

// ---- servers and services that change

#[test]
fn a_connection_keeps_the_method_it_was_made_with() {
    for from in METHODS {
        for to in METHODS {
            let mut lab = Lab::new(1);
            lab.serve(&tcp(), RR, &[(end(R, 80), DestSettings::new(from))]);
            lab.send(0, &p(C, V).tcp(4000, 80, SYN, &[])).sent();
            let ack = p(C, V).tcp(4000, 80, ACK, &[]);
            let before = lab.send(0, &ack).sent();
            lab.change(|draft| {
                draft.set_dest(&tcp(), end(R, 80), DestSettings::new(to)).unwrap();
            });
            assert_eq!(lab.send(0, &ack).sent(), before, "{from:?} to {to:?}");
            // What is too long is so for the old method: 1500 bytes fit but for a tunnel.
            let full = p(C, V).tcp(4000, 80, ACK, &[0; 1460]);
            let is_error = lab.send(0, &full).sent()[34] == 3;
            assert_eq!(is_error, from == Forward::Tunnel, "{from:?} to {to:?}");
            lab.pass(1_000_000);
            assert_eq!((lab.connections(), lab.gauges(&tcp())), (0, [0; 3]));
        }
    }
}

#[test]
fn connections_live_through_the_removal_and_return_of_their_server_or_service() {
    for method in METHODS {
        for workers in [1, 3] {
            for whole_service in [false, true] {
                let mut lab = Lab::new(workers);
                let server = (end(R, 80), DestSettings::new(method));
                lab.serve(&tcp(), RR, &[server]);
                lab.send(0, &p(C, V).tcp(4000, 80, SYN, &[])).sent();
                let ack = p(C, V).tcp(4000, 80, ACK, &[]);
                let before = lab.send(0, &ack).sent();
                lab.change(|draft| {
                    if whole_service {
                        draft.del_service(&tcp()).unwrap();
                    } else {
                        draft.del_dest(&tcp(), end(R, 80)).unwrap();
                    }
                });
                let conn = lab.all()[0];
                let (owner, conn) = conn;
                assert_eq!(lab.send(owner, &ack), Outcome::Dropped(DropReason::DestGone));
                // The server's last words get through, wherever they arrive.
                for at in 0..workers {
                    if method.sees_replies() {
                        lab.send(at, &answer(&conn, ACK)).sent();
                    }
                }
                if whole_service {
                    lab.serve(&tcp(), RR, &[server]);
                } else {
                    lab.change(|draft| draft.add_dest(&tcp(), server.0, server.1).unwrap());
                }
                let say = format!("{method:?} {workers} {whole_service}");
                assert_eq!(lab.send(0, &ack).sent(), before, "{say}");
                let [active, inactive, _] = lab.gauges(&tcp());
                assert_eq!(active + inactive, 1, "{say}");
                lab.pass(1_000_000);
                assert_eq!((lab.connections(), lab.gauges(&tcp())), (0, [0; 3]), "{say}");
            }
        }
    }
}

#[test]
fn a_server_without_weight_keeps_its_connections_unless_the_service_expires_them() {
    for method in METHODS {
        for expires in [false, true] {
            for workers in [1, 3] {
                let settings = ServiceSettings { expire_quiescent: expires, ..RR };
                let mut lab = Lab::new(workers);
                let both =
                    [(end(R, 80), DestSettings::new(method)), (end(R2, 80), weighing(method, 0))];
                lab.serve(&tcp(), settings, &both);
                let both = both.map(|(e, s)| (Endpoint { port: 53, ..e }, s));
                lab.serve(&udp(), settings, &both);
                lab.send(0, &p(C, V).tcp(4000, 80, SYN, &[])).sent();
                lab.send(0, &p(C, V).udp(4000, 53, b"q")).sent();
                for (key, port) in [(tcp(), 80), (udp(), 53)] {
                    lab.change(|draft| {
                        draft.set_dest(&key, end(R, port), weighing(method, 0)).unwrap();
                        draft.set_dest(&key, end(R2, port), weighing(method, 1)).unwrap();
                    });
                }
                let say = format!("{method:?} {expires} {workers}");
                let out = lab.send(0, &p(C, V).tcp(4000, 80, ACK, &[]));
                lab.send(0, &p(C, V).udp(4000, 53, b"q")).sent();
                let servers: Vec<_> = lab.all().iter().map(|(_, c)| c.dest_end()).collect();
                if expires {
                    // A segment cannot begin a connection, a datagram can.
                    assert_eq!(out, Outcome::Dropped(DropReason::NoConnection), "{say}");
                    assert_eq!(servers, [end(R2, 53)], "{say}");
                    lab.send(0, &p(C, V).tcp(4000, 80, SYN, &[])).sent();
                    assert_eq!(lab.connections(), 2, "{say}");
                } else {
                    assert!(matches!(out, Outcome::Sent(_)), "{say}: {out:?}");
                    assert!(servers.iter().all(|e| e.address == address(R)), "{say}");
                }
                lab.pass(1_000_000);
                assert_eq!((lab.gauges(&tcp()), lab.gauges(&udp())), ([0; 3], [0; 3]), "{say}");
            }
        }
    }
}

/// What goes to a server as it is must reach its link: a router would send it back to us.
/// Gives a router to the way to the first server.
fn put_behind_router(lab: &mut Lab) {
    lab.change(|draft| {
        let route = Route {
            prefix: Prefix::containing(R.parse().unwrap(), 32).unwrap(),
            via: Some("10.1.1.254".parse().unwrap()),
            port: PortId(0),
            src: None,
            mtu: 0,
            scope: Scope::Global,
            metric: 0,
            is_connected: false,
        };
        draft.add_route(route).unwrap();
    });
}

#[test]
fn direct_routing_ends_where_a_router_comes_between() {
    let mut lab = Lab::new(1);
    lab.serve(&tcp(), RR, &[(end(R, 80), DestSettings::new(Forward::Direct))]);
    lab.send(0, &p(C, V).tcp(4000, 80, SYN, &[])).sent();
    put_behind_router(&mut lab);
    for flags in [ACK, SYN] {
        let out = lab.send(0, &p(C, V).tcp(4000, 80, flags, &[]));
        assert_eq!(out, Outcome::Dropped(DropReason::OffLink));
    }
    assert_eq!(lab.drops(DropReason::OffLink), 2);
}

#[test]
fn a_frame_without_room_in_front_is_not_wrapped() {
    for (headroom, is_sent) in [(19, false), (20, true)] {
        let mut lab = Lab::new(1);
        lab.serve(&tcp(), RR, &[(end(R, 80), DestSettings::new(Forward::Tunnel))]);
        let bytes = p(C, V).tcp(4000, 80, SYN, &[]);
        let mut frame = HeapFrame::new(&bytes);
        let used = HeapFrame::HEADROOM - headroom;
        frame.push_front(used).unwrap();
        frame.bytes_mut().copy_within(used.., 0);
        frame.truncate(bytes.len());
        let mut verdicts = [Verdict::Consumed; BURST];
        lab.workers[0].process(lab.now, &mut [frame], &mut verdicts);
        let no_room = Verdict::Drop(DropReason::NoHeadroom);
        assert_eq!(verdicts[0], if is_sent { Verdict::Transmit(PortId(0)) } else { no_room });
    }
}

// ---- answers that several services may own

/// One server behind five virtual addresses: its answers do not say which, nor which worker knows.
#[test]
fn the_answers_of_a_server_of_many_nat_services_find_their_connections() {
    for workers in [1, 2, 3, 8] {
        let mut lab = Lab::new(workers);
        let vips: Vec<String> = (81..86).map(|n| format!("203.0.113.{n}")).collect();
        for vip in &vips {
            for (protocol, port) in [(Protocol::Tcp, 80), (Protocol::Udp, 80), (Protocol::Icmp, 0)]
            {
                let key = service_key(protocol, vip, port);
                let nat = DestSettings::new(Forward::Nat);
                lab.serve(&key, RR, &[(end(R, port), nat)]);
            }
        }
        for n in 0..20 {
            let vip = &vips[usize::from(n) % 5];
            let at = usize::from(n) % workers;
            lab.send(at, &p(C, vip).tcp(4000 + n, 80, SYN, &[])).sent();
            lab.send(at, &p(C, vip).udp(4000 + n, 80, b"q")).sent();
            lab.send(at, &p(C, vip).ping(n, 1, b"q")).sent();
        }
        for (_, conn) in lab.all() {
            for at in 0..workers {
                let out = lab.send(at, &answer(&conn, SYNACK)).sent();
                assert_eq!(out[26..30], conn.virtual_().address.v4_octets(), "{conn:?} at {at}");
                assert_eq!(out[30..34], conn.client().address.v4_octets(), "{conn:?} at {at}");
            }
        }
        // What belongs to none goes round once and ends.
        for at in 0..workers {
            let stray = lab.send(at, &p(R, C).tcp(80, 9, ACK, &[]));
            assert_eq!(stray, Outcome::Dropped(DropReason::NotForUs));
        }
    }
}

#[test]
fn a_second_connection_with_the_same_answers_is_refused() {
    let mut lab = Lab::new(1);
    for vip in [V, "203.0.113.81"] {
        let key = service_key(Protocol::Tcp, vip, 80);
        lab.serve(&key, RR, &[(end(R, 80), DestSettings::new(Forward::Nat))]);
    }
    lab.send(0, &p(C, V).tcp(7, 80, SYN, &[])).sent();
    let second = lab.send(0, &p(C, "203.0.113.81").tcp(7, 80, SYN, &[]));
    assert_eq!(second, Outcome::Dropped(DropReason::TupleInUse));
    let answer = lab.send(0, &p(R, C).tcp(80, 7, SYNACK, &[])).sent();
    assert_eq!(answer[26..30], [203, 0, 113, 80]);
    assert_eq!(lab.gauges(&service_key(Protocol::Tcp, "203.0.113.81", 80)), [0; 3]);
}

/// A bound client's datagrams by themselves go to its server; the binding is not held by them.
#[test]
fn datagrams_by_themselves_keep_to_a_bound_clients_server() {
    for method in METHODS {
        let persistence = Some(Persistence { timeout_ms: 10_000, mask: u128::MAX });
        let settings = ServiceSettings { one_packet: true, persistence, ..RR };
        let mut lab = Lab::new(1);
        let servers = [R, R2].map(|server| (end(server, 53), weighing(method, 1)));
        lab.serve(&udp(), settings, &servers);
        for n in 0..6 {
            lab.send(0, &p(C, V).udp(n + 1, 53, b"q")).sent();
        }
        let traffic = |lab: &Lab, at: usize| {
            let service = lab.tables.service(&udp()).unwrap();
            service.dests[at].shared.counters.traffic().in_packets
        };
        assert_eq!([traffic(&lab, 0), traffic(&lab, 1)], [6, 0], "{method:?}");
        lab.pass(120_000);
        assert_eq!(lab.gauges(&udp()), [0, 0, 0], "{method:?}");
        lab.send(0, &p(C, V).udp(1, 53, b"q")).sent();
        assert_eq!(traffic(&lab, 1), 1, "{method:?}: the binding has ended");
    }
}

/// A service that comes back is a new one: what the old one counted is not its own.
#[test]
fn a_service_that_comes_back_counts_from_zero() {
    let mut lab = Lab::new(1);
    let servers = [(end(R, 53), weighing(Forward::Nat, 1))];
    lab.serve(&udp(), RR, &servers);
    lab.send(0, &p(C, V).udp(7, 53, b"q")).sent();
    lab.change(|draft| draft.del_service(&udp()).unwrap());
    lab.serve(&udp(), RR, &servers);
    let traffic = |lab: &Lab| {
        let service = lab.tables.service(&udp()).unwrap();
        let dest = service.dests[0].shared.counters.traffic();
        (service.counters.traffic().connections, dest.in_packets)
    };
    assert_eq!(traffic(&lab), (0, 0));
    lab.send(0, &p(C, V).udp(7, 53, b"q")).sent();
    assert_eq!(traffic(&lab), (0, 1), "the connection has gone on");
}

/// Full NAT could never reach the server: its packets would come from the server's own address.
#[test]
fn a_local_address_is_not_a_real_servers() {
    let mut lab = Lab::new(1);
    lab.serve(&udp(), RR, &[(end(R, 53), weighing(Forward::FullNat, 1))]);
    lab.change(|draft| {
        let refused = draft.add_laddr(&udp(), address(R), PortId(0)).unwrap_err();
        assert_eq!(refused.text, "a real server of the service has the address");
    });
}

// ---- what a real server may be

#[test]
fn a_server_with_port_0_is_asked_at_the_port_of_its_service() {
    for method in [Forward::FullNat, Forward::Nat] {
        let mut lab = Lab::new(1);
        lab.serve(&tcp(), RR, &[(end(R, 0), DestSettings::new(method))]);
        lab.send(0, &p(C, V).tcp(4000, 80, SYN, &[])).sent();
        let (_, conn) = lab.all().remove(0);
        assert_eq!(conn.dest_end(), end(R, 80), "{method:?}");
        let out = lab.send(0, &answer(&conn, SYNACK)).sent();
        // From port 80 to port 4000.
        assert_eq!(out[34..38], [0, 80, 0x0f, 0xa0], "{method:?}");
    }
}

/// Every link has these addresses, and which link is meant cannot be said.
#[test]
fn a_link_local_address_is_no_server() {
    let mut lab = Lab::new(1);
    let key = service_key(Protocol::Tcp, "2001:db8::80", 80);
    lab.change(|draft| {
        draft.add_service(key, RR).unwrap();
        let server = DestSettings::new(Forward::Nat);
        let refused = draft.add_dest(&key, end("fe80::1", 80), server).unwrap_err();
        assert_eq!(refused.text, "fe80::1 is not a host's address");
    });
}

/// The server has not seen the first packet, so the connection is no more than begun, and soon over.
#[test]
fn a_connection_whose_first_packet_is_lost_stays_for_two_seconds() {
    for is_lost in [false, true] {
        let mut lab = Lab::new(1);
        lab.serve(&tcp(), RR, &[(end(R, 80), DestSettings::new(Forward::Direct))]);
        if is_lost {
            put_behind_router(&mut lab);
        }
        let outcome = lab.send(0, &p(C, V).tcp(4000, 80, SYN, &[]));
        assert_eq!(outcome == Outcome::Dropped(DropReason::OffLink), is_lost);
        let [(_, conn)] = lab.all()[..] else { panic!("one connection") };
        let expected = if is_lost { ("NONE", 2_000) } else { ("SYN_RECV", 60_000) };
        assert_eq!((conn.state.name(), conn.timeout_ms), expected);
        lab.pass(3_000);
        assert_eq!(lab.connections(), usize::from(!is_lost));
    }
}
