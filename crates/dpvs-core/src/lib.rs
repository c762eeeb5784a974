// SPDX-License-Identifier: MIT OR Apache-2.0
//! Service, connection and ICMP logic of the load balancer.
//!
//! No DPDK, no socket, no clock, no thread in here: a [`Worker`] is given frames and the time, and
//! answers with a [`Verdict`] for each frame. What the control plane decides reaches it as immutable
//! [`Tables`](tables::Tables), made by a [`Draft`](tables::Draft). Where a packet goes:
//!
//! ```text
//! frames -> parse -> key -> conn::ConnTable::find_burst -> forward | icmp | local -> verdicts
//! ```
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

pub mod checksum;
pub mod conn;
pub mod counters;
pub mod crc32c;
mod extensions;
pub mod forward;
pub mod fragment;
mod frame;
pub mod icmp;
mod ids;
mod ip_header;
pub mod key;
mod limiter;
pub mod neighbour;
pub mod net;
pub mod parse;
pub mod path_mtu;
mod plain;
mod ports;
mod quic;
mod reset;
pub mod scheduler;
pub mod steering;
pub mod tables;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod verdict;
pub mod waiting;
pub mod wire;
pub mod worker;

pub use frame::{Frame, NoRoom, RxInfo};
pub use ids::{BURST, Millis, PortId, WorkerId};
pub use verdict::{DropReason, NextHop, Verdict};
pub use worker::{Command, Event, Worker};
