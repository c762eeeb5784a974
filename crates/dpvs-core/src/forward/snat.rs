// SPDX-License-Identifier: MIT OR Apache-2.0
//! SNAT: hosts behind us reach others with an address of ours. The "real servers" of such a service
//! are the addresses of the pool, and the service is found by what packets look like.
//!
//! ```text
//! inbound    S:sport -> D:dport   becomes   P:pport -> D:dport
//! outbound   D:dport -> P:pport   becomes   D:dport -> S:sport
//! ```
//! Inbound is from who opens the connection, as everywhere: here from inside. In a ping the
//! identifier is translated as the port is. The worker owns the answers by the pool's port.

use super::{Answer, Binding};
use crate::DropReason;
use crate::forward::fullnat::reply_to;
use crate::key::{Endpoint, Key};
use crate::ports::{self, Wanted};
use crate::tables::{Refusal, RefusalKind, ServiceKey};

pub(super) fn check(key: &ServiceKey, endpoint: Endpoint) -> Result<(), Refusal> {
    let invalid = |text: &str, at| Err(Refusal::new(RefusalKind::Invalid, text).at(at));
    if key.virtual_().is_some() {
        return invalid("SNAT (-J) needs a service by match (-H)", "forward");
    }
    if endpoint.address.family() != key.family() {
        return invalid("an address of the other family than the service's", "address");
    }
    if endpoint.port != 0 {
        return invalid("an address of a SNAT pool has port 0: ports are taken as needed", "port");
    }
    Ok(())
}

/// Binds a port or identifier of the pool's address that was chosen.
pub(super) fn bind<'a>(binding: &Binding<'_, 'a>) -> Result<Answer<'a>, DropReason> {
    let Binding { tables, key, dest, .. } = *binding;
    let pool = dest.shared.pool().and_then(|pool| pool.part(binding.me.index()));
    let counters = pool.ok_or(DropReason::NoLocalAddress)?;
    let reply = reply_to(key);
    let port = if reply.is_some() { 0 } else { key.dport };
    // RFC 5508 REQ-1a: an identifier of a host inside becomes the same one whomever it asks, as long
    // as no other host has that one.
    let start = reply.map(|_| identifier_of(key));
    let target = Endpoint { address: key.dst, port };
    let wanted = Wanted { protocol: key.protocol, dest: target, reply, start };
    let steering = (tables.steering(), binding.me);
    let local = (dest.endpoint.address, counters);
    ports::allocate(binding.conns, steering, tables, local, wanted).ok_or_else(|| {
        counters.conflicts.add(1);
        wanted.exhausted()
    })
}

/// Returns a number that follows from a host and its identifier alone.
fn identifier_of(key: &Key) -> u16 {
    let octets = key.src.v6_octets();
    let (pairs, _) = octets.as_chunks::<2>();
    let fold = |sum: u16, pair: &[u8; 2]| {
        (sum ^ u16::from_be_bytes(*pair)).wrapping_mul(0x9e37).rotate_left(7)
    };
    pairs.iter().fold(key.sport, fold)
}
