// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command `dpip`: administers addresses, routes, neighbours and links of the load balancer.
//!
//! A command line goes through three steps: [`parse`] makes a [`Request`] of it, without input or
//! output; the request is a call of the control API; [`render`] makes text of the reply. Words,
//! texts and exit codes are those of DPVS 1.10.2's `dpip`, so that scripts run unchanged.
#![forbid(unsafe_code)]

mod addr;
mod batch;
mod cli;
mod config;
mod daemon;
mod echo;
mod getopt;
mod help;
mod icmp;
mod link;
mod neigh;
mod options;
pub mod render;
mod request;
mod route;
mod run;
mod source;
mod stop;
mod value;
mod watch;
mod words;

pub use cli::{Outcome, Parsed, parse};
pub use getopt::Spec;
pub use options::{Id as OptionId, Options, TABLE as OPTIONS};
pub use request::Request;
pub use run::run;
pub use stop::{client_error_text, refusal_text};
pub use words::{OBJECTS, Object};
