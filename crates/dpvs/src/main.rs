// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command `dpvs`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    dpvs::main()
}
