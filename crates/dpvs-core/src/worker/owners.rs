// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whose a packet without a connection is: the workers that may have it, in the order in which they
//! are asked. The last one makes the connection, if one is to be made.
//!
//! Mostly that is one worker, computed from the packet. There are several where the packet does not
//! tell: the answer of a server that serves several NAT services, or a service whose persistence has
//! changed while connections stood. A worker that does not have the connection hands the packet to
//! the next of the list; every worker computes the same list, so nothing has to travel with it.

use super::WorkerState;
use super::process::Context;
use crate::key::Key;
use crate::steering::{Steering, WORKERS_MAX};
use crate::tables::{Service, Tables};
use crate::{Verdict, WorkerId};
use arrayvec::ArrayVec;

/// Workers to be asked, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Owners(ArrayVec<WorkerId, WORKERS_MAX>);

impl Owners {
    /// One worker.
    pub(super) fn only(owner: WorkerId) -> Self {
        let mut owners = Owners::default();
        owners.push(owner);
        owners
    }

    fn push(&mut self, owner: WorkerId) {
        if !self.0.contains(&owner) {
            self.0.push(owner);
        }
    }

    fn push_last(&mut self, owner: WorkerId) {
        if !self.0.is_empty() {
            self.0.retain(|other| *other != owner);
        }
        self.0.push(owner);
    }

    /// Adds the workers of the connections that a client of a service has: where they are put, and
    /// where those were put that were made before persistence was changed.
    fn push_standing(&mut self, steering: &Steering, service: &Service, key: &Key) {
        self.push(inbound_owner(steering, service, key));
        for mask in service.masks() {
            self.push(steering.addresses(key.src.masked(*mask), key.dst));
        }
        if !service.masks().is_empty() {
            self.push(steering.inbound(key));
        }
    }

    /// Returns the worker to be asked after `me`, which does not have the connection.
    fn after(&self, me: WorkerId, is_handed: bool, meets_here: bool) -> Option<WorkerId> {
        let place = self.0.iter().position(|owner| *owner == me);
        let next = match (is_handed, place) {
            (true, Some(place)) => place + 1,
            (true, None) if !meets_here => return None,
            // It is the first itself, or comes from outside and starts with the first.
            (false, Some(0)) => 1,
            _ => 0,
        };
        self.0.get(next).copied()
    }
}

/// Returns the owner of what a client of a service sends.
fn inbound_owner(steering: &Steering, service: &Service, key: &Key) -> WorkerId {
    match service.settings.persistence {
        // All of a client's connections come together, so that its template needs no sharing.
        Some(persistence) => steering.addresses(key.src.masked(persistence.mask), key.dst),
        // RFC 5508 REQ-1a: a host's identifier is the same outside whomever it asks, so one worker has
        // all of its queries.
        None if key.protocol.is_icmp() && service.key.virtual_().is_none() => {
            steering.addresses(key.src, key.src)
        }
        None => steering.inbound(key),
    }
}

/// Returns the workers for a packet to a service. One that cannot start a connection may be of one
/// that was made before persistence was changed.
///
/// Where a service takes any port of an address that full NAT or SNAT takes ports of too, the owner of
/// the port is asked first: it may be the answer to one of those.
pub(super) fn of_client(tables: &Tables, service: &Service, key: &Key, can_start: bool) -> Owners {
    let steering = tables.steering();
    let mut owners = Owners::default();
    if steering.workers() == 1 {
        return owners;
    }
    let takes_any_port = service.key.virtual_().is_some_and(|virtual_| virtual_.port == 0);
    if takes_any_port && !key.protocol.is_icmp() && tables.is_laddr(key.dst) {
        owners.push(steering.local_port(key.dport));
    }
    if can_start {
        owners.push_last(inbound_owner(steering, service, key));
    } else {
        owners.push_standing(steering, service, key);
    }
    owners
}

/// Returns the workers for a packet on its way through: an answer of a NAT server, or a packet of
/// `snat`, the service that matches it.
pub(super) fn of_transit(
    tables: &Tables,
    key: &Key,
    snat: Option<&Service>,
    can_start: bool,
) -> Owners {
    let steering = tables.steering();
    let mut owners = Owners::default();
    if steering.workers() == 1 {
        return owners;
    }
    for (service, request) in tables.nat_requests(key) {
        owners.push_standing(steering, service, &request);
    }
    for request in tables.echo_requests(key) {
        owners.push(steering.inbound(&request));
    }
    match snat {
        Some(service) if can_start => owners.push_last(inbound_owner(steering, service, key)),
        Some(service) => owners.push_standing(steering, service, key),
        None => {}
    }
    owners
}

impl WorkerState {
    /// Returns the verdict to hand a packet on, if another worker is to be asked for it.
    pub(super) fn hand_on(&self, context: &Context<'_>, owners: &Owners) -> Option<Verdict> {
        let next = owners.after(self.me, context.is_handed, context.meets_here)?;
        if next == self.me {
            return None;
        }
        self.counters.steered.add(1);
        Some(Verdict::Redirect(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(owners: &[u8]) -> Owners {
        let mut list = Owners::default();
        for owner in owners {
            list.push(WorkerId(*owner));
        }
        list
    }

    fn asked(owners: &[u8], arrives_at: u8) -> Vec<u8> {
        let list = list(owners);
        let mut asked = vec![arrives_at];
        let mut me = WorkerId(arrives_at);
        while let Some(next) = list.after(me, asked.len() > 1, false) {
            asked.push(next.0);
            me = next;
            assert!(asked.len() < 10, "{asked:?} goes in circles");
        }
        asked
    }

    #[test]
    fn every_owner_is_asked_in_order_and_the_last_one_ends_it() {
        assert_eq!(asked(&[2], 0), [0, 2]);
        assert_eq!(asked(&[0], 0), [0]);
        assert_eq!(asked(&[0, 2], 0), [0, 2]);
        assert_eq!(asked(&[2, 0, 1], 0), [0, 2, 0, 1]);
        assert_eq!(asked(&[2, 1], 0), [0, 2, 1]);
        assert_eq!(asked(&[], 0), [0]);
    }

    /// It was handed over for the meeting alone: nobody has been asked.
    #[test]
    fn the_search_begins_where_parts_meet_unless_that_is_one_of_the_owners() {
        assert_eq!(list(&[2, 1]).after(WorkerId(0), true, true), Some(WorkerId(2)));
        assert_eq!(list(&[2, 1]).after(WorkerId(2), true, true), Some(WorkerId(1)));
        assert_eq!(list(&[2, 1]).after(WorkerId(1), true, true), None);
        assert_eq!(list(&[2, 1]).after(WorkerId(0), true, false), None);
    }
}
