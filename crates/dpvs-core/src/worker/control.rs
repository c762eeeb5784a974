// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the control thread asks of a worker, between two bursts and in bounded pieces.

use super::Worker;
use crate::conn::{Conn, ConnIndex};
use crate::icmp::recorder::Decision;
use crate::neighbour::NeighbourInfo;
use crate::net::{Prefix, Protocol};
use crate::tables::{ServiceId, Tables};
use crate::{Millis, NextHop};
use std::sync::Arc;

/// Most timers looked at between two bursts.
const EXPIRE_MAX: usize = 64;
/// Most places of the connection table looked at between two bursts: frames wait for less than
/// 100 us (`cargo bench -p dpvs-bench --bench slices`).
const SCAN_MAX: u32 = 512;
/// Most places of it emptied between two bursts.
const FLUSH_MAX: u32 = 64;

/// Where the positions of templates start in a walk over the connections: no table of connections
/// is that large.
const TEMPLATES_FROM: u32 = 1 << 31;

/// Control thread to worker.
#[derive(Debug)]
pub enum Command {
    /// Use these tables.
    Install(Arc<Tables>),
    /// Fill in connections.
    List(Box<ConnQuery>),
    /// Fill in neighbours, as many as the list has room for.
    Neighbours(Vec<NeighbourInfo>),
    /// Fill in what became of the last ICMP errors, oldest first, as many as the list has room for.
    Decisions(Vec<Decision>),
    /// Forget a learned neighbour.
    Forget(NextHop),
    /// End all connections.
    Flush,
    /// Just answer.
    Ping,
    /// Stop: [`Worker::poll_control`] returns false.
    Stop,
}

/// Worker to control thread. Every command but `Stop` has one answer, in order.
#[derive(Debug)]
pub enum Event {
    /// New tables are in use; here are the old ones, to be freed over there.
    Retired(Arc<Tables>),
    /// Connections were filled in.
    Listed(Box<ConnQuery>),
    /// Neighbours were filled in.
    Neighbours(Vec<NeighbourInfo>),
    /// Decisions were filled in.
    Decisions(Vec<Decision>),
    /// Carried out.
    Done,
}

/// Which connections are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnFilter {
    /// Of this service.
    pub service: Option<ServiceId>,
    /// Of this protocol.
    pub protocol: Option<Protocol>,
    /// Of clients in this prefix.
    pub client: Option<Prefix>,
}

/// A piece of a walk over the connections.
#[derive(Debug)]
pub struct ConnQuery {
    /// Which.
    pub filter: ConnFilter,
    /// Where to go on; 0 at first.
    pub position: u32,
    /// Filled in up to its capacity.
    pub connections: Vec<ConnInfo>,
    /// Set when the walk is over.
    pub is_done: bool,
}

/// A connection as a listing shows it.
#[derive(Clone, Copy, Debug)]
pub struct ConnInfo {
    /// The record.
    pub conn: Conn,
    /// Milliseconds until it expires.
    pub expires_ms: u64,
}

#[derive(Debug)]
pub(super) struct Control {
    commands: rtrb::Consumer<Command>,
    events: rtrb::Producer<Event>,
    /// Where a flush stands.
    flushing: Option<u32>,
}

impl Control {
    pub(super) fn new(commands: rtrb::Consumer<Command>, events: rtrb::Producer<Event>) -> Self {
        Control { commands, events, flushing: None }
    }
}

impl Worker {
    /// Carries out at most one command, or a piece of one, and ends some connections whose time is
    /// over. To be called between bursts. Returns false once told to stop.
    pub fn poll_control(&mut self, now: Millis) -> bool {
        self.state.expire(&self.tables, now, EXPIRE_MAX);
        self.state.expire_templates(&self.tables, now, EXPIRE_MAX);
        if let Some(from) = self.control.flushing {
            self.flush_piece(from);
            return true;
        }
        // Nothing is taken that could not be answered.
        if self.control.events.is_full() {
            return true;
        }
        let Ok(command) = self.control.commands.pop() else { return true };
        let event = match command {
            Command::Install(new) => Event::Retired(std::mem::replace(&mut self.tables, new)),
            Command::List(mut query) => {
                self.list(now, &mut query);
                Event::Listed(query)
            }
            Command::Neighbours(mut list) => {
                let room = list.capacity() - list.len();
                list.extend(self.state.neighbours.iter(now).take(room));
                Event::Neighbours(list)
            }
            Command::Decisions(mut list) => {
                let room = list.capacity() - list.len();
                list.extend(self.state.recorder.iter().take(room));
                Event::Decisions(list)
            }
            Command::Forget(hop) => {
                self.state.neighbours.forget(hop);
                Event::Done
            }
            Command::Flush => {
                self.flush_piece(0);
                return true;
            }
            Command::Ping => Event::Done,
            Command::Stop => return false,
        };
        self.answer(event);
        true
    }

    fn answer(&mut self, event: Event) {
        let pushed = self.control.events.push(event);
        debug_assert!(pushed.is_ok(), "there was room before the command was taken");
    }

    /// Fills in a piece of the connections, then of the templates, whose positions start at
    /// [`TEMPLATES_FROM`].
    fn list(&self, now: Millis, query: &mut ConnQuery) {
        let (table, from) = if query.position < TEMPLATES_FROM {
            (&self.state.conns, 0)
        } else {
            (&self.state.templates, TEMPLATES_FROM)
        };
        let last = from + table.positions();
        let end = query.position.saturating_add(SCAN_MAX).min(last);
        while query.position < end && query.connections.len() < query.connections.capacity() {
            if let Some(conn) = table.get(ConnIndex(query.position - from))
                && query.filter.matches(&conn)
            {
                let expires_ms = self.state.expires_at(conn.state, conn.expires_at()).since(now);
                query.connections.push(ConnInfo { conn, expires_ms });
            }
            query.position += 1;
        }
        if query.position >= last {
            query.is_done = from == TEMPLATES_FROM;
            query.position = query.position.max(TEMPLATES_FROM);
        }
    }

    fn flush_piece(&mut self, from: u32) {
        let (conns, templates) = (self.state.conns.positions(), self.state.templates.positions());
        let last = conns.max(templates);
        let end = from.saturating_add(FLUSH_MAX).min(last);
        for index in (from..end).map(ConnIndex) {
            // A reply goes with its request.
            if self.state.conns.view(index).is_some_and(|conn| !conn.is_reply()) {
                self.state.end(&self.tables, index);
            }
            self.state.end_template(&self.tables, index);
        }
        self.control.flushing = (end < last).then_some(end);
        if self.control.flushing.is_none() {
            self.answer(Event::Done);
        }
    }
}

impl ConnFilter {
    fn matches(&self, conn: &Conn) -> bool {
        self.service.is_none_or(|service| conn.service == service)
            && self.protocol.is_none_or(|protocol| conn.protocol() == protocol)
            && self.client.is_none_or(|prefix| prefix.contains(conn.client().address.ip()))
    }
}
