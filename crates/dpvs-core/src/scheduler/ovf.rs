// SPDX-License-Identifier: MIT OR Apache-2.0
//! Weighted overflow: the available server with the greatest weight, until its established
//! connections have reached that weight; then the next. No server if all are full.
//! O(1), or as many steps as there are full servers of greater weight.

use super::fo::Ranking;
use super::{Algorithm, Flow};
use crate::WorkerId;
use crate::tables::{Dest, Service};

#[derive(Clone, Debug)]
pub(super) struct Ovf(Ranking);

impl Algorithm for Ovf {
    fn new(service: &Service) -> Self {
        Ovf(Ranking::new(&service.dests))
    }

    fn pick<'a>(&self, service: &'a Service, _me: WorkerId, _flow: &Flow) -> Option<&'a Dest> {
        let has_room = |dest: &&Dest| dest.shared.counters.active() < dest.settings.weight;
        self.0.available(service).find(has_room)
    }
}

#[cfg(test)]
mod tests {
    use crate::scheduler::Scheduler;
    use crate::testing::service_with_weights;

    #[test]
    fn connections_overflow_to_the_next_by_weight() {
        let mut service = service_with_weights(Scheduler::Ovf, &[2, 10, 5]);
        service.set_connections(1, 9, 500);
        assert_eq!(service.pick_ports(1), [2]);
        service.set_connections(1, 10, 0);
        assert_eq!(service.pick_ports(1), [3]);
        service.set_overloaded(2, true);
        assert_eq!(service.pick_ports(1), [1]);
        service.set_connections(0, 2, 0);
        assert_eq!(service.pick_ports(1), [0; 0]);
    }
}
