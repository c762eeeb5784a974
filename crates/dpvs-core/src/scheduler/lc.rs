// SPDX-License-Identifier: MIT OR Apache-2.0
//! Least connections: the server with the fewest, whatever its weight, as long as that is not 0.
//! O(servers x workers): the counts are summed over all workers.

use super::load::{self, Load};
use super::{Algorithm, Flow};
use crate::WorkerId;
use crate::tables::{Dest, Service};

#[derive(Clone, Debug)]
pub(super) struct Lc;

impl Algorithm for Lc {
    fn new(_service: &Service) -> Self {
        Lc
    }

    fn pick<'a>(&self, service: &'a Service, _me: WorkerId, _flow: &Flow) -> Option<&'a Dest> {
        load::least(&service.dests, |dest| Load { connections: load::connections(dest), weight: 1 })
    }
}

#[cfg(test)]
mod tests {
    use crate::scheduler::Scheduler;
    use crate::testing::service_with_weights;

    #[test]
    fn weights_do_not_count_but_0_does() {
        let service = service_with_weights(Scheduler::Lc, &[100, 1, 0]);
        service.set_connections(0, 2, 0);
        service.set_connections(1, 1, 255);
        assert_eq!(service.pick_ports(1), [2]);
        service.set_connections(1, 1, 257);
        assert_eq!(service.pick_ports(1), [1]);
    }
}
