// SPDX-License-Identifier: MIT OR Apache-2.0
//! Batches: many writes published at once, each answered by itself; transactions in parts.

use super::harness::{Api, Daemon, dest, tcp};
use dpvs::control::LinkChange;
use dpvs_api::types::ServiceSelector;
use dpvs_api::{Batch, ErrorCode, RpcError};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

fn send(api: &mut Api, requests: &[(&str, Value)]) {
    let mut batch = Batch::default();
    for (method, params) in requests {
        assert!(batch.push(method, params).unwrap());
    }
    api.0.send(batch).unwrap();
}

fn exchange(api: &mut Api, requests: &[(&str, Value)]) -> Vec<Result<Value, RpcError>> {
    send(api, requests);
    api.0.receive().unwrap()
}

/// What came of each: the generation of a write, or the error's code.
fn outcomes(answers: &[Result<Value, RpcError>]) -> Vec<Result<u64, ErrorCode>> {
    let short = |answer: &Result<Value, RpcError>| match answer {
        Ok(reply) => Ok(reply["generation"].as_u64().unwrap()),
        Err(error) => Err(error.kind()),
    };
    answers.iter().map(short).collect()
}

fn add(port: u16) -> (&'static str, Value) {
    ("service.add", json!({ "service": tcp(port) }))
}

#[test]
fn each_write_of_a_batch_stands_or_falls_alone_and_all_are_published_at_once() {
    let daemon = Daemon::start(2);
    let mut api = daemon.client();
    let answers = exchange(
        &mut api,
        &[
            add(80),
            ("dest.add", dest(80, "10.1.1.10")),
            add(80),
            ("dest.add", dest(81, "10.1.1.10")),
            ("no.such", json!({})),
            ("dest.add", json!({ "port": "x" })),
            add(81),
            ("dest.add", dest(81, "10.1.1.11")),
            ("service.del", json!({ "service": tcp(80) })),
        ],
    );
    let refused = [
        ErrorCode::Exist,
        ErrorCode::NoService,
        ErrorCode::MethodNotFound,
        ErrorCode::InvalidParams,
    ]
    .map(Err);
    let expected = [&[Ok(1), Ok(1)][..], &refused, &[Ok(1), Ok(1), Ok(1)]].concat();
    assert_eq!(outcomes(&answers), expected);
    let page = api.ok("service.list", json!({}));
    assert_eq!(
        (page["generation"].clone(), page["services"].as_array().unwrap().len()),
        (json!(1), 1)
    );
    assert_eq!(page["services"][0]["service"], tcp(81));
    assert_eq!(page["services"][0]["dests"][0]["address"], "10.1.1.11");
}

#[test]
fn a_batch_of_refusals_publishes_nothing() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    let answers =
        exchange(&mut api, &[("dest.add", dest(80, "10.1.1.10")), ("no.such", json!({}))]);
    assert_eq!(outcomes(&answers), [Err(ErrorCode::NoService), Err(ErrorCode::MethodNotFound)]);
    assert_eq!(api.ok("system.info", json!({}))["generation"], 0);
}

#[test]
fn a_read_within_a_batch_sees_what_stands_before_it() {
    let daemon = Daemon::start(2);
    let mut api = daemon.client();
    let list = || ("service.list", json!({}));
    let answers = exchange(&mut api, &[list(), add(80), list(), add(81), add(82), list()]);
    let count = |at: usize| answers[at].as_ref().unwrap()["services"].as_array().unwrap().len();
    assert_eq!([count(0), count(2), count(5)], [0, 1, 3]);
    assert_eq!(outcomes(&answers), [Ok(0), Ok(1), Ok(1), Ok(2), Ok(2), Ok(2)]);
}

#[test]
fn a_port_that_refuses_takes_nothing_back_of_the_writes_around() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    let link = |change: Value| {
        let mut params = change;
        params["device"] = json!("dpdk0");
        ("link.set", params)
    };
    let answers = exchange(
        &mut api,
        &[add(80), link(json!({ "mtu": 4000 })), link(json!({ "up": false })), add(81)],
    );
    assert_eq!(outcomes(&answers), [Ok(1), Ok(2), Err(ErrorCode::NotSupported), Ok(3)]);
    assert_eq!(*daemon.changes.lock().unwrap(), [LinkChange::Mtu(4000)]);
    assert_eq!(api.ok("service.list", json!({}))["services"].as_array().unwrap().len(), 2);
}

#[test]
fn no_write_is_answered_before_all_workers_have_it() {
    let daemon = Daemon::start(2);
    daemon.client().ok("system.ping", json!({}));
    daemon.hangs.store(true, Ordering::Relaxed);
    // A worker may be between two looks at the switch.
    std::thread::sleep(Duration::from_millis(50));
    let mut api = daemon.client();
    let (answered, answer) = channel();
    let waiting = std::thread::spawn(move || {
        let answers = exchange(&mut api, &[add(80), add(80), add(81)]);
        answered.send(outcomes(&answers)).unwrap();
    });
    assert!(answer.recv_timeout(Duration::from_millis(300)).is_err(), "answered too soon");
    daemon.hangs.store(false, Ordering::Relaxed);
    let outcomes = answer.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(outcomes, [Ok(1), Err(ErrorCode::Exist), Ok(1)]);
    waiting.join().unwrap();
}

#[test]
fn a_refused_local_address_is_not_brought_to_the_port() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    let laddr = json!({ "service": tcp(80), "address": "10.1.1.200", "device": "dpdk1" });
    let host = json!({ "address": "10.1.1.200", "prefix_len": 32, "device": "dpdk1" });
    exchange(&mut api, &[add(80), ("laddr.add", laddr.clone())]);
    api.ok("addr.del", host);
    let answers = exchange(&mut api, &[("laddr.add", laddr), add(81)]);
    assert_eq!(outcomes(&answers), [Err(ErrorCode::Exist), Ok(3)]);
    assert_eq!(api.ok("addr.list", json!({}))["addrs"], json!([]));
}

#[test]
fn a_client_that_floods_leaves_the_others_their_turns() {
    let daemon = Daemon::start(1);
    let mut flood = daemon.client();
    let mut other = daemon.client();
    let flooding = std::thread::spawn(move || {
        for round in 10..16 {
            let mut batch = Batch::default();
            for port in 1..=4000 {
                let address = format!("203.0.113.{round}");
                let service = json!({ "protocol": "udp", "address": address, "port": port });
                assert!(batch.push("service.add", &json!({ "service": service })).unwrap());
            }
            flood.0.send(batch).unwrap();
            assert!(flood.0.receive::<Value>().unwrap().iter().all(Result::is_ok));
        }
    });
    while !flooding.is_finished() {
        let begin = Instant::now();
        other.ok("system.ping", json!({}));
        assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    }
    flooding.join().unwrap();
    let page = other.0.list_services(&ServiceSelector::default()).unwrap();
    assert_eq!(page.services.len(), 24_000);
}

mod parts {
    use super::*;

    fn part(requests: &[(&str, Value)], more: bool) -> Value {
        let write =
            |(method, params): &(&str, Value)| json!({ "method": method, "params": params });
        let writes: Vec<Value> = requests.iter().map(write).collect();
        json!({ "writes": writes, "more": more })
    }

    fn services(api: &mut Api) -> usize {
        api.ok("service.list", json!({}))["services"].as_array().unwrap().len()
    }

    #[test]
    fn a_transaction_in_parts_is_applied_with_the_last() {
        let daemon = Daemon::start(2);
        let mut api = daemon.client();
        assert_eq!(api.ok("transaction", part(&[add(80)], true))["generation"], 1);
        assert_eq!(api.ok("transaction", part(&[add(81)], true))["generation"], 1);
        assert_eq!(services(&mut api), 0);
        assert_eq!(api.ok("transaction", part(&[], false))["generation"], 1);
        assert_eq!(services(&mut api), 2);
    }

    #[test]
    fn a_refused_part_takes_the_whole_with_it_and_names_its_write() {
        let daemon = Daemon::start(1);
        let mut api = daemon.client();
        api.ok("transaction", part(&[add(80), add(81)], true));
        let refused = api.0.call_raw("transaction", &part(&[add(82), add(80), add(83)], true));
        let dpvs_api::ClientError::Refused(error) = refused.unwrap_err() else { panic!() };
        assert_eq!((error.kind(), error.data.index), (ErrorCode::Exist, Some(3)));
        assert_eq!(api.ok("transaction", part(&[], false))["generation"], 0);
        assert_eq!(services(&mut api), 0);
    }

    #[test]
    fn a_change_between_two_parts_is_a_conflict() {
        let daemon = Daemon::start(1);
        let mut api = daemon.client();
        api.ok("transaction", part(&[add(80)], true));
        daemon.client().ok("service.add", add(90).1);
        assert_eq!(api.refused("transaction", part(&[add(81)], false)), "CONFLICT ");
        assert_eq!(services(&mut api), 1);
    }

    #[test]
    fn a_client_that_leaves_in_the_middle_leaves_nothing() {
        let daemon = Daemon::start(1);
        let mut api = daemon.client();
        api.ok("transaction", part(&[add(80)], true));
        drop(api);
        let mut other = daemon.client();
        assert_eq!(other.ok("transaction", part(&[add(81)], false))["generation"], 1);
        assert_eq!(services(&mut other), 1);
    }
}
