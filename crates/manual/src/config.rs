// SPDX-License-Identifier: MIT OR Apache-2.0
//! `dpvs.toml.5`, made from the configuration file that is shipped: its lines show the defaults, and
//! its comments say what they mean.

use crate::page::{Draft, Page, Undescribed};

const SHIPPED: &str = include_str!("../../../packaging/dpvs.toml");

/// A section of the file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Section {
    /// `[control]` or `[[port]]`.
    header: String,
    comment: String,
    keys: Vec<Key>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Key {
    /// `workers = 1`.
    line: String,
    comment: String,
    /// Whether the line is an example: the default is computed, or there is none.
    is_example: bool,
}

/// Parts a line from its comment. A `#` in a value is none of these: no default has one.
fn parted(line: &str) -> (&str, &str) {
    let (value, comment) = line.split_once('#').unwrap_or((line, ""));
    (value.trim(), comment.trim())
}

/// Reads the file. A line without a value goes on with the comment before it.
fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in text.lines() {
        let is_example = line.starts_with("# ");
        let (value, comment) = parted(line.strip_prefix("# ").unwrap_or(line));
        if value.starts_with('[') {
            let (header, comment) = (value.to_owned(), comment.to_owned());
            sections.push(Section { header, comment, keys: Vec::new() });
            continue;
        }
        // What stands before the first section is about the file.
        let Some(section) = sections.last_mut() else { continue };
        if value.contains(" = ") {
            let (line, comment) = (value.to_owned(), comment.to_owned());
            section.keys.push(Key { line, comment, is_example });
        } else if let Some(key) = section.keys.last_mut().filter(|_| !comment.is_empty()) {
            key.comment.push(' ');
            key.comment.push_str(comment);
        }
    }
    sections
}

/// Makes a sentence of a comment.
fn sentence(comment: &str) -> String {
    let mut letters = comment.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    // Underscores and backquotes would be taken for markup.
    let text = format!("{first}{}.", letters.as_str());
    text.split(' ')
        .map(|word| if word.contains('_') { format!("`{word}`") } else { word.to_owned() })
        .collect::<Vec<_>>()
        .join(" ")
}

const DESCRIPTION: &str = "\
The file is TOML. It is read when `dpvs` starts, and again at SIGHUP. Every line is optional but one port.
What it does not know is an error that names the line, so a misspelt key never passes unseen; `dpvs
--check` reads the file and starts nothing.

What follows shows the defaults. Lines marked as examples have no default, or one that is computed from
what the machine has. Options of the command line come before the file.

Addresses, routes and services are not configured here, but by `dpip` and `ipvsadm`.";

const EXAMPLES: &[(&str, &str)] = &[(
    "Two ports, four workers, and a group that may use ipvsadm:",
    "[control]
admin_group = \"dpvs-admin\"

[dataplane]
workers = 4

[[port]]
name = \"dpdk0\"
device = \"0000:03:00.0\"

[[port]]
name = \"dpdk1\"
device = \"0000:03:00.1\"",
)];

/// Returns the page.
///
/// # Errors
/// A key that the file does not explain.
pub(crate) fn page() -> Result<Page, Undescribed> {
    let mut page = Draft::new("dpvs.toml", "5", "configuration of the load balancer");
    page.section("SYNOPSIS");
    page.text("_/etc/dpvs/dpvs.toml_");
    page.section_of("DESCRIPTION", DESCRIPTION);
    for section in sections(SHIPPED) {
        page.section(&section.header);
        if section.comment.is_empty() {
            return Err(Undescribed(format!("dpvs.toml {}", section.header)));
        }
        page.text(&sentence(&section.comment));
        for key in section.keys {
            if key.comment.is_empty() {
                return Err(Undescribed(format!("dpvs.toml {}", key.line)));
            }
            let example = if key.is_example { " (example)" } else { "" };
            page.tagged(&format!("`{}`{example}", key.line), &sentence(&key.comment));
        }
    }
    page.examples(EXAMPLES);
    page.section("FILES");
    page.tagged("_/etc/dpvs/dpvs.toml_", "The file, unless `dpvs --config` names another.");
    page.see_also(&[("dpip", "8"), ("dpvs", "8"), ("ipvsadm", "8")]);
    Ok(page.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_on_in_the_next_line() {
        let text = "# about\n\n[a]  # one\nx = 1  # first\n  # second\n# y = 2 # third\n";
        let found = sections(text);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].header.as_str(), found[0].comment.as_str()), ("[a]", "one"));
        let key = |n: usize| {
            let key = &found[0].keys[n];
            (key.line.as_str(), key.comment.as_str(), key.is_example)
        };
        assert_eq!([key(0), key(1)], [("x = 1", "first second", false), ("y = 2", "third", true)]);
    }
}
