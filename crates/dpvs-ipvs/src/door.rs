// SPDX-License-Identifier: MIT OR Apache-2.0
//! The daemon's door: where it is, how one gets in, and which descriptors lead there.

use crate::{errno, next};
use libc::{
    AF_UNIX, SO_DOMAIN, SO_RCVTIMEO, SO_SNDTIMEO, SO_TYPE, SOCK_CLOEXEC, SOCK_NONBLOCK,
    SOCK_SEQPACKET, SOL_SOCKET, c_char, c_int, c_void, sockaddr, sockaddr_un, socklen_t, timeval,
};
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where the door is, unless the environment says otherwise.
const PATH_DEFAULT: &[u8] = b"/run/dpvs/ipvs.sock";
/// Its name beside the daemon's other socket.
const NAME: &[u8] = b"ipvs.sock";
/// How long the daemon may take to answer: a program that waits for ever cannot be stopped well.
static PATIENCE: timeval = timeval { tv_sec: 30, tv_usec: 0 };
/// Room for a path and its end.
const PATH_LEN_MAX: usize = 107;

/// A path to the door, ready for the kernel.
pub(crate) struct Path {
    bytes: [u8; PATH_LEN_MAX + 1],
    len: usize,
}

impl Path {
    /// Finds it: `DPVS_IPVS_SOCKET`, or beside `DPVS_SOCKET`, or the usual place.
    pub(crate) fn find() -> Path {
        let mut path = Path { bytes: [0; PATH_LEN_MAX + 1], len: 0 };
        if let Some(given) = variable(c"DPVS_IPVS_SOCKET") {
            path.add(given);
        } else if let Some(other) = variable(c"DPVS_SOCKET") {
            let directory = other.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
            path.add(other.get(..directory).unwrap_or_default());
            path.add(NAME);
        } else {
            path.add(PATH_DEFAULT);
        }
        path
    }

    /// Adds to it as much as fits.
    fn add(&mut self, text: &[u8]) {
        let room = self.bytes.get_mut(self.len..PATH_LEN_MAX).unwrap_or_default();
        for (place, byte) in room.iter_mut().zip(text) {
            *place = *byte;
            self.len += 1;
        }
    }

    fn text(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn address(&self) -> sockaddr_un {
        let family = libc::sa_family_t::try_from(AF_UNIX).unwrap_or_default();
        let mut address = sockaddr_un { sun_family: family, sun_path: [0; PATH_LEN_MAX + 1] };
        for (place, byte) in address.sun_path.iter_mut().zip(self.text()) {
            *place = c_char::from_ne_bytes([*byte]);
        }
        address
    }
}

/// Reads an environment variable; an empty one counts as missing.
fn variable(name: &CStr) -> Option<&'static [u8]> {
    // SAFETY: the name ends with a zero byte.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: it ends with a zero byte, and stays while nobody changes the environment, which a
    // program with threads must not do anyway.
    let value = unsafe { CStr::from_ptr(value) }.to_bytes();
    (!value.is_empty()).then_some(value)
}

/// Returns the length of a type as the kernel takes it.
pub(crate) fn len_of<T>() -> socklen_t {
    socklen_t::try_from(size_of::<T>()).unwrap_or_default()
}

/// Connects to the door; `kind` has the flags of a socket's type. Says why if nobody is there.
pub(crate) fn open(kind: c_int) -> c_int {
    let kind = SOCK_SEQPACKET | (kind & SOCK_CLOEXEC);
    // SAFETY: it has no preconditions.
    let fd = unsafe { next::socket(AF_UNIX, kind, 0) };
    if fd < 0 {
        return fd;
    }
    for limit in [SO_RCVTIMEO, SO_SNDTIMEO] {
        let value = (&raw const PATIENCE).cast::<c_void>();
        // SAFETY: the value is a `timeval`, which these options take. Without it one waits longer.
        unsafe { next::setsockopt(fd, SOL_SOCKET, limit, value, len_of::<timeval>()) };
    }
    let path = Path::find();
    let address = path.address();
    let pointer = (&raw const address).cast::<sockaddr>();
    // SAFETY: the address is a whole `sockaddr_un`, of the length that is given.
    if unsafe { libc::connect(fd, pointer, len_of::<sockaddr_un>()) } == 0 {
        return fd;
    }
    let reason = errno::last();
    // SAFETY: the descriptor is ours, and is not used after this.
    unsafe { libc::close(fd) };
    complain(&path, reason);
    errno::fail(reason)
}

/// Makes a descriptor not wait, if the flags of a socket's type say so.
pub(crate) fn apply_nonblock(fd: c_int, kind: c_int) -> c_int {
    if fd >= 0 && kind & SOCK_NONBLOCK != 0 {
        // SAFETY: it changes a flag of a descriptor that was just made.
        unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) };
    }
    fd
}

/// Connects a descriptor anew, whose other end has gone; returns whether that worked. A program may
/// keep its socket for as long as it runs, and must not be lost with a daemon that was restarted.
pub(crate) fn reopen(fd: c_int) -> bool {
    // SAFETY: it reads flags.
    let status = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    // SAFETY: it reads flags.
    let own = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    let flags = if own & libc::FD_CLOEXEC == 0 { 0 } else { libc::O_CLOEXEC };
    let new = apply_nonblock(open(SOCK_CLOEXEC), status & libc::O_NONBLOCK);
    if new < 0 {
        return false;
    }
    // SAFETY: the new descriptor is ours, and the old one leads to nobody.
    let result = unsafe { libc::dup3(new, fd, flags) };
    // SAFETY: the descriptor is ours, and is not used after this.
    unsafe { libc::close(new) };
    result == fd
}

/// Says once why the door is shut. Most programs only say then that there is no IPVS.
fn complain(path: &Path, reason: c_int) {
    static HAS_COMPLAINED: AtomicBool = AtomicBool::new(false);
    if HAS_COMPLAINED.swap(true, Ordering::Relaxed) {
        return;
    }
    let mut text = [0; 128];
    // SAFETY: the buffer has the length that is given; what is written ends with a zero byte.
    let status = unsafe { libc::strerror_r(reason, text.as_mut_ptr(), text.len()) };
    // SAFETY: the buffer has been filled up to a zero byte, or has been zero all over.
    let text = unsafe { CStr::from_ptr(text.as_ptr()) }.to_bytes();
    let text = if status == 0 { text } else { b"unknown error" };
    say(&[b"cannot connect to dpvs at ", path.text(), b": ", text]);
}

/// Writes a line to standard error, in one piece.
pub(crate) fn say(parts: &[&[u8]]) {
    let mut line = [0; 400];
    let all = [&b"libdpvs_ipvs: "[..]].into_iter().chain(parts.iter().copied()).chain([&b"\n"[..]]);
    let mut len = 0;
    for (place, byte) in line.iter_mut().zip(all.flatten()) {
        *place = *byte;
        len += 1;
    }
    // SAFETY: `len` bytes of the line are filled. Whoever has closed standard error gets nothing.
    unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), len) };
}

/// Asks for an option of a socket that is a number.
fn option(fd: c_int, name: c_int) -> Option<c_int> {
    let mut value: c_int = 0;
    let mut len = len_of::<c_int>();
    let pointer = (&raw mut value).cast::<c_void>();
    // SAFETY: the value is an `int`, and the length is that of one.
    let status = unsafe { next::getsockopt(fd, SOL_SOCKET, name, pointer, &raw mut len) };
    (status == 0).then_some(value)
}

/// Returns whether a descriptor leads to the door. Leaves `errno` as it is.
pub(crate) fn leads_there(fd: c_int) -> bool {
    let kept = errno::last();
    let is_it = option(fd, SO_DOMAIN) == Some(AF_UNIX)
        && option(fd, SO_TYPE) == Some(SOCK_SEQPACKET)
        && has_peer(fd, &Path::find());
    errno::set(kept);
    is_it
}

fn has_peer(fd: c_int, path: &Path) -> bool {
    let mut address = Path { bytes: [0; PATH_LEN_MAX + 1], len: 0 }.address();
    let mut len = len_of::<sockaddr_un>();
    let pointer = (&raw mut address).cast::<sockaddr>();
    // SAFETY: the address has room for a `sockaddr_un`, and the length is that of one.
    let status = unsafe { libc::getpeername(fd, pointer, &raw mut len) };
    status == 0 && address.sun_path == path.address().sun_path
}
