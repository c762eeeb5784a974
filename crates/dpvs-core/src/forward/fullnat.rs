// SPDX-License-Identifier: MIT OR Apache-2.0
//! Full NAT: both addresses and both ports are translated, so that the real server answers to us.
//!
//! ```text
//! inbound    C:cport -> V:vport   becomes   L:lport -> R:dport
//! outbound   R:dport -> L:lport   becomes   V:vport -> C:cport
//! ```
//! In an ICMP query the identifier takes the ports' place: `cport` on one side, `lport` on the other.
//! The worker owns the answers because it takes local ports of its own classes alone.

use super::{Answer, Binding, virtual_of_one_family};
use crate::DropReason;
use crate::ids::position;
use crate::key::{Endpoint, Key, QueryType};
use crate::ports::{self, Wanted};
use crate::tables::{Refusal, ServiceKey};

/// Most local addresses that are tried for one connection.
const LADDRS_TRIED_MAX: usize = 8;

/// Local addresses may be given later, so only the family is looked at.
pub(super) fn check(key: &ServiceKey, endpoint: Endpoint) -> Result<(), Refusal> {
    virtual_of_one_family(key, endpoint)
}

/// Binds a local address with a port or identifier; the local addresses take turns.
pub(super) fn bind<'a>(binding: &Binding<'_, 'a>) -> Result<Answer<'a>, DropReason> {
    let Binding { tables, key, service, .. } = *binding;
    let me = binding.me.index();
    let server = binding.server();
    let cursor = &service.counters.part(me).ok_or(DropReason::NoLocalAddress)?.laddr_cursor;
    let reply = reply_to(key);
    let wanted = Wanted { protocol: key.protocol, dest: server, reply, start: None };
    let mut result = DropReason::NoLocalAddress;
    let count = service.laddrs.len();
    for _ in 0..count.min(LADDRS_TRIED_MAX) {
        let at = position(cursor.get()) % count;
        cursor.set(u32::try_from(at + 1).unwrap_or(0));
        // They are of the service's family, as its servers are.
        let Some(laddr) = service.laddrs.get(at) else { continue };
        let Some(counters) = laddr.counters.part(me) else { continue };
        let steering = (tables.steering(), binding.me);
        let local = (laddr.address, counters);
        if let Some(answer) = ports::allocate(binding.conns, steering, tables, local, wanted) {
            return Ok(answer);
        }
        counters.conflicts.add(1);
        result = wanted.exhausted();
    }
    Err(result)
}

/// Returns the type of the reply to a query.
pub(super) fn reply_to(key: &Key) -> Option<QueryType> {
    if !key.protocol.is_icmp() {
        return None;
    }
    QueryType::from_ports(key.protocol, key.dport).map(QueryType::opposite)
}
