// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lines of a restore file.

use crate::Failure;
use crate::invocation::{Action, Invocation};
use crate::names::Names;
use crate::numbers::is_blank;
use crate::parse::parse_with;

/// One line that is a command, understood or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, counted from 1.
    pub number: usize,
    /// What it asks for.
    pub invocation: Result<Invocation, Failure>,
}

/// Reads a whole file. Lines after one that would end the run are not read.
pub fn parse(text: &[u8], names: &dyn Names) -> Vec<Line> {
    let mut lines = Vec::new();
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let Some(invocation) = parse_line(line, names) else { continue };
        let ends = invocation.as_ref().is_err_and(|failure| failure.ends_run);
        lines.push(Line { number: index + 1, invocation });
        if ends {
            break;
        }
    }
    lines
}

/// Reads one line; `None` if there is no command on it: it is blank or a comment.
///
/// Words are separated by blanks, nothing is quoted, and every word `ipvsadm` is dropped.
pub fn parse_line(line: &[u8], names: &dyn Names) -> Option<Result<Invocation, Failure>> {
    let words = line.split(|&byte| is_blank(byte)).filter(|word| !word.is_empty());
    let mut argv = vec![b"ipvsadm".to_vec()];
    for word in words {
        if argv.len() == 1 && word.starts_with(b"#") {
            return None;
        }
        // A word ends at a zero byte, as a C string does.
        let word = word.split(|&byte| byte == 0).next().unwrap_or_default();
        if word != b"ipvsadm" {
            argv.push(word.to_vec());
        }
    }
    if argv.len() == 1 {
        return None;
    }
    let invocation = parse_with(&argv, names, false);
    Some(invocation.and_then(refuse_nested))
}

/// A restore file can neither restore nor choose another daemon.
fn refuse_nested(invocation: Invocation) -> Result<Invocation, Failure> {
    if matches!(invocation.action, Action::Restore { .. }) {
        return Err(Failure::try_help(b"ipvsadm"));
    }
    if invocation.socket.is_some() {
        return Err(Failure::usage("Illegal 'socket' option in a restore file"));
    }
    Ok(invocation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::NoNames;

    #[test]
    fn comments_blank_lines_and_the_programs_name_are_skipped() {
        let text = b"# comment\n\n  \t# another\nipvsadm\nipvsadm -C ipvsadm\r\n-C";
        let lines = parse(text, &NoNames);
        let numbers: Vec<usize> = lines.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [5, 6]);
        for line in lines {
            assert_eq!(line.invocation.unwrap().action, Action::Flush);
        }
    }

    #[test]
    fn nothing_is_read_after_a_line_that_ends_the_run() {
        assert_eq!(parse(b"-C -n\n-C\n", &NoNames).len(), 1);
        assert_eq!(parse(b"-C --bogus\n-C\n", &NoNames).len(), 2);
        assert_eq!(parse(b"-R\n-C\n", &NoNames)[0].invocation.as_ref().unwrap_err().code, 255);
    }
}
