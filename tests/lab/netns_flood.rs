// SPDX-License-Identifier: MIT OR Apache-2.0
//! A flood of random ICMP of every type, right and wrong, to all addresses of the balancer, while a
//! transfer goes through the same workers. Not timed: `make bench-flood` has the figures.

use crate::cells::Held;
use dpvs_api::types::Protocol;
use dpvs_tests::flood::arrivals::Arrivals;
use dpvs_tests::flood::ledger::Ledger;
use dpvs_tests::flood::random::Random;
use dpvs_tests::flood::scene::{self, Flood};
use dpvs_tests::lab::{VIP, VIP6};
use dpvs_tests::run::wait_for;
use dpvs_tests::{Lab, lab};
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// Limits so low that the flood is far above them.
const CONFIG: &str = "
[icmp]
relayed_per_s = 400
relayed_per_vip_per_s = 300
made_per_s = 100
echo_per_s = 200
queries_per_client = 50
";
const RELAYED_PER_S: u64 = 400;
const MADE_PER_S: u64 = 100;
/// What may be made at once, a twentieth of a second's.
const MADE_BURST: u64 = 5;
const ECHO_PER_S: u64 = 200;
const QUERIES_PER_CLIENT: usize = 50;

/// Frames a second: what a kernel's link and a machine that runs other tests can carry.
const RATE: u64 = 20_000;
/// How long it goes on at least.
const FLOOD_TIME_MIN: Duration = Duration::from_secs(4);
const BODY_LEN: usize = 20_000_000;

#[test]
fn a_transfer_goes_on_under_a_flood_with_1_worker() {
    lab::test_in(Lab::configured(1, CONFIG), |lab| flood(lab, 1));
}

#[test]
fn a_transfer_goes_on_under_a_flood_with_3_workers() {
    lab::test_in(Lab::configured(3, CONFIG), |lab| flood(lab, 3));
}

fn flood(lab: &mut Lab, workers: u64) {
    let lab = &*lab;
    // Letters, since the held connection's answer is read as a text.
    let body: Vec<u8> = Random::new(20).bytes(BODY_LEN).iter().map(|b| b'a' + b % 26).collect();
    let _server = scene::prepare(lab, body.clone());
    let held = Held::open(&lab.client(), VIP);
    held.connection(lab);
    let file = lab.directory().join("body");
    // Slower than it could be, so that it lasts as long as the flood does.
    let url = format!("http://{VIP}/");
    let line = format!("curl -sS -m 80 --limit-rate 4M -o {} {url}", file.display());
    let mut curl = lab.client().spawn(&line);
    wait_for(Duration::from_secs(10), "the transfer has begun", || {
        fs::metadata(&file).is_ok_and(|file| file.len() > 0)
    });

    let arrivals = Arrivals::count(&lab.client());
    let (before, begin) = (Ledger::of(lab.daemon()), Instant::now());
    let flood = Flood::start(lab, RATE, 100_000, 7);
    let status = curl.wait().unwrap();
    std::thread::sleep(FLOOD_TIME_MIN.saturating_sub(begin.elapsed()));
    let queries = lab.daemon().connections();
    let sent = flood.stop();
    let after = scene::counted_since(lab, &before);
    let seconds = begin.elapsed().as_secs() + 1;
    eprintln!("{sent:?} in {seconds} s {after:#?}");

    assert!(status.success(), "{status}");
    assert!(fs::read(&file).unwrap() == body, "the body has changed on its way");
    held.close(lab);
    let got = after.counter("frames_in");
    assert!(got >= sent.frames / 2, "most of {} has come: {got}", sent.frames);

    // By client as its worker counts it, so that it holds for all workers together.
    let per_client = QUERIES_PER_CLIENT * usize::try_from(workers).unwrap();
    let mut requests = BTreeMap::<_, usize>::new();
    for conn in queries.iter().filter(|conn| conn.state == "REQUEST") {
        assert!(matches!(conn.protocol, Protocol::Icmp | Protocol::Icmpv6), "{conn:?}");
        *requests.entry(conn.client.address).or_default() += 1;
    }
    assert!(requests.values().all(|count| *count <= per_client), "{requests:?}");
    assert!(after.drops["icmp_queries_full"] > 0, "the flood had more");

    holds(&after, &arrivals, workers, seconds);
    works(lab);
}

/// Checks that the limits held, and that they were reached.
fn holds(after: &Ledger, arrivals: &Arrivals, workers: u64, seconds: u64) {
    let most = |per_second: u64, burst: u64| workers * (per_second * seconds + burst);
    let made = after.made();
    assert!(made > 0 && made <= most(MADE_PER_S, MADE_BURST), "{made} errors made");
    assert!(after.counter("icmp_made_limited") > 0, "the flood asked for more errors");
    let out = after.counter("icmp_error_relayed_out");
    let relayed = out + after.counter("icmp_error_relayed_in");
    assert!(relayed > 0 && relayed <= most(RELAYED_PER_S, RELAYED_PER_S), "{relayed} relayed");
    let limited = after.drops["icmp_limited"] + after.drops["icmp_limited_virtual"];
    assert!(limited > 0, "the flood had more errors to relay");
    // Each of its addresses that no service takes has a limit of its own: 4, and 2 for full NAT.
    let replied = after.counter("icmp_echo_replied");
    assert!(replied > 0 && replied <= 6 * most(ECHO_PER_S, ECHO_PER_S), "{replied} replies");
    // Nothing leaves uncounted.
    let errors = arrivals.errors();
    assert!(errors <= made + out, "{errors} errors came out, {made} made, {out} relayed");
    assert!(arrivals.replies() > 0, "answers come out");
}

/// Checks that afterwards all is as before.
fn works(lab: &Lab) {
    assert!(lab.daemon().is_answering());
    let log = lab.daemon().log();
    assert!(!log.contains("panicked"), "{log}");
    // The limits of a second are free again after one.
    std::thread::sleep(Duration::from_secs(1));
    for address in [VIP, VIP6, "10.1.0.1", "fd00:1::1"] {
        lab.client().ping(3, "", address);
    }
    let len = lab
        .client()
        .run(&format!("curl -sS -m 60 -o /dev/null -w %{{size_download}} http://{VIP}/"));
    assert_eq!(len.ok(), BODY_LEN.to_string());
    Ledger::settled(lab.daemon());
}
