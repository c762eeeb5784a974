// SPDX-License-Identifier: MIT OR Apache-2.0
//! A packet's way: what is decided about it, and how it is rewritten and sent on.

use super::{WorkerState, echo};
use crate::conn::{Conn, Direction, Found, Sides};
use crate::forward;
use crate::icmp::generate;
use crate::key::{Address, Key};
use crate::net::{Family, Protocol};
use crate::parse::{Packet, Payload, Span};
use crate::plain::Plain;
use crate::tables::{
    Dest, DestId, Forward, LocalAddress, RouteLookup, Service, ServiceId, Tables, smaller_mtu,
};
use crate::{DropReason, Frame, Millis, PortId, Verdict};

/// A stage's view of one frame.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) tables: &'a Tables,
    pub(super) now: Millis,
    /// The hash of its key, if it has one.
    pub(super) hash: u32,
    /// The port it came in by.
    pub(super) port: PortId,
    /// What it is, if it is plain.
    pub(super) plain: Option<&'a Plain>,
    /// It came from another worker, which found that it belongs here: it is not handed on again, but
    /// to the next of those that may have it.
    pub(super) is_handed: bool,
    /// It is the first part of a datagram at the worker where the parts meet: it may have come here
    /// only for that.
    pub(super) meets_here: bool,
}

impl WorkerState {
    pub(super) fn decide<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        key: Option<&Key>,
        found: Option<Found>,
    ) -> Verdict {
        if !context.is_handed && packet.payload.is_icmp() {
            let icmp_type = frame.bytes().get(packet.l4).copied().unwrap_or_default();
            self.counters.icmp_messages.received.add(packet.family, icmp_type);
        }
        let found = key.and_then(|key| self.standing(context, key, found));
        if packet.fragment.is_some() {
            return self.fragment(context, frame, packet, key.zip(Some(found)));
        }
        self.decide_ip(context, frame, packet, key, found)
    }

    /// Returns the connection of a key. `found` was looked up for the whole burst. The connection's
    /// time may be over though its timer has not fired yet.
    fn standing(
        &mut self,
        context: &Context<'_>,
        key: &Key,
        found: Option<Found>,
    ) -> Option<Found> {
        let found = self.conns.find_again(key, context.hash, found)?;
        (!self.is_over(context.tables, context.now, found.index)).then_some(found)
    }

    /// Decides about an IP packet that is whole, or the first part of one.
    #[inline]
    pub(super) fn decide_ip<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        key: Option<&Key>,
        found: Option<Found>,
    ) -> Verdict {
        match (&packet.payload, key, found) {
            (Payload::IcmpQuery { .. }, Some(key), Some(found)) => {
                self.query_hit(context, frame, packet, key, found)
            }
            (_, Some(_), Some(found)) => self.forward(context, frame, packet, found),
            (_, Some(key), None) => self.miss(context, frame, packet, key),
            (Payload::IcmpError { icmp_type, code }, ..) => {
                self.icmp_error(context, frame, packet, (*icmp_type, *code))
            }
            (Payload::NeighbourDiscovery, ..) => self.discovery(context, frame, packet),
            (Payload::IcmpOther { icmp_type }, ..) => icmp_other(context, packet, *icmp_type),
            (Payload::Fragment, ..) => local_only(context, packet, DropReason::Fragment),
            _ => local_only(context, packet, DropReason::NoService),
        }
    }

    /// Treats a packet that no connection has.
    fn miss<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        key: &Key,
    ) -> Verdict {
        match packet.payload {
            Payload::IcmpQuery { query, .. } => self.query_miss(context, frame, packet, key, query),
            _ => self.session_miss(context, frame, packet, key),
        }
    }

    /// Forwards a packet of a connection found by one of its entries.
    pub(super) fn forward<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        found: Found,
    ) -> Verdict {
        let Some(conn) = self.conns.view(found.index) else {
            return Verdict::Drop(DropReason::NoConnection);
        };
        let direction = super::direction_of(found.entry, conn.is_reply());
        let target = Target::of(context.tables, conn.service(), conn.dest());
        if direction == Direction::Inbound
            && (target.is_left_alone() || echo::is_withdrawn(context.tables, &conn))
        {
            let [key, _] = conn.keys();
            self.end(context.tables, found.index);
            return self.miss(context, frame, packet, &key);
        }
        let course = Course { method: conn.forward(), sides: conn.sides(), direction, target };
        self.forward_to(context, frame, packet, &course, Holder::Table(found))
    }

    /// Forwards a packet of a connection; `found` is its place, if it has one in the table.
    pub(super) fn forward_by<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        (conn, found): (&Conn, Option<Found>),
        direction: Direction,
    ) -> Verdict {
        let target = Target::of(context.tables, conn.service, conn.dest);
        let course = Course { method: conn.forward, sides: conn.sides(), direction, target };
        let holder = found.map_or(Holder::Nobody(conn), Holder::Table);
        self.forward_to(context, frame, packet, &course, holder)
    }

    /// The same, with all that matters of the connection looked up.
    fn forward_to<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        course: &Course<'_>,
        holder: Holder<'_>,
    ) -> Verdict {
        let tables = context.tables;
        let Course { method, direction, target: Target { service, dest }, .. } = *course;
        // Like IPVS: what a client sends to a server that was taken away is lost, and the
        // connection runs out; what the server still sends gets through.
        if dest.is_none() && direction == Direction::Inbound {
            return Verdict::Drop(DropReason::DestGone);
        }
        if packet.ttl <= 1 && takes_ttl(tables, method) {
            return self.answer_error(context, frame, packet, generate::Error::TimeExceeded);
        }
        let can_be_parts = super::fragments::can_pass_in_parts(packet, method.sees_replies());
        if packet.fragment.is_some() && !can_be_parts {
            return Verdict::Drop(DropReason::Fragment);
        }
        // Before anything that takes time: the later parts may come in the same burst, also where
        // this one is cut first.
        if packet.is_first_fragment() {
            self.expect_parts(context.now, packet, holder, direction);
        }
        let target = forward::towards(&course.sides, direction);
        let overhead = dest.map_or(0, |dest| forward::overhead(method, dest));
        let route = route_to(tables, context.now, target, overhead);
        if let Some(what) = self.unreachable(context, direction, route) {
            let reason = match what {
                generate::Unreachable::Net => DropReason::NoRoute,
                _ => DropReason::NeighbourUnresolved,
            };
            return self.answer(
                context,
                frame,
                packet,
                (generate::Error::Unreachable(what), reason),
            );
        }
        if let Some(mtu) = too_big(tables, packet, route, overhead) {
            let verdict = self.answer_error(context, frame, packet, generate::Error::TooBig(mtu));
            return match verdict {
                Verdict::Split(_) if !can_be_parts => Verdict::Drop(DropReason::TooBig),
                verdict => verdict,
            };
        }
        let out = match outgoing(context, frame, packet, course, route) {
            Ok(out) => out,
            Err(reason) => return Verdict::Drop(reason),
        };
        match holder {
            Holder::Table(found) => {
                self.account(context, packet, found, direction, (service, dest));
            }
            // Errors are nobody's traffic.
            Holder::Nobody(_) if matches!(packet.payload, Payload::IcmpError { .. }) => {}
            Holder::Nobody(_) => self.account_traffic(packet, direction, (service, dest)),
        }
        let verdict = self.send_by(tables, context.now, frame, out, route);
        if direction == Direction::Inbound && packet.payload.is_query() && !verdict.is_drop() {
            self.count_query(service, course.sides.protocol);
        }
        verdict
    }

    /// Counts a request that goes to a real server.
    fn count_query(&self, service: Option<&Service>, protocol: Protocol) {
        self.counters.icmp_query_forwarded.add(1);
        // A service of another protocol has pings by the policy of its address alone.
        let key = service.and_then(|service| service.key.virtual_());
        if key.is_some_and(|key| key.protocol != protocol) {
            self.counters.icmp_echo_forwarded.add(1);
        }
    }
}

/// The service and the real server of a connection, as far as they stand.
#[derive(Clone, Copy)]
struct Target<'a> {
    service: Option<&'a Service>,
    dest: Option<&'a Dest>,
}

impl<'a> Target<'a> {
    fn of(tables: &'a Tables, service: ServiceId, dest: DestId) -> Self {
        let service = tables.service_by_id(service);
        Target { service, dest: service.and_then(|service| service.dest(dest)) }
    }

    /// Returns whether the server takes no new connections, and the service lets the standing ones
    /// end with it.
    fn is_left_alone(&self) -> bool {
        self.service.is_some_and(|service| service.settings.expire_quiescent)
            && self.dest.is_none_or(|dest| dest.settings.weight == 0)
    }
}

/// What of a connection decides where a packet goes.
#[derive(Clone, Copy)]
struct Course<'a> {
    method: Forward,
    sides: Sides,
    direction: Direction,
    target: Target<'a>,
}

/// Who has the connection.
#[derive(Clone, Copy)]
pub(super) enum Holder<'a> {
    /// The table.
    Table(Found),
    /// Nobody any more: the packet is the rest of a datagram, or the connection was for it alone.
    Nobody(&'a Conn),
}

/// Returns whether a method takes one from the time to live: where it does not, a packet that has
/// none left still reaches its server.
pub(super) fn takes_ttl(tables: &Tables, method: Forward) -> bool {
    method.sees_replies() || tables.limits.pass_takes_ttl
}

/// Makes of a packet what leaves, as its connection's method does.
#[inline]
fn outgoing<F: Frame>(
    context: &Context<'_>,
    frame: &mut F,
    packet: &Packet,
    course: &Course<'_>,
    route: Option<RouteLookup>,
) -> Result<Span, DropReason> {
    if !course.method.sees_replies() {
        let target = (course.target.dest, course.method);
        return pass(context, frame, packet, target, route).map(|packet| packet.span());
    }
    let ends = forward::ends(&course.sides, course.direction);
    forward::rewrite(frame.bytes_mut(), packet, ends).ok_or(DropReason::MalformedHeader)?;
    Ok(packet.span())
}

/// Sends a packet on by a method that does not translate.
fn pass<F: Frame>(
    context: &Context<'_>,
    frame: &mut F,
    packet: &Packet,
    (dest, method): (Option<&Dest>, Forward),
    route: Option<RouteLookup>,
) -> Result<Packet, DropReason> {
    let tables = context.tables;
    let dest = dest.ok_or(DropReason::DestGone)?;
    let route = route.ok_or(DropReason::NoRoute)?;
    if method == Forward::Direct && route.next_hop != dest.endpoint.address {
        return Err(DropReason::OffLink);
    }
    if tables.limits.pass_takes_ttl {
        forward::take_ttl(frame.bytes_mut(), packet).ok_or(DropReason::MalformedHeader)?;
    }
    let source = route.src.or_else(|| tables.source_for(route.port, route.next_hop));
    forward::pass(frame, packet, (method, dest), source)
}

/// Returns the way to an address; `overhead` tells that it is the far end of a tunnel, whose path MTU
/// may be known.
#[inline]
pub(super) fn route_to(
    tables: &Tables,
    now: Millis,
    target: Address,
    overhead: usize,
) -> Option<RouteLookup> {
    let mut route = tables.routes().lookup(target)?;
    if overhead > 0
        && let Some(mtu) = tables.path_mtus().find(now, target)
    {
        route.mtu = smaller_mtu(route.mtu, mtu);
    }
    Some(route)
}

/// Returns how long a packet may be for the way out if it is longer. `overhead` bytes will be added to
/// it. Without a route nothing is too big: the packet is dropped for that where it is sent.
#[inline]
pub(super) fn too_big(
    tables: &Tables,
    packet: &Packet,
    route: Option<RouteLookup>,
    overhead: usize,
) -> Option<u32> {
    let mtu = mtu_of(tables, packet.family, route?, overhead);
    (u32::try_from(packet.len()).unwrap_or(u32::MAX) > mtu).then_some(mtu)
}

/// Returns how long a packet of a family may be that goes out by a route with `overhead` bytes more.
pub(super) fn mtu_of(tables: &Tables, family: Family, route: RouteLookup, overhead: usize) -> u32 {
    let port_mtu = tables.port(route.port).map_or(u32::MAX, |port| port.mtu);
    let mtu = smaller_mtu(route.mtu, port_mtu).saturating_sub(u32::try_from(overhead).unwrap_or(0));
    match family {
        Family::V4 => mtu,
        // Below 1280 the link itself would have to fragment (RFC 8200 section 5).
        Family::V6 => mtu.max(1280),
    }
}

/// Gives a packet for an address of ours to the kernel; otherwise drops it for `reason`.
pub(super) fn local_only(context: &Context<'_>, packet: &Packet, reason: DropReason) -> Verdict {
    let tables = context.tables;
    let is_served = tables.is_served(packet.dst);
    // The kernel has these addresses too, and would answer a fragmented ping that a service takes.
    if is_served && packet.payload == Payload::Fragment {
        return Verdict::Drop(reason);
    }
    if packet.is_link_group || tables.address(packet.dst).is_some() {
        return to_kernel(context, if is_served { reason } else { DropReason::NoKernelInterface });
    }
    if is_served {
        return Verdict::Drop(reason);
    }
    Verdict::Drop(DropReason::NotForUs)
}

/// Gives a frame to the kernel interface of its port, or drops it for `reason` if there is none.
pub(super) fn to_kernel(context: &Context<'_>, reason: DropReason) -> Verdict {
    match context.tables.port(context.port) {
        Some(port) if port.has_kernel => Verdict::Kernel(port.id),
        _ => Verdict::Drop(reason),
    }
}

/// ICMP that is neither query nor error: never relayed, and the host's only for own addresses.
fn icmp_other(context: &Context<'_>, packet: &Packet, icmp_type: u8) -> Verdict {
    let is_redirect = match packet.family {
        Family::V4 => icmp_type == 5,
        Family::V6 => icmp_type == 137,
    };
    let reason = if is_redirect { DropReason::IcmpRedirect } else { DropReason::IcmpUnknownType };
    let tables = context.tables;
    if tables.is_served(packet.dst) {
        return Verdict::Drop(reason);
    }
    match tables.address(packet.dst) {
        Some(LocalAddress { .. }) => to_kernel(context, reason),
        None if packet.is_link_group => to_kernel(context, reason),
        None => Verdict::Drop(DropReason::NotForUs),
    }
}
