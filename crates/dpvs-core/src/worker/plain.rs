// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shortest way: plain packets of established connections, and pings that are answered here.
//!
//! Nothing is decided here that [`super::process`] does not decide alike. What is not plain about a
//! packet, its connection or its way is found before anything is changed; then it goes there.

use super::WorkerState;
use crate::conn::{Direction, Found};
use crate::counters::{Counter, TrafficCounters};
use crate::icmp::generate::is_host;
use crate::key::Address;
use crate::net::{Family, Protocol};
use crate::plain::Plain;
use crate::tables::{Check, Forward, Tables};
use crate::{DropReason, Frame, Millis, Verdict};
use std::hint::black_box;

/// So many services, with their servers and counters, are in the cache of a processor.
const SERVICES_FEW: usize = 256;

/// What is known of a frame beside its bytes.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub(super) tables: &'a Tables,
    pub(super) now: Millis,
    /// It came from another worker.
    pub(super) is_handed: bool,
}

/// The address whose pings were answered last, under the tables of a generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Answered {
    generation: u64,
    address: Option<u32>,
}

impl WorkerState {
    /// Reads the services, servers and counters of a burst's connections, if there are so many that
    /// they are not in the cache: each is several loads that wait for each other, but not for those of
    /// another packet.
    #[inline]
    pub(super) fn look_ahead(&self, tables: &Tables, found: impl Iterator<Item = Option<Found>>) {
        if tables.services_len() <= SERVICES_FEW {
            return;
        }
        let me = self.me.index();
        for found in found.flatten() {
            let conn = self.conns.view(found.index);
            let service = conn.and_then(|conn| tables.service_by_id(conn.service()));
            let dest = conn.zip(service).and_then(|(conn, service)| service.dest(conn.dest()));
            let parts = [
                service.and_then(|s| s.counters.part(me)).map(|part| &part.traffic),
                dest.and_then(|d| d.shared.counters.part(me)).map(|part| &part.traffic),
            ];
            // Only that they are loaded matters.
            black_box(parts.map(|part| part.map(|traffic| traffic.in_packets.get())));
        }
    }

    /// Forwards a packet of the connection that was found; `None` if that takes more, and then
    /// nothing has been done.
    #[allow(clippy::inline_always, reason = "a verdict handed on in memory waits for its store")]
    #[inline(always)]
    pub(super) fn forward_plain<F: Frame>(
        &mut self,
        arrival: Arrival<'_>,
        frame: &mut F,
        plain: &Plain,
        found: Found,
    ) -> Option<Verdict> {
        let Arrival { tables, now, .. } = arrival;
        let conn = self.conns.established(&plain.tuple, found, now)?;
        let service = tables.service_by_id(conn.service())?;
        let dest = service.dest(conn.dest())?;
        let protocol = plain.tuple.protocol;
        let is_special = match protocol {
            Protocol::Tcp => tables.limits.icmp.sequence != Check::Off,
            // A service of another protocol has pings by the policy of its address.
            Protocol::Icmp => {
                service.key.virtual_().is_some_and(|key| key.protocol != protocol)
                    || !plain.has_good_message(frame.bytes())
            }
            _ => false,
        };
        if is_special || plain.ttl <= 1 || service.settings.expire_quiescent {
            return None;
        }
        let own_ms = service.settings.conn_timeout_ms;
        let timeout_ms = conn.timeout_ms(plain.flags, &tables.timeouts, own_ms)?;
        let leaves_as = conn.leaves_as;
        let [_, towards] = leaves_as.addresses;
        let way = self.ways.find(&self.neighbours, arrival, (plain.len(), towards))?;
        let method = conn.forward();
        let is_direct = method == Forward::Direct
            && way.is_on_link
            && Address::from_v4_bits(towards) == dest.endpoint.address
            && !tables.limits.pass_takes_ttl;
        if !(method.sees_replies() || is_direct) {
            return None;
        }
        if !is_direct {
            plain.translate(frame.bytes_mut(), &leaves_as)?;
        }
        let verdict = way.send(frame, plain.end)?;
        let (direction, request) = (conn.direction(), conn.request());
        conn.touch(now, timeout_ms);
        if let Some(request) = request {
            self.conns.refresh(request, now, timeout_ms);
        }
        let me = self.me.index();
        let len = u64::from(plain.len());
        if let Some(part) = service.counters.part(me) {
            count(&part.traffic, direction, len);
        }
        if let Some(part) = dest.shared.counters.part(me) {
            count(&part.traffic, direction, len);
        }
        if protocol == Protocol::Icmp {
            self.count_received(arrival, Family::V4, plain.icmp_type());
            self.counters.icmp_query_forwarded.add(u64::from(direction == Direction::Inbound));
        }
        Some(verdict)
    }

    /// Answers a ping of the address whose pings were answered last; `None` if it is another one, or
    /// takes more.
    #[allow(clippy::inline_always, reason = "a verdict handed on in memory waits for its store")]
    #[inline(always)]
    pub(super) fn answer_plain<F: Frame>(
        &mut self,
        arrival: Arrival<'_>,
        frame: &mut F,
        plain: &Plain,
    ) -> Option<Verdict> {
        let Arrival { tables, now, .. } = arrival;
        let [src, dst] = plain.tuple.addresses;
        let known = Answered { generation: tables.generation(), address: Some(dst) };
        if !plain.is_echo_request() || self.answered != known {
            return None;
        }
        let ends = [src, dst].map(Address::from_v4_bits);
        let [src, _] = ends;
        if !is_host(src) || tables.address(src).is_some() || !plain.has_good_message(frame.bytes())
        {
            return None;
        }
        let [towards, _] = plain.tuple.addresses;
        let way = *self.ways.find(&self.neighbours, arrival, (plain.len(), towards))?;
        self.count_received(arrival, Family::V4, plain.icmp_type());
        if !self.may_echo(tables, now, ends) {
            return Some(Verdict::Drop(DropReason::IcmpEchoLimited));
        }
        plain.answer(frame.bytes_mut())?;
        self.counters.icmp_echo_replied.add(1);
        way.send(frame, plain.end)
    }

    /// Notes that a ping of an address was answered as pings of most addresses are: by no policy of
    /// its own, and whoever asks.
    pub(super) fn note_answered(&mut self, tables: &Tables, address: Address) {
        let is_usual =
            tables.echo(address).is_none() && tables.limits.icmp.echo_admitted.is_empty();
        let address = address.v4_bits().filter(|_| is_usual);
        self.answered = Answered { generation: tables.generation(), address };
    }

    /// Counts an ICMP message that came in.
    #[inline]
    pub(super) fn count_received(&self, arrival: Arrival<'_>, family: Family, icmp_type: u8) {
        if !arrival.is_handed {
            self.counters.icmp_messages.received.add(family, icmp_type);
        }
    }
}

/// Counts a packet.
#[inline]
pub(super) fn count(traffic: &TrafficCounters, direction: Direction, len: u64) {
    let count = |packets: &Counter, bytes: &Counter| {
        packets.add(1);
        bytes.add(len);
    };
    match direction {
        Direction::Inbound => count(&traffic.in_packets, &traffic.in_bytes),
        Direction::Outbound => count(&traffic.out_packets, &traffic.out_bytes),
    }
}
