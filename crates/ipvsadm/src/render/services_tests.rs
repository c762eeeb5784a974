// SPDX-License-Identifier: MIT OR Apache-2.0
//! Listings against texts of the real programs.

use super::*;
use crate::names::NoNames;
use crate::render::save;
use crate::render::tests_support::{
    FileNames, clients, dest, fwmark, key, page, recorded_cases, service,
};

fn stock(page: &ServicePage, listing: &ServiceListing, names: &dyn Names) -> String {
    render(page, listing, Format::Stock, names)
}

fn recorded(id: &str) -> String {
    let cases = recorded_cases();
    let case = cases.iter().find(|case| case["id"] == id).unwrap();
    case["stdout"].as_str().unwrap().to_owned()
}

/// As recorded, with the servers of 127.0.0.0/8 before those of 192.0.0.0/8 and IPv6 last: the
/// real program's order wraps around at 2^31.
fn forwarding_page() -> ServicePage {
    use Forward::{Direct, Nat, Tunnel};
    let mut tcp = service(key(Protocol::Tcp, "10.0.0.1", 80), "rr");
    for (address, port, forward) in [
        ("192.168.10.7", 80, Nat),
        ("192.168.10.1", 80, Direct),
        ("192.0.2.1", 8080, Nat),
        ("192.0.2.1", 80, Direct),
        ("127.0.0.2", 80, Nat),
        ("2001:db8:1::15", 80, Tunnel),
        ("127.0.0.1", 80, Tunnel),
    ] {
        tcp.dests.push(dest(address, port, forward));
    }
    let mut v6 = service(key(Protocol::Tcp, "2001:db8::1", 80), "rr");
    v6.dests.push(dest("2001:db8:1::11", 80, Direct));
    v6.dests.push(dest("::1", 80, Nat));
    page(vec![v6, service(key(Protocol::Udp, "10.0.0.1", 80), "rr"), tcp])
}

fn numeric() -> ServiceListing {
    ServiceListing { numeric: true, ..ServiceListing::default() }
}

#[test]
fn the_default_listing_in_numbers() {
    assert_eq!(
        stock(&forwarding_page(), &numeric(), &NoNames),
        "\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.0.0.1:80 rr
  -> 127.0.0.1:80                 Tunnel  1      0          0         
  -> 127.0.0.2:80                 Masq    1      0          0         
  -> 192.0.2.1:80                 Route   1      0          0         
  -> 192.0.2.1:8080               Masq    1      0          0         
  -> 192.168.10.1:80              Route   1      0          0         
  -> 192.168.10.7:80              Masq    1      0          0         
  -> [2001:db8:1::15]:80          Tunnel  1      0          0         
UDP  10.0.0.1:80 rr
TCP  [2001:db8::1]:80 rr
  -> [::1]:80                     Masq    1      0          0         
  -> [2001:db8:1::11]:80          Route   1      0          0         
"
    );
}

#[test]
fn names_stand_where_the_machine_knows_them() {
    let listing = ServiceListing { nosort: true, ..ServiceListing::default() };
    let text = stock(&forwarding_page(), &listing, &FileNames::new());
    for line in text.lines().filter(|line| !line.contains("version")) {
        assert!(recorded("forwarding-methods/025").contains(line), "{line}");
    }
    assert!(text.contains("[vip6.example.test]:http") && text.contains("rs1.example.test:http"));
}

#[test]
fn scheduler_flags_are_those_recorded() {
    let rows: [(u16, &str, &[&str]); 6] = [
        (7001, "sh", &["sh-fallback"]),
        (7003, "sh", &["sh-port", "sh-fallback"]),
        (7005, "mh", &["mh-fallback"]),
        (7010, "mh", &["flag-3"]),
        (7012, "sh", &["flag-1", "flag-2"]),
        (7016, "rr", &["flag-3", "flag-1"]),
    ];
    let services = rows.map(|(port, scheduler, flags)| {
        let mut service = service(key(Protocol::Tcp, "10.0.0.1", port), scheduler);
        service.scheduler_flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        service
    });
    let text = stock(&page(services.into()), &numeric(), &NoNames);
    for line in text.lines() {
        assert!(recorded("sched-flags/022").lines().any(|known| known == line), "{line}");
    }
}

#[test]
fn tunnels_are_described_as_recorded() {
    let tunnel = |address, kind, port, checksum| Dest {
        tunnel: Some(Tunnel { kind, port, checksum }),
        ..dest(address, 80, Forward::Tunnel)
    };
    let mut service = service(key(Protocol::Tcp, "10.0.0.1", 80), "rr");
    service.dests = vec![
        tunnel("192.168.10.1", TunnelType::Gue, 6080, TunnelChecksum::None),
        tunnel("192.168.10.2", TunnelType::Gre, 0, TunnelChecksum::Checksum),
        tunnel("192.168.10.3", TunnelType::Ipip, 0, TunnelChecksum::None),
        dest("192.168.10.4", 80, Forward::Nat),
        tunnel("2001:db8:1::11", TunnelType::Gue, 6080, TunnelChecksum::Checksum),
    ];
    let listing = ServiceListing { view: View::TunInfo, ..numeric() };
    let text = stock(&page(vec![service.clone()]), &listing, &NoNames);
    assert!(recorded("tunnel-types/096").starts_with(&text), "{text}");
    let timeouts = dpvs_api::types::Timeouts { tcp: 1, tcp_fin: 2, udp: 3, icmp: 60 };
    let namer = Namer { names: &NoNames, numeric: true };
    let (page, none) = (page(vec![service]), clients(&[]));
    let saved = save::Saved { page: &page, timeouts: &timeouts, black: &none, white: &none };
    let text = save::render(&saved, &namer);
    let lines = text.strip_prefix("--set 1 2 3\n").unwrap();
    assert!(recorded("tunnel-types/103").starts_with(lines), "{lines}");
}

#[test]
fn counters_are_scaled_and_exact_ones_push_the_column() {
    let mut service = service(key(Protocol::Tcp, "10.0.0.1", 80), "rr");
    service.stats = Stats {
        connections: 1_333_332,
        in_packets: 100_000_000,
        out_packets: 99_999_999,
        in_bytes: 829_626_000,
        out_bytes: 1_555_554_420_000,
    };
    service.dests = vec![dest("10.1.1.1", 80, Forward::FullNat)];
    let page = page(vec![service]);
    let listing = ServiceListing { view: View::Stats, ..numeric() };
    assert_eq!(
        stock(&page, &listing, &NoNames),
        "\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  10.0.0.1:80                   1333332  100000K 99999999  829626K    1555G
  -> 10.1.1.1:80                         0        0        0        0        0
"
    );
    let exact = ServiceListing { exact: true, ..listing };
    let text = stock(&page, &exact, &NoNames);
    let line =
        "TCP  10.0.0.1:80                   1333332 100000000 99999999 829626000 1555554420000";
    assert!(text.lines().any(|l| l == line), "{text}");
}

#[test]
fn rates_of_servers_are_not_scaled_but_their_bytes_are() {
    let mut service = service(key(Protocol::Icmpv6, "2001:db8::11", 0), "rr");
    let mut server = dest("2001:db8:1::1", 0, Forward::Direct);
    server.rates = Rates {
        connections: 120,
        in_packets: 1200,
        out_packets: 900,
        in_bytes: 840_000,
        out_bytes: 126_000_000,
    };
    service.dests = vec![server];
    let listing = ServiceListing { view: View::Rate, ..numeric() };
    assert_eq!(
        stock(&page(vec![service]), &listing, &NoNames),
        "\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS
  -> RemoteAddress:Port
ICMPv6 [2001:db8::11]:0                  0        0        0        0        0
  -> [2001:db8:1::1]:0                 120     1200      900   840000  126000K
"
    );
}

#[test]
fn a_server_above_its_thresholds_is_marked_in_the_format_of_dpvs_alone() {
    let mut web = service(key(Protocol::Tcp, "192.168.100.10", 80), "wrr");
    let mut full = dest("10.0.0.1", 8080, Forward::FullNat);
    (full.weight, full.active, full.inactive, full.overloaded) = (50, 9876, 19753, true);
    web.dests = vec![full, dest("10.0.0.2", 8080, Forward::FullNat)];
    let page = page(vec![web]);
    let listing = ServiceListing { service: Some(page.services[0].service.clone()), ..numeric() };
    assert_eq!(
        render(&page, &listing, Format::Dpvs, &NoNames),
        "\
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  192.168.100.10:80 wrr
  -> 10.0.0.1:8080                FullNat 50     9876       19753      overload
  -> 10.0.0.2:8080                FullNat 1      0          0         
"
    );
    assert!(!stock(&page, &listing, &NoNames).contains("overload"));
}

#[test]
fn thresholds_and_templates_have_their_columns() {
    let mut icmp = service(key(Protocol::Icmp, "192.168.100.11", 0), "rr");
    icmp.persistent = 360;
    let mut server = dest("10.0.0.4", 0, Forward::Direct);
    (server.upper_threshold, server.lower_threshold) = (1000, 800);
    (server.active, server.inactive, server.persistent) = (1, 2, 3);
    icmp.dests = vec![server];
    let page = page(vec![icmp]);
    let thresholds = ServiceListing { view: View::Thresholds, ..numeric() };
    let persistent = ServiceListing { view: View::PersistentConn, ..numeric() };
    assert_eq!(
        stock(&page, &thresholds, &NoNames),
        "\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn 
  -> RemoteAddress:Port
ICMP 192.168.100.11:0 rr persistent 360
  -> 10.0.0.4:0                   1000       800        1          2         
"
    );
    assert_eq!(
        stock(&page, &persistent, &NoNames),
        "\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn 
  -> RemoteAddress:Port
ICMP 192.168.100.11:0 rr persistent 360
  -> 10.0.0.4:0                   1         3           1          2         
"
    );
}

#[test]
fn flags_of_dpvs_follow_those_of_stock() {
    let mut web = service(key(Protocol::Tcp, "192.168.100.10", 80), "wrr");
    web.synproxy = true;
    web.conn_timeout = 60;
    web.proxy_protocol = "v2-insecure".to_owned();
    web.expire_quiescent = true;
    web.dest_check = "1,1,3s,5-3600s".to_owned();
    let mut quic = service(key(Protocol::Udp, "192.168.100.10", 443), "conhash");
    quic.hash_target = "qid".to_owned();
    quic.quic = true;
    quic.dest_check = "tcp,ping".to_owned();
    let mut sticky = service(key(Protocol::Tcp, "2001:db8::10", 80), "mh");
    (sticky.persistent, sticky.prefix_len) = (300, 64);
    sticky.persistence_engine = "sip".to_owned();
    sticky.dest_check = "2,4s".to_owned();
    let pattern = Match {
        protocol: Some(Protocol::Icmp),
        src_range: Some("192.168.0.0-192.168.0.254:0-0".to_owned()),
        oif: Some("dpdk0".to_owned()),
        ..Match::default()
    };
    let snat = service(ServiceKey::Match { pattern }, "rr");
    let services = vec![service(fwmark(u32::MAX, true), "wlc"), quic, sticky, web, snat];
    let listing = ServiceListing { service: Some(fwmark(1, false)), ..numeric() };
    assert_eq!(
        stock(&page(services), &listing, &NoNames),
        "\
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
MATCH icmp,from=192.168.0.0-192.168.0.254:0-0,oif=dpdk0 rr
TCP  192.168.100.10:80 wrr synproxy conn-timeout 60 ppv2-insecure expire-quiescent dest-check internal:default
UDP  192.168.100.10:443 conhash qid quic dest-check external:tcp,ping
TCP  [2001:db8::10]:80 mh persistent 300 mask 64 pe sip dest-check internal:2,4s
FWM  -1 IPv6 wlc
"
    );
}

#[test]
fn long_names_are_cut_except_those_of_ipv6() {
    let mut long = service(key(Protocol::Tcp, "10.0.0.99", 80), "rr");
    long.dests = vec![dest("192.168.10.99", 80, Forward::Nat)];
    let text = stock(&page(vec![long]), &ServiceListing::default(), &FileNames::new());
    assert!(text.contains("\nTCP  a-really-very-long-hostname- rr\n"), "{text}");
    assert!(text.contains("\n  -> a-really-long-real-server-ho Masq "), "{text}");
}
