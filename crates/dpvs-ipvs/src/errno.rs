// SPDX-License-Identifier: MIT OR Apache-2.0
//! The caller's `errno`.

use libc::c_int;

/// Sets `errno`.
pub(crate) fn set(value: c_int) {
    // SAFETY: it has no preconditions and returns this thread's own.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: `place` is valid for writes for as long as this thread lives.
    unsafe { *place = value };
}

/// Returns `errno`.
pub(crate) fn last() -> c_int {
    // SAFETY: it has no preconditions and returns this thread's own.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: `place` is valid for reads for as long as this thread lives.
    unsafe { *place }
}

/// Sets `errno` and returns what a system call returns then.
pub(crate) fn fail(value: c_int) -> c_int {
    set(value);
    -1
}
