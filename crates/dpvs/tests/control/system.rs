// SPDX-License-Identifier: MIT OR Apache-2.0
//! `system.*`, `stats.*`, `drop.*`, `timeout.*`, and the reload.

use super::harness::{Daemon, tcp};
use dpvs::server::Reloaded;
use dpvs_core::tables::Timeouts;
use dpvs_core::testing::PacketBuilder;
use dpvs_core::{DropReason, Verdict};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

#[test]
fn the_daemon_tells_what_it_is_and_counts() {
    let daemon = Daemon::start(2);
    let mut api = daemon.client();
    let info = api.ok("system.info", json!({}));
    assert_eq!((&info["workers"], &info["conn_table_size"]), (&json!(2), &json!(8192)));
    assert_eq!(info["pid"], std::process::id());
    assert!(info["dpdk"].as_str().unwrap().contains('.'), "{info}");
    api.ok("system.ping", json!({}));
    let methods = api.ok("system.describe", json!({}));
    assert!(methods["methods"].as_array().unwrap().len() > 40);
    // For nobody here: counted as such.
    let stray = PacketBuilder::new("10.0.0.9", "10.0.0.1").udp(1, 2, b"x");
    daemon.feed(&stray);
    let drops = api.ok("drop.list", json!({}));
    let counts: Vec<&Value> =
        drops["drops"].as_array().unwrap().iter().filter(|drop| drop["count"] != 0).collect();
    assert_eq!(counts.len(), 1, "{drops}");
    assert_eq!(counts[0]["workers"], json!([1, 0]));
    let stats = api.ok("stats.get", json!({}));
    assert_eq!(stats["counters"]["frames_in"], 1);
    assert_eq!(stats["workers"][1]["busy_permille"], 7);
    assert_eq!(api.refused("system.info", json!({ "x": 1 })), "INVALID_PARAMS x");
    assert_eq!(api.refused("no.such", json!({})), "METHOD_NOT_FOUND ");
}

#[test]
fn timeouts_are_merged_and_their_ranges_kept() {
    let daemon = Daemon::start(1);
    let mut api = daemon.client();
    api.ok("timeout.set", json!({ "tcp": 1000, "udp": 0 }));
    let timeouts = json!({ "tcp": 1000, "tcp_fin": 120, "udp": 300, "icmp": 60 });
    assert_eq!(api.ok("timeout.get", json!({})), timeouts);
    assert_eq!(api.refused("timeout.set", json!({ "tcp_fin": 2_678_401 })), "RANGE tcp_fin");
    assert_eq!(api.refused("timeout.set", json!({ "icmp": 59 })), "RANGE icmp");
    assert_eq!(api.ok("timeout.get", json!({})), timeouts);
}

#[test]
fn shutdown_is_answered_and_the_socket_removed() {
    let mut daemon = Daemon::start(2);
    daemon.client().ok("system.shutdown", json!({}));
    daemon.join();
    assert!(!daemon.path.exists());
}

#[test]
fn a_signal_to_stop_ends_the_daemon_and_a_client_sees_its_end() {
    let mut daemon = Daemon::start(1);
    let mut raw = daemon.raw();
    daemon.client().ok("system.ping", json!({}));
    daemon.stop();
    assert!(!daemon.path.exists());
    assert_eq!(raw.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_reload_publishes_what_was_read() {
    let (mut signal, watched) = UnixStream::pair().unwrap();
    let mut emptied = watched.try_clone().unwrap();
    let daemon = Daemon::start_with(2, |server| {
        let read = move || {
            assert_eq!(emptied.read(&mut [0]).unwrap(), 1);
            let timeouts = Timeouts { udp_ms: 77_000, ..Timeouts::default() };
            Reloaded { limits: None, timeouts: Some(timeouts) }
        };
        server.on_reload(watched.into(), Box::new(read));
    });
    let mut api = daemon.client();
    assert_eq!(api.ok("timeout.get", json!({}))["udp"], 300);
    signal.write_all(&[1]).unwrap();
    let start = Instant::now();
    while api.ok("timeout.get", json!({}))["udp"] != 77 {
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn a_worker_that_hangs_is_told_and_has_the_change_when_it_is_back() {
    let daemon = Daemon::start(2);
    let mut api = daemon.client();
    daemon.hangs.store(true, Ordering::Relaxed);
    let start = Instant::now();
    assert_eq!(api.refused("service.add", json!({ "service": tcp(80) })), "INTERNAL ");
    // From then on it is not waited for: reads and writes go on, more of them than it has room for.
    for port in 81..101 {
        assert_eq!(api.refused("service.add", json!({ "service": tcp(port) })), "INTERNAL ");
    }
    api.ok("service.get", json!({ "service": tcp(100) }));
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    daemon.hangs.store(false, Ordering::Relaxed);
    let start = Instant::now();
    while api.0.call_raw("system.ping", &json!({})).is_err() {
        assert!(start.elapsed() < Duration::from_secs(10));
    }
    // The tick gives it what it had no room for; a frame for the last service is not lost as one
    // without a service.
    std::thread::sleep(Duration::from_millis(1200));
    let syn = PacketBuilder::new("198.51.100.10", "203.0.113.80").tcp(1000, 100, 2, b"");
    assert_eq!(daemon.feed(&syn), Verdict::Drop(DropReason::NoDest));
}
