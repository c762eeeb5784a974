// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/proc/net/ip_vs_conn` from the daemon. The other files of the kernel's IPVS are not there.

use crate::{door, errno, next};
use libc::{FILE, SOCK_CLOEXEC, c_char, c_int};
use std::ffi::CStr;
use std::ptr;

/// The file that is made here.
const CONNECTIONS: &[u8] = b"/proc/net/ip_vs_conn";
/// What else the kernel's IPVS has there.
const HIDDEN: [&[u8]; 2] = [b"/proc/net/ip_vs", b"/proc/sys/net/ipv4/vs/"];

/// Asks for the text of all connections, by a command of the family that the kernel does not have:
/// `nlmsghdr` with a dump, and the generic header of command 64, version 1.
const ASK: [u8; 20] = [20, 0, 0, 0, 0x1c, 0, 0x01, 0x03, 1, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0];
/// The family's number, and that of the end of a listing.
const TYPE_FAMILY: u16 = 0x1c;
const TYPE_DONE: u16 = 3;
/// Longest packet of the daemon.
const PACKET_LEN_MAX: usize = 16 << 10;
/// Where the text of a message begins: after both headers and the attribute's own.
const TEXT_AT: usize = 24;
const ATTRIBUTE_AT: usize = 20;

/// What a path names.
enum Named {
    Connections,
    Hidden,
    Other,
}

/// # Safety
/// The path is null or ends with a zero byte.
unsafe fn named(path: *const c_char) -> Named {
    if path.is_null() {
        return Named::Other;
    }
    // SAFETY: it is not null, and the caller answers for its end.
    let path = unsafe { CStr::from_ptr(path) }.to_bytes();
    if path == CONNECTIONS {
        Named::Connections
    } else if HIDDEN.iter().any(|hidden| path.starts_with(hidden)) {
        Named::Hidden
    } else {
        Named::Other
    }
}

/// The calls that open a file.
macro_rules! opens {
    ($($name:ident)+) => { $(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(path: *const c_char, mode: *const c_char) -> *mut FILE {
            // SAFETY: the caller's path is that of the call.
            match unsafe { named(path) } {
                Named::Connections => connections(),
                Named::Hidden => missing(),
                // SAFETY: the caller answers for the arguments.
                Named::Other => unsafe { next::$name(path, mode) },
            }
        }
    )+ };
}

opens! { fopen fopen64 }

fn missing() -> *mut FILE {
    errno::set(libc::ENOENT);
    ptr::null_mut()
}

/// Makes a file in memory of what the daemon lists. One that is not whole is none.
fn connections() -> *mut FILE {
    let daemon = door::open(SOCK_CLOEXEC);
    if daemon < 0 {
        return ptr::null_mut();
    }
    // SAFETY: the name ends with a zero byte.
    let file = unsafe { libc::memfd_create(c"ip_vs_conn".as_ptr(), libc::MFD_CLOEXEC) };
    let is_whole = file >= 0 && fill(daemon, file);
    // SAFETY: the descriptor is ours, and is not used after this.
    unsafe { libc::close(daemon) };
    if file < 0 {
        return ptr::null_mut();
    }
    // SAFETY: it moves a position in a file of ours.
    if is_whole && unsafe { libc::lseek(file, 0, libc::SEEK_SET) } == 0 {
        // SAFETY: the descriptor is ours, and belongs to the stream from now on.
        return unsafe { libc::fdopen(file, c"r".as_ptr()) };
    }
    // SAFETY: the descriptor is ours, and is not used after this.
    unsafe { libc::close(file) };
    errno::set(libc::EIO);
    ptr::null_mut()
}

/// Copies all texts of the listing; returns whether it has come to its end.
fn fill(daemon: c_int, file: c_int) -> bool {
    let (bytes, len) = (ASK.as_ptr().cast(), ASK.len());
    // SAFETY: the bytes have this length.
    if unsafe { libc::send(daemon, bytes, len, libc::MSG_NOSIGNAL) } < 0 {
        return false;
    }
    let mut packet = [0; PACKET_LEN_MAX];
    loop {
        // SAFETY: the packet has room for so many bytes.
        let len = unsafe { libc::recv(daemon, packet.as_mut_ptr().cast(), packet.len(), 0) };
        let Some(mut rest) = usize::try_from(len).ok().and_then(|len| packet.get(..len)) else {
            return false;
        };
        if rest.is_empty() {
            return false;
        }
        while !rest.is_empty() {
            let Some((message, kind)) = take(&mut rest) else { return false };
            match kind {
                TYPE_DONE => return true,
                TYPE_FAMILY if !text(message).is_some_and(|text| write_all(file, text)) => {
                    return false;
                }
                TYPE_FAMILY => {}
                _ => return false,
            }
        }
    }
}

/// Takes the next message of a packet, with its type.
fn take<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], u16)> {
    let len = u32::from_ne_bytes(*rest.first_chunk()?);
    let len = usize::try_from(len).ok().filter(|len| *len >= 16)?;
    let kind = u16::from_ne_bytes(*rest.get(4..)?.first_chunk()?);
    let message = rest.get(..len)?;
    *rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    Some((message, kind))
}

/// Returns the text in a message's only attribute.
fn text(message: &[u8]) -> Option<&[u8]> {
    let len = u16::from_ne_bytes(*message.get(ATTRIBUTE_AT..)?.first_chunk()?);
    message.get(TEXT_AT..ATTRIBUTE_AT + usize::from(len))
}

fn write_all(file: c_int, mut text: &[u8]) -> bool {
    while !text.is_empty() {
        // SAFETY: the text has this length.
        let len = unsafe { libc::write(file, text.as_ptr().cast(), text.len()) };
        let Some(rest) = usize::try_from(len).ok().and_then(|len| text.get(len..)) else {
            return false;
        };
        text = rest;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_packet_are_taken_one_by_one() {
        let mut packet = Vec::new();
        packet.extend_from_slice(&[27, 0, 0, 0, 0x1c, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        packet.extend_from_slice(&[64, 1, 0, 0, 7, 0, 1, 0, b'a', b'b', b'\n', 0]);
        packet.extend_from_slice(&[20, 0, 0, 0, 3, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let mut rest = &packet[..];
        let (message, kind) = take(&mut rest).unwrap();
        assert_eq!((kind, text(message)), (0x1c, Some(&b"ab\n"[..])));
        assert_eq!(take(&mut rest).unwrap().1, 3);
        assert!(rest.is_empty());
    }

    #[test]
    fn a_message_that_is_longer_than_its_packet_is_none() {
        for packet in [&[17, 0, 0, 0, 3, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0][..], &[15, 0, 0, 0, 3, 0]]
        {
            assert!(take(&mut { packet }).is_none());
        }
    }
}
