// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--batch FILE`: one command a line, over one connection.

use crate::cli::{Outcome, parse_on_top};
use crate::daemon::Daemon;
use crate::options::Options;
use crate::run::carry_out;
use crate::source;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

/// Longest line of a batch, so that a file that is no text ends early.
const LINE_BYTES_MAX: u64 = 1 << 16;

/// Carries out the commands of a file; `-` is standard input.
///
/// The options of the batch hold for every line, which may add its own. Returns 1 if a command
/// failed: the first one ends the batch unless `--keep-going` was given. Output that cannot be
/// written ends it too, and is told even if the reader just left: the rest has not been done.
pub(crate) fn run(
    options: &Options,
    path: &Path,
    daemon: &mut Daemon,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let name = source::name(path);
    let mut reader = match source::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) => {
            let _ = writeln!(err, "dpip: cannot open {name}: {error}");
            return 1;
        }
    };
    let mut code = 0;
    let mut number = 0_u64;
    loop {
        number += 1;
        let words = match read_line(&mut reader) {
            Ok(None) => return code,
            Ok(Some(line)) => split(&line),
            Err(error) => {
                let _ = writeln!(err, "dpip: {name}:{number}: {error}");
                return 1;
            }
        };
        let outcome = match words {
            Ok(words) if words.is_empty() => continue,
            Ok(words) => match command(options, words, daemon, out, err) {
                Ok(outcome) => outcome,
                Err(error) => {
                    let _ = writeln!(err, "dpip: {name}:{number}: write error: {error}");
                    return 1;
                }
            },
            Err(text) => Err(text),
        };
        let complaint = match outcome {
            Ok(0) => continue,
            Ok(_) => "the command failed",
            Err(text) => text,
        };
        code = 1;
        let _ = writeln!(err, "dpip: {name}:{number}: {complaint}");
        if !options.keep_going {
            return code;
        }
    }
}

/// Carries out one line; the inner error is why it is no command.
fn command(
    options: &Options,
    words: Vec<String>,
    daemon: &mut Daemon,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Result<u8, &'static str>> {
    let argv = std::iter::once("dpip".to_owned()).chain(words).map(OsString::from).collect();
    let parsed = parse_on_top(options, argv);
    if matches!(parsed.outcome, Outcome::Batch(..)) {
        return Ok(Err("a batch cannot hold a batch"));
    }
    carry_out(parsed, daemon, out, err).map(Ok)
}

fn read_line(reader: &mut dyn BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    reader.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    let is_whole = line.last() == Some(&b'\n') || reader.fill_buf()?.is_empty();
    if !is_whole {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the line is too long"));
    }
    let text = String::from_utf8(line);
    text.map(Some).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the line is no text"))
}

/// Splits a line into words as a shell does: blanks, quotes, backslashes, `#` before a comment.
fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', None | Some('"')) => {
                let next = letters.next().ok_or("a backslash at the end of the line")?;
                word.get_or_insert_default().push(next);
            }
            (letter, Some(end)) if letter == end => quote = None,
            ('\'' | '"', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            ('#', None) if word.is_none() => break,
            (letter, None) if letter.is_whitespace() => words.extend(word.take()),
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_split_as_in_a_shell() {
        for (line, words) in [
            ("addr  show\tdev dpdk0\r\n", vec!["addr", "show", "dev", "dpdk0"]),
            ("  # nothing\n", vec![]),
            ("link show # all\n", vec!["link", "show"]),
            ("a#b 'x y'\"z #\" ''\n", vec!["a#b", "x yz #", ""]),
            ("a\\ b\n", vec!["a b"]),
        ] {
            assert_eq!(split(line).unwrap(), words, "{line:?}");
        }
        assert!(split("a 'b\n").is_err());
    }
}
