// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any bytes as a packet of a stock tool: read or refused, never a panic, and never more requests
//! than the packet has room for.
#![no_main]

use dpvs::ipvs::decode;
use libfuzzer_sys::fuzz_target;

/// Length of a message that is only a header.
const MESSAGE_LEN_MIN: usize = 16;

fuzz_target!(|data: &[u8]| {
    let requests = decode(data);
    assert!(requests.len() <= data.len() / MESSAGE_LEN_MIN);
    // As logs show them.
    let _ = format!("{requests:?}");
});
