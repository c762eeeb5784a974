// SPDX-License-Identifier: MIT OR Apache-2.0
//! `-R` against a daemon of a few lines: what is carried out, what is said, in which order.

#![allow(
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    reason = "the whole file is a test"
)]

use dpvs_api::types::Timeouts;
use dpvs_api::{Call, ErrorCode, RequestId, Response, RpcError, parse_line};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What the daemon has and has been asked.
#[derive(Default)]
struct Seen {
    /// Ports of the services that stand.
    services: BTreeSet<u64>,
    /// How many requests each line had.
    lines: Vec<usize>,
    /// Parts of transactions: how many writes, and whether more follow.
    parts: Vec<(usize, bool)>,
}

struct Toy {
    seen: Arc<Mutex<Seen>>,
    socket: PathBuf,
    _directory: TempDir,
}

impl Toy {
    /// A daemon that leaves after so many lines.
    fn leaving_after(lines: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("dpvs.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let theirs = Arc::clone(&seen);
        std::thread::spawn(move || serve(&listener.accept().unwrap().0, &theirs, lines));
        Toy { seen, socket, _directory: directory }
    }

    fn new() -> Self {
        Toy::leaving_after(usize::MAX)
    }

    fn services(&self) -> Vec<u64> {
        self.seen.lock().unwrap().services.iter().copied().collect()
    }

    fn spawn(&self, words: &[&str]) -> (Child, ChildStdin) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ipvsadm"));
        command.args(words).env_clear().env("DPVS_SOCKET", &self.socket);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        (child, stdin)
    }

    /// Runs it with a whole file on stdin; returns stdout, stderr and the exit code.
    fn run(&self, words: &[&str], text: &str) -> (String, String, i32) {
        let (child, mut stdin) = self.spawn(words);
        // The program may end before it has read everything.
        let _ = stdin.write_all(text.as_bytes());
        drop(stdin);
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(stdout), text(stderr), status.code().unwrap())
    }
}

fn serve(stream: &UnixStream, seen: &Mutex<Seen>, lines: usize) {
    let mut writer = stream.try_clone().unwrap();
    for line in BufReader::new(stream).lines().take(lines) {
        let Ok(line) = line else { return };
        let (requests, is_array) = parse_line(line.as_bytes()).unwrap();
        let mut seen = seen.lock().unwrap();
        seen.lines.push(requests.len());
        let answers: Vec<Response> = requests
            .into_iter()
            .map(|request| {
                let outcome = request.call.and_then(|call| carry_out(&mut seen, call));
                Response::new(request.id.unwrap_or(RequestId::Null), outcome)
            })
            .collect();
        let text = if is_array { json!(answers) } else { json!(answers[0]) };
        if writeln!(writer, "{text}").is_err() {
            return;
        }
    }
}

fn carry_out(seen: &mut Seen, call: Call) -> Result<Value, RpcError> {
    let refused = |code| Err(RpcError::new(code, "toy"));
    let port = |service| json!(service)["port"].as_u64().unwrap();
    match call {
        Call::ServiceAdd(spec) if !seen.services.insert(port(spec.service.clone())) => {
            refused(ErrorCode::Exist)
        }
        Call::ServiceDel(spec) if !seen.services.remove(&port(spec.service.clone())) => {
            refused(ErrorCode::NoService)
        }
        // A listing that tells how many services there are.
        Call::TimeoutGet(_) => {
            let tcp = u32::try_from(seen.services.len()).unwrap();
            Ok(json!(Timeouts { tcp, tcp_fin: 0, udp: 0, icmp: 0 }))
        }
        Call::Transaction(spec) => {
            let before: usize = seen.parts.iter().map(|part| part.0).sum();
            seen.parts.push((spec.writes.len(), spec.more));
            let bad = |write: &dpvs_api::types::WriteSpec| write.params.get().contains("192.0.2.1");
            match spec.writes.iter().position(bad) {
                Some(at) => Err(RpcError::new(ErrorCode::Exist, "toy").in_write(before + at)),
                None => Ok(json!({ "generation": 1 })),
            }
        }
        _ => Ok(json!({ "generation": 1 })),
    }
}

fn add(port: u64) -> String {
    format!("-A -t 10.0.0.1:{port} -s rr\n")
}

fn del(port: u64) -> String {
    format!("-D -t 10.0.0.1:{port}\n")
}

/// Waits until something is so.
#[track_caller]
fn wait_until(is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn refused_lines_are_told_in_order_and_the_rest_is_carried_out() {
    let toy = Toy::new();
    let text = [add(1), add(1), del(9), "-A --bogus\n".to_owned(), add(2), add(2), add(3)].concat();
    let (stdout, stderr, code) = toy.run(&["-R"], &text);
    assert_eq!(
        (stdout.as_str(), stderr.as_str(), code),
        (
            "",
            "Service already exists\nNo such service\n--bogus: unknown option\n\
             Service already exists\n",
            255
        )
    );
    assert_eq!(toy.services(), [1, 2, 3]);
}

#[test]
fn a_wrong_line_ends_the_run_once_the_lines_before_are_carried_out() {
    let toy = Toy::new();
    let text = [add(1), add(1), add(2), "-A -t x:y\n".to_owned(), add(3)].concat();
    let (_, stderr, code) = toy.run(&["-R"], &text);
    assert_eq!(stderr, "Service already exists\nillegal virtual server address[:port] specified\n");
    assert_eq!((toy.services(), code), (vec![1, 2], 2));
}

#[test]
fn help_ends_the_run_with_the_code_so_far() {
    let toy = Toy::new();
    let text = [add(1), add(1), "-h\n".to_owned(), add(2)].concat();
    let (stdout, stderr, code) = toy.run(&["-R"], &text);
    assert!(stdout.starts_with("ipvsadm"), "{stdout}");
    assert_eq!((stderr.as_str(), code), ("Service already exists\n", 255));
    assert_eq!(toy.services(), [1]);
}

#[test]
fn a_listing_shows_what_the_lines_before_it_did() {
    let toy = Toy::new();
    let list = "-L --timeout\n".to_owned();
    let text = [list.clone(), add(1), add(2), list.clone(), del(1), list].concat();
    let (stdout, stderr, code) = toy.run(&["-R"], &text);
    let counts: Vec<&str> = stdout.lines().map(|line| line.rsplit(' ').nth(2).unwrap()).collect();
    assert_eq!((counts, stderr.as_str(), code), (vec!["0", "2", "1"], "", 0));
}

#[test]
fn a_warning_comes_between_what_was_before_and_what_is_after() {
    let toy = Toy::new();
    let text = [add(1), add(1), "-D -t 10.0.0.1:8 --quic\n".to_owned(), add(1)].concat();
    let (_, stderr, _) = toy.run(&["-R"], &text);
    assert_eq!(
        stderr,
        "Service already exists\n\
         warning: 'quic' has no effect with the 'delete-service' command\nNo such service\n\
         Service already exists\n"
    );
}

#[test]
fn many_lines_go_out_in_few_batches() {
    let toy = Toy::new();
    let text: String = (1..=9000).map(add).collect();
    let (stdout, stderr, code) = toy.run(&["-R"], &text);
    assert_eq!((stdout.as_str(), stderr.as_str(), code), ("", "", 0));
    let seen = toy.seen.lock().unwrap();
    assert_eq!((seen.services.len(), seen.lines.iter().sum::<usize>()), (9000, 9000));
    // How many depends on how fast the pipe is filled.
    assert!(seen.lines.len() < 1000, "{:?}", seen.lines);
}

#[test]
fn a_line_is_carried_out_without_waiting_for_the_next() {
    let toy = Toy::new();
    let (mut child, mut stdin) = toy.spawn(&["-R"]);
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    stdin.write_all(add(1).as_bytes()).unwrap();
    wait_until(|| toy.services() == [1]);
    stdin.write_all((add(1) + &add(2) + "-D -t 10.0").as_bytes()).unwrap();
    let mut said = String::new();
    errors.read_line(&mut said).unwrap();
    assert_eq!(said, "Service already exists\n");
    wait_until(|| toy.services() == [1, 2]);
    stdin.write_all(b".0.1:1").unwrap();
    drop(stdin);
    errors.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(255));
    assert_eq!((toy.services(), said.lines().count()), (vec![2], 1));
}

#[test]
fn a_daemon_that_leaves_ends_the_run_with_one_message() {
    let toy = Toy::leaving_after(1);
    let text = [add(1), "-L --timeout\n".to_owned(), add(2), add(3)].concat();
    let (_, stderr, code) = toy.run(&["-R"], &text);
    assert!(stderr.starts_with("lost the connection to dpvs"), "{stderr}");
    assert_eq!((stderr.lines().count(), code), (1, 255));
}

#[test]
fn an_atomic_restore_of_any_length_is_one_transaction() {
    let toy = Toy::new();
    let mut text = String::new();
    for server in 0..20_000 {
        let (high, low) = (server / 250, server % 250);
        writeln!(text, "-a -t 10.0.0.1:80 -r 10.1.{high}.{low}:80 -b").unwrap();
    }
    let (stdout, stderr, code) = toy.run(&["-R", "--atomic"], &text);
    assert_eq!((stdout.as_str(), stderr.as_str(), code), ("", "", 0));
    let parts = std::mem::take(&mut toy.seen.lock().unwrap().parts);
    let (last, before) = parts.split_last().unwrap();
    assert!(parts.len() > 2 && !last.1 && before.iter().all(|part| part.1), "{parts:?}");
    assert_eq!(parts.iter().map(|part| part.0).sum::<usize>(), 20_000);
}

#[test]
fn a_refusal_in_a_later_part_names_its_line() {
    let toy = Toy::new();
    let mut text = "# the first line\n".to_owned();
    for server in 0..10_000 {
        let (high, low) = (server / 250, server % 250);
        writeln!(text, "-a -t 10.0.0.1:80 -r 10.1.{high}.{low}:80 -b").unwrap();
    }
    text.push_str("-a -t 10.0.0.1:80 -r 192.0.2.1:80 -b\n");
    let (_, stderr, code) = toy.run(&["-R", "--atomic"], &text);
    assert_eq!((stderr.as_str(), code), ("line 10002: Destination already exists\n", 255));
    assert!(toy.seen.lock().unwrap().parts.len() > 1);
}
