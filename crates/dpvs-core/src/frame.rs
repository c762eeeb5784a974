// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only thing the core knows of a packet buffer.

use crate::PortId;

/// A received frame: one contiguous run of bytes that can grow and shrink at both ends.
///
/// The first byte is the first of the Ethernet destination address.
pub trait Frame {
    /// Returns the frame.
    fn bytes(&self) -> &[u8];

    /// Returns the frame, to be changed in place.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Adds `len` bytes in front. Their contents are unspecified.
    ///
    /// # Errors
    /// [`NoRoom`] if the headroom is shorter; the frame is as before.
    fn push_front(&mut self, len: usize) -> Result<(), NoRoom>;

    /// Removes `len` bytes from the front.
    ///
    /// # Errors
    /// [`NoRoom`] if the frame is shorter; it is as before.
    fn pull_front(&mut self, len: usize) -> Result<(), NoRoom>;

    /// Cuts the frame to `len` bytes; does nothing if it is shorter.
    fn truncate(&mut self, len: usize);

    /// Returns what the port said of the frame.
    fn rx(&self) -> RxInfo;
}

/// A buffer has no room for what was to be added, or no bytes to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("frame has no room for {wanted} bytes ({room} left)")]
pub struct NoRoom {
    /// Bytes asked for.
    pub wanted: usize,
    /// Bytes there are.
    pub room: usize,
}

/// What a port says of a received frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxInfo {
    /// The port it came in by.
    pub port: PortId,
    /// The port's hash of the flow, where it makes one.
    pub rss_hash: Option<u32>,
    /// The port found an IP or transport checksum wrong.
    pub checksum_bad: bool,
}
