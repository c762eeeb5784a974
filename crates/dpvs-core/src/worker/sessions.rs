// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections' lives: made, accounted, ended.

use super::WorkerState;
use super::owners::{self, Owners};
use super::plain;
use super::process::{Context, local_only, takes_ttl};
use crate::conn::{
    Conn, ConnIndex, Direction, Entries, Found, Sctp, Sequences, State, TableFull, TcpState,
};
use crate::forward::{Answer, Binding};
use crate::icmp::generate::{self, is_host};
use crate::key::Key;
use crate::parse::{Packet, Payload};
use crate::quic;
use crate::scheduler::{Flow, HashTarget};
use crate::tables::{Check, Dest, Service, Tables};
use crate::wire::TcpFlags;
use crate::{DropReason, Frame, Verdict};

/// How often a scheduler is asked again because another worker took the last place.
const RESERVATIONS_MAX: usize = 4;
/// How long the answers to a datagram are waited for that was scheduled by itself: each takes a
/// local port of full NAT.
const ONE_PACKET_MS: u32 = 30_000;

/// What a connection is to be made of.
pub(super) struct Start<'a> {
    pub(super) key: &'a Key,
    pub(super) service: &'a Service,
    /// The real server, where it has been chosen already.
    pub(super) dest: Option<&'a Dest>,
    pub(super) state: State,
}

impl Start<'_> {
    /// Returns whether the packet is scheduled by itself. A ping through a UDP service is no datagram
    /// of it.
    fn is_one_packet(&self) -> bool {
        self.service.settings.one_packet && !matches!(self.state, State::Request { .. })
    }

    /// Returns the state after the packet, which most are forwarded in.
    fn state_after(&self) -> State {
        match self.state {
            State::Tcp(TcpState::None) => State::Tcp(TcpState::SynRecv),
            state => state,
        }
    }
}

/// What a connection in the making has taken.
struct Bound<'a> {
    dest: &'a Dest,
    /// The template that binds the client.
    template: Option<ConnIndex>,
    answer: Answer<'a>,
}

/// Returns the state of the connection that a packet can start; `None` if it cannot.
fn first_state(packet: &Packet) -> Option<State> {
    match packet.payload {
        Payload::Tcp { flags, .. } => {
            let others = TcpFlags(TcpFlags::ACK.0 | TcpFlags::RST.0 | TcpFlags::FIN.0);
            let can_start = flags.has(TcpFlags::SYN) && flags.0 & others.0 == 0;
            can_start.then_some(State::Tcp(TcpState::None))
        }
        Payload::Sctp { chunk, .. } => chunk.starts_association().then(|| State::Sctp(Sctp::new())),
        _ => Some(State::Udp),
    }
}

/// Returns whether the sender of a packet that makes no connection is told: who is kept out, and hosts
/// behind SNAT for which nothing is left (RFC 5508 REQ-8).
fn is_told(tables: &Tables, service: &Service, reason: DropReason) -> bool {
    let policy = &tables.limits.icmp;
    match reason {
        DropReason::Denied => policy.tells_denied,
        DropReason::LocalPortsExhausted | DropReason::IcmpIdentifiersExhausted => {
            policy.tells_exhausted && service.key.virtual_().is_none()
        }
        _ => false,
    }
}

/// Returns by which keys a new connection is to be found.
fn entries(is_one_packet: bool, dest: &Dest) -> Entries {
    match (dest.settings.forward.sees_replies(), is_one_packet) {
        (true, false) => Entries::Both,
        (true, true) => Entries::Outbound,
        (false, _) => Entries::Inbound,
    }
}

/// Refuses a packet that ends here: it makes no connection, or a traceroute would leave one for each
/// probe.
fn may_pass(tables: &Tables, packet: &Packet, dest: &Dest) -> Result<(), DropReason> {
    let ends_here = packet.ttl <= 1 && takes_ttl(tables, dest.settings.forward);
    if ends_here { Err(DropReason::TtlExceeded) } else { Ok(()) }
}

impl WorkerState {
    /// A packet with ports and without a connection: hand it to its owner, make a connection, or
    /// treat it as ours.
    pub(super) fn session_miss<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        key: &Key,
    ) -> Verdict {
        let tables = context.tables;
        let first_state = first_state(packet);
        let (service, owners, reason) = match tables.service_for(key.protocol, key.dst, key.dport) {
            Some(service) => {
                let owners = owners::of_client(tables, service, key, first_state.is_some());
                (Some(service), owners, DropReason::NoConnection)
            }
            None if tables.is_laddr(key.dst) => {
                let owner = Owners::only(tables.steering().local_port(key.dport));
                (None, owner, DropReason::NoConnection)
            }
            None if packet.is_link_group || tables.address(key.dst).is_some() => {
                return local_only(context, packet, DropReason::NoService);
            }
            None => {
                let service = tables.service_matching(key, context.port);
                let owners = owners::of_transit(tables, key, service, first_state.is_some());
                (service, owners, DropReason::NoService)
            }
        };
        if let Some(verdict) = self.hand_on(context, &owners) {
            return verdict;
        }
        let Some(service) = service else {
            return local_only(context, packet, reason);
        };
        let Some(state) = first_state else { return Verdict::Drop(DropReason::NoConnection) };
        self.start(context, frame, packet, &Start { key, service, dest: None, state })
    }

    /// Makes a connection and forwards the packet that makes it.
    pub(super) fn start<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        start: &Start<'_>,
    ) -> Verdict {
        let service = start.service;
        let quic_id = match service.settings.hash_target {
            HashTarget::QuicId => quic::connection_id(frame.bytes(), packet),
            HashTarget::Source => None,
        };
        match self.schedule(context, (packet, quic_id), start) {
            Ok(bound) => self.open(context, frame, packet, start, &bound),
            Err(DropReason::NoDest) => self.answer_no_server(context, frame, packet),
            Err(DropReason::TtlExceeded) => {
                self.answer_error(context, frame, packet, generate::Error::TimeExceeded)
            }
            Err(reason) if is_told(context.tables, service, reason) => {
                let error = generate::Error::Unreachable(generate::Unreachable::Prohibited);
                self.answer(context, frame, packet, (error, reason))
            }
            Err(reason) => Verdict::Drop(reason),
        }
    }

    /// Makes the connection and forwards the packet.
    fn open<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        start: &Start<'_>,
        bound: &Bound<'_>,
    ) -> Verdict {
        let Start { key, service, .. } = *start;
        let Bound { dest, template, answer } = *bound;
        let is_one_packet = start.is_one_packet();
        let state = start.state_after();
        let timeout_of = |state: State| {
            let own_ms = service.settings.conn_timeout_ms;
            let timeout_ms = state.timeout_ms(&context.tables.timeouts, own_ms);
            if is_one_packet { timeout_ms.min(ONE_PACKET_MS) } else { timeout_ms }
        };
        let conn = Conn {
            inbound: *key,
            outbound: answer.key,
            state,
            service: service.id,
            dest: dest.id,
            forward: dest.settings.forward,
            entries: entries(is_one_packet, dest),
            template,
            last_seen: context.now,
            timeout_ms: timeout_of(state),
            sequences: Sequences::default(),
            mtu_told_at: None,
            in_packets: 0,
            out_packets: 0,
        };
        let Ok(index) = self.keep(&conn, [Some(context.hash), answer.hash], is_one_packet) else {
            dest.release();
            return Verdict::Drop(DropReason::TableFull);
        };
        self.count_made(service, bound, &conn, index);
        let found = index.map(|index| Found { index, entry: Direction::Inbound });
        if let Some(verdict) = self.forward_first(context, frame, found) {
            return verdict;
        }
        let way = (&conn, found);
        let verdict = self.forward_by(context, frame, packet, way, Direction::Inbound);
        // The server has not seen what was not forwarded.
        if state != start.state
            && let Some(index) = index
            && self.conns.view(index).is_some_and(|conn| conn.is_unused())
        {
            self.conns.set_state(index, start.state, timeout_of(start.state));
            self.conns.rearm(index);
        }
        verdict
    }

    /// Forwards the packet that has made a connection by the shortest way, if it is plain.
    #[inline(never)]
    fn forward_first<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        found: Option<Found>,
    ) -> Option<Verdict> {
        let Context { tables, now, plain, is_handed, .. } = *context;
        // A ping has been counted as received.
        let plain = plain.filter(|plain| !plain.tuple.protocol.is_icmp())?;
        self.forward_plain(plain::Arrival { tables, now, is_handed }, frame, plain, found?)
    }

    /// Chooses a real server, and binds what its answers need.
    fn schedule<'a>(
        &mut self,
        context: &Context<'_>,
        (packet, quic_id): (&Packet, Option<[u8; quic::ID_LEN]>),
        start: &Start<'a>,
    ) -> Result<Bound<'a>, DropReason> {
        let tables = context.tables;
        let Start { key, service, state, .. } = *start;
        let is_own = tables.is_ours(packet.src);
        if !is_host(packet.src) || packet.is_link_group || is_own || packet.src == packet.dst {
            return Err(DropReason::BadSource);
        }
        if !service.access.admits(packet.src) {
            return Err(DropReason::Denied);
        }
        let per_client = tables.limits.icmp.queries_per_client;
        let is_query = matches!(state, State::Request { .. });
        if is_query && !self.queries.has_room(key, per_client) {
            return Err(DropReason::IcmpQueriesFull);
        }
        let (dest, template) = match start.dest {
            Some(dest) => {
                dest.reserve_bound();
                (dest, None)
            }
            None => self.choose(context, (key, quic_id), service)?,
        };
        let binding = Binding { tables, conns: &self.conns, me: self.me, key, service, dest };
        match may_pass(tables, packet, dest).and_then(|()| binding.bind()) {
            Ok(answer) => Ok(Bound { dest, template, answer }),
            Err(reason) => {
                dest.release();
                Err(reason)
            }
        }
    }

    /// Puts a connection into the table, unless nothing would ever find it there: then it has no
    /// place, and is for its packet alone.
    fn keep(
        &mut self,
        conn: &Conn,
        hashes: [Option<u32>; 2],
        is_one_packet: bool,
    ) -> Result<Option<ConnIndex>, TableFull> {
        if is_one_packet && !conn.forward.sees_replies() {
            return Ok(None);
        }
        // Something waits for the same answers already: NAT, an earlier datagram of the client.
        if is_one_packet && let Some(found) = self.conns.find(&conn.outbound) {
            self.conns.update(found.index, |waiting| waiting.last_seen = conn.last_seen);
            return Ok(None);
        }
        self.conns.insert_hashed(conn, hashes).map(Some)
    }

    /// Chooses a real server and takes a place there: the one that the client is bound to, or the
    /// scheduler's choice.
    fn choose<'a>(
        &mut self,
        context: &Context<'_>,
        (key, quic_id): (&Key, Option<[u8; quic::ID_LEN]>),
        service: &'a Service,
    ) -> Result<(&'a Dest, Option<ConnIndex>), DropReason> {
        let persistence = service.settings.persistence;
        if let Some(persistence) = persistence
            && let Some((dest, template)) =
                self.bound(context.tables, context.now, service, persistence, key)
        {
            dest.reserve_bound();
            return Ok((dest, Some(template)));
        }
        let flow =
            Flow { client: key.source(), target: key.destination(), quic_id, now: context.now };
        for _ in 0..RESERVATIONS_MAX {
            let dest = service.picker.pick(service, self.me, &flow).ok_or(DropReason::NoDest)?;
            // Another worker may have taken the last place since the scheduler looked.
            if dest.reserve() {
                let template = persistence.and_then(|persistence| {
                    self.bind_client(context.now, service, persistence, (key, dest))
                });
                return Ok((dest, template));
            }
        }
        Err(DropReason::NoDest)
    }

    /// Counts a connection that was made; `index` is its place, if it has one.
    fn count_made(
        &mut self,
        service: &Service,
        Bound { dest, answer, .. }: &Bound<'_>,
        conn: &Conn,
        index: Option<ConnIndex>,
    ) {
        if let (Some(template), Some(persistence)) = (conn.template, service.settings.persistence) {
            self.renew_template(conn.last_seen, template, persistence.timeout_ms);
            if index.is_some() {
                self.join_template(template);
            }
        }
        let is_query = matches!(conn.state, State::Request { .. });
        self.counters.icmp_query_created.add(u64::from(is_query));
        self.counters.connections_made.add(1);
        let me = self.me.index();
        if let Some(part) = service.counters.part(me) {
            part.traffic.connections.add(1);
        }
        if let Some(part) = dest.shared.counters.part(me) {
            part.traffic.connections.add(1);
            if index.is_some() {
                part.inactive.increment();
            }
        }
        if index.is_none() {
            dest.release();
            return;
        }
        if is_query {
            self.queries.add(&conn.inbound);
        }
        if let Some(part) = answer.pool {
            part.connections.increment();
        }
        self.count_connections();
    }

    pub(super) fn count_connections(&self) {
        self.counters.connections.set(u32::try_from(self.conns.len()).unwrap_or(u32::MAX));
        self.counters.icmp_queries.set(u32::try_from(self.queries.len()).unwrap_or(u32::MAX));
    }

    /// Counts a forwarded packet for its service and its server.
    pub(super) fn account_traffic(
        &self,
        packet: &Packet,
        direction: Direction,
        (service, dest): (Option<&Service>, Option<&Dest>),
    ) {
        let me = self.me.index();
        let len = u64::try_from(packet.len()).unwrap_or(0);
        let parts = [
            service.and_then(|s| s.counters.part(me)).map(|part| &part.traffic),
            dest.and_then(|d| d.shared.counters.part(me)).map(|part| &part.traffic),
        ];
        for traffic in parts.into_iter().flatten() {
            plain::count(traffic, direction, len);
        }
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
        self.account_traffic(packet, direction, (service, dest));
        let Some(conn) = self.conns.view(found.index) else { return };
        let (state, entries, before_ms) = (conn.state(), conn.entries(), conn.timeout_ms());
        let own_ms = service.map_or(0, |service| service.settings.conn_timeout_ms);
        let timeout_ms = if entries == Entries::Outbound {
            before_ms
        } else {
            state.timeout_ms(&context.tables.timeouts, own_ms)
        };
        let is_shorter = timeout_ms < before_ms;
        self.conns.touch(found, context.now, timeout_ms);
        let payload = packet.payload;
        if let Payload::Tcp { sequence, ack, .. } = payload
            && context.tables.limits.icmp.sequence != Check::Off
        {
            self.conns.update(found.index, |conn| conn.sequences.note(direction, sequence, ack));
        }
        if is_shorter && !matches!(state, State::Reply { .. }) {
            self.conns.rearm(found.index);
        }
        match (state, payload) {
            (State::Tcp(old), Payload::Tcp { flags, .. }) => {
                let is_one_way = entries == Entries::Inbound;
                let new =
                    if is_one_way { old.next_one_way(flags) } else { old.next(direction, flags) };
                self.set_state(context.tables, found.index, State::Tcp(new), own_ms);
            }
            (State::Sctp(old), Payload::Sctp { chunk, .. }) => {
                let is_one_way = entries == Entries::Inbound;
                let new =
                    if is_one_way { old.next_one_way(&chunk) } else { old.next(direction, &chunk) };
                self.set_state(context.tables, found.index, State::Sctp(new), own_ms);
            }
            // One timer for the pair: it is the request's.
            (State::Reply { request }, _) => {
                self.conns.refresh(request, context.now, timeout_ms);
            }
            _ => {}
        }
    }

    fn set_state(&mut self, tables: &Tables, index: ConnIndex, new: State, own_ms: u32) {
        let Some(conn) = self.conns.view(index) else { return };
        if conn.state() == new {
            return;
        }
        let was_active = conn.state().is_active();
        let (service_id, dest_id) = (conn.service(), conn.dest());
        let timeout_ms = new.timeout_ms(&tables.timeouts, own_ms);
        let is_shorter = timeout_ms < conn.timeout_ms();
        self.conns.set_state(index, new, timeout_ms);
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
}
