// SPDX-License-Identifier: MIT OR Apache-2.0
//! What services and real servers can have: set, shown, kept, reset, refused.

use super::harness::{Api, Daemon, dest, tcp};
use dpvs_api::ClientError;
use serde_json::{Value, json};

fn udp() -> Value {
    json!({ "protocol": "udp", "address": "203.0.113.53", "port": 53 })
}

fn v6() -> Value {
    json!({ "protocol": "tcp", "address": "2001:db8:80::80", "port": 80 })
}

/// A specification of a service with one field.
#[allow(clippy::needless_pass_by_value, reason = "calls read better without references")]
fn with(service: Value, field: &str, value: Value) -> Value {
    let mut spec = json!({ "service": service });
    spec[field] = value;
    spec
}

fn shown(api: &mut Api, service: &Value) -> Value {
    api.ok("service.get", json!({ "service": service }))
}

#[test]
fn each_attribute_of_a_service_is_shown_as_set_kept_by_set_and_reset_by_replace() {
    let daemon = Daemon::start(2);
    let mut api = daemon.client();
    for (service, field, value, default) in [
        (udp(), "scheduler_flags", json!(["flag-1", "flag-3"]), json!([])),
        (udp(), "persistent", json!(300), json!(0)),
        (udp(), "one_packet", json!(true), json!(false)),
        (udp(), "expire_quiescent", json!(true), json!(false)),
        (udp(), "conn_timeout", json!(2_678_400), json!(0)),
        (v6(), "scheduler_flags", json!(["flag-2"]), json!([])),
        (v6(), "persistent", json!(2_678_400), json!(0)),
        (v6(), "expire_quiescent", json!(true), json!(false)),
        (v6(), "conn_timeout", json!(1), json!(0)),
    ] {
        api.ok("service.add", with(service.clone(), field, value.clone()));
        assert_eq!(shown(&mut api, &service)[field], value, "{field} after add");
        api.ok("service.set", with(service.clone(), "scheduler", json!("rr")));
        assert_eq!(shown(&mut api, &service)[field], value, "{field} after set of another");
        api.ok("service.replace", json!({ "service": service }));
        assert_eq!(shown(&mut api, &service)[field], default, "{field} after replace");
        api.ok("service.set", with(service.clone(), field, value.clone()));
        assert_eq!(shown(&mut api, &service)[field], value, "{field} after set");
        api.ok("service.set", with(service.clone(), field, default.clone()));
        assert_eq!(shown(&mut api, &service)[field], default, "{field} after set to the default");
        api.ok("service.del", json!({ "service": service }));
    }
}

#[test]
fn the_granularity_of_persistence_is_a_netmask_or_a_prefix_length() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    let mask = |api: &mut Api, service: &Value| {
        let shown = shown(api, service);
        (shown["persistent"].clone(), shown["netmask"].clone(), shown["prefix_len"].clone())
    };
    let is = |seconds: u32, netmask: &str, len: u8| (json!(seconds), json!(netmask), json!(len));
    let spec = json!({ "service": tcp(80), "persistent": 300, "netmask": "255.0.255.0" });
    api.ok("service.add", spec);
    assert_eq!(mask(&mut api, &tcp(80)), is(300, "255.0.255.0", 128));
    api.ok("service.set", with(tcp(80), "persistent", json!(600)));
    assert_eq!(mask(&mut api, &tcp(80)), is(600, "255.0.255.0", 128));
    api.ok("service.set", with(tcp(80), "persistent", json!(0)));
    assert_eq!(mask(&mut api, &tcp(80)), is(0, "255.255.255.255", 128));
    api.ok("service.add", json!({ "service": v6(), "persistent": 60, "prefix_len": 64 }));
    assert_eq!(mask(&mut api, &v6()), is(60, "255.255.255.255", 64));
    api.ok("service.set", with(v6(), "prefix_len", json!(1)));
    assert_eq!(mask(&mut api, &v6()), is(60, "255.255.255.255", 1));
    api.ok("service.replace", with(v6(), "persistent", json!(60)));
    assert_eq!(mask(&mut api, &v6()), is(60, "255.255.255.255", 128));
    // Any port goes with persistence alone, and so the persistence stays.
    let mut any_port = tcp(0);
    api.ok("service.add", with(any_port.clone(), "persistent", json!(60)));
    let off = with(any_port.take(), "persistent", json!(0));
    assert_eq!(api.refused("service.set", off), "INVALID service.port");
}

#[test]
fn what_a_service_cannot_have_is_refused_and_defaults_are_taken() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    api.ok("service.add", json!({ "service": tcp(80) }));
    api.ok("service.add", json!({ "service": udp(), "persistent": 60 }));
    let defaults = json!({
        "service": tcp(80), "scheduler": "wrr", "scheduler_flags": [], "persistent": 0,
        "netmask": "255.255.255.255", "prefix_len": 128, "persistence_engine": "",
        "one_packet": false, "synproxy": false, "expire_quiescent": false, "quic": false,
        "conn_timeout": 0, "proxy_protocol": "", "hash_target": "", "dest_check": "",
    });
    api.ok("service.set", defaults);
    for (service, field, value, name) in [
        (tcp(80), "scheduler", json!("nonsense"), "NO_SCHEDULER"),
        (tcp(80), "scheduler_flags", json!(["sh-port"]), "INVALID"),
        (tcp(80), "scheduler_flags", json!(["flag-4"]), "INVALID"),
        (tcp(80), "persistent", json!(2_678_401), "RANGE"),
        (tcp(80), "netmask", json!("255.255.255.0"), "INVALID"),
        (tcp(80), "prefix_len", json!(64), "INVALID"),
        (tcp(80), "persistence_engine", json!("sip"), "NO_SCHEDULER"),
        (tcp(80), "one_packet", json!(true), "INVALID"),
        (tcp(80), "synproxy", json!(true), "NOT_SUPPORTED"),
        (tcp(80), "quic", json!(true), "NOT_SUPPORTED"),
        (tcp(80), "conn_timeout", json!(2_678_401), "RANGE"),
        (tcp(80), "proxy_protocol", json!("v2"), "NOT_SUPPORTED"),
        (tcp(80), "hash_target", json!("sip"), "INVALID"),
        (tcp(80), "dest_check", json!("default"), "NOT_SUPPORTED"),
    ] {
        let refused = api.refused("service.set", with(service, field, value));
        assert_eq!(refused, format!("{name} {field}"));
    }
    let key = |protocol: &str, address: &str, port: u16| json!({ "service": { "protocol": protocol, "address": address, "port": port } });
    for (params, refusal) in [
        (key("tcp", "::ffff:203.0.113.80", 80), "INVALID service.address"),
        (key("tcp", "224.0.0.1", 80), "INVALID service.address"),
        (key("tcp", "203.0.113.80", 0), "INVALID service.port"),
        (key("icmpv6", "203.0.113.80", 0), "INVALID service.protocol"),
        (json!({ "service": { "fwmark": 8, "family": "inet" } }), "NOT_SUPPORTED service.fwmark"),
        (json!({ "service": tcp(80), "nonsense": 1 }), "INVALID_PARAMS nonsense"),
    ] {
        assert_eq!(api.refused("service.add", params), refusal);
    }
    api.ok("service.add", key("icmp", "203.0.113.80", 0));
    api.ok("service.add", key("icmpv6", "2001:db8:80::80", 0));
    api.ok("service.add", key("sctp", "203.0.113.80", 80));
}

#[test]
fn services_by_match_are_added_listed_whole_and_found_again() {
    let daemon = Daemon::start(2);
    let mut api = daemon.client();
    let short =
        json!({ "match": { "protocol": "tcp", "src_range": "10.0.0.1-10.0.0.9", "oif": "dpdk1" } });
    let whole = json!({ "match": {
        "protocol": "tcp", "src_range": "10.0.0.1-10.0.0.9:0-0", "oif": "dpdk1",
    } });
    let any = json!({ "match": { "family": "inet6" } });
    api.ok("service.add", json!({ "service": short, "scheduler": "rr" }));
    api.ok("service.add", json!({ "service": any }));
    assert_eq!(api.refused("service.add", json!({ "service": whole })), "EXIST ");
    let page = api.ok("service.list", json!({}));
    assert_eq!(page["services"][0]["service"], whole);
    assert_eq!(page["services"][1]["service"], any);
    let pool = |address: &str| json!({ "service": whole, "address": address, "port": 0, "forward": "snat" });
    api.ok("dest.add", pool("192.0.2.1"));
    assert_eq!(shown(&mut api, &short)["dests"][0]["forward"], "snat");
    let mut port = pool("192.0.2.2");
    port["port"] = json!(80);
    assert_eq!(api.refused("dest.add", port), "INVALID port");
    let mut nat = pool("192.0.2.2");
    nat["forward"] = json!("fullnat");
    assert_eq!(api.refused("dest.add", nat), "INVALID forward");
    let laddr = json!({ "service": whole, "address": "10.1.1.200", "device": "dpdk0" });
    assert_eq!(api.refused("laddr.add", laddr), "NOT_SUPPORTED service");
    for (pattern, refusal) in [
        (json!({ "protocol": "udp" }), "INVALID service.match"),
        (json!({ "src_range": "10.0.0.9-10.0.0.1" }), "INVALID service.match.src_range"),
        (json!({ "dst_range": "10.0.0.1:x" }), "INVALID service.match.dst_range"),
        (json!({ "family": "inet", "iif": "eth0" }), "NO_DEVICE service.match.iif"),
    ] {
        let spec = json!({ "service": { "match": pattern } });
        assert_eq!(api.refused("service.add", spec), refusal);
    }
    api.ok("service.del", json!({ "service": short }));
    assert_eq!(api.refused("service.get", json!({ "service": whole })), "NO_SERVICE service");
}

#[test]
fn each_method_of_forwarding_is_shown_as_set_and_a_tunnel_goes_with_its_own() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    api.ok("service.add", json!({ "service": tcp(80) }));
    let tunnel = |kind: &str, port: u16, checksum: &str| json!({ "type": kind, "port": port, "checksum": checksum });
    let spec = |forward: &str, tunnel: Option<Value>| {
        let mut spec = dest(80, "10.1.1.10");
        spec["forward"] = json!(forward);
        if let Some(tunnel) = tunnel {
            spec["tunnel"] = tunnel;
        }
        spec
    };
    let server = |api: &mut Api| {
        let server = shown(api, &tcp(80))["dests"][0].take();
        (server["forward"].clone(), server["tunnel"].clone())
    };
    api.ok("dest.add", spec("nat", None));
    for forward in ["nat", "direct", "fullnat"] {
        api.ok("dest.set", spec(forward, None));
        assert_eq!(server(&mut api), (json!(forward), Value::Null));
    }
    let ipip = tunnel("ipip", 0, "none");
    api.ok("dest.set", spec("tunnel", None));
    assert_eq!(server(&mut api), (json!("tunnel"), ipip.clone()));
    for given in [
        tunnel("gue", 6080, "none"),
        tunnel("gue", 6080, "checksum"),
        tunnel("gue", 1, "remote"),
        tunnel("gre", 0, "none"),
        tunnel("gre", 0, "checksum"),
        ipip.clone(),
    ] {
        api.ok("dest.set", spec("tunnel", Some(given.clone())));
        assert_eq!(server(&mut api), (json!("tunnel"), given));
    }
    api.ok("dest.set", spec("tunnel", Some(tunnel("gre", 0, "checksum"))));
    let mut weight = spec("tunnel", None);
    weight["weight"] = json!(5);
    api.ok("dest.set", weight);
    assert_eq!(server(&mut api).1, tunnel("gre", 0, "checksum"));
    api.ok("dest.replace", spec("tunnel", None));
    assert_eq!(server(&mut api).1, ipip);
    for (spec, refusal) in [
        (spec("direct", Some(ipip)), "INVALID tunnel"),
        (spec("tunnel", Some(tunnel("gue", 0, "none"))), "INVALID tunnel.port"),
        (spec("tunnel", Some(tunnel("ipip", 6080, "none"))), "INVALID tunnel.port"),
        (spec("tunnel", Some(tunnel("gre", 6080, "none"))), "INVALID tunnel.port"),
        (spec("tunnel", Some(tunnel("ipip", 0, "checksum"))), "INVALID tunnel.checksum"),
        (spec("tunnel", Some(tunnel("gre", 0, "remote"))), "INVALID tunnel.checksum"),
    ] {
        assert_eq!(api.refused("dest.set", spec), refusal);
    }
}

/// `ipvsadm` tells this refusal, the one that the kernel knows, by the end of its text.
#[test]
fn an_address_that_is_not_unicast_is_refused_in_the_words_that_ipvsadm_looks_for() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    api.ok("service.add", json!({ "service": tcp(80) }));
    let service = json!({ "protocol": "tcp", "address": "224.0.0.1", "port": 80 });
    for (method, params) in [
        ("service.add", json!({ "service": service })),
        ("dest.add", dest(80, "224.0.0.1")),
        ("dest.add", dest(80, "0.0.0.0")),
    ] {
        let Err(ClientError::Refused(error)) = api.0.call_raw(method, &params) else {
            panic!("{method} {params}")
        };
        assert!(error.message.ends_with("is not a host's address"), "{error}");
    }
}

#[test]
fn each_scheduler_is_known_by_its_name_and_its_flags_by_theirs() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    api.ok("service.add", json!({ "service": tcp(80), "scheduler_flags": ["flag-1", "flag-2"] }));
    let general = ["flag-1", "flag-2"];
    for (scheduler, flags) in [
        ("rr", general),
        ("wrr", general),
        ("lc", general),
        ("wlc", general),
        ("lblc", general),
        ("lblcr", general),
        ("dh", general),
        ("sh", ["sh-fallback", "sh-port"]),
        ("sed", general),
        ("nq", general),
        ("fo", general),
        ("ovf", general),
        ("mh", ["mh-fallback", "mh-port"]),
        ("conhash", general),
    ] {
        api.ok("service.set", with(tcp(80), "scheduler", json!(scheduler)));
        let service = shown(&mut api, &tcp(80));
        assert_eq!(service["scheduler"], scheduler);
        assert_eq!(service["scheduler_flags"], json!(flags), "{scheduler}");
    }
    api.ok("service.set", json!({ "service": tcp(80), "scheduler": "sh", "scheduler_flags": [] }));
    api.ok("service.set", with(tcp(80), "scheduler_flags", json!(["sh-port", "flag-3"])));
    let service = shown(&mut api, &tcp(80));
    assert_eq!(service["scheduler_flags"], json!(["sh-port", "flag-3"]));
}

#[test]
fn consistent_hashing_has_a_choice_of_what_it_hashes() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    let target = |api: &mut Api, service: &Value| shown(api, service)["hash_target"].clone();
    let spec = |service: Value, target: &str| json!({ "service": service, "scheduler": "conhash", "hash_target": target });
    api.ok("service.add", with(udp(), "scheduler", json!("conhash")));
    assert_eq!(target(&mut api, &udp()), "sip");
    api.ok("service.set", with(udp(), "hash_target", json!("qid")));
    api.ok("service.set", with(udp(), "conn_timeout", json!(60)));
    assert_eq!(target(&mut api, &udp()), "qid");
    // It goes with its scheduler and does not come back with it.
    api.ok("service.set", with(udp(), "scheduler", json!("rr")));
    assert_eq!(target(&mut api, &udp()), "");
    api.ok("service.set", with(udp(), "scheduler", json!("conhash")));
    assert_eq!(target(&mut api, &udp()), "sip");
    api.ok("service.replace", spec(udp(), "qid"));
    assert_eq!(target(&mut api, &udp()), "qid");
    assert_eq!(api.refused("service.add", spec(tcp(80), "qid")), "INVALID hash_target");
    assert_eq!(api.refused("service.add", spec(tcp(80), "cid")), "INVALID hash_target");
    api.ok("service.add", spec(tcp(80), "sip"));
}
