// SPDX-License-Identifier: MIT OR Apache-2.0
//! `service.*`, `dest.*`, `laddr.*`.

use super::harness::{Daemon, dest, tcp};
use dpvs_api::types::ServiceSelector;
use serde_json::{Value, json};
use std::time::Instant;

#[test]
fn a_service_is_added_changed_and_removed() {
    let daemon = Daemon::start(2);
    let mut api = daemon.client();
    let written = api.ok("service.add", json!({ "service": tcp(80) }));
    assert_eq!(written["generation"], 1);
    assert_eq!(api.refused("service.add", json!({ "service": tcp(80) })), "EXIST ");
    let got = api.ok("service.get", json!({ "service": tcp(80) }));
    assert_eq!(got["scheduler"], "wlc");
    api.ok("service.set", json!({ "service": tcp(80), "scheduler": "rr" }));
    api.ok("service.set", json!({ "service": tcp(80) }));
    let got = api.ok("service.get", json!({ "service": tcp(80) }));
    assert_eq!(got["scheduler"], "rr");
    api.ok("service.replace", json!({ "service": tcp(80) }));
    api.ok("service.replace", json!({ "service": tcp(81), "scheduler": "wrr" }));
    let page = api.ok("service.list", json!({}));
    let schedulers: Vec<_> =
        page["services"].as_array().unwrap().iter().map(|s| s["scheduler"].clone()).collect();
    assert_eq!(schedulers, ["wlc", "wrr"]);
    assert_eq!(page["conn_table_size"], 8192);
    api.ok("service.del", json!({ "service": tcp(80) }));
    for method in ["service.del", "service.get", "service.zero", "service.list", "laddr.list"] {
        let refused = api.refused(method, json!({ "service": tcp(80) }));
        assert_eq!(refused, "NO_SERVICE service", "{method}");
    }
    let set = json!({ "service": tcp(80), "scheduler": "rr" });
    assert_eq!(api.refused("service.set", set), "NO_SERVICE service");
    api.ok("service.flush", json!({}));
    assert_eq!(api.ok("service.list", json!({}))["services"], json!([]));
}

#[test]
fn real_servers_are_added_changed_listed_newest_first_and_removed() {
    let daemon = Daemon::start(2);
    let mut api = daemon.client();
    assert_eq!(api.refused("dest.add", dest(80, "10.1.1.10")), "NO_SERVICE service");
    api.ok("service.add", json!({ "service": tcp(80) }));
    for server in ["10.1.1.10", "10.1.1.11", "10.1.1.12"] {
        api.ok("dest.add", dest(80, server));
    }
    assert_eq!(api.refused("dest.add", dest(80, "10.1.1.10")), "EXIST ");
    let with = |server: &str, field: &str, value: Value| {
        let mut spec = dest(80, server);
        spec[field] = value;
        spec
    };
    api.ok("dest.set", with("10.1.1.10", "weight", json!(7)));
    api.ok("dest.set", with("10.1.1.10", "upper_threshold", json!(9)));
    api.ok("dest.replace", dest(80, "10.1.1.11"));
    api.ok("dest.replace", with("10.1.1.13", "weight", json!(0)));
    let got = api.ok("service.get", json!({ "service": tcp(80) }));
    let rows: Vec<_> = got["dests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (d["address"].clone(), d["weight"].clone(), d["upper_threshold"].clone()))
        .collect();
    let row =
        |address: &str, weight: u32, upper: u32| (json!(address), json!(weight), json!(upper));
    assert_eq!(
        rows,
        [
            row("10.1.1.13", 0, 0),
            row("10.1.1.12", 1, 0),
            row("10.1.1.11", 1, 0),
            row("10.1.1.10", 7, 9)
        ]
    );
    for (params, refusal) in [
        (with("10.1.1.10", "weight", json!(65536)), "RANGE weight"),
        (with("10.1.1.10", "lower_threshold", json!(10)), "RANGE lower_threshold"),
        (with("10.1.1.10", "forward", json!("local")), "NOT_SUPPORTED forward"),
        (with("10.1.1.10", "forward", json!("snat")), "INVALID forward"),
        (dest(80, "10.9.9.9"), "NO_DEST address"),
        (dest(99, "10.1.1.10"), "NO_SERVICE service"),
    ] {
        assert_eq!(api.refused("dest.set", params), refusal);
    }
    let spec = json!({ "service": tcp(80), "address": "10.1.1.20", "port": 80 });
    api.ok("dest.add", spec);
    let got = api.ok("service.get", json!({ "service": tcp(80) }));
    assert_eq!(got["dests"][0]["forward"], "direct");
    assert_eq!(api.refused("dest.add", dest(80, "2001:db8::1")), "NOT_SUPPORTED address");
    let reference = json!({ "service": tcp(80), "address": "10.1.1.12", "port": 8080 });
    api.ok("dest.del", reference.clone());
    assert_eq!(api.refused("dest.del", reference), "NO_DEST address");
}

#[test]
fn a_local_address_comes_to_the_port_and_goes_with_its_last_service() {
    let daemon = Daemon::start(2);
    let mut api = daemon.client();
    let laddr = |service: u16, address: &str| json!({ "service": tcp(service), "address": address, "device": "dpdk0" });
    assert_eq!(api.refused("laddr.add", laddr(80, "10.1.1.200")), "NO_SERVICE service");
    api.ok("service.add", json!({ "service": tcp(80) }));
    api.ok("service.add", json!({ "service": tcp(81) }));
    let own = json!({ "address": "10.1.1.201", "prefix_len": 24, "device": "dpdk0" });
    api.ok("addr.add", own);
    for service in [80, 81] {
        api.ok("laddr.add", laddr(service, "10.1.1.200"));
        api.ok("laddr.add", laddr(service, "10.1.1.201"));
    }
    let mut elsewhere = laddr(80, "10.1.1.201");
    elsewhere["device"] = json!("dpdk1");
    assert_eq!(api.refused("laddr.add", elsewhere), "INVALID device");
    assert_eq!(api.refused("laddr.add", laddr(80, "10.1.1.200")), "EXIST ");
    assert_eq!(api.refused("laddr.add", laddr(80, "2001:db8::1")), "NOT_SUPPORTED address");
    let list = api.ok("laddr.list", json!({ "service": tcp(81) }));
    let laddrs = &list["services"][0]["laddrs"];
    assert_eq!(
        (&laddrs[0]["address"], &laddrs[1]["device"]),
        (&json!("10.1.1.200"), &json!("dpdk0"))
    );
    let addresses = |api: &mut super::harness::Api| -> Vec<Value> {
        let list = api.ok("addr.list", json!({}));
        list["addrs"].as_array().unwrap().iter().map(|a| a["addr"]["address"].clone()).collect()
    };
    assert_eq!(addresses(&mut api), ["10.1.1.201", "10.1.1.200"]);
    api.ok("laddr.del", laddr(80, "10.1.1.200"));
    assert_eq!(addresses(&mut api), ["10.1.1.201", "10.1.1.200"]);
    assert_eq!(api.refused("laddr.del", laddr(80, "10.1.1.200")), "NO_DEST address");
    api.ok("service.del", json!({ "service": tcp(81) }));
    assert_eq!(addresses(&mut api), ["10.1.1.201"]);
    api.ok("laddr.add", laddr(80, "10.1.1.200"));
    api.ok("service.flush", json!({}));
    assert_eq!(addresses(&mut api), ["10.1.1.201"]);
}

#[test]
fn three_thousand_servers_of_one_service_are_listed_by_pages() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    api.ok("service.add", json!({ "service": tcp(80) }));
    api.ok("service.add", json!({ "service": tcp(81) }));
    for part in 0..3u8 {
        let writes: Vec<Value> = (0..1000u16)
            .map(|n| {
                let [high, low] = n.to_be_bytes();
                let address = format!("10.{}.{high}.{low}", 10 + part);
                let mut spec = dest(80, &address);
                spec["port"] = json!(1 + n);
                json!({ "method": "dest.add", "params": spec })
            })
            .collect();
        api.ok("transaction", json!({ "writes": writes }));
    }
    let all = api.0.list_services(&ServiceSelector::default()).unwrap();
    assert_eq!((all.services.len(), all.services[0].dests.len()), (2, 3000));
    assert_eq!(all.services[0].dests[0].port, 1000);
    assert_eq!(all.services[0].dests[2999].port, 1);
    // One row at a time makes progress too, and a change meanwhile does not show.
    let first = api.ok("service.list", json!({ "limit": 1 }));
    api.ok("service.del", json!({ "service": tcp(81) }));
    let mut cursor = first["next"].clone();
    let mut rows = 0;
    while let Some(text) = cursor.as_str() {
        let page = api.ok("service.list", json!({ "limit": 1000, "cursor": text }));
        assert_eq!(page["generation"], first["generation"]);
        let services = page["services"].as_array().unwrap();
        rows += services.iter().map(|s| s["dests"].as_array().unwrap().len()).sum::<usize>();
        rows += services.iter().filter(|s| s["service"]["port"] == 81).count();
        cursor = page["next"].clone();
    }
    assert_eq!(rows, 3001);
    assert_eq!(api.refused("service.list", json!({ "limit": 0 })), "RANGE limit");
    assert_eq!(api.refused("service.list", json!({ "cursor": "x" })), "INVALID cursor");
    let old = json!({ "cursor": first["next"] });
    assert_eq!(api.refused("service.list", old), "CONFLICT cursor");
    // One service is too long for a line: the answer says so, and has the request's id.
    let more: Vec<Value> = (0..1000u16)
        .map(|n| {
            let mut spec = dest(80, "10.99.0.1");
            spec["port"] = json!(1 + n);
            json!({ "method": "dest.add", "params": spec })
        })
        .collect();
    api.ok("transaction", json!({ "writes": more }));
    assert_eq!(api.refused("service.get", json!({ "service": tcp(80) })), "RANGE ");
}

#[test]
fn ten_thousand_services_are_added_one_by_one_in_reasonable_time() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    let start = Instant::now();
    for n in 0..10_000u16 {
        let [high, low] = n.to_be_bytes();
        let address = format!("10.20.{high}.{low}");
        let key = json!({ "protocol": "tcp", "address": address, "port": 80 });
        api.ok("service.add", json!({ "service": key }));
    }
    let took = start.elapsed();
    println!("10,000 services took {took:?}");
    assert!(took.as_secs() < 60, "{took:?}");
    let all = api.0.list_services(&ServiceSelector::default()).unwrap();
    assert_eq!(all.services.len(), 10_000);
}
