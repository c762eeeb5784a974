// SPDX-License-Identifier: MIT OR Apache-2.0
//! A frame on the heap.

use crate::{Frame, NoRoom, PortId, RxInfo};

/// A frame on the heap, with headroom filled with rubbish so that forgotten bytes show.
#[derive(Clone, Debug)]
pub struct HeapFrame {
    buf: Vec<u8>,
    start: usize,
    rx: RxInfo,
}

impl HeapFrame {
    /// Says what the port hashed.
    #[must_use]
    pub fn with_hash(mut self, hash: u32) -> Self {
        self.rx.rss_hash = Some(hash);
        self
    }

    /// Bytes in front.
    pub const HEADROOM: usize = 128;

    /// Makes a frame that came in by port 0.
    pub fn new(bytes: &[u8]) -> Self {
        HeapFrame::on(PortId(0), bytes)
    }

    /// Makes a frame that came in by a port.
    pub fn on(port: PortId, bytes: &[u8]) -> Self {
        let mut buf = vec![0xa5; Self::HEADROOM];
        buf.extend_from_slice(bytes);
        let rx = RxInfo { port, rss_hash: None, checksum_bad: false };
        HeapFrame { buf, start: Self::HEADROOM, rx }
    }

    /// Takes new contents without allocating, if they are not longer than any before.
    pub fn refill(&mut self, bytes: &[u8]) {
        self.buf.truncate(Self::HEADROOM);
        self.buf.extend_from_slice(bytes);
        self.start = Self::HEADROOM;
    }

    /// Says that the port found a checksum wrong.
    pub fn set_checksum_bad(&mut self, is_bad: bool) {
        self.rx.checksum_bad = is_bad;
    }
}

impl Frame for HeapFrame {
    fn bytes(&self) -> &[u8] {
        &self.buf[self.start..]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buf[self.start..]
    }

    fn push_front(&mut self, len: usize) -> Result<(), NoRoom> {
        self.start = self.start.checked_sub(len).ok_or(NoRoom { wanted: len, room: self.start })?;
        Ok(())
    }

    fn pull_front(&mut self, len: usize) -> Result<(), NoRoom> {
        let room = self.bytes().len();
        if len > room {
            return Err(NoRoom { wanted: len, room });
        }
        self.start += len;
        Ok(())
    }

    fn truncate(&mut self, len: usize) {
        self.buf.truncate(self.start + len);
    }

    fn rx(&self) -> RxInfo {
        self.rx
    }
}
