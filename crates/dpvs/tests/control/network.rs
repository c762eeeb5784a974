// SPDX-License-Identifier: MIT OR Apache-2.0
//! `addr.*`, `route.*`, `neigh.*`, `link.*`.

use super::harness::{Api, Daemon};
use dpvs::control::LinkChange;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn addr(address: &str, len: u8) -> Value {
    json!({ "address": address, "prefix_len": len, "device": "dpdk0" })
}

fn route(destination: &str, len: u8) -> Value {
    json!({ "destination": destination, "prefix_len": len })
}

fn with(mut params: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        params[name] = value.clone();
    }
    params
}

/// The rows of a listing, each as the text of some of its fields.
fn rows(list: &Value, fields: &[&str]) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    list.as_array()
        .unwrap()
        .iter()
        .map(|row| fields.iter().map(|field| text(&row[field])).collect::<Vec<_>>().join(" "))
        .collect()
}

fn routes(api: &mut Api, filter: Value) -> Vec<String> {
    let list = api.ok("route.list", filter);
    rows(&list["routes"], &["destination", "prefix_len", "via", "src", "device", "mtu", "scope"])
}

#[test]
fn addresses_are_added_replaced_listed_and_removed() {
    let daemon = Daemon::start(2);
    let mut api = daemon.client();
    api.ok("addr.add", addr("10.0.1.1", 24));
    assert_eq!(api.refused("addr.add", addr("10.0.1.1", 24)), "EXIST ");
    let lives = json!({ "valid_lft": 100, "broadcast": "10.0.1.255", "scope": "link" });
    api.ok("addr.replace", with(addr("10.0.1.1", 24), &lives));
    api.ok("addr.replace", addr("2001:db8::1", 0));
    let list = api.ok("addr.list", json!({}));
    let first = &list["addrs"][0]["addr"];
    assert!((99..=100).contains(&first["valid_lft"].as_u64().unwrap()), "{first}");
    assert_eq!((&first["preferred_lft"], &first["scope"]), (&json!(0), &json!("link")));
    assert_eq!(list["addrs"][1]["addr"]["prefix_len"], 128);
    let v6 = api.ok("addr.list", json!({ "family": "inet6", "device": "dpdk0" }));
    assert_eq!(v6["addrs"].as_array().unwrap().len(), 1);
    for (params, refusal) in [
        (addr("10.0.1.2", 33), "RANGE prefix_len"),
        (addr("224.0.0.1", 32), "INVALID address"),
        (with(addr("10.0.1.2", 24), &json!({ "device": "eth0" })), "NO_DEVICE device"),
        (with(addr("10.0.1.2", 24), &json!({ "broadcast": "::1" })), "INVALID broadcast"),
    ] {
        assert_eq!(api.refused("addr.add", params), refusal);
    }
    let elsewhere = with(addr("10.0.1.1", 24), &json!({ "device": "dpdk1" }));
    assert_eq!(api.refused("addr.replace", elsewhere), "EXIST ");
    assert_eq!(api.refused("addr.del", addr("10.0.1.1", 25)), "NO_DEST address");
    assert_eq!(api.refused("addr.list", json!({ "device": "eth0" })), "NO_DEVICE device");
    api.ok("addr.del", addr("10.0.1.1", 24));
    api.ok("addr.flush", json!({ "device": "dpdk0" }));
    assert_eq!(api.refused("addr.flush", json!({ "device": "dpdk7" })), "NO_DEVICE device");
    assert_eq!(api.ok("addr.list", json!({}))["addrs"], json!([]));
}

#[test]
fn an_address_goes_when_its_lifetime_is_over() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    api.ok("addr.add", with(addr("10.0.1.1", 24), &json!({ "valid_lft": 1 })));
    let start = Instant::now();
    while api.ok("addr.list", json!({}))["addrs"] != json!([]) {
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(routes(&mut api, json!({})), Vec::<String>::new());
}

#[test]
fn local_connected_and_configured_routes_are_listed_with_the_mtu_in_effect() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    api.ok("addr.add", addr("10.0.1.1", 16));
    api.ok("route.add", with(route("0.0.0.0", 0), &json!({ "via": "10.0.0.254" })));
    let narrow = json!({ "device": "dpdk1", "mtu": 1400, "scope": "link" });
    api.ok("route.add", with(route("192.168.0.0", 16), &narrow));
    assert_eq!(
        routes(&mut api, json!({})),
        [
            "10.0.1.1 32 null null dpdk0 1500 host",
            "10.0.0.0 16 null 10.0.1.1 dpdk0 1500 link",
            "192.168.0.0 16 null null dpdk1 1400 link",
            "0.0.0.0 0 10.0.0.254 null dpdk0 1500 global",
        ]
    );
    assert_eq!(routes(&mut api, json!({ "device": "dpdk1", "family": "inet" })).len(), 1);
    assert_eq!(routes(&mut api, json!({ "family": "inet6" })).len(), 0);
}

#[test]
fn routes_are_replaced_and_removed_by_prefix_and_what_else_is_given() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    api.ok("addr.add", addr("10.0.1.1", 16));
    let via = |gateway: &str| with(route("0.0.0.0", 0), &json!({ "via": gateway }));
    api.ok("route.add", via("10.0.0.254"));
    api.ok("route.replace", via("10.0.0.253"));
    assert_eq!(api.refused("route.add", via("10.0.0.252")), "EXIST ");
    api.ok("route.add", with(via("10.0.0.252"), &json!({ "metric": 5 })));
    assert_eq!(api.refused("route.del", via("10.0.0.1")), "NO_DEST destination");
    api.ok("route.del", with(route("0.0.0.0", 0), &json!({ "metric": 5, "scope": "link" })));
    api.ok("route.del", route("0.0.0.0", 0));
    assert_eq!(api.refused("route.del", route("0.0.0.0", 0)), "NO_DEST destination");
    assert_eq!(api.refused("route.del", route("10.0.0.0", 16)), "NOT_SUPPORTED destination");
    for (params, refusal) in [
        (with(route("10.9.0.1", 16), &json!({ "device": "dpdk0" })), "INVALID destination"),
        (with(route("10.9.0.0", 33), &json!({ "device": "dpdk0" })), "RANGE prefix_len"),
        (with(route("10.9.0.0", 16), &json!({ "device": "x" })), "NO_DEVICE device"),
        (with(route("10.9.0.0", 16), &json!({ "via": "172.16.0.1" })), "NO_ROUTE via"),
        (with(route("10.9.0.0", 16), &json!({ "via": "10.0.1.1" })), "INVALID via"),
        (with(route("10.9.0.0", 16), &json!({ "device": "dpdk0", "via": "::2" })), "INVALID via"),
        (with(route("10.9.0.0", 16), &json!({ "device": "dpdk0", "src": "::2" })), "INVALID src"),
        (with(route("10.9.0.0", 16), &json!({ "device": "dpdk0", "mtu": 70000 })), "RANGE mtu"),
        (route("10.9.0.0", 16), "INVALID device"),
        (
            with(route("10.9.9.9", 32), &json!({ "device": "dpdk0", "scope": "host" })),
            "NOT_SUPPORTED scope",
        ),
    ] {
        assert_eq!(api.refused("route.add", params), refusal);
    }
    api.ok("route.add", with(route("10.9.0.0", 16), &json!({ "device": "dpdk0" })));
    api.ok("route.flush", json!({ "device": "dpdk0" }));
    assert_eq!(routes(&mut api, json!({})).len(), 2);
}

#[test]
fn neighbours_are_configured_learned_and_forgotten() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    let neigh =
        |address: &str, mac: &str| json!({ "address": address, "lladdr": mac, "device": "dpdk0" });
    api.ok("addr.add", addr("10.0.0.1", 24));
    api.ok("neigh.add", neigh("10.0.0.5", "52:54:00:00:00:05"));
    assert_eq!(api.refused("neigh.add", neigh("10.0.0.5", "52:54:00:00:00:06")), "EXIST ");
    api.ok("neigh.replace", neigh("10.0.0.5", "52:54:00:00:00:07"));
    assert_eq!(api.refused("neigh.add", neigh("10.0.0.6", "nonsense")), "INVALID lladdr");
    assert_eq!(api.refused("neigh.add", neigh("10.0.0.6", "ff:ff:ff:ff:ff:ff")), "INVALID lladdr");
    // An echo request makes the worker ask for the one who sent it.
    let ping = dpvs_core::testing::PacketBuilder::new("10.0.0.9", "10.0.0.1").ping(1, 1, b"x");
    daemon.feed(&ping);
    let list = api.ok("neigh.list", json!({}));
    assert_eq!(
        rows(&list["neighs"], &["address", "lladdr", "state", "static", "device"]),
        ["10.0.0.5 52:54:00:00:00:07 REACHABLE true dpdk0", "10.0.0.9 null SEND false dpdk0"]
    );
    let reference = |address: &str| json!({ "address": address, "device": "dpdk0" });
    api.ok("neigh.del", reference("10.0.0.5"));
    api.ok("neigh.del", reference("10.0.0.9"));
    assert_eq!(api.refused("neigh.del", reference("10.0.0.9")), "NO_DEST address");
    assert_eq!(api.ok("neigh.list", json!({ "family": "inet" }))["neighs"], json!([]));
    assert_eq!(api.refused("neigh.list", json!({ "device": "x" })), "NO_DEVICE device");
}

#[test]
fn ports_are_listed_and_set() {
    let daemon = Daemon::start(2);
    let mut api = daemon.client();
    api.ok("link.set", json!({ "device": "dpdk1", "mtu": 9000, "promisc": true }));
    let list = api.ok("link.list", json!({}));
    assert_eq!(
        rows(
            &list["links"],
            &["index", "device", "mtu", "promisc", "lladdr", "rx_queues", "tx_queues"]
        ),
        ["0 dpdk0 1500 false 02:00:00:00:00:bb 1 2", "1 dpdk1 9000 true 02:00:00:00:00:bc 1 2"]
    );
    assert_eq!(
        *daemon.changes.lock().unwrap(),
        [LinkChange::Promiscuous(true), LinkChange::Mtu(9000)]
    );
    for (fields, refusal) in [
        (json!({ "mtu": 9001 }), "RANGE mtu"),
        (json!({ "allmulticast": true }), "NOT_SUPPORTED allmulticast"),
        (json!({ "lladdr": "02:00:00:00:00:01" }), "NOT_SUPPORTED lladdr"),
        (json!({ "lladdr": "x" }), "INVALID lladdr"),
        (json!({ "device": "x" }), "NO_DEVICE device"),
    ] {
        let params = with(json!({ "device": "dpdk0" }), &fields);
        assert_eq!(api.refused("link.set", params), refusal);
    }
    api.ok(
        "link.set",
        json!({ "device": "dpdk0", "allmulticast": false, "lladdr": "2:0:0:0:0:bb" }),
    );
    let one = api.ok("link.list", json!({ "device": "dpdk0" }));
    assert_eq!(one["links"].as_array().unwrap().len(), 1);
    assert_eq!(one["links"][0]["mtu"], 1500);
}
