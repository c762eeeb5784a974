// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long `ipvsadm` takes to load and to list 10,000 services with 10 real servers each. Needs
//! root, and the programs in `DPVS_BIN_DIR`; `make bench-listing` runs it.
#![allow(clippy::print_stdout, reason = "a program")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that fails is a failed bench")]

use dpvs_tests::{Lab, Run, run};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SERVICES: usize = 10_000;
const SERVERS: usize = 10;
/// Listings of which the quickest and the slowest are told.
const TIMES: usize = 5;

fn main() {
    let Some(lab) = Lab::plain(1) else { return };
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("1 worker; {SERVICES} services of {SERVERS} servers; load before: {}", load.trim());
    let path = lab.directory().join("rules");
    fs::write(&path, rules()).expect("a file");
    let (took, _) = timed(&lab, &["-R"], Stdio::from(File::open(path).expect("a file")));
    println!("ipvsadm -R: {took:.2?}");
    for arguments in [&["-Ln"][..], &["-Ln", "--stats"], &["-Sn"]] {
        let mut all = Vec::new();
        for _ in 0..TIMES {
            let (took, text) = timed(&lab, arguments, Stdio::null());
            let servers = text.matches("10.3.0.").count();
            assert_eq!(servers, SERVICES * SERVERS, "all are listed");
            all.push(took);
        }
        all.sort_unstable();
        println!("ipvsadm {}: {:.2?} to {:.2?}", arguments.join(" "), all[0], all[TIMES - 1]);
    }
}

fn rules() -> String {
    let mut rules = String::new();
    for service in 0..SERVICES {
        let key = format!("-t 10.9.{}.{}:80", service / 250, 1 + service % 250);
        writeln!(rules, "-A {key} -s wrr").expect("a text");
        for server in 0..SERVERS {
            writeln!(rules, "-a {key} -r 10.3.0.{}:8080 -b -w 1", 1 + server).expect("a text");
        }
    }
    rules
}

fn timed(lab: &Lab, arguments: &[&str], input: Stdio) -> (Duration, String) {
    let mut command = Command::new(run::program("ipvsadm"));
    command.args(arguments).env("DPVS_SOCKET", lab.socket()).stdin(input);
    let begin = Instant::now();
    let run = Run::of(&format!("ipvsadm {}", arguments.join(" ")), &mut command);
    (begin.elapsed(), run.ok())
}
