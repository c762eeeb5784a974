// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many services and real servers, loaded while traffic runs.

use crate::ping_service;
use dpvs_tests::lab::VIP;
use dpvs_tests::station::{Station, ask, udp_client};
use dpvs_tests::{Lab, Run, run};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

dpvs_tests::lab_tests!(plain: a_load_of_a_hundred_thousand_servers_loses_no_packet);

const SERVICES: usize = 1000;
const SERVERS: usize = 100;
/// Far above what it takes, far below a round to the workers for each of the lines.
const LOAD_TIME_MAX: Duration = Duration::from_secs(15);

/// Commands that make the services with their servers.
fn rules() -> String {
    let mut rules = String::new();
    for service in 0..SERVICES {
        let key = format!("-t 10.9.{}.{}:80", service / 250, 1 + service % 250);
        writeln!(rules, "-A {key} -s wrr").unwrap();
        writeln!(rules, "-P {key} -z 10.2.0.200 -F dpdk1").unwrap();
        for server in 0..SERVERS {
            let weight = 1 + server % 7;
            writeln!(rules, "-a {key} -r 10.3.0.{}:8080 -b -w {weight}", 1 + server).unwrap();
        }
    }
    rules
}

/// Pings until `is_over`, 500 times a second; returns how many were sent.
///
/// After its last request `ping` waits for two round trips and no longer, so the last replies of a
/// round may be late; any before them would be lost.
pub(crate) fn ping(lab: &Lab, is_over: &AtomicBool) -> usize {
    const ROUND: usize = 250;
    const LATE_MAX: usize = 50;
    let mut sent = 0;
    while !is_over.load(Ordering::Relaxed) {
        let text = lab.client().run(&format!("ping -n -i 0.002 -c {ROUND} -W 5 {VIP}")).ok();
        let numbers = text.split("icmp_seq=").skip(1).map(|rest| rest.split(' ').next());
        let numbers: Vec<usize> = numbers.map(|n| n.unwrap().parse().unwrap()).collect();
        let last = numbers.iter().max().copied().unwrap_or(0);
        assert!(numbers.len() == last && last + LATE_MAX >= ROUND, "after {sent}: {text}");
        sent += ROUND;
    }
    sent
}

/// Asks over UDP until `is_over`, each time after the last answer; returns how many were sent.
pub(crate) fn ask_on(lab: &Lab, is_over: &AtomicBool) -> usize {
    let socket = udp_client(&lab.client(), "10.0.0.100:5000");
    let mut sent = 0;
    while !is_over.load(Ordering::Relaxed) {
        let question = sent.to_string().into_bytes();
        assert_eq!(ask(&socket, &question), Ok(question), "after {sent}");
        sent += 1;
    }
    sent
}

fn a_load_of_a_hundred_thousand_servers_loses_no_packet(lab: &mut Lab) {
    let lab = &*lab;
    let _echo = Station::udp_echo(&lab.rs1(), "10.2.0.11".parse().unwrap(), 5000);
    ping_service(lab);
    lab.full_nat("-u 10.0.0.100:5000", &["10.2.0.11:5000"]);
    let path = lab.directory().join("rules");
    fs::write(&path, rules()).unwrap();
    let mut load = Command::new(run::program("ipvsadm"));
    load.arg("-R").env("DPVS_SOCKET", lab.socket()).stdin(Stdio::from(File::open(path).unwrap()));

    let is_over = AtomicBool::new(false);
    let (took, pings, asked) = thread::scope(|scope| {
        let pings = scope.spawn(|| ping(lab, &is_over));
        let asked = scope.spawn(|| ask_on(lab, &is_over));
        thread::sleep(Duration::from_millis(200));
        let begin = Instant::now();
        let loaded = Run::of("ipvsadm -R", &mut load);
        let took = begin.elapsed();
        is_over.store(true, Ordering::Relaxed);
        loaded.ok();
        (took, pings.join().unwrap(), asked.join().unwrap())
    });
    assert!(pings > 0 && asked > 0, "{pings} pings, {asked} questions");
    assert!(took < LOAD_TIME_MAX, "{took:?}");

    let listing = lab.run("ipvsadm -Ln").ok();
    assert_eq!(listing.matches("\nTCP  10.9.").count(), SERVICES);
    assert_eq!(listing.matches("\n  -> 10.3.0.").count(), SERVICES * SERVERS);
}
