// SPDX-License-Identifier: MIT OR Apache-2.0
//! Locality-based least connections: a destination stays with its server, for caches.
//!
//! As the LVS documentation has it: a destination without a server gets the one that `wlc` chooses.
//! It gets another in the same way when its server is unavailable, or when that has more established
//! connections than its weight while a server has less than half of its own. O(1) for a destination
//! whose server has room. 8 bytes a service, 8 KiB for a service by match; see [`super::locality`].

use super::locality::{Memory, Place, is_overloaded};
use super::{Algorithm, Flow, Prepared, load, wlc};
use crate::WorkerId;
use crate::tables::{Dest, Service};

#[derive(Clone, Debug)]
pub(super) struct Lblc(Memory<Place>);

impl Algorithm for Lblc {
    fn new(service: &Service) -> Self {
        match &service.picker.0 {
            Some(Prepared::Lblc(before)) => before.clone(),
            _ => Lblc(Memory::new(service)),
        }
    }

    fn pick<'a>(&self, service: &'a Service, _me: WorkerId, flow: &Flow) -> Option<&'a Dest> {
        let place = self.0.of(flow)?;
        if let Some(dest) = place.dest(service)
            && dest.is_available()
            && !is_overloaded(dest, service)
        {
            return Some(dest);
        }
        let dest = load::least(&service.dests, wlc::load)?;
        place.set(dest);
        Some(dest)
    }
}

#[cfg(test)]
mod tests {
    use crate::WorkerId;
    use crate::scheduler::Scheduler;
    use crate::testing::{client_flow, service_with_weights};

    #[test]
    fn a_destination_stays_with_its_server_on_every_worker() {
        let service = service_with_weights(Scheduler::Lblc, &[2, 2]);
        assert_eq!(service.pick_ports(1), [1]);
        // More than the other one has, but not more than its weight.
        service.set_connections(0, 2, 100);
        assert_eq!(service.pick_ports(2), [1, 1]);
        assert_eq!(service.pick_on(WorkerId(1), &client_flow(5)), Some(1));
    }

    #[test]
    fn an_overloaded_server_is_left_for_one_with_half_its_load() {
        let service = service_with_weights(Scheduler::Lblc, &[2, 4]);
        assert_eq!(service.pick_ports(1), [1]);
        service.set_connections(0, 3, 0);
        service.set_connections(1, 2, 0);
        assert_eq!(service.pick_ports(1), [1], "2 of 4 is half, not less");
        service.set_connections(1, 1, 0);
        assert_eq!(service.pick_ports(1), [2]);
        service.set_connections(0, 0, 0);
        assert_eq!(service.pick_ports(1), [2], "it stays there");
    }

    #[test]
    fn changes_of_other_servers_do_not_move_a_destination() {
        let mut service = service_with_weights(Scheduler::Lblc, &[1, 1, 1]);
        service.set_connections(0, 1, 0);
        assert_eq!(service.pick_ports(1), [2]);
        service.set_connections(1, 1, 0);
        service.remove(0);
        assert_eq!(service.pick_ports(1), [2]);
        service.set_weight(0, 0);
        assert_eq!(service.pick_ports(1), [3], "the second takes no more");
        service.set_weight(0, 1);
        service.remove(1);
        assert_eq!(service.pick_ports(1), [2], "the third is gone");
    }
}
