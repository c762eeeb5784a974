// SPDX-License-Identifier: MIT OR Apache-2.0
//! ICMP errors: found by the packet they quote, translated, or dropped. They never create, refresh,
//! expire or change a connection.

use super::process::{Context, to_kernel, too_big};
use super::{WorkerState, direction_of};
use crate::conn::{Conn, Direction, State};
use crate::forward::{Ends, fullnat};
use crate::icmp::quote::{self, Quote};
use crate::icmp::{has_good_checksum, translate::translate};
use crate::key::{Endpoint, QueryType};
use crate::net::Family;
use crate::parse::Packet;
use crate::wire::{IcmpHeader, view};
use crate::{DropReason, Frame, Verdict};

/// Smallest path MTU of IPv4 (RFC 791 section 3.2): smaller ones are an attack (RFC 5927 section 7).
const MTU_V4_MIN: u32 = 68;
/// Smallest MTU of IPv6 (RFC 8201 section 4).
const MTU_V6_MIN: u32 = 1280;

impl WorkerState {
    pub(super) fn icmp_error<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        icmp_type: u8,
        code: u8,
    ) -> Verdict {
        let tables = context.tables;
        if !tables.is_virtual(packet.dst) && !tables.is_laddr(packet.dst) {
            // Errors about the host's own packets belong to its stack.
            return match tables.address(packet.dst) {
                Some(_) => to_kernel(context, DropReason::IcmpUnrelated),
                None => Verdict::Drop(DropReason::NotForUs),
            };
        }
        let is_quench = packet.family == Family::V4 && icmp_type == 4;
        if is_quench && !tables.limits.icmp_relay_source_quench {
            return Verdict::Drop(DropReason::IcmpQuench);
        }
        match self.related(context, frame.bytes(), packet, (icmp_type, code)) {
            Ok(Related::Elsewhere(verdict)) => verdict,
            Ok(Related::Here(quote, conn, direction)) => {
                self.relay(context, frame, packet, &quote, &conn, direction)
            }
            Err(reason) => Verdict::Drop(reason),
        }
    }

    /// Finds the connection that an error is about. Nothing is changed by this.
    fn related(
        &mut self,
        context: &Context<'_>,
        bytes: &[u8],
        packet: &Packet,
        kind: (u8, u8),
    ) -> Result<Related, DropReason> {
        let tables = context.tables;
        let quote = quote::parse(bytes, packet)?;
        // The error went to the host that sent the quoted packet, or it is not about that packet.
        if quote.key.src != packet.dst {
            return Err(DropReason::IcmpSourceMismatch);
        }
        // The quote is what we sent: its connection is found by what would answer it.
        let key = quote.key.reversed().ok_or(DropReason::IcmpUnrelated)?;
        let Some(found) = self.conns.find(&key) else {
            let is_ours = tables.is_laddr(quote.key.src)
                && match QueryType::from_ports(quote.key.protocol, quote.key.dport) {
                    // A request from a local address is ours also where an ICMP service stands.
                    Some(query) if key.protocol.is_icmp() => query.is_request(),
                    _ => tables.service_for(key.protocol, key.dst, key.dport).is_none(),
                };
            let owner = if is_ours {
                tables.steering().local_port(quote.key.sport)
            } else {
                tables.steering().inbound(&key)
            };
            return match self.elsewhere(context, owner) {
                Some(verdict) => Ok(Related::Elsewhere(verdict)),
                None => Err(DropReason::IcmpUnrelated),
            };
        };
        let limit = tables.limits.icmp_relayed_per_s;
        if !self.relayed.take(context.now, limit, limit) {
            return Err(DropReason::IcmpLimited);
        }
        if !has_good_checksum(bytes, packet) {
            return Err(DropReason::IcmpBadChecksum);
        }
        self.check_mtu(bytes, packet, &quote, kind)?;
        if packet.ttl <= 1 {
            return Err(DropReason::IcmpTtl);
        }
        let conn = *self.conns.get(found.index).ok_or(DropReason::IcmpUnrelated)?;
        let is_reply = matches!(conn.state, State::Reply { .. });
        Ok(Related::Here(quote, conn, direction_of(found.entry, is_reply)))
    }

    /// Checks the MTU of "fragmentation needed" and "packet too big" (RFC 5927 section 7).
    fn check_mtu(
        &self,
        bytes: &[u8],
        packet: &Packet,
        quote: &Quote,
        kind: (u8, u8),
    ) -> Result<(), DropReason> {
        let icmp: &IcmpHeader = view(bytes, packet.l4).ok_or(DropReason::TruncatedHeader)?;
        let (mtu, least) = match (packet.family, kind) {
            (Family::V4, (3, 4)) => (icmp.mtu_v4(), MTU_V4_MIN),
            (Family::V6, (2, _)) => (icmp.mtu_v6(), MTU_V6_MIN),
            _ => return Ok(()),
        };
        if mtu == 0 && packet.family == Family::V4 {
            // A router older than RFC 1191: the receiver knows what to do (its section 5).
            self.counters.icmp_error_ptb_zero_mtu.add(1);
        } else if mtu < least {
            return Err(DropReason::IcmpMtuTooSmall);
        } else if mtu >= quote.len {
            self.counters.icmp_error_ptb_implausible.add(1);
        }
        Ok(())
    }

    /// Translates a related error and sends it on. `direction` is the way of the packets that have
    /// the error's direction: from the client's side inbound.
    fn relay<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        quote: &Quote,
        conn: &Conn,
        direction: Direction,
    ) -> Verdict {
        let tables = context.tables;
        if direction == Direction::Inbound {
            let service = tables.service_by_id(conn.service);
            if service.and_then(|service| service.dest(conn.dest)).is_none() {
                return Verdict::Drop(DropReason::DestGone);
            }
        }
        let outer = fullnat::ends(conn, direction);
        let route = tables.routes().lookup(outer.dst.address);
        if too_big(tables, packet, route).is_some() {
            return Verdict::Drop(DropReason::TooBig);
        }
        // The quoted packet went the other way: it is what the error's receiver once sent.
        let sent = Ends { src: outer.dst, dst: outer.src };
        let inner = if conn.protocol().is_icmp() {
            // Its identifier is the one on that side, and stands where a source port would.
            let identifier = match direction {
                Direction::Inbound => conn.local().port,
                Direction::Outbound => conn.client().port,
            };
            Ends { src: Endpoint { port: identifier, ..sent.src }, ..sent }
        } else {
            sent
        };
        if translate(frame.bytes_mut(), packet, quote, outer, inner).is_none() {
            return Verdict::Drop(DropReason::IcmpBadQuote);
        }
        match direction {
            Direction::Inbound => self.counters.icmp_error_relayed_in.add(1),
            Direction::Outbound => self.counters.icmp_error_relayed_out.add(1),
        }
        let out = Packet { src: outer.src.address, dst: outer.dst.address, ..*packet };
        debug_assert_eq!(out.dst, inner.src.address, "an error goes to whom it quotes");
        self.send_by(tables, context.now, frame, &out, route)
    }
}

#[allow(clippy::large_enum_variant, reason = "lives for one frame, on the stack")]
enum Related {
    Elsewhere(Verdict),
    Here(Quote, Conn, Direction),
}
