// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hosts behind SNAT that talk to a virtual address whose server stands beside them (RFC 5508 REQ-7).
//!
//! A packet is translated once: the service of the virtual address has it, and SNAT, which is for what
//! passes, does not. Full NAT changes both addresses in that one step, so that the answers come back
//! by way of us from wherever the server is; with NAT they must be routed here.
#![cfg(test)]

mod icmp_shared;

use dpvs_core::DropReason;
use dpvs_core::net::{Family, Protocol};
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{DestSettings, Forward, ServiceSettings};
use dpvs_core::testing::{Lab, PacketBuilder, assert_checksums, end, match_key};
use icmp_shared::*;

/// The host behind SNAT; the server beside it is `R`.
const S: [&str; 2] = ["10.1.1.11", "2001:db8:a::fe"];

/// A balancer with a service of every protocol on the virtual address, and SNAT for all that passes.
fn lab(method: Method, workers: usize) -> Lab {
    lab_with_pool(method, workers, P)
}

fn lab_with_pool(method: Method, workers: usize, pool: [&str; 2]) -> Lab {
    let mut lab = method.lab(workers);
    for v6 in FAMILIES {
        let family = if v6 { Family::V6 } else { Family::V4 };
        let icmp = if v6 { Protocol::Icmpv6 } else { Protocol::Icmp };
        for protocol in [Protocol::Tcp, Protocol::Udp, icmp] {
            let pool = (end(pool[at(v6)], 0), DestSettings::new(Forward::Snat));
            let settings = ServiceSettings::new(Scheduler::Rr);
            lab.serve(&match_key(family, protocol), settings, &[pool]);
        }
    }
    lab
}

/// What stands between the host and the server.
fn hairpins() -> impl Iterator<Item = (Method, bool, L4)> {
    let methods = [Method::FullNat, Method::Nat].into_iter();
    methods.flat_map(|method| {
        FAMILIES.into_iter().flat_map(move |v6| {
            [L4::Tcp, L4::Udp, L4::Ping].into_iter().map(move |l4| (method, v6, l4))
        })
    })
}

fn open(lab: &mut Lab, method: Method, v6: bool, l4: L4) -> Session {
    Session::between(lab, method, [S[at(v6)], V[at(v6)]], (v6, l4, 40000), &[0x41; 40])
}

#[test]
fn a68_a_host_behind_snat_reaches_a_server_beside_it() {
    for (method, v6, l4) in hairpins() {
        everywhere(|workers, worker| {
            let mut lab = lab(method, workers);
            let session = open(&mut lab, method, v6, l4);
            let [src, dst, ..] = ends_of(&session.request.seen);
            let from = if method == Method::FullNat { L[at(v6)] } else { S[at(v6)] };
            assert_eq!([src, dst], [from, R[at(v6)]], "translated once");
            let [src, dst, ..] = ends_of(&session.answer.seen);
            assert_eq!([src, dst], [V[at(v6)], S[at(v6)]]);
            let connections = lab.connections();
            for passage in [&session.request, &session.answer] {
                let out = lab.send(worker, &passage.sent).sent();
                assert_checksums(&out);
                assert_eq!(out, passage.seen, "{method:?} {l4:?} at {worker} of {workers}");
            }
            assert_eq!(lab.connections(), connections, "no other connection");
        });
    }
}

/// REQ-7a: what is quoted comes from whom the error goes to, both ways.
#[test]
fn a68_errors_about_hairpinned_sessions_pass_both_ways() {
    let port = [(3, 3), (1, 4)];
    for (method, v6, l4) in hairpins() {
        let n = at(v6);
        everywhere(|workers, worker| {
            let mut lab = lab(method, workers);
            let session = open(&mut lab, method, v6, l4);
            let router = if v6 { "2001:db8:a::77" } else { "10.1.1.77" };
            for (side, sender) in [
                (Side::Server, R[n]),
                (Side::Server, router),
                (Side::Client, S[n]),
                (Side::Client, router),
            ] {
                for (kind, quoted) in [(port[n], 8), (HOST[n], 48), (TIME[n], 48)] {
                    let error = session.error_by(sender, side, kind, [0; 4], quoted);
                    let before = lives(&lab);
                    let (outcome, counted) = tally(&mut lab, worker, &error);
                    let out = outcome.sent();
                    session.assert_translated(side, &error, &out);
                    assert_eq!(counted, [side.relayed()], "{method:?} {l4:?} {side:?}");
                    assert_eq!(lives(&lab), before);
                    let to = 14 + if v6 { 24 } else { 16 };
                    let len = if v6 { 16 } else { 4 };
                    let quoted_from = 14 + header_len(v6) + 8 + if v6 { 8 } else { 12 };
                    assert_eq!(out[to..to + len], out[quoted_from..quoted_from + len]);
                }
            }
        });
    }
}

/// The address of SNAT takes no sessions, from inside as little as from outside, and nothing about
/// them.
#[test]
fn a68_nothing_turns_round_at_the_address_of_snat() {
    for v6 in FAMILIES {
        let n = at(v6);
        everywhere(|workers, worker| {
            let mut lab = lab(Method::FullNat, workers);
            let packet = PacketBuilder::new(S[n], P[n]);
            drops(&mut lab, worker, &packet.udp(40000, 53, b"?"), DropReason::NoConnection);
            drops(&mut lab, worker, &packet.tcp(40000, 80, SYN, &[]), DropReason::NoConnection);
            let quoted = PacketBuilder::new(P[n], S[n]).udp(53, 40000, b"!");
            let (icmp_type, code) = HOST[n];
            let error = packet.icmp(icmp_type, code, [0; 4], &quoted[14..]);
            drops(&mut lab, worker, &error, DropReason::IcmpUnrelated);
        });
    }
}

/// With one address for both, a host reaches the service and the world outside alike, and errors find
/// either session.
#[test]
fn a68_the_address_of_snat_may_be_the_virtual_one() {
    for v6 in FAMILIES {
        for l4 in [L4::Tcp, L4::Udp] {
            everywhere(|workers, worker| {
                let mut lab = lab_with_pool(Method::FullNat, workers, V);
                let inside = open(&mut lab, Method::FullNat, v6, l4);
                let outside = Session::between(
                    &mut lab,
                    Method::Snat,
                    [S[at(v6)], C[at(v6)]],
                    (v6, l4, 40000),
                    &[7; 40],
                );
                assert_eq!(ends_of(&outside.request.seen)[..2], [V[at(v6)], C[at(v6)]]);
                for (session, side) in
                    [&inside, &outside].into_iter().flat_map(|s| Side::BOTH.map(|side| (s, side)))
                {
                    let error = session.error(side, HOST[at(v6)], [0; 4], 8);
                    let (outcome, counted) = tally(&mut lab, worker, &error);
                    session.assert_translated(side, &error, &outcome.sent());
                    assert_eq!(counted, [side.relayed()]);
                }
            });
        }
    }
}
