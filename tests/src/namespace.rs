// SPDX-License-Identifier: MIT OR Apache-2.0
//! A network namespace that `scripts/lab.sh` made: programs, threads and counters in it.

use crate::run::{Run, SECONDS_MAX};
use nix::sched::{CloneFlags, setns};
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::thread;

/// A namespace by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// As `ip netns` lists it.
    pub name: String,
}

impl Namespace {
    /// Returns a command that starts a program in it, which ends with this test however that ends.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "setpriv", "--pdeathsig", "KILL", program]);
        command
    }

    /// Runs a command line of words, to its end.
    pub fn run(&self, line: &str) -> Run {
        self.run_words(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs a command line whose words may hold blanks, to its end.
    pub fn run_words(&self, words: &[&str]) -> Run {
        let line = format!("{}: {}", self.name, words.join(" "));
        Run::of(&line, self.command("timeout").arg(SECONDS_MAX).args(words))
    }

    /// Pings an address that often with more options, and returns what `ping` said. Each must be
    /// answered, and once.
    ///
    /// All are sent at once: after its last one `ping` waits for one interval and no longer, so a
    /// short interval takes a busy machine's late reply for a lost one.
    #[track_caller]
    pub fn ping(&self, count: u32, options: &str, to: &str) -> String {
        let text = self.run(&format!("ping -c {count} -l {count} -i 5 -W 5 {options} {to}")).ok();
        let is_complete = text.contains(&format!(" {count} received")) && !text.contains("DUP");
        assert!(is_complete && !text.contains("wrong"), "{text}");
        text
    }

    /// Starts a command line of words, silent.
    pub fn spawn(&self, line: &str) -> Child {
        let mut command = self.command("timeout");
        command.arg(SECONDS_MAX).args(line.split_whitespace());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect(line)
    }

    /// Moves the calling thread into it.
    pub fn enter(&self) {
        let file = File::open(format!("/run/netns/{}", self.name)).expect(&self.name);
        setns(file, CloneFlags::CLONE_NEWNET).expect(&self.name);
    }

    /// Runs a function in it, on a thread of its own.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let entered = || {
            self.enter();
            work()
        };
        thread::scope(|scope| scope.spawn(entered).join()).unwrap_or_else(|panic| {
            std::panic::resume_unwind(panic);
        })
    }

    /// Returns a counter of `/proc/net/snmp`, such as `("Icmp", "InEchos")`.
    pub fn snmp(&self, protocol: &str, counter: &str) -> u64 {
        let text =
            self.within(|| fs::read_to_string("/proc/thread-self/net/snmp").expect("counters"));
        let mut lines = text.lines().filter(|l| l.starts_with(&format!("{protocol}:")));
        let (names, values) = (lines.next().expect(protocol), lines.next().expect(protocol));
        let place = names.split(' ').position(|name| name == counter).expect(counter);
        values.split(' ').nth(place).and_then(|v| v.parse().ok()).expect(counter)
    }

    /// Returns a counter of `/proc/net/snmp6`, such as `Icmp6InEchos`; 0 where it is missing.
    pub fn snmp6(&self, counter: &str) -> u64 {
        let text =
            self.within(|| fs::read_to_string("/proc/thread-self/net/snmp6").expect("counters"));
        let pairs = text.lines().filter_map(|line| line.split_once(char::is_whitespace));
        let mut values = pairs.filter(|(name, _)| *name == counter).map(|(_, value)| value);
        values.next().and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    }
}
