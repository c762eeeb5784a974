// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the tests of this crate share. DPDK starts once in a process, so each file that starts it
//! has one test.
#![allow(dead_code, reason = "each test file uses a part of this")]
#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "tests")]

use arrayvec::ArrayVec;
use dpdk::{DATA_ROOM_DEFAULT, Eal, EalConfig, Mbuf, Pool, PortSpec, RxQueue, VdevOptions};
use std::time::{Duration, Instant};

/// Frames in one burst.
pub(crate) const BURST: usize = 32;

/// A small environment in ordinary pages.
pub(crate) fn config() -> EalConfig {
    Eal::builder().memory_mb(64).hugepages(dpdk::Hugepages::Never)
}

/// The device that the text names.
pub(crate) fn spec(text: &str) -> PortSpec {
    text.parse().expect("a device")
}

/// An environment with these devices.
pub(crate) fn eal(devices: &[&str]) -> Eal {
    let add = |config: EalConfig, device: &&str| config.port(spec(device), VdevOptions::default());
    devices.iter().fold(config(), add).init().expect("DPDK starts")
}

/// A small pool.
pub(crate) fn pool(eal: &Eal, name: &str) -> Pool {
    Pool::new(eal, name, 4095, 64, DATA_ROOM_DEFAULT).expect("a pool")
}

/// Polls until `wanted` frames are there that `keep` wants, or two seconds are over.
pub(crate) fn receive(rx: &mut RxQueue, wanted: usize, keep: impl Fn(&[u8]) -> bool) -> Vec<Mbuf> {
    let end = Instant::now() + Duration::from_secs(2);
    let mut found = Vec::new();
    while found.len() < wanted && Instant::now() < end {
        let mut burst = ArrayVec::<Mbuf, BURST>::new();
        rx.burst(&mut burst);
        found.extend(burst.into_iter().filter(|frame| keep(frame.bytes())));
    }
    found
}
