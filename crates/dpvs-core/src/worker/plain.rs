// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shortest way: plain packets of established connections.
//!
//! Nothing is decided here that [`super::process`] does not decide alike. What is not plain about a
//! packet, its connection or its way is found before anything is changed; then it goes there.

use super::WorkerState;
use crate::conn::{Direction, Found};
use crate::counters::{Counter, TrafficCounters};
use crate::key::Address;
use crate::net::Protocol;
use crate::plain::Plain;
use crate::tables::{Check, Forward, Tables};
use crate::wire::{EthernetHeader, view_mut};
use crate::{Frame, Millis, NextHop, Verdict};

impl WorkerState {
    /// Forwards a packet of the connection that was found; `None` if that takes more, and then
    /// nothing has been done.
    #[inline]
    pub(super) fn forward_plain<F: Frame>(
        &mut self,
        (tables, now): (&Tables, Millis),
        frame: &mut F,
        plain: &Plain,
        found: Found,
    ) -> Option<Verdict> {
        let conn = self.conns.established(&plain.tuple, found, now)?;
        let service = tables.service_by_id(conn.service())?;
        let dest = service.dest(conn.dest())?;
        let has_sequence =
            plain.tuple.protocol == Protocol::Tcp && tables.limits.icmp.sequence != Check::Off;
        if !plain.has_ttl || has_sequence || service.settings.expire_quiescent {
            return None;
        }
        let own_ms = service.settings.conn_timeout_ms;
        let timeout_ms = conn.timeout_ms(plain.flags, &tables.timeouts, own_ms)?;
        let leaves_as = conn.leaves_as;
        let [_, towards] = leaves_as.addresses.map(Address::from_v4_bits);
        let way = tables.routes().way(towards)?;
        let port = tables.port(way.port)?;
        let mtu = if way.mtu == 0 { port.mtu } else { way.mtu.min(port.mtu) };
        let hop = NextHop { port: way.port, address: way.next_hop(towards) };
        let mac = self.neighbours.recent(tables, now, hop)?;
        let method = conn.forward();
        let is_short = u32::from(plain.len()) <= mtu;
        let is_direct = method == Forward::Direct
            && hop.address == dest.endpoint.address
            && !tables.limits.pass_takes_ttl;
        if !is_short || !(method.sees_replies() || is_direct) {
            return None;
        }
        let bytes = frame.bytes_mut();
        if !is_direct {
            plain.translate(bytes, &leaves_as)?;
        }
        let ethernet = view_mut::<EthernetHeader>(bytes, 0)?;
        (ethernet.dst, ethernet.src) = (mac.0, port.mac.0);
        frame.truncate(usize::from(plain.end));
        let me = self.me.index();
        let len = u64::from(plain.len());
        let direction = conn.direction();
        conn.touch(now, timeout_ms);
        if let Some(part) = service.counters.part(me) {
            count(&part.traffic, direction, len);
        }
        if let Some(part) = dest.shared.counters.part(me) {
            count(&part.traffic, direction, len);
        }
        Some(Verdict::Transmit(way.port))
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
