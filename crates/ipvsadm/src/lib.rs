// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command `ipvsadm`: the command line of ipvsadm 1.31, with what DPVS added, for `dpvs`.
//!
//! A run is [`parse`] (argv to an [`Invocation`], no daemon needed), then
//! [`commands::Session::execute`] (calls of the control API), then [`render`] (replies to text).
#![forbid(unsafe_code)]

mod address;
mod checks;
pub mod commands;
mod echo;
mod failure;
pub mod help;
pub mod invocation;
mod legality;
mod listopts;
mod matchspec;
pub mod names;
mod numbers;
pub mod options;
pub mod output;
mod parse;
#[cfg(test)]
mod parse_tests;
pub mod popt;
pub mod render;
pub mod restore;
mod schedflags;

pub use failure::Failure;

use commands::Session;
use invocation::{Format, Invocation};
use names::{Names, NoNames, SystemNames};
use output::{Output, complain};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Names the format of listings where the command line does not.
const FORMAT_VARIABLE: &str = "IPVSADM_FORMAT";

/// Understands a command line whose first word is the program's name, without any system call:
/// names of hosts and services are not known.
///
/// # Errors
/// What goes to stderr, and the exit code.
pub fn parse(argv: &[Vec<u8>]) -> Result<Invocation, Failure> {
    parse::parse_with(argv, &NoNames, false)
}

/// As [`parse`], with names. `posix` stops at the first word that is no option.
///
/// # Errors
/// As [`parse`].
pub fn parse_with(argv: &[Vec<u8>], names: &dyn Names, posix: bool) -> Result<Invocation, Failure> {
    parse::parse_with(argv, names, posix)
}

/// Runs the program and returns its exit code.
pub fn run(argv: impl Iterator<Item = OsString>) -> u8 {
    let argv: Vec<Vec<u8>> = argv.map(OsStringExt::into_vec).collect();
    let names = SystemNames::default();
    let posix = std::env::var_os("POSIXLY_CORRECT").is_some();
    let outcome = default_format().and_then(|format| {
        let invocation = parse_with(&argv, &names, posix)?;
        let mut session = Session::new(&names, Output::new(Box::new(io::stdout())), format);
        let code = match session.execute(invocation) {
            Ok(()) => 0,
            Err(failure) => {
                // What was listed before comes first where both streams are one.
                session.out.flush();
                complain(&failure.message);
                failure.code
            }
        };
        Ok(session.out.finish(code))
    });
    outcome.unwrap_or_else(|failure: Failure| {
        complain(&failure.message);
        failure.code
    })
}

fn default_format() -> Result<Format, Failure> {
    match std::env::var_os(FORMAT_VARIABLE) {
        Some(name) if !name.is_empty() => {
            let bad = || {
                let before = format!("invalid format `{FORMAT_VARIABLE}=");
                Failure::usage_quoting(&before, name.as_bytes(), "' specified")
            };
            Format::from_name(name.as_bytes()).ok_or_else(bad)
        }
        _ => Ok(Format::Stock),
    }
}
