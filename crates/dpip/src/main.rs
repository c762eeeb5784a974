// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command `dpip`. Everything is in the library; see there.
#![forbid(unsafe_code)]

use std::env;
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let code = dpip::run(env::args_os(), &mut io::stdout().lock(), &mut io::stderr());
    ExitCode::from(code)
}
