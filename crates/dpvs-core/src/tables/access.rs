// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who may connect to a service: its black list and its white list.

use super::MapHash;
use crate::key::Address;
use hashbrown::HashSet;

/// The two lists. They are looked up when a connection is made, never later.
#[derive(Clone, Debug, Default)]
pub struct AccessLists {
    denied: HashSet<Address, MapHash>,
    allowed: HashSet<Address, MapHash>,
}

/// One of the two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessList {
    /// Clients that may not connect.
    Black,
    /// Clients that may connect; if it has any, no others may.
    White,
}

impl AccessLists {
    /// Returns whether a client may connect. The black list wins.
    pub fn admits(&self, client: Address) -> bool {
        !self.denied.contains(&client)
            && (self.allowed.is_empty() || self.allowed.contains(&client))
    }

    /// Returns the clients of a list in the order of their addresses.
    pub fn clients(&self, list: AccessList) -> Vec<Address> {
        let mut clients: Vec<Address> = self.of(list).iter().copied().collect();
        clients.sort_unstable();
        clients
    }

    fn of(&self, list: AccessList) -> &HashSet<Address, MapHash> {
        match list {
            AccessList::Black => &self.denied,
            AccessList::White => &self.allowed,
        }
    }

    fn of_mut(&mut self, list: AccessList) -> &mut HashSet<Address, MapHash> {
        match list {
            AccessList::Black => &mut self.denied,
            AccessList::White => &mut self.allowed,
        }
    }

    /// Adds a client; returns whether it was missing.
    pub(super) fn insert(&mut self, list: AccessList, client: Address) -> bool {
        self.of_mut(list).insert(client)
    }

    /// Removes a client; returns whether it stood.
    pub(super) fn remove(&mut self, list: AccessList, client: Address) -> bool {
        self.of_mut(list).remove(&client)
    }
}
