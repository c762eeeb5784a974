// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keeps `docs/icmp-requirements.md` true: what it names exists, and nothing is missing from it; nor
//! from the counters of `docs/icmp.md`.
#![cfg(test)]

use dpvs_core::DropReason;
use dpvs_core::counters::WorkerCounters;
use std::fs;
use std::path::Path;

fn document() -> String {
    read("icmp-requirements.md")
}

fn read(name: &str) -> String {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(core.join("../../docs").join(name)).unwrap()
}

/// Returns what stands in backquotes and names tests, as file and name.
fn named(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('`').skip(1).step_by(2).filter_map(|code| code.split_once("::"))
}

/// Returns the tests of a file: functions, and the cases of a table.
fn tests_of(file: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file).with_extension("rs");
    let source = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut tests = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        let function = line.strip_prefix("fn ").and_then(|rest| rest.split_once('('));
        match (function, line.split_once(": ")) {
            (Some((name, _)), _) if is_test => tests.push(name.to_owned()),
            (None, Some((name, case))) if case.ends_with(';') => tests.push(name.to_owned()),
            _ => {}
        }
        is_test = line == "#[test]" || (is_test && line.starts_with("#["));
    }
    tests
}

#[test]
fn every_test_that_is_named_exists() {
    let document = document();
    let mut count = 0;
    for (file, name) in named(&document).filter(|(file, _)| *file != "file") {
        let tests = tests_of(file);
        let exists = match name.strip_suffix('*') {
            Some(start) => tests.iter().any(|test| test.starts_with(start)),
            None => tests.iter().any(|test| test == name),
        };
        assert!(exists, "there is no test {file}::{name}");
        count += 1;
    }
    assert!(count > 100, "{count} tests");
}

#[test]
fn no_case_is_missing() {
    let document = document();
    let has_row = |name: &str| document.contains(&format!("\n| {name} |"));
    for case in 1..=80 {
        assert!(has_row(&format!("A-{case:02}")), "A-{case:02}");
    }
    for defect in 1..=26 {
        assert!(has_row(&format!("B{defect}")), "B{defect}");
    }
    for requirement in (1..=9).map(|n| n.to_string()).chain(["10a".to_owned(), "11".to_owned()]) {
        assert!(has_row(&format!("REQ-{requirement}")), "REQ-{requirement}");
    }
}

/// Tests of acceptance cases and of defects that the document does not know would be looked for in
/// vain.
#[test]
fn no_numbered_test_is_missing() {
    let document = document();
    let files = [
        "drops",
        "echo",
        "fixtures",
        "methods",
        "queries",
        "icmp_defects",
        "icmp_errors",
        "icmp_fixtures",
        "icmp_hairpins",
        "icmp_knobs",
        "icmp_limits",
        "icmp_oracle",
        "icmp_queries",
        "icmp_tunnels",
    ];
    for file in files {
        for test in tests_of(file) {
            let digits = test.get(1..3).unwrap_or_default();
            let is_case = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
            if !(is_case && test.starts_with(['a', 'b'])) {
                continue;
            }
            let is_named = named(&document).filter(|(of, _)| *of == file).any(|(_, name)| {
                name == test || name.strip_suffix('*').is_some_and(|start| test.starts_with(start))
            });
            assert!(is_named, "{file}::{test} is not in the document");
        }
    }
}

/// A number that nobody explains tells nothing.
#[test]
fn every_counter_is_explained() {
    let manual = read("icmp.md");
    let counters = WorkerCounters::default();
    let drops = DropReason::ALL.iter().map(|reason| reason.name());
    let names = counters.named().map(|(name, _)| name).chain(drops);
    for name in names.filter(|name| name.starts_with("icmp_")) {
        assert!(manual.contains(&format!("\n| `{name}` |")), "{name} is not in docs/icmp.md");
    }
}
