// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong, each as one sentence that says what to do where we know it.

use std::ffi::CStr;

use crate::PortId;

/// A `DEVICE` string that names no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PortSpecError {
    /// Neither a PCI address nor a known kind.
    #[error(
        "`{0}` is not a device: expected a PCI address, af_packet:IFACE, af_xdp:IFACE, tap:IFACE, \
         pcap:IN,OUT, memif:ARGS or vdev:ARGS"
    )]
    UnknownKind(String),
    /// The part after the kind is empty or has the wrong form.
    #[error("`{text}` is not a device: expected {expected}")]
    Form {
        /// The string as given.
        text: String,
        /// The form that would have been understood.
        expected: &'static str,
    },
    /// The interface's name cannot exist in Linux.
    #[error("`{0}` is not an interface name: 1 to 15 characters without `/`, `,` or spaces")]
    InterfaceName(String),
}

/// Why DPDK's environment could not be started, or a device not be attached to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EalError {
    /// DPDK can be started once in a process's life.
    #[error("DPDK has already been started in this process")]
    AlreadyStarted,
    /// An argument holds a NUL byte.
    #[error("DPDK argument {0:?} holds a NUL byte")]
    NulByte(String),
    /// There is not enough memory, or not of the kind asked for.
    #[error("DPDK cannot reserve {memory_mb} MiB of memory ({kind}): {reason}")]
    Memory {
        /// How much was asked for.
        memory_mb: u32,
        /// Hugepages or ordinary pages.
        kind: &'static str,
        /// DPDK's own words.
        reason: String,
    },
    /// The process lacks a capability.
    #[error("{device} needs {capability}: run as root or grant the capability")]
    Privilege {
        /// The device as the user wrote it.
        device: String,
        /// Name of the Linux capability.
        capability: &'static str,
    },
    /// The driver is in a package that is not installed.
    #[error("{device} needs the DPDK driver {driver}: apt-get install {package}")]
    MissingDriver {
        /// The device as the user wrote it.
        device: String,
        /// The driver's name in DPDK.
        driver: String,
        /// The Debian package that holds it.
        package: String,
    },
    /// The network interface does not exist in this network namespace.
    #[error("{device}: there is no interface `{interface}` in this network namespace")]
    NoInterface {
        /// The device as the user wrote it.
        device: String,
        /// The interface looked for.
        interface: String,
    },
    /// There is no such PCI device, or the kernel's driver holds it.
    #[error(
        "{device}: DPDK found no usable PCI device there: check `lspci`, and bind it to vfio-pci \
         (dpdk-devbind.py -b vfio-pci {device})"
    )]
    NoPciDevice {
        /// The PCI address.
        device: String,
    },
    /// A file that the device reads is not there.
    #[error("{device}: cannot read {path}: {reason}")]
    File {
        /// The device as the user wrote it.
        device: String,
        /// The file.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// PCI devices are found when DPDK starts, not afterwards.
    #[error("{device}: a PCI device must be named before DPDK starts")]
    TooLateForPci {
        /// The PCI address.
        device: String,
    },
    /// The device's name is taken, or a port on it is still open.
    #[error("{device} is in use")]
    DeviceInUse {
        /// The device.
        device: String,
    },
    /// DPDK's device driver refused the device.
    #[error("{device}: DPDK cannot attach {argument}: {reason}")]
    Attach {
        /// The device as the user wrote it.
        device: String,
        /// What DPDK was given.
        argument: String,
        /// DPDK's own words.
        reason: String,
    },
    /// Any other failure of `rte_eal_init`.
    #[error("DPDK did not start: {0}")]
    Init(String),
    /// The thread could not be made known to DPDK.
    #[error("cannot register this thread with DPDK: {0}")]
    Thread(String),
}

/// Why a pool of packet buffers could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The name cannot be used.
    #[error("`{0}` is not a pool name: 1 to 25 characters, no NUL")]
    Name(String),
    /// A size is out of DPDK's range.
    #[error(
        "pool `{name}`: {reason}: at least one buffer, a cache of at most 512 and at most \
         two thirds of the buffers, {headroom} bytes of headroom within each buffer"
    )]
    Size {
        /// The pool.
        name: String,
        /// Which one.
        reason: &'static str,
        /// Bytes kept free in front of every frame.
        headroom: u32,
    },
    /// DPDK refused, nearly always for want of memory.
    #[error("pool `{name}`: cannot make {count} buffers of {data_room} bytes: {reason}")]
    Create {
        /// The pool.
        name: String,
        /// Buffers asked for.
        count: u32,
        /// Bytes of each.
        data_room: u16,
        /// DPDK's own words.
        reason: String,
    },
}

/// Why a port could not be opened or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// No port has this number.
    #[error("there is no port {0}")]
    NoSuchPort(PortId),
    /// The port is open already: its queues have one owner.
    #[error("port {0} is already open")]
    AlreadyOpen(String),
    /// The port has fewer queues than asked for.
    #[error("port {port} has {available} {direction} queues, {wanted} were asked for")]
    TooFewQueues {
        /// The port.
        port: String,
        /// Receive or transmit.
        direction: &'static str,
        /// Queues asked for.
        wanted: u16,
        /// Queues the device has.
        available: u16,
    },
    /// Not one pool, and not one for each receive queue.
    #[error("port {port}: {queues} receive queues need 1 or {queues} pools, not {pools}")]
    PoolCount {
        /// The port.
        port: String,
        /// Receive queues.
        queues: u16,
        /// Pools given.
        pools: usize,
    },
    /// The indirection table names a queue that is not there.
    #[error("port {port}: the indirection table names queue {queue}, there are {queues}")]
    RetaQueue {
        /// The port.
        port: String,
        /// The queue named.
        queue: u16,
        /// Receive queues.
        queues: u16,
    },
    /// The queues given are not all the queues of this port.
    #[error("port {0}: all of its queues, and no others, must be handed in")]
    NotItsQueues(String),
    /// DPDK's driver refused.
    #[error("port {port}: cannot {what}: {reason}")]
    Driver {
        /// The port.
        port: String,
        /// What was attempted.
        what: &'static str,
        /// DPDK's own words.
        reason: String,
    },
}

/// The words for an error number, positive or negative.
pub(crate) fn describe(errno: i32) -> String {
    // SAFETY: any number is valid; DPDK answers with a constant or with a thread-local buffer.
    let text = unsafe { dpdk_sys::rte_strerror(errno.saturating_abs()) };
    if text.is_null() {
        return format!("error {errno}");
    }
    // SAFETY: `text` is not null and NUL-terminated, and lives until this thread's next
    // `rte_strerror`; the copy is made before that.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_string_lossy().into_owned()
}

/// This thread's `rte_errno`.
pub(crate) fn last_errno() -> i32 {
    // SAFETY: reads a thread-local integer; no precondition.
    unsafe { dpdk_sys::shim_errno() }
}
