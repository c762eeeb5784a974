// SPDX-License-Identifier: MIT OR Apache-2.0
//! ICMP queries: answered here, or forwarded in pairs of connections.
//!
//! ```text
//! no service            local reply, if the address is ours
//! service, no connection  drop
//! service, connection     to the real server; its reply, if expected, back to the client
//! ```

use super::WorkerState;
use super::owners::{self, Owners};
use super::process::{Context, local_only, to_kernel, too_big};
use super::sessions::Start;
use crate::checksum::Delta;
use crate::conn::{Direction, Found, State};
use crate::icmp;
use crate::icmp::generate::{Error, TTL, is_host};
use crate::key::{Address, Key, QueryType};
use crate::net::Family;
use crate::parse::Packet;
use crate::tables::Tables;
use crate::wire::{IcmpHeader, Ipv4Header, Ipv6Header, view_mut};
use crate::{DropReason, Frame, Millis, Verdict};

impl WorkerState {
    /// A query whose key is in the table: a request or a reply of a pair, or the first reply.
    pub(super) fn query_hit<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        key: &Key,
        found: Found,
    ) -> Verdict {
        if !is_good(frame.bytes(), packet) {
            return Verdict::Drop(DropReason::IcmpBadChecksum);
        }
        let Some(state) = self.conns.view(found.index).map(|conn| conn.state()) else {
            return Verdict::Drop(DropReason::NoConnection);
        };
        let found = match (state, found.entry) {
            // The reply half was made by an earlier frame of this burst, after the lookup.
            (State::Request { reply: Some(index) }, Direction::Outbound) => {
                Found { index, entry: Direction::Inbound }
            }
            (State::Request { reply: None }, Direction::Outbound) => {
                // A reply that ends here makes nothing.
                if packet.ttl <= 1 {
                    return self.answer_error(context, frame, packet, Error::TimeExceeded);
                }
                match self.make_reply(context.tables, context.now, found.index) {
                    Ok(index) => Found { index, entry: Direction::Inbound },
                    Err(reason) => return Verdict::Drop(reason),
                }
            }
            _ => found,
        };
        debug_assert!(self.conns.get(found.index).is_some_and(|conn| conn.inbound == *key));
        self.forward(context, frame, packet, found)
    }

    /// A query without a connection.
    pub(super) fn query_miss<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        key: &Key,
        query: QueryType,
    ) -> Verdict {
        let tables = context.tables;
        if !query.is_request() {
            return self.reply_miss(context, packet, key);
        }
        let (service, owners) = match tables.service_for(key.protocol, key.dst, 0) {
            Some(service) => (service, owners::of_client(tables, service, key, true)),
            None if is_ours(tables, packet) => {
                return self.local_query(context, frame, packet, (key, query));
            }
            None => match tables.service_matching(key, context.port) {
                Some(service) => (service, owners::of_transit(tables, key, Some(service), true)),
                None => return Verdict::Drop(DropReason::NotForUs),
            },
        };
        if let Some(verdict) = self.hand_on(context, &owners) {
            return verdict;
        }
        if !is_good(frame.bytes(), packet) {
            return Verdict::Drop(DropReason::IcmpBadChecksum);
        }
        let state = State::Request { reply: None };
        self.start(context, frame, packet, &Start { key, service, dest: None, state })
    }

    /// A reply that no request expects here: its owner may be another worker, or the host's own
    /// ping waits for it. It never makes a connection.
    fn reply_miss(&mut self, context: &Context<'_>, packet: &Packet, key: &Key) -> Verdict {
        let tables = context.tables;
        let owners = if tables.is_laddr(packet.dst) {
            Owners::only(tables.steering().local_port(key.sport))
        } else if is_ours(tables, packet) {
            Owners::default()
        } else {
            owners::of_transit(tables, key, None, false)
        };
        if let Some(verdict) = self.hand_on(context, &owners) {
            return verdict;
        }
        // The host may have the address too, and wait for it.
        if tables.is_served(packet.dst) && !tables.is_hosts(packet.dst) {
            return Verdict::Drop(DropReason::IcmpUnsolicited);
        }
        local_only(context, packet, DropReason::IcmpUnsolicited)
    }

    /// A request without a service: an echo to an address of ours is answered in place.
    fn local_query<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        (key, query): (&Key, QueryType),
    ) -> Verdict {
        let tables = context.tables;
        if matches!(query, QueryType::EchoRequest | QueryType::Echo6Request)
            && let Some(verdict) = self.unusual_echo(context, frame, packet, key)
        {
            return verdict;
        }
        if tables.address(packet.dst).is_none() {
            if packet.is_link_group {
                return to_kernel(context, DropReason::IcmpQuery);
            }
            let reason = if tables.is_served(packet.dst) {
                DropReason::IcmpQuery
            } else {
                DropReason::NotForUs
            };
            return Verdict::Drop(reason);
        }
        // Half a request cannot be answered; the kernel may put it together.
        if packet.fragment.is_some() {
            return local_only(context, packet, DropReason::Fragment);
        }
        if query == QueryType::TimestampRequest {
            return Verdict::Drop(DropReason::IcmpQuery);
        }
        if packet.is_link_group || !is_host(packet.src) || tables.address(packet.src).is_some() {
            return Verdict::Drop(DropReason::BadSource);
        }
        if !icmp::has_good_checksum(frame.bytes(), packet) {
            return Verdict::Drop(DropReason::IcmpBadChecksum);
        }
        // It came in over a link that takes longer packets than the way back.
        let route = tables.routes().lookup(packet.src);
        if too_big(tables, packet, route, 0).is_some() {
            return Verdict::Drop(DropReason::TooBig);
        }
        if !self.may_echo(tables, context.now, [packet.src, packet.dst]) {
            return Verdict::Drop(DropReason::IcmpEchoLimited);
        }
        if reply_in_place(frame.bytes_mut(), packet, query.opposite()).is_none() {
            return Verdict::Drop(DropReason::MalformedHeader);
        }
        let out = Packet { src: packet.dst, dst: packet.src, ..*packet };
        let verdict = self.send_by(tables, context.now, frame, out.span(), route);
        self.counters.icmp_echo_replied.add(u64::from(!verdict.is_drop()));
        self.note_answered(tables, packet.dst);
        verdict
    }
}

impl WorkerState {
    /// Returns whether the limits allow one more echo reply, to the first address from the second.
    pub(super) fn may_echo(
        &mut self,
        tables: &Tables,
        now: Millis,
        [to, from]: [Address; 2],
    ) -> bool {
        let policy = &tables.limits.icmp;
        let network = to.masked(match to.family() {
            Family::V4 => !0xff,
            Family::V6 => !0 << 80,
        });
        let per_source = policy.echo_per_source_per_s;
        let per_address = policy.echo_per_s;
        self.echoes_per_source.take(now, network.bits(), per_source, per_source)
            && self.echoes_per_address.take(now, from.bits(), per_address, per_address)
    }
}

/// Returns whether the checksum is right, as far as that can be told: that of a request in parts is
/// updated like the others, so it stays wrong if it is.
pub(super) fn is_good(bytes: &[u8], packet: &Packet) -> bool {
    packet.fragment.is_some() || icmp::has_good_checksum(bytes, packet)
}

/// Returns whether a packet is for us, or for everybody on the link.
fn is_ours(tables: &Tables, packet: &Packet) -> bool {
    packet.is_link_group || tables.is_ours(packet.dst)
}

/// Makes a request the reply to it: addresses swapped, type, time to live 64; everything else, the
/// data and TOS among it, comes back as it was (RFC 1122 section 3.2.2.6, RFC 1812 section 4.3.2.5).
fn reply_in_place(bytes: &mut [u8], packet: &Packet, reply: QueryType) -> Option<()> {
    match packet.family {
        Family::V4 => {
            let ip: &mut Ipv4Header = view_mut(bytes, packet.l3)?;
            (ip.src, ip.dst) = (ip.dst, ip.src);
            let old = [ip.ttl, ip.protocol];
            ip.ttl = TTL;
            ip.checksum.update(Delta::words(old, [ip.ttl, ip.protocol]));
        }
        Family::V6 => {
            let ip: &mut Ipv6Header = view_mut(bytes, packet.l3)?;
            (ip.src, ip.dst) = (ip.dst, ip.src);
            ip.hop_limit = TTL;
        }
    }
    let icmp: &mut IcmpHeader = view_mut(bytes, packet.l4)?;
    let old = [icmp.icmp_type, icmp.code];
    icmp.icmp_type = reply.number();
    icmp.checksum.update(Delta::words(old, [icmp.icmp_type, icmp.code]));
    icmp::settle_zero(bytes, packet)
}
