// SPDX-License-Identifier: MIT OR Apache-2.0
//! ICMP errors: found by the packet they quote, translated, or dropped. They never create, refresh,
//! expire or change a connection.

use super::owners::{self, Owners};
use super::process::{Context, to_kernel, too_big};
use super::{WorkerState, direction_of};
use crate::conn::{Conn, Direction, State};
use crate::forward::{self, Ends};
use crate::icmp::quote::{self, Quote};
use crate::icmp::{has_good_checksum, translate::translate};
use crate::key::{Endpoint, Key, QueryType};
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
        let is_served = tables.is_virtual(packet.dst) || tables.is_laddr(packet.dst);
        // Errors about the host's own packets belong to its stack.
        if !is_served && (packet.is_link_group || tables.address(packet.dst).is_some()) {
            return to_kernel(context, DropReason::IcmpUnrelated);
        }
        // On its way through it may be about NAT or SNAT.
        if !is_served && !tables.has_transit() {
            return Verdict::Drop(DropReason::NotForUs);
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
            return match self.hand_on(context, &owners_of_quoted(context, &quote.key, &key)) {
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
        if !conn.forward.sees_replies() {
            // What the server sent past us is its own: the error goes where the data goes.
            let verdict = self.forward_by(context, frame, packet, (conn, None), direction);
            if !matches!(verdict, Verdict::Drop(_)) {
                self.counters.icmp_error_relayed_in.add(1);
            }
            return verdict;
        }
        let ends = forward::ends(conn, direction);
        let route = tables.routes().lookup(ends.dst.address);
        if too_big(tables, packet, route, 0).is_some() {
            return Verdict::Drop(DropReason::TooBig);
        }
        let source = forward::error_source(conn, direction).unwrap_or(packet.src);
        let outer = Ends { src: Endpoint { address: source, ..ends.src }, ..ends };
        // The quoted packet went the other way: it is what the error's receiver once sent.
        let sent = Ends { src: ends.dst, dst: ends.src };
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

/// Returns the workers that may have the connection of a packet that an error quotes. `answer` is
/// what would answer that packet: it is found as the packets of the error's direction are.
fn owners_of_quoted(context: &Context<'_>, quoted: &Key, answer: &Key) -> Owners {
    let tables = context.tables;
    let service = tables.service_for(answer.protocol, answer.dst, answer.dport);
    if tables.is_laddr(quoted.src) {
        // A request from a local address is ours also where an ICMP service stands.
        let is_ours = match QueryType::from_ports(quoted.protocol, quoted.dport) {
            Some(query) if quoted.protocol.is_icmp() => query.is_request(),
            _ => service.is_none(),
        };
        if is_ours {
            return Owners::only(tables.steering().local_port(quoted.sport));
        }
    }
    if let Some(service) = service {
        return owners::of_client(tables, service, answer, false);
    }
    let service = tables.service_matching(answer, context.port);
    owners::of_transit(tables, answer, service, false)
}

#[allow(clippy::large_enum_variant, reason = "lives for one frame, on the stack")]
enum Related {
    Elsewhere(Verdict),
    Here(Quote, Conn, Direction),
}
