// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is asked of a port, and what it says of itself.

use std::fmt;

use crate::Offloads;

/// How a port is to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// Receive queues.
    pub rx_queues: u16,
    /// Transmit queues.
    pub tx_queues: u16,
    /// Descriptors of each receive queue, fitted to what the device has; 0 for its default.
    pub rx_desc: u16,
    /// Descriptors of each transmit queue, fitted to what the device has; 0 for its default.
    pub tx_desc: u16,
    /// Bytes of an IP packet; `None` leaves the device's.
    pub mtu: Option<u16>,
    /// Whether frames for other stations are received.
    pub promiscuous: bool,
    /// How frames are spread over the receive queues; with `None` and several queues the device
    /// spreads them by its own key.
    pub rss: Option<RssConfig>,
    /// Used where the port has them; what became of it is in [`PortInfo::offloads`].
    pub offloads: Offloads,
}

impl Default for PortConfig {
    fn default() -> Self {
        Self {
            rx_queues: 1,
            tx_queues: 1,
            rx_desc: 0,
            tx_desc: 0,
            mtu: None,
            promiscuous: false,
            rss: None,
            offloads: Offloads::empty(),
        }
    }
}

/// How frames are spread over the receive queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RssConfig {
    /// The Toeplitz key. The device takes as many of the first bytes as its own key is long
    /// (40 or 52); a shorter one is not used.
    pub key: Vec<u8>,
    /// Queues of the indirection table, repeated until it is full; empty leaves the device's.
    pub reta: Vec<u16>,
}

/// What became of [`RssConfig`], as read back from the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RssState {
    /// The device spreads frames by a hash.
    pub is_active: bool,
    /// It uses the key that was asked for.
    pub is_key_set: bool,
    /// It uses the indirection table that was asked for.
    pub is_reta_set: bool,
}

/// An Ethernet address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ":" };
            write!(f, "{separator}{byte:02x}")?;
        }
        Ok(())
    }
}

/// What was found and agreed when a port was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortInfo {
    /// The device's name, as `0000:03:00.0` or `net_tap0`.
    pub name: String,
    /// DPDK's driver.
    pub driver: String,
    /// The Linux interface behind the port, where there is one.
    pub interface: Option<String>,
    /// The address at opening.
    pub mac: MacAddress,
    /// The MTU at opening.
    pub mtu: u16,
    /// Largest MTU that may be set.
    pub mtu_max: u16,
    /// Receive queues that the device has at most.
    pub rx_queues_max: u16,
    /// Transmit queues that the device has at most.
    pub tx_queues_max: u16,
    /// Descriptors of each receive queue.
    pub rx_desc: u16,
    /// Descriptors of each transmit queue.
    pub tx_desc: u16,
    /// What the device can do.
    pub offloads_supported: Offloads,
    /// What it does: the part of the configuration's that is supported.
    pub offloads: Offloads,
    /// What became of the spreading over queues.
    pub rss: RssState,
    /// Entries of the device's indirection table; 0 if it has none.
    pub reta_size: u16,
    /// Bytes of the device's hash key; 0 if it has none.
    pub hash_key_size: u8,
    /// Whether frames for other stations are received.
    pub is_promiscuous: bool,
    /// The NUMA node, where known.
    pub socket: Option<u32>,
}

/// The state of a port's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// The link carries frames.
    pub up: bool,
    /// Its speed, where known.
    pub speed_mbps: Option<u32>,
    /// Both directions at once.
    pub full_duplex: bool,
    /// The speed was negotiated.
    pub autoneg: bool,
}

/// What a port has counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Frames received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Frames that found no free descriptor: we were too slow.
    pub rx_missed: u64,
    /// Frames that arrived broken.
    pub rx_errors: u64,
    /// Frames lost for want of packet buffers.
    pub rx_no_mbuf: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Frames that could not be sent.
    pub tx_errors: u64,
}
