// SPDX-License-Identifier: MIT OR Apache-2.0
//! The laboratory itself, which a killed test leaves behind.

use dpvs_tests::Namespace;
use dpvs_tests::lab::script;
use dpvs_tests::run::wait_until;
use std::process::{self, Command};

/// A lab of this name; it vanishes when dropped.
struct Left(String);

impl Drop for Left {
    fn drop(&mut self) {
        script("down", &self.0, &[]);
    }
}

#[test]
fn a_lab_takes_the_place_of_one_left_behind() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: needs root to make network namespaces");
        return;
    }
    // A number that no lab of this process has.
    let lab = Left(format!("{}-9999", process::id()));
    script("up", &lab.0, &[]).ok();
    let client = Namespace { name: format!("dpvs-{}-client", lab.0) };
    let mut left = client.spawn("sleep 60");
    wait_until("it runs in the first one", || {
        let pids = Command::new("ip").args(["netns", "pids", &client.name]).output().unwrap();
        !pids.stdout.is_empty()
    });
    // The next one is another kind of lab: it has a second interface.
    script("up", &lab.0, &["--direct"]).ok();
    assert!(left.wait().unwrap().code() != Some(0), "what ran in the first one goes on");
    client.run("ip link show eth1").ok();
    script("down", &lab.0, &[]).ok();
    client.run("true").fails(255, "No such file or directory");
}
