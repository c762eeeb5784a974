// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a TCP transfer and the balancer do under floods of random ICMP: a table. Needs root, and the
//! programs in `DPVS_BIN_DIR`; `make bench-flood` runs it.
#![allow(clippy::print_stdout, reason = "a program")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that fails is a failed bench")]

use dpvs_tests::Lab;
use dpvs_tests::flood::ledger::Ledger;
use dpvs_tests::flood::scene::{self, Flood};
use dpvs_tests::flood::{Aim, Frames, capture};
use dpvs_tests::lab::VIP;
use std::net::IpAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long each line is measured.
const SECONDS: u64 = 8;
/// More than passes in that time.
const BODY_LEN: usize = 2 << 30;
/// Different frames of a flood.
const FRAMES: usize = 300_000;
/// The same of a port that replays them: each has a buffer.
const FRAMES_REPLAYED: usize = 100_000;
/// The transfer's port at the client, which a file's errors know.
const CLIENT_PORT: u16 = 40_000;
/// The link address of DPDK's first `net_pcap` device.
const REPLAY_MAC: [u8; 6] = [2, 0x70, 0x63, 0x61, 0x70, 0];

/// How the flood comes in.
#[derive(Clone, Copy)]
enum Way {
    /// Frames a second from the client's interface; 0 is as many as can be.
    Link(u64),
    /// From a port that replays a file as fast as it is read.
    Replay,
}

/// What was seen.
struct Row {
    offered: Option<u64>,
    missed: Option<u64>,
    megabytes_per_s: f64,
    seconds: f64,
    ledger: Ledger,
}

fn main() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("1 worker, default limits, {SECONDS} s each; load before: {}", load.trim());
    println!(
        "{:<22}{:>11}{:>11}{:>10}{:>9}{:>10}{:>11}{:>10}{:>10}",
        "flood",
        "offered/s",
        "frames/s",
        "missed/s",
        "relayed",
        "answered",
        "dropped",
        "made",
        "TCP MB/s"
    );
    let ways = [
        ("none", None),
        ("50,000/s", Some(Way::Link(50_000))),
        ("200,000/s", Some(Way::Link(200_000))),
        ("all the link carries", Some(Way::Link(0))),
        ("replayed by a port", Some(Way::Replay)),
    ];
    for (name, way) in ways {
        let Some(row) = measure(way) else { return };
        show(name, &row);
    }
}

fn show(name: &str, row: &Row) {
    let per_second = |count: u64| {
        let count = u32::try_from(count).map_or(f64::INFINITY, f64::from);
        format!("{:.0}", count / row.seconds)
    };
    let or_none = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), per_second);
    let ledger = &row.ledger;
    println!(
        "{name:<22}{:>11}{:>11}{:>10}{:>9}{:>10}{:>11}{:>10}{:>10.1}",
        or_none(row.offered),
        per_second(ledger.counter("frames_in")),
        or_none(row.missed),
        per_second(ledger.counters_of("icmp_error_relayed_")),
        per_second(ledger.counter("icmp_echo_replied")),
        per_second(ledger.dropped()),
        per_second(ledger.made()),
        row.megabytes_per_s,
    );
    println!("    dropped: {}", ledger.top_drops(8));
}

/// Measures in a lab of its own; `None` without root.
fn measure(way: Option<Way>) -> Option<Row> {
    let directory = tempfile::tempdir().expect("a directory");
    let config = match way {
        Some(Way::Replay) => replay(directory.path()),
        _ => String::new(),
    };
    let lab = Lab::configured(1, &config)?;
    let _server = scene::prepare(&lab, vec![b'x'; BODY_LEN]);
    let time_max = SECONDS.to_string();
    let port = CLIENT_PORT.to_string();
    let url = format!("http://{VIP}/");
    let mut words = vec!["curl", "-s", "-m", &time_max, "--local-port", &port, "-o", "/dev/null"];
    words.extend(["-w", "%{size_download}", &url]);
    let client = lab.client();
    let (before, came, begin) = (Ledger::of(lab.daemon()), came(&lab), Instant::now());
    let replayed = scene::received(&lab, "replay");
    let (run, seconds, sent) = thread::scope(|scope| {
        let transfer = scope.spawn(|| client.run_words(&words));
        // Its connection stands, so that errors are about it.
        thread::sleep(Duration::from_millis(200));
        let flood = match way {
            Some(Way::Link(rate)) => Some(Flood::start(&lab, rate, FRAMES, 7)),
            _ => None,
        };
        let run = transfer.join().unwrap();
        let seconds = begin.elapsed().as_secs_f64();
        (run, seconds, flood.map(Flood::stop))
    });
    let ledger = match way {
        // It never settles.
        Some(Way::Replay) => Ledger::of(lab.daemon()).since(&before),
        _ => scene::counted_since(&lab, &before),
    };
    let bytes: f64 = run.stdout.trim().parse().unwrap_or_else(|_| panic!("{run:?}"));
    let missed = match way {
        Some(Way::Replay) => None,
        _ => Some((self::came(&lab) - came).saturating_sub(ledger.received)),
    };
    let offered = match sent {
        // Over its own time: it started later than the transfer.
        Some(sent) => scaled(sent.per_second(), seconds),
        None => scene::received(&lab, "replay").zip(replayed).map(|(now, before)| now - before),
    };
    Some(Row { offered, missed, megabytes_per_s: bytes / seconds / 1e6, seconds, ledger })
}

fn scaled(per_second: u64, seconds: f64) -> Option<u64> {
    let millis = Duration::from_secs_f64(seconds).as_millis();
    u64::try_from(u128::from(per_second) * millis / 1000).ok()
}

/// Returns how many frames the kernel has put on the balancer's links.
fn came(lab: &Lab) -> u64 {
    let count = |interface: &str| {
        let path = format!("/sys/class/net/{interface}/statistics/rx_packets");
        lab.balancer().run(&format!("cat {path}")).ok().trim().parse::<u64>().expect("a count")
    };
    count("lan0") + count("lan1")
}

/// Writes a flood to a file and returns the configuration of a port that replays it without end.
fn replay(directory: &Path) -> String {
    let addresses = |all: &[&str]| -> Vec<IpAddr> {
        all.iter().map(|address| address.parse().expect("an address")).collect()
    };
    let mut targets = addresses(&scene::OWN);
    targets.extend(addresses(&[VIP, "fd00::100", "10.2.0.200", "fd00:2::200"]));
    let hosts = (20..32).flat_map(|n| [format!("10.1.0.{n}"), format!("fd00:1::{n}")]);
    let flow = format!("tcp,{VIP}:80,10.1.0.10:{CLIENT_PORT}");
    let aim = Aim {
        from: [2, 0, 0, 0, 0, 1],
        to: REPLAY_MAC,
        sources: hosts.map(|host| host.parse().expect("an address")).collect(),
        targets,
        flows: vec![flow.parse().expect("a flow")],
    };
    let frames: Vec<_> = Frames::new(&aim, 7).take(FRAMES_REPLAYED).collect();
    let file = directory.join("flood.pcap");
    capture::write(&file, &frames).expect("a capture file");
    format!(
        "[dataplane]\nbuffers = {}\n[[port]]\nname = \"replay\"\n\
         device = \"vdev:net_pcap0,rx_pcap={},infinite_rx=1\"\n",
        2 * FRAMES_REPLAYED,
        file.display()
    )
}
