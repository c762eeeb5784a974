// SPDX-License-Identifier: MIT OR Apache-2.0
//! The accepted counts, and what differs from them.

use anyhow::Context as _;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;

/// Growth above this fails; a fall below it asks for lower counts to be accepted.
const TOLERANCE_PERCENT: f64 = 3.0;

const HEAD: &str = "# SPDX-License-Identifier: MIT OR Apache-2.0
# Instructions for each packet. `make instructions` fails where a count grew by more than 3 %;
# `make instructions-accept` writes this file.
";

/// Counts by scene, and what they were made with.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Baseline {
    rustc: String,
    scenes: BTreeMap<String, f64>,
}

impl Baseline {
    /// One without counts.
    pub(crate) fn of_this_compiler() -> anyhow::Result<Self> {
        let output = Command::new("rustc").arg("--version").output().context("cannot run rustc")?;
        let rustc = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(Baseline { rustc, scenes: BTreeMap::new() })
    }

    pub(crate) fn insert(&mut self, scene: String, count: f64) {
        self.scenes.insert(scene, count);
    }

    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is malformed", file.display()))
    }

    /// Returns the text of the file.
    pub(crate) fn to_text(&self) -> String {
        let lines = self.scenes.iter().map(|(scene, count)| format!("{scene} = {count:.1}\n"));
        format!("{HEAD}rustc = \"{}\"\n\n[scenes]\n{}", self.rustc, lines.collect::<String>())
    }

    /// Compares with what was found. `is_whole` says that everything was counted, so that nothing
    /// may be missing.
    pub(crate) fn compare(&self, found: &Baseline, is_whole: bool) -> Comparison {
        let mut lines: Vec<Line> = found
            .scenes
            .iter()
            .map(|(scene, now)| Line {
                scene: scene.clone(),
                before: self.scenes.get(scene).copied(),
                now: Some(*now),
            })
            .collect();
        if is_whole {
            let gone = self.scenes.iter().filter(|(scene, _)| !found.scenes.contains_key(*scene));
            lines.extend(gone.map(|(scene, before)| Line {
                scene: scene.clone(),
                before: Some(*before),
                now: None,
            }));
        }
        let other_compiler =
            (self.rustc != found.rustc).then(|| (self.rustc.clone(), found.rustc.clone()));
        Comparison { lines, other_compiler }
    }
}

/// One scene, before and now.
#[derive(Clone, Debug)]
struct Line {
    scene: String,
    before: Option<f64>,
    now: Option<f64>,
}

/// What became of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Grown,
    Fallen,
    Same,
    New,
    Gone,
}

impl Line {
    fn percent(&self) -> Option<f64> {
        let (before, now) = self.before.zip(self.now)?;
        Some((now / before - 1.0) * 100.0)
    }

    fn change(&self) -> Change {
        match (self.before, self.now, self.percent()) {
            (None, ..) => Change::New,
            (_, None, _) => Change::Gone,
            (.., Some(percent)) if percent > TOLERANCE_PERCENT => Change::Grown,
            (.., Some(percent)) if percent < -TOLERANCE_PERCENT => Change::Fallen,
            _ => Change::Same,
        }
    }
}

/// All scenes, before and now.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    lines: Vec<Line>,
    /// The compilers before and now, where they differ.
    other_compiler: Option<(String, String)>,
}

impl Comparison {
    fn have(&self, change: Change) -> bool {
        self.lines.iter().any(|line| line.change() == change)
    }

    /// Returns whether a count grew, or is not known.
    pub(crate) fn has_failed(&self) -> bool {
        [Change::Grown, Change::New, Change::Gone].into_iter().any(|change| self.have(change))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<24} {:>9} {:>9} {:>8}",
            "instructions/packet", "accepted", "now", "change"
        )?;
        let count =
            |count: Option<f64>| count.map_or("-".to_owned(), |count| format!("{count:.1}"));
        for line in &self.lines {
            let percent = line.percent().map_or("-".to_owned(), |p| format!("{p:+.1} %"));
            let word = match line.change() {
                Change::Grown => "  GROWN",
                Change::Fallen => "  fallen",
                Change::New => "  NOT ACCEPTED YET",
                Change::Gone => "  GONE",
                Change::Same => "",
            };
            let (before, now) = (count(line.before), count(line.now));
            writeln!(f, "{:<24} {before:>9} {now:>9} {percent:>8}{word}", line.scene)?;
        }
        if let Some((before, now)) = &self.other_compiler {
            writeln!(f, "note: accepted with \"{before}\", counted with \"{now}\"")?;
        }
        if self.has_failed() {
            writeln!(
                f,
                "FAILED: a count grew by more than {TOLERANCE_PERCENT} %, or is not known."
            )?;
            writeln!(f, "If that is meant, `make instructions-accept` writes the counts to")?;
            writeln!(f, "crates/bench/instructions.toml: commit it and say why.")?;
        } else if self.have(Change::Fallen) {
            writeln!(f, "Some counts fell: let `make instructions-accept` keep them low.")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rustc: &str, scenes: &[(&str, f64)]) -> Baseline {
        let scenes = scenes.iter().map(|(scene, count)| ((*scene).to_owned(), *count)).collect();
        Baseline { rustc: rustc.to_owned(), scenes }
    }

    #[test]
    fn growth_above_three_percent_fails() {
        let accepted = counts("rustc 1", &[("a", 100.0), ("b", 1000.0)]);
        let within = accepted.compare(&counts("rustc 1", &[("a", 102.9), ("b", 971.0)]), true);
        assert!(!within.has_failed(), "{within}");
        let grown = accepted.compare(&counts("rustc 1", &[("a", 103.1), ("b", 1000.0)]), true);
        assert!(grown.has_failed(), "{grown}");
        assert!(grown.to_string().contains("103.1   +3.1 %  GROWN\n"), "{grown}");
        assert!(grown.to_string().contains("make instructions-accept"), "{grown}");
    }

    #[test]
    fn a_fall_asks_for_lower_counts_and_passes() {
        let accepted = counts("rustc 1", &[("a", 100.0)]);
        let fallen = accepted.compare(&counts("rustc 1", &[("a", 90.0)]), true);
        assert!(!fallen.has_failed());
        assert!(fallen.to_string().contains("make instructions-accept"), "{fallen}");
    }

    #[test]
    fn scenes_that_come_and_go_fail() {
        let accepted = counts("rustc 1", &[("a", 100.0), ("b", 100.0)]);
        assert!(accepted.compare(&counts("rustc 1", &[("a", 100.0)]), true).has_failed());
        assert!(!accepted.compare(&counts("rustc 1", &[("a", 100.0)]), false).has_failed());
        let more = counts("rustc 1", &[("a", 100.0), ("b", 100.0), ("c", 1.0)]);
        assert!(accepted.compare(&more, true).has_failed());
    }

    #[test]
    fn another_compiler_is_told_and_compared() {
        let accepted = counts("rustc 1", &[("a", 100.0)]);
        let same = accepted.compare(&counts("rustc 2", &[("a", 100.0)]), true);
        assert!(!same.has_failed());
        assert!(same.to_string().contains("\"rustc 1\", counted with \"rustc 2\""), "{same}");
        assert!(accepted.compare(&counts("rustc 2", &[("a", 110.0)]), true).has_failed());
    }

    #[test]
    fn what_is_written_can_be_read() {
        let text = "rustc = \"rustc 1\"\n\n[scenes]\na = 100.5\nb = 7.0\n";
        let written = counts("rustc 1", &[("a", 100.5), ("b", 7.0)]).to_text();
        assert_eq!(written, format!("{HEAD}{text}"));
        let read: Baseline = toml::from_str(&written).unwrap();
        assert_eq!(read, counts("rustc 1", &[("a", 100.5), ("b", 7.0)]));
    }
}
