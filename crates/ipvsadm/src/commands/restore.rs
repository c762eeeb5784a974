// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carrying out the commands on stdin: line by line, or all of them or none.

mod input;
mod run;

use super::{Operation, Session, Write, refusal, write_of};
use crate::Failure;
use crate::failure::CODE_USAGE;
use crate::invocation::Action;
use crate::restore;
use dpvs_api::types::{TransactionSpec, WriteSpec};
use dpvs_api::{ClientError, LINE_BYTES_MAX, method};
use input::Input;
use run::Run;
use std::io::{self, Read};

/// Room in the transaction's line for what is around the writes.
const ENVELOPE_BYTES: usize = 256;

fn cannot_read(error: &io::Error) -> Failure {
    Failure { ends_run: true, ..Failure::usage(&format!("cannot read the input: {error}")) }
}

/// Carries out one command a line. A refused one is printed and the next tried; a wrong command
/// line ends the run. The exit code is 0 only if every line was carried out.
pub(super) fn restore(session: &mut Session<'_>) -> Result<(), Failure> {
    let mut input = Input::stdin().map_err(|error| cannot_read(&error))?;
    Run::default().lines(session, &mut input)
}

/// Carries out all lines in one transaction, or none. Errors name the line.
pub(super) fn restore_atomic(session: &mut Session<'_>) -> Result<(), Failure> {
    let mut text = Vec::new();
    io::stdin().lock().read_to_end(&mut text).map_err(|error| cannot_read(&error))?;
    let mut numbers = Vec::new();
    let mut writes = Vec::new();
    for line in restore::parse(&text, session.names) {
        let write = line.invocation.and_then(|invocation| transactional(&invocation.action));
        writes.push(write.map_err(|failure| failure.at_line(line.number))?);
        numbers.push(line.number);
    }
    if writes.is_empty() {
        return session.client().map(drop);
    }
    let operations: Vec<Operation> = writes.iter().map(|write| write.operation).collect();
    let spec = transaction(writes)?;
    let outcome = session.client()?.call::<method::Transaction>(&spec);
    outcome.map(drop).map_err(|error| {
        let index = match &error {
            ClientError::Refused(error) => error.data.index,
            _ => None,
        };
        let place = index.and_then(|index| Some((*operations.get(index)?, *numbers.get(index)?)));
        match place {
            Some((operation, number)) => refusal(operation, error).at_line(number),
            None => refusal(Operation::Flush, error),
        }
    })
}

fn transactional(action: &Action) -> Result<Write, Failure> {
    match write_of(action) {
        Some(Ok(write)) if write.transactional => Ok(write),
        Some(Err(failure)) => Err(failure),
        _ => Err(Failure::usage("this command cannot be part of an atomic restore")),
    }
}

fn transaction(writes: Vec<Write>) -> Result<TransactionSpec, Failure> {
    let to_spec =
        |write: Write| WriteSpec { method: write.method.to_owned(), params: write.params };
    let writes = writes.into_iter().map(to_spec).collect();
    let spec = TransactionSpec { writes, generation: None };
    let length = serde_json::to_vec(&spec).map_or(usize::MAX, |text| text.len());
    if length > LINE_BYTES_MAX - ENVELOPE_BYTES {
        let text = format!(
            "the input is too large for one transaction: {length} bytes, at most {LINE_BYTES_MAX}"
        );
        return Err(Failure { code: CODE_USAGE, ..Failure::refused(&text) });
    }
    Ok(spec)
}
