// SPDX-License-Identifier: MIT OR Apache-2.0
//! The calls of sockets: a generic netlink socket leads to the daemon and looks like itself.

use crate::door::{self, len_of};
use crate::{errno, next};
use libc::{
    AF_NETLINK, IPPROTO_IP, MSG_NOSIGNAL, NETLINK_GENERIC, SOL_NETLINK, c_int, c_void, msghdr,
    size_t, sockaddr, sockaddr_nl, socklen_t, ssize_t,
};
use std::ops::RangeInclusive;
use std::ptr;

/// The socket options through which the kernel's IPVS can be configured without netlink.
const IPVS_OPTIONS: RangeInclusive<c_int> = 1152..=1167;

fn is_ipvs_option(level: c_int, name: c_int) -> bool {
    level == IPPROTO_IP && IPVS_OPTIONS.contains(&name)
}

/// Returns whether an address is one of netlink.
///
/// # Safety
/// The address is null, or valid for reads of `len` bytes.
unsafe fn is_netlink(address: *const sockaddr, len: socklen_t) -> bool {
    if address.is_null() || len < len_of::<libc::sa_family_t>() {
        return false;
    }
    // SAFETY: the caller answers for it, and the family comes first. It may lie anywhere.
    let family = unsafe { address.cast::<libc::sa_family_t>().read_unaligned() };
    c_int::from(family) == AF_NETLINK
}

/// Writes an address of netlink where there is room for one; returns whether there is.
///
/// # Safety
/// The address is null, or valid for writes of `room` bytes.
unsafe fn write_netlink(address: *mut c_void, room: socklen_t, pid: u32) -> bool {
    if address.is_null() || room < len_of::<sockaddr_nl>() {
        return false;
    }
    // SAFETY: all its fields are numbers, for which zero is a value.
    let mut own: sockaddr_nl = unsafe { std::mem::zeroed() };
    own.nl_family = libc::sa_family_t::try_from(AF_NETLINK).unwrap_or_default();
    own.nl_pid = pid;
    // SAFETY: there is room, as has been checked; the place may lie anywhere.
    unsafe { address.cast::<sockaddr_nl>().write_unaligned(own) };
    true
}

#[unsafe(no_mangle)]
unsafe extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    if domain == AF_NETLINK && protocol == NETLINK_GENERIC {
        return door::apply_nonblock(door::open(kind), kind);
    }
    // SAFETY: it has no preconditions.
    unsafe { next::socket(domain, kind, protocol) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bind(fd: c_int, address: *const sockaddr, len: socklen_t) -> c_int {
    // SAFETY: the caller gives an address of this length.
    if unsafe { is_netlink(address, len) } && door::leads_there(fd) {
        return 0;
    }
    // SAFETY: the caller answers for the arguments.
    unsafe { next::bind(fd, address, len) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getsockname(fd: c_int, address: *mut sockaddr, len: *mut socklen_t) -> c_int {
    if !len.is_null() && door::leads_there(fd) {
        // SAFETY: it is not null, and the caller answers for the rest.
        let room = unsafe { *len };
        let pid = std::process::id();
        // SAFETY: the caller gives an address with room for so many bytes.
        if unsafe { write_netlink(address.cast(), room, pid) } {
            // SAFETY: as for the read before.
            unsafe { *len = len_of::<sockaddr_nl>() };
            return 0;
        }
    }
    // SAFETY: the caller answers for the arguments.
    unsafe { next::getsockname(fd, address, len) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn setsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    len: socklen_t,
) -> c_int {
    if is_ipvs_option(level, name) {
        return errno::fail(libc::ENOPROTOOPT);
    }
    if level == SOL_NETLINK && door::leads_there(fd) {
        return 0;
    }
    // SAFETY: the caller answers for the arguments.
    unsafe { next::setsockopt(fd, level, name, value, len) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut socklen_t,
) -> c_int {
    if is_ipvs_option(level, name) {
        return errno::fail(libc::ENOPROTOOPT);
    }
    // SAFETY: the caller answers for the arguments.
    unsafe { next::getsockopt(fd, level, name, value, len) }
}

/// Sends, and once more to a new daemon if the old one has gone.
fn send_to_daemon(fd: c_int, send: impl Fn() -> ssize_t) -> ssize_t {
    let is_gone = || matches!(errno::last(), libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN);
    let result = send();
    if result >= 0 || !is_gone() {
        return result;
    }
    if door::reopen(fd) {
        return send();
    }
    errno::set(libc::ECONNRESET);
    -1
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    if !message.is_null() {
        // SAFETY: it is not null, and the caller answers for the rest.
        let mut own = unsafe { message.read() };
        // SAFETY: the caller gives a name of this length.
        if unsafe { is_netlink(own.msg_name.cast(), own.msg_namelen) } && door::leads_there(fd) {
            own.msg_name = ptr::null_mut();
            own.msg_namelen = 0;
            own.msg_control = ptr::null_mut();
            own.msg_controllen = 0;
            let flags = flags | MSG_NOSIGNAL;
            // SAFETY: the parts are the caller's, who answers for them.
            return send_to_daemon(fd, || unsafe { next::sendmsg(fd, &raw const own, flags) });
        }
    }
    // SAFETY: the caller answers for the arguments.
    unsafe { next::sendmsg(fd, message, flags) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sendto(
    fd: c_int,
    bytes: *const c_void,
    len: size_t,
    flags: c_int,
    address: *const sockaddr,
    address_len: socklen_t,
) -> ssize_t {
    // SAFETY: the caller gives an address of this length.
    if unsafe { is_netlink(address, address_len) } && door::leads_there(fd) {
        let flags = flags | MSG_NOSIGNAL;
        // SAFETY: the caller answers for the bytes; there is no address.
        return send_to_daemon(fd, || unsafe {
            next::sendto(fd, bytes, len, flags, ptr::null(), 0)
        });
    }
    // SAFETY: the caller answers for the arguments.
    unsafe { next::sendto(fd, bytes, len, flags, address, address_len) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
    // SAFETY: a null pointer is not read; the caller answers for any other.
    let room = if message.is_null() { 0 } else { unsafe { (*message).msg_namelen } };
    // SAFETY: the caller answers for the arguments.
    let result = unsafe { next::recvmsg(fd, message, flags) };
    if result < 0 || !door::leads_there(fd) {
        return result;
    }
    if result == 0 {
        // Netlink has no end: a program would take this for an answer without an error.
        errno::set(libc::ECONNRESET);
        return -1;
    }
    // SAFETY: the kernel has filled it, so it is valid, and nobody else uses it meanwhile.
    let own = unsafe { &mut *message };
    own.msg_controllen = 0;
    // SAFETY: the caller gives a name with room for so many bytes.
    if unsafe { write_netlink(own.msg_name, room, 0) } {
        own.msg_namelen = len_of::<sockaddr_nl>();
    }
    result
}
