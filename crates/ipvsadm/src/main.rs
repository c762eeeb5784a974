// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command `ipvsadm`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(ipvsadm::run(std::env::args_os()))
}
