// SPDX-License-Identifier: MIT OR Apache-2.0
//! A packet buffer of DPDK's as the core sees it.

use dpdk::Mbuf;
use dpvs_core::{Frame, NoRoom, PortId, RxInfo};

/// A frame in one buffer, whose port is counted as the tables count ports.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct PortFrame(Mbuf);

impl PortFrame {
    /// Takes a frame that came in by `port`; `None` if it is a chain too long for one buffer.
    #[inline]
    pub(crate) fn received(mut mbuf: Mbuf, port: PortId) -> Option<Self> {
        // The core reads and writes one run of bytes.
        if !mbuf.linearize() {
            return None;
        }
        mbuf.prefetch_bytes();
        mbuf.set_port(port.0);
        Some(PortFrame(mbuf))
    }

    /// Has what is known of the frame fetched into the cache.
    #[inline]
    pub(crate) fn prefetch_buffer(&self) {
        self.0.prefetch();
    }

    /// Has the start of the frame fetched into the cache.
    #[inline]
    pub(crate) fn prefetch_bytes(&self) {
        self.0.prefetch_bytes();
    }

    /// Gives the buffer back.
    #[inline]
    pub(crate) fn into_mbuf(self) -> Mbuf {
        self.0
    }
}

impl Frame for PortFrame {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        self.0.bytes_mut()
    }

    #[inline]
    fn push_front(&mut self, len: usize) -> Result<(), NoRoom> {
        self.0.push_front(len).map_err(no_room)
    }

    #[inline]
    fn pull_front(&mut self, len: usize) -> Result<(), NoRoom> {
        self.0.pull_front(len).map_err(no_room)
    }

    #[inline]
    fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    #[inline]
    fn rx(&self) -> RxInfo {
        RxInfo {
            port: PortId(self.0.port()),
            rss_hash: self.0.rss_hash(),
            checksum_bad: self.0.rx_checksum_bad(),
        }
    }
}

fn no_room(error: dpdk::NoRoom) -> NoRoom {
    NoRoom { wanted: error.wanted, room: error.room }
}
