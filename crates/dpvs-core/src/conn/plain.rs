// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection as plain packets need it: what is asked of it and what they change is in its record.

use super::record::{Kind, Record};
use super::{ConnIndex, ConnTable, Direction, Found, TcpState};
use crate::Millis;
use crate::ids::position;
use crate::key::Tuple;
use crate::net::Protocol;
use crate::tables::{DestId, Forward, ServiceId, Timeouts};
use crate::wire::TcpFlags;

/// A connection of IPv4 that stands.
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

    /// Returns the connection of a packet, if it is the one that was found, with its burst or since, and
    /// its time is not over. The time of a pair of halves is its request's.
    #[inline]
    pub(crate) fn established(
        &mut self,
        tuple: &Tuple,
        found: Found,
        now: Millis,
    ) -> Option<Established<'_>> {
        let at = position(found.index.0);
        if self.slab.get(at)?.kind == Kind::Reply {
            let request = self.slab.get(at)?.position()?;
            self.slab.get(position(request.0)).filter(|request| request.has_time(now))?;
        }
        let record = self.slab.get_mut(at)?;
        let entry = found.entry;
        let is_it = record.is_taken()
            && record.is_by_inbound()
            && (self.is_unchanged || record.narrow(entry)? == *tuple)
            && record.has_time(now)
            && record.packets.iter().all(|count| *count < u32::MAX);
        let other = match entry {
            Direction::Inbound => Direction::Outbound,
            Direction::Outbound => Direction::Inbound,
        };
        let Tuple { addresses: [src, dst], ports: [sport, dport], protocol } =
            record.narrow(other)?;
        // Half of a ping keeps its type and gets the other side's identifier.
        let [_, kind] = tuple.ports;
        let ports = if protocol == Protocol::Icmp { [sport, kind] } else { [dport, sport] };
        let leaves_as = Tuple { addresses: [dst, src], ports, protocol };
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
        if self.record.kind == Kind::Reply { Direction::Outbound } else { self.entry }
    }

    /// Returns the request half, if it is the reply half of a pair.
    #[inline]
    pub(crate) fn request(&self) -> Option<ConnIndex> {
        (self.record.kind == Kind::Reply).then(|| self.record.position()).flatten()
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
            // The second packet of the handshake, or the first one again.
            Kind::Tcp(state @ TcpState::SynRecv) if flags.has(TcpFlags::SYN) && !flags.ends() => {
                state.timeout_ms(timeouts)
            }
            // What is found by the other key is the first reply.
            Kind::Request | Kind::Reply if self.entry == Direction::Inbound => timeouts.icmp_ms,
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
