// SPDX-License-Identifier: MIT OR Apache-2.0
//! `manual [DIRECTORY]` writes the manual pages and completions; into `target` by default.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let directory = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("target"), Into::into);
    match manual::write(&directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            let _ = writeln!(std::io::stderr(), "manual: {fault:?}");
            ExitCode::FAILURE
        }
    }
}
