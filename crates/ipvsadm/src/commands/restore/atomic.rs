// SPDX-License-Identifier: MIT OR Apache-2.0
//! One run of `-R --atomic`: all lines as one transaction, sent in as many parts as it takes.

use super::cannot_read;
use super::input::Input;
use crate::Failure;
use crate::commands::{Operation, Session, Write, refusal, write_of};
use crate::invocation::Action;
use crate::restore::parse_line;
use dpvs_api::types::{TransactionSpec, WriteSpec};
use dpvs_api::{ClientError, LINE_BYTES_MAX, method};

/// Room in a part's line for the writes and their parameters, without what is around them.
const PART_BYTES_MAX: usize = LINE_BYTES_MAX - 256;
/// Room for what is around the method and the parameters of a write.
const WRITE_BYTES: usize = 32;

/// The part that is being collected, and the lines of all parts.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    writes: Vec<WriteSpec>,
    bytes: usize,
    /// What each write is, and the number of its line.
    lines: Vec<(Operation, usize)>,
}

impl Transaction {
    /// Carries out all lines or none. Errors name the line.
    pub(super) fn lines(
        mut self,
        session: &mut Session<'_>,
        input: &mut Input,
    ) -> Result<(), Failure> {
        let mut number = 0;
        loop {
            while let Some(line) = input.line() {
                number += 1;
                let Some(invocation) = parse_line(line, session.names) else { continue };
                let write = invocation.and_then(|invocation| transactional(&invocation.action));
                let write = write.map_err(|failure| failure.at_line(number))?;
                self.add(session, number, write)?;
            }
            if input.is_ended() {
                break;
            }
            input.read().map_err(|error| cannot_read(&error))?;
        }
        if self.lines.is_empty() {
            // Also a run without lines tells whether there is a daemon.
            return session.client().map(drop);
        }
        self.send(session, false)
    }

    fn add(
        &mut self,
        session: &mut Session<'_>,
        number: usize,
        write: Write,
    ) -> Result<(), Failure> {
        let bytes = write.method.len() + write.params.get().len() + WRITE_BYTES;
        if bytes > PART_BYTES_MAX {
            return Err(Failure::usage("the command is too long").at_line(number));
        }
        if self.bytes + bytes > PART_BYTES_MAX {
            self.send(session, true)?;
        }
        self.bytes += bytes;
        self.lines.push((write.operation, number));
        self.writes.push(WriteSpec { method: write.method.to_owned(), params: write.params });
        Ok(())
    }

    /// Sends the part; nothing is changed before the last.
    fn send(&mut self, session: &mut Session<'_>, more: bool) -> Result<(), Failure> {
        self.bytes = 0;
        let writes = std::mem::take(&mut self.writes);
        let spec = TransactionSpec { writes, generation: None, more };
        let outcome = session.client()?.call::<method::Transaction>(&spec);
        outcome.map(drop).map_err(|error| {
            let index = match &error {
                ClientError::Refused(error) => error.data.index,
                _ => None,
            };
            match index.and_then(|index| self.lines.get(index)) {
                Some(&(operation, number)) => refusal(operation, error).at_line(number),
                None => refusal(Operation::Flush, error),
            }
        })
    }
}

fn transactional(action: &Action) -> Result<Write, Failure> {
    match write_of(action) {
        Some(Ok(write)) if write.transactional => Ok(write),
        Some(Err(failure)) => Err(failure),
        _ => Err(Failure::usage("this command cannot be part of an atomic restore")),
    }
}
