// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much memory goes into what, computed from the machine and the configuration.

use crate::config::Config;
use crate::handoff;
use dpdk::{HEADROOM, PortSpec};

/// Share of the available memory that the connection tables may take by default.
const CONNECTIONS_SHARE: u64 = 8;

/// Memory of a connection, with its places in the index and its timer.
const CONNECTION_BYTES: u64 = 256;

/// Connections of a worker by default, at least and at most.
const CONNECTIONS_MIN: u64 = 65_536;
const CONNECTIONS_MAX: u64 = 4_194_304;

/// Shortest frame that must fit into a buffer, whatever the MTU: room for tunnels and tags.
const FRAME_LEN_MIN: u32 = 2048;

/// What a frame has beside its IP packet: Ethernet, two VLAN tags, an outer IPv6 header.
const FRAME_OVERHEAD: u32 = 14 + 8 + 40;

/// What the kernel needs of an `af_packet` slot.
const AF_PACKET_HEADER_LEN: u32 = 52;

/// Descriptors of a queue where the configuration does not say: the driver's default is not known
/// before the port is open.
const DESC_DEFAULT: u32 = 1024;

/// Buffers that one worker keeps in its pool's cache.
pub(crate) const CACHE: u32 = 256;

/// Frames of one worker that wait for neighbours, at most; a few bursts are in its hands.
const WAITING: u32 = 256 + 128;

/// What DPDK keeps beside the bytes of each buffer.
const BUFFER_OVERHEAD: u64 = 256;

/// Smallest page of the machine. A pool in such pages first asks for whole pages for each buffer;
/// it uses less, but what it was given is gone for queues and ports that come after it.
const PAGE_BYTES: u64 = 4096;

/// Memory for descriptor rings and DPDK itself.
const MEMORY_BASE_MB: u64 = 64;

/// What was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Connections of each worker.
    pub(crate) connections: usize,
    /// Packet buffers in all.
    pub(crate) buffers: u32,
    /// Bytes of a buffer for a frame.
    pub(crate) frame_len_max: u16,
    /// MiB for DPDK.
    pub(crate) memory_mb: u32,
}

impl Sizes {
    /// Computes the sizes on a machine with so many bytes of memory available.
    pub(crate) fn compute(config: &Config, available: u64) -> Self {
        let frame_len_max = frame_len_max(config);
        let buffers = config.dataplane.buffers.unwrap_or_else(|| buffers(config));
        Sizes {
            connections: config
                .dataplane
                .connections
                .unwrap_or_else(|| connections(config, available)),
            buffers,
            frame_len_max,
            memory_mb: config
                .dataplane
                .memory_mb
                .unwrap_or_else(|| memory_mb(buffers, frame_len_max)),
        }
    }

    /// Bytes of each buffer, headroom included.
    pub(crate) fn data_room(&self) -> u16 {
        self.frame_len_max.saturating_add(HEADROOM)
    }

    /// Bytes of everything that is taken at the start.
    pub(crate) fn total_bytes(&self, workers: usize) -> u64 {
        let connections = u64::try_from(self.connections.saturating_mul(workers));
        (u64::from(self.memory_mb) << 20)
            .saturating_add(connections.unwrap_or(u64::MAX).saturating_mul(CONNECTION_BYTES))
    }
}

fn connections(config: &Config, available: u64) -> usize {
    let workers = u64::try_from(config.dataplane.workers.max(1)).unwrap_or(1);
    let count = available / CONNECTIONS_SHARE / workers / CONNECTION_BYTES;
    usize::try_from(count.clamp(CONNECTIONS_MIN, CONNECTIONS_MAX)).unwrap_or(usize::MAX)
}

/// The longest frame of any port, and for `af_packet` a power of two that it fits into with the
/// kernel's header.
fn frame_len_max(config: &Config) -> u16 {
    let mtus = config.ports.iter().filter_map(|port| port.mtu);
    let longest = mtus.map(|mtu| u32::from(mtu) + FRAME_OVERHEAD).fold(FRAME_LEN_MIN, u32::max);
    let is_slot = |port: &crate::config::PortSection| matches!(port.device, PortSpec::AfPacket(_));
    let len = if config.ports.iter().any(is_slot) {
        (longest + AF_PACKET_HEADER_LEN).next_power_of_two()
    } else {
        longest.next_multiple_of(64)
    };
    u16::try_from(len).unwrap_or(u16::MAX - HEADROOM)
}

/// As many as can be in queues, rings and caches at once.
fn buffers(config: &Config) -> u32 {
    let workers = u32::try_from(config.dataplane.workers).unwrap_or(1);
    let or_default = |desc: u16| if desc == 0 { DESC_DEFAULT } else { u32::from(desc) };
    let queues: u32 = config
        .ports
        .iter()
        .map(|port| {
            let kernel = if port.kernel { 2 * DESC_DEFAULT } else { 0 };
            workers * (or_default(port.rx_desc) + or_default(port.tx_desc)) + kernel
        })
        .fold(0, u32::saturating_add);
    let incoming = u32::try_from(handoff::incoming_max(config.dataplane.workers)).unwrap_or(0);
    // A cache may grow to one and a half times its size.
    queues.saturating_add(workers * (incoming + WAITING + CACHE * 3 / 2))
}

fn memory_mb(buffers: u32, frame_len_max: u16) -> u32 {
    let each = u64::from(frame_len_max) + u64::from(HEADROOM) + BUFFER_OVERHEAD;
    let each = each.next_multiple_of(PAGE_BYTES);
    let mb = (u64::from(buffers) * each).div_ceil(1 << 20);
    u32::try_from(MEMORY_BASE_MB + mb + mb / 8).unwrap_or(u32::MAX)
}

/// Bytes of memory that this process may still take: the machine's, or its control group's.
pub(crate) fn available_memory() -> u64 {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let machine = meminfo_field(&read("/proc/meminfo"), "MemAvailable:");
    let group = read("/sys/fs/cgroup/memory.max").trim().parse().unwrap_or(u64::MAX);
    machine.unwrap_or(0).min(group)
}

fn meminfo_field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PortSection;

    fn config(devices: &[&str], workers: usize) -> Config {
        let mut config = Config::default();
        config.dataplane.workers = workers;
        let port = |(at, device): (usize, &&str)| {
            PortSection::new(format!("dpdk{at}"), device.parse().unwrap())
        };
        config.ports = devices.iter().enumerate().map(port).collect();
        config
    }

    #[test]
    fn connections_follow_the_memory_within_bounds() {
        let count = |available, workers| connections(&config(&["tap:x"], workers), available);
        assert_eq!(count(0, 1), 65_536);
        assert_eq!(count(1 << 30, 1), 524_288);
        assert_eq!(count(1 << 30, 2), 262_144);
        assert_eq!(count(1 << 40, 1), 4_194_304);
    }

    #[test]
    fn buffers_hold_the_frames_of_every_port() {
        assert_eq!(frame_len_max(&config(&["tap:x"], 1)), 2048);
        // A slot of 2048 would cut frames of more than 1982 bytes.
        assert_eq!(frame_len_max(&config(&["tap:x", "af_packet:y"], 1)), 4096);
        let mut jumbo = config(&["af_packet:y"], 1);
        jumbo.ports[0].mtu = Some(9000);
        assert_eq!(frame_len_max(&jumbo), 16384);
        jumbo.ports[0].device = "tap:x".parse().unwrap();
        assert_eq!(frame_len_max(&jumbo), 9088);
    }

    #[test]
    fn one_small_port_needs_little_memory_and_many_need_more() {
        let small = Sizes::compute(&config(&["af_packet:x"], 1), 1 << 30);
        assert!((2048..4096).contains(&small.buffers), "{small:?}");
        assert!(small.memory_mb < 128, "{small:?}");
        let large = Sizes::compute(&config(&["tap:x", "tap:y"], 8), 1 << 30);
        assert!(large.buffers > 8 * small.buffers, "{large:?}");
    }

    #[test]
    fn whole_pages_for_every_buffer_leave_room_for_the_queues() {
        // 20736 buffers of 4480 bytes took all of 164 MiB, and the second port had none left.
        assert_eq!(memory_mb(20_736, 4096), 64 + 162 + 20);
    }

    #[test]
    fn what_is_configured_is_taken() {
        let mut config = config(&["tap:x"], 1);
        config.dataplane.connections = Some(2000);
        config.dataplane.buffers = Some(3000);
        config.dataplane.memory_mb = Some(40);
        let sizes = Sizes::compute(&config, 1 << 30);
        assert_eq!((sizes.connections, sizes.buffers, sizes.memory_mb), (2000, 3000, 40));
        assert_eq!(sizes.total_bytes(2), (40 << 20) + 2 * 2000 * 256);
    }

    #[test]
    fn meminfo_is_in_kilobytes() {
        let text = "MemTotal:  10 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(meminfo_field(text, "MemAvailable:"), Some(2 << 20));
        assert_eq!(meminfo_field(text, "MemFree:"), None);
    }
}
