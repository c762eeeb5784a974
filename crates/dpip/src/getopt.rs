// SPDX-License-Identifier: MIT OR Apache-2.0
//! `getopt_long` as glibc behaves: words are permuted, long names may be abbreviated.
//!
//! Scripts depend on options standing anywhere and on the messages' wording. Not read from the
//! environment: `POSIXLY_CORRECT`, so that parsing is a function of its arguments alone.

/// One option. Those without a letter are additions of this program.
#[derive(Clone, Copy, Debug)]
pub struct Spec<T> {
    /// The letter, if it has one.
    pub short: Option<u8>,
    /// The long name, if it has one.
    pub long: Option<&'static str>,
    /// Whether a value must follow.
    pub takes_value: bool,
    /// What it means.
    pub id: T,
}

/// One step of the scan.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<T> {
    /// An option, with its value if it takes one.
    Option(T, Vec<u8>),
    /// A word that is no option, with glibc's message.
    Wrong(String),
}

/// A scan over `argv`, whose first word is the program's name.
#[derive(Debug)]
pub(crate) struct Scan<'t, T> {
    table: &'t [Spec<T>],
    argv: Vec<Vec<u8>>,
    /// The next word to look at.
    index: usize,
    /// Words seen that are no options: `argv[skipped.0..skipped.1]`.
    skipped: (usize, usize),
    /// What is left of a cluster of letters.
    cluster: Vec<u8>,
}

impl<'t, T: Copy + PartialEq> Scan<'t, T> {
    /// Starts a scan.
    pub(crate) fn new(table: &'t [Spec<T>], argv: Vec<Vec<u8>>) -> Self {
        Scan { table, argv, index: 1, skipped: (1, 1), cluster: Vec::new() }
    }

    /// Returns the word that the C program calls `argv[optind]`: the next one to be looked at.
    pub(crate) fn next_word(&self) -> Option<&[u8]> {
        self.argv.get(self.index).map(Vec::as_slice)
    }

    /// Returns the words that are no options, once the scan has ended.
    pub(crate) fn into_words(mut self) -> Vec<Vec<u8>> {
        let start = self.index.min(self.argv.len());
        self.argv.split_off(start)
    }

    /// Returns the next option; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Found<T>> {
        if !self.cluster.is_empty() {
            return Some(self.letter());
        }
        self.permute();
        while self.argv.get(self.index).is_some_and(|word| !is_option(word)) {
            self.index += 1;
        }
        self.skipped.1 = self.index;
        let Some(word) = self.argv.get(self.index).cloned() else {
            return self.end();
        };
        if word == b"--" {
            self.index += 1;
            self.permute();
            self.skipped.1 = self.argv.len();
            self.index = self.argv.len();
            return self.end();
        }
        if let Some(name) = word.strip_prefix(b"--") {
            self.index += 1;
            return Some(self.long(name));
        }
        self.cluster = word.get(1..).unwrap_or_default().to_vec();
        Some(self.letter())
    }

    /// Moves the options seen since the last call before the words skipped until then.
    fn permute(&mut self) {
        let (first, last) = self.skipped;
        if first == last {
            self.skipped = (self.index, self.index);
        } else if last != self.index {
            if let Some(range) = self.argv.get_mut(first..self.index) {
                range.rotate_left(last - first);
            }
            self.skipped = (first + self.index - last, self.index);
        }
    }

    fn end(&mut self) -> Option<Found<T>> {
        if self.skipped.0 != self.skipped.1 {
            self.index = self.skipped.0;
            self.skipped.1 = self.skipped.0;
        }
        None
    }

    fn letter(&mut self) -> Found<T> {
        let letter = self.cluster.remove(0);
        if self.cluster.is_empty() {
            self.index += 1;
        }
        let Some(spec) = self.table.iter().find(|spec| spec.short == Some(letter)) else {
            let shown = String::from_utf8_lossy(&[letter]).into_owned();
            return Found::Wrong(format!("invalid option -- '{shown}'"));
        };
        if !spec.takes_value {
            return Found::Option(spec.id, Vec::new());
        }
        if !self.cluster.is_empty() {
            self.index += 1;
            return Found::Option(spec.id, std::mem::take(&mut self.cluster));
        }
        let shown = char::from(letter);
        self.value(spec.id)
            .unwrap_or_else(|| Found::Wrong(format!("option requires an argument -- '{shown}'")))
    }

    fn long(&mut self, text: &[u8]) -> Found<T> {
        let (name, value) = match text.iter().position(|byte| *byte == b'=') {
            Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
            None => (text, None),
        };
        let shown = String::from_utf8_lossy(text);
        let spec = match self.find_long(name) {
            Ok(Some(spec)) => spec,
            Ok(None) => return Found::Wrong(format!("unrecognized option '--{shown}'")),
            Err(names) => {
                let text = format!("option '--{shown}' is ambiguous; possibilities:{names}");
                return Found::Wrong(text);
            }
        };
        let full = spec.long.unwrap_or_default();
        match (spec.takes_value, value) {
            (true, Some(value)) => Found::Option(spec.id, value.to_vec()),
            (true, None) => self
                .value(spec.id)
                .unwrap_or_else(|| Found::Wrong(format!("option '--{full}' requires an argument"))),
            (false, None) => Found::Option(spec.id, Vec::new()),
            (false, Some(_)) => {
                Found::Wrong(format!("option '--{full}' doesn't allow an argument"))
            }
        }
    }

    /// Takes the next word as a value.
    fn value(&mut self, id: T) -> Option<Found<T>> {
        let value = self.argv.get(self.index).cloned()?;
        self.index += 1;
        Some(Found::Option(id, value))
    }

    /// Finds a long name, or the only meaning that it abbreviates.
    ///
    /// An addition never makes an abbreviation of an older name ambiguous: `--s` stays `--stats`
    /// beside `--socket`.
    fn find_long(&self, name: &[u8]) -> Result<Option<Spec<T>>, String> {
        let long = |spec: &&Spec<T>| spec.long.unwrap_or_default().as_bytes();
        let named = || self.table.iter().filter(|spec| spec.long.is_some());
        if let Some(exact) = named().find(|spec| long(spec) == name) {
            return Ok(Some(*exact));
        }
        for is_addition in [false, true] {
            let mut matches = named()
                .filter(|spec| spec.short.is_none() == is_addition && long(spec).starts_with(name));
            let Some(first) = matches.next() else { continue };
            let others: Vec<&Spec<T>> = matches.collect();
            if others.iter().all(|other| other.id == first.id) {
                return Ok(Some(*first));
            }
            let names = std::iter::once(first).chain(others);
            return Err(names.fold(String::new(), |text, spec| {
                text + " '--" + spec.long.unwrap_or_default() + "'"
            }));
        }
        Ok(None)
    }
}

/// Tells an option from a word; a lone `-` is a word.
fn is_option(word: &[u8]) -> bool {
    word.first() == Some(&b'-') && word.len() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Spec<char>] = &[
        Spec { short: Some(b'v'), long: Some("verbose"), takes_value: false, id: 'v' },
        Spec { short: Some(b'V'), long: Some("version"), takes_value: false, id: 'V' },
        Spec { short: Some(b's'), long: Some("stats"), takes_value: false, id: 's' },
        Spec { short: Some(b's'), long: Some("statistics"), takes_value: false, id: 's' },
        Spec { short: Some(b'i'), long: Some("interval"), takes_value: true, id: 'i' },
        Spec { short: None, long: Some("socket"), takes_value: true, id: 'S' },
    ];

    /// Scans a line; returns the options, the words, or the message with what stands next.
    fn scan(line: &str) -> Result<(String, String), (String, String)> {
        let argv = line.split(' ').map(|w| w.as_bytes().to_vec()).collect();
        let mut scan = Scan::new(TABLE, argv);
        let mut options = String::new();
        while let Some(found) = scan.next() {
            match found {
                Found::Option(id, value) => {
                    options.push(id);
                    options.push_str(std::str::from_utf8(&value).unwrap());
                }
                Found::Wrong(text) => {
                    let next = scan.next_word().map_or("(null)".into(), String::from_utf8_lossy);
                    return Err((text, next.into_owned()));
                }
            }
        }
        let words: Vec<_> =
            scan.into_words().into_iter().map(|w| String::from_utf8(w).unwrap()).collect();
        Ok((options, words.join(" ")))
    }

    fn ok(line: &str) -> (String, String) {
        scan(line).unwrap()
    }

    #[test]
    fn options_may_stand_anywhere_and_words_keep_their_order() {
        let expected = ("vsi2".to_owned(), "link show dpdk0".to_owned());
        assert_eq!(ok("dpip -v link -s show -i 2 dpdk0"), expected);
        assert_eq!(ok("dpip link show dpdk0 -vsi2"), expected);
        assert_eq!(ok("dpip link -vs show dpdk0 --interval=2"), expected);
    }

    #[test]
    fn two_dashes_end_the_options() {
        assert_eq!(ok("dpip a -v -- -s b"), ("v".to_owned(), "a -s b".to_owned()));
        assert_eq!(ok("dpip -- -s"), (String::new(), "-s".to_owned()));
        assert_eq!(ok("dpip - -v"), ("v".to_owned(), "-".to_owned()));
    }

    #[test]
    fn long_names_may_be_abbreviated_while_unique() {
        assert_eq!(ok("dpip --verb --stat --inter 3").0, "vsi3");
        // Two names of one meaning are no ambiguity, nor is an addition beside an older name.
        assert_eq!(ok("dpip --s --so x").0, "sSx");
        let text = "option '--ver' is ambiguous; possibilities: '--verbose' '--version'";
        assert_eq!(scan("dpip --ver a").unwrap_err(), (text.to_owned(), "a".to_owned()));
    }

    #[test]
    fn messages_are_those_of_glibc() {
        for (line, text, next) in [
            ("dpip -x link", "invalid option -- 'x'", "link"),
            ("dpip link -x", "invalid option -- 'x'", "(null)"),
            ("dpip link -xv", "invalid option -- 'x'", "-xv"),
            ("dpip -i", "option requires an argument -- 'i'", "(null)"),
            ("dpip --interval", "option '--interval' requires an argument", "(null)"),
            ("dpip --nonsense=1 a", "unrecognized option '--nonsense=1'", "a"),
            ("dpip --verbose=1", "option '--verbose' doesn't allow an argument", "(null)"),
        ] {
            assert_eq!(scan(line).unwrap_err(), (text.to_owned(), next.to_owned()), "{line}");
        }
    }
}
