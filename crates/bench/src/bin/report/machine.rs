// SPDX-License-Identifier: MIT OR Apache-2.0
//! What it was measured on.

use std::fs;
use std::process::Command;

/// A sentence about the machine, the system, and what was measured.
pub(crate) fn describe() -> String {
    let cpu =
        field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    let gib = memory.trim_end_matches(" kB").parse::<u64>().unwrap_or(0) >> 20;
    let kernel = said("uname", &["-sr"]);
    let dpdk = said("pkg-config", &["--modversion", "libdpdk"]);
    let commit = said("git", &["rev-parse", "--short=12", "HEAD"]);
    let date = said("date", &["-u", "+%Y-%m-%d"]);
    format!(
        "Measured on {date} at commit {commit}: {processors} processors of {cpu}, {gib} GiB, {kernel}, DPDK {dpdk}."
    )
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}
