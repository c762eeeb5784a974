// SPDX-License-Identifier: MIT OR Apache-2.0
//! Transcripts of the real ipvsadm 1.31, replayed against the binary without a daemon.
//!
//! Cases that end before the kernel is asked must match byte for byte. All others must be
//! understood: they end with the one line that says that dpvs does not run.

#![allow(
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    reason = "the whole file is a test"
)]

use ipvsadm::names::NoNames;
use ipvsadm::restore;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

const SOCKET: &str = "/nonexistent/dpvs.sock";
const CASES: &str = include_str!("golden/ipvsadm-stock-cases.json");
const TRANSCRIPT: &str = include_str!("golden/stock-1.31-cli.txt");
const NOT_RUNNING: &str = "dpvs is not running: cannot connect to /nonexistent/dpvs.sock: \
    No such file or directory (os error 2)\n";

const NO_SYNC: &str = "Connection synchronization is not supported\n";
const NO_SERVICE: &str =
    "You need to supply the 'service-address' option for the 'del-laddr' command\n";

/// Where a documented decision differs: the case, and what is printed instead.
#[rustfmt::skip]
const DIFFERENT: &[(&str, u8, &str)] = &[
    // The letters that DPVS added: -Q is a command (decision 1).
    ("help-version/015", 2, NO_SERVICE),
    ("help-version/016", 2, NO_SERVICE),
    ("cli-syntax/004", 2, NO_SERVICE),
    ("cli-syntax/034", 2, "invalid option `-Q'\n"),
    ("cli-syntax/036", 2, "invalid option `-nQ'\n"),
    ("cli-syntax/037", 2, "invalid option `-LnQ'\n"),
    // -b is full NAT except with -A and -E (decision 1).
    ("sched-flags/042", 2, "unexpected argument sh-port\n"),
    ("matrix-add-server/026", 2, "unexpected argument flag-1\n"),
    ("matrix-edit-server/026", 2, "unexpected argument flag-1\n"),
    ("matrix-set/026", 2, "unexpected argument flag-1\n"),
    ("matrix-stop-daemon/026", 2, "unexpected argument flag-1\n"),
    ("ipvsadm -a -t 1.2.3.4:80 -r 1.1.1.1 -b", 2, NOT_RUNNING),
    ("ipvsadm -a -t 1.2.3.4:80 -r 1.1.1.1 -b foo", 2, "unexpected argument foo\n"),
    // -p takes the protocol of an ICMP service (decision 7).
    ("ipvsadm -A -t 1.2.3.4:80 -p icmp", 2, "multiple 'service-address' options specified\n"),
    ("ipvsadm -A -p icmp 1.2.3.4", 2, NOT_RUNNING),
    // Comments are skipped (decision 8).
    ("restore-input/009", 2, NOT_RUNNING),
    ("restore-input/011", 2, NOT_RUNNING),
    // There is no connection sync (decision 10).
    ("matrix-stop-daemon/020", 255, NO_SYNC),
    ("matrix-stop-daemon/021", 255, NO_SYNC),
    // Weights end at 65535 (option table).
    ("ipvsadm -a -t 1.2.3.4:80 -r 10.0.0.1 -w 2147483647", 2, "illegal weight specified\n"),
    ("ipvsadm -a -t 1.2.3.4:80 -r 10.0.0.4 -w 65536", 2, "illegal weight specified\n"),
];

#[derive(Debug)]
struct Case {
    id: String,
    argv: Vec<String>,
    stdin: String,
    stdout: String,
    stderr: String,
    rc: i64,
}

#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    stdout: String,
    stderr: String,
    rc: i64,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn json_cases() -> Vec<Case> {
    let cases: Vec<Value> = serde_json::from_str(CASES).unwrap();
    let read = |case: Value| Case {
        id: text(&case["id"]),
        argv: case["argv"].as_array().unwrap().iter().map(text).collect(),
        stdin: text(&case["stdin"]),
        stdout: text(&case["stdout"]),
        stderr: text(&case["stderr"]),
        rc: case["rc"].as_i64().unwrap(),
    };
    cases.into_iter().map(read).filter(|case| case.argv[0].ends_with("ipvsadm")).collect()
}

/// Reads `$ cmd`, output, `[rc=N]`. What ends with 1, 2 or 255 was printed on stderr.
fn transcript_cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in TRANSCRIPT.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            let word = |word: &str| if word == "''" { String::new() } else { word.to_owned() };
            let argv = command.split(' ').map(word).collect();
            let (stdin, stdout, stderr) = Default::default();
            cases.push(Case { id: command.to_owned(), argv, stdin, stdout, stderr, rc: -1 });
            continue;
        }
        let case = cases.last_mut().unwrap();
        match line.strip_prefix("[rc=").and_then(|rest| rest.strip_suffix(']')) {
            Some(rc) => {
                case.rc = rc.parse().unwrap();
                if case.rc != 0 {
                    case.stderr = std::mem::take(&mut case.stdout);
                }
            }
            None => case.stdout.extend([line, "\n"]),
        }
    }
    cases
}

fn run(case: &Case) -> Outcome {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ipvsadm"))
        .arg0(&case.argv[0])
        .args(&case.argv[1..])
        .env_clear()
        .env("DPVS_SOCKET", SOCKET)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program may end without reading.
    let _ = child.stdin.take().unwrap().write_all(case.stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    Outcome {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        rc: output.status.code().map_or(-1, i64::from),
    }
}

/// Tells whether the real program failed before it asked the kernel.
fn ends_before_the_kernel(stderr: &str, rc: i64) -> bool {
    let scan =
        [": unknown option\n", ": missing argument\n", ": option does not take an argument\n"];
    rc == 2
        || (rc == 255
            && (stderr.starts_with("Try `") || scan.iter().any(|text| stderr.ends_with(text))))
}

/// Tells whether a restore fails on its first command, and not after the kernel was asked.
fn fails_at_once(case: &Case) -> bool {
    case.stdin.is_empty()
        || case.stdin.starts_with('#')
        || restore::parse(case.stdin.as_bytes(), &NoNames)
            .first()
            .is_some_and(|line| line.invocation.is_err())
}

fn expected(case: &Case) -> Outcome {
    let (stdout, stderr) = (String::new(), case.stderr.clone());
    if ends_before_the_kernel(&case.stderr, case.rc) && fails_at_once(case) {
        return Outcome { stdout, stderr, rc: case.rc };
    }
    if case.stdout.starts_with("ipvsadm v1.31") {
        let long = case.stdout.contains("Usage:");
        let version = ipvsadm::help::version_text();
        let stdout = if long { ipvsadm::help::help_text(&case.argv[0]) } else { version };
        return Outcome { stdout, stderr, rc: 0 };
    }
    Outcome { stdout, stderr: NOT_RUNNING.to_owned(), rc: 2 }
}

fn check(cases: &[Case]) {
    let different: BTreeMap<&str, (u8, &str)> =
        DIFFERENT.iter().map(|&(id, rc, stderr)| (id, (rc, stderr))).collect();
    let mut failures = Vec::new();
    for case in cases {
        let mut want = expected(case);
        if let Some(&(rc, stderr)) = different.get(case.id.as_str()) {
            let own =
                Outcome { stdout: String::new(), stderr: stderr.to_owned(), rc: i64::from(rc) };
            assert_ne!(own, want, "{} is no difference", case.id);
            want = own;
        }
        let found = run(case);
        if found != want {
            failures
                .push(format!("{}: {:?}\n  want {want:?}\n  have {found:?}", case.id, case.argv));
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn recorded_cases_end_as_those_of_the_real_program() {
    let cases = json_cases();
    assert!(cases.len() > 700);
    check(&cases);
}

#[test]
fn the_transcript_ends_as_that_of_the_real_program() {
    let cases = transcript_cases();
    assert!(cases.len() > 100);
    check(&cases);
}

/// The line that ends a run, wherever it stands, has the text of the real program.
#[test]
fn restore_files_end_with_the_failure_of_the_real_program() {
    // Comments are skipped (decision 8); weights end at 65535.
    let different = ["restore-input/009", "restore-input/011", "restore-input/029"];
    for case in json_cases().iter().filter(|case| !case.stdin.is_empty()) {
        let lines = restore::parse(case.stdin.as_bytes(), &NoNames);
        let last = lines.last().and_then(|line| line.invocation.as_ref().err());
        let message = last.filter(|failure| failure.ends_run).map(|f| f.message.clone());
        let message = message.map(|message| String::from_utf8(message).unwrap());
        let ends = case.rc == 2 || (case.rc == 255 && case.stderr.contains("Try `"));
        if !different.contains(&case.id.as_str()) {
            let last_line = case.stderr.lines().last().map(|line| format!("{line}\n"));
            assert_eq!(message, last_line.filter(|_| ends), "{}", case.id);
        }
    }
}

#[test]
fn every_difference_names_a_case() {
    let cases: Vec<Case> = json_cases().into_iter().chain(transcript_cases()).collect();
    for (id, ..) in DIFFERENT {
        assert!(cases.iter().any(|case| case.id == *id), "{id}");
    }
}
