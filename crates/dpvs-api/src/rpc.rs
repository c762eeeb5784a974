// SPDX-License-Identifier: MIT OR Apache-2.0
//! JSON-RPC 2.0 framing: lines in, calls or errors out. No I/O here.

use crate::{Call, ErrorCode, RpcError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Longest line in either direction, the newline included: 1 MiB.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Most requests in one JSON-RPC batch array.
pub const BATCH_MAX: usize = 4096;

/// The `id` of a request: a string, a number or null (JSON-RPC 2.0, section 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RequestId {
    /// A number; fractions are allowed by the standard and repeated as they came.
    Number(serde_json::Number),
    /// A string.
    String(String),
    /// Null: also what answers a request whose id could not be read.
    Null,
}

/// One request of a line.
#[derive(Debug)]
pub struct Incoming {
    /// The id to answer with; `None` for a notification, which is carried out and not answered.
    pub id: Option<RequestId>,
    /// What is asked, or why it cannot be understood.
    pub call: Result<Call, RpcError>,
}

/// One answer. `R` is the reply's type, where it is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "R: Deserialize<'de>"))]
pub struct Response<R = Value> {
    /// Always `"2.0"`.
    pub jsonrpc: Cow<'static, str>,
    /// The request's id.
    pub id: RequestId,
    /// The reply, where the request was carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<R>,
    /// The error, where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RpcError>,
}

impl<R> Response<R> {
    /// Makes the answer to request `id`.
    pub fn new(id: RequestId, outcome: Result<R, RpcError>) -> Self {
        let (result, error) = match outcome {
            Ok(value) => (Some(value), None),
            Err(error) => (None, Some(error)),
        };
        Response { jsonrpc: Cow::Borrowed("2.0"), id, result, error }
    }
}

impl<R: DeserializeOwned> Response<R> {
    /// Returns what has come of the request. No result is what a null looks like.
    pub(crate) fn into_outcome(self) -> Result<Result<R, RpcError>, serde_json::Error> {
        match (self.error, self.result) {
            (Some(error), _) => Ok(Err(error)),
            (None, Some(result)) => Ok(Ok(result)),
            (None, None) => serde_json::from_value(Value::Null).map(Ok),
        }
    }
}

/// The fields of a request, each still to be read: what is wrong with one must not hide the others.
#[derive(Deserialize)]
struct RawRequest<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
}

/// Reads a field so that null is not the same as none.
fn present<'de, D: Deserializer<'de>>(field: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(field).map(Some)
}

/// Reads one line: a request, or a batch array of them.
///
/// The second part is true for a batch: its answers go back as one array.
///
/// # Errors
/// [`ErrorCode::Parse`] and [`ErrorCode::InvalidRequest`], to be answered with a null id.
pub fn parse_line(line: &[u8]) -> Result<(Vec<Incoming>, bool), RpcError> {
    if line.len() > LINE_BYTES_MAX {
        return Err(RpcError::new(
            ErrorCode::InvalidRequest,
            format!("a line is at most {LINE_BYTES_MAX} bytes"),
        ));
    }
    let not_json = |e| RpcError::new(ErrorCode::Parse, format!("not JSON: {e}"));
    if !line.trim_ascii_start().starts_with(b"[") {
        let single: &RawValue = serde_json::from_slice(line).map_err(not_json)?;
        return Ok((vec![parse_request(single)], false));
    }
    let items: Vec<&RawValue> = serde_json::from_slice(line).map_err(not_json)?;
    if items.is_empty() {
        return Err(RpcError::new(ErrorCode::InvalidRequest, "an empty batch"));
    }
    if items.len() > BATCH_MAX {
        return Err(RpcError::new(
            ErrorCode::InvalidRequest,
            format!("a batch has at most {BATCH_MAX} requests"),
        ));
    }
    Ok((items.into_iter().map(parse_request).collect(), true))
}

fn parse_request(document: &RawValue) -> Incoming {
    let invalid =
        |id, text: &str| Incoming { id, call: Err(RpcError::new(ErrorCode::InvalidRequest, text)) };
    let null = Some(RequestId::Null);
    if !document.get().starts_with('{') {
        return invalid(null, "a request is a JSON object");
    }
    let Ok(fields) = serde_json::from_str::<RawRequest<'_>>(document.get()) else {
        return invalid(null, "a request has each of its fields once");
    };
    let Ok(id) = fields.id.map(|id| serde_json::from_str::<RequestId>(id.get())).transpose() else {
        return invalid(null, "an id is a string, a number or null");
    };
    // A request that is no request is answered even without an id (JSON-RPC 2.0, section 5.1).
    let known = id.clone().or(null);
    let text = |field: &RawValue| serde_json::from_str::<String>(field.get());
    if !matches!(fields.jsonrpc.map(text), Some(Ok(version)) if version == "2.0") {
        return invalid(known, "jsonrpc must be \"2.0\"");
    }
    match fields.method.map(text) {
        None => invalid(known, "the method is missing"),
        Some(Err(_)) => invalid(known, "method is a string"),
        Some(Ok(method)) => Incoming { id, call: Call::parse(&method, fields.params) },
    }
}

/// Writes the answers of one line, newline included; empty if there is nothing to answer.
///
/// An answer over [`LINE_BYTES_MAX`] is replaced by an error, since the reader may not take it.
pub fn response_line(mut responses: Vec<Response>, batch: bool) -> Vec<u8> {
    let Some(last) = responses.pop() else {
        return Vec::new();
    };
    let text = if batch {
        responses.push(last);
        serde_json::to_vec(&responses)
    } else {
        serde_json::to_vec(&last)
    };
    let mut line = text.unwrap_or_default();
    if line.is_empty() || line.len() >= LINE_BYTES_MAX {
        let error = RpcError::new(
            ErrorCode::Range,
            "the answer is longer than a line may be: ask for less with limit",
        );
        line = serde_json::to_vec(&Response::<Value>::new(RequestId::Null, Err(error)))
            .unwrap_or_default();
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Incoming {
        let (mut all, batch) = parse_line(line.as_bytes()).unwrap();
        assert!(!batch);
        all.pop().unwrap()
    }

    #[test]
    fn what_is_not_json_is_a_parse_error() {
        assert_eq!(parse_line(b"{").unwrap_err().code, -32700);
        assert_eq!(parse_line(&[0xff, 0xfe]).unwrap_err().code, -32700);
    }

    #[test]
    fn unknown_methods_and_wrong_fields_have_their_codes_and_paths() {
        let got = one(r#"{"jsonrpc":"2.0","id":1,"method":"no.such"}"#);
        assert_eq!(got.call.unwrap_err().code, -32601);
        let got = one(
            r#"{"jsonrpc":"2.0","id":1,"method":"dest.add","params":{"service":{"protocol":"tcp","address":"10.0.0.1","port":80},"address":"10.0.0.2","port":"x"}}"#,
        );
        let error = got.call.unwrap_err();
        assert_eq!((error.code, error.data.path.as_deref()), (-32602, Some("port")));
    }

    #[test]
    fn a_request_without_an_id_is_a_notification() {
        assert_eq!(one(r#"{"jsonrpc":"2.0","method":"system.ping"}"#).id, None);
    }

    #[test]
    fn an_id_that_is_null_is_an_id_and_escapes_are_read() {
        let got =
            one(r#"{"id":null,"jsonrpc":"2\u002e0","method":"system\u002eping","params":null}"#);
        assert_eq!(got.id, Some(RequestId::Null));
        assert_eq!(got.call.unwrap().name(), "system.ping");
    }

    #[test]
    fn a_request_whose_fields_are_wrong_is_answered_with_its_id() {
        for (line, text) in [
            (r#"{"jsonrpc":"2.0","id":7,"method":7}"#, "method is a string"),
            (r#"{"jsonrpc":"2.0","id":7}"#, "the method is missing"),
            (r#"{"jsonrpc":2.0,"id":7,"method":"system.ping"}"#, "jsonrpc must be \"2.0\""),
            (r#"{"jsonrpc":"2.0","id":7,"method":"system.ping","params":[]}"#, "an object"),
        ] {
            let got = one(line);
            assert_eq!(got.id, Some(RequestId::Number(7.into())), "{line}");
            let error = got.call.unwrap_err();
            assert!(error.message.contains(text), "{line}: {error}");
        }
        let got = one(r#"{"jsonrpc":"2.0","id":[],"method":"system.ping"}"#);
        assert_eq!((got.id, got.call.unwrap_err().code), (Some(RequestId::Null), -32600));
    }

    #[test]
    fn a_batch_is_a_batch_and_bad_members_are_answered_one_by_one() {
        let line = br#"[{"jsonrpc":"2.0","id":"a","method":"system.ping"}, 1, {"id":2}]"#;
        let (all, batch) = parse_line(line).unwrap();
        assert!(batch);
        let codes: Vec<_> = all.iter().map(|i| i.call.as_ref().err().map(|e| e.code)).collect();
        assert_eq!(codes, [None, Some(-32600), Some(-32600)]);
        assert_eq!(all[2].id, Some(RequestId::Number(2.into())));
    }

    #[test]
    fn an_answer_that_does_not_fit_a_line_becomes_an_error() {
        let big = Value::String("x".repeat(LINE_BYTES_MAX));
        let line = response_line(vec![Response::new(RequestId::Null, Ok(big))], false);
        assert!(line.len() < 1000);
        assert!(String::from_utf8(line).unwrap().contains("limit"));
    }
}
