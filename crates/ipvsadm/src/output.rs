// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one way to stdout. Errors are kept until the end: a reader that has gone is no error.

use crate::failure::CODE_LIST;
use std::io::{self, BufWriter, ErrorKind, Write};

/// A buffered stdout that remembers its first error.
pub struct Output {
    writer: BufWriter<Box<dyn Write>>,
    error: Option<io::Error>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("error", &self.error).finish_non_exhaustive()
    }
}

impl Output {
    /// Writes to `writer`.
    pub fn new(writer: Box<dyn Write>) -> Self {
        Output { writer: BufWriter::new(writer), error: None }
    }

    /// Writes a text, unless an earlier one could not be written.
    pub fn write(&mut self, text: &str) {
        if self.error.is_none() {
            self.error = self.writer.write_all(text.as_bytes()).err();
        }
    }

    /// Writes what is buffered.
    pub fn flush(&mut self) {
        if self.error.is_none() {
            self.error = self.writer.flush().err();
        }
    }

    /// Writes the rest, and returns the exit code: the given one, or that of a failed write.
    pub fn finish(mut self, code: u8) -> u8 {
        self.flush();
        match self.error {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => {
                complain(format!("cannot write the output: {error}\n").as_bytes());
                if code == 0 { CODE_LIST } else { code }
            }
            _ => code,
        }
    }
}

/// Writes to stderr. If that fails there is nobody left to tell.
pub fn complain(text: &[u8]) {
    let _ = io::stderr().write_all(text);
}
