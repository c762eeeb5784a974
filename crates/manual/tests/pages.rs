// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pages and completions as they are installed.

#![allow(
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    reason = "the whole file is a test"
)]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use ipvsadm::options::{COMMANDS, OPTIONS};
use manual::Page;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Returns a page's source without the escapes of hyphens.
fn source(name: &str) -> String {
    let pages = manual::pages().unwrap();
    let page = pages.iter().find(|page| page.name == name).unwrap();
    page.text.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "").replace("\\fI", "")
}

fn written() -> TempDir {
    let directory = TempDir::new().unwrap();
    manual::write(directory.path()).unwrap();
    directory
}

/// Whether a program of the distribution is there; the Makefile installs it.
fn is_there(program: &str) -> bool {
    let is_there = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status()
        .unwrap()
        .success();
    if !is_there {
        eprintln!("SKIPPED: {program} is not installed");
    }
    is_there
}

#[test]
fn the_pages_are_those_that_other_pages_name() {
    let pages = manual::pages().unwrap();
    let name = |page: &Page| format!("{}({})", page.name, page.section);
    let names: Vec<String> = pages.iter().map(name).collect();
    assert_eq!(
        names,
        [
            "ipvsadm(8)",
            "ipvsadm-save(8)",
            "ipvsadm-restore(8)",
            "dpip(8)",
            "dpvs(8)",
            "dpvs.toml(5)"
        ]
    );
    for page in &pages {
        let text = source(&page.name);
        let (_, others) = text.split_once(".SH \"SEE ALSO\"\n").unwrap();
        for other in others.trim().replace('\n', " ").split(", ") {
            assert!(names.contains(&other.to_owned()), "{}: {other}", page.name);
        }
    }
}

#[test]
fn mandoc_finds_nothing_to_complain_of() {
    if !is_there("mandoc") {
        return;
    }
    let directory = written();
    for file in fs::read_dir(directory.path().join("man")).unwrap() {
        let path = file.unwrap().path();
        let output = Command::new("mandoc").args(["-T", "lint"]).arg(&path).output().unwrap();
        let complaints = String::from_utf8(output.stdout).unwrap();
        assert_eq!(complaints, "", "{}", path.display());
    }
}

#[test]
fn every_option_of_ipvsadm_is_in_its_page() {
    let text = source("ipvsadm");
    for opt in COMMANDS.iter().chain(OPTIONS) {
        let long = format!("--{}", opt.long);
        // The tag of an option starts its line.
        let has_tag = text.lines().any(|line| {
            let mut names = line.split([',', ' ', '[', '<']).map(str::trim);
            line.starts_with('-') && names.any(|name| name == long)
        });
        assert!(opt.long.is_empty() || has_tag, "{long}");
        let letter = format!("-{}", char::from(opt.short));
        assert!(opt.short == 0 || text.contains(&letter), "{letter}");
    }
}

#[test]
fn every_option_and_command_of_dpip_is_in_its_page() {
    let text = source("dpip");
    for spec in dpip::OPTIONS.iter().filter(|spec| spec.id != dpip::OptionId::Daemon) {
        let name = spec.long.filter(|long| *long != "statistics");
        assert!(name.is_none_or(|name| text.contains(&format!("--{name}"))), "{name:?}");
        let letter = spec.short.map(|letter| format!("-{}", char::from(letter)));
        assert!(letter.as_ref().is_none_or(|letter| text.contains(letter)), "{letter:?}");
    }
    for (object, word) in dpip::OBJECTS {
        assert!(text.contains(word), "{word}");
        let (_, about) = text.split_once(&format!(".SS {word}\n")).unwrap_or_default();
        let (about, _) = about.split_once("\n.S").unwrap_or((about, ""));
        for command in object.commands() {
            assert!(about.contains(command), "{word} {command}");
        }
    }
}

/// What is offered is understood, and all else answers that it is not supported.
#[test]
fn the_commands_of_dpips_objects_are_those_that_it_understands() {
    let verbs = [
        "create", "destroy", "enable", "disable", "add", "del", "set", "show", "replace", "flush",
        "test",
    ];
    for (object, word) in dpip::OBJECTS {
        for verb in verbs {
            let argv = ["dpip", word, verb].map(Into::into);
            let refused = dpip::parse(argv).stderr.ends_with("dpip: not support\n");
            let offered = object.commands().contains(&verb);
            // Slaves of bonds are known words of links, and refused later.
            let is_bond = *word == "link" && matches!(verb, "add" | "del");
            assert!(refused != offered || is_bond, "{word} {verb}");
        }
    }
}

#[test]
fn every_option_of_dpvs_is_in_its_page() {
    let text = source("dpvs");
    let mut command = dpvs::command();
    command.build();
    for argument in command.get_arguments() {
        let long = argument.get_long().unwrap();
        assert!(text.contains(&format!("--{long}")), "--{long}");
    }
}

/// The shipped file has every key: a test of the daemon sees to that.
#[test]
fn every_key_of_the_configuration_is_in_its_page() {
    let text = source("dpvs.toml");
    let shipped = include_str!("../../../packaging/dpvs.toml");
    let mut count = 0;
    for line in shipped.lines() {
        let line = line.trim_start_matches("# ");
        let name = line.split([' ', ']']).next().unwrap();
        if line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| key == name) {
            assert!(text.contains(name), "{name}");
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}

/// Lets bash complete the last word of a line, as it does when the tabulator is pressed.
fn completed(directory: &Path, words: &[&str]) -> Vec<String> {
    let name = words[0];
    let file = directory.join(format!("completions/{name}.bash"));
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let (at, last) = (words.len() - 1, words.last().unwrap());
    let before = words[at - 1];
    let script = format!(
        "source {file}; COMP_WORDS=({words}); COMP_CWORD={at}; \
         _{name} {name} '{last}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        file = file.display(),
        words = quoted.join(" "),
    );
    let output = Command::new("bash").args(["--norc", "-c", &script]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_options_objects_and_commands() {
    let directory = written();
    let complete = |words: &[&str]| completed(directory.path(), words);
    assert_eq!(complete(&["ipvsadm", "--add-s"]), ["--add-service", "--add-server"]);
    assert_eq!(complete(&["ipvsadm", "-A", "--scheduler", "w"]), ["wrr", "wlc"]);
    assert_eq!(complete(&["ipvsadm", "-L", "--format", ""]), ["stock", "dpvs", "json"]);
    assert_eq!(complete(&["dpip", "ad"]), ["addr"]);
    assert_eq!(complete(&["dpvs", "--wo"]), ["--workers"]);
    let commands: Vec<String> =
        complete(&["dpip", "addr", ""]).into_iter().filter(|word| !word.starts_with('-')).collect();
    assert_eq!(commands, ["show", "add", "replace", "set", "del", "flush", "help"]);
}

#[test]
fn other_shells_have_completions_too() {
    let directory = written().keep();
    for name in ["ipvsadm", "dpip", "dpvs"] {
        let read =
            |file: String| fs::read_to_string(directory.join("completions").join(file)).unwrap();
        assert!(read(format!("_{name}")).starts_with(&format!("#compdef {name}\n")), "{name}");
        assert!(read(format!("{name}.fish")).contains(&format!("complete -c {name} ")), "{name}");
    }
    fs::remove_dir_all(directory).unwrap();
}
