// SPDX-License-Identifier: MIT OR Apache-2.0
//! Receive and transmit queues: each has one owner, which is what makes its bursts sound.

use std::sync::Arc;

use arrayvec::ArrayVec;

use crate::{Mbuf, PortId, port::PortInner};

/// A receive queue; may be moved to the thread that polls it.
#[derive(Debug)]
pub struct RxQueue {
    pub(crate) port: Arc<PortInner>,
    id: PortId,
    index: u16,
}

/// A transmit queue; may be moved to the thread that fills it.
#[derive(Debug)]
pub struct TxQueue {
    pub(crate) port: Arc<PortInner>,
    id: PortId,
    index: u16,
}

impl RxQueue {
    pub(crate) fn new(port: Arc<PortInner>, index: u16) -> Self {
        Self { id: port.id, port, index }
    }

    /// The port it belongs to.
    #[inline]
    pub fn port(&self) -> PortId {
        self.id
    }

    /// Its number within the port.
    #[inline]
    pub fn index(&self) -> u16 {
        self.index
    }

    /// Appends the frames that have arrived, as many as `out` has room for, and says how many.
    /// Never waits.
    #[inline]
    pub fn burst<const N: usize>(&mut self, out: &mut ArrayVec<Mbuf, N>) -> usize {
        let len = out.len();
        let room = u16::try_from(out.remaining_capacity()).unwrap_or(u16::MAX);
        if room == 0 {
            return 0;
        }
        // SAFETY: `len` is within the array's storage.
        let free = unsafe { out.as_mut_ptr().add(len) };
        // SAFETY: the port exists and has the queue, for `self.port` keeps it open; `&mut self`
        // is the queue's only owner, so no other burst runs on it, and the port is not stopped,
        // which takes `&mut` of every queue. `free` has room for `room` pointers, and a `Mbuf` is
        // a pointer (`repr(transparent)`).
        let received =
            unsafe { dpdk_sys::shim_eth_rx_burst(self.id.0, self.index, free.cast(), room) };
        let received = usize::from(received.min(room));
        // SAFETY: DPDK has written `received` pointers, not null, to buffers it gives up;
        // `len + received` is within the capacity, for `received <= room`.
        unsafe { out.set_len(len + received) };
        received
    }
}

impl TxQueue {
    pub(crate) fn new(port: Arc<PortInner>, index: u16) -> Self {
        Self { id: port.id, port, index }
    }

    /// The port it belongs to.
    #[inline]
    pub fn port(&self) -> PortId {
        self.id
    }

    /// Its number within the port.
    #[inline]
    pub fn index(&self) -> u16 {
        self.index
    }

    /// Sends as many of the frames as the port takes, and says how many. The others stay in
    /// `frames`, in order. Never waits.
    #[inline]
    pub fn burst<const N: usize>(&mut self, frames: &mut ArrayVec<Mbuf, N>) -> usize {
        let len = frames.len();
        // SAFETY: the array gives its elements up before DPDK takes them; 0 is within the capacity.
        unsafe { frames.set_len(0) };
        // SAFETY: the first `len` elements are live frames that nobody owns any more.
        let left = unsafe { self.send(frames.as_mut_ptr(), len) };
        // SAFETY: `send` has left `left` live frames at the array's start.
        unsafe { frames.set_len(left) };
        len - left
    }

    /// As [`TxQueue::burst`], from a `Vec`.
    #[inline]
    pub fn burst_vec(&mut self, frames: &mut Vec<Mbuf>) -> usize {
        let len = frames.len();
        // SAFETY: as in `burst`.
        unsafe { frames.set_len(0) };
        // SAFETY: the first `len` elements are live frames that nobody owns any more.
        let left = unsafe { self.send(frames.as_mut_ptr(), len) };
        // SAFETY: `send` has left `left` live frames at the vector's start.
        unsafe { frames.set_len(left) };
        len - left
    }

    /// Sends from `frames[..len]`, moves what was not sent to the front, and says how many those
    /// are.
    ///
    /// # Safety
    /// `frames` points to `len` live frames that nobody else owns; only the first ones, as many as
    /// the answer says, are still there afterwards.
    #[inline]
    unsafe fn send(&mut self, frames: *mut Mbuf, len: usize) -> usize {
        if len == 0 {
            return 0;
        }
        let count = u16::try_from(len).unwrap_or(u16::MAX);
        // SAFETY: the port exists and has the queue, for `self.port` keeps it open; `&mut self` is
        // the queue's only owner, and stopping the port takes `&mut` of every queue. The first
        // `count <= len` elements are live frames, given up by the caller, and a `Mbuf` is a
        // pointer (`repr(transparent)`).
        let sent =
            unsafe { dpdk_sys::shim_eth_tx_burst(self.id.0, self.index, frames.cast(), count) };
        let sent = usize::from(sent.min(count));
        let left = len - sent;
        if sent > 0 && left > 0 {
            // SAFETY: `sent < len`, so within the array.
            let rest = unsafe { frames.add(sent) };
            // SAFETY: both ranges of `left` elements are within the `len` elements; they may
            // overlap. DPDK did not take those at `rest`, and owns those before it, which are
            // overwritten without being dropped.
            unsafe { std::ptr::copy(rest, frames, left) };
        }
        left
    }
}
