// SPDX-License-Identifier: MIT OR Apache-2.0
//! Errors of the control API: the JSON-RPC codes and our own, in one table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a request was not carried out.
///
/// The first five are JSON-RPC 2.0's own (section 5.1). The rest are ours; their names are the
/// errno-like words that `ipvsadm` and `dpip` turn into their texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The line is not JSON.
    Parse,
    /// The document is not a JSON-RPC request, or is too long.
    InvalidRequest,
    /// No such method.
    MethodNotFound,
    /// The parameters do not fit the method; `data.path` names the field.
    InvalidParams,
    /// A fault of the daemon.
    Internal,
    /// The object stands already.
    Exist,
    /// No such service.
    NoService,
    /// No such real server, local address, address, route or neighbour.
    NoDest,
    /// No such scheduler or persistence engine.
    NoScheduler,
    /// A value that can never be right.
    Invalid,
    /// A number out of its range.
    Range,
    /// The caller may not do this.
    Permission,
    /// No such port or interface.
    NoDevice,
    /// No route to the address.
    NoRoute,
    /// In use, or too many requests at once.
    Busy,
    /// Known, but not offered by this daemon.
    NotSupported,
    /// A table or memory is full.
    NoMemory,
    /// The expected generation is not the current one.
    Conflict,
}

const TABLE: &[(ErrorCode, i64, &str)] = &[
    (ErrorCode::Parse, -32700, "PARSE"),
    (ErrorCode::InvalidRequest, -32600, "INVALID_REQUEST"),
    (ErrorCode::MethodNotFound, -32601, "METHOD_NOT_FOUND"),
    (ErrorCode::InvalidParams, -32602, "INVALID_PARAMS"),
    (ErrorCode::Internal, -32603, "INTERNAL"),
    (ErrorCode::Exist, 1, "EXIST"),
    (ErrorCode::NoService, 2, "NO_SERVICE"),
    (ErrorCode::NoDest, 3, "NO_DEST"),
    (ErrorCode::NoScheduler, 4, "NO_SCHEDULER"),
    (ErrorCode::Invalid, 5, "INVALID"),
    (ErrorCode::Range, 6, "RANGE"),
    (ErrorCode::Permission, 7, "PERMISSION"),
    (ErrorCode::NoDevice, 8, "NO_DEVICE"),
    (ErrorCode::NoRoute, 9, "NO_ROUTE"),
    (ErrorCode::Busy, 10, "BUSY"),
    (ErrorCode::NotSupported, 11, "NOT_SUPPORTED"),
    (ErrorCode::NoMemory, 12, "NO_MEMORY"),
    (ErrorCode::Conflict, 13, "CONFLICT"),
];

impl ErrorCode {
    /// Returns the number that stands for this code in a JSON-RPC error object.
    pub fn number(self) -> i64 {
        TABLE.iter().find(|row| row.0 == self).map_or(-32603, |row| row.1)
    }

    /// Returns the errno-like name, such as `NO_SERVICE`.
    pub fn name(self) -> &'static str {
        TABLE.iter().find(|row| row.0 == self).map_or("INTERNAL", |row| row.2)
    }

    /// Returns the code of a number read from the wire; unknown numbers are [`ErrorCode::Internal`].
    pub fn from_number(number: i64) -> Self {
        TABLE.iter().find(|row| row.1 == number).map_or(ErrorCode::Internal, |row| row.0)
    }
}

/// What is known about an error beyond its message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorData {
    /// The errno-like name of the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The offending field of the parameters, as a path: `service.port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// In a transaction: which write failed, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
}

/// A JSON-RPC error object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RpcError {
    /// The number of an [`ErrorCode`].
    pub code: i64,
    /// A sentence for people.
    pub message: String,
    /// Name, field and index.
    #[serde(default)]
    pub data: ErrorData,
}

impl RpcError {
    /// Makes an error of `code` with a sentence for people.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        RpcError {
            code: code.number(),
            message: message.into(),
            data: ErrorData { name: Some(code.name().to_owned()), ..ErrorData::default() },
        }
    }

    /// Adds the path of the offending field.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.data.path = Some(path.into());
        self
    }

    /// Adds the position of the offending write in a transaction.
    #[must_use]
    pub fn in_write(mut self, index: usize) -> Self {
        self.data.index = Some(index);
        self
    }

    /// Returns the code as one of ours.
    pub fn kind(&self) -> ErrorCode {
        ErrorCode::from_number(self.code)
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(path) = &self.data.path {
            write!(f, " ({path})")?;
        }
        Ok(())
    }
}

impl std::error::Error for RpcError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_number_and_finds_back() {
        for (code, number, name) in TABLE {
            assert_eq!(code.number(), *number);
            assert_eq!(code.name(), *name);
            assert_eq!(ErrorCode::from_number(*number), *code);
            assert_eq!(TABLE.iter().filter(|row| row.1 == *number).count(), 1);
        }
    }
}
