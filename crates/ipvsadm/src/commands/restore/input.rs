// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stdin by lines, for a reader that wants to know before it is made to wait.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;

/// Bytes read at once: what a pipe holds.
const READ_BYTES: usize = 64 << 10;

/// What is read of stdin and not yet used.
#[derive(Debug)]
pub(super) struct Input {
    file: File,
    bytes: Vec<u8>,
    /// Where what is not yet used begins.
    start: usize,
    /// How far it has been searched for the end of a line.
    searched: usize,
    is_ended: bool,
}

impl Input {
    /// Reads stdin.
    pub(super) fn stdin() -> io::Result<Self> {
        Ok(Input::new(File::from(io::stdin().as_fd().try_clone_to_owned()?)))
    }

    fn new(file: File) -> Self {
        Input { file, bytes: Vec::new(), start: 0, searched: 0, is_ended: false }
    }

    /// Takes the next line, without its end, of what has been read; `None` if there is no whole one.
    pub(super) fn line(&mut self) -> Option<&[u8]> {
        let unsearched = self.bytes.get(self.searched..).unwrap_or_default();
        let end = match unsearched.iter().position(|&byte| byte == b'\n') {
            Some(at) => self.searched + at,
            None if self.is_ended && self.start < self.bytes.len() => self.bytes.len(),
            None => {
                self.searched = self.bytes.len();
                return None;
            }
        };
        let start = self.start;
        self.start = (end + 1).min(self.bytes.len());
        self.searched = self.start;
        self.bytes.get(start..end)
    }

    /// Returns whether nothing more comes.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Returns whether [`Input::read`] would wait.
    pub(super) fn would_wait(&self) -> bool {
        let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
        // Where that cannot be told, it may.
        !poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// Reads some more, once all lines have been taken.
    pub(super) fn read(&mut self) -> io::Result<()> {
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        let len = self.bytes.len();
        self.bytes.resize(len + READ_BYTES, 0);
        let room = self.bytes.get_mut(len..).unwrap_or_default();
        let outcome = self.file.read(room);
        self.bytes.truncate(len + outcome.as_ref().map_or(0, |count| *count));
        match outcome {
            Ok(count) => self.is_ended = count == 0,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::OwnedFd;

    #[test]
    fn lines_come_out_as_they_come_in_and_waiting_is_told_before() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut input = Input::new(File::from(OwnedFd::from(reader)));
        assert!(input.line().is_none() && input.would_wait());
        writer.write_all(b"one\n\ntw").unwrap();
        assert!(!input.would_wait());
        input.read().unwrap();
        assert_eq!(input.line(), Some(&b"one"[..]));
        assert_eq!(input.line(), Some(&b""[..]));
        assert!(input.line().is_none() && input.would_wait() && !input.is_ended());
        writer.write_all(b"o\nthree").unwrap();
        drop(writer);
        input.read().unwrap();
        assert_eq!(input.line(), Some(&b"two"[..]));
        assert!(input.line().is_none());
        input.read().unwrap();
        assert!(input.is_ended());
        assert_eq!(input.line(), Some(&b"three"[..]));
        assert!(input.line().is_none());
    }
}
