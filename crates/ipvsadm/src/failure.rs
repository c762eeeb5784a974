// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a command fails: the exact bytes for stderr and the exit code.

/// Exit code of a wrong command line, and of a daemon that cannot be reached.
pub(crate) const CODE_USAGE: u8 = 2;
/// Exit code of a refused operation and of an unparsable option.
pub(crate) const CODE_REFUSED: u8 = 255;
/// Exit code of a listing that could not be made.
pub(crate) const CODE_LIST: u8 = 1;

/// Why a command line or an operation came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What goes to stderr, newline included. Words of the command line are in it as they came.
    pub message: Vec<u8>,
    /// The exit code.
    pub code: u8,
    /// Whether it ends a whole restore run, and not only the line.
    pub ends_run: bool,
}

impl Failure {
    /// Makes the failure of a wrong command line: exit code 2, and the end of a restore run.
    pub fn usage(text: &str) -> Self {
        Failure { message: line(&[text.as_bytes()]), code: CODE_USAGE, ends_run: true }
    }

    /// As [`Failure::usage`], with a quoted word of the command line between two texts.
    pub fn usage_quoting(before: &str, word: &[u8], after: &str) -> Self {
        let message = line(&[before.as_bytes(), word, after.as_bytes()]);
        Failure { message, code: CODE_USAGE, ends_run: true }
    }

    /// Makes the failure of a command line that does not start with a command.
    pub fn try_help(program: &[u8]) -> Self {
        let parts: [&[u8]; 5] =
            [b"Try `", program, b" -h' or '", program, b" --help' for more information."];
        Failure { message: line(&parts), code: CODE_REFUSED, ends_run: true }
    }

    /// Makes the failure of an option that cannot be scanned. A restore run goes on after it.
    pub fn scan(word: &[u8], text: &str) -> Self {
        let message = line(&[word, b": ", text.as_bytes()]);
        Failure { message, code: CODE_REFUSED, ends_run: false }
    }

    /// Makes the failure of an operation that the daemon refused. A restore run goes on after it.
    pub fn refused(text: &str) -> Self {
        Failure { message: line(&[text.as_bytes()]), code: CODE_REFUSED, ends_run: false }
    }

    /// Makes the failure of a listing. A restore run goes on after it.
    pub fn listing(text: &str) -> Self {
        Failure { message: line(&[text.as_bytes()]), code: CODE_LIST, ends_run: false }
    }

    /// Puts the number of a restore file's line before the message.
    #[must_use]
    pub fn at_line(mut self, number: usize) -> Self {
        let mut message = format!("line {number}: ").into_bytes();
        message.append(&mut self.message);
        self.message = message;
        self
    }
}

fn line(parts: &[&[u8]]) -> Vec<u8> {
    let mut message = parts.concat();
    message.push(b'\n');
    message
}
