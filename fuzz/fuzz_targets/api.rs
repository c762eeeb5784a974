// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any bytes as a line of the control API: understood or answered with an error, never a panic.
#![no_main]

use dpvs_api::{RequestId, Response, parse_line, response_line};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let responses = match parse_line(data) {
        Ok((incoming, batch)) => {
            let answers = incoming.into_iter().map(|request| {
                let id = request.id.unwrap_or(RequestId::Null);
                Response::new(id, request.call.map(|call| call.name().into()))
            });
            response_line(answers.collect(), batch)
        }
        Err(error) => response_line(vec![Response::new(RequestId::Null, Err(error))], false),
    };
    assert!(responses.is_empty() || responses.ends_with(b"\n"));
});
