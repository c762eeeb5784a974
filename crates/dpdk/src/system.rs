// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the machine and the process have, read from `/proc` and `/sys`.

use std::{fs, path::Path};

/// Bit of `CAP_NET_ADMIN` in a capability set.
pub(crate) const CAP_NET_ADMIN: u32 = 12;
/// Bit of `CAP_NET_RAW` in a capability set.
pub(crate) const CAP_NET_RAW: u32 = 13;

/// Whether the interface exists in this thread's network namespace.
///
/// `/sys/class/net` would show the namespace that `/sys` was mounted in.
pub(crate) fn interface_exists(name: &str) -> bool {
    nix::net::if_::if_nametoindex(name).is_ok()
}

/// The name of the interface with this index.
pub(crate) fn interface_name(index: u32) -> Option<String> {
    let name = (index != 0).then(|| nix::net::if_::if_indextoname(index).ok()).flatten()?;
    name.into_string().ok()
}

/// Whether the process has a capability; true when that cannot be told, for the kernel will say.
pub(crate) fn has_capability(bit: u32) -> bool {
    let effective = status_field("CapEff:").and_then(|text| u64::from_str_radix(&text, 16).ok());
    effective.is_none_or(|set| set & (1 << bit) != 0)
}

/// The CPUs this thread may run on, as `0-3,8`.
pub(crate) fn allowed_cpus() -> Option<String> {
    status_field("Cpus_allowed_list:").filter(|list| !list.is_empty())
}

fn status_field(name: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/thread-self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().to_owned())
}

/// MiB of free hugepages of all sizes.
pub fn free_hugepages_mb() -> u64 {
    hugepages_mb(Path::new("/sys/kernel/mm/hugepages"))
}

fn hugepages_mb(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let kilobytes = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let size: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
        let free = fs::read_to_string(entry.path().join("free_hugepages")).ok()?;
        size.checked_mul(free.trim().parse().ok()?)
    });
    kilobytes.fold(0, u64::saturating_add) / 1024
}

/// Whether a shared library whose file name starts with `name` is loaded.
pub(crate) fn is_library_loaded(name: &str) -> bool {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    maps.lines()
        .filter_map(|line| line.rsplit('/').next())
        .any(|file| file.strip_prefix(name).is_some_and(|rest| rest.starts_with(".so")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_hugepages_of_all_sizes_are_added() {
        let root = tempfile::tempdir().unwrap();
        for (size, free) in [("hugepages-2048kB", "3\n"), ("hugepages-1048576kB", "1\n")] {
            fs::create_dir(root.path().join(size)).unwrap();
            fs::write(root.path().join(size).join("free_hugepages"), free).unwrap();
        }
        fs::create_dir(root.path().join("other")).unwrap();
        assert_eq!(hugepages_mb(root.path()), 1024 + 6);
        assert_eq!(hugepages_mb(&root.path().join("absent")), 0);
    }

    #[test]
    fn this_process_has_cpus_and_the_loopback_interface() {
        assert!(allowed_cpus().is_some());
        assert!(interface_exists("lo"));
        assert!(!interface_exists("no-such-if"));
        assert_eq!(interface_name(0), None);
    }
}
