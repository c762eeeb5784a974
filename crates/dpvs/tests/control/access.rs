// SPDX-License-Identifier: MIT OR Apache-2.0
//! `blacklist.*` and `whitelist.*`.

use super::harness::{Api, Daemon, dest, tcp};
use dpvs_api::method::{BlacklistList, WhitelistList};
use dpvs_api::types::ServiceSelector;
use dpvs_core::testing::PacketBuilder;
use dpvs_core::{DropReason, Verdict};
use serde_json::{Value, json};

fn entry(port: u16, address: &str) -> Value {
    json!({ "service": tcp(port), "address": address })
}

fn clients(api: &mut Api, method: &str) -> Value {
    api.ok(method, json!({}))["services"].take()
}

#[test]
fn clients_are_put_on_each_list_listed_in_order_and_taken_off() {
    let daemon = Daemon::start(2);
    let mut api = daemon.client();
    assert_eq!(api.refused("blacklist.add", entry(80, "198.51.100.7")), "NO_SERVICE service");
    assert_eq!(api.refused("whitelist.del", entry(80, "198.51.100.7")), "NO_SERVICE service");
    for port in [80, 81, 82] {
        api.ok("service.add", json!({ "service": tcp(port) }));
    }
    for (list, other) in [("blacklist", "whitelist"), ("whitelist", "blacklist")] {
        let [add, del, all] = ["add", "del", "list"].map(|verb| format!("{list}.{verb}"));
        for address in ["198.51.100.9", "198.51.100.10", "9.0.0.1"] {
            api.ok(&add, entry(80, address));
        }
        api.ok(&add, entry(82, "198.51.100.9"));
        assert_eq!(api.refused(&add, entry(80, "9.0.0.1")), "EXIST address");
        assert_eq!(
            clients(&mut api, &all),
            json!([
                { "service": tcp(80), "clients": ["9.0.0.1", "198.51.100.9", "198.51.100.10"] },
                { "service": tcp(82), "clients": ["198.51.100.9"] },
            ])
        );
        assert_eq!(clients(&mut api, &format!("{other}.list")), json!([]));
        let of = |port: u16| json!({ "service": tcp(port) });
        assert_eq!(api.ok(&all, of(81))["services"], json!([]));
        assert_eq!(api.ok(&all, of(82))["services"][0]["clients"], json!(["198.51.100.9"]));
        assert_eq!(api.refused(&all, of(99)), "NO_SERVICE service");
        for (port, address) in
            [(80, "198.51.100.9"), (80, "198.51.100.10"), (80, "9.0.0.1"), (82, "198.51.100.9")]
        {
            api.ok(&del, entry(port, address));
        }
        assert_eq!(api.refused(&del, entry(82, "198.51.100.9")), "NO_DEST address");
        for (address, refusal) in [
            ("2001:db8::1", "INVALID address"),
            ("::ffff:198.51.100.7", "INVALID address"),
            ("224.0.0.1", "INVALID address"),
            ("ipset:denyset", "INVALID_PARAMS address"),
        ] {
            assert_eq!(api.refused(&add, entry(80, address)), refusal, "{address}");
        }
        assert_eq!(clients(&mut api, &all), json!([]));
    }
    // They go with their service.
    api.ok("blacklist.add", entry(80, "198.51.100.9"));
    api.ok("service.del", json!({ "service": tcp(80) }));
    api.ok("service.add", json!({ "service": tcp(80) }));
    assert_eq!(clients(&mut api, "blacklist.list"), json!([]));
}

#[test]
fn the_lists_keep_clients_out() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    api.ok("addr.add", json!({ "address": "10.1.1.2", "prefix_len": 24, "device": "dpdk0" }));
    api.ok("service.add", json!({ "service": tcp(80) }));
    let mut server = dest(80, "10.1.1.10");
    server["forward"] = json!("nat");
    api.ok("dest.add", server);
    let mut port = 1000;
    let mut is_denied = |client: &str| {
        port += 1;
        let verdict =
            daemon.feed(&PacketBuilder::new(client, "203.0.113.80").tcp(port, 80, 2, b""));
        verdict == Verdict::Drop(DropReason::Denied)
    };
    assert!(!is_denied("198.51.100.9"));
    api.ok("blacklist.add", entry(80, "198.51.100.9"));
    assert!(is_denied("198.51.100.9") && !is_denied("198.51.100.10"));
    api.ok("whitelist.add", entry(80, "198.51.100.11"));
    assert!(is_denied("198.51.100.10") && !is_denied("198.51.100.11"));
    api.ok("whitelist.del", entry(80, "198.51.100.11"));
    api.ok("blacklist.del", entry(80, "198.51.100.9"));
    assert!(!is_denied("198.51.100.9") && !is_denied("198.51.100.10"));
}

#[test]
fn thirty_thousand_clients_are_listed_by_pages() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    for port in [80, 81] {
        api.ok("service.add", json!({ "service": tcp(port) }));
    }
    for part in 0..30u16 {
        let [high, low] = part.to_be_bytes();
        let writes: Vec<Value> = (0..1000u16)
            .map(|n| {
                let [third, fourth] = n.to_be_bytes();
                let params = entry(80, &format!("{}.{low}.{third}.{fourth}", 20 + high));
                json!({ "method": "blacklist.add", "params": params })
            })
            .collect();
        api.ok("transaction", json!({ "writes": writes }));
    }
    api.ok("blacklist.add", entry(81, "198.51.100.9"));
    let all = api.0.list_clients::<BlacklistList>(&ServiceSelector::default()).unwrap();
    assert_eq!((all.services.len(), all.services[0].clients.len()), (2, 30_000));
    assert_eq!(all.services[0].clients[29_999].to_string(), "20.29.3.231");
    let none = api.0.list_clients::<WhitelistList>(&ServiceSelector::default()).unwrap();
    assert_eq!(none.services, []);
    // A change meanwhile does not show.
    let first = api.ok("blacklist.list", json!({ "limit": 1 }));
    assert_eq!(first["services"][0]["clients"], json!(["20.0.0.0"]));
    api.ok("blacklist.del", entry(80, "20.0.0.1"));
    let second = json!({ "limit": 1, "cursor": first["next"] });
    let page = api.ok("blacklist.list", second.clone());
    assert_eq!(page["services"][0]["clients"], json!(["20.0.0.1"]));
    assert_eq!(page["generation"], first["generation"]);
    let page = api.ok("blacklist.list", json!({ "service": tcp(81) }));
    assert_eq!(page["services"][0]["clients"], json!(["198.51.100.9"]));
    assert_eq!(api.refused("blacklist.list", second), "CONFLICT cursor");
    for (params, refusal) in [
        (json!({ "limit": 0 }), "RANGE limit"),
        (json!({ "limit": 10_001 }), "RANGE limit"),
        (json!({ "cursor": "1:2" }), "INVALID cursor"),
        (json!({ "cursor": "1:2:-3" }), "INVALID cursor"),
    ] {
        assert_eq!(api.refused("blacklist.list", params), refusal);
    }
}
