// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program as a process: its streams, its environment, and words that are no text.

#![allow(
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    reason = "the whole file is a test"
)]

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Output, Stdio};

fn ipvsadm(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipvsadm"));
    command.args(words).env_clear().env("DPVS_SOCKET", "/nonexistent/dpvs.sock");
    command.stdin(Stdio::null());
    command
}

fn outcome(output: &Output) -> (String, Option<i32>) {
    (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code())
}

#[test]
fn a_full_disk_is_an_error_with_a_message() {
    for words in [["-h"], ["-v"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let child = ipvsadm(&words).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let (stderr, code) = outcome(&child.wait_with_output().unwrap());
        assert_eq!(stderr, "cannot write the output: No space left on device (os error 28)\n");
        assert_eq!(code, Some(1));
    }
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = ipvsadm(&["-h"]).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(outcome(&child.wait_with_output().unwrap()), (String::new(), Some(0)));
}

#[test]
fn words_that_are_no_text_are_repeated_as_they_came() {
    let output = ipvsadm(&["-A", "-p"]).arg(OsStr::from_bytes(b"\xff\xfe")).output().unwrap();
    assert_eq!(output.stderr, b"invalid timeout value `\xff\xfe' specified\n");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_socket_of_the_command_line_is_the_one_that_is_named() {
    let output = ipvsadm(&["-C", "--socket", "/nonexistent/other.sock"]).output().unwrap();
    let (stderr, code) = outcome(&output);
    assert!(stderr.starts_with("dpvs is not running: cannot connect to /nonexistent/other.sock"));
    assert_eq!((stderr.lines().count(), code), (1, Some(2)));
}

#[test]
fn a_format_that_does_not_exist_is_refused_wherever_it_comes_from() {
    let output = ipvsadm(&["-L"]).env("IPVSADM_FORMAT", "xml").output().unwrap();
    assert_eq!(
        outcome(&output),
        ("invalid format `IPVSADM_FORMAT=xml' specified\n".to_owned(), Some(2))
    );
    let output = ipvsadm(&["-L", "--format", "xml"]).output().unwrap();
    assert_eq!(outcome(&output), ("invalid format `xml' specified\n".to_owned(), Some(2)));
}

#[test]
fn posixly_correct_stops_at_the_first_word() {
    let output = ipvsadm(&["-L", "foo", "--bogus"]).env("POSIXLY_CORRECT", "1").output().unwrap();
    assert_eq!(outcome(&output), ("unexpected argument foo\n".to_owned(), Some(2)));
}

#[test]
fn an_empty_restore_still_needs_a_daemon_and_names_it() {
    for words in [&["-R"][..], &["-R", "--atomic"]] {
        let (stderr, code) = outcome(&ipvsadm(words).output().unwrap());
        assert!(stderr.starts_with("dpvs is not running"), "{stderr}");
        assert_eq!(code, Some(2));
    }
}
