// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection as plain packets need it: what is asked of it and what they change is in its record.

use super::record::{Kind, Record};
use super::view::low;
use super::{ConnTable, Direction, Found, TcpState};
use crate::Millis;
use crate::ids::position;
use crate::key::Tuple;
use crate::tables::{DestId, Forward, ServiceId, Timeouts};
use crate::wire::TcpFlags;

/// An established connection of IPv4.
#[derive(Debug)]
pub(crate) struct Established<'a> {
    record: &'a mut Record,
    entry: Direction,
    /// What its packets look like when they leave, translated.
    pub(crate) leaves_as: Tuple,
}

impl ConnTable {
    /// Notes what time it is.
    #[inline]
    pub(crate) fn tick(&mut self, now: Millis) {
        self.clock = self.clock.max(now);
    }

    /// Returns the connection of a packet, if it is the one that was found and its time is not over,
    /// and if the packet only keeps it going: everything else takes more than its record.
    #[inline]
    pub(crate) fn established(
        &mut self,
        tuple: &Tuple,
        found: Found,
        now: Millis,
    ) -> Option<Established<'_>> {
        let record = self.slab.get_mut(position(found.index.0))?;
        let entry = found.entry;
        let age = low(now.0).wrapping_sub(record.seen);
        let is_it = record.is_taken()
            && record.is_by_inbound()
            && record.narrow(entry)? == *tuple
            && age < record.timeout_ms
            && record.packets.iter().all(|count| *count < u32::MAX);
        let other = match entry {
            Direction::Inbound => Direction::Outbound,
            Direction::Outbound => Direction::Inbound,
        };
        let Tuple { addresses: [src, dst], ports: [sport, dport], protocol } =
            record.narrow(other)?;
        let leaves_as = Tuple { addresses: [dst, src], ports: [dport, sport], protocol };
        is_it.then_some(Established { record, entry, leaves_as })
    }
}

impl Established<'_> {
    /// Returns the service.
    #[inline]
    pub(crate) fn service(&self) -> ServiceId {
        self.record.service
    }

    /// Returns the real server.
    #[inline]
    pub(crate) fn dest(&self) -> DestId {
        self.record.dest
    }

    /// Returns the forwarding method.
    #[inline]
    pub(crate) fn forward(&self) -> Forward {
        self.record.forward
    }

    /// Returns the way that the packet goes.
    #[inline]
    pub(crate) fn direction(&self) -> Direction {
        self.entry
    }

    /// Returns how long the connection may be idle after a packet with these control bits; `None` if
    /// the packet changes its state, or makes the time shorter.
    #[inline]
    pub(crate) fn timeout_ms(
        &self,
        flags: TcpFlags,
        timeouts: &Timeouts,
        own_ms: u32,
    ) -> Option<u32> {
        let or_own = |ms| if own_ms == 0 { ms } else { own_ms };
        let timeout_ms = match self.record.kind {
            Kind::Udp => or_own(timeouts.udp_ms),
            Kind::Tcp(TcpState::Established) if !flags.ends() => or_own(timeouts.tcp_ms),
            _ => return None,
        };
        (timeout_ms >= self.record.timeout_ms).then_some(timeout_ms)
    }

    /// Notes the packet.
    #[inline]
    pub(crate) fn touch(self, now: Millis, timeout_ms: u32) {
        self.record.restart(now, timeout_ms);
        let [inbound, outbound] = &mut self.record.packets;
        match self.entry {
            Direction::Inbound => *inbound += 1,
            Direction::Outbound => *outbound += 1,
        }
    }
}
