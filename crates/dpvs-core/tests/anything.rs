// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever comes in whatever order, packets, changes and time: each frame has one end, what is
//! counted is what stands, and when everything has ended nothing is left.
#![cfg(test)]

use dpvs_core::conn::{Conn, State};
use dpvs_core::key::Endpoint;
use dpvs_core::net::{Family, Protocol};
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{
    AccessList, DestSettings, Forward, Persistence, ServiceKey, ServiceSettings,
};
use dpvs_core::testing::{Lab, Outcome, PacketBuilder, address, end, match_key, service_key};
use dpvs_core::{Command, DropReason, Event, PortId};
use proptest::prelude::*;

const CLIENTS: [&str; 2] = ["198.51.100.10", "198.51.100.11"];
const SERVERS: [&str; 2] = ["10.1.1.10", "10.1.1.11"];
const POOL: [&str; 2] = ["203.0.113.88", "203.0.113.89"];
const V: &str = "203.0.113.80";
const L: &str = "10.1.1.200";
const FLAGS: [u8; 6] = [2, 16, 18, 17, 20, 4];
const PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::Icmp];
const RR: ServiceSettings = ServiceSettings::new(Scheduler::Rr);
const METHODS: [Forward; 5] =
    [Forward::FullNat, Forward::Nat, Forward::Direct, Forward::Tunnel, Forward::Snat];

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A packet that opens a connection, or belongs to one.
    Client {
        at: usize,
        protocol: usize,
        client: usize,
        port: u16,
        flags: usize,
        part: u8,
    },
    /// What the server of some connection sends.
    Server {
        at: usize,
        which: usize,
        flags: usize,
    },
    /// An error about some connection, from the one side or the other.
    Error {
        at: usize,
        which: usize,
        from_server: bool,
    },
    Change {
        what: u8,
        protocol: usize,
        server: usize,
    },
    Pass {
        ms: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let at = 0..8usize;
    prop_oneof![
        6 => (at.clone(), 0..3usize, 0..2usize, 1..4u16, 0..6usize, 0..8u8).prop_map(
            |(at, protocol, client, port, flags, part)| {
                Step::Client { at, protocol, client, port, flags, part }
            }
        ),
        4 => (at.clone(), any::<usize>(), 0..6usize)
            .prop_map(|(at, which, flags)| Step::Server { at, which, flags }),
        1 => (at, any::<usize>(), any::<bool>())
            .prop_map(|(at, which, from_server)| Step::Error { at, which, from_server }),
        4 => (0..17u8, 0..3usize, 0..2usize)
            .prop_map(|(what, protocol, server)| Step::Change { what, protocol, server }),
        1 => (1..70_000u64).prop_map(|ms| Step::Pass { ms }),
    ]
}

fn key(method: Forward, protocol: usize) -> ServiceKey {
    let port = [80, 53, 0][protocol];
    match method {
        Forward::Snat => match_key(Family::V4, PROTOCOLS[protocol]),
        _ => service_key(PROTOCOLS[protocol], V, port),
    }
}

fn server(method: Forward, protocol: usize, server: usize) -> Endpoint {
    match method {
        Forward::Snat => end(POOL[server], 0),
        _ => end(SERVERS[server], [8080, 53, 0][protocol]),
    }
}

fn lab(workers: usize, method: Forward) -> Lab {
    let mut lab = Lab::with_addresses(workers, 64);
    let timeouts = dpvs_core::tables::Timeouts {
        tcp_ms: 20_000,
        tcp_fin_ms: 5_000,
        udp_ms: 10_000,
        icmp_ms: 60_000,
    };
    lab.change(|draft| draft.tables_mut().timeouts = timeouts);
    for protocol in 0..3 {
        let servers = [0, 1].map(|n| (server(method, protocol, n), DestSettings::new(method)));
        lab.serve(&key(method, protocol), RR, &servers);
    }
    lab
}

fn packet(src: Endpoint, dst: Endpoint, protocol: Protocol, flags: u8, is_reply: bool) -> Vec<u8> {
    let [from, to] = [src, dst].map(|e| format!("{:?}", e.address));
    let builder = PacketBuilder::new(&from, &to);
    match protocol {
        Protocol::Tcp => builder.tcp(src.port, dst.port, flags, b"data"),
        Protocol::Udp => builder.udp(src.port, dst.port, b"data"),
        _ if is_reply => builder.pong(dst.port, 1, b"data"),
        _ => builder.ping(src.port, 1, b"data"),
    }
}

/// Sends a frame: it has one end, and only a drop is counted as one. What was answered with an error
/// was dropped too.
fn send(lab: &mut Lab, at: usize, frame: &[u8]) {
    let before = lab.all_drops();
    let at = at % lab.workers.len();
    let outcome = lab.send(at, frame);
    let drops = lab.all_drops() - before;
    match &outcome {
        Outcome::Dropped(_) => assert_eq!(drops, 1, "{outcome:?}"),
        Outcome::Sent(out) => assert!(drops == 0 || drops == 1 && out[23] == 1, "{outcome:?}"),
        other => panic!("{other:?}"),
    }
}

fn some(lab: &Lab, which: usize) -> Option<Conn> {
    let all = lab.all();
    if all.is_empty() { None } else { Some(all[which % all.len()].1) }
}

fn change(lab: &mut Lab, method: Forward, what: u8, protocol: usize, n: usize) {
    let key = key(method, protocol);
    let end = server(method, protocol, n);
    let service = lab.tables.service(&key);
    let old = service.map_or(RR, |service| service.settings);
    let dest = service.and_then(|s| s.dest_at(end)).map(|dest| dest.settings);
    let dest = dest.unwrap_or(DestSettings::new(method));
    let persistent = |mask| Some(Persistence { timeout_ms: 7_000, mask });
    let workers = lab.workers.len();
    if what == 16 {
        for at in 0..workers {
            assert!(matches!(lab.command(at, Command::Flush), Event::Done));
        }
        return;
    }
    // What is refused changes nothing.
    lab.change(|draft| {
        let _ = match what {
            0 => draft.set_dest(&key, end, DestSettings { weight: 0, ..dest }),
            1 | 2 => draft.set_dest(&key, end, DestSettings { weight: 1, ..dest }),
            3 => draft.del_dest(&key, end),
            4 | 5 => draft.add_dest(&key, end, DestSettings::new(method)),
            6 => draft.del_service(&key),
            7 | 8 => draft
                .add_service(key, old)
                .and_then(|()| draft.add_laddr(&key, address(L), PortId(0))),
            9 => {
                let persistence = persistent(if n == 0 { u128::MAX } else { !0xff });
                draft.set_service(&key, ServiceSettings { persistence, ..old })
            }
            10 => draft.set_service(&key, RR),
            11 => draft.set_service(&key, ServiceSettings { one_packet: !old.one_packet, ..old }),
            12 => {
                let expire_quiescent = !old.expire_quiescent;
                draft.set_service(&key, ServiceSettings { expire_quiescent, ..old })
            }
            13 => {
                let upper_threshold = if dest.upper_threshold == 0 { 2 } else { 0 };
                draft.set_dest(&key, end, DestSettings { upper_threshold, ..dest })
            }
            14 => match draft.del_laddr(&key, address(L)) {
                Err(_) => draft.add_laddr(&key, address(L), PortId(0)),
                done => done,
            },
            _ if n == 0 => {
                draft.set_dest(&key, end, DestSettings { forward: METHODS[protocol], ..dest })
            }
            _ => match draft.add_access(&key, AccessList::Black, address(CLIENTS[0])) {
                Err(_) => draft.del_access(&key, AccessList::Black, address(CLIENTS[0])),
                done => done,
            },
        };
    });
}

/// The gauges say what stands.
fn check_gauges(lab: &Lab) {
    let all = lab.all();
    assert_eq!(all.len(), lab.connections());
    for service in lab.tables.services() {
        let of_service = |conn: &&(usize, Conn)| conn.1.service == service.id;
        for dest in &service.dests {
            let counters = &dest.shared.counters;
            let here = all.iter().filter(of_service).filter(|(_, conn)| conn.dest == dest.id);
            let (active, inactive): (Vec<_>, Vec<_>) =
                here.map(|(_, conn)| conn.state.is_active()).partition(|is_active| *is_active);
            let counted = [counters.active(), counters.inactive()];
            let standing = [active, inactive].map(|these| u32::try_from(these.len()).unwrap());
            assert_eq!(counted, standing, "{:?}", dest.endpoint);
        }
        for laddr in &service.laddrs {
            let uses = all.iter().filter(of_service).filter(|(_, conn)| {
                conn.forward == Forward::FullNat
                    && conn.local().address == laddr.address
                    && !matches!(conn.state, State::Reply { .. })
            });
            let counted: u32 = laddr.counters.parts().map(|part| part.connections.get()).sum();
            assert_eq!(usize::try_from(counted).unwrap(), uses.count());
        }
    }
}

/// All is over: nothing stands, and each server with a threshold of one takes one connection.
fn check_end(lab: &mut Lab, method: Forward) {
    lab.pass(400_000);
    check_gauges(lab);
    assert_eq!(lab.connections(), 0);
    for (protocol, number) in PROTOCOLS.into_iter().zip(0..) {
        let key = key(method, number);
        assert_eq!(lab.gauges(&key), [0; 3], "nobody is bound any more");
        lab.change(|draft| {
            let _ = draft.add_service(key, RR);
            let _ = draft.add_laddr(&key, address(L), PortId(0));
            let _ = draft.del_access(&key, AccessList::Black, address(CLIENTS[0]));
            draft.set_service(&key, RR).unwrap();
            for n in 0..2 {
                let end = server(method, number, n);
                let one = DestSettings { upper_threshold: 1, ..DestSettings::new(method) };
                let _ = draft.add_dest(&key, end, one);
                draft.set_dest(&key, end, one).unwrap();
            }
        });
        let mut new = |client: u16| {
            let [src, dst] = ends(method, number, 0, 100 + client);
            lab.send(0, &packet(src, dst, protocol, 2, false))
        };
        let taken = [new(1), new(2), new(3)];
        assert!(matches!(taken[0], Outcome::Sent(_)), "{taken:?}");
        assert!(matches!(taken[1], Outcome::Sent(_)), "{taken:?}");
        assert_eq!(taken[2], Outcome::Dropped(DropReason::NoDest));
    }
}

/// What a client of the service sends has these ends.
fn ends(method: Forward, protocol: usize, client: usize, port: u16) -> [Endpoint; 2] {
    let to = [80, 53, 0][protocol];
    match method {
        Forward::Snat => [end(SERVERS[client], port), end(CLIENTS[0], to)],
        _ => [end(CLIENTS[client], port), end(V, to)],
    }
}

fn walk(lab: &mut Lab, method: Forward, step: Step) {
    match step {
        Step::Client { at, protocol, client, port, flags, part } => {
            let [src, dst] = ends(method, protocol, client, port);
            let mut frame = packet(src, dst, PROTOCOLS[protocol], FLAGS[flags], false);
            // Some are the first or a later part of a datagram.
            if part < 2 {
                frame.resize(frame.len().next_multiple_of(8) + 2, 0);
                let len = u16::try_from(frame.len() - 14).unwrap().to_be_bytes();
                frame[16..18].copy_from_slice(&len);
                frame[20..22].copy_from_slice(&[0x20, if part == 0 { 0 } else { 8 }]);
                dpvs_core::testing::repair_checksums(&mut frame);
            }
            send(lab, at, &frame);
        }
        Step::Server { at, which, flags } => {
            let Some(conn) = some(lab, which) else { return };
            let frame = packet(conn.dest_end(), conn.local(), conn.protocol(), FLAGS[flags], true);
            send(lab, at, &frame);
        }
        Step::Error { at, which, from_server } => {
            let Some(conn) = some(lab, which) else { return };
            let protocol = conn.protocol();
            let (quoted, router, to) = if from_server {
                let [src, dst] = [conn.local(), conn.dest_end()];
                (packet(src, dst, protocol, 16, false), "10.1.1.254", src)
            } else {
                let [src, dst] = [conn.virtual_(), conn.client()];
                (packet(src, dst, protocol, 16, true), "198.51.100.254", src)
            };
            let to = format!("{:?}", to.address);
            let frame = PacketBuilder::new(router, &to).icmp(3, 1, [0; 4], &quoted[14..]);
            let before = lab.connections();
            send(lab, at, &frame);
            assert_eq!(lab.connections(), before, "an error changes nothing");
        }
        Step::Change { what, protocol, server } => change(lab, method, what, protocol, server),
        Step::Pass { ms } => lab.pass(ms),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_left_whatever_happened(
        method in 0..5usize,
        workers in 1..4usize,
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let method = METHODS[method];
        let mut lab = lab(workers, method);
        for step in steps {
            walk(&mut lab, method, step);
            check_gauges(&lab);
        }
        check_end(&mut lab, method);
    }
}
