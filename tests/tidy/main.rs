// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sources themselves: what no compiler checks and no reviewer should have to.
#![allow(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "an integration test")]

use std::fs;
use std::path::{Path, PathBuf};

/// Longest file, in lines.
const FILE_LINES_MAX: usize = 500;
/// Longest function, from its `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

/// Files that may be longer. The list only gets shorter.
const LONG_FILES: &[&str] = &[];
/// Functions that may be longer, as `file:name`. The list only gets shorter.
const LONG_FUNCTIONS: &[&str] = &[];
/// Reasons to drop a frame that no test names. The list only gets shorter.
const UNTESTED_DROPS: &[&str] = &[];

/// Folders that are not ours to tidy: what is built, and transcripts of other programs.
const SKIPPED: &[&str] = &["target", ".git", "golden", "corpus", "artifacts"];

struct Source {
    /// From the repository's root.
    name: String,
    text: String,
}

impl Source {
    fn is(&self, extension: &str) -> bool {
        Path::new(&self.name).extension().is_some_and(|e| e == extension)
    }

    fn is_test(&self) -> bool {
        self.name.contains("tests/") || self.name.ends_with("tests.rs")
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Returns every source file that people write.
fn sources() -> Vec<Source> {
    let (root, mut sources) = (root(), Vec::new());
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let file = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().unwrap().is_dir() {
                if !SKIPPED.contains(&file.as_str()) {
                    folders.push(path);
                }
                continue;
            }
            let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
            if matches!(extension, "rs" | "sh" | "toml" | "md" | "yml" | "c" | "h")
                || matches!(file.as_str(), "Makefile" | "run")
            {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                sources.push(Source { name, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    assert!(sources.len() > 50, "they are not where they were");
    sources
}

/// Fails with all complaints at once.
#[track_caller]
fn nothing(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn every_source_names_its_licence() {
    let has_it =
        |s: &Source| s.text.lines().take(2).any(|l| l.contains("SPDX-License-Identifier:"));
    let code = |s: &Source| ["rs", "sh", "c", "h"].iter().any(|e| s.is(e));
    let all = sources();
    let missing = all.iter().filter(|s| code(s) && !has_it(s));
    nothing(&missing.map(|s| format!("{}: no SPDX line first", s.name)).collect::<Vec<_>>());
}

#[test]
fn files_are_short() {
    let long = |s: &Source| s.text.lines().count() > FILE_LINES_MAX;
    let all = sources();
    let long: Vec<&Source> = all.iter().filter(|s| s.is("rs") && !s.is_test() && long(s)).collect();
    let new = long.iter().filter(|s| !LONG_FILES.contains(&s.name.as_str()));
    nothing(&new.map(|s| format!("{}: over {FILE_LINES_MAX} lines", s.name)).collect::<Vec<_>>());
    let is_long = |name: &&&str| long.iter().any(|s| s.name == **name);
    assert!(LONG_FILES.iter().all(|name| is_long(&name)), "take short ones off LONG_FILES");
}

/// Returns name and length of every function of formatted code: it ends with the first line that
/// is a brace at its own indentation.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some((before, after)) = line.trim_start().split_once("fn ") else { continue };
        let words =
            ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern", "\"C\""];
        if !before.split_whitespace().all(|word| words.contains(&word)) {
            continue;
        }
        let name = after.split(['(', '<']).next().unwrap_or_default();
        let end = |l: &&str| l.trim_start() == "}" && l.len() - 1 == indent;
        if let Some(len) = lines[start..].iter().position(end) {
            found.push((name, len + 1));
        }
    }
    found
}

#[test]
fn functions_are_short() {
    let all = sources();
    let mut complaints = Vec::new();
    for source in all.iter().filter(|s| s.is("rs")) {
        for (name, len) in functions(&source.text) {
            let name = format!("{}:{name}", source.name);
            if len > FUNCTION_LINES_MAX && !LONG_FUNCTIONS.contains(&name.as_str()) {
                complaints.push(format!("{name}: {len} lines, over {FUNCTION_LINES_MAX}"));
            }
        }
    }
    nothing(&complaints);
}

#[test]
fn functions_are_measured() {
    let text = "fn a() {\n    {\n    }\n}\n\n    pub const fn b<T>() -> T {\n        c\n    }\n";
    assert_eq!(functions(text), [("a", 4), ("b", 3)]);
}

#[test]
fn lines_end_clean_and_hold_no_control_characters() {
    let mut complaints = Vec::new();
    for source in sources() {
        for (number, line) in source.text.split('\n').enumerate() {
            let has_tabs = source.name.ends_with("Makefile") || source.is("c") || source.is("h");
            let is_control = |c: char| c.is_control() && !(c == '\t' && has_tabs);
            // In Rust those that rustfmt leaves are in texts, where they are meant.
            if !source.is("rs") && line.ends_with([' ', '\t']) {
                complaints.push(format!("{}:{}: trailing blanks", source.name, number + 1));
            }
            if line.contains(is_control) {
                complaints.push(format!("{}:{}: control character", source.name, number + 1));
            }
        }
        if !source.text.is_empty() && !source.text.ends_with('\n') {
            complaints.push(format!("{}: no end of line at its end", source.name));
        }
    }
    nothing(&complaints);
}

#[test]
fn every_reason_to_drop_is_tested() {
    let all = sources();
    let verdict = all.iter().find(|s| s.name.ends_with("dpvs-core/src/verdict.rs")).unwrap();
    let (_, list) = verdict.text.split_once("\ndrop_reasons! {").unwrap();
    let (list, _) = list.split_once("\n}").unwrap();
    let tests: String = all
        .iter()
        .filter(|s| s.is("rs") && s.name != "tests/tidy/main.rs")
        .map(|s| {
            if s.is_test() {
                s.text.as_str()
            } else {
                s.text.split_once("#[cfg(test)]").map_or("", |(_, tests)| tests)
            }
        })
        .collect();
    let reasons: Vec<(&str, &str)> =
        list.lines().filter_map(|l| l.trim().trim_end_matches(',').split_once(" = ")).collect();
    assert!(reasons.len() > 30, "the list is not where it was");
    let is_tested = |(variant, word): &(&str, &str)| {
        tests.contains(&format!("DropReason::{variant}")) || tests.contains(*word)
    };
    let missing = reasons.iter().filter(|r| !is_tested(r) && !UNTESTED_DROPS.contains(&r.0));
    nothing(&missing.map(|r| format!("{}: no test reaches it", r.0)).collect::<Vec<_>>());
}

#[test]
fn markdown_has_one_title() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|s| s.is("md")) {
        let mut is_code = false;
        let mut titles = 0;
        for line in source.text.lines() {
            is_code ^= line.starts_with("```");
            titles += usize::from(!is_code && line.starts_with("# "));
        }
        if titles != 1 {
            complaints.push(format!("{}: {titles} titles", source.name));
        }
    }
    nothing(&complaints);
}

/// A document that names a test which is gone shows nothing.
#[test]
fn documents_name_tests_that_exist() {
    let sources = sources();
    let mut missing = Vec::new();
    for document in sources.iter().filter(|s| s.is("md") && s.name.starts_with("docs/")) {
        for quoted in document.text.split('`').skip(1).step_by(2) {
            let Some((file, test)) = quoted.split_once(".rs::") else { continue };
            let file = format!("{file}.rs");
            let text = sources.iter().find(|s| s.name == file).map_or("", |s| &s.text);
            // A case of a table is a line of its own, `name: what comes before;`.
            let stands =
                text.contains(&format!("fn {test}(")) || text.contains(&format!(" {test}: "));
            if !stands {
                missing.push(format!("{}: {file}::{test}", document.name));
            }
        }
    }
    assert_eq!(missing, [""; 0], "tests that are not there");
}
