// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection as its table keeps it: one cache line of 64 bytes.
//!
//! What every packet needs is in the line. What few connections have is beside it, at the same
//! position of lists whose pages are touched by those connections alone: IPv6 addresses, the
//! template, the tags of SCTP.

use super::view::low;
use super::{Conn, ConnIndex, Direction, Entries, State, TcpState};
use crate::Millis;
use crate::key::{Address, Key, Tuple};
use crate::net::Protocol;
use crate::tables::{DestId, Forward, ServiceId};

/// [`State`] without what goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp(TcpState),
    Udp,
    Sctp,
    Request,
    Reply,
    Template,
}

/// No position.
const NONE: u32 = u32::MAX;

/// The line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Record {
    /// Source and destination of the inbound key, then of the outbound key; of IPv4.
    addresses: [[u32; 2]; 2],
    /// The same of ports.
    ports: [[u16; 2]; 2],
    pub(super) service: ServiceId,
    pub(super) dest: DestId,
    /// When the last packet came: the low bits of the milliseconds.
    pub(super) seen: u32,
    pub(super) timeout_ms: u32,
    /// Packets by each key: the low bits.
    pub(super) packets: [u32; 2],
    /// What goes with the kind: a position, or a count.
    detail: u32,
    pub(super) kind: Kind,
    pub(super) protocol: Protocol,
    pub(super) forward: Forward,
    flags: u8,
}

/// Found by the inbound key.
const BY_INBOUND: u8 = 1;
/// Found by the outbound key.
const BY_OUTBOUND: u8 = 2;
/// The addresses are in the list of wide ones.
const WIDE: u8 = 4;
/// Something is in the list of what few have.
const RARE: u8 = 8;
/// A path MTU was told.
const TOLD: u8 = 16;
/// A connection stands here.
const TAKEN: u8 = 32;

impl Record {
    /// A place where no connection stands.
    pub(super) const VACANT: Record = Record {
        addresses: [[0; 2]; 2],
        ports: [[0; 2]; 2],
        service: ServiceId { slot: 0, generation: 0 },
        dest: DestId { slot: 0, generation: 0 },
        seen: 0,
        timeout_ms: 0,
        packets: [0; 2],
        detail: 0,
        kind: Kind::Udp,
        protocol: Protocol::Udp,
        forward: Forward::FullNat,
        flags: 0,
    };

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn put(&mut self, flag: u8, is_set: bool) {
        self.flags = if is_set { self.flags | flag } else { self.flags & !flag };
    }

    /// Returns whether a connection stands here.
    pub(super) fn is_taken(&self) -> bool {
        self.has(TAKEN)
    }

    /// Makes the place one where a connection stands, or not.
    pub(super) fn set_taken(&mut self, is_taken: bool) {
        self.put(TAKEN, is_taken);
    }

    /// Returns whether the addresses are in the list of wide ones.
    pub(super) fn is_wide(&self) -> bool {
        self.has(WIDE)
    }

    /// Returns whether something is in the list of what few have.
    pub(super) fn is_rare(&self) -> bool {
        self.has(RARE)
    }

    pub(super) fn set_rare(&mut self, is_rare: bool) {
        self.put(RARE, is_rare);
    }

    /// Returns whether a path MTU was told.
    pub(super) fn is_told(&self) -> bool {
        self.has(TOLD)
    }

    pub(super) fn set_told(&mut self, is_told: bool) {
        self.put(TOLD, is_told);
    }

    /// Returns by which keys the connection is found.
    pub(super) fn entries(&self) -> Entries {
        match (self.has(BY_INBOUND), self.has(BY_OUTBOUND)) {
            (true, false) => Entries::Inbound,
            (false, true) => Entries::Outbound,
            _ => Entries::Both,
        }
    }

    /// Writes both keys; returns the addresses if they do not fit here.
    pub(super) fn set_keys(&mut self, inbound: &Key, outbound: &Key) -> Option<[[Address; 2]; 2]> {
        self.ports = [inbound, outbound].map(|key| [key.sport, key.dport]);
        self.protocol = inbound.protocol;
        let narrow = inbound.tuple().zip(outbound.tuple());
        self.put(WIDE, narrow.is_none());
        let Some((inbound_v4, outbound_v4)) = narrow else {
            return Some([inbound, outbound].map(|key| [key.src, key.dst]));
        };
        self.addresses = [inbound_v4, outbound_v4].map(|tuple| tuple.addresses);
        None
    }

    /// Writes everything of a connection that stands here, but its keys.
    #[inline]
    pub(super) fn write(&mut self, conn: &Conn) {
        self.set_state(conn.state);
        self.put(BY_INBOUND, conn.entries.has(Direction::Inbound));
        self.put(BY_OUTBOUND, conn.entries.has(Direction::Outbound));
        self.put(RARE, conn.has_rare());
        self.put(TOLD, conn.mtu_told_at.is_some());
        (self.service, self.dest, self.forward) = (conn.service, conn.dest, conn.forward);
        self.restart(conn.last_seen, conn.timeout_ms);
        self.packets = [low(conn.in_packets), low(conn.out_packets)];
    }

    /// Returns a key of IPv4; `None` of IPv6.
    #[inline]
    pub(super) fn narrow(&self, entry: Direction) -> Option<Tuple> {
        let (addresses, ports) = (of(self.addresses, entry), of(self.ports, entry));
        (!self.is_wide()).then_some(Tuple { addresses, ports, protocol: self.protocol })
    }

    /// Returns whether the connection is found by its inbound key, be it by the other one too.
    #[inline]
    pub(super) fn is_by_inbound(&self) -> bool {
        self.has(BY_INBOUND)
    }

    /// Returns both ports of a key.
    #[inline]
    pub(super) fn ports(&self, entry: Direction) -> [u16; 2] {
        of(self.ports, entry)
    }

    /// Returns whether its time is not over.
    #[inline]
    pub(super) fn has_time(&self, now: Millis) -> bool {
        low(now.0).wrapping_sub(self.seen) < self.timeout_ms
    }

    /// Lets its time start anew.
    #[inline]
    pub(super) fn restart(&mut self, now: Millis, timeout_ms: u32) {
        self.seen = low(now.0);
        self.timeout_ms = timeout_ms;
    }

    /// Writes the state, but for the tags of SCTP, which are beside.
    #[inline]
    pub(super) fn set_state(&mut self, state: State) {
        (self.kind, self.detail) = match state {
            State::Tcp(state) => (Kind::Tcp(state), 0),
            State::Udp => (Kind::Udp, 0),
            State::Sctp(_) => (Kind::Sctp, 0),
            State::Request { reply } => (Kind::Request, reply.map_or(NONE, |reply| reply.0)),
            State::Reply { request } => (Kind::Reply, request.0),
            State::Template { members } => (Kind::Template, members),
        };
    }

    /// What goes with the kind as a position.
    pub(super) fn position(&self) -> Option<ConnIndex> {
        (self.detail != NONE).then_some(ConnIndex(self.detail))
    }

    /// What goes with the kind as a count.
    pub(super) fn count(&self) -> u32 {
        self.detail
    }
}

/// Returns what belongs to one of both keys.
#[inline]
pub(super) fn of<T>([inbound, outbound]: [T; 2], entry: Direction) -> T {
    match entry {
        Direction::Inbound => inbound,
        Direction::Outbound => outbound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_cache_line() {
        assert_eq!((size_of::<Record>(), align_of::<Record>()), (64, 64));
    }
}
