// SPDX-License-Identifier: MIT OR Apache-2.0
//! Work that a card takes over.

use bitflags::bitflags;

bitflags! {
    /// What a port can do, is asked for, or does. These bits are ours, not DPDK's.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Offloads: u32 {
        /// Checks IPv4 checksums of received frames.
        const RX_IPV4_CHECKSUM = 1 << 0;
        /// Checks TCP checksums of received frames.
        const RX_TCP_CHECKSUM = 1 << 1;
        /// Checks UDP checksums of received frames.
        const RX_UDP_CHECKSUM = 1 << 2;
        /// Delivers the RSS hash with the frame.
        const RX_RSS_HASH = 1 << 3;
        /// Receives frames longer than a buffer as chains.
        const RX_SCATTER = 1 << 4;
        /// Computes IPv4 checksums of sent frames.
        const TX_IPV4_CHECKSUM = 1 << 8;
        /// Computes TCP checksums of sent frames.
        const TX_TCP_CHECKSUM = 1 << 9;
        /// Computes UDP checksums of sent frames.
        const TX_UDP_CHECKSUM = 1 << 10;
        /// Sends chains.
        const TX_MULTI_SEGMENT = 1 << 11;
    }
}

bitflags! {
    /// Checksums that a card computes for one frame.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct TxChecksums: u8 {
        /// The frame is IPv6; it is IPv4 otherwise.
        const IPV6 = 1 << 0;
        /// The IPv4 header's.
        const IPV4_HEADER = 1 << 1;
        /// The TCP checksum.
        const TCP = 1 << 2;
        /// The UDP checksum.
        const UDP = 1 << 3;
    }
}

/// What a card is to do to one frame, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxOffload {
    /// Bytes of the link header, at most 127.
    pub l2_len: u8,
    /// Bytes of the IP header with its options or extensions, at most 511.
    pub l3_len: u16,
    /// What to compute.
    pub checksums: TxChecksums,
}

impl TxChecksums {
    /// The flags of DPDK's.
    #[inline]
    pub(crate) fn flags(self) -> u64 {
        // The TCP and UDP flags are values of one field, so only one of them is set.
        let l4 = if self.contains(Self::TCP) {
            dpdk_sys::SHIM_MBUF_F_TX_TCP_CKSUM
        } else if self.contains(Self::UDP) {
            dpdk_sys::SHIM_MBUF_F_TX_UDP_CKSUM
        } else {
            0
        };
        if self.contains(Self::IPV6) {
            return l4 | dpdk_sys::SHIM_MBUF_F_TX_IPV6;
        }
        let header = self.contains(Self::IPV4_HEADER);
        let l3 = if header { dpdk_sys::SHIM_MBUF_F_TX_IP_CKSUM } else { 0 };
        l4 | l3 | dpdk_sys::SHIM_MBUF_F_TX_IPV4
    }
}

/// Our bits of receiving and DPDK's.
const RX: [(Offloads, u64); 5] = [
    (Offloads::RX_IPV4_CHECKSUM, dpdk_sys::SHIM_RX_OFFLOAD_IPV4_CKSUM),
    (Offloads::RX_TCP_CHECKSUM, dpdk_sys::SHIM_RX_OFFLOAD_TCP_CKSUM),
    (Offloads::RX_UDP_CHECKSUM, dpdk_sys::SHIM_RX_OFFLOAD_UDP_CKSUM),
    (Offloads::RX_RSS_HASH, dpdk_sys::SHIM_RX_OFFLOAD_RSS_HASH),
    (Offloads::RX_SCATTER, dpdk_sys::SHIM_RX_OFFLOAD_SCATTER),
];

/// Our bits of sending and DPDK's.
const TX: [(Offloads, u64); 4] = [
    (Offloads::TX_IPV4_CHECKSUM, dpdk_sys::SHIM_TX_OFFLOAD_IPV4_CKSUM),
    (Offloads::TX_TCP_CHECKSUM, dpdk_sys::SHIM_TX_OFFLOAD_TCP_CKSUM),
    (Offloads::TX_UDP_CHECKSUM, dpdk_sys::SHIM_TX_OFFLOAD_UDP_CKSUM),
    (Offloads::TX_MULTI_SEGMENT, dpdk_sys::SHIM_TX_OFFLOAD_MULTI_SEGS),
];

impl Offloads {
    /// What these bits of DPDK's mean.
    pub(crate) fn from_dpdk(rx: u64, tx: u64) -> Self {
        let pick = |bits: u64, (ours, theirs): &(Self, u64)| {
            if bits & theirs == 0 { Self::empty() } else { *ours }
        };
        RX.iter().map(|pair| pick(rx, pair)).chain(TX.iter().map(|pair| pick(tx, pair))).collect()
    }

    /// DPDK's bits for receiving.
    pub(crate) fn rx_bits(self) -> u64 {
        RX.iter().filter(|(ours, _)| self.contains(*ours)).map(|(_, theirs)| theirs).sum()
    }

    /// DPDK's bits for sending.
    pub(crate) fn tx_bits(self) -> u64 {
        TX.iter().filter(|(ours, _)| self.contains(*ours)).map(|(_, theirs)| theirs).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_survive_the_way_to_dpdk_and_back() {
        for offload in Offloads::all().iter() {
            assert_eq!(Offloads::from_dpdk(offload.rx_bits(), offload.tx_bits()), offload);
        }
        assert_eq!(Offloads::from_dpdk(0, 0), Offloads::empty());
    }

    #[test]
    fn tcp_and_udp_flags_are_never_both_set() {
        let flags = (TxChecksums::TCP | TxChecksums::UDP).flags();
        let tcp = dpdk_sys::SHIM_MBUF_F_TX_TCP_CKSUM | dpdk_sys::SHIM_MBUF_F_TX_IPV4;
        assert_eq!(flags, tcp);
    }
}
