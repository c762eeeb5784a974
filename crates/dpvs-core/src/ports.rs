// SPDX-License-Identifier: MIT OR Apache-2.0
//! Local ports and identifiers of full NAT.
//!
//! A port is taken if the connection table has its key, which holds the real server too: one local
//! address serves a whole range of ports *per real server*. A worker takes ports of its own classes
//! only, so that it owns what comes back ([`crate::steering`]). The search goes on where the last one
//! ended, because ports come free in about the order in which they were taken.

use crate::conn::ConnTable;
use crate::counters::LaddrCounters;
use crate::forward::Answer;
use crate::key::{Address, Endpoint, Key, QueryType};
use crate::net::Protocol;
use crate::steering::Steering;
use crate::tables::{ServiceKey, Tables};
use crate::{DropReason, WorkerId};

/// Most ports that are tried for a connection on one local address.
const TRIES_MAX: u32 = 512;

/// What is asked for: the key that the real server's packets will have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) protocol: Protocol,
    /// The real server.
    pub(crate) dest: Endpoint,
    /// For a query: the reply's type.
    pub(crate) reply: Option<QueryType>,
    /// Where to begin; where the last search ended if it does not matter.
    pub(crate) start: Option<u16>,
}

impl Wanted {
    /// Returns why there is no connection if nothing is free.
    pub(crate) fn exhausted(&self) -> DropReason {
        match self.reply {
            Some(_) => DropReason::IcmpIdentifiersExhausted,
            None => DropReason::LocalPortsExhausted,
        }
    }
}

/// Finds a free port or identifier on `local` and returns what comes back to it.
pub(crate) fn allocate<'a>(
    table: &ConnTable,
    (steering, me): (&Steering, WorkerId),
    tables: &Tables,
    (local, counters): (Address, &'a LaddrCounters),
    wanted: Wanted,
) -> Option<Answer<'a>> {
    let limits = &tables.limits;
    let (first, last) = if wanted.reply.is_some() {
        (limits.identifier_min, limits.identifier_max)
    } else {
        (limits.local_port_min, limits.local_port_max)
    };
    // What comes to a service's port is a client's: its owner is computed another way. A service of
    // any port leaves us those that no client talks to.
    let may_be_served = wanted.reply.is_none() && tables.has_shared_addresses();
    let span = u32::from(last.checked_sub(first)?) + 1;
    let mut offset = wanted.start.map_or_else(|| counters.cursor.get(), u32::from) % span;
    let mut tries = 0;
    // `span` bounds the walk over other workers' ports, `tries` the lookups.
    for _ in 0..span {
        let port = first + u16::try_from(offset).ok()?;
        offset = if offset + 1 == span { 0 } else { offset + 1 };
        if steering.local_port(port) != me {
            continue;
        }
        let of_service = ServiceKey::new(wanted.protocol, local, port);
        if may_be_served && tables.service(&of_service).is_some() {
            continue;
        }
        let key = key_for(local, port, wanted);
        if let Some(hash) = table.hash_if_free(&key) {
            counters.cursor.set(offset);
            return Some(Answer { key, hash: Some(hash), pool: Some(counters) });
        }
        tries += 1;
        if tries == TRIES_MAX {
            break;
        }
    }
    counters.cursor.set(offset);
    None
}

fn key_for(local: Address, port: u16, wanted: Wanted) -> Key {
    let (sport, dport) = match wanted.reply {
        Some(reply) => (port, reply.ports()),
        None => (wanted.dest.port, port),
    };
    Key { src: wanted.dest.address, dst: local, sport, dport, protocol: wanted.protocol }
}
