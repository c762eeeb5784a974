// SPDX-License-Identifier: MIT OR Apache-2.0
//! `icmp.*`: why is path MTU discovery broken?

use super::harness::{Daemon, dest, tcp};
use dpvs_core::testing::PacketBuilder;
use dpvs_core::{DropReason, Verdict};
use serde_json::json;

const V: &str = "203.0.113.80";
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
    assert_eq!(status["drops"]["icmp_unrelated"], 0);
    assert_eq!(status["settings"]["relayed_per_s"], 20_000);
    assert_eq!(status["settings"]["source_to_clients"], "peer");
}

#[test]
fn a_server_has_the_errors_about_its_packets() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    api.ok("service.add", json!({ "service": tcp(80) }));
    api.ok("dest.add", dest(80, "10.1.1.10"));
    let service = api.ok("service.get", json!({ "service": tcp(80) }));
    let none = json!({ "unreachable": 0, "time_exceeded": 0, "too_big": 0 });
    assert_eq!(service["dests"][0]["icmp"], none);
}
