// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a port hashes flows as we do.
#![cfg(test)]

use dpvs_core::testing::{HeapFrame, Lab, PacketBuilder};

/// Microsoft's published vector for the default key: the check would call every port wrong, or none.
#[test]
fn the_hash_of_a_port_is_compared_with_ours() {
    let lab = Lab::new(2);
    let builder = PacketBuilder::new("66.9.149.187", "161.142.100.80");
    let frame = HeapFrame::new(&builder.tcp(2794, 1766, 16, &[]));
    let is_ours = |frame: &HeapFrame| lab.workers[0].has_our_hash(frame);
    assert_eq!(is_ours(&frame), None, "the port made no hash");
    assert_eq!(is_ours(&frame.with_hash(0x51cc_c178)), Some(true));
    let frame = HeapFrame::new(&builder.tcp(2794, 1766, 16, &[]));
    assert_eq!(is_ours(&frame.with_hash(0x51cc_c179)), Some(false));
    let ping = HeapFrame::new(&builder.ping(1, 1, b"x"));
    assert_eq!(is_ours(&ping.with_hash(1)), None, "a ping has no ports");
}
