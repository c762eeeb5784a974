// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes of a client, cut into lines of bounded length.

use dpvs_api::LINE_BYTES_MAX;

/// What is next in the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A line without its end.
    Line(Vec<u8>),
    /// A line that is too long; the rest of it will be skipped.
    TooLong,
}

/// The bytes received and not yet used.
#[derive(Debug, Default)]
pub(super) struct Input {
    bytes: Vec<u8>,
    /// Where what is not yet used begins.
    start: usize,
    /// How far it has been searched for the end of a line.
    searched: usize,
    /// The end of a line that was too long is still to come.
    is_skipping: bool,
}

impl Input {
    /// Adds bytes.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns whether there is room for more.
    pub(super) fn has_room(&self) -> bool {
        self.len() <= LINE_BYTES_MAX
    }

    /// Returns whether a line has been begun, whether or not it is complete.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0 && !self.is_skipping
    }

    fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Takes the next line, if it is complete. With `is_ended` nothing more comes, and what is left
    /// is a line.
    pub(super) fn next(&mut self, is_ended: bool) -> Option<Next> {
        loop {
            let unsearched = self.bytes.get(self.searched..).unwrap_or_default();
            let found = unsearched.iter().position(|byte| *byte == b'\n');
            let end = found.map(|at| self.searched + at);
            let Some(end) = end else {
                self.searched = self.bytes.len();
                return self.without_end(is_ended);
            };
            let line = self.bytes.get(self.start..end).unwrap_or_default();
            let next =
                if line.len() < LINE_BYTES_MAX { Next::Line(line.to_vec()) } else { Next::TooLong };
            self.use_up_to(end + 1);
            if !std::mem::take(&mut self.is_skipping) {
                return Some(next);
            }
        }
    }

    fn without_end(&mut self, is_ended: bool) -> Option<Next> {
        let len = self.len();
        if self.is_skipping {
            self.use_up_to(self.bytes.len());
            self.is_skipping = !is_ended;
            return None;
        }
        if len >= LINE_BYTES_MAX {
            self.use_up_to(self.bytes.len());
            self.is_skipping = true;
            return Some(Next::TooLong);
        }
        if !is_ended || len == 0 {
            return None;
        }
        let line = self.bytes.get(self.start..).unwrap_or_default().to_vec();
        self.use_up_to(self.bytes.len());
        Some(Next::Line(line))
    }

    /// Moves on. The bytes in front are thrown away once they are the greater part, so that each
    /// byte is moved once on average.
    fn use_up_to(&mut self, at: usize) {
        self.start = at;
        if self.start >= self.bytes.len() {
            self.bytes.clear();
            // A client that was busy once does not keep its memory.
            self.bytes.shrink_to(64 << 10);
            self.start = 0;
        } else if self.start * 2 > self.bytes.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.searched = self.start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Next {
        Next::Line(text.as_bytes().to_vec())
    }

    #[test]
    fn lines_come_out_however_the_bytes_come_in() {
        let mut input = Input::default();
        for part in ["ab", "c\nd", "\n\nef"] {
            input.add(part.as_bytes());
        }
        assert_eq!(input.next(false), Some(line("abc")));
        assert_eq!(input.next(false), Some(line("d")));
        assert_eq!(input.next(false), Some(line("")));
        assert_eq!(input.next(false), None);
        assert!(!input.is_empty());
        assert_eq!(input.next(true), Some(line("ef")));
        assert_eq!(input.next(true), None);
        assert!(input.is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_is_told_once_and_the_next_one_is_read() {
        let mut input = Input::default();
        for _ in 0..20 {
            input.add(&b"x".repeat(1 << 16));
        }
        assert!(!input.has_room());
        assert_eq!(input.next(false), Some(Next::TooLong));
        assert_eq!(input.next(false), None);
        input.add(&b"y".repeat(1 << 16));
        assert_eq!(input.next(false), None);
        assert!(input.has_room());
        input.add(b"zz\nok\n");
        assert_eq!(input.next(false), Some(line("ok")));
    }
}
