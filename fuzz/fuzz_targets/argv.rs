// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any words as the arguments of `ipvsadm` and of `dpip`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let words: Vec<Vec<u8>> = data.split(|byte| *byte == 0 || *byte == b'\n').map(<[u8]>::to_vec).collect();
    let mut argv = vec![b"ipvsadm".to_vec()];
    argv.extend(words);
    let _ = ipvsadm::parse(&argv);
    argv[0] = b"dpip".to_vec();
    fuzz_dpip(&argv);
});

fn fuzz_dpip(argv: &[Vec<u8>]) {
    use std::os::unix::ffi::OsStringExt;
    let argv: Vec<std::ffi::OsString> =
        argv.iter().map(|word| std::ffi::OsString::from_vec(word.clone())).collect();
    let _ = dpip::parse(argv);
}
