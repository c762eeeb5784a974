// SPDX-License-Identifier: MIT OR Apache-2.0
//! Threads that DPDK knows, CPUs, and the processor's cycle counter.

use std::{marker::PhantomData, sync::Arc};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

use crate::{
    EalError,
    eal::EalInner,
    error::{describe, last_errno},
};

/// Keeps the calling thread known to DPDK, and ends that when dropped.
///
/// It cannot leave its thread.
#[derive(Debug)]
#[must_use = "the thread is unknown to DPDK again as soon as this is dropped"]
pub struct ThreadGuard {
    // Dropped after `Drop::drop` has unregistered: the environment must not end before.
    _eal: Arc<EalInner>,
    not_send: PhantomData<*const ()>,
}

impl ThreadGuard {
    pub(crate) fn new(eal: Arc<EalInner>) -> Result<Self, EalError> {
        let state = eal.lock();
        // SAFETY: reads a thread-local; no precondition.
        let is_unknown = unsafe { dpdk_sys::shim_lcore_is_any() };
        if !is_unknown {
            return Err(EalError::Thread("it is registered already".to_owned()));
        }
        // SAFETY: DPDK is started, for `eal` exists; the thread has no lcore, as checked.
        let rc = unsafe { dpdk_sys::rte_thread_register() };
        drop(state);
        if rc != 0 {
            return Err(EalError::Thread(describe(last_errno())));
        }
        Ok(Self { _eal: eal, not_send: PhantomData })
    }

    /// DPDK's number of this thread.
    pub fn lcore(&self) -> u32 {
        let _ = self.not_send;
        // SAFETY: reads a thread-local; no precondition.
        unsafe { dpdk_sys::shim_lcore_id() }
    }
}

impl Drop for ThreadGuard {
    fn drop(&mut self) {
        // SAFETY: DPDK is started; this is the thread that registered, for the guard is not `Send`.
        unsafe { dpdk_sys::rte_thread_unregister() };
    }
}

/// Binds the calling thread to one CPU.
///
/// # Errors
/// The system's, as `EINVAL` for a CPU that the process may not use.
pub fn pin_current_thread(cpu: usize) -> std::io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)?;
    Ok(())
}

/// The processor's cycle counter.
#[inline]
pub fn tsc() -> u64 {
    // SAFETY: reads a register; no precondition.
    unsafe { dpdk_sys::shim_tsc() }
}

/// Cycles of [`tsc`] in a second; 0 before DPDK has been started.
pub fn tsc_hz() -> u64 {
    // SAFETY: reads a variable that `rte_eal_init` sets; no precondition.
    unsafe { dpdk_sys::rte_get_tsc_hz() }
}
