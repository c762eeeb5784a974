// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection as it stands in its table: what is looked at is read from the record, no more.

use super::record::{Kind, Record};
use super::{Conn, ConnIndex, ConnTable, Direction, Entries, Found, Sctp, Sequences, Sides, State};
use crate::Millis;
use crate::ids::position;
use crate::key::{Address, Key};
use crate::net::Protocol;
use crate::tables::{DestId, Forward, ServiceId};

/// Words of what few connections have: the template, when the last path MTU was told, the high bits of
/// both counts of packets, and what TCP's sequence numbers or SCTP's tags are.
pub(super) const RARE_WORDS: usize = 9;

/// The low bits of a time or a count.
pub(super) fn low(number: u64) -> u32 {
    let [.., a, b, c, d] = number.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// A connection as it stands in its table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    table: &'a ConnTable,
    record: &'a Record,
    index: ConnIndex,
}

impl<'a> View<'a> {
    pub(super) fn new(table: &'a ConnTable, record: &'a Record, index: ConnIndex) -> Self {
        View { table, record, index }
    }

    /// Returns the inbound key and the outbound key.
    #[inline]
    pub(crate) fn keys(&self) -> [Key; 2] {
        [self.key(Direction::Inbound), self.key(Direction::Outbound)]
    }

    #[inline]
    fn key(&self, entry: Direction) -> Key {
        let [src, dst] = self.addresses(entry);
        let [sport, dport] = self.record.ports(entry);
        Key { src, dst, sport, dport, protocol: self.record.protocol }
    }

    #[inline]
    fn addresses(&self, entry: Direction) -> [Address; 2] {
        self.table.addresses(self.record, Found { index: self.index, entry })
    }

    /// Returns the hashes of the keys that it is found by.
    #[inline]
    pub(super) fn entry_hashes(&self) -> [Option<u32>; 2] {
        [Direction::Inbound, Direction::Outbound].map(|entry| {
            self.entries().has(entry).then(|| match self.record.narrow(entry) {
                Some(tuple) => self.table.hash_of(&tuple),
                None => self.table.hash_of(&self.key(entry)),
            })
        })
    }

    /// Returns the local address.
    #[inline]
    pub(crate) fn local_address(&self) -> Address {
        let entry = if self.is_reply() { Direction::Inbound } else { Direction::Outbound };
        let [_, dst] = self.addresses(entry);
        dst
    }

    /// Returns the template that it was made by.
    #[inline]
    pub(crate) fn template(&self) -> Option<ConnIndex> {
        let [template, ..] = self.rare();
        template.checked_sub(1).map(ConnIndex)
    }

    fn rare(&self) -> [u32; RARE_WORDS] {
        if !self.record.is_rare() {
            return [0; RARE_WORDS];
        }
        self.table.rare.get(position(self.index.0)).copied().unwrap_or_default()
    }

    /// Returns the state.
    #[inline]
    pub(crate) fn state(&self) -> State {
        match self.record.kind {
            Kind::Tcp(state) => State::Tcp(state),
            Kind::Udp => State::Udp,
            Kind::Sctp => {
                let [_, _, _, _, words @ ..] = self.rare();
                State::Sctp(Sctp::from_words(words))
            }
            Kind::Request => State::Request { reply: self.record.position() },
            Kind::Reply => {
                State::Reply { request: self.record.position().unwrap_or(ConnIndex(u32::MAX)) }
            }
            Kind::Template => State::Template { members: self.record.count() },
        }
    }

    /// Returns whether it is the reply half of a query pair.
    #[inline]
    pub(crate) fn is_reply(&self) -> bool {
        self.record.kind == Kind::Reply
    }

    /// Returns whether it is the request half.
    #[inline]
    pub(crate) fn is_request(&self) -> bool {
        self.record.kind == Kind::Request
    }

    /// Returns the protocol.
    #[inline]
    pub(crate) fn protocol(&self) -> Protocol {
        self.record.protocol
    }

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

    /// Returns by which keys it is found.
    #[inline]
    pub(crate) fn entries(&self) -> Entries {
        self.record.entries()
    }

    /// Returns how long it may be idle.
    #[inline]
    pub(crate) fn timeout_ms(&self) -> u32 {
        self.record.timeout_ms
    }

    /// Returns when it expires if it stays idle.
    #[inline]
    pub(crate) fn expires_at(&self) -> Millis {
        self.table.time(self.record.seen) + u64::from(self.record.timeout_ms)
    }

    /// Returns when a path MTU was told about it last.
    pub(crate) fn told_at(&self) -> Option<Millis> {
        let [_, told, ..] = self.rare();
        self.record.is_told().then(|| self.table.time(told))
    }

    /// Returns whether none of the client's packets has been forwarded, a short time after it was
    /// made.
    #[inline]
    pub(crate) fn is_unused(&self) -> bool {
        let [inbound, _] = self.record.packets;
        inbound == 0
    }

    /// Returns its four ends.
    #[inline]
    pub(crate) fn sides(&self) -> Sides {
        let [inbound, outbound] = self.keys();
        if self.is_reply() {
            Sides::of(&outbound, &inbound)
        } else {
            Sides::of(&inbound, &outbound)
        }
    }

    /// Returns all of it.
    pub(super) fn whole(&self) -> Conn {
        let [inbound, outbound] = self.keys();
        let record = self.record;
        let [template, _, in_high, out_high, words @ ..] = self.rare();
        let [in_low, out_low] = record.packets;
        let state = self.state();
        let join = |high, low| u64::from(high) << u32::BITS | u64::from(low);
        Conn {
            inbound,
            outbound,
            state,
            service: record.service,
            dest: record.dest,
            forward: record.forward,
            entries: record.entries(),
            template: template.checked_sub(1).map(ConnIndex),
            last_seen: self.table.time(record.seen),
            timeout_ms: record.timeout_ms,
            sequences: match state {
                State::Tcp(_) => Sequences::from_words(words),
                _ => Sequences::default(),
            },
            mtu_told_at: self.told_at(),
            in_packets: join(in_high, in_low),
            out_packets: join(out_high, out_low),
        }
    }
}

impl ConnTable {
    /// Notes that a path MTU was told about a connection.
    pub(crate) fn note_told(&mut self, index: ConnIndex, now: Millis) {
        self.tick(now);
        let at = position(index.0);
        let Some(record) = self.slab.get_mut(at).filter(|record| record.is_taken()) else { return };
        let Some(rare) = self.rare.get_mut(at) else { return };
        if !record.is_rare() {
            *rare = [0; RARE_WORDS];
        }
        let [_, told, ..] = rare;
        *told = low(now.0);
        record.set_rare(true);
        record.set_told(true);
    }
}

impl Conn {
    /// Returns whether something of it stands beside its record.
    #[inline]
    pub(super) fn has_rare(&self) -> bool {
        let is_long = |packets: u64| packets >> u32::BITS != 0;
        let has_words = match self.state {
            State::Tcp(_) => self.sequences != Sequences::default(),
            State::Sctp(_) => true,
            _ => false,
        };
        has_words
            || self.template.is_some()
            || self.mtu_told_at.is_some()
            || is_long(self.in_packets)
            || is_long(self.out_packets)
    }

    /// What of it stands beside its record.
    pub(super) fn rare(&self) -> [u32; RARE_WORDS] {
        let template = self.template.map_or(0, |index| index.0.saturating_add(1));
        let told = self.mtu_told_at.map_or(0, |told| low(told.0));
        let high = |packets: u64| low(packets >> u32::BITS);
        let words = match self.state {
            State::Sctp(state) => state.to_words(),
            State::Tcp(_) => self.sequences.to_words(),
            _ => [0; 5],
        };
        let (in_high, out_high) = (high(self.in_packets), high(self.out_packets));
        let mut rare = [0; RARE_WORDS];
        let (own, rest) = rare.split_at_mut(RARE_WORDS - words.len());
        own.copy_from_slice(&[template, told, in_high, out_high]);
        rest.copy_from_slice(&words);
        rare
    }
}
