// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables whose entries are servers, each as often as its weight says; a hash picks an entry.
//!
//! What is in a table depends on the servers' addresses, ports and weights alone, not on the order
//! in which they were added. Servers of weight 0 are in none.

use crate::key::Endpoint;
use crate::tables::Service;

/// A server that can be in a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server {
    /// Where it stands in the service's list. 16 bits keep tables small: of more than 65,536
    /// servers the first are used.
    pub(super) at: u16,
    pub(super) endpoint: Endpoint,
    pub(super) weight: u32,
}

/// Returns the servers with a weight in the order of their addresses and ports.
pub(super) fn servers(service: &Service) -> Vec<Server> {
    let listed = (0..=u16::MAX).zip(&service.dests).filter(|(_, dest)| dest.settings.weight > 0);
    let mut servers: Vec<Server> = listed
        .map(|(at, dest)| Server { at, endpoint: dest.endpoint, weight: dest.settings.weight })
        .collect();
    servers.sort_by_key(|server| (server.endpoint.address, server.endpoint.port));
    servers
}
