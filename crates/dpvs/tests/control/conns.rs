// SPDX-License-Identifier: MIT OR Apache-2.0
//! `conn.*`, and what connections do to counters and rates.

use super::harness::{Api, Daemon};
use dpvs_api::types::ConnListParams;
use dpvs_core::Verdict;
use dpvs_core::testing::PacketBuilder;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::{Duration, Instant};

fn dns() -> Value {
    json!({ "protocol": "udp", "address": "203.0.113.53", "port": 53 })
}

/// A UDP service with one server, and so many clients' connections.
fn served(workers: usize, connections: u16) -> (Daemon, Api) {
    let daemon = Daemon::start(workers);
    let mut api = daemon.client();
    api.ok("addr.add", json!({ "address": "10.1.1.2", "prefix_len": 24, "device": "dpdk0" }));
    api.ok("service.add", json!({ "service": dns(), "scheduler": "rr" }));
    api.ok(
        "dest.add",
        json!({ "service": dns(), "address": "10.1.1.10", "port": 53, "forward": "fullnat" }),
    );
    api.ok("laddr.add", json!({ "service": dns(), "address": "10.1.1.200", "device": "dpdk0" }));
    for n in 0..connections {
        let client = if n % 2 == 0 { "198.51.100.10" } else { "198.51.100.77" };
        let frame = PacketBuilder::new(client, "203.0.113.53").udp(1000 + n, 53, b"question");
        let verdict = daemon.feed(&frame);
        assert!(matches!(verdict, Verdict::Wait(_) | Verdict::Drop(_)), "{verdict:?}");
    }
    (daemon, api)
}

#[test]
fn connections_are_listed_by_pages_once_each() {
    let (_daemon, mut api) = served(2, 300);
    let mut ports = HashSet::new();
    let mut workers = HashSet::new();
    let params = ConnListParams { limit: Some(7), ..ConnListParams::default() };
    let mut rows = 0;
    api.0
        .each_connection(params, |conn| {
            rows += 1;
            ports.insert(conn.client.port);
            workers.insert(conn.worker);
            assert_eq!((conn.state.as_str(), conn.dest.port), ("UDP", 53));
            assert_eq!(conn.local.unwrap().address.to_string(), "10.1.1.200");
            assert!((299..=300).contains(&conn.expires), "{}", conn.expires);
        })
        .unwrap();
    assert_eq!((rows, ports.len(), workers.len()), (300, 300, 2));
}

#[test]
fn a_filter_picks_connections_and_nonsense_is_refused() {
    let (_daemon, mut api) = served(2, 100);
    let mut count = |params: Value| {
        let mut rows = 0;
        let params: ConnListParams = serde_json::from_value(params).unwrap();
        api.0.each_connection(params, |_| rows += 1).unwrap();
        rows
    };
    assert_eq!(count(json!({ "client": "198.51.100.77" })), 50);
    assert_eq!(count(json!({ "client": "198.51.100.0/26" })), 50);
    assert_eq!(count(json!({ "client": "2001:db8::/32" })), 0);
    assert_eq!(count(json!({ "service": dns() })), 100);
    assert_eq!(count(json!({ "protocol": "tcp" })), 0);
    assert_eq!(count(json!({ "worker": 0 })) + count(json!({ "worker": 1 })), 100);
    let none = json!({ "protocol": "udp", "address": "203.0.113.53", "port": 54 });
    for (params, refusal) in [
        (json!({ "client": "nonsense" }), "INVALID client"),
        (json!({ "client": "10.0.0.0/33" }), "RANGE client"),
        (json!({ "worker": 2 }), "RANGE worker"),
        (json!({ "limit": 1001 }), "RANGE limit"),
        (json!({ "cursor": "5:0" }), "INVALID cursor"),
        (json!({ "cursor": "0:x" }), "INVALID cursor"),
        (json!({ "service": none }), "NO_SERVICE service"),
    ] {
        assert_eq!(api.refused("conn.list", params), refusal);
    }
}

#[test]
fn a_flush_ends_all_connections_of_all_workers() {
    let (_daemon, mut api) = served(2, 100);
    assert_eq!(api.ok("system.info", json!({}))["connections"], 100);
    api.ok("conn.flush", json!({}));
    assert_eq!(api.ok("system.info", json!({}))["connections"], 0);
    assert_eq!(api.ok("conn.list", json!({}))["connections"], json!([]));
    let dest = &api.ok("service.get", json!({ "service": dns() }))["dests"][0];
    assert_eq!((&dest["active"], &dest["inactive"]), (&json!(0), &json!(0)));
}

#[test]
fn counters_rates_and_the_use_of_local_addresses_follow_the_traffic() {
    let (daemon, mut api) = served(2, 100);
    let service = api.ok("service.get", json!({ "service": dns() }));
    assert_eq!(service["stats"]["connections"], 100);
    assert_eq!(service["dests"][0]["stats"]["in_packets"], 100);
    assert_eq!(service["laddrs"][0]["connections"], 100);
    let list = api.ok("addr.list", json!({}));
    assert_eq!(list["addrs"][0]["pool"], Value::Null);
    assert_eq!(list["addrs"][1]["pool"]["used"], 100);
    // A round looks at the counters every two seconds: the rate comes up, then goes down by half.
    let start = Instant::now();
    let mut n = 0;
    loop {
        let frame = PacketBuilder::new("198.51.100.10", "203.0.113.53").udp(1000, 53, b"again");
        daemon.feed(&frame);
        n += 1;
        let service = api.ok("service.get", json!({ "service": dns() }));
        if service["rates"]["in_packets"] != 0 && service["dests"][0]["rates"]["in_packets"] != 0 {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(15), "{service}");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(n > 1);
    api.ok("service.zero", json!({ "service": dns() }));
    let service = api.ok("service.get", json!({ "service": dns() }));
    assert_eq!(service["stats"]["connections"], 0);
    assert_eq!(service["rates"]["in_packets"], 0);
    assert_eq!(service["dests"][0]["stats"]["in_packets"], 0);
    assert_eq!(service["laddrs"][0]["connections"], 100);
    api.ok("service.zero", json!({}));
}

#[test]
fn connections_tell_how_they_are_forwarded_and_templates_that_they_are_none() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    api.ok("addr.add", json!({ "address": "10.1.1.2", "prefix_len": 24, "device": "dpdk0" }));
    let spec = json!({ "service": dns(), "persistent": 300, "netmask": "255.255.255.0" });
    api.ok("service.add", spec);
    let server = json!({ "service": dns(), "address": "10.1.1.10", "port": 53 });
    for forward in ["direct", "nat", "tunnel"] {
        let mut spec = server.clone();
        spec["forward"] = json!(forward);
        api.ok("dest.replace", spec);
        api.ok("conn.flush", json!({}));
        let frame = PacketBuilder::new("198.51.100.10", "203.0.113.53").udp(1000, 53, b"question");
        daemon.feed(&frame);
        let rows = api.ok("conn.list", json!({}))["connections"].take();
        let row = |at: usize, field: &str| rows[at][field].clone();
        let end = |address: &str, port: u16| json!({ "address": address, "port": port });
        assert_eq!(rows.as_array().unwrap().len(), 2, "{rows}");
        for at in [0, 1] {
            assert_eq!(row(at, "forward"), forward);
            assert_eq!(row(at, "local"), Value::Null);
            assert_eq!(row(at, "virtual"), end("203.0.113.53", 53));
            assert_eq!(row(at, "dest"), end("10.1.1.10", 53));
        }
        assert_eq!((row(0, "state"), row(0, "template")), (json!("UDP"), json!(false)));
        assert_eq!((row(1, "state"), row(1, "template")), (json!("NONE"), json!(true)));
        assert_eq!(row(0, "client"), end("198.51.100.10", 1000));
        assert_eq!(row(1, "client"), end("198.51.100.0", 0));
        let shown = api.ok("service.get", json!({ "service": dns() }))["dests"][0].take();
        assert_eq!((&shown["inactive"], &shown["persistent"]), (&json!(1), &json!(1)));
    }
}

#[test]
fn a_server_at_its_upper_threshold_is_shown_as_overloaded() {
    let (daemon, mut api) = served(1, 0);
    let server = json!({ "service": dns(), "address": "10.1.1.10", "port": 53 });
    let mut limit = server.clone();
    (limit["upper_threshold"], limit["lower_threshold"]) = (json!(2), json!(1));
    api.ok("dest.set", limit);
    let overloaded = |api: &mut Api| {
        let service = api.ok("service.get", json!({ "service": dns() }));
        service["dests"][0]["overloaded"].clone()
    };
    for n in 0..2 {
        assert_eq!(overloaded(&mut api), false);
        let frame = PacketBuilder::new("198.51.100.10", "203.0.113.53").udp(1000 + n, 53, b"q");
        daemon.feed(&frame);
    }
    assert_eq!(overloaded(&mut api), true);
    api.ok("conn.flush", json!({}));
    assert_eq!(overloaded(&mut api), false);
}
