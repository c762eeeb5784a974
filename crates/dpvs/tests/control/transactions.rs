// SPDX-License-Identifier: MIT OR Apache-2.0
//! `transaction`: whole or not at all.

use super::harness::{Daemon, dest, tcp};
use dpvs::control::LinkChange;
use dpvs_api::{ClientError, ErrorCode, RpcError};
use serde_json::{Value, json};

fn write(method: &str, params: &Value) -> Value {
    json!({ "method": method, "params": params })
}

fn error(daemon: &Daemon, params: &Value) -> RpcError {
    match daemon.client().0.call_raw("transaction", params) {
        Err(ClientError::Refused(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_writes_are_published_as_one_generation() {
    let daemon = Daemon::start(2);
    let mut api = daemon.client();
    let writes = json!({ "writes": [
        write("service.add", &json!({ "service": tcp(80) })),
        write("dest.add", &dest(80, "10.1.1.10")),
        write("timeout.set", &json!({ "udp": 30 })),
        { "method": "service.flush" },
        write("service.add", &json!({ "service": tcp(81) })),
    ], "generation": 0 });
    assert_eq!(api.ok("transaction", writes)["generation"], 1);
    let page = api.ok("service.list", json!({}));
    assert_eq!(page["services"].as_array().unwrap().len(), 1);
    assert_eq!(page["generation"], 1);
    assert_eq!(api.ok("timeout.get", json!({}))["udp"], 30);
    assert_eq!(api.ok("transaction", json!({ "writes": [] }))["generation"], 1);
}

#[test]
fn a_refused_write_is_told_by_its_index_and_nothing_is_changed() {
    let daemon = Daemon::start(2);
    let good = write("service.add", &json!({ "service": tcp(80) }));
    for (bad, code, path) in [
        (write("dest.add", &dest(99, "10.1.1.10")), ErrorCode::NoService, Some("service")),
        (write("dest.add", &json!({ "port": 1 })), ErrorCode::InvalidParams, None),
        (write("no.such", &json!({})), ErrorCode::MethodNotFound, None),
        (write("conn.flush", &json!({})), ErrorCode::Invalid, Some("method")),
        (write("transaction", &json!({ "writes": [] })), ErrorCode::Invalid, Some("method")),
        (write("service.list", &json!({})), ErrorCode::Invalid, Some("method")),
    ] {
        let error = error(&daemon, &json!({ "writes": [good, bad, good] }));
        assert_eq!((error.kind(), error.data.index), (code, Some(1)), "{error}");
        if path.is_some() {
            assert_eq!(error.data.path.as_deref(), path);
        }
    }
    let mut api = daemon.client();
    assert_eq!(api.ok("system.info", json!({}))["generation"], 0);
    assert_eq!(api.ok("service.list", json!({}))["services"], json!([]));
}

#[test]
fn an_unexpected_generation_is_a_conflict() {
    let daemon = Daemon::start(1);
    let writes = [write("service.add", &json!({ "service": tcp(80) }))];
    let error = error(&daemon, &json!({ "writes": writes, "generation": 7 }));
    assert_eq!(
        (error.kind(), error.data.path.as_deref()),
        (ErrorCode::Conflict, Some("generation"))
    );
}

#[test]
fn a_port_that_refuses_takes_everything_back() {
    let daemon = Daemon::start(1);
    let error = error(
        &daemon,
        &json!({ "writes": [
            write("service.add", &json!({ "service": tcp(80) })),
            write("link.set", &json!({ "device": "dpdk0", "mtu": 4000 })),
            write("link.set", &json!({ "device": "dpdk0", "up": false })),
        ] }),
    );
    assert_eq!((error.kind(), error.data.index), (ErrorCode::NotSupported, Some(2)));
    assert_eq!(*daemon.changes.lock().unwrap(), [LinkChange::Mtu(4000), LinkChange::Mtu(1500)]);
    let mut api = daemon.client();
    assert_eq!(api.ok("service.list", json!({}))["services"], json!([]));
    assert_eq!(api.ok("link.list", json!({}))["links"][0]["mtu"], 1500);
}
