// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whose plain packets without a connection are that tell it themselves, remembered by the address that
//! they are sent to.
//!
//! It is what [`super::owners`] says where only one worker may have a packet.

use super::WorkerState;
use super::plain::Arrival;
use crate::key::{Address, Tuple};
use crate::net::Protocol;
use crate::plain::Plain;
use crate::tables::{Service, Tables};
use crate::{Verdict, WorkerId};

/// The addresses that are known, by their last byte.
#[derive(Debug)]
pub(super) struct Spreads(Box<[Known; 256]>);

/// How the packets to an address are spread, under the tables of a generation.
#[derive(Clone, Copy, Debug)]
struct Known {
    generation: u64,
    address: u32,
    spread: Option<Spread>,
}

/// How packets are spread among the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spread {
    /// Those of the service of a port by the hash of their addresses and ports.
    Hash(Protocol, u16),
    /// All by the port that they are sent to: there is no service at the address, which is a local one.
    Port,
}

impl Spreads {
    pub(super) fn new() -> Self {
        Spreads(Box::new([Known { generation: 0, address: 0, spread: None }; 256]))
    }

    /// Returns the owner of a packet of TCP or UDP, if there is only one.
    fn owner(&mut self, tables: &Tables, tuple: &Tuple) -> Option<WorkerId> {
        let Tuple { addresses: [_, address], ports: [_, port], protocol } = *tuple;
        let [.., last] = address.to_be_bytes();
        let place = self.0.get_mut(usize::from(last))?;
        let generation = tables.generation();
        let is_known = (place.generation, place.address) == (generation, address)
            && place.spread.is_some_and(|spread| {
                spread == Spread::Port || spread == Spread::Hash(protocol, port)
            });
        if !is_known {
            let spread = Some(look_up(tables, Address::from_v4_bits(address), protocol, port)?);
            *place = Known { generation, address, spread };
        }
        let steering = tables.steering();
        Some(match place.spread? {
            Spread::Hash(..) => steering.inbound_tuple(tuple),
            Spread::Port => steering.local_port(port),
        })
    }
}

/// Returns how the packets to an address and port are spread, if they tell it themselves.
#[inline(never)]
fn look_up(tables: &Tables, address: Address, protocol: Protocol, port: u16) -> Option<Spread> {
    match tables.service_for(protocol, address, port) {
        Some(service) => is_spread_by_hash(service).then_some(Spread::Hash(protocol, port)),
        None if tables.is_laddr(address) && !tables.is_virtual(address) => Some(Spread::Port),
        None => None,
    }
}

/// Returns whether each packet to a service is where its own addresses and ports put it: nothing binds
/// clients or did so, and no other packets come to the service's port.
fn is_spread_by_hash(service: &Service) -> bool {
    service.key.virtual_().is_some_and(|virtual_| virtual_.port != 0)
        && service.settings.persistence.is_none()
        && service.masks().is_empty()
}

impl WorkerState {
    /// Hands a plain packet on that has no connection; `None` if it belongs here, or it takes more to
    /// tell.
    ///
    /// An earlier packet of the burst cannot have made its connection here: those of a service of a
    /// port are made where the hash puts them, and local ports are taken of the worker's own class.
    #[inline]
    pub(super) fn hand_plain(
        &mut self,
        Arrival { tables, is_handed, .. }: Arrival<'_>,
        plain: &Plain,
    ) -> Option<Verdict> {
        let has_ports = !plain.tuple.protocol.is_icmp();
        if is_handed || !has_ports || tables.steering().workers() == 1 {
            return None;
        }
        let owner = self.spreads.owner(tables, &plain.tuple)?;
        if owner == self.me {
            return None;
        }
        self.counters.steered.add(1);
        Some(Verdict::Redirect(owner))
    }
}
