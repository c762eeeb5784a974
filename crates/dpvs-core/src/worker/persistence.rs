// SPDX-License-Identifier: MIT OR Apache-2.0
//! Persistence: a client's connections go to one real server. What binds them is a template, in a
//! table of its own, so that no packet can have its key.

use super::WorkerState;
use crate::Millis;
use crate::conn::{Conn, ConnIndex, Direction, Entries, Found, Sequences, State};
use crate::key::Key;
use crate::tables::{Dest, DestId, Persistence, Service, ServiceId, Tables};

/// How long a template stays whose time is over while connections made by it stand.
const HELD_MS: u32 = 60_000;

impl WorkerState {
    /// Returns the real server that a client is bound to, with its template. A server of weight 0 or
    /// above its threshold goes on with the clients it has, unless the service expires them.
    pub(super) fn bound<'a>(
        &mut self,
        tables: &Tables,
        now: Millis,
        service: &'a Service,
        persistence: Persistence,
        key: &Key,
    ) -> Option<(&'a Dest, ConnIndex)> {
        let key = template_key(service, persistence, key);
        let index = self.templates.find(&key)?.index;
        let template = self.templates.get(index)?;
        let is_over = template.expires_at() <= now
            && !matches!(template.state, State::Template { members: 1.. });
        let dest = (template.service == service.id).then(|| service.dest(template.dest)).flatten();
        let dest = dest
            .filter(|dest| !service.settings.expire_quiescent || dest.settings.weight > 0)
            .filter(|_| !is_over);
        if dest.is_none() {
            self.end_template(tables, index);
        }
        Some((dest?, index))
    }

    /// Binds a client to a real server. Where the table of templates is full the client is not bound:
    /// its connection is worth more than that.
    pub(super) fn bind_client(
        &mut self,
        now: Millis,
        service: &Service,
        persistence: Persistence,
        (key, dest): (&Key, &Dest),
    ) -> Option<ConnIndex> {
        let inbound = template_key(service, persistence, key);
        let answer = inbound.reversed().unwrap_or(inbound);
        let outbound = Key { src: dest.endpoint.address, sport: dest.endpoint.port, ..answer };
        let template = Conn {
            inbound,
            outbound,
            state: State::Template { members: 0 },
            service: service.id,
            dest: dest.id,
            forward: dest.settings.forward,
            entries: Entries::Inbound,
            template: None,
            last_seen: now,
            timeout_ms: persistence.timeout_ms,
            sequences: Sequences::default(),
            mtu_told_at: None,
            in_packets: 0,
            out_packets: 0,
        };
        let index = self.templates.insert(&template).ok()?;
        if let Some(part) = dest.shared.counters.part(self.me.index()) {
            part.persistent.increment();
        }
        Some(index)
    }

    /// Lets a template's time start anew: its client has come again.
    pub(super) fn renew_template(&mut self, now: Millis, index: ConnIndex, timeout_ms: u32) {
        let Some(template) = self.templates.view(index) else { return };
        let is_shorter = timeout_ms < template.timeout_ms();
        let found = Found { index, entry: Direction::Inbound };
        self.templates.touch(found, now, timeout_ms);
        if is_shorter {
            self.templates.rearm(index);
        }
    }

    /// Notes that a connection was made by a template, which stays as long as it does.
    pub(super) fn join_template(&mut self, index: ConnIndex) {
        self.templates.update(index, |template| {
            if let State::Template { members } = &mut template.state {
                *members += 1;
            }
        });
    }

    /// Notes that a connection to a real server made by a template has ended.
    pub(super) fn leave_template(&mut self, index: ConnIndex, target: (ServiceId, DestId)) {
        // The template may have ended before, and another may stand in its place: then that one
        // belongs to another client or server.
        self.templates.update(index, |template| {
            if (template.service, template.dest) == target
                && let State::Template { members } = &mut template.state
            {
                *members = members.saturating_sub(1);
            }
        });
    }

    /// Ends a template.
    pub(super) fn end_template(&mut self, tables: &Tables, index: ConnIndex) {
        let Some(template) = self.templates.view(index) else { return };
        let (service, dest) = (template.service(), template.dest());
        self.templates.remove(index);
        let service = tables.service_by_id_or_deleted(service);
        if let Some(dest) = service.and_then(|service| service.dest_or_removed(dest))
            && let Some(part) = dest.shared.counters.part(self.me.index())
        {
            part.persistent.decrement();
        }
    }

    /// Ends templates whose time is over: at most `budget` timers are looked at.
    pub(super) fn expire_templates(&mut self, tables: &Tables, now: Millis, budget: usize) {
        let end = |me: &mut Self, index| me.expire_template(tables, now, index);
        self.each_idle(|me| &mut me.templates, (now, budget), end);
    }

    /// Ends a template, or lets its time start anew while connections hold it.
    fn expire_template(&mut self, tables: &Tables, now: Millis, index: ConnIndex) {
        match self.templates.view(index).map(|view| view.state()) {
            Some(State::Template { members: 1.. }) => {
                self.templates.update(index, |template| {
                    (template.last_seen, template.timeout_ms) = (now, HELD_MS);
                });
                self.templates.rearm(index);
            }
            _ => self.end_template(tables, index),
        }
    }
}

/// What a client's template is found by: the part of its address that counts, and the service.
fn template_key(service: &Service, persistence: Persistence, key: &Key) -> Key {
    let dport = if key.protocol.is_icmp() {
        key.dport
    } else {
        service.key.virtual_().map_or(key.dport, |virtual_| virtual_.port)
    };
    Key { src: key.src.masked(persistence.mask), sport: 0, dport, ..*key }
}
