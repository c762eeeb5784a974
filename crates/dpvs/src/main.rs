// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command `dpvs`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

/// The connection tables are read at random: in small pages each look would miss twice.
#[global_allocator]
static ALLOCATOR: dpdk::HugeAlloc = dpdk::HugeAlloc;

fn main() -> ExitCode {
    dpvs::main()
}
