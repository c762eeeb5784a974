// SPDX-License-Identifier: MIT OR Apache-2.0
//! Direct routing: the packet goes to the real server's link address as it is. The server has the
//! virtual address itself and answers to the client past us.
//!
//! ```text
//! inbound    C:cport -> V:vport   goes to the link address of R
//! ```

use super::{Answer, Binding, virtual_of_one_family};
use crate::DropReason;
use crate::key::Endpoint;
use crate::tables::{Refusal, RefusalKind, ServiceKey, Tables};

/// The server must be on a link of ours: a router would send the packet back to us, since the
/// virtual address is ours. Where there is no route yet, the first packet will show it.
pub(super) fn check(tables: &Tables, key: &ServiceKey, endpoint: Endpoint) -> Result<(), Refusal> {
    virtual_of_one_family(key, endpoint)?;
    match tables.routes().lookup(endpoint.address) {
        Some(route) if route.next_hop != endpoint.address => {
            let text = format!(
                "direct routing needs a real server on a link of ours; {:?} is behind {:?}",
                endpoint.address, route.next_hop
            );
            Err(Refusal::new(RefusalKind::Invalid, text).at("address"))
        }
        _ => Ok(()),
    }
}

/// The answer is never seen here; its key is for listings.
pub(super) fn bind<'a>(binding: &Binding<'_, 'a>) -> Result<Answer<'a>, DropReason> {
    let key = binding.answer_to_client().ok_or(DropReason::MalformedHeader)?;
    Ok(Answer { key, hash: None, pool: None })
}
