// SPDX-License-Identifier: MIT OR Apache-2.0
//! Clients that behave badly, many clients, and a second daemon.

use super::harness::{Daemon, options, tcp};
use dpvs::server;
use dpvs_api::{LINE_BYTES_MAX, Response};
use serde_json::json;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

const PING: &str = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"system.ping\"}\n";

fn answer(reader: &mut BufReader<UnixStream>) -> Response {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

#[test]
fn the_socket_is_for_owner_and_group_and_its_directory_is_made() {
    let daemon = Daemon::start(1);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&daemon.path), 0o660);
    assert_eq!(mode(daemon.path.parent().unwrap()), 0o755);
}

#[test]
fn a_second_daemon_is_refused_and_a_stale_socket_is_replaced() {
    let mut daemon = Daemon::start(1);
    let error = server::bind(&options(daemon.path.clone())).unwrap_err();
    assert!(error.to_string().contains("another dpvs listens on"), "{error}");
    daemon.client().ok("system.ping", json!({}));
    daemon.stop();
    // What a daemon that was killed leaves behind.
    drop(UnixListener::bind(&daemon.path).unwrap());
    drop(server::bind(&options(daemon.path.clone())).unwrap());
    // A live socket without a lock, as of another program.
    let other = UnixListener::bind(&daemon.path).unwrap();
    let error = server::bind(&options(daemon.path.clone())).unwrap_err();
    assert!(error.to_string().contains("another dpvs listens on"), "{error}");
    drop(other);
    fs::remove_file(&daemon.path).unwrap();
    fs::write(&daemon.path, "precious").unwrap();
    let error = server::bind(&options(daemon.path.clone())).unwrap_err();
    assert!(error.to_string().contains("is no socket"), "{error}");
    assert_eq!(fs::read(&daemon.path).unwrap(), b"precious");
}

#[test]
fn garbage_is_answered_and_the_connection_goes_on() {
    let daemon = Daemon::start(1);
    let mut stream = daemon.raw();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for (line, code) in [
        (&b"garbage\n"[..], -32700),
        (b"\xff\xfe\x00\n", -32700),
        (b"[]\n", -32600),
        (b"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"system.ping\"}\n", -32600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"no.such\"}\n", -32601),
    ] {
        stream.write_all(line).unwrap();
        assert_eq!(answer(&mut reader).error.unwrap().code, code);
    }
    let deep = format!("{}\n", "[".repeat(100_000));
    stream.write_all(deep.as_bytes()).unwrap();
    assert_eq!(answer(&mut reader).error.unwrap().code, -32700);
    stream.write_all(b"\n  \n").unwrap();
    stream.write_all(PING.as_bytes()).unwrap();
    assert!(answer(&mut reader).error.is_none());
}

#[test]
fn a_line_that_is_too_long_is_answered_and_skipped() {
    let daemon = Daemon::start(1);
    let mut stream = daemon.raw();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut long = vec![b'x'; 3 * LINE_BYTES_MAX];
    long.push(b'\n');
    long.extend_from_slice(PING.as_bytes());
    let writer = std::thread::spawn(move || stream.write_all(&long));
    assert_eq!(answer(&mut reader).error.unwrap().code, -32600);
    assert!(answer(&mut reader).error.is_none());
    writer.join().unwrap().unwrap();
}

#[test]
fn pipelined_requests_batches_and_notifications_are_answered_in_order() {
    let daemon = Daemon::start(1);
    let mut stream = daemon.raw();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    // Notifications are carried out and not answered.
    let add =
        json!({ "jsonrpc": "2.0", "method": "service.add", "params": { "service": tcp(80) } });
    let one = |id| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"system.info\"}}\n");
    let mut text: String = (0..500).map(one).collect();
    let tail = format!("{add}\n[{add}, {add}]\n[{add}, 1, {}]\n", PING.trim());
    text.push_str(&tail);
    let writer = std::thread::spawn(move || {
        stream.write_all(text.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    });
    for id in 0..500 {
        assert_eq!(serde_json::to_value(answer(&mut reader).id).unwrap(), json!(id));
    }
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let batch: Vec<Response> = serde_json::from_str(&line).unwrap();
    assert_eq!(batch.len(), 2);
    assert!(batch[0].error.is_some() && batch[1].error.is_none());
    // The end of the input is the end of the connection, once all is answered.
    assert_eq!(reader.read_to_end(&mut Vec::new()).unwrap(), 0);
    writer.join().unwrap();
    assert_eq!(daemon.client().ok("system.info", json!({}))["generation"], 1);
}

#[test]
fn a_request_without_a_newline_at_the_end_is_answered() {
    let daemon = Daemon::start(1);
    let mut stream = daemon.raw();
    stream.write_all(PING.trim().as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("\"result\""), "{text}");
}

#[test]
fn clients_that_are_killed_in_the_middle_hurt_nobody() {
    let daemon = Daemon::start(2);
    for _ in 0..50 {
        let mut half = daemon.raw();
        half.write_all(&PING.as_bytes()[..20]).unwrap();
        drop(half);
        let mut gone = daemon.raw();
        gone.write_all(PING.repeat(50).as_bytes()).unwrap();
        drop(gone);
    }
    daemon.client().ok("system.ping", json!({}));
}

#[test]
fn thirty_two_clients_write_at_once() {
    let daemon = Daemon::start(2);
    let threads: Vec<_> = (0..32u16)
        .map(|client| {
            let mut api = daemon.client();
            std::thread::spawn(move || {
                for n in 0..20 {
                    let key = json!({ "service": tcp(1 + client * 20 + n) });
                    api.ok("service.add", key.clone());
                    api.ok("service.get", key);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let mut api = daemon.client();
    let page = api.ok("service.list", json!({}));
    assert_eq!(page["services"].as_array().unwrap().len(), 640);
    assert_eq!(page["generation"], 640);
}

#[test]
fn a_slow_reader_waits_alone_and_gets_everything_in_the_end() {
    let daemon = Daemon::start(1);
    let mut slow = daemon.raw();
    slow.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let describe = PING.replace("ping", "describe");
    // Asks for more than the daemon keeps for one client, and takes none of it.
    let mut asked = 0;
    while asked < 100_000 && slow.write_all(describe.as_bytes()).is_ok() {
        asked += 1;
    }
    assert!(asked < 100_000, "the daemon reads on without bound");
    let mut api = daemon.client();
    let start = Instant::now();
    for _ in 0..100 {
        api.ok("system.ping", json!({}));
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let mut reader = BufReader::new(slow);
    for _ in 0..50 {
        assert!(answer(&mut reader).error.is_none());
    }
}

#[test]
fn beyond_the_greatest_number_a_client_is_told_and_closed() {
    let daemon = Daemon::start(1);
    let mut clients: Vec<UnixStream> = (0..256).map(|_| daemon.raw()).collect();
    // The last one is served, so all of them have been let in.
    let last = clients.last_mut().unwrap();
    last.write_all(PING.as_bytes()).unwrap();
    let mut reader = BufReader::new(last.try_clone().unwrap());
    assert!(answer(&mut reader).error.is_none());
    let mut reader = BufReader::new(daemon.raw());
    let error = answer(&mut reader).error.unwrap();
    assert_eq!(error.data.name.as_deref(), Some("BUSY"));
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    clients.truncate(10);
    let start = Instant::now();
    loop {
        let mut stream = daemon.raw();
        if stream.write_all(PING.as_bytes()).is_ok() {
            let mut reader = BufReader::new(stream);
            if answer(&mut reader).error.is_none() {
                break;
            }
        }
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
