// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's IPVS is not loaded: a program that would load it is not started.
//!
//! Programs run `/sbin/modprobe -- ip_vs` when nobody answers. They get "no such file" here. Where
//! the way there is another one, as through a shell, the loader itself has this library in it, and
//! ends before its first line.

use crate::next::{Actions, Attributes, Words};
use crate::{door, errno, next};
use libc::{c_char, c_int, pid_t};
use std::ffi::CStr;

/// Names of programs that load modules.
const LOADERS: [&[u8]; 3] = [b"modprobe", b"insmod", b"kmod"];
/// Most words of a command line that are looked at.
const WORDS_MAX: usize = 256;

fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

fn is_loader(path: &[u8]) -> bool {
    let name = base_name(path);
    LOADERS.iter().any(|loader| name.starts_with(loader))
}

/// Returns whether a word names the module `ip_vs` or one that needs it, or its file. The kernel
/// takes `-` for `_`.
fn is_ipvs(word: &[u8]) -> bool {
    let name = base_name(word);
    matches!(name, [b'i', b'p', b'_' | b'-', b'v', b's', rest @ ..]
        if rest.first().is_none_or(|next| matches!(next, b'_' | b'-' | b'.')))
}

/// Returns whether a command line loads the kernel's IPVS.
///
/// # Safety
/// The path is null or ends with a zero byte; the words are null, or as for `execv`.
unsafe fn loads_ipvs(path: *const c_char, words: *const *const c_char) -> bool {
    if path.is_null() || words.is_null() {
        return false;
    }
    // SAFETY: it is not null, and the caller answers for its end.
    if !is_loader(unsafe { CStr::from_ptr(path) }.to_bytes()) {
        return false;
    }
    for at in 0..WORDS_MAX {
        // SAFETY: all words before this one were there, so this one or the null at the end is.
        let place = unsafe { words.add(at) };
        // SAFETY: as before.
        let word = unsafe { *place };
        if word.is_null() {
            return false;
        }
        // SAFETY: it is not null, and the caller answers for its end.
        if is_ipvs(unsafe { CStr::from_ptr(word) }.to_bytes()) {
            return true;
        }
    }
    false
}

/// The calls that start a program, which do not start one that loads the kernel's IPVS. `$refusal`
/// tells it as the call tells its errors.
macro_rules! starts {
    ($( $name:ident($($argument:ident: $type:ty),*) by ($path:ident, $words:ident) else $refusal:expr; )+) => { $(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),*) -> c_int {
            // SAFETY: the caller's path and words are those of the call.
            if unsafe { loads_ipvs($path, $words) } {
                return $refusal;
            }
            // SAFETY: the caller answers for the arguments.
            unsafe { next::$name($($argument),*) }
        }
    )+ };
}

starts! {
    execv(path: *const c_char, words: Words) by (path, words) else errno::fail(libc::ENOENT);
    execve(path: *const c_char, words: Words, environment: Words) by (path, words) else errno::fail(libc::ENOENT);
    execvp(file: *const c_char, words: Words) by (file, words) else errno::fail(libc::ENOENT);
    execvpe(file: *const c_char, words: Words, environment: Words) by (file, words) else errno::fail(libc::ENOENT);
    posix_spawn(pid: *mut pid_t, path: *const c_char, actions: Actions, attributes: Attributes, words: Words, environment: Words) by (path, words) else libc::ENOENT;
    posix_spawnp(pid: *mut pid_t, file: *const c_char, actions: Actions, attributes: Attributes, words: Words, environment: Words) by (file, words) else libc::ENOENT;
}

/// Runs before the program: the C library gives it the program's arguments.
#[used]
#[unsafe(link_section = ".init_array")]
static START: unsafe extern "C" fn(c_int, *const *const c_char) = start;

unsafe extern "C" fn start(_count: c_int, words: *const *const c_char) {
    let mut path = [0; 256];
    let link = c"/proc/self/exe".as_ptr();
    // SAFETY: the buffer has the length that is given.
    let len = unsafe { libc::readlink(link, path.as_mut_ptr(), path.len() - 1) };
    if len <= 0 {
        return;
    }
    // SAFETY: the path ends with a zero byte, as one byte less was filled than there is room; the
    // words are those of the program, as for `execv`.
    if unsafe { loads_ipvs(path.as_ptr(), words) } {
        door::say(&[b"not loading the kernel's ip_vs: dpvs takes its place"]);
        // SAFETY: it has no preconditions; nothing of the program has run that would need an end.
        unsafe { libc::_exit(1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_ipvs_are_known_by_name_and_by_file() {
        for word in [&b"ip_vs"[..], b"ip-vs", b"ip_vs_rr", b"/lib/modules/x/ip_vs.ko.xz"] {
            assert!(is_ipvs(word), "{}", String::from_utf8_lossy(word));
        }
        for word in [&b"ip_vsx"[..], b"ip_set", b"-s", b"", b"xip_vs"] {
            assert!(!is_ipvs(word), "{}", String::from_utf8_lossy(word));
        }
    }

    #[test]
    fn loaders_are_known_wherever_they_are() {
        for path in [&b"/sbin/modprobe"[..], b"modprobe", b"/usr/bin/kmod", b"insmod"] {
            assert!(is_loader(path));
        }
        assert!(!is_loader(b"/usr/bin/grep"));
    }

    #[test]
    fn a_command_line_that_loads_ipvs_is_told_from_others() {
        let line = |words: &[&CStr]| {
            let mut pointers: Vec<_> = words.iter().map(|word| word.as_ptr()).collect();
            pointers.push(std::ptr::null());
            // SAFETY: all words end with a zero byte, and the list with a null.
            unsafe { loads_ipvs(words[0].as_ptr(), pointers.as_ptr()) }
        };
        assert!(line(&[c"/sbin/modprobe", c"--", c"ip_vs"]));
        assert!(line(&[c"modprobe", c"-va", c"xt_set", c"ip_vs_sh"]));
        assert!(!line(&[c"/sbin/modprobe", c"--", c"xt_set"]));
        assert!(!line(&[c"grep", c"ip_vs"]));
    }
}
