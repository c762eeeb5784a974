// SPDX-License-Identifier: MIT OR Apache-2.0
//! NAT: the destination is translated; the real server answers to the client by way of us.
//!
//! ```text
//! inbound    C:cport -> V:vport   becomes   C:cport -> R:dport
//! outbound   R:dport -> C:cport   becomes   V:vport -> C:cport
//! ```
//! Nothing in an answer tells its owner by itself: it is computed from what the client must have sent
//! ([`crate::worker`] asks the tables for it).

use super::{Answer, Binding, virtual_of_one_family};
use crate::DropReason;
use crate::conn::Conn;
use crate::key::Endpoint;
use crate::tables::{Refusal, ServiceKey};

pub(super) fn check(key: &ServiceKey, endpoint: Endpoint) -> Result<(), Refusal> {
    virtual_of_one_family(key, endpoint)
}

/// The answer comes to the client itself. If another connection of the same client and server has
/// that answer already (through another virtual address, with the same port), it could not be told
/// from this one's. Where each datagram is scheduled by itself, those of one client's port to one
/// server share what waits for the answers.
pub(super) fn bind<'a>(binding: &Binding<'_, 'a>) -> Result<Answer<'a>, DropReason> {
    let key = binding.answer_to_client().ok_or(DropReason::MalformedHeader)?;
    let conns = binding.conns;
    let hash = conns.hash_of(&key);
    let taken = conns.find_hashed(&key, hash).and_then(|found| conns.get(found.index));
    let is_shared =
        |conn: Conn| binding.service.settings.one_packet && conn.inbound == *binding.key;
    if taken.is_none_or(is_shared) {
        Ok(Answer { key, hash: Some(hash), pool: None })
    } else {
        Err(DropReason::TupleInUse)
    }
}
