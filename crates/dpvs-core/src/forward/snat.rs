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

use super::Binding;
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
pub(super) fn bind(binding: &Binding<'_>) -> Result<Key, DropReason> {
    let Binding { tables, key, dest, .. } = *binding;
    let pool = dest.shared.pool().and_then(|pool| pool.part(binding.me.index()));
    let counters = pool.ok_or(DropReason::NoLocalAddress)?;
    let reply = reply_to(key);
    let port = if reply.is_some() { 0 } else { key.dport };
    let wanted =
        Wanted { protocol: key.protocol, dest: Endpoint { address: key.dst, port }, reply };
    let steering = (tables.steering(), binding.me);
    let local = (dest.endpoint.address, counters);
    ports::allocate(binding.conns, steering, tables, local, wanted).ok_or_else(|| {
        counters.conflicts.add(1);
        DropReason::LocalPortsExhausted
    })
}
