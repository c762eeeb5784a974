// SPDX-License-Identifier: MIT OR Apache-2.0
//! The requests of one line, and their answers.

use crate::api::{self, Reply};
use dpvs_api::{BATCH_MAX, ErrorCode, Incoming, LINE_BYTES_MAX, RequestId, Response, RpcError};

/// Room kept for the answer of each request that is still to come.
const ANSWER_BYTES_MIN: usize = 200;

const _: () = assert!(ANSWER_BYTES_MIN * BATCH_MAX < LINE_BYTES_MAX, "all have room");

/// One line's requests.
#[derive(Debug)]
pub(super) struct Batch {
    requests: std::vec::IntoIter<Incoming>,
    /// Whether the answers go back as an array.
    is_array: bool,
    answers: Vec<u8>,
    has_answers: bool,
}

impl Batch {
    pub(super) fn new(requests: Vec<Incoming>, is_array: bool) -> Self {
        Batch { requests: requests.into_iter(), is_array, answers: Vec::new(), has_answers: false }
    }

    /// Takes the next request.
    pub(super) fn next(&mut self) -> Option<Incoming> {
        self.requests.next()
    }

    /// Returns whether the next request is a write that can share a stage with others.
    pub(super) fn is_at_write(&self) -> bool {
        let next = self.requests.as_slice().first();
        next.is_some_and(|request| request.call.as_ref().is_ok_and(api::shares_stage))
    }

    /// Takes the next request if it is such a write, or one that cannot be understood.
    pub(super) fn next_of_stage(&mut self) -> Option<Incoming> {
        let is_bad = self.requests.as_slice().first().is_some_and(|next| next.call.is_err());
        if is_bad || self.is_at_write() { self.next() } else { None }
    }

    /// Returns whether all requests have been taken.
    pub(super) fn is_done(&self) -> bool {
        self.requests.as_slice().is_empty()
    }

    /// Adds the answer to a request; one that does not fit into the line becomes an error, so that
    /// every request has an answer.
    pub(super) fn answer(&mut self, id: RequestId, outcome: Result<Reply, RpcError>) {
        let reserved = self.requests.as_slice().len() * ANSWER_BYTES_MIN + 3;
        let room = LINE_BYTES_MAX.saturating_sub(self.answers.len() + reserved);
        let mut text = serialize(&Response::new(id.clone(), outcome));
        if text.is_empty() || text.len() > room {
            text = serialize(&Response::new(id, Err(too_long())));
        }
        // Nothing of what cannot be sent is kept.
        if self.answers.len() > LINE_BYTES_MAX {
            return;
        }
        self.answers.extend_from_slice(if self.has_answers { b"," } else { b"" });
        self.answers.append(&mut text);
        self.has_answers = true;
    }

    /// Returns the line of answers; empty if nothing asked for one.
    pub(super) fn into_line(self) -> Vec<u8> {
        if !self.has_answers {
            return Vec::new();
        }
        let mut line = self.answers;
        if self.is_array {
            line.insert(0, b'[');
            line.push(b']');
        }
        if line.len() >= LINE_BYTES_MAX {
            line = serialize(&Response::new(RequestId::Null, Err(too_long())));
        }
        line.push(b'\n');
        line
    }
}

/// The line that answers what is no request.
pub(super) fn error_line(error: RpcError) -> Vec<u8> {
    let mut line = serialize(&Response::new(RequestId::Null, Err(error)));
    line.push(b'\n');
    line
}

fn serialize(response: &Response<Reply>) -> Vec<u8> {
    serde_json::to_vec(response).unwrap_or_default()
}

fn too_long() -> RpcError {
    let text = format!(
        "the answer does not fit into a line ({LINE_BYTES_MAX} bytes): ask for less, by limit \
         and cursor or one by one"
    );
    RpcError::new(ErrorCode::Range, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(requests: usize, is_array: bool) -> Batch {
        let one = |_| Incoming {
            id: None,
            call: Err(RpcError::new(ErrorCode::InvalidRequest, "for the test")),
        };
        Batch::new((0..requests).map(one).collect(), is_array)
    }

    fn long(len: usize) -> Reply {
        serde_json::value::to_raw_value(&"x".repeat(len)).unwrap()
    }

    fn number(n: u64) -> RequestId {
        RequestId::Number(n.into())
    }

    #[test]
    fn an_answer_that_is_too_long_becomes_an_error_with_its_id() {
        let mut one = batch(0, false);
        one.answer(number(7), Ok(long(LINE_BYTES_MAX)));
        let line = one.into_line();
        assert!(line.len() < 1000);
        let response: Response = serde_json::from_slice(&line).unwrap();
        assert_eq!(response.id, number(7));
        assert_eq!(response.error.unwrap().kind(), ErrorCode::Range);
    }

    #[test]
    fn in_a_batch_only_what_does_not_fit_is_replaced() {
        let mut many = batch(0, true);
        for id in 0..5 {
            many.answer(number(id), Ok(long(LINE_BYTES_MAX / 3)));
        }
        let line = many.into_line();
        assert!(line.len() <= LINE_BYTES_MAX);
        let responses: Vec<Response> = serde_json::from_slice(&line).unwrap();
        let is_error: Vec<bool> = responses.iter().map(|r| r.error.is_some()).collect();
        assert_eq!(is_error, [false, false, true, true, true]);
    }

    #[test]
    fn notifications_alone_have_no_answer() {
        assert!(batch(3, true).into_line().is_empty());
    }
}
