// SPDX-License-Identifier: MIT OR Apache-2.0
//! `config.apply` and `config.get`: the difference alone, whole or not at all.

use super::harness::{Api, Daemon};
use dpvs_api::{ClientError, ErrorCode, RpcError};
use serde_json::{Value, json};

/// A configuration with every section, and every part of a service.
fn everything() -> Value {
    json!({
        "timeouts": { "tcp": 600, "tcp_fin": 60, "udp": 30, "icmp": 90 },
        "addrs": [
            { "address": "10.1.0.1", "prefix_len": 24, "device": "dpdk0", "scope": "global",
              "valid_lft": 0, "preferred_lft": 0, "sapool": false },
            { "address": "10.0.0.100", "prefix_len": 32, "device": "dpdk0", "scope": "global",
              "valid_lft": 0, "preferred_lft": 0, "sapool": false },
            { "address": "10.2.0.1", "prefix_len": 24, "device": "dpdk1", "scope": "global",
              "valid_lft": 0, "preferred_lft": 0, "sapool": false },
        ],
        "routes": [
            { "destination": "0.0.0.0", "prefix_len": 0, "via": "10.1.0.254", "device": "dpdk0",
              "mtu": 0, "scope": "global", "metric": 0 },
        ],
        "neighs": [
            { "address": "10.2.0.77", "lladdr": "02:00:00:00:00:77", "device": "dpdk1" },
        ],
        "echoes": [
            { "address": "10.1.0.1",
              "policy": { "rule": "never", "down": "drop", "max_size": 0 } },
        ],
        "services": [
            {
                "service": { "protocol": "tcp", "address": "10.0.0.100", "port": 80 },
                "scheduler": "sh", "scheduler_flags": ["sh-port"], "persistent": 300,
                "netmask": "255.255.255.0", "conn_timeout": 77, "expire_quiescent": true,
                "icmp_echo": { "rule": "any-up", "down": "host", "max_size": 0 },
                "dests": [
                    { "address": "10.2.0.11", "port": 8080, "forward": "fullnat", "weight": 3,
                      "upper_threshold": 100, "lower_threshold": 50 },
                    { "address": "10.2.0.12", "port": 8080, "forward": "fullnat", "weight": 0 },
                    { "address": "10.2.0.13", "port": 80, "forward": "tunnel", "weight": 1,
                      "tunnel": { "type": "gue", "port": 6080, "checksum": "checksum" } },
                ],
                "laddrs": [{ "address": "10.2.0.200", "device": "dpdk1" }],
                "blacklist": ["10.1.0.66", "10.1.0.67"],
                "whitelist": ["10.1.0.10"],
            },
            {
                "service": { "protocol": "icmp", "address": "10.0.0.100", "port": 0 },
                "scheduler": "rr",
                "icmp_echo": { "rule": "any-up", "down": "host", "max_size": 0 },
                "dests": [
                    { "address": "10.2.0.11", "port": 0, "forward": "fullnat", "weight": 1 },
                ],
                "laddrs": [{ "address": "10.2.0.200", "device": "dpdk1" }],
            },
        ],
    })
}

fn apply(api: &mut Api, config: &Value) -> Value {
    api.ok("config.apply", json!({ "config": config }))
}

fn refused(daemon: &Daemon, params: &Value) -> RpcError {
    match daemon.client().0.call_raw("config.apply", params) {
        Err(ClientError::Refused(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// The methods of the writes that were made.
fn methods(applied: &Value) -> Vec<&str> {
    applied["writes"].as_array().unwrap().iter().map(|w| w["method"].as_str().unwrap()).collect()
}

/// All pages of the configuration, joined by the daemon's own rule.
fn get(api: &mut Api) -> Value {
    let page = api.ok("config.get", json!({}));
    assert_eq!(page.get("next"), None);
    page["config"].clone()
}

#[test]
fn what_is_applied_is_what_stands_and_a_second_time_changes_nothing() {
    let daemon = Daemon::start(2);
    let mut api = daemon.client();
    let first = apply(&mut api, &everything());
    assert_eq!((&first["changes"], &first["generation"]), (&json!(18), &json!(1)), "{first}");
    // As it was written, but for the order of the services, which is the daemon's.
    let mut standing = get(&mut api);
    standing["services"]
        .as_array_mut()
        .unwrap()
        .sort_by_key(|s| std::cmp::Reverse(s["service"]["protocol"].as_str().unwrap().to_owned()));
    assert_eq!(standing, everything());
    let second = apply(&mut api, &everything());
    assert_eq!(second, json!({ "generation": 1, "changes": 0, "writes": [] }));
    let third = apply(&mut api, &standing);
    assert_eq!(third["changes"], 0, "{third}");
}

#[test]
fn only_the_difference_is_written() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    apply(&mut api, &everything());
    let mut config = everything();
    let web = &mut config["services"][0];
    web["dests"][1]["weight"] = json!(5);
    web["dests"].as_array_mut().unwrap().remove(2);
    web["blacklist"] = json!(["10.1.0.67", "10.1.0.68"]);
    config["neighs"][0]["lladdr"] = json!("02:00:00:00:00:78");
    config["timeouts"] = json!({ "udp": 31 });
    let applied = apply(&mut api, &config);
    assert_eq!(
        methods(&applied),
        [
            "dest.del",
            "blacklist.del",
            "neigh.replace",
            "timeout.set",
            "dest.replace",
            "blacklist.add"
        ]
    );
    let key = json!({ "protocol": "tcp", "address": "10.0.0.100", "port": 80 });
    assert_eq!(
        applied["writes"][4]["params"],
        json!({ "service": key, "address": "10.2.0.12", "port": 8080, "forward": "fullnat",
            "weight": 5 })
    );
    assert_eq!(api.ok("timeout.get", json!({}))["udp"], 31);
    assert_eq!(api.ok("timeout.get", json!({}))["tcp"], 600);
    assert_eq!(apply(&mut api, &config)["changes"], 0);
}

#[test]
fn a_missing_section_stays_and_an_empty_one_goes() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    apply(&mut api, &everything());
    assert_eq!(apply(&mut api, &json!({}))["changes"], 0);
    let applied = apply(&mut api, &json!({ "services": [] }));
    assert_eq!(methods(&applied), ["service.del", "service.del"]);
    let left = get(&mut api);
    assert_eq!(left["services"], json!([]));
    assert_eq!(left["addrs"], everything()["addrs"]);
    // The local address went with its services.
    assert_eq!(api.ok("addr.list", json!({}))["addrs"].as_array().unwrap().len(), 3);
    let nothing = json!({ "addrs": [], "routes": [], "neighs": [], "echoes": [] });
    let applied = apply(&mut api, &nothing);
    assert_eq!(
        methods(&applied),
        ["addr.del", "addr.del", "addr.del", "route.del", "neigh.del", "echo.del", "echo.del"]
    );
}

#[test]
fn a_dry_run_tells_the_same_and_does_nothing() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    let tried = api.ok("config.apply", json!({ "config": everything(), "dry_run": true }));
    assert_eq!(tried["generation"], 0);
    assert_eq!(api.ok("service.list", json!({}))["services"], json!([]));
    let done = apply(&mut api, &everything());
    assert_eq!(done["writes"], tried["writes"]);
    // It is refused for what the real one would be refused for.
    let mut bad = everything();
    bad["services"][0]["laddrs"][0]["device"] = json!("dpdk0");
    let params = json!({ "config": bad, "dry_run": true });
    let error = refused(&daemon, &params);
    assert_eq!(error.kind(), ErrorCode::Invalid, "{error}");
}

#[test]
fn a_refusal_names_the_place_and_changes_nothing() {
    let daemon = Daemon::start(1);
    for (pointer, value, code, path) in [
        ("/services/0/scheduler", json!("best"), ErrorCode::NoScheduler, "services[0].scheduler"),
        (
            "/services/0/dests/1/address",
            json!("10.2.0.11"),
            ErrorCode::Invalid,
            "services[0].dests[1]",
        ),
        (
            "/services/0/dests/0/tunnel",
            json!({ "type": "ipip", "port": 0, "checksum": "none" }),
            ErrorCode::Invalid,
            "services[0].dests[0].tunnel",
        ),
        (
            "/services/1/laddrs/0/device",
            json!("eth7"),
            ErrorCode::NoDevice,
            "services[1].laddrs[0].device",
        ),
        (
            "/services/0/blacklist/1",
            json!("10.1.0.66"),
            ErrorCode::Invalid,
            "services[0].blacklist[1]",
        ),
        ("/services/0/service/port", json!(0), ErrorCode::Invalid, "services[0]"),
        ("/addrs/1/address", json!("10.1.0.1"), ErrorCode::Invalid, "addrs[1]"),
        ("/addrs/2/prefix_len", json!(33), ErrorCode::Range, "addrs[2].prefix_len"),
        ("/routes/0/destination", json!("0.0.0.1"), ErrorCode::Invalid, "routes[0].destination"),
        ("/neighs/0/lladdr", json!("2:0:0"), ErrorCode::Invalid, "neighs[0].lladdr"),
        ("/echoes/0/address", json!("10.0.0.100"), ErrorCode::Invalid, "echoes[0]"),
        ("/timeouts/icmp", json!(3), ErrorCode::Range, "timeouts.icmp"),
    ] {
        let mut config = everything();
        *config.pointer_mut(pointer).unwrap_or(&mut Value::Null) = value.clone();
        if config.pointer(pointer) != Some(&value) {
            config["services"][0]["dests"][0]["tunnel"] = value;
        }
        if pointer == "/services/0/service/port" {
            config["services"][0]["persistent"] = json!(0);
            config["services"][0]["netmask"] = Value::Null;
        }
        let error = refused(&daemon, &json!({ "config": config }));
        let expected = format!("config.{path}");
        assert_eq!((error.kind(), error.data.path.as_deref()), (code, Some(&*expected)), "{error}");
    }
    let mut api = daemon.client();
    assert_eq!(api.ok("system.info", json!({}))["generation"], 0);
}

#[test]
fn a_document_may_come_in_parts() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    let whole = everything();
    let mut first = whole["services"][0].clone();
    let last = first["dests"].as_array_mut().unwrap().pop().unwrap();
    first["dests"].as_array_mut().unwrap().truncate(2);
    let mut rest = first.clone();
    rest["dests"] = json!([last]);
    for name in ["laddrs", "blacklist", "whitelist"] {
        rest[name] = json!([]);
    }
    let part = json!({ "config": { "services": [first] }, "more": true });
    assert_eq!(api.ok("config.apply", part)["changes"], 0);
    assert_eq!(api.ok("service.list", json!({}))["services"], json!([]));
    let rest = json!({ "services": [rest, whole["services"][1]], "addrs": whole["addrs"],
        "routes": whole["routes"], "neighs": whole["neighs"], "echoes": whole["echoes"],
        "timeouts": whole["timeouts"] });
    assert_eq!(apply(&mut api, &rest)["changes"], 18);
    assert_eq!(apply(&mut api, &whole)["changes"], 0);
    // Another client's parts are its own.
    let part = json!({ "config": { "services": [] }, "more": true });
    daemon.client().ok("config.apply", part);
    assert_eq!(apply(&mut api, &json!({ "timeouts": {} }))["changes"], 0);
}

#[test]
fn an_unexpected_generation_is_a_conflict() {
    let daemon = Daemon::start(1);
    let error = refused(&daemon, &json!({ "config": {}, "generation": 4 }));
    assert_eq!(
        (error.kind(), error.data.path.as_deref()),
        (ErrorCode::Conflict, Some("generation"))
    );
}

#[test]
fn a_large_configuration_goes_out_by_pages_and_back_in_parts() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    let dests: Vec<Value> = (0..2500_u32)
        .map(|at| {
            let address = std::net::Ipv4Addr::from_bits(0x0a02_0000 + at);
            json!({ "address": address, "port": 80, "forward": "nat", "weight": 1 })
        })
        .collect();
    let service = |port: u16, dests: &[Value]| {
        json!({ "service": { "protocol": "tcp", "address": "10.0.0.100", "port": port },
            "scheduler": "rr", "dests": dests })
    };
    let services: Vec<Value> = (1..=8).map(|port| service(port, &dests)).collect();
    for one in &services {
        api.ok("config.apply", json!({ "config": { "services": [one] }, "more": true }));
    }
    let applied = apply(&mut api, &json!({}));
    assert_eq!(applied["changes"], 8 + 8 * 2500);
    assert!(methods(&applied).len() < 8 * 2500, "the answer is bounded");

    // Out of one daemon and into another.
    let other = Daemon::start(1);
    let mut to = other.client();
    let (mut cursor, mut pages) = (None, 0);
    loop {
        let page = api.ok("config.get", json!({ "cursor": cursor }));
        let is_last = page.get("next").is_none();
        let done = to.ok("config.apply", json!({ "config": page["config"], "more": !is_last }));
        pages += 1;
        if is_last {
            assert_eq!(done["changes"], 8 + 8 * 2500);
            break;
        }
        cursor = page["next"].as_str().map(str::to_owned);
    }
    assert!((5..20).contains(&pages), "{pages}");
    for one in &services {
        to.ok("config.apply", json!({ "config": { "services": [one] }, "more": true }));
    }
    assert_eq!(apply(&mut to, &json!({}))["changes"], 0);
}

#[test]
fn what_is_no_cursor_is_refused() {
    let daemon = Daemon::start(1);
    for (cursor, code) in [
        ("", ErrorCode::Invalid),
        ("0", ErrorCode::Invalid),
        ("0:0:0", ErrorCode::Invalid),
        ("0:0:0:0:0", ErrorCode::Invalid),
        ("0:0:-1:0", ErrorCode::Invalid),
        ("x:0:0:0", ErrorCode::Invalid),
        ("7:0:0:0", ErrorCode::Conflict),
    ] {
        match daemon.client().0.call_raw("config.get", &json!({ "cursor": cursor })) {
            Err(ClientError::Refused(error)) => {
                assert_eq!((error.kind(), error.data.path.as_deref()), (code, Some("cursor")));
            }
            other => panic!("{cursor:?}: {other:?}"),
        }
    }
    // Beyond the end there is nothing, however far.
    let mut api = daemon.client();
    for cursor in ["0:4:99:0", "0:18446744073709551615:0:0", "0:0:18446744073709551615:9"] {
        assert_eq!(api.ok("config.get", json!({ "cursor": cursor })).get("next"), None);
    }
}
