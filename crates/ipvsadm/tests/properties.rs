// SPDX-License-Identifier: MIT OR Apache-2.0
//! No input makes the program panic, and what it says fits the exit code.

#![allow(clippy::tests_outside_test_module, reason = "the whole file is a test")]

use ipvsadm::names::NoNames;
use ipvsadm::options::{COMMANDS, OPTIONS};
use ipvsadm::restore;
use proptest::collection::vec;
use proptest::prelude::*;

/// Words that get past the scanner: options of the table, values, and noise.
fn word() -> impl Strategy<Value = Vec<u8>> {
    let options: Vec<Vec<u8>> = COMMANDS
        .iter()
        .chain(OPTIONS)
        .flat_map(|opt| [format!("--{}", opt.long).into_bytes(), vec![b'-', opt.short]])
        .collect();
    let values = [
        "1.2.3.4:80",
        "[2001:db8::1]:0",
        "2001:db8::1",
        "icmp",
        "icmpv6",
        "65535",
        "0",
        "-1",
        "rr",
        "conhash",
        "sh-port",
        "enable",
        "1,1,3s,5-9s",
        "src-range=1.1.1.1-2.2.2.2:1-2",
        "=",
        "--",
        "-",
        "",
        "[",
        "]:",
        "ipset:x",
        "tcp:1.1.1.1:1:2.2.2.2:2",
        "é",
        "master",
        "json",
    ];
    let values: Vec<Vec<u8>> = values.iter().map(|value| value.as_bytes().to_vec()).collect();
    prop_oneof![
        4 => proptest::sample::select(options),
        4 => proptest::sample::select(values),
        1 => vec(any::<u8>(), 0..12),
    ]
}

fn check(argv: &[Vec<u8>]) -> Result<(), TestCaseError> {
    if let Err(failure) = ipvsadm::parse(argv) {
        prop_assert!(matches!(failure.code, 2 | 255));
        prop_assert_eq!(failure.message.last(), Some(&b'\n'));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_bytes_are_parsed(argv in vec(vec(any::<u8>(), 0..20), 0..8)) {
        check(&argv)?;
    }

    #[test]
    fn any_words_are_parsed(mut words in vec(word(), 0..10)) {
        words.insert(0, b"ipvsadm".to_vec());
        check(&words)?;
    }

    #[test]
    fn any_option_of_any_command_is_parsed(
        command in proptest::sample::select(COMMANDS),
        mut words in vec(word(), 0..10),
    ) {
        words.insert(0, b"ipvsadm".to_vec());
        words.insert(1, format!("--{}", command.long).into_bytes());
        check(&words)?;
    }

    #[test]
    fn any_restore_file_is_parsed(
        bytes in vec(any::<u8>(), 0..200),
        lines in vec(vec(word(), 0..6), 0..6),
    ) {
        restore::parse(&bytes, &NoNames);
        let lines: Vec<Vec<u8>> = lines.iter().map(|words| words.join(&b' ')).collect();
        restore::parse(&lines.join(&b'\n'), &NoNames);
    }
}
