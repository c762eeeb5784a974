// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pools of packet buffers.

use std::{ffi::CString, fmt, ptr::NonNull, sync::Arc};

use arrayvec::ArrayVec;
use dpdk_sys::rte_mempool;

use crate::{
    Eal, Mbuf, PoolError,
    eal::EalInner,
    error::{describe, last_errno},
};

/// Bytes kept free in front of every frame, for headers to be added.
pub const HEADROOM: u16 = {
    #[expect(clippy::as_conversions, reason = "constant context; 128 by default, at most 65535")]
    #[expect(clippy::cast_possible_truncation, reason = "checked by the assertion")]
    let headroom = dpdk_sys::RTE_PKTMBUF_HEADROOM as u16;
    assert!(dpdk_sys::RTE_PKTMBUF_HEADROOM <= 0xffff);
    headroom
};

/// Data room of a buffer that holds frames of 2048 bytes.
pub const DATA_ROOM_DEFAULT: u16 = HEADROOM + 2048;

/// Largest cache a thread may have.
const CACHE_MAX: u32 = 512;

/// Longest name that DPDK's own names for a pool's parts leave room for.
const NAME_LEN_MAX: usize = 25;

/// A pool of packet buffers; clones are handles on the same pool.
///
/// A pool's memory stays until the process ends, or until DPDK's environment ends with every
/// buffer returned. That is what makes a [`Mbuf`] valid however long it is kept, without a
/// reference count for each packet. Make pools at start, not as you go.
///
/// Any thread may take and return buffers; threads registered with [`Eal::register_thread`] have
/// caches and hardly ever meet.
#[derive(Clone)]
pub struct Pool {
    raw: NonNull<rte_mempool>,
    data_room: u16,
    count: u32,
    _eal: Arc<EalInner>,
}

// SAFETY: a pool made by `rte_pktmbuf_pool_create` has the default ring, which many threads may
// take from and return to at once; each thread's cache is found by its lcore, which is its own.
unsafe impl Send for Pool {}
// SAFETY: as above; all methods of DPDK called through `&Pool` may be called at once.
unsafe impl Sync for Pool {}

impl Pool {
    /// Makes a pool of `count` buffers of `data_room` bytes, headroom included
    /// ([`DATA_ROOM_DEFAULT`]), with `cache` buffers kept by each registered thread.
    ///
    /// # Errors
    /// A size that DPDK cannot have, a name in use, or too little memory.
    pub fn new(
        eal: &Eal,
        name: &str,
        count: u32,
        cache: u32,
        data_room: u16,
    ) -> Result<Self, PoolError> {
        let bad_name = || PoolError::Name(name.to_owned());
        let c_name = CString::new(name).map_err(|_| bad_name())?;
        if name.is_empty() || name.len() > NAME_LEN_MAX {
            return Err(bad_name());
        }
        let size = |reason| PoolError::Size {
            name: name.to_owned(),
            reason,
            headroom: u32::from(HEADROOM),
        };
        if count == 0 {
            return Err(size("it has no buffers"));
        }
        if cache > CACHE_MAX || u64::from(cache) * 3 > u64::from(count) * 2 {
            return Err(size("its cache is too large"));
        }
        if data_room <= HEADROOM {
            return Err(size("its buffers are too small"));
        }
        let mut state = eal.inner().lock();
        // SAFETY: DPDK is started, for `eal` exists; the name is NUL-terminated and copied; the
        // sizes are in range, as checked; the lock keeps other control calls out.
        let raw = unsafe {
            dpdk_sys::rte_pktmbuf_pool_create(c_name.as_ptr(), count, cache, 0, data_room, -1)
        };
        let Some(raw) = NonNull::new(raw) else {
            let reason = describe(last_errno());
            return Err(PoolError::Create { name: name.to_owned(), count, data_room, reason });
        };
        state.add_pool(raw);
        drop(state);
        Ok(Self { raw, data_room, count, _eal: Arc::clone(eal.inner()) })
    }

    /// Buffers that can be taken; other threads may change it at any time. Not for the hot path.
    pub fn available(&self) -> u32 {
        // SAFETY: the pool lives as long as `self`.
        unsafe { dpdk_sys::rte_mempool_avail_count(self.raw.as_ptr()) }
    }

    /// Buffers in all.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of each buffer, headroom included.
    pub fn data_room(&self) -> u16 {
        self.data_room
    }

    /// Bytes of a frame that one buffer holds.
    pub fn frame_len_max(&self) -> u16 {
        self.data_room - HEADROOM
    }

    /// Takes `count` empty buffers, or none: appends them to `out` and answers true, or leaves it
    /// and answers false if the pool or `out` has no room for so many.
    #[inline]
    #[must_use]
    pub fn alloc_bulk<const N: usize>(&self, out: &mut ArrayVec<Mbuf, N>, count: usize) -> bool {
        let Ok(wanted) = u32::try_from(count) else { return false };
        if count > out.remaining_capacity() {
            return false;
        }
        if count == 0 {
            return true;
        }
        let len = out.len();
        // SAFETY: `len` is within the array's storage.
        let free = unsafe { out.as_mut_ptr().add(len) };
        // SAFETY: the pool lives; `free` has room for `count` pointers, as checked, and a `Mbuf` is
        // a pointer (`repr(transparent)`).
        let rc =
            unsafe { dpdk_sys::shim_pktmbuf_alloc_bulk(self.raw.as_ptr(), free.cast(), wanted) };
        if rc != 0 {
            return false;
        }
        // SAFETY: DPDK has written `count` pointers, not null, to buffers that nobody else owns;
        // `len + count` is within the capacity, as checked.
        unsafe { out.set_len(len + count) };
        true
    }

    pub(crate) fn as_ptr(&self) -> *mut rte_mempool {
        self.raw.as_ptr()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("count", &self.count)
            .field("data_room", &self.data_room)
            .finish_non_exhaustive()
    }
}
