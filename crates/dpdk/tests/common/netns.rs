// SPDX-License-Identifier: MIT OR Apache-2.0
//! Network namespaces of a test's own, made by `ip` and removed when the test ends, however it
//! ends.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

/// Whether namespaces can be made here; says so where not.
pub(crate) fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        eprintln!("SKIPPED: needs root to make network namespaces");
    }
    is_root
}

/// A network namespace with a name of its own.
pub(crate) struct Namespace {
    pub(crate) name: String,
}

impl Namespace {
    /// Makes one and sets its loopback up. The name is like those of `scripts/lab.sh`, which
    /// removes it where a test was killed.
    pub(crate) fn new(role: &str) -> Self {
        let name = format!("dpvs-{}-{role}", std::process::id());
        if std::path::Path::new("/run/netns").join(&name).exists() {
            // Process numbers come round: its owner has ended.
            ip(&["netns", "del", &name]);
        }
        ip(&["netns", "add", &name]);
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    /// Runs `ip` within.
    pub(crate) fn ip(&self, arguments: &[&str]) {
        ip(&[&["-n", self.name.as_str()], arguments].concat());
    }

    /// Moves the calling thread, and those it starts later, into the namespace.
    pub(crate) fn enter(&self) {
        let file = std::fs::File::open(format!("/run/netns/{}", self.name)).unwrap();
        nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    }

    /// Starts `ping` within.
    pub(crate) fn ping(&self, address: &str, count: u32) -> std::process::Child {
        let count = count.to_string();
        let ping = ["netns", "exec", &self.name, "ping", "-q", "-i", "0.05", "-W", "1", "-c"];
        let mut command = Command::new("ip");
        command.args(ping).args([count.as_str(), address]);
        command.stdout(std::process::Stdio::null()).spawn().unwrap()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Interfaces in it go with it, a veth together with its peer.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// Runs `ip`, which must succeed.
pub(crate) fn ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status().unwrap();
    assert!(status.success(), "ip {}", arguments.join(" "));
}
