// SPDX-License-Identifier: MIT OR Apache-2.0
//! A manual page in the making.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

/// The day that the pages name: that of the last change of what they say.
const DATE: &str = "2026-11-25";

/// Longest line of a page's source.
const COLUMNS: usize = 80;
/// From here on a tag may be longer than that, with what makes it bold.
const TAG_COLUMNS: usize = 50;

/// What a table has and nobody has described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undescribed(pub String);

/// A page as it is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its name, without the section.
    pub name: String,
    /// Its section: `5` or `8`.
    pub section: &'static str,
    /// Its text in the language of man(7).
    pub text: String,
}

/// A page being written.
#[derive(Debug)]
pub(crate) struct Draft {
    name: String,
    section: &'static str,
    roff: Roff,
    /// What has been rendered before `roff`.
    done: Vec<u8>,
}

impl Draft {
    /// Starts a page with its title and name.
    pub(crate) fn new(name: &str, section: &'static str, purpose: &str) -> Self {
        let mut roff = Roff::new();
        let version = concat!("dpvs ", env!("CARGO_PKG_VERSION"));
        let title = name.to_uppercase();
        roff.control("TH", [title.as_str(), section, DATE, version, "dpvs"]);
        let mut draft = Draft { name: name.to_owned(), section, roff, done: Vec::new() };
        draft.section("NAME");
        draft.roff.text([roman(format!("{name} - {purpose}"))]);
        draft
    }

    /// Starts a section.
    pub(crate) fn section(&mut self, title: &str) {
        self.roff.control("SH", [title]);
    }

    /// Starts a subsection.
    pub(crate) fn subsection(&mut self, title: &str) {
        self.roff.control("SS", [title]);
    }

    /// Writes paragraphs, which empty lines part. What stands between backquotes is bold, between
    /// underscores italic.
    pub(crate) fn text(&mut self, text: &str) {
        for (number, paragraph) in text.split("\n\n").enumerate() {
            if number > 0 {
                self.roff.control("PP", []);
            }
            self.roff.text(inlines(&paragraph.replace('\n', " ")));
        }
    }

    /// Writes a section that has one text.
    pub(crate) fn section_of(&mut self, title: &str, text: &str) {
        self.section(title);
        self.text(text);
    }

    /// Writes a tag, and what there is to say of it beside it.
    pub(crate) fn tagged(&mut self, tag: &str, text: &str) {
        // A tag is one line of the source: a long one is a paragraph with the text further in.
        let is_long = tag.len() >= TAG_COLUMNS;
        self.roff.control(if is_long { "PP" } else { "TP" }, []);
        self.roff.text(inlines(tag));
        if is_long {
            self.roff.control("RS", []);
        }
        self.roff.text(inlines(text));
        if is_long {
            self.roff.control("RE", []);
        }
    }

    /// Writes lines as they are.
    fn lines(&mut self, lines: &str) {
        self.roff.control("PP", []);
        self.roff.control("RS", ["4"]);
        self.roff.control("nf", []);
        for line in lines.lines() {
            if line.is_empty() {
                self.roff.control("sp", []);
            } else {
                self.roff.text([roman(line)]);
            }
        }
        self.roff.control("fi", []);
        self.roff.control("RE", []);
    }

    /// Writes the section of examples: what each is for, and its lines.
    pub(crate) fn examples(&mut self, examples: &[(&str, &str)]) {
        self.section("EXAMPLES");
        for (number, (text, lines)) in examples.iter().enumerate() {
            if number > 0 {
                self.roff.control("PP", []);
            }
            self.text(text);
            self.lines(lines);
        }
    }

    /// Writes the lines of a synopsis, each by itself; the first word is the program.
    pub(crate) fn synopsis(&mut self, lines: &[&str]) {
        self.section("SYNOPSIS");
        for (number, line) in lines.iter().enumerate() {
            if number > 0 {
                self.roff.control("br", []);
            }
            self.roff.text(inlines(line));
        }
    }

    /// Writes the options of a command, in a section for each heading.
    pub(crate) fn options(&mut self, command: Command) {
        let done = std::mem::take(&mut self.roff).to_roff();
        self.done.extend(done.into_bytes());
        // Writing to memory cannot fail.
        let _ = Man::new(command).render_options_section(&mut self.done);
    }

    /// Refers to other pages.
    pub(crate) fn see_also(&mut self, pages: &[(&str, &str)]) {
        self.section("SEE ALSO");
        let mut text = Vec::new();
        for (number, (name, section)) in pages.iter().enumerate() {
            text.extend((number > 0).then(|| roman(", ")));
            text.extend([bold(*name), roman(format!("({section})"))]);
        }
        self.roff.text(text);
    }

    /// Returns the page.
    pub(crate) fn finish(mut self) -> Page {
        self.done.extend(self.roff.to_roff().into_bytes());
        let text = folded(&String::from_utf8_lossy(&self.done));
        Page { name: self.name, section: self.section, text }
    }
}

/// Breaks long lines at blanks, where that changes nothing: not in examples, nor before what would
/// be taken for a request.
fn folded(text: &str) -> String {
    let mut folded = String::new();
    let mut is_example = false;
    let mut before = "";
    for line in text.lines() {
        let is_tag = std::mem::replace(&mut before, line) == ".TP";
        is_example = line == ".nf" || (is_example && line != ".fi");
        let mut width = 0;
        for (number, word) in line.split(' ').enumerate() {
            let is_breakable =
                !is_example && !is_tag && !line.starts_with('.') && !word.starts_with(['.', '\'']);
            let is_full = width + word.len() >= COLUMNS && width > 0 && is_breakable;
            folded.push_str(if number == 0 {
                ""
            } else if is_full {
                "\n"
            } else {
                " "
            });
            folded.push_str(word);
            width = if is_full { word.len() } else { width + word.len() + 1 };
        }
        folded.push('\n');
    }
    folded
}

fn inlines(text: &str) -> Vec<Inline> {
    let mut inlines = Vec::new();
    for (number, part) in text.split('`').enumerate() {
        if number % 2 == 1 {
            inlines.push(bold(part));
            continue;
        }
        let parts = part.split('_').enumerate().filter(|(_, part)| !part.is_empty());
        inlines.extend(parts.map(|(n, part)| if n % 2 == 1 { italic(part) } else { roman(part) }));
    }
    inlines
}
