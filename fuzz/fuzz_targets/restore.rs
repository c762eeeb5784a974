// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any bytes as a file for `ipvsadm -R`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for line in ipvsadm::restore::parse(data, &ipvsadm::names::NoNames) {
        let _ = line;
    }
});
