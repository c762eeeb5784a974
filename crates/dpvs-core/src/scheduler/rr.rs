// SPDX-License-Identifier: MIT OR Apache-2.0
//! Round robin: each server in turn, whatever its weight, as long as that is not 0.
//! O(1), or as many steps as there are unavailable servers in a row. The turn is the worker's own.

use super::{Algorithm, Flow};
use crate::WorkerId;
use crate::ids::position;
use crate::tables::{Dest, Service};

#[derive(Clone, Debug)]
pub(super) struct Rr;

impl Algorithm for Rr {
    fn new(_service: &Service) -> Self {
        Rr
    }

    fn pick<'a>(&self, service: &'a Service, me: WorkerId, _flow: &Flow) -> Option<&'a Dest> {
        let cursor = &service.counters.part(me.index())?.cursor;
        let len = u32::try_from(service.dests.len()).ok()?;
        let mut at = cursor.get();
        for _ in 0..len {
            if at >= len {
                at = 0;
            }
            let dest = service.dests.get(position(at))?;
            at += 1;
            if dest.is_available() {
                cursor.set(at);
                return Some(dest);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::scheduler::Scheduler;
    use crate::testing::service_with_weights;

    #[test]
    fn every_server_has_its_turn_and_weight_zero_has_none() {
        let service = service_with_weights(Scheduler::Rr, &[1, 0, 5]);
        let ports: Vec<u16> = service.pick_ports(5);
        assert_eq!(ports, [1, 3, 1, 3, 1]);
    }

    #[test]
    fn no_server_is_chosen_where_none_takes_connections() {
        assert_eq!(service_with_weights(Scheduler::Rr, &[0, 0]).pick_ports(1), [0; 0]);
        assert_eq!(service_with_weights(Scheduler::Rr, &[]).pick_ports(1), [0; 0]);
    }
}
