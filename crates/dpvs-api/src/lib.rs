// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control API: what the daemon answers on its Unix socket, and a blocking client for it.
//!
//! JSON-RPC 2.0, one document a line, at most [`LINE_BYTES_MAX`] bytes a line in either direction.
//! The types here are the whole contract: the daemon serves them, the command-line tools send
//! them, `--json` prints them, and `system.describe` makes the JSON schemas from them.
//!
//! ```no_run
//! use dpvs_api::{Client, method, types::Empty};
//! let mut client = Client::connect(&dpvs_api::socket_path(None))?;
//! let info = client.call::<method::SystemInfo>(&Empty {})?;
//! println!("{} workers", info.workers);
//! # Ok::<(), dpvs_api::ClientError>(())
//! ```
#![forbid(unsafe_code)]
#![allow(
    clippy::struct_excessive_bools,
    reason = "the wire format has switches, each its own field"
)]

mod batch;
mod client;
mod error;
mod methods;
pub mod parts;
mod rpc;
pub mod types;

pub use batch::Batch;
pub use client::{Client, ClientError, SOCKET_PATH_DEFAULT, socket_path};
pub use error::{ErrorCode, ErrorData, RpcError};
pub use methods::{Access, Call, Method, describe, method};
pub use rpc::{
    BATCH_MAX, Incoming, LINE_BYTES_MAX, RequestId, Response, parse_line, response_line,
};
