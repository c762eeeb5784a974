// SPDX-License-Identifier: MIT OR Apache-2.0
//! A packet buffer, owned.
//!
//! ```text
//!   buf_addr            data_off                    data_off + data_len          buf_len
//!      |<---- headroom ---->|<---------- bytes() ---------->|<---- tailroom ---->|
//! ```
//! A frame longer than a buffer is a chain of them; all but [`Mbuf::segments`],
//! [`Mbuf::packet_len`], [`Mbuf::truncate`] and [`Mbuf::linearize`] speak of the first one alone.
//! Nothing here calls into DPDK but taking, freeing, and the rare work on chains.

use std::{fmt, mem::MaybeUninit, ptr::NonNull};

use arrayvec::ArrayVec;
use dpdk_sys::rte_mbuf;

use crate::{Pool, TxChecksums, TxOffload};

/// Too little room for what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the buffer has no room for {wanted} bytes ({room} left)")]
pub struct NoRoom {
    /// Bytes asked for.
    pub wanted: usize,
    /// Bytes there are.
    pub room: usize,
}

/// A packet buffer with a frame in it; freed when dropped.
///
/// It may go to another thread, but not be shared between two.
///
/// ```no_run
/// # fn f(pool: &dpdk::Pool) -> Result<(), dpdk::NoRoom> {
/// let mut frame = dpdk::Mbuf::from_bytes(pool, &[0; 60])?;
/// frame.push_front(4)?;
/// frame.bytes_mut()[..4].fill(0xff);
/// assert_eq!(frame.packet_len(), 64);
/// # Ok(()) }
/// ```
#[repr(transparent)]
pub struct Mbuf {
    /// Invariant: a live buffer that nobody else owns, whose `data_off + data_len <= buf_len`, with
    /// its chain of `nb_segs` buffers, alike.
    raw: NonNull<rte_mbuf>,
}

// SAFETY: the buffer has one owner, and DPDK lets any thread free it. There is no `Sync`: nothing
// needs it.
unsafe impl Send for Mbuf {}

impl Mbuf {
    /// Takes an empty buffer from the pool; `None` if there is none left.
    #[inline]
    pub fn alloc(pool: &Pool) -> Option<Self> {
        let mut one = ArrayVec::<Self, 1>::new();
        if pool.alloc_bulk(&mut one, 1) { one.pop() } else { None }
    }

    /// Takes a buffer and copies a frame into it.
    ///
    /// # Errors
    /// [`NoRoom`] if the frame is longer than a buffer, or the pool is empty (`room` is 0).
    pub fn from_bytes(pool: &Pool, bytes: &[u8]) -> Result<Self, NoRoom> {
        let mut mbuf = Self::alloc(pool).ok_or(NoRoom { wanted: bytes.len(), room: 0 })?;
        mbuf.extend_from_slice(bytes)?;
        Ok(mbuf)
    }

    /// The frame's bytes in the first buffer.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        let (data, len) = (self.data(), usize::from(self.data_len()));
        // SAFETY: `data..data + len` is within the buffer (invariant), which DPDK mapped and so is
        // initialised; `&self` keeps writers away for as long as the slice lives.
        unsafe { std::slice::from_raw_parts(data, len) }
    }

    /// The frame's bytes in the first buffer, to be changed.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let (data, len) = (self.data(), usize::from(self.data_len()));
        // SAFETY: as in `bytes`, and `&mut self` keeps everyone else away.
        unsafe { std::slice::from_raw_parts_mut(data, len) }
    }

    /// Tells the processor that the buffer's own fields are needed soon. Reads nothing of it.
    #[inline]
    pub fn prefetch(&self) {
        let fields: *const u8 = self.raw.as_ptr().cast();
        prefetch_line(fields);
        prefetch_line(fields.wrapping_add(CACHE_LINE));
    }

    /// Tells the processor that the first cache line of [`Mbuf::bytes`] is needed soon.
    #[inline]
    pub fn prefetch_bytes(&self) {
        prefetch_line(self.data());
    }

    /// Free bytes in front of the frame.
    #[inline]
    pub fn headroom(&self) -> usize {
        usize::from(self.data_off())
    }

    /// Free bytes behind the frame; none for a chain.
    #[inline]
    pub fn tailroom(&self) -> usize {
        if self.segment_count() > 1 {
            return 0;
        }
        let used = usize::from(self.data_off()) + usize::from(self.data_len());
        usize::from(self.buf_len()).saturating_sub(used)
    }

    /// Adds `len` bytes in front; their contents are unspecified. Forgets [`Mbuf::set_tx_offload`].
    ///
    /// # Errors
    /// [`NoRoom`] if that is more than [`Mbuf::headroom`], or makes the frame longer than 65535.
    #[inline]
    pub fn push_front(&mut self, len: usize) -> Result<(), NoRoom> {
        let error = NoRoom { wanted: len, room: self.headroom() };
        let added = u16::try_from(len).map_err(|_| error)?;
        let data_off = self.data_off().checked_sub(added).ok_or(error)?;
        let data_len = self.data_len().checked_add(added).ok_or(error)?;
        let packet_len = self.pkt_len().checked_add(u32::from(added)).ok_or(error)?;
        self.set_data_off(data_off);
        self.set_lens(data_len, packet_len);
        self.clear_tx_flags();
        Ok(())
    }

    /// Removes `len` bytes from the front. Forgets [`Mbuf::set_tx_offload`].
    ///
    /// # Errors
    /// [`NoRoom`] if the first buffer holds fewer.
    #[inline]
    pub fn pull_front(&mut self, len: usize) -> Result<(), NoRoom> {
        let error = NoRoom { wanted: len, room: usize::from(self.data_len()) };
        let removed = u16::try_from(len).map_err(|_| error)?;
        let data_len = self.data_len().checked_sub(removed).ok_or(error)?;
        let data_off = self.data_off().checked_add(removed).ok_or(error)?;
        let packet_len = self.pkt_len().checked_sub(u32::from(removed)).ok_or(error)?;
        self.set_data_off(data_off);
        self.set_lens(data_len, packet_len);
        self.clear_tx_flags();
        Ok(())
    }

    /// Cuts the frame to `len` bytes; does nothing if it is not longer. Forgets
    /// [`Mbuf::set_tx_offload`] if it is.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        if len >= self.packet_len() {
            return;
        }
        // Shorter than a `u32`, so it fits.
        let Ok(packet_len) = u32::try_from(len) else { return };
        self.clear_tx_flags();
        match u16::try_from(len) {
            Ok(data_len) if self.segment_count() == 1 => self.set_lens(data_len, packet_len),
            _ => self.truncate_chain(packet_len),
        }
    }

    /// Adds `len` bytes behind and gives them; their contents are unspecified.
    ///
    /// # Errors
    /// [`NoRoom`] if that is more than [`Mbuf::tailroom`].
    #[inline]
    pub fn append(&mut self, len: usize) -> Result<&mut [u8], NoRoom> {
        let error = NoRoom { wanted: len, room: self.tailroom() };
        if len > error.room {
            return Err(error);
        }
        let added = u16::try_from(len).map_err(|_| error)?;
        let old = self.data_len();
        let data_len = old.checked_add(added).ok_or(error)?;
        self.set_lens(data_len, u32::from(data_len));
        Ok(self.bytes_mut().get_mut(usize::from(old)..).unwrap_or_default())
    }

    /// Adds these bytes behind.
    ///
    /// # Errors
    /// [`NoRoom`] if there are more than [`Mbuf::tailroom`].
    #[inline]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> Result<(), NoRoom> {
        self.append(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// Bytes of the whole frame.
    #[inline]
    pub fn packet_len(&self) -> usize {
        usize::try_from(self.pkt_len()).unwrap_or(usize::MAX)
    }

    /// Buffers the frame is in.
    #[inline]
    pub fn segment_count(&self) -> u16 {
        self.read(dpdk_sys::SHIM_MBUF_NB_SEGS)
    }

    /// The frame's bytes, buffer by buffer.
    #[inline]
    pub fn segments(&self) -> Segments<'_> {
        Segments { next: Some(self) }
    }

    /// Brings a chain into its first buffer; true if the frame is in one buffer now.
    #[inline]
    #[must_use = "a frame that does not fit stays a chain"]
    pub fn linearize(&mut self) -> bool {
        self.segment_count() == 1 || self.linearize_chain()
    }

    /// The port that the frame came from; meaningless for one made here.
    #[inline]
    pub fn port(&self) -> u16 {
        self.read(dpdk_sys::SHIM_MBUF_PORT)
    }

    /// Gives the frame another port's number, where the caller counts ports in its own way.
    #[inline]
    pub fn set_port(&mut self, port: u16) {
        self.write(dpdk_sys::SHIM_MBUF_PORT, port);
    }

    /// The hash that the card computed, if it did.
    #[inline]
    pub fn rss_hash(&self) -> Option<u32> {
        let is_set = self.flags() & dpdk_sys::SHIM_MBUF_F_RX_RSS_HASH != 0;
        is_set.then(|| self.read(dpdk_sys::SHIM_MBUF_RSS_HASH))
    }

    /// Whether the card found the IPv4 or the TCP or UDP checksum wrong.
    ///
    /// False says nothing: the card may not have looked.
    #[inline]
    pub fn rx_checksum_bad(&self) -> bool {
        let flags = self.flags();
        // Both bits of a pair say "not checked", so the whole pair is compared.
        flags & dpdk_sys::SHIM_MBUF_F_RX_IP_CKSUM_MASK == dpdk_sys::SHIM_MBUF_F_RX_IP_CKSUM_BAD
            || flags & dpdk_sys::SHIM_MBUF_F_RX_L4_CKSUM_MASK
                == dpdk_sys::SHIM_MBUF_F_RX_L4_CKSUM_BAD
    }

    /// The VLAN tag that the card took out of the frame, if it did.
    #[inline]
    pub fn vlan_tci(&self) -> Option<u16> {
        let is_set = self.flags() & dpdk_sys::SHIM_MBUF_F_RX_VLAN_STRIPPED != 0;
        is_set.then(|| self.read(dpdk_sys::SHIM_MBUF_VLAN_TCI))
    }

    /// Asks the card for checksums when the frame is sent; the last thing to do to a frame, for
    /// changing its front or cutting it undoes this.
    ///
    /// Only for a port that has them (`PortInfo::offloads`). The IPv4 checksum field must
    /// be zero, the TCP or UDP one must hold the pseudo-header's sum.
    ///
    /// # Errors
    /// [`NoRoom`] if the headers described do not lie within the first buffer, or are too long to
    /// be described.
    #[inline]
    pub fn set_tx_offload(&mut self, offload: &TxOffload) -> Result<(), NoRoom> {
        use dpdk_sys::{SHIM_TX_L2_LEN_MAX, SHIM_TX_L3_LEN_MAX};
        let (l2, l3) = (u32::from(offload.l2_len), u32::from(offload.l3_len));
        // Drivers that compute in software write the checksum where this says it is.
        let l4 = if offload.checksums.contains(TxChecksums::TCP) {
            TCP_HEADER_LEN_MIN
        } else if offload.checksums.contains(TxChecksums::UDP) {
            UDP_HEADER_LEN
        } else {
            0
        };
        let wanted = usize::from(offload.l2_len) + usize::from(offload.l3_len) + l4;
        let room = usize::from(self.data_len());
        if wanted > room || l2 > SHIM_TX_L2_LEN_MAX || l3 > SHIM_TX_L3_LEN_MAX {
            return Err(NoRoom { wanted, room });
        }
        let lens = u64::from(l2) << dpdk_sys::SHIM_TX_L2_LEN_SHIFT
            | u64::from(l3) << dpdk_sys::SHIM_TX_L3_LEN_SHIFT;
        self.write(dpdk_sys::SHIM_MBUF_TX_OFFLOAD, lens);
        let kept = self.flags() & !dpdk_sys::SHIM_MBUF_F_TX_OFFLOAD_MASK;
        self.write(dpdk_sys::SHIM_MBUF_OL_FLAGS, kept | offload.checksums.flags());
        Ok(())
    }

    #[inline]
    fn clear_tx_flags(&mut self) {
        let kept = self.flags() & !dpdk_sys::SHIM_MBUF_F_TX_OFFLOAD_MASK;
        self.write(dpdk_sys::SHIM_MBUF_OL_FLAGS, kept);
    }

    #[cold]
    fn truncate_chain(&mut self, len: u32) {
        // SAFETY: a live chain that we own (invariant), longer than `len`, as the caller checked.
        unsafe { dpdk_sys::shim_pktmbuf_truncate(self.raw.as_ptr(), len) };
    }

    #[cold]
    fn linearize_chain(&mut self) -> bool {
        if self.packet_len() > usize::from(u16::MAX) {
            return false;
        }
        // SAFETY: a live chain that we own (invariant), whose length fits `data_len`, as checked.
        unsafe { dpdk_sys::shim_pktmbuf_linearize(self.raw.as_ptr()) == 0 }
    }

    #[inline]
    fn data(&self) -> *mut u8 {
        let base: *mut u8 = self.read(dpdk_sys::SHIM_MBUF_BUF_ADDR);
        // SAFETY: `data_off` is within the buffer that starts at `base` (invariant).
        unsafe { base.add(usize::from(self.data_off())) }
    }

    #[inline]
    fn flags(&self) -> u64 {
        self.read(dpdk_sys::SHIM_MBUF_OL_FLAGS)
    }

    #[inline]
    fn data_off(&self) -> u16 {
        self.read(dpdk_sys::SHIM_MBUF_DATA_OFF)
    }

    #[inline]
    fn data_len(&self) -> u16 {
        self.read(dpdk_sys::SHIM_MBUF_DATA_LEN)
    }

    #[inline]
    fn buf_len(&self) -> u16 {
        self.read(dpdk_sys::SHIM_MBUF_BUF_LEN)
    }

    #[inline]
    fn pkt_len(&self) -> u32 {
        self.read(dpdk_sys::SHIM_MBUF_PKT_LEN)
    }

    #[inline]
    fn set_data_off(&mut self, value: u16) {
        self.write(dpdk_sys::SHIM_MBUF_DATA_OFF, value);
    }

    #[inline]
    fn set_lens(&mut self, data_len: u16, packet_len: u32) {
        self.write(dpdk_sys::SHIM_MBUF_DATA_LEN, data_len);
        self.write(dpdk_sys::SHIM_MBUF_PKT_LEN, packet_len);
    }

    /// Reads the field at one of the offsets in `dpdk_sys`, whose type is `T`.
    #[inline]
    fn read<T: Copy>(&self, offset: usize) -> T {
        debug_assert!(offset + size_of::<T>() <= size_of::<rte_mbuf>(), "a field's offset");
        // SAFETY: the offset is a field's, so within the live `rte_mbuf` (invariant).
        let field = unsafe { self.raw.as_ptr().byte_add(offset) };
        // SAFETY: the field is initialised, of type `T` and aligned for it, by C's layout; nobody
        // writes to it, for we own the buffer.
        unsafe { field.cast::<T>().read() }
    }

    /// Writes the field at one of the offsets in `dpdk_sys`, whose type is `T`.
    #[inline]
    fn write<T: Copy>(&mut self, offset: usize, value: T) {
        debug_assert!(offset + size_of::<T>() <= size_of::<rte_mbuf>(), "a field's offset");
        // SAFETY: the offset is a field's, so within the live `rte_mbuf` (invariant).
        let field = unsafe { self.raw.as_ptr().byte_add(offset) };
        // SAFETY: the field is of type `T` and aligned for it, by C's layout; nobody else reads or
        // writes it, for we own the buffer.
        unsafe { field.cast::<T>().write(value) };
    }
}

/// The fields of a buffer that a fast path needs are in two lines of this length.
const CACHE_LINE: usize = 64;

/// Tells the processor that a cache line is needed soon.
#[inline]
fn prefetch_line(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, which changes nothing and faults on no address; SSE is part of x86-64.
        unsafe { _mm_prefetch(at.cast(), _MM_HINT_T0) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Shortest TCP header.
const TCP_HEADER_LEN_MIN: usize = 20;
/// The UDP header.
const UDP_HEADER_LEN: usize = 8;

impl Drop for Mbuf {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: a live buffer that we own (invariant) and give up.
        unsafe { dpdk_sys::shim_pktmbuf_free(self.raw.as_ptr()) };
    }
}

impl fmt::Debug for Mbuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mbuf")
            .field("packet_len", &self.packet_len())
            .field("segments", &self.segment_count())
            .field("port", &self.port())
            .finish_non_exhaustive()
    }
}

/// The parts of a frame; made by [`Mbuf::segments`].
#[derive(Debug)]
pub struct Segments<'a> {
    next: Option<&'a Mbuf>,
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mbuf = self.next?;
        // SAFETY: the offset is that of `next`, within the live `rte_mbuf` (invariant).
        let link = unsafe { mbuf.raw.as_ptr().byte_add(dpdk_sys::SHIM_MBUF_NEXT) };
        // SAFETY: the field holds null, or a live buffer of the chain, which the frame owns and
        // which stays as it is while the frame is borrowed for `'a`. A null pointer is the `None`
        // of a `NonNull` and so of a `Mbuf` (`repr(transparent)`). Nothing is dropped: this is a
        // reference.
        self.next = unsafe { (*link.cast::<Option<Mbuf>>()).as_ref() };
        Some(mbuf.bytes())
    }
}

/// Frees these frames, in one call.
#[inline]
pub fn free_bulk<const N: usize>(frames: &mut ArrayVec<Mbuf, N>) {
    let count = frames.len();
    let Ok(count) = u32::try_from(count) else {
        frames.clear();
        return;
    };
    // SAFETY: the array gives its elements up before they are freed; 0 is within the capacity.
    unsafe { frames.set_len(0) };
    // SAFETY: the first `count` elements are live buffers that nobody else owns any more, and a
    // `Mbuf` is a pointer (`repr(transparent)`).
    unsafe { dpdk_sys::rte_pktmbuf_free_bulk(frames.as_mut_ptr().cast(), count) };
}

/// Storage of one frame has the layout of the pointer that DPDK reads and writes.
const _: () = assert!(size_of::<MaybeUninit<Mbuf>>() == size_of::<*mut rte_mbuf>());
const _: () = assert!(size_of::<Option<Mbuf>>() == size_of::<*mut rte_mbuf>());
