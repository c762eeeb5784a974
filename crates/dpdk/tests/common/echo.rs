// SPDX-License-Identifier: MIT OR Apache-2.0
//! A station that answers pings, to have a real kernel at the other end of a port.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    process::Child,
    time::{Duration, Instant},
};

use arrayvec::ArrayVec;
use dpdk::{Mbuf, RxQueue, TxQueue};

/// Address of the station; `ping` must have it as a neighbour.
pub(crate) const MAC: &str = "02:00:00:00:00:02";

/// Answers echo requests until `ping` ends, and says whether it had its answers.
pub(crate) fn answer(rx: &mut [RxQueue], tx: &mut [TxQueue], ping: &mut Child) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        for (rx, tx) in rx.iter_mut().zip(tx.iter_mut()) {
            let mut frames = ArrayVec::<Mbuf, 32>::new();
            rx.burst(&mut frames);
            let mut answers: Vec<Mbuf> = frames.into_iter().filter_map(reply).collect();
            tx.burst_vec(&mut answers);
        }
        if let Some(status) = ping.try_wait().unwrap() {
            return status.success();
        }
    }
    let _ = ping.kill();
    let _ = ping.wait();
    false
}

/// Turns an `ICMPv4` echo request into its reply.
fn reply(mut frame: Mbuf) -> Option<Mbuf> {
    let bytes = frame.bytes_mut();
    // Ethernet type IPv4, no options, protocol ICMP, echo request.
    if bytes.len() < 42 || bytes[12..15] != [8, 0, 0x45] || bytes[23] != 1 || bytes[34] != 8 {
        return None;
    }
    let (to, from) = bytes[..12].split_at_mut(6);
    to.swap_with_slice(from);
    let (from, to) = bytes[26..34].split_at_mut(4);
    from.swap_with_slice(to);
    bytes[34] = 0;
    // The type went from 8 to 0, so the checksum's complement grows by 0x0800, end-around.
    let old = u16::from_be_bytes([bytes[36], bytes[37]]);
    let (sum, carry) = old.overflowing_add(0x0800);
    let sum = sum.wrapping_add(u16::from(carry));
    bytes[36..38].copy_from_slice(&sum.to_be_bytes());
    Some(frame)
}
