// SPDX-License-Identifier: MIT OR Apache-2.0
//! What we say of ourselves: ICMP errors and resets that answer a packet which ends here, within the
//! limits and only where an answer may be.

use super::WorkerState;
use super::process::Context;
use crate::conn::Direction;
use crate::counters::WorkerCounters;
use crate::icmp::generate;
use crate::key::Address;
use crate::net::Family;
use crate::parse::{Packet, Payload};
use crate::tables::{NoServer, RouteLookup};
use crate::wire::{Ipv4Header, view};
use crate::{DropReason, Frame, NextHop, Verdict};

/// Errors that one destination may get at once: a traceroute sends three probes for each hop.
const DESTINATION_BURST: u32 = 6;

impl WorkerState {
    /// Drops a packet, telling its sender why if that is allowed and within the limits.
    pub(super) fn answer_error<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        error: generate::Error,
    ) -> Verdict {
        let reason = match error {
            generate::Error::TimeExceeded => DropReason::TtlExceeded,
            generate::Error::TooBig(_) => DropReason::TooBig,
            generate::Error::Unreachable(_) => DropReason::NoDest,
        };
        // Only who forbade fragments is told (RFC 1191 section 4); for others we make them.
        if let generate::Error::TooBig(mtu) = error
            && packet.family == Family::V4
            && !view::<Ipv4Header>(frame.bytes(), packet.l3)
                .is_some_and(Ipv4Header::is_dont_fragment)
        {
            return Verdict::Split(mtu);
        }
        self.answer(context, frame, packet, (error, reason))
    }

    /// Drops a packet for `reason`, telling its sender by `error` if that is allowed and within the
    /// limits.
    pub(super) fn answer<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        (error, reason): (generate::Error, DropReason),
    ) -> Verdict {
        let is_prohibited =
            error == generate::Error::Unreachable(generate::Unreachable::Prohibited);
        if !generate::may_answer(context.tables, packet)
            || self.is_silent(context, packet.src)
            || !self.may_make(context, packet.src, is_prohibited)
        {
            return Verdict::Drop(reason);
        }
        let made = error_origin(context, packet)
            .and_then(|source| generate::make(frame, packet, error, source));
        let Some(made) = made else {
            return Verdict::Drop(reason);
        };
        let family = packet.family;
        let count = |counters: &WorkerCounters| {
            counters.icmp_messages.made.add(family, error);
            match error {
                generate::Error::TimeExceeded => counters.icmp_made_time_exceeded.add(1),
                generate::Error::TooBig(_) => counters.icmp_made_too_big.add(1),
                generate::Error::Unreachable(_) => counters.icmp_made_unreachable.add(1),
            }
        };
        self.send_answer(context, frame, &made, (reason, count))
    }

    /// Sends an answer made of a packet that is dropped for `reason`; `count` counts that it went.
    fn send_answer<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        made: &Packet,
        (reason, count): (DropReason, impl Fn(&WorkerCounters)),
    ) -> Verdict {
        match self.send(context.tables, context.now, frame, made) {
            // One frame, one reason: the first.
            Verdict::Drop(_) => Verdict::Drop(reason),
            verdict => {
                count(&self.counters);
                // What came in is dropped; what leaves in its place is another frame.
                self.counters.count_drop(reason);
                self.counters.frames_made.add(1);
                verdict
            }
        }
    }

    /// Returns whether an error to `destination` would leave by a port that sends none (RFC 5508
    /// REQ-9, which overrides REQ-10).
    fn is_silent(&self, context: &Context<'_>, destination: Address) -> bool {
        let silent = &context.tables.limits.icmp.silent_ports;
        let leaves_by = |route: RouteLookup| silent.contains(&route.port);
        let is_silent = !silent.is_empty()
            && context.tables.routes().lookup(destination).is_some_and(leaves_by);
        if is_silent {
            self.counters.icmp_made_silent.add(1);
        }
        is_silent
    }

    /// Returns whether the limits of what we say of ourselves allow one more answer to
    /// `destination`, whose own limit comes first: its flood must not silence us for others.
    fn may_make(
        &mut self,
        context: &Context<'_>,
        destination: Address,
        is_prohibited: bool,
    ) -> bool {
        let policy = &context.tables.limits.icmp;
        let now = context.now;
        let each = policy.made_per_destination_per_s;
        let burst = each.saturating_mul(DESTINATION_BURST);
        let all_burst = (policy.made_per_s / 20).max(1);
        let prohibited = policy.prohibited_per_s;
        let may = self.made_per_destination.take(now, destination.bits(), each, burst)
            && (!is_prohibited || self.prohibited.take(now, prohibited, prohibited))
            && self.made_errors.take(now, policy.made_per_s, all_burst);
        if !may {
            self.counters.icmp_made_limited.add(1);
        }
        may
    }

    /// Returns what is to be told of a way that does not exist. Servers are told that there is no
    /// route to a client; clients are told of servers only where that is wished, since it says how
    /// it looks behind us.
    pub(super) fn unreachable(
        &mut self,
        context: &Context<'_>,
        direction: Direction,
        route: Option<RouteLookup>,
    ) -> Option<generate::Unreachable> {
        let tells = context.tables.limits.icmp.tells_unreachable;
        match route {
            None if tells || direction == Direction::Outbound => Some(generate::Unreachable::Net),
            Some(route) if tells => {
                let hop = NextHop { port: route.port, address: route.next_hop };
                self.neighbours.has_failed(hop).then_some(generate::Unreachable::Host)
            }
            _ => None,
        }
    }

    /// Treats a packet for a service that has no real server for it, as the configuration says.
    pub(super) fn answer_no_server<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
    ) -> Verdict {
        let unreachable = match context.tables.limits.no_server {
            NoServer::Drop => return Verdict::Drop(DropReason::NoDest),
            NoServer::Reset if matches!(packet.payload, Payload::Tcp { .. }) => {
                return self.answer_reset(context, frame, packet);
            }
            NoServer::Reset | NoServer::PortUnreachable => generate::Unreachable::Port,
            NoServer::HostUnreachable => generate::Unreachable::Host,
            NoServer::Prohibited => generate::Unreachable::Prohibited,
        };
        self.answer_error(context, frame, packet, generate::Error::Unreachable(unreachable))
    }

    fn answer_reset<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
    ) -> Verdict {
        const REASON: DropReason = DropReason::NoDest;
        // Nobody sends a SYN in parts, and its headers would make the reset a part too.
        let may_answer = packet.fragment.is_none() && generate::may_answer(context.tables, packet);
        if !may_answer || !self.may_make(context, packet.src, false) {
            return Verdict::Drop(REASON);
        }
        let Some(reset) = crate::reset::make(frame, packet) else {
            return Verdict::Drop(REASON);
        };
        let count = |counters: &WorkerCounters| counters.resets_made.add(1);
        self.send_answer(context, frame, &reset, (REASON, count))
    }
}

/// Returns the source of an error about a packet: the address that the packet was for, which most
/// filters let pass, or, of one on its way through, an address of ours on the port it came in by.
fn error_origin(context: &Context<'_>, packet: &Packet) -> Option<Address> {
    let tables = context.tables;
    if tables.is_ours(packet.dst) {
        Some(packet.dst)
    } else {
        tables.source_for(context.port, packet.src)
    }
}
