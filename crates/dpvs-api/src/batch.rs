// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests collected into one line, so that the daemon publishes what they write at once.

use crate::client::ClientError;
use crate::rpc::{BATCH_MAX, LINE_BYTES_MAX, Response};
use crate::{RequestId, RpcError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Requests for one line, in order. Their ids are their positions.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    line: Vec<u8>,
    len: usize,
}

/// A request as it goes out.
#[derive(Serialize)]
pub(crate) struct Request<'a, P: ?Sized> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: &'a P,
}

impl<'a, P: Serialize + ?Sized> Request<'a, P> {
    pub(crate) fn new(id: u64, method: &'a str, params: &'a P) -> Self {
        Request { jsonrpc: "2.0", id, method, params }
    }

    /// Adds the request to a line.
    pub(crate) fn write(&self, line: &mut Vec<u8>) -> Result<(), ClientError> {
        serde_json::to_writer(line, self).map_err(unreadable)
    }
}

impl Batch {
    /// Adds a request; returns false if there is no room for it: the batch is to be sent first.
    ///
    /// # Errors
    /// [`ClientError::Protocol`] for parameters that are too long for any line.
    pub fn push<P: Serialize + ?Sized>(
        &mut self,
        method: &str,
        params: &P,
    ) -> Result<bool, ClientError> {
        if self.len >= BATCH_MAX {
            return Ok(false);
        }
        let before = self.line.len();
        self.line.push(if self.len == 0 { b'[' } else { b',' });
        let id = u64::try_from(self.len).unwrap_or(u64::MAX);
        Request::new(id, method, params).write(&mut self.line)?;
        // The end of the array and of the line are still to come.
        if self.line.len() + 2 > LINE_BYTES_MAX {
            self.line.truncate(before);
            if self.len > 0 {
                return Ok(false);
            }
            let text = format!("a request of more than {LINE_BYTES_MAX} bytes");
            return Err(ClientError::Protocol(text));
        }
        self.len += 1;
        Ok(true)
    }

    /// Returns how many requests there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Ends the line; `None` if there is nothing to send.
    pub(crate) fn into_line(self) -> Option<Vec<u8>> {
        let Batch { mut line, len } = self;
        line.extend_from_slice(b"]\n");
        (len > 0).then_some(line)
    }
}

/// Reads the answers to `len` requests and puts them in the requests' order.
pub(crate) fn read_answers<R: DeserializeOwned + Clone>(
    line: &[u8],
    len: usize,
) -> Result<Vec<Result<R, RpcError>>, ClientError> {
    if !line.starts_with(b"[") {
        // What cannot be taken as a batch is refused as a whole.
        let one: Response = read(line)?;
        let error = one.error.map(ClientError::Refused);
        return Err(error.unwrap_or_else(|| broken("one answer to many requests")));
    }
    let mut outcomes: Vec<Option<Result<R, RpcError>>> = vec![None; len];
    for response in read::<Vec<Response<R>>>(line)? {
        let at = match &response.id {
            RequestId::Number(number) => number.as_u64().and_then(|id| usize::try_from(id).ok()),
            RequestId::String(_) | RequestId::Null => None,
        };
        let place = at.and_then(|at| outcomes.get_mut(at));
        let place = place.ok_or_else(|| broken("an answer to another request"))?;
        *place = Some(response.into_outcome().map_err(unreadable)?);
    }
    let all: Option<Vec<_>> = outcomes.into_iter().collect();
    all.ok_or_else(|| broken("a request without an answer"))
}

fn read<T: DeserializeOwned>(line: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(line).map_err(unreadable)
}

fn broken(text: &str) -> ClientError {
    ClientError::Protocol(text.to_owned())
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn unreadable(error: serde_json::Error) -> ClientError {
    ClientError::Protocol(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_line;
    use serde_json::{Value, json};

    #[test]
    fn requests_go_out_as_one_line_that_the_daemon_understands() {
        let mut batch = Batch::default();
        assert!(batch.push("system.ping", &json!({})).unwrap());
        assert!(batch.push("no.such", &json!({})).unwrap());
        let line = batch.into_line().unwrap();
        assert_eq!(
            String::from_utf8(line.clone()).unwrap(),
            "[{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"system.ping\",\"params\":{}},\
             {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"no.such\",\"params\":{}}]\n"
        );
        let (requests, is_array) = parse_line(&line).unwrap();
        assert!(is_array && requests[0].call.is_ok() && requests[1].call.is_err());
    }

    #[test]
    fn a_full_batch_says_so_and_stays_within_a_line() {
        let mut batch = Batch::default();
        let params = json!({ "text": "x".repeat(1000) });
        while batch.push("m", &params).unwrap() {}
        assert!((950..1048).contains(&batch.len()), "{}", batch.len());
        let line = batch.into_line().unwrap();
        assert!((LINE_BYTES_MAX - 1100..=LINE_BYTES_MAX).contains(&line.len()), "{}", line.len());
        let mut many = Batch::default();
        while many.push("m", &json!({})).unwrap() {}
        assert_eq!(many.len(), BATCH_MAX);
        let huge = json!({ "text": "x".repeat(LINE_BYTES_MAX) });
        assert!(Batch::default().push("m", &huge).is_err());
        assert!(Batch::default().into_line().is_none());
    }

    #[test]
    fn answers_find_their_requests_in_whatever_order_they_come() {
        let line = br#"[{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"stands"}},
            {"jsonrpc":"2.0","id":0,"result":{"generation":3}}]"#;
        let outcomes = read_answers::<Value>(line, 2).unwrap();
        assert_eq!(outcomes[0].as_ref().unwrap()["generation"], 3);
        assert_eq!(outcomes[1].as_ref().unwrap_err().code, 1);
        assert!(read_answers::<Value>(line, 3).is_err());
        assert!(read_answers::<Value>(line, 1).is_err());
        let refused = br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}"#;
        assert!(matches!(read_answers::<Value>(refused, 1), Err(ClientError::Refused(_))));
    }
}
