// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where plain packets go, remembered for real servers and others on a link.

use super::plain::Arrival;
use crate::key::Address;
use crate::neighbour::Neighbours;
use crate::tables::{Tables, smaller_mtu};
use crate::wire::view_mut;
use crate::{Frame, Millis, NextHop, PortId, Verdict};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The ways of a worker that are known, by the last byte of the address.
///
/// What lies behind a gateway is not kept: clients are many, and would push out each other.
#[derive(Debug)]
pub(super) struct Ways {
    known: Box<[Known; 256]>,
    /// The last one that was looked up.
    passing: Way,
}

/// A way to an address on a link: good for the tables of one generation, for neighbours that have not
/// changed since, until a time. In one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Known {
    towards: u32,
    way: Way,
    generation: u64,
    neighbours: u64,
    until: Millis,
}

/// As a frame begins: written at once.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct LinkAddresses {
    dst: [u8; 6],
    src: [u8; 6],
}

/// Where a plain packet goes, all of it known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    port: PortId,
    link: LinkAddresses,
    /// Longest packet.
    mtu: u32,
    /// There is no gateway between.
    pub(super) is_on_link: bool,
}

impl Ways {
    pub(super) fn new() -> Self {
        let link = LinkAddresses { dst: [0; 6], src: [0; 6] };
        let way = Way { port: PortId(0), link, mtu: 0, is_on_link: true };
        let none = Known { towards: 0, way, generation: 0, neighbours: 0, until: Millis(0) };
        Ways { known: Box::new([none; 256]), passing: way }
    }

    /// Finds the way to an address for a packet of `len` bytes, if it is short enough and the next hop
    /// was used lately.
    #[allow(clippy::inline_always, reason = "a verdict handed on in memory waits for its store")]
    #[inline(always)]
    pub(super) fn find(
        &mut self,
        neighbours: &Neighbours,
        Arrival { tables, now, .. }: Arrival<'_>,
        (len, towards): (u16, u32),
    ) -> Option<&Way> {
        let [.., last] = towards.to_be_bytes();
        let place = self.known.get_mut(usize::from(last))?;
        let is_good = place.towards == towards
            && place.generation == tables.generation()
            && place.neighbours == neighbours.changes()
            && now < place.until;
        let way = if is_good {
            &place.way
        } else {
            self.passing = look_up(neighbours, tables, now, towards, place)?;
            &self.passing
        };
        (u32::from(len) <= way.mtu).then_some(way)
    }
}

/// Finds a way by the routes, and notes it in its place if it is one to keep.
fn look_up(
    neighbours: &Neighbours,
    tables: &Tables,
    now: Millis,
    towards: u32,
    place: &mut Known,
) -> Option<Way> {
    let route = tables.routes().way_v4(towards)?;
    let port = tables.port(route.port)?;
    let mtu = smaller_mtu(route.mtu, port.mtu);
    let next_hop = route.next_hop(Address::from_v4_bits(towards));
    let hop = NextHop { port: route.port, address: next_hop };
    let (dst, until) = neighbours.recent(tables, now, hop)?;
    let is_on_link = route.is_on_link();
    let link = LinkAddresses { dst: dst.0, src: port.mac.0 };
    let way = Way { port: route.port, link, mtu, is_on_link };
    if is_on_link {
        let (generation, neighbours) = (tables.generation(), neighbours.changes());
        *place = Known { towards, way, generation, neighbours, until };
    }
    Some(way)
}

impl Way {
    /// Writes the link addresses, and cuts what is behind the packet's end.
    #[allow(clippy::inline_always, reason = "a verdict handed on in memory waits for its store")]
    #[inline(always)]
    pub(super) fn send<F: Frame>(&self, frame: &mut F, end: u16) -> Option<Verdict> {
        *view_mut::<LinkAddresses>(frame.bytes_mut(), 0)? = self.link;
        frame.truncate(usize::from(end));
        Some(Verdict::Transmit(self.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_that_is_known_is_a_cache_line() {
        assert_eq!((size_of::<Known>(), align_of::<Known>()), (64, 64));
    }
}
