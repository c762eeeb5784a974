// SPDX-License-Identifier: MIT OR Apache-2.0
//! `echo.*`, and echo policies that come with services.

use super::harness::{Api, Daemon, dest, tcp};
use dpvs_core::testing::PacketBuilder;
use dpvs_core::{DropReason, Verdict};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const V: &str = "203.0.113.80";

fn set(address: &str, policy: &Value) -> Value {
    json!({ "address": address, "policy": policy })
}

fn answers(api: &mut Api) -> Vec<String> {
    let list = api.ok("echo.list", json!({}))["echoes"].take();
    let row = |echo: &Value| format!("{} {}", echo["address"], echo["answer"]).replace('"', "");
    list.as_array().unwrap().iter().map(row).collect()
}

fn weight(weight: u32) -> Value {
    json!({ "service": tcp(80), "address": "10.1.1.10", "port": 8080, "weight": weight })
}

#[test]
fn policies_are_set_listed_in_order_and_taken_away() {
    let daemon = Daemon::start(2);
    let mut api = daemon.client();
    api.ok("echo.set", set("2001:db8::1", &json!({ "rule": "never" })));
    let quorum = json!({ "rule": "quorum", "quorum": 2, "down": "host", "max_size": 64 });
    api.ok("echo.set", set(V, &quorum));
    api.ok("echo.set", set("9.0.0.1", &json!({ "rule": "backend" })));
    let list = api.ok("echo.list", json!({}))["echoes"].take();
    let plain = |rule: &str| json!({ "rule": rule, "down": "drop", "max_size": 0 });
    assert_eq!(
        list,
        json!([
            { "address": "9.0.0.1", "policy": plain("backend"), "answer": "drop" },
            { "address": V, "policy": quorum, "answer": "drop" },
            { "address": "2001:db8::1", "policy": plain("never"), "answer": "drop" },
        ])
    );
    api.ok("echo.set", set(V, &json!({ "rule": "always" })));
    assert_eq!(answers(&mut api)[1], "203.0.113.80 reply");
    api.ok("echo.del", json!({ "address": V }));
    assert_eq!(api.refused("echo.del", json!({ "address": V })), "NO_DEST address");
    assert_eq!(answers(&mut api), ["9.0.0.1 drop", "2001:db8::1 drop"]);
}

#[test]
fn policies_that_cannot_be_are_refused() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    for (address, policy, refusal) in [
        (V, json!({ "rule": "quorum" }), "INVALID policy.quorum"),
        (V, json!({ "rule": "quorum", "quorum": 0 }), "RANGE policy.quorum"),
        (V, json!({ "rule": "any-up", "quorum": 1 }), "INVALID policy.quorum"),
        ("224.0.0.1", json!({ "rule": "never" }), "INVALID address"),
        ("::ffff:10.0.0.1", json!({ "rule": "never" }), "INVALID address"),
    ] {
        assert_eq!(api.refused("echo.set", set(address, &policy)), refusal);
    }
    assert_eq!(
        api.refused("echo.set", set(V, &json!({ "rule": "sometimes" }))),
        "INVALID_PARAMS policy.rule",
        "the words are those of the schema"
    );
}

/// The policy is of the address: all its services show it, and a service that is refused sets none.
#[test]
fn a_service_brings_the_policy_of_its_address() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    let policy = json!({ "rule": "any-up", "down": "admin" });
    api.ok("service.add", json!({ "service": tcp(80), "icmp_echo": policy }));
    api.ok("service.add", json!({ "service": tcp(443) }));
    let page = api.ok("service.list", json!({}));
    let shown = json!({ "rule": "any-up", "down": "admin", "max_size": 0 });
    for service in page["services"].as_array().unwrap() {
        assert_eq!(service["icmp_echo"], shown);
    }
    let never = json!({ "rule": "never" });
    let twice = json!({ "service": tcp(80), "icmp_echo": never });
    assert_eq!(api.refused("service.add", twice), "EXIST ");
    api.ok("service.set", json!({ "service": tcp(443), "scheduler": "rr" }));
    assert_eq!(api.ok("service.list", json!({}))["services"][0]["icmp_echo"], shown);
    api.ok("service.set", json!({ "service": tcp(443), "icmp_echo": never }));
    assert_eq!(answers(&mut api), ["203.0.113.80 drop"]);
    let pattern = json!({ "match": { "protocol": "udp", "src_range": "10.0.0.0-10.0.0.9" } });
    let by_match = json!({ "service": pattern, "icmp_echo": never });
    assert_eq!(api.refused("service.add", by_match), "INVALID icmp_echo");
    assert_eq!(api.ok("service.list", json!({}))["services"].as_array().unwrap().len(), 2);
}

/// `ipvsadm -C` takes what `ipvsadm` brought, so that a restore gives what was saved; what was set for
/// an address by itself stays.
#[test]
fn the_policies_that_services_brought_go_with_all_services() {
    const OTHER: &str = "203.0.113.81";
    let daemon = Daemon::start(2);
    let mut api = daemon.client();
    let other = json!({ "protocol": "tcp", "address": OTHER, "port": 80 });
    let (never, any_up) = (json!({ "rule": "never" }), json!({ "rule": "any-up" }));
    api.ok("echo.set", set("10.0.0.9", &never));
    api.ok("echo.set", set(OTHER, &never));
    api.ok("service.add", json!({ "service": tcp(80), "icmp_echo": any_up }));
    api.ok("service.add", json!({ "service": other, "icmp_echo": any_up }));
    let standing = ["10.0.0.9 drop", "203.0.113.80 drop", "203.0.113.81 drop"];
    assert_eq!(answers(&mut api), standing);
    // An address that has lost its services one by one is down, not without a policy.
    api.ok("service.del", json!({ "service": tcp(80) }));
    assert_eq!(answers(&mut api), standing);
    api.ok("service.flush", json!({}));
    assert_eq!(answers(&mut api), ["10.0.0.9 drop", "203.0.113.81 drop"]);
    // Whoever names the address itself means it to stay.
    api.ok("service.add", json!({ "service": tcp(80), "icmp_echo": any_up }));
    api.ok("echo.set", set(V, &any_up));
    api.ok("service.flush", json!({}));
    assert_eq!(answers(&mut api), standing);
}

/// Weights are the health: the workers follow them, once a second at most.
#[test]
fn the_answer_follows_the_weights_and_is_damped() {
    let daemon = Daemon::start(2);
    let mut api = daemon.client();
    let policy = json!({ "rule": "any-up", "down": "host" });
    api.ok("service.add", json!({ "service": tcp(80), "icmp_echo": policy }));
    api.ok("dest.add", dest(80, "10.1.1.10"));
    assert_eq!(answers(&mut api), ["203.0.113.80 reply"]);
    let ping = PacketBuilder::new("198.51.100.10", V).ping(7, 1, b"data");
    // The address is not on a port here: a reply is not made, but that is the policy's yes.
    assert_eq!(daemon.feed(&ping), Verdict::Drop(DropReason::IcmpQuery));
    let begin = Instant::now();
    api.ok("dest.set", weight(0));
    let first = answers(&mut api);
    // The last change, to `reply`, may be less than a second ago.
    assert!(first == ["203.0.113.80 reply"] || begin.elapsed() > Duration::from_millis(900));
    while answers(&mut api) != ["203.0.113.80 host"] {
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", answers(&mut api));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(daemon.feed(&ping), Verdict::Drop(DropReason::IcmpEchoDenied));
    for flap in [1, 0, 1] {
        api.ok("dest.set", weight(flap));
        assert_eq!(answers(&mut api), ["203.0.113.80 host"], "held");
    }
    let begin = Instant::now();
    while answers(&mut api) != ["203.0.113.80 reply"] {
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", answers(&mut api));
        std::thread::sleep(Duration::from_millis(20));
    }
}
