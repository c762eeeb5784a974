// SPDX-License-Identifier: MIT OR Apache-2.0
//! Never queue: an idle server (one without established connections), the first of them, if there
//! is any; otherwise the one with the shortest expected delay. O(servers x workers).

use super::sed::Sed;
use super::{Algorithm, Flow};
use crate::WorkerId;
use crate::tables::{Dest, Service};

#[derive(Clone, Debug)]
pub(super) struct Nq(Sed);

impl Algorithm for Nq {
    fn new(service: &Service) -> Self {
        Nq(Sed::new(service))
    }

    fn pick<'a>(&self, service: &'a Service, me: WorkerId, flow: &Flow) -> Option<&'a Dest> {
        let is_idle = |dest: &&Dest| dest.is_available() && dest.shared.counters.active() == 0;
        service.dests.iter().find(is_idle).or_else(|| self.0.pick(service, me, flow))
    }
}

#[cfg(test)]
mod tests {
    use crate::scheduler::Scheduler;
    use crate::testing::service_with_weights;

    #[test]
    fn an_idle_server_is_preferred_to_a_fast_one() {
        let service = service_with_weights(Scheduler::Nq, &[100, 0, 1]);
        service.set_connections(0, 1, 0);
        assert_eq!(service.pick_ports(1), [3]);
    }

    #[test]
    fn without_an_idle_server_the_expected_delay_decides() {
        let service = service_with_weights(Scheduler::Nq, &[1, 3]);
        service.set_connections(0, 1, 0);
        service.set_connections(1, 4, 0);
        assert_eq!(service.pick_ports(1), [2]);
        service.set_connections(1, 5, 0);
        assert_eq!(service.pick_ports(1), [1]);
    }
}
