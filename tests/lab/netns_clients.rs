// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many clients of the control socket at once, while traffic runs: every request gets its own
//! answer, the right one, and no packet is lost.

use crate::netns_scale::{ask_on, ping};
use crate::ping_service;
use dpvs_api::types::ServiceSelector;
use dpvs_tests::Lab;
use dpvs_tests::flood::ledger::Ledger;
use dpvs_tests::station::Station;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

dpvs_tests::lab_tests!(plain: a_thousand_requests_of_32_clients_each_get_their_answers);

const CLIENTS: usize = 32;
const REQUESTS: usize = 1000;
/// Services of a client; a script of twenty requests is about each.
const SERVICES: usize = REQUESTS / 20;
/// Requests that a client sends before it reads the answers.
const AHEAD: usize = 10;

/// What is asked, and how the answer is known to be the right one.
type Step = (&'static str, Value, Expect);

enum Expect {
    /// Carried out, with a generation.
    Written,
    /// Refused with this code.
    Refused(&'static str),
    /// A service with this scheduler and these servers, the last first, each a last byte and a weight.
    Service(&'static str, Vec<(usize, usize)>),
    /// An answer in which this place is so.
    Is(&'static str, Value),
}

fn key(client: usize, service: usize) -> Value {
    json!({ "protocol": "tcp", "address": format!("10.20.{client}.1"), "port": 1000 + service })
}

fn address(last: usize) -> String {
    format!("10.2.0.{last}")
}

/// Twenty requests about one service, which stands afterwards if its number is odd.
fn script(client: usize, number: usize) -> Vec<Step> {
    use Expect::{Is, Refused, Service, Written};
    let service = key(client, number);
    let weight = 1 + client * 100 + number;
    let of = json!({ "service": service });
    let dest = |last: usize, weight: usize| {
        let address = address(last);
        json!({ "service": service, "address": address, "port": 80, "forward": "fullnat", "weight": weight })
    };
    let gone = json!({ "service": service, "address": address(12), "port": 80 });
    let with = |scheduler: &str| json!({ "service": service, "scheduler": scheduler });
    let stays = number % 2 == 1;
    let one = || Service("wrr", vec![(11, weight + 1)]);
    vec![
        ("service.add", with("rr"), Written),
        ("service.add", with("rr"), Refused("EXIST")),
        ("dest.add", dest(11, weight), Written),
        ("dest.add", dest(12, 7), Written),
        ("service.get", of.clone(), Service("rr", vec![(12, 7), (11, weight)])),
        ("dest.set", dest(11, weight + 1), Written),
        ("service.get", of.clone(), Service("rr", vec![(12, 7), (11, weight + 1)])),
        ("dest.del", gone.clone(), Written),
        ("dest.del", gone, Refused("NO_DEST")),
        ("service.get", of.clone(), Service("rr", vec![(11, weight + 1)])),
        ("service.set", with("wrr"), Written),
        ("service.get", of.clone(), one()),
        ("system.ping", json!({}), Is("", json!({}))),
        ("service.get", json!({ "service": key(client, 9000) }), Refused("NO_SERVICE")),
        ("dest.add", dest(11, 1), Refused("EXIST")),
        ("service.list", of.clone(), Is("/services/0/service", service.clone())),
        ("no.such", json!({}), Refused("METHOD_NOT_FOUND")),
        if stays {
            ("service.get", of.clone(), one())
        } else {
            ("service.del", of.clone(), Written)
        },
        ("service.get", of, if stays { one() } else { Refused("NO_SERVICE") }),
        ("timeout.get", json!({}), Is("/udp", json!(300))),
    ]
}

fn check(answer: &Value, step: &Step) {
    let (method, _, expect) = step;
    let is_right = match expect {
        Expect::Written => answer["result"]["generation"].as_u64().is_some_and(|n| n > 0),
        Expect::Refused(code) => answer["error"]["data"]["name"] == *code,
        Expect::Service(scheduler, servers) => {
            let dests = answer["result"]["dests"].as_array();
            let dest = |dest: &Value| (dest["address"].clone(), dest["weight"].clone());
            let want = servers.iter().map(|(last, weight)| (json!(address(*last)), json!(weight)));
            answer["result"]["scheduler"] == *scheduler
                && dests.is_some_and(|dests| dests.iter().map(dest).eq(want))
        }
        Expect::Is(place, value) => answer["result"].pointer(place) == Some(value),
    };
    assert!(is_right, "{method}: {answer}");
}

/// Sends all requests of a client, ten ahead, and checks each answer.
fn client(socket: &Path, number: usize) -> usize {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut answers = BufReader::new(&stream);
    let steps: Vec<Step> = (0..SERVICES).flat_map(|service| script(number, service)).collect();
    for (group, steps) in steps.chunks(AHEAD).enumerate() {
        let id = |at: usize| format!("{number}-{}", group * AHEAD + at);
        for (at, (method, params, _)) in steps.iter().enumerate() {
            let request =
                json!({ "jsonrpc": "2.0", "id": id(at), "method": method, "params": params });
            (&stream).write_all(format!("{request}\n").as_bytes()).unwrap();
        }
        for (at, step) in steps.iter().enumerate() {
            let mut line = String::new();
            answers.read_line(&mut line).unwrap();
            let answer: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(answer["id"], id(at), "{answer}");
            check(&answer, step);
        }
    }
    steps.len()
}

fn a_thousand_requests_of_32_clients_each_get_their_answers(lab: &mut Lab) {
    let lab = &*lab;
    let _echo = Station::udp_echo(&lab.rs1(), "10.2.0.11".parse().unwrap(), 5000);
    ping_service(lab);
    lab.full_nat("-u 10.0.0.100:5000", &["10.2.0.11:5000"]);
    let socket = lab.socket();
    let before = Ledger::of(lab.daemon());
    let is_over = AtomicBool::new(false);
    let (pings, asked) = thread::scope(|scope| {
        let pings = scope.spawn(|| ping(lab, &is_over));
        let asked = scope.spawn(|| ask_on(lab, &is_over));
        let begin = Instant::now();
        let socket = &socket;
        let clients: Vec<_> =
            (0..CLIENTS).map(|number| scope.spawn(move || client(socket, number))).collect();
        // The traffic ends also where a client has failed, which is told after that.
        let answered: Vec<_> = clients.into_iter().map(thread::ScopedJoinHandle::join).collect();
        let took = begin.elapsed();
        is_over.store(true, Ordering::Relaxed);
        let answered: usize = answered.into_iter().map(Result::unwrap).sum();
        assert_eq!(answered, CLIENTS * REQUESTS);
        eprintln!("{answered} requests in {took:?}");
        (pings.join().unwrap(), asked.join().unwrap())
    });
    assert!(pings > 0 && asked > 0, "{pings} pings, {asked} questions");
    let after = Ledger::settled(lab.daemon()).since(&before);
    // The stations' kernels tell which multicast groups they listen to when they like.
    let is_traffic = |reason: &str| reason != "neighbour_discovery";
    let lost: Vec<_> =
        after.drops.iter().filter(|(reason, count)| is_traffic(reason) && **count > 0).collect();
    assert!(lost.is_empty(), "{lost:?}");

    let listed = lab.daemon().client().list_services(&ServiceSelector::default()).unwrap().services;
    let listed: BTreeSet<String> = listed
        .iter()
        .map(|service| {
            let dests: Vec<_> =
                service.dests.iter().map(|d| (d.address, d.port, d.weight)).collect();
            format!("{} {} {dests:?}", json!(service.service), service.scheduler)
        })
        .filter(|line| line.contains("10.20."))
        .collect();
    let stands = |client: usize, number: usize| {
        let weight = 2 + client * 100 + number;
        format!("{} wrr [(10.2.0.11, 80, {weight})]", key(client, number))
    };
    let all = (0..CLIENTS).flat_map(|c| (1..SERVICES).step_by(2).map(move |n| stands(c, n)));
    assert_eq!(listed, all.collect());
}
