// SPDX-License-Identifier: MIT OR Apache-2.0
//! Heap frames, packet builders and small configurations for tests, fuzzers and benches.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "test support: a wrong argument is a wrong test"
)]

mod frame;
mod lab;
mod packet;

pub use frame::HeapFrame;
pub use lab::{Lab, Outcome, ServicePicker, service_with_weights, tables};
pub use packet::{PacketBuilder, assert_checksums, checksums_hold, repair_checksums};
