// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carrying out the commands on stdin: line by line, or all of them or none.

mod atomic;
mod input;
mod run;

use super::Session;
use crate::Failure;
use atomic::Transaction;
use input::Input;
use run::Run;
use std::io;

/// Carries out one command a line. A refused one is printed and the next tried; a wrong command
/// line ends the run. The exit code is 0 only if every line was carried out.
pub(super) fn restore(session: &mut Session<'_>) -> Result<(), Failure> {
    let mut input = Input::stdin().map_err(|error| cannot_read(&error))?;
    Run::default().lines(session, &mut input)
}

/// Carries out all lines in one transaction, or none. Errors name the line.
pub(super) fn restore_atomic(session: &mut Session<'_>) -> Result<(), Failure> {
    let mut input = Input::stdin().map_err(|error| cannot_read(&error))?;
    Transaction::default().lines(session, &mut input)
}

fn cannot_read(error: &io::Error) -> Failure {
    Failure { ends_run: true, ..Failure::usage(&format!("cannot read the input: {error}")) }
}
