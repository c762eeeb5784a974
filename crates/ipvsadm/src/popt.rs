// SPDX-License-Identifier: MIT OR Apache-2.0
//! The argument scanner: the rules of libpopt, which scripts depend on without knowing it.
//!
//! A mandatory argument swallows the next word even if it starts with `-`; long names are not
//! abbreviated; short options bundle; words that are no options are set aside in order.

use crate::options::{Arg, COMMANDS, Id, OPTIONS, Opt};

/// One option with its argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Which option.
    pub id: Id,
    /// Its argument.
    pub value: Option<Vec<u8>>,
    /// The word of the command line that it was in.
    pub word: Vec<u8>,
}

/// What the scanner stopped at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanError {
    /// The word at fault.
    pub word: Vec<u8>,
    /// The text of libpopt.
    pub text: &'static str,
}

/// A scanned command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// The options in order, up to the error if there is one.
    pub tokens: Vec<Token>,
    /// The words that are no options, in order.
    pub positionals: Vec<Vec<u8>>,
    /// What ended the scan early.
    pub error: Option<ScanError>,
}

const UNKNOWN: &str = "unknown option";
const MISSING: &str = "missing argument";
const UNWANTED: &str = "option does not take an argument";
const BAD_NUMBER: &str = "invalid numeric value";
const BIG_NUMBER: &str = "number too large or too small";

/// Scans the words after the program's name.
///
/// `posix` stops at the first word that is no option, as `POSIXLY_CORRECT` asks of libpopt.
pub fn scan(words: &[Vec<u8>], posix: bool) -> Scan {
    let mut scanner = Scanner { words, next: 0, scan: Scan::default() };
    if let Err(error) = scanner.run(posix) {
        scanner.scan.error = Some(error);
    }
    scanner.scan
}

struct Scanner<'a> {
    words: &'a [Vec<u8>],
    next: usize,
    scan: Scan,
}

impl<'a> Scanner<'a> {
    fn run(&mut self, posix: bool) -> Result<(), ScanError> {
        while let Some(word) = self.take() {
            match word {
                b"--" => self.leave_rest(),
                [b'-', b'-', name @ ..] => self.long(word, name)?,
                [b'-', bundle @ ..] if !bundle.is_empty() => self.bundle(word, bundle)?,
                _ => {
                    self.scan.positionals.push(word.to_vec());
                    if posix {
                        self.leave_rest();
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Option<&'a [u8]> {
        let word = self.words.get(self.next)?;
        self.next += 1;
        Some(word)
    }

    /// Sets all words that are left aside.
    fn leave_rest(&mut self) {
        let rest = self.words.get(self.next..).unwrap_or_default();
        self.scan.positionals.extend_from_slice(rest);
        self.next = self.words.len();
    }

    fn long(&mut self, word: &[u8], text: &'a [u8]) -> Result<(), ScanError> {
        let (name, attached) = match text.iter().position(|&byte| byte == b'=') {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let found = all_options().find(|opt| !opt.long.is_empty() && opt.long.as_bytes() == name);
        let opt = found.ok_or_else(|| error(word, UNKNOWN))?;
        if opt.arg == Arg::None && attached.is_some() {
            return Err(error(word, UNWANTED));
        }
        self.push(opt, word, attached)
    }

    /// Scans `-abc`. An option with an argument takes the rest; one `=` after a letter is skipped.
    fn bundle(&mut self, word: &[u8], bundle: &'a [u8]) -> Result<(), ScanError> {
        let mut rest = Some(bundle);
        while let Some(bundle) = rest {
            // `-n=` leaves an empty rest behind, in which no letter is known.
            let (letter, after) = bundle.split_first().ok_or_else(|| error(word, UNKNOWN))?;
            let skipped = after.strip_prefix(b"=").unwrap_or(after);
            rest = (!after.is_empty()).then_some(skipped);
            let opt = self.by_letter(*letter).ok_or_else(|| error(word, UNKNOWN))?;
            let attached = if opt.arg == Arg::None { None } else { rest.take() };
            self.push(opt, word, attached)?;
        }
        Ok(())
    }

    /// Finds a letter's option. `-b` is a list of scheduler flags with -A and -E, full NAT elsewhere.
    fn by_letter(&self, letter: u8) -> Option<&'static Opt> {
        let command = self.scan.tokens.first().map(|token| token.id);
        let takes_flags = matches!(command, Some(Id::AddService | Id::EditService));
        let unwanted = if takes_flags { Id::Fullnat } else { Id::SchedFlags };
        // A negative number after --set is an unknown option, not an ICMPv6 service.
        if command == Some(Id::Set) && letter == b'1' {
            return None;
        }
        all_options().find(|opt| opt.short == letter && letter != 0 && opt.id != unwanted)
    }

    fn push(&mut self, opt: &Opt, word: &[u8], attached: Option<&[u8]>) -> Result<(), ScanError> {
        let value = match (opt.arg, attached) {
            (Arg::None, _) => None,
            (_, Some(attached)) => Some(attached.to_vec()),
            (Arg::Optional, None) => match self.words.get(self.next) {
                Some(next) if !next.starts_with(b"-") => self.take().map(<[u8]>::to_vec),
                _ => None,
            },
            (Arg::Required | Arg::Integer, None) => {
                Some(self.take().ok_or_else(|| error(word, MISSING))?.to_vec())
            }
        };
        if let (Arg::Integer, Some(value)) = (opt.arg, &value) {
            parse_c_integer(value).map_err(|text| error(value, text))?;
        }
        self.scan.tokens.push(Token { id: opt.id, value, word: word.to_vec() });
        Ok(())
    }
}

fn all_options() -> impl Iterator<Item = &'static Opt> {
    COMMANDS.iter().chain(OPTIONS)
}

fn error(word: &[u8], text: &'static str) -> ScanError {
    ScanError { word: word.to_vec(), text }
}

/// Reads an integer with the prefixes of C: `0x10`, `010`, `16`.
///
/// # Errors
/// The text of libpopt.
pub fn parse_c_integer(text: &[u8]) -> Result<i32, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| BAD_NUMBER)?;
    let text = text.trim_start_matches(|c: char| c.is_ascii_whitespace());
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(BAD_NUMBER);
    }
    let magnitude = i64::from_str_radix(digits, radix).map_err(|_| BIG_NUMBER)?;
    i32::try_from(if negative { -magnitude } else { magnitude }).map_err(|_| BIG_NUMBER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    fn summary(line: &str) -> Vec<(Id, Option<String>)> {
        let scan = scan(&words(line), false);
        let text = |value: Vec<u8>| String::from_utf8(value).unwrap();
        scan.tokens.into_iter().map(|token| (token.id, token.value.map(text))).collect()
    }

    #[test]
    fn a_bundle_ends_with_the_option_that_takes_the_rest() {
        assert_eq!(
            summary("-Lnt x"),
            [(Id::List, None), (Id::Numeric, None), (Id::TcpService, Some("x".to_owned())),]
        );
        assert_eq!(
            summary("-A -p=300 -t1:2"),
            [
                (Id::AddService, None),
                (Id::Persistent, Some("300".to_owned())),
                (Id::TcpService, Some("1:2".to_owned())),
            ]
        );
    }

    #[test]
    fn a_mandatory_argument_swallows_an_option_and_an_optional_one_does_not() {
        assert_eq!(summary("-A -t -s rr")[1], (Id::TcpService, Some("-s".to_owned())));
        assert_eq!(summary("-A -p -s rr")[1], (Id::Persistent, None));
        assert_eq!(summary("-A --persistent=")[1], (Id::Persistent, Some(String::new())));
    }

    #[test]
    fn b_is_a_list_for_services_and_full_nat_for_servers() {
        assert_eq!(summary("-A -b sh-port")[1], (Id::SchedFlags, Some("sh-port".to_owned())));
        assert_eq!(summary("-a -b -w 1")[1], (Id::Fullnat, None));
    }

    #[test]
    fn errors_name_the_whole_word() {
        for (line, word, text) in [
            ("-L --numeric=1", "--numeric=1", UNWANTED),
            ("-LnT", "-LnT", UNKNOWN),
            ("-L --lis", "--lis", UNKNOWN),
            ("-A -t", "-t", MISSING),
            ("-L -n=", "-n=", UNKNOWN),
            ("-A --conn-timeout 3x", "3x", BAD_NUMBER),
        ] {
            let found = scan(&words(line), false).error.unwrap();
            assert_eq!((found.word.as_slice(), found.text), (word.as_bytes(), text), "{line}");
        }
    }

    #[test]
    fn words_after_two_dashes_and_posixly_correct_are_positional() {
        assert_eq!(scan(&words("-L -- -n -"), false).positionals, words("-n -"));
        let posix = scan(&words("-L foo -n"), true);
        assert_eq!((posix.tokens.len(), posix.positionals), (1, words("foo -n")));
    }

    #[test]
    fn integers_have_the_prefixes_of_c() {
        assert_eq!(parse_c_integer(b"0x10"), Ok(16));
        assert_eq!(parse_c_integer(b"010"), Ok(8));
        assert_eq!(parse_c_integer(b"-1"), Ok(-1));
        assert_eq!(parse_c_integer(b"0"), Ok(0));
        assert_eq!(parse_c_integer(b"4294967296"), Err(BIG_NUMBER));
        assert_eq!(parse_c_integer(b""), Err(BAD_NUMBER));
    }
}
