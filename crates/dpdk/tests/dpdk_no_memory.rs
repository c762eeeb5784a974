// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting without the memory asked for. Needs DPDK; no root.
#![allow(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "an integration test")]

use dpdk::{Eal, Hugepages};

#[test]
fn missing_hugepages_are_named_in_one_sentence() {
    // What would break: the user sees DPDK's lines, or an error number, and not what to do.
    let error = Eal::builder().memory_mb(100_000_000).hugepages(Hugepages::Always).init();
    let text = error.unwrap_err().to_string();
    assert!(
        text.starts_with("DPDK cannot reserve 100000000 MiB of memory (hugepages): "),
        "{text}"
    );
    assert!(text.ends_with(" MiB are free: sysctl vm.nr_hugepages=50000000"), "{text}");
    // DPDK was not asked, so it can still be started.
    Eal::builder().memory_mb(16).hugepages(Hugepages::Never).init().unwrap();
}
