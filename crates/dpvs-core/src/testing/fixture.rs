// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files of literal frames: what comes in, and what must come out.
//!
//! ```text
//! case NAME
//! in  0200 0000 41*1448
//! out 0200
//! ```
//! `41*1448` is a byte many times. A frame goes on in the lines after its first; a case has one frame
//! that comes in and one or more that come out, and ends with an empty line.

/// The text of a file of frames.
#[derive(Clone, Copy, Debug)]
pub struct Fixtures(pub &'static str);

impl Fixtures {
    /// Returns the names of all cases.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.0.lines().filter_map(|line| line.strip_prefix("case "))
    }

    /// Returns the frame of a case that comes in, and those that must come out.
    ///
    /// # Panics
    /// If there is no such case.
    pub fn frames(self, name: &str) -> (Vec<u8>, Vec<Vec<u8>>) {
        let start = self.0.find(&format!("\ncase {name}\n")).expect("a case of this name");
        let text = &self.0[start + 1..];
        let text = &text[..text.find("\n\n").unwrap_or(text.len())];
        let mut parts = text.split("\nout ");
        let before = parts.next().expect("the case's first lines");
        let (_, input) = before.split_once("\nin ").expect("a frame that comes in");
        (hex(input), parts.map(hex).collect())
    }
}

fn hex(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A line may end within a word, but not within a byte.
    for word in text.split_ascii_whitespace() {
        let (digits, times) = match word.split_once('*') {
            Some((byte, times)) => (byte, times.parse().unwrap()),
            None => (word, 1),
        };
        let pair = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("two digits");
        let part: Vec<u8> = (0..digits.len()).step_by(2).map(pair).collect();
        bytes.extend(part.repeat(times));
    }
    bytes
}
