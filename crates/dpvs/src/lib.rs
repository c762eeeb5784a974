// SPDX-License-Identifier: MIT OR Apache-2.0
//! The daemon `dpvs`: configuration, workers, kernel path, and the control socket.
//!
//! ```text
//! cli + config -> runtime -> ports, kernel, handoff -> worker_loop (one thread per worker)
//!                     \----> server (the main thread) <-> control, api
//!                             \-- ipvs (the door for stock tools) --/
//! ```
#![forbid(unsafe_code)]

pub mod api;
mod cli;
mod clock;
mod config;
pub mod control;
mod dataplane;
mod handoff;
mod idle;
pub mod ipvs;
mod kernel;
mod lane;
mod logging;
mod outlet;
mod port_frame;
mod ports;
mod preflight;
mod runtime;
pub mod server;
mod signals;
mod sizes;
mod worker_loop;

pub use cli::{command, main};
