// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts the echo replies and errors that come to a station, whomever they are for.

use crate::namespace::Namespace;
use crate::station::Station;
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimeout};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of packets that may wait for the counting thread.
const BACKLOG_BYTES: usize = 8 << 20;

/// What has come to a station so far.
#[derive(Debug)]
pub struct Arrivals {
    counts: Arc<Counts>,
    _threads: [Station; 2],
}

#[derive(Debug, Default)]
struct Counts {
    replies: AtomicU64,
    errors: AtomicU64,
}

impl Arrivals {
    /// Begins to count.
    pub fn count(at: &Namespace) -> Arrivals {
        let counts = Arc::<Counts>::default();
        // A socket of all protocols would see what the station sends, too.
        let threads = [SockProtocol::EthIp, SockProtocol::EthIpv6].map(|protocol| {
            let packets = at.within(|| packets(protocol));
            let counts = Arc::clone(&counts);
            Station::run(move |ended| {
                let mut buffer = [0; 64];
                while !ended.load(Ordering::Relaxed) {
                    if let Ok(len) = recv(packets.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                        counts.note(&buffer[..len]);
                    }
                }
            })
        });
        Arrivals { counts, _threads: threads }
    }

    /// Returns the echo replies so far.
    pub fn replies(&self) -> u64 {
        self.counts.replies.load(Ordering::Relaxed)
    }

    /// Returns the errors so far.
    pub fn errors(&self) -> u64 {
        self.counts.errors.load(Ordering::Relaxed)
    }
}

impl Counts {
    fn note(&self, packet: &[u8]) {
        let count = match *packet {
            // Both are sent without options by who makes them, and are relayed with none.
            [0x45, _, _, _, _, _, _, _, _, 1, ..] => match packet.get(20) {
                Some(0) => &self.replies,
                Some(3 | 4 | 5 | 11 | 12) => &self.errors,
                _ => return,
            },
            [0x60..=0x6f, _, _, _, _, _, 58, ..] => match packet.get(40) {
                Some(129) => &self.replies,
                Some(1..=4) => &self.errors,
                _ => return,
            },
            _ => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Opens a socket that gets what comes in, from its IP header on.
fn packets(protocol: SockProtocol) -> OwnedFd {
    let (family, kind) = (AddressFamily::Packet, SockType::Datagram);
    let socket = socket(family, kind, SockFlag::empty(), protocol).expect("a packet socket");
    setsockopt(&socket, RcvBufForce, &BACKLOG_BYTES).expect("room for a burst");
    setsockopt(&socket, ReceiveTimeout, &TimeVal::milliseconds(50)).expect("a timeout");
    socket
}
