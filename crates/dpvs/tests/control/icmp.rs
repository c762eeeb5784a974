// SPDX-License-Identifier: MIT OR Apache-2.0
//! `icmp.*`: why is path MTU discovery broken?

use super::harness::{Api, Daemon, dest, tcp};
use dpvs_core::testing::PacketBuilder;
use dpvs_core::{DropReason, Verdict};
use serde_json::json;

const V: &str = "203.0.113.80";
const L: &str = "10.1.1.200";
const ROUTER: &str = "198.51.100.254";

#[test]
fn an_error_that_was_dropped_is_remembered_with_its_reason() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    assert_eq!(api.ok("icmp.decisions", json!({})), json!({ "decisions": [] }));
    api.ok("service.add", json!({ "service": tcp(80) }));
    let sent = PacketBuilder::new(V, "198.51.100.10").tcp(80, 40000, 16, b"");
    let router = PacketBuilder::new(ROUTER, V);
    let error = router.icmp(3, 4, [0, 0, 5, 0x78], &sent[14..]);
    assert_eq!(daemon.feed(&error), Verdict::Drop(DropReason::IcmpUnrelated));
    let short = router.icmp(3, 1, [0; 4], &sent[14..30]);
    assert_eq!(daemon.feed(&short), Verdict::Drop(DropReason::IcmpShortQuote));
    let mut decisions = api.ok("icmp.decisions", json!({}))["decisions"].take();
    for decision in decisions.as_array_mut().unwrap() {
        let age = decision.as_object_mut().unwrap().remove("age_ms").unwrap();
        assert!(age.as_u64().unwrap() < 60_000);
    }
    assert_eq!(
        decisions,
        json!([
            {
                "worker": 0, "device": "dpdk0", "src": ROUTER, "dst": V, "type": 3, "code": 4,
                "quote": {
                    "protocol": "tcp",
                    "src": { "address": V, "port": 80 },
                    "dst": { "address": "198.51.100.10", "port": 40000 },
                },
                "outcome": "icmp_unrelated",
            },
            {
                "worker": 0, "device": "dpdk0", "src": ROUTER, "dst": V, "type": 3, "code": 1,
                "outcome": "icmp_short_quote",
            },
        ])
    );
    let newest = api.ok("icmp.decisions", json!({ "limit": 1 }))["decisions"].take();
    assert_eq!(newest.as_array().unwrap().len(), 1);
    assert_eq!(newest[0]["code"], 1);
    assert_eq!(api.refused("icmp.decisions", json!({ "limit": 0 })), "RANGE limit");
    assert_eq!(api.refused("icmp.decisions", json!({ "limit": 2049 })), "RANGE limit");
    assert_eq!(api.refused("icmp.decisions", json!({ "worker": 1 })), "RANGE worker");
}

#[test]
fn counters_drops_and_settings_are_those_of_icmp() {
    let daemon = Daemon::start(2);
    let mut api = daemon.client();
    let status = api.ok("icmp.get", json!({}));
    for part in ["counters", "drops"] {
        let names: Vec<&String> = status[part].as_object().unwrap().keys().collect();
        assert!(names.len() > 10 && names.iter().all(|name| name.starts_with("icmp_")));
    }
    assert_eq!(status["counters"]["icmp_echo_replied"], 0);
    assert_eq!(status["counters"]["icmp_query_sessions"], 0);
    assert_eq!(status["drops"]["icmp_unrelated"], 0);
    assert_eq!(status["settings"]["relayed_per_s"], 20_000);
    assert_eq!(status["settings"]["source_to_clients"], "peer");
}

/// A full NAT service with two servers and a connection to the first, by local port 1024.
fn served(api: &mut Api, daemon: &Daemon) {
    for (address, device) in [("10.1.1.2", "dpdk0"), ("198.51.100.2", "dpdk1")] {
        api.ok("addr.add", json!({ "address": address, "prefix_len": 24, "device": device }));
    }
    api.ok("service.add", json!({ "service": tcp(80), "scheduler": "rr" }));
    api.ok("dest.add", dest(80, "10.1.1.10"));
    api.ok("laddr.add", json!({ "service": tcp(80), "address": L, "device": "dpdk0" }));
    let syn = PacketBuilder::new("198.51.100.10", V).tcp(40000, 80, 2, b"");
    assert!(matches!(daemon.feed(&syn), Verdict::Wait(_)));
    api.ok("dest.add", dest(80, "10.1.1.11"));
}

#[test]
fn a_server_has_the_errors_about_its_packets_until_the_counters_are_zeroed() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    served(&mut api, &daemon);
    assert_eq!(api.ok("icmp.servers", json!({})), json!({ "servers": [] }));
    let quoted = PacketBuilder::new(L, "10.1.1.10").tcp(1024, 8080, 2, b"");
    let router = PacketBuilder::new("10.1.1.254", L);
    for (icmp_type, code) in [(3, 1), (3, 3), (3, 4), (11, 0), (12, 0)] {
        let error = router.icmp(icmp_type, code, [0, 0, 5, 0], &quoted[14..42]);
        assert!(matches!(daemon.feed(&error), Verdict::Wait(_)), "{icmp_type}/{code}");
    }
    let counted = json!({ "unreachable": 2, "time_exceeded": 1, "too_big": 1 });
    let row = json!({ "service": tcp(80), "address": "10.1.1.10", "port": 8080, "icmp": counted });
    assert_eq!(api.ok("icmp.servers", json!({ "limit": 1 })), json!({ "servers": [row] }));
    let mut of = |address: &str| {
        let service = api.ok("service.get", json!({ "service": tcp(80) }));
        let dests = service["dests"].as_array().unwrap().clone();
        dests.iter().find(|dest| dest["address"] == address).unwrap()["icmp"].clone()
    };
    let none = json!({ "unreachable": 0, "time_exceeded": 0, "too_big": 0 });
    assert_eq!((of("10.1.1.10"), of("10.1.1.11")), (counted, none.clone()));
    api.ok("service.zero", json!({ "service": tcp(80) }));
    assert_eq!(api.ok("icmp.servers", json!({})), json!({ "servers": [] }));
    // What comes later counts from there.
    let error = router.icmp(3, 0, [0; 4], &quoted[14..42]);
    assert!(matches!(daemon.feed(&error), Verdict::Wait(_)));
    let one = json!({ "unreachable": 1, "time_exceeded": 0, "too_big": 0 });
    assert_eq!(api.ok("icmp.servers", json!({}))["servers"][0]["icmp"], one);
    api.ok("service.zero", json!({}));
    let service = api.ok("service.get", json!({ "service": tcp(80) }));
    assert!(service["dests"].as_array().unwrap().iter().all(|dest| dest["icmp"] == none));
    let messages = api.ok("icmp.get", json!({}))["messages"].take();
    let received = json!({ "icmp 3": 4, "icmp 11": 1, "icmp 12": 1 });
    assert_eq!(
        messages,
        json!({ "received": received, "relayed_in": {}, "relayed_out": received, "made": {} })
    );
    assert_eq!(api.refused("icmp.servers", json!({ "limit": 0 })), "RANGE limit");
    assert_eq!(api.refused("icmp.servers", json!({ "limit": 2049 })), "RANGE limit");
}
