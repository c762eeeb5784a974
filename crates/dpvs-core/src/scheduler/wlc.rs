// SPDX-License-Identifier: MIT OR Apache-2.0
//! Weighted least connections: the server with the fewest for its weight.
//! O(servers x workers): the counts are summed over all workers.

use super::load::{self, Load};
use super::{Algorithm, Flow};
use crate::WorkerId;
use crate::tables::{Dest, Service};

#[derive(Clone, Debug)]
pub(super) struct Wlc;

impl Algorithm for Wlc {
    fn new(_service: &Service) -> Self {
        Wlc
    }

    fn pick<'a>(&self, service: &'a Service, _me: WorkerId, _flow: &Flow) -> Option<&'a Dest> {
        load::least(&service.dests, load)
    }
}

/// Returns a server's connections against its weight.
pub(super) fn load(dest: &Dest) -> Load {
    Load { connections: load::connections(dest), weight: dest.settings.weight }
}

#[cfg(test)]
mod tests {
    use crate::scheduler::Scheduler;
    use crate::testing::service_with_weights;

    #[test]
    fn the_least_loaded_for_its_weight_is_chosen() {
        let service = service_with_weights(Scheduler::Wlc, &[1, 2, 0]);
        // Equal loads: the first. 4 against 5 established on twice the weight: the second.
        assert_eq!(service.pick_ports(1), [1]);
        service.set_connections(0, 4, 0);
        service.set_connections(1, 5, 0);
        assert_eq!(service.pick_ports(1), [2]);
    }

    #[test]
    fn an_established_connection_counts_as_256_others() {
        let service = service_with_weights(Scheduler::Wlc, &[1, 1]);
        service.set_connections(0, 1, 0);
        service.set_connections(1, 0, 255);
        assert_eq!(service.pick_ports(1), [2]);
        service.set_connections(1, 0, 257);
        assert_eq!(service.pick_ports(1), [1]);
    }
}
