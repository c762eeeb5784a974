// SPDX-License-Identifier: MIT OR Apache-2.0
//! The line to one worker: commands there, one answer to each back, in order.
//!
//! A worker that misses a deadline is waited for only briefly until it has answered everything it
//! owes; answers that come too late are thrown away. So a worker that hangs costs each request a
//! few milliseconds, not seconds.

use super::WorkerHandle;
use dpvs_core::tables::Tables;
use dpvs_core::{Command, Event};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a worker is waited for that has missed a deadline before.
const LATE_TIMEOUT: Duration = Duration::from_millis(10);
/// Looks for an answer before the control thread sleeps between them: a busy worker answers within
/// a burst.
const YIELDS_MAX: u32 = 50;
/// Sleep between two looks.
const SLEEP: Duration = Duration::from_micros(50);

/// No answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Silent;

/// The control thread's end of one worker.
pub(super) struct Line {
    pub(super) worker: WorkerHandle,
    /// Answers that nobody waits for any more.
    owed: usize,
    /// The last command was given and its answer is waited for.
    is_asked: bool,
    /// It has not been given the tables in use, for want of room.
    is_behind: bool,
}

impl Line {
    pub(super) fn new(worker: WorkerHandle) -> Self {
        Line { worker, owed: 0, is_asked: false, is_behind: false }
    }

    /// Gives a command; [`Line::receive`] gets its answer.
    pub(super) fn send(&mut self, command: Command) {
        self.forget_late();
        self.is_asked = self.worker.commands.push(command).is_ok();
    }

    /// Gives new tables; the answer are the old ones.
    pub(super) fn install(&mut self, tables: &Arc<Tables>) {
        self.send(Command::Install(Arc::clone(tables)));
        self.is_behind = !self.is_asked;
    }

    /// Gives the tables in use to a worker that had no room for them.
    pub(super) fn catch_up(&mut self, tables: &Arc<Tables>) {
        self.forget_late();
        if self.is_behind && self.worker.commands.push(Command::Install(Arc::clone(tables))).is_ok()
        {
            self.is_behind = false;
            self.owed += 1;
        }
    }

    /// Waits for the answer to the last command.
    pub(super) fn receive(&mut self, deadline: Instant) -> Result<Event, Silent> {
        if !std::mem::take(&mut self.is_asked) {
            return Err(Silent);
        }
        let deadline =
            if self.owed > 0 { deadline.min(Instant::now() + LATE_TIMEOUT) } else { deadline };
        let mut looks = 0;
        loop {
            self.forget_late();
            if self.owed == 0
                && let Ok(event) = self.worker.events.pop()
            {
                return Ok(event);
            }
            if Instant::now() >= deadline || self.worker.events.is_abandoned() {
                self.owed += 1;
                return Err(Silent);
            }
            looks += 1;
            if looks < YIELDS_MAX { thread::yield_now() } else { thread::sleep(SLEEP) }
        }
    }

    /// Throws away answers that nobody waits for any more.
    fn forget_late(&mut self) {
        while self.owed > 0 && self.worker.events.pop().is_ok() {
            self.owed -= 1;
        }
    }

    /// Tells the worker to stop.
    pub(super) fn stop(&mut self) {
        self.forget_late();
        if self.worker.commands.push(Command::Stop).is_err() {
            tracing::warn!(cpu = self.worker.cpu, "a worker does not take the order to stop");
        }
    }
}
