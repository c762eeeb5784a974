// SPDX-License-Identifier: MIT OR Apache-2.0
//! Floods: every limit on what is relayed and what is made, that it holds, that it is counted, and that
//! it lets go a second later (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 (f)).
#![cfg(test)]

mod icmp_shared;

use dpvs_core::DropReason;
use dpvs_core::net::Protocol;
use dpvs_core::tables::IcmpPolicy;
use dpvs_core::testing::{Lab, Outcome, PacketBuilder};
use icmp_shared::*;

/// The method's balancer with the default limits and other ones.
fn lab(method: Method, change: impl FnOnce(&mut IcmpPolicy)) -> Lab {
    let mut lab = method.lab(1);
    lab.change(|draft| {
        let policy = &mut draft.tables_mut().limits.icmp;
        *policy = IcmpPolicy::default();
        change(policy);
    });
    lab
}

/// Sends a frame many times; returns how often something came out.
fn flood(lab: &mut Lab, frame: &[u8], times: usize) -> usize {
    (0..times).filter(|_| matches!(lab.send(0, frame), Outcome::Sent(_))).count()
}

fn made_limited(lab: &Lab) -> u64 {
    counts(lab)["icmp_made_limited"]
}

#[test]
fn a63_all_relayed_errors_of_a_worker_are_20000_a_second() {
    assert_eq!(IcmpPolicy::default().relayed_per_s, 20_000);
    let mut lab = lab(Method::FullNat, |policy| policy.relayed_per_virtual_per_s = 0);
    let session = Session::open(&mut lab, Method::FullNat, false, L4::Udp, 40000);
    for side in Side::BOTH {
        let error = session.error(side, HOST[0], [0; 4], 8);
        assert_eq!(flood(&mut lab, &error, 20_500), 20_000, "{side:?}");
        drops(&mut lab, 0, &error, DropReason::IcmpLimited);
        lab.now = lab.now + 100;
        assert_eq!(flood(&mut lab, &error, 2_500), 2_000);
        lab.now = lab.now + 1_000;
    }
    assert_eq!(lab.drops(DropReason::IcmpLimited), 2 * (500 + 1 + 500));
}

#[test]
fn a63_relayed_errors_of_a_virtual_address_are_1000_a_second() {
    assert_eq!(IcmpPolicy::default().relayed_per_virtual_per_s, 1_000);
    for method in Method::ALL {
        for v6 in FAMILIES {
            let mut lab = lab(method, |_| ());
            let session = Session::open(&mut lab, method, v6, L4::Udp, 40000);
            let error = session.error(Side::Client, HOST[at(v6)], [0; 4], 8);
            assert_eq!(flood(&mut lab, &error, 1_500), 1_000, "{method:?}");
            drops(&mut lab, 0, &error, DropReason::IcmpLimitedVirtual);
            // Another one has its own.
            let other = Session::open(&mut lab, method, !v6, L4::Udp, 40000);
            let others = other.error(Side::Client, HOST[at(!v6)], [0; 4], 8);
            assert_eq!(flood(&mut lab, &others, 10), 10);
            lab.now = lab.now + 500;
            assert_eq!(flood(&mut lab, &error, 1_000), 500);
        }
    }
}

#[test]
fn a63_a_connection_is_told_a_path_mtu_every_100_ms() {
    assert_eq!(IcmpPolicy::default().mtu_gap_ms, 100);
    for method in Method::ALL {
        for v6 in FAMILIES {
            let mut lab = lab(method, |_| ());
            let mut open =
                |cport| Session::with_data(&mut lab, method, (v6, L4::Udp, cport), &[7; 1350]);
            let (session, other) = (open(40000), open(40001));
            let rest = [0, 0, 5, 0];
            let too_big = session.error(Side::Client, TOO_BIG[at(v6)], rest, 8);
            assert_eq!(flood(&mut lab, &too_big, 10), 1);
            drops(&mut lab, 0, &too_big, DropReason::IcmpLimitedConnection);
            let others = other.error(Side::Client, TOO_BIG[at(v6)], rest, 8);
            assert_eq!(flood(&mut lab, &others, 10), 1, "another connection");
            let unreachable = session.error(Side::Client, HOST[at(v6)], [0; 4], 8);
            assert_eq!(flood(&mut lab, &unreachable, 10), 10, "another kind");
            lab.now = lab.now + 99;
            assert_eq!(flood(&mut lab, &too_big, 1), 0);
            lab.now = lab.now + 1;
            assert_eq!(flood(&mut lab, &too_big, 10), 1);
        }
    }
}

/// A traceroute's packets: one with a time to live of one from many sources or from one.
fn dying(v6: bool, source: usize) -> Vec<u8> {
    let source = if v6 {
        format!("2001:db8:c::{:x}", 0x1000 + source)
    } else {
        format!("198.51.{}.{}", 101 + source / 200, 1 + source % 200)
    };
    PacketBuilder::new(&source, V[at(v6)]).ttl(1).udp(40000, 53, b"")
}

/// Errors made for one destination: one a second, six at once.
#[test]
fn a63_one_destination_gets_an_error_a_second() {
    for v6 in FAMILIES {
        let mut lab = lab(Method::FullNat, |_| ());
        let frame = PacketBuilder::new(C[at(v6)], V[at(v6)]).ttl(1).udp(40000, 53, b"");
        assert_eq!(flood(&mut lab, &frame, 100), 6);
        assert_eq!((made_limited(&lab), lab.drops(DropReason::TtlExceeded)), (94, 100));
        lab.now = lab.now + 1_000;
        assert_eq!(flood(&mut lab, &frame, 100), 1);
        let expected = counts(&lab)["icmp_made_time_exceeded"];
        assert_eq!(expected, 7);
    }
}

/// Errors made in all: 1000 a second, fifty at once, however many sources there are.
#[test]
fn a63_a_worker_makes_1000_errors_a_second() {
    for v6 in FAMILIES {
        let mut lab = Lab::with_addresses(1, 64);
        lab.service(Protocol::Udp, V[at(v6)], 53, &[(R[at(v6)], 5300)]);
        lab.change(|draft| draft.tables_mut().limits.icmp.made_per_destination_per_s = 0);
        let told = |lab: &mut Lab, from: usize, n: usize| {
            (from..from + n)
                .filter(|source| {
                    let limited = made_limited(lab);
                    lab.send(0, &dying(v6, *source));
                    made_limited(lab) == limited
                })
                .count()
        };
        assert_eq!(told(&mut lab, 0, 1000), 50);
        lab.now = lab.now + 20;
        assert_eq!(told(&mut lab, 1000, 1000), 20);
        assert_eq!(lab.drops(DropReason::TtlExceeded), 2000);
        assert_eq!(lab.connections(), 0);
    }
}

/// Every generator is under the limits: too big, nobody there, forbidden, reset.
#[test]
fn a63_every_generator_is_limited() {
    use dpvs_core::tables::NoServer;
    let generators: [(&str, &str, NoServer); 5] = [
        ("icmp_made_time_exceeded", "ttl_exceeded", NoServer::Drop),
        ("icmp_made_too_big", "too_big", NoServer::Drop),
        ("icmp_made_unreachable", "no_dest", NoServer::HostUnreachable),
        ("icmp_made_unreachable", "no_dest", NoServer::Prohibited),
        ("resets_made", "no_dest", NoServer::Reset),
    ];
    for v6 in FAMILIES {
        for (made, reason, no_server) in generators {
            let mut lab = lab(Method::FullNat, |_| ());
            let from = PacketBuilder::new(C[at(v6)], V[at(v6)]);
            let frame = match made {
                "icmp_made_time_exceeded" => from.ttl(1).tcp(40000, 80, SYN, b""),
                "icmp_made_too_big" => from.tcp(40000, 80, SYN, &[0; 2000]),
                _ => from.tcp(40000, 80, SYN, b""),
            };
            if no_server != NoServer::Drop {
                let key = Method::FullNat.key(v6, L4::Tcp);
                let server = lab.tables.service(&key).unwrap().dests[0].endpoint;
                lab.change(|draft| {
                    draft.del_dest(&key, server).unwrap();
                    draft.tables_mut().limits.no_server = no_server;
                });
            }
            assert_eq!(flood(&mut lab, &frame, 200), 6, "{made} {no_server:?}");
            let all = counts(&lab);
            assert_eq!((all[made], all[reason], all["icmp_made_limited"]), (6, 200, 194));
        }
    }
}

/// That something is forbidden is said 100 times a second at most.
#[test]
fn a63_prohibited_is_told_100_times_a_second() {
    assert_eq!(IcmpPolicy::default().prohibited_per_s, 100);
    for v6 in FAMILIES {
        let mut lab = lab(Method::FullNat, |policy| {
            policy.made_per_destination_per_s = 0;
            policy.made_per_s = 0;
            policy.tells_denied = true;
        });
        let key = Method::FullNat.key(v6, L4::Udp);
        lab.change(|draft| {
            let client = dpvs_core::testing::address(C[at(v6)]);
            draft.add_access(&key, dpvs_core::tables::AccessList::Black, client).unwrap();
        });
        let frame = PacketBuilder::new(C[at(v6)], V[at(v6)]).udp(40000, 53, b"");
        assert_eq!(flood(&mut lab, &frame, 300), 100);
        assert_eq!((lab.drops(DropReason::Denied), made_limited(&lab)), (300, 200));
        lab.now = lab.now + 100;
        assert_eq!(flood(&mut lab, &frame, 300), 10);
    }
}

/// Echo replies of one address.
#[test]
fn a63_echo_replies_are_limited() {
    assert_eq!(IcmpPolicy::default().echo_per_s, 10_000);
    for v6 in FAMILIES {
        let mut lab = Lab::new(1);
        let frame = PacketBuilder::new(C[at(v6)], V[at(v6)]).ping(7, 1, b"data");
        assert_eq!(flood(&mut lab, &frame, 11_000), 10_000);
        drops(&mut lab, 0, &frame, DropReason::IcmpEchoLimited);
        let other = PacketBuilder::new(C[at(v6)], B[at(v6)]).ping(7, 1, b"data");
        assert_eq!(flood(&mut lab, &other, 100), 100, "another address has its own");
        lab.now = lab.now + 10;
        assert_eq!(flood(&mut lab, &frame, 1_000), 100);
    }
}

/// RFC 6888: one host behind SNAT cannot take all identifiers.
#[test]
fn a63_queries_of_one_client_are_limited() {
    assert_eq!(IcmpPolicy::default().queries_per_client, 1024);
    for method in Method::TRANSLATING {
        let mut lab = lab(method, |policy| policy.queries_per_client = 10);
        let [client, target] = method.ends(false);
        let ping = |client: &str, id| PacketBuilder::new(client, target).ping(id, 1, b"");
        let sent = (0..20).filter(|id| matches!(lab.send(0, &ping(client, *id)), Outcome::Sent(_)));
        assert_eq!(sent.count(), 10, "{method:?}");
        drops(&mut lab, 0, &ping(client, 99), DropReason::IcmpQueriesFull);
        let other = if method == Method::Snat { "10.1.1.11" } else { "198.51.100.11" };
        lab.send(0, &ping(other, 99)).sent();
    }
}

/// Nothing answers what must not be answered (RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e)).
#[test]
fn a63_no_generator_answers_what_may_not_be_answered() {
    let mut lab = lab(Method::FullNat, |_| ());
    for (source, v6) in [
        ("0.0.0.0", false),
        ("127.0.0.1", false),
        ("224.0.0.1", false),
        ("255.255.255.255", false),
        ("240.0.0.1", false),
        ("203.0.113.2", false),
        ("::", true),
        ("::1", true),
        ("ff02::1", true),
    ] {
        let dies = PacketBuilder::new(source, V[at(v6)]).ttl(1).udp(40000, 53, b"");
        let outcome = lab.send(0, &dies);
        assert!(matches!(outcome, Outcome::Dropped(_)), "{source}: {outcome:?}");
    }
    // To a link's group, and parts of datagrams.
    let group = PacketBuilder::new(C[0], V[0]).dst_mac([0xff; 6]).ttl(1).udp(40000, 53, b"");
    assert!(matches!(lab.send(0, &group), Outcome::Dropped(_)));
    let later = PacketBuilder::new(C[0], V[0]).flags_fragment(9).ttl(1).raw(17, &[0; 64]);
    assert!(matches!(lab.send(0, &later), Outcome::Dropped(_)));
    let all = counts(&lab);
    assert!(all.iter().all(|(name, n)| !name.contains("made") || *n == 0), "{all:?}");
}

/// Errors about one virtual address do not use up what all of them have together.
#[test]
fn a_flood_of_errors_about_one_address_leaves_the_others_theirs() {
    let mut lab = Method::FullNat.lab(1);
    lab.change(|draft| draft.tables_mut().limits.icmp = IcmpPolicy::default());
    let flooded = Session::open(&mut lab, Method::FullNat, false, L4::Udp, 40000);
    let other = Session::open(&mut lab, Method::FullNat, true, L4::Udp, 40000);
    let flood = flooded.error(Side::Client, HOST[0], [0; 4], 8);
    for _ in 0..25_000 {
        lab.send(0, &flood);
    }
    let error = other.error(Side::Client, HOST[1], [0; 4], 8);
    other.assert_translated(Side::Client, &error, &lab.send(0, &error).sent());
}

/// Of 1024 connections 256 may be query pairs, and three quarters of those to one address.
#[test]
fn a_flood_of_pings_to_one_address_leaves_room_for_those_to_others() {
    let mut lab = Lab::with_addresses(1, 1024);
    lab.service(Protocol::Icmp, V[0], 0, &[(R[0], 0)]);
    lab.service(Protocol::Icmp, "203.0.113.81", 0, &[(R[0], 0)]);
    let ping =
        |a: u8, b: u8, vip| PacketBuilder::new(&format!("198.18.{a}.{b}"), vip).ping(7, 1, b"");
    let flood = (0..=255).flat_map(|a| [1, 2].map(|b| ping(a, b, V[0])));
    let sent = flood.filter(|ping| matches!(lab.send(0, ping), Outcome::Sent(_))).count();
    assert_eq!(sent, 192);
    assert_eq!(lab.drops(DropReason::IcmpQueriesFull), 512 - 192);
    lab.send(0, &ping(0, 1, "203.0.113.81")).sent();
    lab.pass(60_500);
    lab.send(0, &ping(0, 1, V[0])).sent();
}
