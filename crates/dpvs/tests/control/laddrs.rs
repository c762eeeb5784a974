// SPDX-License-Identifier: MIT OR Apache-2.0
//! `laddr.list` by pages.

use super::harness::{Api, Daemon, tcp};
use dpvs_api::Batch;
use dpvs_api::types::ServiceSelector;
use serde_json::{Value, json};

/// Makes services of these numbers of local addresses, at the ports from 1 on.
fn make(api: &mut Api, counts: &[usize]) {
    let mut batch = Batch::default();
    for (port, count) in (1..).zip(counts) {
        assert!(batch.push("service.add", &json!({ "service": tcp(port) })).unwrap());
        for at in 0..*count {
            let address = format!("10.7.{}.{}", at / 250, 1 + at % 250);
            let laddr = json!({ "service": tcp(port), "address": address, "device": "dpdk1" });
            assert!(batch.push("laddr.add", &laddr).unwrap());
        }
    }
    api.0.send(batch).unwrap();
    assert!(api.0.receive::<Value>().unwrap().iter().all(Result::is_ok));
}

/// Ports with their numbers of local addresses.
fn counts(page: &Value) -> Vec<(u64, usize)> {
    let services = page["services"].as_array().unwrap().iter();
    services
        .map(|s| (s["service"]["port"].as_u64().unwrap(), s["laddrs"].as_array().unwrap().len()))
        .collect()
}

#[test]
fn pages_split_services_and_show_those_without_local_addresses() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    make(&mut api, &[1, 0, 3, 0]);
    let page = api.ok("laddr.list", json!({ "limit": 2 }));
    assert_eq!(counts(&page), [(1, 1), (2, 0), (3, 1)]);
    // What comes after the first page is not in the listing.
    api.ok("service.add", json!({ "service": tcp(9) }));
    let page = api.ok("laddr.list", json!({ "limit": 2, "cursor": page["next"] }));
    assert_eq!(counts(&page), [(3, 2), (4, 0)]);
    assert!(page.get("next").is_none());
    assert_eq!(api.refused("laddr.list", json!({ "cursor": "x" })), "INVALID cursor");
    let one = api.ok("laddr.list", json!({ "service": tcp(3) }));
    assert_eq!(counts(&one), [(3, 3)]);
}

#[test]
fn more_than_fits_into_a_line_is_listed_over_all_pages() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    let mut many = vec![0; 3000];
    many[7] = 1000;
    make(&mut api, &many);
    let list = api.0.list_laddrs(&ServiceSelector::default()).unwrap();
    let found: Vec<usize> = list.services.iter().map(|service| service.laddrs.len()).collect();
    assert_eq!(found, many);
    assert!(api.ok("laddr.list", json!({})).get("next").is_some());
}
