// SPDX-License-Identifier: MIT OR Apache-2.0
//! Transcripts of the real ipvsadm 1.31 on a real kernel, replayed against a running `dpvs`.
//!
//! Every case is run in its order, with the names of hosts and ports that it was recorded with, and
//! its streams, its exit code and the rules afterwards are compared. What differs on purpose is in
//! the tables here; nothing else may. Cases that end before the daemon is asked are in
//! `crates/ipvsadm/tests/golden.rs` with differences of their own.

use dpvs_tests::{Lab, run};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const CASES: &str = include_str!("../../crates/ipvsadm/tests/golden/ipvsadm-stock-cases.json");

/// As large as the recorded one, which listings tell.
const CONFIG: &str = "[dataplane]\nconnections = 4096\n";

/// Cases that end before the daemon is asked, and differ: they may only change nothing.
///
/// `-Q` is a command, and `-b` is full NAT but for services; the help is ours; there is no
/// connection sync (decisions 1, 5 and 10).
#[rustfmt::skip]
const CHECKED_WITHOUT_DAEMON: &[&str] = &[
    "help-version/001", "help-version/002", "help-version/003", "help-version/004",
    "help-version/005", "help-version/006", "help-version/008", "help-version/014",
    "help-version/015", "help-version/016", "cli-syntax/004", "cli-syntax/034", "cli-syntax/036",
    "cli-syntax/037", "sched-flags/042", "matrix-add-server/026", "matrix-edit-server/026",
    "matrix-set/026", "matrix-stop-daemon/020", "matrix-stop-daemon/021",
    "matrix-stop-daemon/026", "restore-input/022", "restore-input/023",
];

const NO_HOST: &str =
    "Invalid operation.  Possibly wrong module version, address not unicast, ...\n";
const NO_MARK: &str = "services by firewall mark are not offered: there are no marks in the \
    dataplane (service.fwmark)\n";

/// Cases with another end: the message on standard error and the exit code.
const OTHER_ENDS: &[(&str, &str, i64)] = &[
    // There is no loopback interface in the dataplane: its addresses are nobody's.
    ("forwarding-methods/010", NO_HOST, 255),
    ("forwarding-methods/011", NO_HOST, 255),
    ("forwarding-methods/013", NO_HOST, 255),
    ("server-addresses-ipv6/049", NO_HOST, 255),
    ("server-addresses-ipv6/051", NO_HOST, 255),
    ("server-addresses-ipv6/053", NO_HOST, 255),
    ("list-sort/014", NO_HOST, 255),
    ("list-sort/015", NO_HOST, 255),
    // There are no marks in the dataplane.
    ("list-sort/016", NO_MARK, 255),
    ("list-sort/017", NO_MARK, 255),
    ("list-sort/018", NO_MARK, 255),
    ("list-sort/019", NO_MARK, 255),
    // No persistence engine is known (decision 10).
    ("sched-flags/046", "Scheduler or persistence engine not found\n", 255),
    ("sched-flags/047", "No such service\n", 1),
    // Comments are skipped (decision 8).
    ("restore-input/009", "", 0),
    ("restore-input/011", "", 0),
    // The exit code tells that a line failed, wherever it stands (decision 8).
    ("restore-input/013", "Service already exists\n", 255),
    ("restore-input/017", "--bogus: unknown option\n", 255),
    ("restore-input/030", "Scheduler or persistence engine not found\n", 255),
    ("restore-input/034", "No such service\n", 255),
    // Weights end at 65535 (option table).
    ("restore-input/029", "illegal weight specified\n", 2),
];

/// What listings lack, because adding it was refused above: a group of cases, and parts of lines.
const LACKING: &[(&str, &[&str])] = &[
    ("forwarding-methods", &["127.0.0.1:", "127.0.0.2:", "[::1]:", "localhost"]),
    ("server-addresses-ipv6", &["-> [::1]:", "-r [::1]:"]),
    ("list-sort", &["FWM ", "-A -f ", " [::1]:"]),
    ("sched-flags", &["-A -u 10.0.0.1:85 "]),
    ("restore-input/029", &["-w 70000", "10.0.0.1:81 "]),
];

/// What the original loses and we save (decision 8), with what it is made into.
const SAVED_IN_PART: &[(&str, &str)] = &[
    ("-A -t 10.0.0.1:7010 -s mh -b \n", "-A -t 10.0.0.1:7010 -s mh -b flag-3\n"),
    ("-A -t 10.0.0.1:7013 -s sh -b \n", "-A -t 10.0.0.1:7013 -s sh -b flag-3\n"),
];

/// Cases in any order of lines: numbers are sorted as numbers (decision 9), and without sorting
/// the order is that of a hash table.
const ANY_ORDER: &[&str] = &["list-sort", "cli-syntax/109", "forwarding-methods"];

/// Rules after cases that do more here.
const OTHER_RULES: &[(&str, &str)] = &[
    // A comment was skipped (decision 8).
    ("restore-input/009", "-A -t 10.0.0.1:80 -s rr\n"),
    // A last line without its newline is carried out also if it ends with blanks: the original
    // takes it without these, and forgets it with them.
    ("restore-input/038", "-A -t 10.0.0.1:80 -s rr\n"),
];

#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    stdout: String,
    stderr: String,
    rc: i64,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn ipvsadm(lab: &Lab, argv: &[&str], stdin: &str) -> Outcome {
    let ours = run::program("ipvsadm");
    let program = match argv[0] {
        "ipvsadm-restore" => format!("{ROOT}/packaging/ipvsadm-restore").into(),
        _ => ours.clone(),
    };
    let mut child = Command::new(program)
        .arg0(argv[0])
        .args(&argv[1..])
        .env_clear()
        .env("DPVS_SOCKET", lab.socket())
        .env("PATH", format!("{}:/usr/bin:/bin", ours.parent().unwrap().display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program may end without reading.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    Outcome {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        rc: output.status.code().map_or(-1, i64::from),
    }
}

/// Gives this thread the files that names were resolved with, and no network but the lab's.
fn enter(lab: &Lab) {
    lab.balancer().enter();
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let mount = |arguments: &[&str]| {
        assert!(Command::new("mount").args(arguments).status().unwrap().success());
    };
    mount(&["--make-rprivate", "/"]);
    for name in ["hosts", "services"] {
        let from = format!("{ROOT}/crates/ipvsadm/tests/golden/etc-{name}");
        mount(&["--bind", &from, &format!("/etc/{name}")]);
    }
}

fn set_up(lab: &Lab, commands: &Value) {
    for command in commands.as_array().into_iter().flatten().map(text) {
        let lines = match command {
            "RESET" => &["ipvsadm -C", "ipvsadm --set 900 120 300"][..],
            // The kernel's own addresses; the dataplane has those that `replay` gives it.
            line if line.starts_with("ip ") => &[],
            line => &[line],
        };
        for line in lines {
            let outcome = ipvsadm(lab, &line.split(' ').collect::<Vec<_>>(), "");
            assert_eq!(outcome.rc, 0, "{line}: {outcome:?}");
        }
    }
}

/// Takes off what is saved and the original loses: timeouts and thresholds (decision 8).
fn as_saved_by_the_original(text: &str) -> String {
    let mut lines = String::new();
    for line in text.lines().filter(|line| !line.starts_with("--set ")) {
        let line = if line.starts_with("-a ") { line.split(" -x ").next().unwrap() } else { line };
        lines.extend([line, "\n"]);
    }
    lines
}

/// Makes of a recorded listing what it is here.
fn expected_listing(id: &str, text: &str) -> String {
    let mut text = text.to_owned();
    for (from, to) in SAVED_IN_PART {
        text = text.replace(from, to);
    }
    let lacking = LACKING.iter().filter(|(cases, _)| id.starts_with(cases));
    let lacking: Vec<&str> = lacking.flat_map(|(_, parts)| *parts).copied().collect();
    let stands = |line: &&str| !lacking.iter().any(|part| line.contains(part));
    text.lines().filter(stands).flat_map(|line| [line, "\n"]).collect()
}

fn in_order(id: &str, text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if ANY_ORDER.iter().any(|cases| id.starts_with(cases)) {
        lines.sort_unstable();
    }
    lines
}

/// Runs a case and returns how it differs from what is expected.
fn differences(lab: &Lab, case: &Value) -> Vec<String> {
    let id = text(&case["id"]);
    let argv: Vec<&str> = case["argv"].as_array().unwrap().iter().map(text).collect();
    let mut have = ipvsadm(lab, &argv, text(&case["stdin"]));
    let mut want = Outcome {
        stdout: text(&case["stdout"]).to_owned(),
        stderr: text(&case["stderr"]).to_owned(),
        rc: case["rc"].as_i64().unwrap(),
    };
    if let Some((_, stderr, rc)) = OTHER_ENDS.iter().find(|end| end.0 == id) {
        let end = Outcome { stdout: String::new(), stderr: (*stderr).to_owned(), rc: *rc };
        assert_ne!(end, want, "{id} is no difference");
        want = end;
    }
    if argv.iter().any(|word| matches!(*word, "-S" | "--save"))
        || text(&case["stdin"]).contains("-S")
    {
        have.stdout = as_saved_by_the_original(&have.stdout);
    }
    let mut found = Vec::new();
    let listings = [expected_listing(id, &want.stdout), have.stdout.clone()];
    let [listed, is_listed] = listings.map(|text| in_order(id, &text));
    let ends = [&want, &have].map(|outcome| (&outcome.stderr, outcome.rc));
    if !CHECKED_WITHOUT_DAEMON.contains(&id) && (listed != is_listed || ends[0] != ends[1]) {
        found.push(format!("{id} {argv:?}\n  want {want:?}\n  have {have:?}"));
    }
    if let Some(rules) = case.get("rules_after").and_then(Value::as_str) {
        let other = OTHER_RULES.iter().find(|rules| rules.0 == id).map(|rules| rules.1);
        let want = in_order(id, &expected_listing(id, other.unwrap_or(rules)));
        let have = ipvsadm(lab, &["ipvsadm", "-Sn"], "").stdout;
        let have = in_order(id, &as_saved_by_the_original(&have));
        if want != have {
            found.push(format!("{id} {argv:?}, rules\n  want {want:#?}\n  have {have:#?}"));
        }
    }
    found
}

fn replay(lab: &Lab) {
    let cases: Vec<Value> = serde_json::from_str(CASES).unwrap();
    let mut found = Vec::new();
    for case in &cases {
        set_up(lab, &case["setup"]);
        // The original was killed by its own mistake, and had changed nothing.
        if case["rc"].as_i64().is_some_and(|rc| rc >= 0) {
            found.extend(differences(lab, case));
        }
    }
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

#[test]
fn recorded_commands_do_what_they_did() {
    dpvs_tests::lab::test_in(Lab::configured(1, CONFIG), |lab| {
        // Direct routing needs the servers on a link.
        lab.all(
            "dpip addr add 192.168.0.1/16 dev dpdk1
             dpip addr add 2001:db8:ffff::1/32 dev dpdk1",
        );
        let replayed = || {
            enter(lab);
            replay(lab);
        };
        let outcome = std::thread::scope(|scope| scope.spawn(replayed).join());
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

#[test]
fn every_difference_names_a_case() {
    let cases: Vec<Value> = serde_json::from_str(CASES).unwrap();
    let ends = OTHER_ENDS.iter().map(|end| end.0);
    let cases: Vec<&str> = cases.iter().map(|case| text(&case["id"])).collect();
    for id in ends.chain(CHECKED_WITHOUT_DAEMON.iter().copied()) {
        assert!(cases.contains(&id), "{id}");
    }
}
