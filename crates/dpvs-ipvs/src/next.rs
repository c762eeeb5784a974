// SPDX-License-Identifier: MIT OR Apache-2.0
//! The functions that ours stand in front of: the C library's.
//!
//! They must be called through here: by their names, one would find ours.

use libc::{
    FILE, c_char, c_int, c_void, msghdr, pid_t, posix_spawn_file_actions_t, posix_spawnattr_t,
    size_t, sockaddr, socklen_t, ssize_t,
};
use std::ffi::CStr;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Finds a function once. Threads that look for it at the same time find the same.
fn find(place: &AtomicPtr<c_void>, name: &CStr) -> *mut c_void {
    let mut found = place.load(Ordering::Relaxed);
    if found.is_null() {
        // SAFETY: the name ends with a zero byte.
        found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
        place.store(found, Ordering::Relaxed);
    }
    found
}

macro_rules! next {
    ($( $name:ident($($argument:ident: $type:ty),*) -> $result:ty, else $failure:expr; )+) => { $(
        /// Calls the C library's function of this name.
        ///
        /// # Safety
        /// As for that function.
        pub(crate) unsafe fn $name($($argument: $type),*) -> $result {
            static PLACE: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
            const NAME: &CStr = match CStr::from_bytes_with_nul(
                concat!(stringify!($name), "\0").as_bytes(),
            ) {
                Ok(name) => name,
                Err(_) => panic!("a name without its end"),
            };
            let found = find(&PLACE, NAME);
            if found.is_null() {
                crate::errno::set(libc::ENOSYS);
                return $failure;
            }
            // SAFETY: this is the C library's function of this name, whose type this is.
            let function = unsafe {
                std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($type),*) -> $result>(
                    found,
                )
            };
            // SAFETY: the caller answers for the arguments.
            unsafe { function($($argument),*) }
        }
    )+ };
}

/// The words of a command line or of the environment, with a null at the end.
pub(crate) type Words = *const *const c_char;
/// What `posix_spawn` is to do before the program starts.
pub(crate) type Actions = *const posix_spawn_file_actions_t;
/// What the program is to be like.
pub(crate) type Attributes = *const posix_spawnattr_t;

next! {
    socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int, else -1;
    bind(fd: c_int, address: *const sockaddr, len: socklen_t) -> c_int, else -1;
    getsockname(fd: c_int, address: *mut sockaddr, len: *mut socklen_t) -> c_int, else -1;
    setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, len: socklen_t) -> c_int, else -1;
    getsockopt(fd: c_int, level: c_int, name: c_int, value: *mut c_void, len: *mut socklen_t) -> c_int, else -1;
    sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t, else -1;
    sendto(fd: c_int, bytes: *const c_void, len: size_t, flags: c_int, address: *const sockaddr, address_len: socklen_t) -> ssize_t, else -1;
    recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t, else -1;
    fopen(path: *const c_char, mode: *const c_char) -> *mut FILE, else ptr::null_mut();
    fopen64(path: *const c_char, mode: *const c_char) -> *mut FILE, else ptr::null_mut();
    execv(path: *const c_char, arguments: Words) -> c_int, else -1;
    execve(path: *const c_char, arguments: Words, environment: Words) -> c_int, else -1;
    execvp(file: *const c_char, arguments: Words) -> c_int, else -1;
    execvpe(file: *const c_char, arguments: Words, environment: Words) -> c_int, else -1;
    posix_spawn(pid: *mut pid_t, path: *const c_char, actions: Actions, attributes: Attributes, arguments: Words, environment: Words) -> c_int, else libc::ENOSYS;
    posix_spawnp(pid: *mut pid_t, file: *const c_char, actions: Actions, attributes: Attributes, arguments: Words, environment: Words) -> c_int, else libc::ENOSYS;
}
