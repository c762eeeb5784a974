// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tunnels: every kind, either family in either. The server's end is ours (`TunnelEnd`), its kernel
//! serves what was inside.

use crate::cells::{Family, Way};
use dpvs_tests::outer::{Kind, Sum};
use dpvs_tests::packet::{icmp, ipv4, send_icmpv6, send_ipv4, udp};
use dpvs_tests::run::wait_until;
use dpvs_tests::station::{Station, ask, udp_client};
use dpvs_tests::{Lab, TunnelEnd};
use std::net::Ipv6Addr;

dpvs_tests::lab_tests!(direct:
    v4_passes_in_v4,
    v6_passes_in_v6,
    v6_passes_in_v4,
    v4_passes_in_v6,
    senders_learn_what_fits,
    senders_learn_what_fits_v6,
    an_error_about_the_tunnel_is_not_the_clients,
    a_clients_error_reaches_the_server,
    a_narrow_path_is_told_to_clients,
    a_narrow_path_is_told_to_clients_v6,
);

/// The options of each kind of tunnel, and the bytes between outer and inner header.
const KINDS: [(&str, Kind, Sum, u32); 6] = [
    ("-i --tun-type ipip", Kind::Ipip, Sum::Absent, 0),
    ("-i --tun-type gre --tun-nocsum", Kind::Gre, Sum::Absent, 4),
    ("-i --tun-type gre --tun-csum", Kind::Gre, Sum::Whole, 8),
    ("-i --tun-type gue --tun-port 6080 --tun-nocsum", Kind::Gue, Sum::Absent, 12),
    ("-i --tun-type gue --tun-port 6080 --tun-csum", Kind::Gue, Sum::Whole, 12),
    // The inner checksum is whole when it comes to us, so nothing is left to the server.
    ("-i --tun-type gue --tun-port 6080 --tun-remcsum", Kind::Gue, Sum::Whole, 12),
];

pub(crate) fn way(family: Family, outer: Family, options: &'static str) -> Way {
    Way {
        family,
        server: outer.server(),
        options,
        word: "Tunnel",
        port: 80,
        local: None,
        is_both_ways: false,
    }
}

pub(crate) fn end(lab: &Lab) -> TunnelEnd {
    TunnelEnd::start(&lab.rs1(), lab.directory(), &["10.2.0.11", "fd00:2::11"])
}

/// Checks all kinds of tunnel with this inside and that outside.
fn passes(lab: &Lab, inner: Family, outer: Family) {
    let end = end(lab);
    for (options, kind, sum, _) in KINDS {
        way(inner, outer, options).check(lab);
        // Receivers drop UDP in IPv6 without a checksum unless they are told otherwise (RFC 8200).
        let is_sum_needed = kind == Kind::Gue && outer == Family::V6;
        let sum = if is_sum_needed { Sum::Whole } else { sum };
        let balancer = if outer == Family::V4 { "10.2.0.1" } else { "fd00:2::1" };
        end.expect(kind, balancer, outer.server(), sum);
        lab.all("ipvsadm -C");
    }
}

fn v4_passes_in_v4(lab: &mut Lab) {
    passes(lab, Family::V4, Family::V4);
}

fn v6_passes_in_v6(lab: &mut Lab) {
    passes(lab, Family::V6, Family::V6);
}

fn v6_passes_in_v4(lab: &mut Lab) {
    passes(lab, Family::V6, Family::V4);
}

fn v4_passes_in_v6(lab: &mut Lab) {
    passes(lab, Family::V4, Family::V6);
}

/// Checks that a ping of 1500 bytes that must not be fragmented is told what fits in each tunnel,
/// and that one of that size passes.
fn learned(lab: &Lab, inner: Family) {
    let _end = end(lab);
    let (header_len, said, network) = match inner {
        Family::V4 => (28, "Frag needed and DF set (mtu = ", "10.1.0."),
        Family::V6 => (48, "Packet too big: mtu=", "fd00:1::"),
    };
    // Nobody is told more than six times at once, so each half has a client of its own.
    for (outer, outer_len, source) in [(Family::V4, 20, 10), (Family::V6, 40, 11)] {
        for (options, _, _, between) in KINDS {
            way(inner, outer, options).provision(lab);
            let vip = inner.vip();
            let ping = |len: u32| {
                let size = len - header_len;
                let line = format!("ping -c 1 -W 1 -M do -I {network}{source} -s {size} {vip}");
                lab.client().run(&line)
            };
            // The kernel forgets what the tunnel before has taught it.
            lab.client().run("ip route flush cache").ok();
            lab.client().run("ip -6 route flush cache").ok();
            let fits = 1500 - outer_len - between;
            let run = ping(1500);
            let told = run.stdout.contains(&format!("{said}{fits}"));
            assert!(run.code == 1 && told, "{options} in {outer:?}, want {fits}: {run:#?}");
            ping(fits).ok();
            lab.all("ipvsadm -C");
        }
    }
}

fn senders_learn_what_fits(lab: &mut Lab) {
    learned(lab, Family::V4);
}

fn senders_learn_what_fits_v6(lab: &mut Lab) {
    learned(lab, Family::V6);
}

/// A server without the tunnel's end says that it does not know the protocol.
fn an_error_about_the_tunnel_is_not_the_clients(lab: &mut Lab) {
    way(Family::V4, Family::V4, "-i").provision(lab);
    let run = lab.client().run("ping -c 2 -i 0.1 -W 1 10.0.0.100");
    assert!(run.code == 1 && run.stdout.contains("0 received"), "{run:#?}");
    assert!(!run.stdout.contains("Unreachable"), "{run:#?}");
}

fn a_clients_error_reaches_the_server(lab: &mut Lab) {
    let _end = end(lab);
    let _echo = Station::udp_echo(&lab.rs1(), "10.0.0.100".parse().unwrap(), 7);
    way(Family::V4, Family::V6, "-i --tun-type gre").provision(lab);
    let socket = udp_client(&lab.client(), "10.0.0.100:7");
    assert_eq!(ask(&socket, b"hello").as_deref(), Ok(&b"hello"[..]));
    let port = socket.local_addr().unwrap().port();
    let quote = ipv4("10.0.0.100", "10.1.0.10", 17, &udp(7, port, b"hello"));
    let error = icmp(3, 3, [0; 4], &quote);
    send_ipv4(&lab.client(), &ipv4("10.1.0.10", "10.0.0.100", 1, &error));
    wait_until("the server is told", || lab.rs1().snmp("Icmp", "InDestUnreachs") == 1);
}

/// Pings with 1480 bytes, which must not be fragmented, and checks that this is what fits.
fn told(lab: &Lab, family: Family, header_len: u32, said: &str) {
    let line = format!("ping -c 1 -W 1 -M do -s {} {}", 1480 - header_len, family.vip());
    let run = lab.client().run(&line);
    assert!(run.code == 1 && run.stdout.contains(said), "want {said:?}: {run:#?}");
}

/// A router between us and the real server, whose part the server's kernel plays here, has a link
/// of 1400 bytes. It quotes 8 bytes of what the tunnel carries, too few to know whose they are.
fn a_narrow_path_is_told_to_clients(lab: &mut Lab) {
    let _end = end(lab);
    way(Family::V4, Family::V4, "-i").provision(lab);
    lab.client().ping(5, "-M do -s 1452", "10.0.0.100");
    let inside = ipv4("10.1.0.10", "10.0.0.100", 1, &[0; 1460]);
    let quote = &ipv4("10.2.0.1", "10.2.0.11", 4, &inside)[..28];
    let error = icmp(3, 4, [0, 0, 5, 120], quote);
    send_ipv4(&lab.rs1(), &ipv4("10.2.0.11", "10.2.0.1", 1, &error));
    let is_known = || lab.client().run("ping -c 1 -W 1 -M do -s 1452 10.0.0.100").code == 1;
    wait_until("it is learned", is_known);
    lab.client().run("ip route flush cache").ok();
    told(lab, Family::V4, 28, "(mtu = 1380)");
    lab.client().ping(5, "-M do -s 1352", "10.0.0.100");
}

fn a_narrow_path_is_told_to_clients_v6(lab: &mut Lab) {
    let _end = end(lab);
    way(Family::V6, Family::V6, "-i --tun-type gre").provision(lab);
    lab.client().ping(5, "-M do -s 1408", "fd00::100");
    // Packet too big, 1400; the quote is of GRE with 1460 bytes.
    let mut message = vec![2, 0, 0, 0, 0, 0, 5, 120];
    message.extend([0x60, 0, 0, 0, 5, 180, 47, 64]);
    message.extend("fd00:2::1".parse::<Ipv6Addr>().unwrap().octets());
    message.extend("fd00:2::11".parse::<Ipv6Addr>().unwrap().octets());
    message.extend([0, 0, 0x86, 0xdd, 0x60, 0, 0, 0]);
    send_icmpv6(&lab.rs1(), "fd00:2::1", &message);
    let is_known = || lab.client().run("ping -c 1 -W 1 -M do -s 1408 fd00::100").code == 1;
    wait_until("it is learned", is_known);
    lab.client().run("ip -6 route flush cache").ok();
    told(lab, Family::V6, 48, "mtu=1356");
    lab.client().ping(5, "-M do -s 1308", "fd00::100");
}
