// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections in every method, with one worker and with several: who gets them, what binds clients,
//! what changes under them, and when they end.
#![cfg(test)]

use dpvs_core::DropReason;
use dpvs_core::conn::Conn;
use dpvs_core::net::{Family, Protocol};
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{
    AccessList, DestSettings, Forward, NoServer, Persistence, ServiceKey, ServiceSettings,
};
use dpvs_core::testing::{Lab, Outcome, PacketBuilder, address, end, match_key, service_key};
use std::collections::HashSet;

const C: &str = "198.51.100.10";
const C2: &str = "198.51.100.11";
const V: &str = "203.0.113.80";
const R: &str = "10.1.1.10";
const R2: &str = "10.1.1.11";
const C6: &str = "2001:db8:c::10";
const V6: &str = "2001:db8:80::80";
const R6: &str = "2001:db8:a::10";
const X: &str = "198.51.100.254";
const Y: &str = "10.1.1.254";
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
const SYNACK: u8 = 18;

const RR: ServiceSettings = ServiceSettings::new(Scheduler::Rr);
const ONE_PACKET: ServiceSettings = ServiceSettings { one_packet: true, ..RR };
const METHODS: [Forward; 4] = [Forward::FullNat, Forward::Nat, Forward::Direct, Forward::Tunnel];
const WORKERS: [usize; 4] = [1, 2, 3, 8];

fn p(src: &str, dst: &str) -> PacketBuilder {
    PacketBuilder::new(src, dst)
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

fn persistent(timeout_ms: u32, mask: u128) -> ServiceSettings {
    ServiceSettings { persistence: Some(Persistence { timeout_ms, mask }), ..RR }
}

/// A lab with the service on two servers, each with the service's port.
fn lab(workers: usize, key: &ServiceKey, settings: ServiceSettings, method: Forward) -> Lab {
    let mut lab = Lab::new(workers);
    let port = key.virtual_().unwrap().port;
    let servers = match key.family() {
        Family::V4 => vec![end(R, port), end(R2, port)],
        Family::V6 => vec![end(R6, port)],
    };
    let servers: Vec<_> = servers.into_iter().map(|e| (e, DestSettings::new(method))).collect();
    lab.serve(key, settings, &servers);
    lab
}

fn word(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([frame[at], frame[at + 1]])
}

// ---- persistence

#[test]
fn all_connections_of_a_client_reach_one_worker_and_one_server() {
    for method in METHODS {
        for workers in WORKERS {
            for (key, client) in [(tcp(), C), (service_key(Protocol::Tcp, V6, 80), C6)] {
                let vip = if client == C { V } else { V6 };
                let mut lab = lab(workers, &key, persistent(60_000, u128::MAX), method);
                for n in 0..24 {
                    let at = usize::from(n) % workers;
                    lab.send(at, &p(client, vip).tcp(4000 + n, 80, SYN, &[])).sent();
                }
                let homes: HashSet<_> =
                    lab.all().iter().map(|(at, conn)| (*at, conn.dest_end())).collect();
                assert_eq!((lab.connections(), homes.len()), (24, 1), "{method:?} {workers}");
                assert_eq!(lab.gauges(&key), [0, 24, 1]);
            }
        }
    }
}

#[test]
fn a_mask_makes_a_network_one_client() {
    for workers in WORKERS {
        let mut lab = lab(workers, &tcp(), persistent(60_000, !0xff), Forward::Nat);
        for client in [C, C2, "198.51.100.200", C] {
            for at in 0..workers {
                let sport = 5000 + u16::try_from(at + lab.all().len()).unwrap();
                lab.send(at, &p(client, V).tcp(sport, 80, SYN, &[])).sent();
            }
        }
        lab.send(0, &p("203.0.113.99", V).tcp(1, 80, SYN, &[])).sent();
        let servers = |of: &str| -> HashSet<_> {
            let of = address(of).masked(!0xff);
            let all = lab.all();
            let all = all.iter().filter(|(_, c)| c.client().address.masked(!0xff) == of);
            all.map(|(at, conn)| (*at, conn.dest_end())).collect()
        };
        assert_eq!((servers(C).len(), servers("203.0.113.99").len()), (1, 1), "{workers}");
        assert_eq!(lab.gauges(&tcp())[2], 2, "two networks, two templates");
    }
}

/// The binding lasts from the last new connection on, and as long as one of them stands.
#[test]
fn a_binding_ends_when_its_time_is_over_and_its_last_connection_too() {
    let mut lab = lab(1, &udp(), persistent(20_000, u128::MAX), Forward::Nat);
    lab.change(|draft| draft.tables_mut().timeouts.udp_ms = 5_000);
    let server = |lab: &mut Lab, sport| {
        let out = lab.send(0, &p(C, V).udp(sport, 53, b"q")).sent();
        out[33]
    };
    let first = server(&mut lab, 1);
    for n in 2..6 {
        lab.pass(15_000);
        assert_eq!(server(&mut lab, n), first, "bound anew by each connection");
    }
    lab.pass(22_000);
    assert_eq!((lab.connections(), lab.gauges(&udp())), (0, [0; 3]));
    // Round robin has gone to the other one meanwhile.
    let second = server(&mut lab, 6);
    assert_ne!(second, first);
    // One connection that stands holds the client.
    for _ in 0..50 {
        lab.pass(4_000);
        assert_eq!(server(&mut lab, 6), second);
    }
    assert_eq!((server(&mut lab, 7), lab.gauges(&udp())), (second, [0, 2, 1]));
    lab.pass(100_000);
    assert_eq!((lab.connections(), lab.gauges(&udp())), (0, [0; 3]));
}

#[test]
fn a_bound_client_stays_with_a_server_of_weight_0_unless_the_service_expires_it() {
    for (expires, workers) in [(false, 1), (false, 3), (true, 1), (true, 3)] {
        let settings =
            ServiceSettings { expire_quiescent: expires, ..persistent(60_000, u128::MAX) };
        let mut lab = lab(workers, &tcp(), settings, Forward::FullNat);
        lab.send(0, &p(C, V).tcp(1, 80, SYN, &[])).sent();
        let bound = lab.all()[0].1.dest_end();
        lab.change(|draft| draft.set_dest(&tcp(), bound, weighing(Forward::FullNat, 0)).unwrap());
        for n in 2..10 {
            lab.send(usize::from(n) % workers, &p(C, V).tcp(n, 80, SYN, &[])).sent();
        }
        let at_bound = lab.all().iter().filter(|(_, c)| c.dest_end() == bound).count();
        assert_eq!(at_bound, if expires { 1 } else { 9 });
        // Removed, it is nobody's.
        lab.change(|draft| draft.del_dest(&tcp(), bound).unwrap());
        lab.send(0, &p(C, V).tcp(20, 80, SYN, &[])).sent();
        let last = lab.all().iter().find(|(_, c)| c.client().port == 20).unwrap().1;
        assert_ne!(last.dest_end(), bound);
    }
}

#[test]
fn a_bound_client_passes_the_threshold_and_others_do_not() {
    let mut lab = Lab::new(1);
    let settings = DestSettings { upper_threshold: 2, ..DestSettings::new(Forward::Nat) };
    lab.serve(&tcp(), persistent(60_000, u128::MAX), &[(end(R, 80), settings)]);
    for n in 1..5 {
        lab.send(0, &p(C, V).tcp(n, 80, SYN, &[])).sent();
    }
    let other = lab.send(0, &p(C2, V).tcp(1, 80, SYN, &[]));
    assert_eq!(other, Outcome::Dropped(DropReason::NoDest));
}

#[test]
fn a_service_for_any_port_keeps_a_client_on_one_server_and_the_port_it_chose() {
    for method in METHODS {
        for workers in WORKERS {
            let any = service_key(Protocol::Tcp, V, 0);
            let mut lab = lab(workers, &any, persistent(60_000, u128::MAX), method);
            for port in [21, 80, 443, 50_000] {
                for at in 0..workers {
                    let sport = 4000 + u16::try_from(at).unwrap();
                    lab.send(at, &p(C, V).tcp(sport, port, SYN, &[])).sent();
                }
            }
            let all = lab.all();
            assert_eq!(all.len(), 4 * workers);
            for (at, conn) in &all {
                assert_eq!(conn.dest_end().port, conn.virtual_().port);
                assert_eq!(conn.dest_end().address, all[0].1.dest_end().address);
                assert_eq!(*at, all[0].0);
            }
            if method.sees_replies() {
                for (_, conn) in all {
                    let [src, dst] = [conn.dest_end(), conn.local()];
                    let [from, to] = [src, dst].map(|e| format!("{:?}", e.address));
                    for at in 0..workers {
                        let answer = p(&from, &to).tcp(src.port, dst.port, SYNACK, &[]);
                        let out = lab.send(at, &answer).sent();
                        let client = conn.client().port;
                        assert_eq!((word(&out, 34), word(&out, 36)), (src.port, client));
                    }
                }
            }
        }
    }
}

/// Everything that may come of a connection, at every worker, on and on.
fn lives(lab: &mut Lab, conn: &Conn, say: &str) {
    let [c, v, r, l] = [conn.client(), conn.virtual_(), conn.dest_end(), conn.local()];
    let text = |e: dpvs_core::key::Endpoint| format!("{:?}", e.address);
    let [ca, va, ra, la] = [c, v, r, l].map(text);
    for at in 0..lab.workers.len() {
        let say = format!("{say} at {at}: {conn:?}");
        let mut goes = |frame: &[u8]| {
            let out = lab.send(at, frame);
            assert!(matches!(out, Outcome::Sent(_)), "{say}: {out:?}");
        };
        goes(&p(&ca, &va).tcp(c.port, v.port, ACK, &[]));
        let sent_back = p(&va, &ca).tcp(v.port, c.port, ACK, &[]);
        let towards_server = if conn.forward == Forward::Snat { &ca } else { &va };
        if conn.forward != Forward::Snat {
            goes(&p(X, towards_server).icmp(3, 1, [0; 4], &sent_back[14..]));
        }
        if conn.forward.sees_replies() {
            goes(&p(&ra, &la).tcp(r.port, l.port, ACK, &[]));
            let sent_on = p(&la, &ra).tcp(l.port, r.port, ACK, &[]);
            goes(&p(Y, &la).icmp(3, 1, [0; 4], &sent_on[14..]));
        }
    }
}

#[test]
fn changing_persistence_loses_no_tcp_connection() {
    let changes = [
        persistent(60_000, u128::MAX),
        persistent(60_000, !0xff),
        RR,
        persistent(60_000, !0xffff),
        RR,
    ];
    for method in METHODS.into_iter().chain([Forward::Snat]) {
        for workers in WORKERS {
            let key = match method {
                Forward::Snat => match_key(Family::V4, Protocol::Tcp),
                _ => tcp(),
            };
            let mut lab = Lab::new(workers);
            let servers = match method {
                Forward::Snat => vec![end("203.0.113.88", 0), end("203.0.113.89", 0)],
                _ => vec![end(R, 80), end(R2, 80)],
            };
            let servers: Vec<_> =
                servers.into_iter().map(|e| (e, DestSettings::new(method))).collect();
            lab.serve(&key, RR, &servers);
            let (from, to) = if method == Forward::Snat { (R, C) } else { (C, V) };
            for (at, settings) in (0u16..).zip([RR].into_iter().chain(changes)) {
                lab.change(|draft| draft.set_service(&key, settings).unwrap());
                for n in 0..4 {
                    let syn = p(from, to).tcp(4000 + at * 10 + n, 80, SYN, &[]);
                    lab.send(0, &syn).sent();
                }
                let all = lab.all();
                assert_eq!(all.len(), usize::from(at + 1) * 4);
                for (_, conn) in all {
                    lives(&mut lab, &conn, &format!("{method:?} {workers} change {at}"));
                }
            }
            assert_eq!(lab.connections(), 24);
        }
    }
}

// ---- limits, lists, times

#[test]
fn thresholds_are_exact_whichever_workers_the_connections_reach() {
    for method in METHODS {
        for workers in WORKERS {
            let mut lab = Lab::new(workers);
            let settings = DestSettings { upper_threshold: 5, ..DestSettings::new(method) };
            lab.serve(&udp(), RR, &[(end(R, 53), settings)]);
            let new = |lab: &mut Lab, sport: u16| {
                let at = usize::from(sport) % lab.workers.len();
                matches!(lab.send(at, &p(C, V).udp(sport, 53, b"q")), Outcome::Sent(_))
            };
            let taken: Vec<u16> = (1..=40).filter(|n| new(&mut lab, *n)).collect();
            assert_eq!(taken, [1, 2, 3, 4, 5], "{method:?} {workers}");
            // Three quarters of 5 are 3.75: with 4 it stays closed, with 3 it opens.
            for (ends, opens) in [(vec![1], false), (vec![2], true)] {
                for _ in 0..4 {
                    lab.pass(70_000);
                    for n in taken.iter().filter(|n| !(**n == 1 || ends == [2] && **n == 2)) {
                        assert!(new(&mut lab, *n), "those that stand go on");
                    }
                }
                lab.pass(25_000);
                assert_eq!(new(&mut lab, 99), opens, "{method:?} {workers} {ends:?}");
            }
            assert_eq!(lab.connections(), 4);
            // Closed again at 5, opened again below a lower threshold of 2.
            assert!(new(&mut lab, 100) && !new(&mut lab, 101));
            let lower = DestSettings { lower_threshold: 2, ..settings };
            lab.change(|draft| draft.set_dest(&udp(), end(R, 53), lower).unwrap());
            for _ in 0..5 {
                lab.pass(70_000);
                assert!(new(&mut lab, 3) && new(&mut lab, 4));
            }
            assert!(lab.connections() == 2 && !new(&mut lab, 102));
            for _ in 0..5 {
                lab.pass(70_000);
                assert!(new(&mut lab, 3));
            }
            assert!(lab.connections() == 1 && new(&mut lab, 103));
        }
    }
}

#[test]
fn access_lists_are_for_new_connections_alone() {
    for method in METHODS {
        for workers in [1, 3] {
            let mut lab = lab(workers, &tcp(), RR, method);
            let syn = |client| p(client, V).tcp(7, 80, SYN, &[]);
            lab.send(0, &syn(C)).sent();
            lab.change(|draft| draft.add_access(&tcp(), AccessList::Black, address(C)).unwrap());
            let denied = Outcome::Dropped(DropReason::Denied);
            for at in 0..workers {
                lab.send(at, &p(C, V).tcp(7, 80, ACK, &[])).sent();
                assert_eq!(lab.send(at, &p(C, V).tcp(8, 80, SYN, &[])), denied);
            }
            lab.send(0, &syn(C2)).sent();
            // With a white list, who stands on none may not.
            lab.change(|draft| {
                draft.add_access(&tcp(), AccessList::White, address("203.0.113.99")).unwrap();
                draft.del_access(&tcp(), AccessList::Black, address(C)).unwrap();
            });
            assert_eq!(lab.send(0, &p(C, V).tcp(9, 80, SYN, &[])), denied);
            lab.send(0, &syn("203.0.113.99")).sent();
            lab.send(0, &p(C2, V).tcp(7, 80, ACK, &[])).sent();
            assert_eq!(lab.connections(), 3);
        }
    }
}

#[test]
fn a_service_has_a_timeout_of_its_own_for_what_stands() {
    for method in METHODS {
        let own = ServiceSettings { conn_timeout_ms: 10_000, ..RR };
        for (key, first, later) in [
            (udp(), p(C, V).udp(7, 53, b"q"), p(C, V).udp(7, 53, b"q")),
            (tcp(), p(C, V).tcp(7, 80, SYN, &[]), p(C, V).tcp(7, 80, ACK, &[])),
        ] {
            let mut lab = lab(1, &key, own, method);
            lab.send(0, &first).sent();
            if method.sees_replies() && key == tcp() {
                let conn = lab.all()[0].1;
                let [r, l] = [conn.dest_end(), conn.local()];
                let [from, to] = [r, l].map(|e| format!("{:?}", e.address));
                lab.send(0, &p(&from, &to).tcp(r.port, l.port, SYNACK, &[])).sent();
            }
            lab.send(0, &later).sent();
            lab.pass(9_000);
            assert_eq!(lab.connections(), 1, "{method:?}");
            lab.send(0, &later).sent();
            lab.pass(9_000);
            assert_eq!(lab.connections(), 1, "{method:?}");
            lab.pass(2_000);
            assert_eq!((lab.connections(), lab.gauges(&key)), (0, [0; 3]), "{method:?}");
        }
        // Half open, TCP has its own time.
        let mut lab = lab(1, &tcp(), own, method);
        lab.send(0, &p(C, V).tcp(7, 80, SYN, &[])).sent();
        lab.pass(50_000);
        assert_eq!(lab.connections(), 1, "{method:?}");
    }
}

#[test]
fn without_a_server_nothing_is_said_unless_told_so() {
    let mut lab = Lab::new(1);
    lab.serve(&tcp(), RR, &[]);
    lab.serve(&service_key(Protocol::Icmp, V, 0), RR, &[]);
    let dropped = Outcome::Dropped(DropReason::NoDest);
    let fragment = p(C, V).flags_fragment(0x2000).tcp(7, 80, SYN, &[0; 44]);
    let resets = |lab: &Lab| lab.workers[0].counters().resets_made.get();
    assert_eq!(lab.send(0, &p(C, V).tcp(7, 80, SYN, &[])), dropped);
    assert_eq!(lab.send(0, &p(C, V).ping(7, 1, b"a")), dropped);
    lab.change(|draft| draft.tables_mut().limits.no_server = NoServer::Reset);
    lab.send(0, &p(C, V).tcp(7, 80, SYN, &[])).sent();
    // A reset of a part would be a part; what is no SYN belongs to no connection, as ever.
    assert_eq!(lab.send(0, &fragment), dropped);
    let stray = lab.send(0, &p(C, V).tcp(7, 80, ACK, &[]));
    assert_eq!(stray, Outcome::Dropped(DropReason::NoConnection));
    assert_eq!(lab.send(0, &p(C, V).tcp(7, 80, RST, &[])), stray);
    // Never by ourselves what a server would: a ping is not answered with a reply.
    let out = lab.send(0, &p(C, V).ping(7, 1, b"a")).sent();
    assert_eq!((out[34], out[35], resets(&lab), lab.connections()), (3, 3, 1, 0));
    assert_eq!(lab.drops(DropReason::NoDest), 5, "what is answered was dropped too");
    lab.change(|draft| draft.tables_mut().limits.icmp.made_per_s = 1);
    lab.pass(5_000);
    lab.send(0, &p(C, V).tcp(7, 80, SYN, &[])).sent();
    assert_eq!(lab.send(0, &p(C, V).tcp(8, 80, SYN, &[])), dropped, "a flood is not answered");
}

// ---- each datagram by itself

#[test]
fn each_datagram_is_scheduled_by_itself() {
    for method in METHODS {
        for workers in WORKERS {
            let mut lab = lab(workers, &udp(), ONE_PACKET, method);
            for n in 0..8 {
                lab.send(n % workers, &p(C, V).udp(7, 53, b"q")).sent();
            }
            let traffic = |at: usize| {
                let dest = &lab.tables.service(&udp()).unwrap().dests[at];
                let traffic = dest.shared.counters.traffic();
                (traffic.connections, traffic.in_packets)
            };
            assert_eq!([traffic(0), traffic(1)], [(4, 4); 2], "{method:?} {workers}");
            // Full NAT waits for each answer, NAT for one of each server, the others for none.
            let waiting = match method {
                Forward::FullNat => 8,
                Forward::Nat => 2,
                _ => 0,
            };
            assert_eq!(lab.gauges(&udp()), [0, waiting, 0]);
            assert_eq!(lab.connections(), usize::try_from(waiting).unwrap());
            for (_, conn) in lab.all() {
                let [r, l] = [conn.dest_end(), conn.local()];
                let [from, to] = [r, l].map(|e| format!("{:?}", e.address));
                for at in 0..workers {
                    let out = lab.send(at, &p(&from, &to).udp(r.port, l.port, b"a")).sent();
                    assert_eq!(
                        (&out[26..34], word(&out, 34), word(&out, 36)),
                        (&[203, 0, 113, 80, 198, 51, 100, 10][..], 53, 7)
                    );
                }
            }
            lab.pass(32_000);
            assert_eq!((lab.connections(), lab.gauges(&udp())), (0, [0; 3]));
        }
    }
}

/// The thresholds know nothing of what does not stand.
#[test]
fn datagrams_by_themselves_fill_no_threshold_where_nothing_waits() {
    for method in [Forward::Direct, Forward::Tunnel, Forward::Nat] {
        let mut lab = Lab::new(1);
        let settings = DestSettings { upper_threshold: 2, ..DestSettings::new(method) };
        lab.serve(&udp(), ONE_PACKET, &[(end(R, 53), settings)]);
        for _ in 0..10 {
            lab.send(0, &p(C, V).udp(7, 53, b"q")).sent();
        }
    }
}

#[test]
fn one_packet_scheduling_can_be_switched_under_connections() {
    for method in METHODS {
        let mut lab = lab(1, &udp(), RR, method);
        lab.send(0, &p(C, V).udp(7, 53, b"q")).sent();
        lab.change(|draft| draft.set_service(&udp(), ONE_PACKET).unwrap());
        for _ in 0..3 {
            lab.send(0, &p(C, V).udp(7, 53, b"q")).sent();
            lab.send(0, &p(C2, V).udp(7, 53, b"q")).sent();
        }
        lab.change(|draft| draft.set_service(&udp(), RR).unwrap());
        // NAT cannot tell new answers from those that are waited for.
        lab.pass(if method == Forward::Nat { 32_000 } else { 0 });
        for client in [C, C2, C, C2] {
            let out = lab.send(0, &p(client, V).udp(7, 53, b"q"));
            assert!(matches!(out, Outcome::Sent(_)), "{method:?} {client}: {out:?}");
        }
        lab.pass(400_000);
        assert_eq!((lab.connections(), lab.gauges(&udp())), (0, [0; 3]), "{method:?}");
    }
}
