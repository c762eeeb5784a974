// SPDX-License-Identifier: MIT OR Apache-2.0
//! One client: its socket, what it has sent, what it has not taken yet.

use super::authority::{Peer, Rights};
use super::batch::{Batch, error_line};
use super::input::{Input, Next};
use super::writes;
use crate::api::Session;
use crate::control::Control;
use dpvs_api::{ErrorCode, LINE_BYTES_MAX, RpcError, parse_line};
use nix::poll::PollFlags;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Bytes read from a client in one turn.
const READ_MAX: usize = 64 << 10;
/// While so much waits to be taken, a client's requests wait too.
const OUTPUT_MAX: usize = 1 << 20;
/// How long a client may be silent.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// How long a line may take to be completed, and an answer to be taken.
const STALL_MAX: Duration = Duration::from_secs(60);

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    peer: Peer,
    session: Session,
    input: Input,
    batch: Option<Batch>,
    output: Vec<u8>,
    written: usize,
    /// Nothing more comes from it.
    is_ended: bool,
    /// It is to be closed, once it has taken what there is.
    is_closing: bool,
    is_broken: bool,
    /// When it last sent or took something.
    active_at: Instant,
    /// Since when a line waits for its end.
    begun_at: Option<Instant>,
    /// Since when it has taken nothing of its output.
    stalled_at: Option<Instant>,
}

impl Client {
    pub(super) fn new(stream: UnixStream, peer: Peer, now: Instant) -> Self {
        Client {
            stream,
            peer,
            session: Session::default(),
            input: Input::default(),
            batch: None,
            output: Vec::new(),
            written: 0,
            is_ended: false,
            is_closing: false,
            is_broken: false,
            active_at: now,
            begun_at: None,
            stalled_at: None,
        }
    }

    /// Returns whether it may change anything.
    pub(super) fn is_writer(&self) -> bool {
        self.peer.rights == Rights::Write
    }

    /// Returns what to wait for.
    pub(super) fn events(&self) -> PollFlags {
        let mut events = PollFlags::empty();
        events.set(PollFlags::POLLIN, self.wants_input());
        events.set(PollFlags::POLLOUT, self.pending() > 0);
        events
    }

    fn pending(&self) -> usize {
        self.output.len() - self.written
    }

    fn wants_input(&self) -> bool {
        !self.is_ended
            && !self.is_closing
            && self.batch.is_none()
            && self.input.has_room()
            && self.pending() < OUTPUT_MAX
    }

    /// Reads some of what has come.
    pub(super) fn receive(&mut self, now: Instant, buffer: &mut [u8]) {
        if !self.wants_input() {
            return;
        }
        let len = buffer.len().min(READ_MAX);
        let Some(buffer) = buffer.get_mut(..len) else { return };
        match self.stream.read(buffer) {
            Ok(0) => self.is_ended = true,
            Ok(count) => {
                self.input.add(buffer.get(..count).unwrap_or_default());
                self.active_at = now;
            }
            Err(error) => self.note(&error),
        }
    }

    fn note(&mut self, error: &std::io::Error) {
        if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) {
            self.is_broken = true;
        }
    }

    /// Carries out one request, or some writes that go together; returns whether there may be more
    /// to do.
    pub(super) fn work(&mut self, control: &mut Control, now: Instant) -> bool {
        if self.is_broken || self.is_closing || self.pending() >= OUTPUT_MAX {
            return false;
        }
        if self.batch.is_none() && !self.take_line(now) {
            return false;
        }
        let Some(mut batch) = self.batch.take() else { return true };
        if batch.is_at_write() {
            writes::carry_out(control, self.peer, &mut batch);
        } else if let Some(request) = batch.next() {
            let call = |call| self.peer.call(control, &mut self.session, call);
            let outcome = request.call.and_then(call);
            if let Some(id) = request.id {
                batch.answer(id, outcome);
            }
        }
        if batch.is_done() {
            self.send(batch.into_line(), now);
        } else {
            self.batch = Some(batch);
        }
        true
    }

    /// Takes a line from the input; returns whether there was one.
    fn take_line(&mut self, now: Instant) -> bool {
        let Some(next) = self.input.next(self.is_ended) else {
            let begun_at = self.begun_at.unwrap_or(now);
            self.begun_at = (!self.input.is_empty()).then_some(begun_at);
            return false;
        };
        self.begun_at = None;
        match next {
            Next::Line(line) if line.trim_ascii().is_empty() => {}
            Next::Line(line) => match parse_line(&line) {
                Ok((requests, is_array)) => self.batch = Some(Batch::new(requests, is_array)),
                Err(error) => self.send(error_line(error), now),
            },
            Next::TooLong => {
                let text = format!("a line is at most {LINE_BYTES_MAX} bytes");
                let error = RpcError::new(ErrorCode::InvalidRequest, text);
                self.send(error_line(error), now);
            }
        }
        true
    }

    fn send(&mut self, line: Vec<u8>, now: Instant) {
        if self.pending() == 0 {
            self.output = line;
            self.written = 0;
            self.stalled_at = Some(now);
        } else {
            self.output.extend_from_slice(&line);
        }
        self.flush(now);
    }

    /// Writes what the client takes.
    pub(super) fn flush(&mut self, now: Instant) {
        while self.pending() > 0 {
            let rest = self.output.get(self.written..).unwrap_or_default();
            match self.stream.write(rest) {
                Ok(0) => break,
                Ok(count) => {
                    self.written += count;
                    self.active_at = now;
                    self.stalled_at = Some(now);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.note(&error);
                    return;
                }
            }
        }
        self.output = Vec::new();
        self.written = 0;
        self.stalled_at = None;
    }

    /// Returns whether it is to be forgotten; tells a client that is too slow why.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        let is_too_long = |since: Option<Instant>| {
            since.is_some_and(|since| now.saturating_duration_since(since) > STALL_MAX)
        };
        let is_done = self.batch.is_none() && self.pending() == 0;
        if self.is_broken || is_too_long(self.stalled_at) {
            return true;
        }
        if is_done && (self.is_closing || (self.is_ended && self.input.is_empty())) {
            return true;
        }
        if is_too_long(self.begun_at) && !self.is_closing {
            self.close_with("the line was not completed in time", now);
        }
        is_done && now.saturating_duration_since(self.active_at) > IDLE_MAX
    }

    /// Sends an error and closes once it is taken.
    fn close_with(&mut self, text: &str, now: Instant) {
        self.is_closing = true;
        self.send(error_line(RpcError::new(ErrorCode::InvalidRequest, text)), now);
    }

    /// Waits until the client has taken everything, but not longer than `deadline`.
    pub(super) fn finish(&mut self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        if self.pending() == 0 || left.is_zero() || self.stream.set_nonblocking(false).is_err() {
            return;
        }
        if self.stream.set_write_timeout(Some(left)).is_ok() {
            self.flush(Instant::now());
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
