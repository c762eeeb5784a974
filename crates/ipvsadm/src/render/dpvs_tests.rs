// SPDX-License-Identifier: MIT OR Apache-2.0
//! Listings against the transcript of DPVS 1.10.2, whose services are made again here.
//!
//! What differs: our version and table size (decision 5), one blank after a protocol's word, as stock
//! has it (decision 1), the order of numbers (decision 9), `ICMPv6` spelt right, bandwidth limits and
//! `inhibited`, which dpvs does not have.

use super::*;
use crate::invocation::AccessList;
use crate::names::NoNames;
use crate::render::tests_support::{clients, dest, fwmark, key, page, service};
use crate::render::{clients as lists, save};
use dpvs_api::types::Timeouts;

const TRANSCRIPT: &str = include_str!("../../tests/golden/dpvs-1.10.2-ipvsadm-list.txt");

/// Returns what a command printed, in any order of lines, with the differences that are meant.
fn recorded(command: &str) -> Vec<String> {
    let start = format!("$ {command}\n");
    let (_, text) = TRANSCRIPT.split_once(&start).unwrap();
    let (text, _) = text.split_once("[rc=").unwrap();
    let has_columns = text.contains("OutBytes") || text.contains("OutBPS");
    let mine = |line: &str| {
        let line = line.replace("version 1.10.2 (size=0)", "version 1.2.1 (size=4096)");
        let line = line.replace("inhibited,overload", "overload").replace("IMCPv6", "ICMPv6");
        let line = line.replace(" bps 100M           ", "                    ");
        match line.split_once("  ") {
            Some((word @ ("ICMP" | "ICMPv6" | "SCTP"), rest)) if text.contains("Prot ") => {
                // The columns after the name stay where they are.
                let rest =
                    if has_columns { rest.replacen("  ", "   ", 1) } else { rest.to_owned() };
                format!("{word} {rest}")
            }
            _ => line,
        }
    };
    in_any_order(text.lines().map(mine))
}

fn in_any_order(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort_unstable();
    lines
}

fn counted(connections: u64) -> Stats {
    let times = |factor: u64| connections.wrapping_mul(factor);
    Stats {
        connections,
        in_packets: times(12),
        out_packets: times(9),
        in_bytes: times(8400),
        out_bytes: times(1_260_000),
    }
}

/// A server: its end, method, weight, connections active and inactive, connections counted.
type Row = (&'static str, u16, Forward, u32, [u64; 3]);

fn with(mut service: Service, rows: &[Row]) -> Service {
    let mut total = 0_u64;
    for &(address, port, forward, weight, [active, inactive, count]) in rows {
        let mut dest = dest(address, port, forward);
        (dest.active, dest.inactive) =
            (u32::try_from(active).unwrap(), u32::try_from(inactive).unwrap());
        (dest.weight, dest.persistent) = (weight, 3);
        (dest.upper_threshold, dest.lower_threshold) = (1000, 800);
        dest.overloaded = address == "10.0.0.1";
        dest.stats = counted(count);
        dest.rates = Rates {
            connections: 120,
            in_packets: 1200,
            out_packets: 900,
            in_bytes: 840_000,
            out_bytes: 126_000_000,
        };
        total = total.wrapping_add(count);
        service.dests.push(dest);
    }
    service.stats = counted(total);
    service
}

fn persistent(mut service: Service, seconds: u32) -> Service {
    service.persistent = seconds;
    service
}

fn recorded_page() -> ServicePage {
    use Forward::{Direct, FullNat, Nat, Snat, Tunnel};
    let at = |protocol, address, port, scheduler| service(key(protocol, address, port), scheduler);
    let icmp = at(Protocol::Icmp, "192.168.100.11", 0, "rr");
    let pattern = Match {
        protocol: Some(Protocol::Icmp),
        src_range: Some("192.168.0.0-192.168.0.254:0-0".to_owned()),
        oif: Some("dpdk0".to_owned()),
        ..Match::default()
    };
    let mut web = at(Protocol::Tcp, "192.168.100.10", 80, "wrr");
    (web.synproxy, web.conn_timeout, web.expire_quiescent) = (true, 60, true);
    web.proxy_protocol = "v2-insecure".to_owned();
    web.dest_check = "1,1,3s,5-3600s".to_owned();
    let mut large = persistent(at(Protocol::Tcp, "10.1.1.1", 80, "rr"), 600);
    large.netmask = Ipv4Addr::new(255, 255, 255, 0);
    let mut quic = at(Protocol::Udp, "192.168.100.10", 443, "conhash");
    (quic.hash_target, quic.quic) = ("qid".to_owned(), true);
    quic.dest_check = "tcp,ping".to_owned();
    let mut calls = at(Protocol::Sctp, "192.168.100.10", 5060, "rr");
    calls.one_packet = true;
    let mut sticky = persistent(at(Protocol::Tcp, "2001:db8::10", 80, "mh"), 300);
    (sticky.prefix_len, sticky.dest_check) = (64, "2,4s".to_owned());
    let icmpv6 = at(Protocol::Icmpv6, "2001:db8::11", 0, "rr");
    let (some, many) = ([1, 2, 10], [1_942_892_530, 3_885_785_061, 123_456_789_012_345]);
    page(vec![
        with(persistent(icmp, 360), &[("10.0.0.4", 0, Direct, 1, some)]),
        with(service(ServiceKey::Match { pattern }, "rr"), &[("1.2.3.4", 0, Snat, 100, some)]),
        with(
            web,
            &[
                ("10.0.0.1", 8080, FullNat, 50, [9876, 19753, 98_765]),
                ("10.0.0.2", 8080, FullNat, 100, [123_456, 246_913, 1_234_567]),
            ],
        ),
        with(
            large,
            &[("223.255.255.254", 65535, Nat, 65535, many), ("11.0.0.1", 80, Tunnel, 1, [0, 0, 1])],
        ),
        with(quic, &[("10.0.0.3", 443, Direct, 1, [0; 3])]),
        calls,
        with(
            sticky,
            &[("10.0.0.9", 80, FullNat, 1, some), ("2001:db8:1::2", 80, FullNat, 1, some)],
        ),
        with(persistent(icmpv6, 360), &[("2001:db8:1::1", 0, Direct, 1, some)]),
        with(service(fwmark(7, false), "wlc"), &[("10.0.0.5", 0, Direct, 1, some)]),
    ])
}

#[track_caller]
fn lists_as_recorded(command: &str, listing: &ServiceListing) {
    let listing = ServiceListing { numeric: true, ..listing.clone() };
    let text = render(&recorded_page(), &listing, Format::Dpvs, &NoNames);
    assert_eq!(in_any_order(text.lines().map(str::to_owned)), recorded(command), "{command}");
}

#[test]
fn every_view_is_as_recorded() {
    let view = |view| ServiceListing { view, ..ServiceListing::default() };
    lists_as_recorded("ipvsadm -Ln", &view(View::Default));
    lists_as_recorded("ipvsadm -Ln --stats", &view(View::Stats));
    let exact = ServiceListing { exact: true, ..view(View::Stats) };
    lists_as_recorded("ipvsadm -Ln --stats --exact", &exact);
    lists_as_recorded("ipvsadm -Ln --rate", &view(View::Rate));
    lists_as_recorded("ipvsadm -Ln --thresholds", &view(View::Thresholds));
    lists_as_recorded("ipvsadm -Ln --persistent-conn", &view(View::PersistentConn));
}

#[test]
fn access_lists_are_as_recorded() {
    let web = key(Protocol::Tcp, "192.168.100.10", 80);
    let ping = key(Protocol::Icmpv6, "2001:db8::11", 0);
    let page = clients(&[(web, &["172.16.1.1"]), (ping, &["2001:db8:dead::1"])]);
    for (command, list) in [("ipvsadm -B", AccessList::Black), ("ipvsadm -W", AccessList::White)] {
        let text = lists::render(&page, list);
        let mut recorded = recorded(command);
        recorded.retain(|line| !line.contains("ipset:"));
        assert_eq!(in_any_order(text.lines().map(str::to_owned)), recorded, "{command}");
    }
}

/// Ours has more (decision 8): every line starts as the recorded one.
#[test]
fn saved_rules_start_as_recorded() {
    let page = recorded_page();
    let none = clients(&[]);
    let timeouts = Timeouts { tcp: 900, tcp_fin: 120, udp: 300, icmp: 60 };
    let saved = save::Saved { page: &page, timeouts: &timeouts, black: &none, white: &none };
    let text = save::render(&saved, &Namer { names: &NoNames, numeric: true });
    for line in recorded("ipvsadm -Sn") {
        // Empty parts of a match are left out; ICMPv6 has its own letter.
        let line = line.replace(",dst-range=0.0.0.0-0.0.0.0:0-0,iif=", "").replace("--ops", "-o");
        let line = line.replace("-q [", "-1 [");
        assert!(text.lines().any(|ours| ours.starts_with(&line)), "{line}\nis not in\n{text}");
    }
}
