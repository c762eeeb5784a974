// SPDX-License-Identifier: MIT OR Apache-2.0
//! What SNAT services are found by: not one address, but what packets look like.

use crate::PortId;
use crate::key::{Address, Endpoint, Key};
use crate::net::{Family, Protocol};

/// A range of addresses and ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    /// First address.
    pub first: Address,
    /// Last address, of the same family.
    pub last: Address,
    /// First port; with [`Range::last_port`] 0 any port is meant.
    pub first_port: u16,
    /// Last port; 0 is any.
    pub last_port: u16,
}

impl Range {
    fn has_address(&self, address: Address) -> bool {
        self.first.family() == address.family() && self.first <= address && address <= self.last
    }

    fn has_port(&self, port: u16) -> bool {
        self.last_port == 0 || (self.first_port <= port && port <= self.last_port)
    }

    fn has(&self, end: Endpoint) -> bool {
        self.has_address(end.address) && self.has_port(end.port)
    }
}

/// What a packet must look like. What is missing may be anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Match {
    /// The family.
    pub family: Family,
    /// The protocol.
    pub protocol: Option<Protocol>,
    /// Where it comes from.
    pub src: Option<Range>,
    /// Where it goes to.
    pub dst: Option<Range>,
    /// The port it comes in by.
    pub iif: Option<PortId>,
    /// The port it leaves by.
    pub oif: Option<PortId>,
}

impl Match {
    /// Returns whether a packet fits that came in by `iif` and leaves by `oif`. ICMP queries have no
    /// ports: for them only the addresses of the ranges count.
    pub fn fits(&self, key: &Key, iif: PortId, oif: PortId) -> bool {
        let fits = |range: &Option<Range>, end: Endpoint| {
            range.is_none_or(|range| {
                if key.protocol.is_icmp() { range.has_address(end.address) } else { range.has(end) }
            })
        };
        key.src.family() == self.family
            && self.protocol.is_none_or(|protocol| protocol == key.protocol)
            && self.iif.is_none_or(|port| port == iif)
            && self.oif.is_none_or(|port| port == oif)
            && fits(&self.src, key.source())
            && fits(&self.dst, key.destination())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(src: [u8; 4], sport: u16, dst: [u8; 4], dport: u16) -> Key {
        let (src, dst) = (Address::v4(src), Address::v4(dst));
        Key { src, dst, sport, dport, protocol: Protocol::Tcp }
    }

    #[test]
    fn ranges_include_both_their_ends_and_port_0_is_any() {
        let range = |first, last, first_port, last_port| {
            let (first, last) = (Address::v4(first), Address::v4(last));
            Some(Range { first, last, first_port, last_port })
        };
        let pattern = Match {
            family: Family::V4,
            protocol: Some(Protocol::Tcp),
            src: range([192, 168, 0, 0], [192, 168, 0, 9], 0, 0),
            dst: range([0, 0, 0, 0], [255, 255, 255, 255], 80, 443),
            iif: None,
            oif: Some(PortId(1)),
        };
        let fits = |key: Key, oif| pattern.fits(&key, PortId(0), PortId(oif));
        assert!(fits(key([192, 168, 0, 0], 1, [1, 1, 1, 1], 80), 1));
        assert!(fits(key([192, 168, 0, 9], 65535, [1, 1, 1, 1], 443), 1));
        assert!(!fits(key([192, 168, 0, 10], 1, [1, 1, 1, 1], 80), 1));
        assert!(!fits(key([192, 168, 0, 9], 1, [1, 1, 1, 1], 79), 1));
        assert!(!fits(key([192, 168, 0, 9], 1, [1, 1, 1, 1], 444), 1));
        assert!(!fits(key([192, 168, 0, 9], 1, [1, 1, 1, 1], 80), 0));
        let udp = Key { protocol: Protocol::Udp, ..key([192, 168, 0, 9], 1, [1, 1, 1, 1], 80) };
        assert!(!fits(udp, 1));
    }
}
