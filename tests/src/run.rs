// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs: how they are started, and what they said.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longest life of a program that a test starts, in seconds: none hangs the suite.
pub const SECONDS_MAX: &str = "90";

/// A program's end: what it said and how it left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The command line, for messages.
    pub line: String,
    /// The exit code, or 128 and more for a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Run {
    /// Runs a command to its end.
    pub fn of(line: &str, command: &mut Command) -> Run {
        let output = command.output().unwrap_or_else(|e| panic!("{line}: {e}"));
        Run {
            line: line.to_owned(),
            code: output.status.code().unwrap_or(128),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Checks that it succeeded, and returns its standard output.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:#?}");
        self.stdout
    }

    /// Checks that it failed with this code and said this on standard error.
    #[track_caller]
    pub fn fails(self, code: i32, text: &str) {
        assert_eq!(self.code, code, "{self:#?}");
        assert!(self.stderr.contains(text), "want {text:?} in {self:#?}");
    }
}

/// Returns the path of one of our programs: in `DPVS_BIN_DIR`, or beside this test.
pub fn program(name: &str) -> PathBuf {
    let directory = env::var_os("DPVS_BIN_DIR").map_or_else(
        || {
            let test = env::current_exe().expect("the test's own path");
            test.ancestors().nth(2).expect("target/PROFILE/deps/test").to_path_buf()
        },
        PathBuf::from,
    );
    let path = directory.join(name);
    assert!(path.exists(), "{}: not built; `make test` builds it", path.display());
    path
}

/// Waits until something is so, at most 10 s.
#[track_caller]
pub fn wait_until(what: &str, is_so: impl FnMut() -> bool) {
    wait_for(Duration::from_secs(10), what, is_so);
}

/// Waits until something is so, at most `limit`.
#[track_caller]
pub fn wait_for(limit: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !is_so() {
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(20));
    }
}
