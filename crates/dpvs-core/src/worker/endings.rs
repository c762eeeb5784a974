// SPDX-License-Identifier: MIT OR Apache-2.0
//! How connections end, and the reply half of a query pair, which ends with its request.

use super::WorkerState;
use super::errors::{Kind, Relation};
use super::process::Context;
use crate::conn::{
    Conn, ConnIndex, ConnTable, Direction, Sequences, State, TIMERS_TOGETHER, TcpState, View,
};
use crate::forward;
use crate::icmp::generate::Unreachable;
use crate::parse::Packet;
use crate::tables::{Forward, Tables};
use crate::{DropReason, Millis};
use arrayvec::ArrayVec;

impl WorkerState {
    /// Ends connections whose time is over: at most `budget` timers are looked at.
    pub(super) fn expire(&mut self, tables: &Tables, now: Millis, budget: usize) {
        // Ending one of them ends none of the others: half of a pair alone has a timer.
        let end = |me: &mut Self, index| me.expire_one(tables, index);
        self.each_idle(|me| &mut me.conns, (now, budget), end);
    }

    /// Goes over what is idle for its timeout in one of the tables: at most `budget` timers are looked
    /// at. What is done about one must leave the others as they are.
    pub(super) fn each_idle(
        &mut self,
        table: impl Fn(&mut Self) -> &mut ConnTable,
        (now, budget): (Millis, usize),
        mut act: impl FnMut(&mut Self, ConnIndex),
    ) {
        let mut left = budget;
        while left > 0 {
            let mut idle = ArrayVec::<_, TIMERS_TOGETHER>::new();
            let fired = table(self).pop_timers(now, left, &mut idle);
            if fired == 0 {
                return;
            }
            for index in idle {
                act(self, index);
            }
            left = left.saturating_sub(fired);
        }
    }

    fn expire_one(&mut self, tables: &Tables, index: ConnIndex) {
        if self.conns.view(index).is_some_and(|conn| conn.is_request()) {
            self.counters.icmp_query_expired.add(1);
        }
        self.end(tables, index);
        self.counters.connections_expired.add(1);
    }

    /// Ends the connection that a packet found if its time is over, though its timer has not fired.
    pub(super) fn is_over(&mut self, tables: &Tables, now: Millis, index: ConnIndex) -> bool {
        let Some(conn) = self.conns.view(index) else { return true };
        let state = conn.state();
        if self.expires_at(state, conn.expires_at()) > now {
            return false;
        }
        let owner = match state {
            State::Reply { request } => request,
            _ => index,
        };
        self.expire_one(tables, owner);
        true
    }

    /// Ends a connection, and with a request its reply.
    pub(super) fn end(&mut self, tables: &Tables, index: ConnIndex) {
        let Some(conn) = self.conns.view(index) else { return };
        self.count_ended(tables, &conn);
        let target = (conn.service(), conn.dest());
        let (state, template) = (conn.state(), conn.template());
        if let State::Request { reply } = state {
            self.end_query(tables, index, reply);
        }
        if let Some(template) = template {
            self.leave_template(template, target);
        }
        self.conns.remove(index);
        self.count_connections();
    }

    /// Ends the connection that an error is about if its real server cannot be reached and that is
    /// wished: what the client sends next is scheduled anew. The error, `packet`, has been checked
    /// and relayed.
    pub(super) fn end_unreachable(
        &mut self,
        context: &Context<'_>,
        packet: &Packet,
        kind: Kind,
        relation: &Relation<'_>,
    ) {
        let policy = &context.tables.limits.icmp;
        let Relation { conn, found, direction, .. } = relation;
        // By SNAT there is nobody else to ask (RFC 4787 REQ-12, RFC 5382 REQ-10).
        if *direction == Direction::Inbound || conn.forward == Forward::Snat {
            return;
        }
        let what = Unreachable::from_wire(packet.family, kind.icmp_type, kind.code);
        let counter = match (conn.state, what) {
            // Routers do not know what ports a server has.
            (State::Udp, Some(Unreachable::Port))
                if policy.expires_unreachable_udp && packet.src == conn.dest_end().address =>
            {
                &self.counters.icmp_error_expired_udp
            }
            // A server that has answered can be reached.
            (State::Tcp(TcpState::SynRecv), Some(Unreachable::Net | Unreachable::Host))
                if policy.reschedules_unreachable_syn && conn.out_packets == 0 =>
            {
                &self.counters.icmp_error_rescheduled_syn
            }
            _ => return,
        };
        counter.add(1);
        self.end(context.tables, found.index);
    }

    /// Ends what a request of a query has beside its place.
    fn end_query(&mut self, tables: &Tables, request: ConnIndex, reply: Option<ConnIndex>) {
        if let Some([inbound, _]) = self.conns.view(request).map(|request| request.keys()) {
            self.queries.remove(&inbound);
        }
        if let Some(reply) = reply
            && let Some(conn) = self.conns.view(reply)
        {
            self.count_ended(tables, &conn);
            self.conns.remove(reply);
        }
    }

    fn count_ended(&self, tables: &Tables, conn: &View<'_>) {
        let me = self.me.index();
        let Some(service) = tables.service_by_id_or_deleted(conn.service()) else { return };
        let dest = service.dest_or_removed(conn.dest());
        if let Some(dest) = dest {
            if let Some(part) = dest.shared.counters.part(me) {
                let gauge = if conn.state().is_active() { &part.active } else { &part.inactive };
                gauge.decrement();
            }
            dest.release();
        }
        // The reply half of a pair has no port or identifier of its own.
        if conn.is_reply() {
            return;
        }
        if let Some(part) = forward::pool(service, dest, conn, self.me) {
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
        let request = self.conns.get(request_index).ok_or(DropReason::IcmpUnsolicited)?;
        let reply = Conn {
            inbound: request.outbound,
            outbound: request.inbound,
            state: State::Reply { request: request_index },
            last_seen: now,
            sequences: Sequences::default(),
            mtu_told_at: None,
            in_packets: 0,
            out_packets: 0,
            ..request
        };
        let index =
            self.conns.take_over(request_index, reply).map_err(|_| DropReason::TableFull)?;
        let state = State::Request { reply: Some(index) };
        self.conns.set_state(request_index, state, request.timeout_ms);
        let service = tables.service_by_id_or_deleted(request.service);
        if let Some(dest) = service.and_then(|service| service.dest_or_removed(request.dest))
            && let Some(part) = dest.shared.counters.part(self.me.index())
        {
            part.inactive.increment();
            // It is listed as a connection, so the thresholds know it as one.
            dest.reserve_bound();
        }
        self.counters.connections_made.add(1);
        self.count_connections();
        Ok(index)
    }

    /// Returns when a connection in a state expires, by its `own` time: a reply with its request.
    pub(super) fn expires_at(&self, state: State, own: Millis) -> Millis {
        match state {
            State::Reply { request } => {
                self.conns.view(request).map_or(own, |request| request.expires_at())
            }
            _ => own,
        }
    }
}
