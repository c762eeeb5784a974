// SPDX-License-Identifier: MIT OR Apache-2.0
//! Heap frames, packet builders and small configurations for tests, fuzzers and benches.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "test support: a wrong argument is a wrong test"
)]

mod fixture;
mod frame;
mod lab;
mod packet;
mod service;
mod setup;

pub use fixture::Fixtures;
pub use frame::HeapFrame;
pub use lab::{Lab, Outcome, local_address, tables};
pub use packet::{
    PacketBuilder, assert_checksums, checksums_hold, priority_tagged, repair_checksums,
};
pub use service::{ServicePicker, client_flow, service_with_settings, service_with_weights};
pub use setup::{address, end, match_key, service_key, tunneled};
