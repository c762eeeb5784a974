// SPDX-License-Identifier: MIT OR Apache-2.0
//! A running `dpvs`, and what can be asked of it.

use crate::run::{self, wait_for};
use dpvs_api::types::{ConnListParams, Connection, Empty};
use dpvs_api::{Client, method};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long the daemon may take to start or to end; the machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon that ends with its test.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
}

impl Daemon {
    /// Starts one by a command to which its log goes, and waits until it answers on `socket`.
    pub fn start(command: &mut Command, directory: &Path, socket: &Path) -> Daemon {
        let log = directory.join("dpvs.log");
        let file = File::create(&log).expect("a log");
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("a log")).stderr(file);
        let child = command.spawn().expect("dpvs");
        let mut daemon = Daemon { child, socket: socket.to_path_buf(), log };
        wait_for(PATIENCE, "dpvs answers", || {
            let ended = daemon.child.try_wait().expect("dpvs");
            assert_eq!(ended, None, "dpvs ended: {}", daemon.log());
            daemon.is_answering()
        });
        daemon
    }

    /// Returns what it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it answers.
    pub fn is_answering(&self) -> bool {
        Client::connect(&self.socket)
            .is_ok_and(|mut client| client.call::<method::SystemPing>(&Empty {}).is_ok())
    }

    /// Returns a connection to its API.
    pub fn client(&self) -> Client {
        Client::connect(&self.socket).unwrap_or_else(|e| panic!("{e}: {}", self.log()))
    }

    /// Returns how many frames were dropped for a reason.
    pub fn drops(&self, reason: &str) -> u64 {
        let list = self.client().call::<method::DropList>(&Empty {}).expect("drop.list");
        let drop = list.drops.iter().find(|drop| drop.reason == reason);
        drop.unwrap_or_else(|| panic!("no such reason: {reason}")).count
    }

    /// Returns a counter of the dataplane.
    pub fn counter(&self, name: &str) -> u64 {
        let stats = self.client().call::<method::StatsGet>(&Empty {}).expect("stats.get");
        *stats.counters.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", stats.counters))
    }

    /// Lists all connections.
    pub fn connections(&self) -> Vec<Connection> {
        let mut all = Vec::new();
        let each = |conn| all.push(conn);
        self.client().each_connection(ConnListParams::default(), each).expect("conn.list");
        all
    }

    /// Says what was dropped, and all counters; `None` if it does not answer.
    fn dropped(&self) -> Option<String> {
        let mut client = Client::connect(&self.socket).ok()?;
        let list = client.call::<method::DropList>(&Empty {}).ok()?;
        let drops = list.drops.iter().filter(|drop| drop.count > 0);
        let drops: Vec<String> =
            drops.map(|drop| format!("{} {:?}", drop.reason, drop.workers)).collect();
        let stats = client.call::<method::StatsGet>(&Empty {}).ok()?;
        Some(format!("{}; counters: {:?}", drops.join(", "), stats.counters))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(pid, signal).expect("the daemon lives");
    }

    /// Ends it as an operator does, and returns how it left.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_for(PATIENCE, "dpvs ends", || {
            status = self.child.try_wait().expect("dpvs");
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// Returns the command of the daemon itself, with its socket.
    pub fn arguments(socket: &Path) -> [String; 3] {
        let path = run::program("dpvs").to_string_lossy().into_owned();
        [path, "--socket".to_owned(), socket.to_string_lossy().into_owned()]
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- dpvs logged:\n{}---", self.log());
            eprintln!("--- dpvs dropped: {}", self.dropped().unwrap_or_default());
        }
        // An error here means that it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
