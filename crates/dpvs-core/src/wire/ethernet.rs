// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ethernet II (IEEE 802.3), VLAN tags (802.1Q), ARP (RFC 826).

use crate::net::Family;
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The values of [`EthernetHeader::ether_type`] that are told apart.
#[derive(Clone, Copy, Debug)]
pub struct EtherType;

impl EtherType {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// An 802.1Q tag.
    pub const VLAN: u16 = 0x8100;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// An 802.1ad service tag.
    pub const QINQ: u16 = 0x88a8;

    /// Returns the family of a value; `None` for what is not IP.
    pub fn family(ether_type: u16) -> Option<Family> {
        match ether_type {
            EtherType::IPV4 => Some(Family::V4),
            EtherType::IPV6 => Some(Family::V6),
            _ => None,
        }
    }

    /// Returns the value for a family.
    pub fn of(family: Family) -> u16 {
        match family {
            Family::V4 => EtherType::IPV4,
            Family::V6 => EtherType::IPV6,
        }
    }
}

/// Destination, source, type: 14 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct EthernetHeader {
    /// Destination address.
    pub dst: [u8; 6],
    /// Source address.
    pub src: [u8; 6],
    /// [`EtherType`], or a length below 0x0600.
    pub ether_type: U16,
}

impl EthernetHeader {
    /// Length in bytes.
    pub const LEN: usize = 14;
}

/// What follows an 802.1Q EtherType: 4 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct VlanHeader {
    /// Priority, drop eligibility, and 12 bits of VLAN identifier.
    pub control: U16,
    /// The type of what follows.
    pub ether_type: U16,
}

impl VlanHeader {
    /// Length in bytes.
    pub const LEN: usize = 4;

    /// Returns the VLAN identifier; 0 is a mere priority tag.
    pub fn id(&self) -> u16 {
        self.control.get() & 0x0fff
    }
}

/// ARP for IPv4 over Ethernet: 28 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct ArpHeader {
    /// 1, Ethernet.
    pub hardware: U16,
    /// 0x0800, IPv4.
    pub protocol: U16,
    /// 6.
    pub hardware_len: u8,
    /// 4.
    pub protocol_len: u8,
    /// [`ArpHeader::REQUEST`] or [`ArpHeader::REPLY`].
    pub operation: U16,
    /// Sender's link address.
    pub sender_mac: [u8; 6],
    /// Sender's address.
    pub sender_ip: [u8; 4],
    /// Target's link address.
    pub target_mac: [u8; 6],
    /// Target's address.
    pub target_ip: [u8; 4],
}

impl ArpHeader {
    /// Length in bytes.
    pub const LEN: usize = 28;
    /// "Who has the target address?"
    pub const REQUEST: u16 = 1;
    /// "I have the sender address."
    pub const REPLY: u16 = 2;

    /// Makes a packet for IPv4 over Ethernet.
    pub fn new(operation: u16, sender: ([u8; 6], [u8; 4]), target: ([u8; 6], [u8; 4])) -> Self {
        ArpHeader {
            hardware: U16::new(1),
            protocol: U16::new(EtherType::IPV4),
            hardware_len: 6,
            protocol_len: 4,
            operation: U16::new(operation),
            sender_mac: sender.0,
            sender_ip: sender.1,
            target_mac: target.0,
            target_ip: target.1,
        }
    }

    /// Returns whether this is about IPv4 over Ethernet.
    pub fn is_ipv4_over_ethernet(&self) -> bool {
        self.hardware.get() == 1
            && self.protocol.get() == EtherType::IPV4
            && self.hardware_len == 6
            && self.protocol_len == 4
    }
}
