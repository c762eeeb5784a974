// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections' lives: made, accounted, ended.

use super::WorkerState;
use super::process::{Context, local_only};
use crate::conn::{Conn, ConnIndex, Direction, Found, State, TcpState, Timer};
use crate::counters::Counter;
use crate::icmp::generate::{self, is_host};
use crate::key::{Key, QueryType};
use crate::parse::{Packet, Payload};
use crate::ports::{self, Wanted};
use crate::tables::{Dest, Service, Tables};
use crate::wire::TcpFlags;
use crate::{DropReason, Frame, Millis, Verdict, WorkerId};

/// Most local addresses that are tried for one connection.
const LADDRS_TRIED_MAX: usize = 8;

impl WorkerState {
    /// A TCP or UDP packet without a connection: hand it to its owner, make a connection, or treat
    /// it as ours.
    pub(super) fn session_miss<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        key: &Key,
    ) -> Verdict {
        let tables = context.tables;
        let Some(service) = tables.service_for(key.protocol, key.dst, key.dport) else {
            if tables.is_laddr(key.dst)
                && let Some(owner) =
                    self.elsewhere(context, tables.steering().local_port(key.dport))
            {
                return owner;
            }
            let reason = if tables.is_laddr(key.dst) {
                DropReason::NoConnection
            } else {
                DropReason::NoService
            };
            return local_only(context, packet, reason);
        };
        if let Some(owner) = self.elsewhere(context, tables.steering().inbound(key)) {
            return owner;
        }
        // What ends here makes no connection: a traceroute would leave one for each probe.
        if packet.ttl <= 1 {
            return self.answer_error(context, frame, packet, generate::Error::TimeExceeded);
        }
        let state = match packet.payload {
            Payload::Tcp { flags, .. } => {
                let others = TcpFlags(TcpFlags::ACK.0 | TcpFlags::RST.0 | TcpFlags::FIN.0);
                if !flags.has(TcpFlags::SYN) || flags.0 & others.0 != 0 {
                    return Verdict::Drop(DropReason::NoConnection);
                }
                State::Tcp(TcpState::None)
            }
            _ => State::Udp,
        };
        match self.schedule(context, packet, key, service, state) {
            Ok(index) => {
                self.forward(context, frame, packet, Found { index, entry: Direction::Inbound })
            }
            Err(reason) => Verdict::Drop(reason),
        }
    }

    /// Returns the verdict to hand a frame over, if its owner is another worker.
    pub(super) fn elsewhere(&self, context: &Context<'_>, owner: WorkerId) -> Option<Verdict> {
        if owner == self.me || context.is_handed {
            return None;
        }
        self.counters.steered.add(1);
        Some(Verdict::Redirect(owner))
    }

    /// Chooses a real server and a local port or identifier, and makes the connection.
    pub(super) fn schedule(
        &mut self,
        context: &Context<'_>,
        packet: &Packet,
        key: &Key,
        service: &Service,
        state: State,
    ) -> Result<ConnIndex, DropReason> {
        let tables = context.tables;
        let is_own = tables.address(packet.src).is_some()
            || tables.is_virtual(packet.src)
            || tables.is_laddr(packet.src);
        if !is_host(packet.src) || packet.is_link_group || is_own || packet.src == packet.dst {
            return Err(DropReason::BadSource);
        }
        let dest = service.settings.scheduler.pick(service, self.me).ok_or(DropReason::NoDest)?;
        let outbound = self.bind_local(context.tables, key, service, dest)?;
        let conn = Conn {
            inbound: *key,
            outbound,
            state,
            service: service.id,
            dest: dest.id,
            last_seen: context.now,
            timeout_ms: state.timeout_ms(&context.tables.timeouts),
            in_packets: 0,
            out_packets: 0,
        };
        let index = self.conns.insert(conn).map_err(|_| DropReason::TableFull)?;
        self.count_made(service, dest, outbound.dst);
        Ok(index)
    }

    fn bind_local(
        &self,
        tables: &Tables,
        key: &Key,
        service: &Service,
        dest: &Dest,
    ) -> Result<Key, DropReason> {
        let family = dest.endpoint.address.family();
        let cursor =
            &service.counters.part(self.me.index()).ok_or(DropReason::NoLocalAddress)?.laddr_cursor;
        let reply = if key.protocol.is_icmp() {
            QueryType::from_ports(key.protocol, key.dport).map(QueryType::opposite)
        } else {
            None
        };
        let wanted = Wanted { protocol: key.protocol, dest: dest.endpoint, reply };
        let mut result = DropReason::NoLocalAddress;
        let count = service.laddrs.len();
        for _ in 0..count.min(LADDRS_TRIED_MAX) {
            let at = crate::ids::position(cursor.get()) % count;
            cursor.set(u32::try_from(at + 1).unwrap_or(0));
            let Some(laddr) = service.laddrs.get(at).filter(|l| l.address.family() == family)
            else {
                continue;
            };
            let Some(counters) = laddr.counters.part(self.me.index()) else { continue };
            let steering = (tables.steering(), self.me);
            let local = (laddr.address, counters);
            if let Some(outbound) = ports::allocate(&self.conns, steering, tables, local, wanted) {
                return Ok(outbound);
            }
            counters.conflicts.add(1);
            result = DropReason::LocalPortsExhausted;
        }
        Err(result)
    }

    fn count_made(&mut self, service: &Service, dest: &Dest, local: crate::key::Address) {
        let me = self.me.index();
        if let Some(part) = service.counters.part(me) {
            part.traffic.connections.add(1);
        }
        if let Some(part) = dest.shared.counters.part(me) {
            part.traffic.connections.add(1);
            part.inactive.increment();
        }
        if let Some(part) = laddr_part(service, local, me) {
            part.connections.increment();
        }
        dest.check_thresholds();
        self.counters.connections_made.add(1);
        self.count_connections();
    }

    pub(super) fn count_connections(&self) {
        self.counters.connections.set(u32::try_from(self.conns.len()).unwrap_or(u32::MAX));
    }

    /// Counts a forwarded packet, refreshes the connection and moves its state on.
    pub(super) fn account(
        &mut self,
        context: &Context<'_>,
        packet: &Packet,
        found: Found,
        direction: Direction,
        (service, dest): (Option<&Service>, Option<&Dest>),
    ) {
        let me = self.me.index();
        let len = u64::try_from(packet.len()).unwrap_or(0);
        let count = |packets: &Counter, bytes: &Counter| {
            packets.add(1);
            bytes.add(len);
        };
        let parts = [
            service.and_then(|s| s.counters.part(me)).map(|part| &part.traffic),
            dest.and_then(|d| d.shared.counters.part(me)).map(|part| &part.traffic),
        ];
        for traffic in parts.into_iter().flatten() {
            match direction {
                Direction::Inbound => count(&traffic.in_packets, &traffic.in_bytes),
                Direction::Outbound => count(&traffic.out_packets, &traffic.out_bytes),
            }
        }
        let Some(conn) = self.conns.get_mut(found.index) else { return };
        conn.last_seen = context.now;
        let timeout_ms = conn.state.timeout_ms(&context.tables.timeouts);
        let is_shorter = timeout_ms < conn.timeout_ms;
        conn.timeout_ms = timeout_ms;
        match found.entry {
            Direction::Inbound => conn.in_packets += 1,
            Direction::Outbound => conn.out_packets += 1,
        }
        let (state, payload) = (conn.state, packet.payload);
        if is_shorter && !matches!(state, State::Reply { .. }) {
            self.conns.rearm(found.index);
        }
        match (state, payload) {
            (State::Tcp(old), Payload::Tcp { flags, .. }) => {
                let new = old.next(direction, flags);
                if new != old {
                    self.set_tcp_state(context.tables, found.index, new);
                }
            }
            // One timer for the pair: it is the request's.
            (State::Reply { request }, _) => {
                if let Some(request) = self.conns.get_mut(request) {
                    request.last_seen = context.now;
                    request.timeout_ms = timeout_ms;
                }
            }
            _ => {}
        }
    }

    fn set_tcp_state(&mut self, tables: &Tables, index: ConnIndex, new: TcpState) {
        let Some(conn) = self.conns.get_mut(index) else { return };
        let was_active = conn.state.is_active();
        conn.state = State::Tcp(new);
        let timeout_ms = new.timeout_ms(&tables.timeouts);
        let is_shorter = timeout_ms < conn.timeout_ms;
        conn.timeout_ms = timeout_ms;
        let (service_id, dest_id) = (conn.service, conn.dest);
        // A removed server's gauges go on: `count_ended` will take away what stands there.
        let dest = tables
            .service_by_id_or_deleted(service_id)
            .and_then(|service| service.dest_or_removed(dest_id));
        if was_active != new.is_active()
            && let Some(part) = dest.and_then(|dest| dest.shared.counters.part(self.me.index()))
        {
            if was_active {
                part.active.decrement();
                part.inactive.increment();
            } else {
                part.inactive.decrement();
                part.active.increment();
            }
        }
        if is_shorter {
            self.conns.rearm(index);
        }
    }

    /// Ends connections whose time is over: at most `budget` timers are looked at.
    pub(super) fn expire(&mut self, tables: &Tables, now: Millis, budget: usize) {
        for _ in 0..budget {
            match self.conns.pop_timer(now) {
                Timer::Idle(index) => self.expire_one(tables, index),
                Timer::Used => {}
                Timer::None => return,
            }
        }
    }

    fn expire_one(&mut self, tables: &Tables, index: ConnIndex) {
        self.end(tables, index);
        self.counters.connections_expired.add(1);
    }

    /// Ends the connection that a packet found if its time is over, though its timer has not fired.
    pub(super) fn is_over(&mut self, tables: &Tables, now: Millis, index: ConnIndex) -> bool {
        let Some(conn) = self.conns.get(index) else { return true };
        if self.expires_at(conn) > now {
            return false;
        }
        let owner = match conn.state {
            State::Reply { request } => request,
            _ => index,
        };
        self.expire_one(tables, owner);
        true
    }

    /// Ends a connection, and with a request its reply.
    pub(super) fn end(&mut self, tables: &Tables, index: ConnIndex) {
        let Some(conn) = self.conns.remove(index) else { return };
        self.count_ended(tables, &conn);
        if let State::Request { reply: Some(reply) } = conn.state
            && let Some(conn) = self.conns.remove(reply)
        {
            self.count_ended(tables, &conn);
        }
        self.count_connections();
    }

    fn count_ended(&self, tables: &Tables, conn: &Conn) {
        let me = self.me.index();
        let Some(service) = tables.service_by_id_or_deleted(conn.service) else { return };
        if let Some(dest) = service.dest_or_removed(conn.dest) {
            if let Some(part) = dest.shared.counters.part(me) {
                let gauge = if conn.state.is_active() { &part.active } else { &part.inactive };
                gauge.decrement();
            }
            dest.check_thresholds();
        }
        if !matches!(conn.state, State::Reply { .. })
            && let Some(part) = laddr_part(service, conn.local().address, me)
        {
            part.connections.decrement();
        }
    }

    /// Makes the reply half of a query pair: the reply that its request expects has come.
    pub(super) fn make_reply(
        &mut self,
        tables: &Tables,
        now: Millis,
        request_index: ConnIndex,
    ) -> Result<ConnIndex, DropReason> {
        let request = *self.conns.get(request_index).ok_or(DropReason::IcmpUnsolicited)?;
        let reply = Conn {
            inbound: request.outbound,
            outbound: request.inbound,
            state: State::Reply { request: request_index },
            last_seen: now,
            in_packets: 0,
            out_packets: 0,
            ..request
        };
        let index =
            self.conns.take_over(request_index, reply).map_err(|_| DropReason::TableFull)?;
        if let Some(request) = self.conns.get_mut(request_index) {
            request.state = State::Request { reply: Some(index) };
        }
        let service = tables.service_by_id_or_deleted(request.service);
        if let Some(dest) = service.and_then(|service| service.dest_or_removed(request.dest))
            && let Some(part) = dest.shared.counters.part(self.me.index())
        {
            part.inactive.increment();
            dest.check_thresholds();
        }
        self.counters.connections_made.add(1);
        self.count_connections();
        Ok(index)
    }

    /// Returns when a connection expires: a reply with its request.
    pub(super) fn expires_at(&self, conn: &Conn) -> Millis {
        match conn.state {
            State::Reply { request } => {
                self.conns.get(request).map_or(conn.expires_at(), Conn::expires_at)
            }
            _ => conn.expires_at(),
        }
    }
}

fn laddr_part(
    service: &Service,
    local: crate::key::Address,
    me: usize,
) -> Option<&crate::counters::LaddrCounters> {
    service.laddr_or_removed(local)?.counters.part(me)
}
