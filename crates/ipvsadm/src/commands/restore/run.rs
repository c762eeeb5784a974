// SPDX-License-Identifier: MIT OR Apache-2.0
//! One run of `-R`: lines that only write are collected and sent many at a time.
//!
//! It looks as if each line was carried out before the next was read. Whatever shows the difference
//! waits for all that was collected: a listing, a message about a line, the end of the input, and an
//! input that has nothing more for now.

use super::cannot_read;
use super::input::Input;
use crate::Failure;
use crate::commands::{Operation, Session, Write, refusal, write_of};
use crate::invocation::{Action, Invocation};
use crate::output::complain;
use crate::restore::parse_line;
use dpvs_api::types::Written;
use dpvs_api::{Batch, ClientError};

/// What is under way, and what has come of the lines before.
#[derive(Debug, Default)]
pub(super) struct Run {
    batch: Batch,
    /// What is asked for by the batch.
    operations: Vec<Operation>,
    /// The same of the batch that the daemon carries out meanwhile.
    sent: Vec<Operation>,
    /// The exit code: that of the last line that failed.
    code: u8,
}

impl Run {
    /// Carries out all lines. An error ends the run and is still to be printed.
    pub(super) fn lines(
        mut self,
        session: &mut Session<'_>,
        input: &mut Input,
    ) -> Result<(), Failure> {
        loop {
            while let Some(line) = input.line() {
                if let Some(invocation) = parse_line(line, session.names)
                    && self.line(session, invocation)?
                {
                    return silent(self.code);
                }
            }
            if input.is_ended() {
                break;
            }
            if input.would_wait() {
                self.settle(session)?;
            }
            input.read().map_err(|error| cannot_read(&error))?;
        }
        self.settle(session)?;
        if self.code == 0 {
            // Also a run without lines tells whether there is a daemon.
            session.client()?;
        }
        silent(self.code)
    }

    /// Carries out a line, at once or later; returns whether the run ends with it.
    fn line(
        &mut self,
        session: &mut Session<'_>,
        invocation: Result<Invocation, Failure>,
    ) -> Result<bool, Failure> {
        let invocation = match invocation {
            Ok(invocation) => invocation,
            Err(failure) => {
                self.settle(session)?;
                return self.fail(failure).map(|()| false);
            }
        };
        // A warning comes before what its line does.
        if invocation.warnings.is_empty()
            && let Some(Ok(write)) = write_of(&invocation.action)
            && self.push(session, &write)?
        {
            return Ok(false);
        }
        self.settle(session)?;
        // Help and version end the program wherever they stand.
        let is_end = matches!(invocation.action, Action::Help { .. } | Action::Version);
        let outcome = session.execute(invocation);
        session.out.flush();
        match outcome {
            Ok(()) => Ok(is_end),
            Err(failure) => self.fail(failure).map(|()| false),
        }
    }

    /// Collects a write; returns false for one that fits into no batch.
    fn push(&mut self, session: &mut Session<'_>, write: &Write) -> Result<bool, Failure> {
        let mut outcome = self.batch.push(write.method, &write.params);
        if matches!(outcome, Ok(false)) {
            self.send(session)?;
            outcome = self.batch.push(write.method, &write.params);
        }
        let has_room = outcome.unwrap_or(false);
        if has_room {
            self.operations.push(write.operation);
        }
        Ok(has_room)
    }

    fn send(&mut self, session: &mut Session<'_>) -> Result<(), Failure> {
        self.receive(session)?;
        let batch = std::mem::take(&mut self.batch);
        self.sent = std::mem::take(&mut self.operations);
        session.client()?.send(batch).map_err(broken)
    }

    /// Waits for the batch that was sent, if one was, and prints what the daemon has refused of it.
    fn receive(&mut self, session: &mut Session<'_>) -> Result<(), Failure> {
        if self.sent.is_empty() {
            return Ok(());
        }
        let operations = std::mem::take(&mut self.sent);
        let outcomes = session.client()?.receive::<Written>().map_err(broken)?;
        for (operation, outcome) in operations.into_iter().zip(outcomes) {
            if let Err(error) = outcome {
                self.fail(refusal(operation, ClientError::Refused(error)))?;
            }
        }
        Ok(())
    }

    /// Waits until everything that was collected has been carried out.
    fn settle(&mut self, session: &mut Session<'_>) -> Result<(), Failure> {
        if !self.batch.is_empty() {
            self.send(session)?;
        }
        self.receive(session)
    }

    /// Prints why a line failed, unless the run ends with it.
    fn fail(&mut self, failure: Failure) -> Result<(), Failure> {
        if failure.ends_run {
            return Err(failure);
        }
        complain(&failure.message);
        self.code = failure.code;
        Ok(())
    }
}

/// Makes an exit code of failures that have been printed.
fn silent(code: u8) -> Result<(), Failure> {
    match code {
        0 => Ok(()),
        code => Err(Failure { message: Vec::new(), code, ends_run: true }),
    }
}

/// The failure of a connection that cannot be used any more.
fn broken(error: ClientError) -> Failure {
    Failure { ends_run: true, ..refusal(Operation::Flush, error) }
}
