// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any bytes as a frame: the parser gives a packet within the frame, or a reason.
#![no_main]

use dpvs_core::net::Mac;
use dpvs_core::parse::{Parsed, parse};
use dpvs_core::testing::PacketBuilder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut frame = data.to_vec();
    if let Some(mac) = frame.get_mut(..6) {
        mac.copy_from_slice(&PacketBuilder::OUR_MAC);
    }
    dpvs_core::testing::repair_checksums(&mut frame);
    if let Ok(Parsed::Ip(packet)) = parse(&frame, Mac(PacketBuilder::OUR_MAC)) {
        assert!(packet.l3 < packet.l4 && packet.l4 <= packet.end && packet.end <= frame.len());
        let _ = packet.key().and_then(|key| key.reversed());
        let _ = dpvs_core::icmp::quote::parse(&frame, &packet);
    }
});
