// SPDX-License-Identifier: MIT OR Apache-2.0
//! ICMP errors: found by the packet they quote, translated, or dropped. They never create, refresh,
//! expire or change a connection, but for two switches that are off by default.

use super::owners::{self, Owners};
use super::process::{Context, mtu_of, route_to, to_kernel};
use super::{WorkerState, direction_of};
use crate::conn::{Conn, ConnIndex, Direction, Found, Sides, State};
use crate::counters::IcmpErrorCounters;
use crate::forward::{self, Ends};
use crate::icmp::quote::{self, Quote};
use crate::icmp::recorder::{Decision, Outcome};
use crate::icmp::{has_good_checksum, shorten, translate::translate};
use crate::key::{Address, Endpoint, Key, QueryType};
use crate::net::Family;
use crate::parse::Packet;
use crate::tables::{Check, ErrorSource, Forward, RouteLookup};
use crate::wire::{IcmpHeader, view};
use crate::{DropReason, Frame, Verdict};

/// Smallest path MTU of IPv4 (RFC 791 section 3.2): smaller ones are an attack (RFC 5927 section 7).
pub(super) const MTU_V4_MIN: u32 = 68;
/// Smallest MTU of IPv6 (RFC 8201 section 4).
pub(super) const MTU_V6_MIN: u32 = 1280;
/// What is left of a quote that is cut at least: RFC 792 has routers quote as much.
const QUOTED_L4_LEN_MIN: usize = 8;

/// What an error says.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) icmp_type: u8,
    pub(super) code: u8,
}

/// A path MTU that an error tells, and of which family's packet.
pub(super) struct Told {
    /// 0 if the error does not know it.
    pub(super) mtu: u32,
    pub(super) family: Family,
    /// Length of the packet that was too big.
    pub(super) quoted_len: u32,
}

impl WorkerState {
    /// Treats an ICMP error, and remembers what became of it.
    pub(super) fn icmp_error<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        (icmp_type, code): (u8, u8),
    ) -> Verdict {
        let quoted = quote::parse(frame.bytes(), packet);
        let kind = Kind { icmp_type, code };
        let (verdict, outcome) = self.decide_error(context, frame, packet, kind, &quoted);
        self.recorder.record(Decision {
            at: context.now,
            port: context.port,
            src: packet.src,
            dst: packet.dst,
            icmp_type,
            code,
            quote: quoted.ok().map(|quote| quote.key),
            outcome,
        });
        verdict
    }

    fn decide_error<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        kind: Kind,
        quoted: &Result<Quote, DropReason>,
    ) -> (Verdict, Outcome) {
        let tables = context.tables;
        let is_served = tables.is_served(packet.dst);
        let is_own = || tables.address(packet.dst).is_some();
        // Errors about the host's own packets belong to its stack.
        if !is_served && (packet.is_link_group || is_own()) {
            let used = self.about_tunnel(context, frame, packet, kind);
            return used.unwrap_or_else(|| ended(to_kernel(context, DropReason::IcmpUnrelated)));
        }
        // On its way through it may be about NAT or SNAT.
        if !is_served && !tables.has_transit() {
            return ended(Verdict::Drop(DropReason::NotForUs));
        }
        let is_quench = packet.family == Family::V4 && kind.icmp_type == 4;
        if is_quench && !tables.limits.icmp.relays_source_quench {
            return ended(Verdict::Drop(DropReason::IcmpQuench));
        }
        let related = match quoted {
            Ok(quote) => self.related(context, frame, packet, (quote, kind)),
            Err(reason) => Err(*reason),
        };
        match related {
            Ok(decided) => decided,
            Err(reason) => {
                // Connections come first: their local ports may be such as tunnels have.
                let is_strange =
                    matches!(reason, DropReason::IcmpUnrelated | DropReason::IcmpQuoteProtocol);
                if is_strange
                    && is_own()
                    && let Some(used) = self.about_tunnel(context, frame, packet, kind)
                {
                    return used;
                }
                refused(context, packet.dst, reason)
            }
        }
    }

    /// Finds the connection that an error is about, checks the error and relays it.
    fn related<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        (quote, kind): (&Quote, Kind),
    ) -> Result<(Verdict, Outcome), DropReason> {
        // The error went to the host that sent the quoted packet, or it is not about that packet.
        if quote.key.src != packet.dst {
            return Err(DropReason::IcmpSourceMismatch);
        }
        // The quote is what we sent: its connection is found by what would answer it.
        let key = quote.key.reversed().ok_or(DropReason::IcmpUnrelated)?;
        let Some(found) = self.conns.find(&key) else {
            return match self.hand_on(context, &owners_of_quoted(context, &quote.key, &key)) {
                Some(verdict) => Ok(ended(verdict)),
                None => Err(DropReason::IcmpUnrelated),
            };
        };
        let conn = self.conns.get(found.index).ok_or(DropReason::IcmpUnrelated)?;
        // Its time may be over though its timer has not fired yet. It is left for that one to end.
        if self.expires_at(conn.state, conn.expires_at()) <= context.now {
            return Err(DropReason::IcmpUnrelated);
        }
        let direction = direction_of(found.entry, matches!(conn.state, State::Reply { .. }));
        let relation = Relation { conn: &conn, sides: conn.sides(), found, direction };
        self.check(context, frame.bytes(), packet, (quote, kind), &relation)?;
        Ok(match self.relay(context, frame, packet, (quote, kind), &relation) {
            verdict @ Verdict::Drop(_) => ended(verdict),
            verdict => {
                self.end_unreachable(context, packet, kind, &relation);
                (verdict, Outcome::Relayed(direction))
            }
        })
    }

    /// Takes what an error about a connection of a virtual address may take of the limits.
    pub(super) fn admit(
        &mut self,
        context: &Context<'_>,
        virtual_: Address,
    ) -> Result<(), DropReason> {
        let (policy, now) = (&context.tables.limits.icmp, context.now);
        // That of the address comes first: its flood must not use up what all have together.
        let per_virtual = policy.relayed_per_virtual_per_s;
        if !self.relayed_per_virtual.take(now, virtual_.bits(), per_virtual, per_virtual) {
            return Err(DropReason::IcmpLimitedVirtual);
        }
        if !self.relayed.take(now, policy.relayed_per_s, policy.relayed_per_s) {
            return Err(DropReason::IcmpLimited);
        }
        Ok(())
    }

    /// Checks an error about a connection of ours: limits first, what costs more later.
    fn check(
        &mut self,
        context: &Context<'_>,
        bytes: &[u8],
        packet: &Packet,
        (quote, kind): (&Quote, Kind),
        relation: &Relation<'_>,
    ) -> Result<(), DropReason> {
        let policy = &context.tables.limits.icmp;
        self.admit(context, relation.sides.virtual_.address)?;
        if !has_good_checksum(bytes, packet) {
            return Err(DropReason::IcmpBadChecksum);
        }
        if !quote.is_intact && policy.quoted_checksum != Check::Off {
            self.counters.icmp_error_quoted_checksum_bad.add(1);
            if policy.quoted_checksum == Check::Drop {
                return Err(DropReason::IcmpBadQuotedChecksum);
            }
        }
        self.check_sequence(policy.sequence, quote, relation)?;
        if packet.ttl <= 1 && relation.conn.forward.sees_replies() {
            return Err(DropReason::IcmpTtl);
        }
        let Some(mtu) = mtu_told(bytes, packet, kind) else { return Ok(()) };
        let told = Told { mtu, family: packet.family, quoted_len: quote.len };
        self.check_mtu(context, &told, relation.found.index)
    }

    /// Checks that a quoted segment may be under way (RFC 5927 section 4.1): whoever guesses at an
    /// error does not know the sequence numbers.
    fn check_sequence(
        &self,
        check: Check,
        quote: &Quote,
        relation: &Relation<'_>,
    ) -> Result<(), DropReason> {
        // The quoted segment went the other way than the error.
        let sender = match relation.direction {
            Direction::Inbound => Direction::Outbound,
            Direction::Outbound => Direction::Inbound,
        };
        let is_odd = check != Check::Off
            && quote.sequence.is_some_and(|sequence| {
                !relation.conn.sequences.may_be_under_way(sender, sequence)
            });
        if is_odd {
            self.counters.icmp_error_sequence_odd.add(1);
            if check == Check::Drop {
                return Err(DropReason::IcmpSequence);
            }
        }
        Ok(())
    }

    /// Checks the MTU of "fragmentation needed" and "packet too big" (RFC 5927 section 7).
    pub(super) fn check_mtu(
        &mut self,
        context: &Context<'_>,
        told: &Told,
        index: ConnIndex,
    ) -> Result<(), DropReason> {
        let Told { mtu, family, quoted_len } = *told;
        let least = match family {
            Family::V4 => MTU_V4_MIN,
            Family::V6 => MTU_V6_MIN,
        };
        if mtu == 0 && family == Family::V4 {
            // A router older than RFC 1191: the receiver knows what to do (its section 5).
            self.counters.icmp_error_ptb_zero_mtu.add(1);
        } else if mtu < least {
            return Err(DropReason::IcmpMtuTooSmall);
        } else if mtu >= quoted_len {
            self.counters.icmp_error_ptb_implausible.add(1);
        }
        let gap_ms = u64::from(context.tables.limits.icmp.mtu_gap_ms);
        let told_at = self.conns.view(index).and_then(|conn| conn.told_at());
        if told_at.is_some_and(|at| context.now.since(at) < gap_ms) {
            return Err(DropReason::IcmpLimitedConnection);
        }
        self.conns.note_told(index, context.now);
        Ok(())
    }

    /// Translates a related error and sends it on.
    fn relay<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        (quote, kind): (&Quote, Kind),
        Relation { conn, sides, direction, .. }: &Relation<'_>,
    ) -> Verdict {
        let (tables, direction) = (context.tables, *direction);
        let service = tables.service_by_id(conn.service);
        let dest = service.and_then(|service| service.dest(conn.dest));
        if direction == Direction::Inbound && dest.is_none() {
            return Verdict::Drop(DropReason::DestGone);
        }
        if direction == Direction::Outbound
            && let Some(part) = dest.and_then(|dest| dest.shared.counters.part(self.me.index()))
        {
            count_about_server(&part.icmp, packet.family, kind);
        }
        let target = forward::towards(sides, direction);
        let translates = conn.forward.sees_replies();
        let overhead = dest.map_or(0, |dest| forward::overhead(conn.forward, dest));
        let route = route_to(tables, context.now, target, overhead);
        let Some(packet) = self.fit(context, frame, packet, quote, (route, overhead)) else {
            return Verdict::Drop(DropReason::TooBig);
        };
        let quote = &quote.cut(packet.end);
        if !translates {
            // What the server sent past us is its own: the error goes where the data goes.
            let verdict = self.forward_by(context, frame, &packet, (conn, None), direction);
            return self.relayed(verdict, &packet, kind, direction);
        }
        let ends = forward::ends(sides, direction);
        let source = error_source(context, (conn.forward, sides), direction, packet.src, route);
        let outer = Ends { src: Endpoint { address: source, ..ends.src }, ..ends };
        let inner = quoted_ends(sides, direction, ends);
        if translate(frame.bytes_mut(), &packet, quote, outer, inner).is_none() {
            return Verdict::Drop(DropReason::IcmpBadQuote);
        }
        let out = Packet { src: outer.src.address, dst: outer.dst.address, ..packet };
        debug_assert_eq!(out.dst, inner.src.address, "an error goes to whom it quotes");
        let verdict = self.send_by(tables, context.now, frame, out.span(), route);
        self.relayed(verdict, &packet, kind, direction)
    }

    /// Counts an error that goes on.
    fn relayed(
        &self,
        verdict: Verdict,
        packet: &Packet,
        kind: Kind,
        direction: Direction,
    ) -> Verdict {
        if !verdict.is_drop() {
            self.count_relayed(packet.family, kind, direction);
        }
        verdict
    }

    pub(super) fn count_relayed(&self, family: Family, kind: Kind, direction: Direction) {
        let counters = &self.counters;
        let messages = &counters.icmp_messages;
        let (counter, by_type) = match direction {
            Direction::Inbound => (&counters.icmp_error_relayed_in, &messages.relayed_in),
            Direction::Outbound => (&counters.icmp_error_relayed_out, &messages.relayed_out),
        };
        counter.add(1);
        by_type.add(family, kind.icmp_type);
    }

    /// Cuts off what does not fit the way out, and extensions that are not to be seen. Nothing is
    /// ever fragmented here, and no error is made about an error.
    fn fit<F: Frame>(
        &self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        quote: &Quote,
        (route, overhead): (Option<RouteLookup>, usize),
    ) -> Option<Packet> {
        let policy = &context.tables.limits.icmp;
        let mut packet = *packet;
        if policy.strips_extensions && quote.end < packet.end {
            packet = shorten(frame, &packet, even(quote.end, packet.l4))?;
            self.counters.icmp_error_extensions_stripped.add(1);
        }
        let mtu =
            route.map_or(u32::MAX, |route| mtu_of(context.tables, packet.family, route, overhead));
        let end = packet.l3.saturating_add(usize::try_from(mtu).unwrap_or(usize::MAX));
        if end < packet.end {
            let end = even(end, packet.l4);
            if end < quote.l4 + QUOTED_L4_LEN_MIN {
                return None;
            }
            packet = shorten(frame, &packet, end)?;
            self.counters.icmp_error_cut.add(1);
        }
        Some(packet)
    }
}

/// Returns the largest end not behind `end` that is an even distance behind `l4`.
fn even(end: usize, l4: usize) -> usize {
    end - (end - l4) % 2
}

/// Ends an error for a reason. It goes to the host if that has the address too: the error may be about
/// its own packet.
pub(super) fn refused(
    context: &Context<'_>,
    receiver: Address,
    reason: DropReason,
) -> (Verdict, Outcome) {
    if context.tables.is_hosts(receiver) {
        return ended(to_kernel(context, reason));
    }
    ended(Verdict::Drop(reason))
}

/// Pairs a final verdict with what the recorder calls it.
fn ended(verdict: Verdict) -> (Verdict, Outcome) {
    let outcome = match verdict {
        Verdict::Drop(reason) => Outcome::Dropped(reason),
        Verdict::Redirect(worker) => Outcome::Steered(worker),
        Verdict::Kernel(_) => Outcome::Host,
        _ => Outcome::Used,
    };
    (verdict, outcome)
}

/// Returns the MTU that an error tells, 0 if it should and does not; `None` if its kind tells none.
pub(super) fn mtu_told(bytes: &[u8], packet: &Packet, kind: Kind) -> Option<u32> {
    let icmp: &IcmpHeader = view(bytes, packet.l4)?;
    match (packet.family, kind.icmp_type, kind.code) {
        (Family::V4, 3, 4) => Some(icmp.mtu_v4()),
        (Family::V6, 2, _) => Some(icmp.mtu_v6()),
        _ => None,
    }
}

/// Counts an error about packets to a real server: what it, or a router on the way to it, says.
pub(super) fn count_about_server(counters: &IcmpErrorCounters, family: Family, kind: Kind) {
    match (family, kind.icmp_type, kind.code) {
        (Family::V4, 3, 4) | (Family::V6, 2, _) => counters.too_big.increment(),
        (Family::V4, 3, _) | (Family::V6, 1, _) => counters.unreachable.increment(),
        (Family::V4, 11, _) | (Family::V6, 3, _) => counters.time_exceeded.increment(),
        _ => {}
    }
}

/// Returns the source of a translated error: that of the receiver's peer where the peer itself, or
/// somebody the receiver should not see, sent it.
fn error_source(
    context: &Context<'_>,
    (method, sides): (Forward, &Sides),
    direction: Direction,
    sender: Address,
    route: Option<RouteLookup>,
) -> Address {
    let tables = context.tables;
    let policy = &tables.limits.icmp;
    let Some(peer) = forward::peer(method, sides, direction) else { return sender };
    let other_end = match direction {
        Direction::Inbound => sides.client.address,
        Direction::Outbound => sides.dest.address,
    };
    match policy.error_source(direction) {
        ErrorSource::Keep if sender != other_end => sender,
        ErrorSource::Own if sender != other_end => route
            .and_then(|route| route.src.or_else(|| tables.source_for(route.port, route.next_hop)))
            .unwrap_or(peer),
        _ => peer,
    }
}

/// Returns the ends that the quoted packet gets: it is what the error's receiver once sent.
fn quoted_ends(sides: &Sides, direction: Direction, ends: Ends) -> Ends {
    let sent = Ends { src: ends.dst, dst: ends.src };
    if !sides.protocol.is_icmp() {
        return sent;
    }
    // The identifier is the one on that side, and stands where a source port would.
    let identifier = match direction {
        Direction::Inbound => sides.local.port,
        Direction::Outbound => sides.client.port,
    };
    Ends { src: Endpoint { port: identifier, ..sent.src }, ..sent }
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
    if answer.protocol.is_icmp() && tables.echo(answer.dst).is_some() {
        return Owners::only(tables.steering().inbound(answer));
    }
    let service = tables.service_matching(answer, context.port);
    owners::of_transit(tables, answer, service, false)
}

/// What an error relates to.
pub(super) struct Relation<'a> {
    pub(super) conn: &'a Conn,
    pub(super) sides: Sides,
    pub(super) found: Found,
    /// The way of the packets that have the error's direction: from the client's side inbound.
    pub(super) direction: Direction,
}
