// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shortest expected delay: the server with the least `(C + 1) / U` (ipvsadm(8)), where C is its
//! established connections and U its weight, that is, its rate of service. O(servers x workers).

use super::load::{self, Load};
use super::{Algorithm, Flow};
use crate::WorkerId;
use crate::tables::{Dest, Service};

#[derive(Clone, Debug)]
pub(super) struct Sed;

impl Algorithm for Sed {
    fn new(_service: &Service) -> Self {
        Sed
    }

    fn pick<'a>(&self, service: &'a Service, _me: WorkerId, _flow: &Flow) -> Option<&'a Dest> {
        load::least(&service.dests, |dest| {
            let with_this = u64::from(dest.shared.counters.active()) + 1;
            Load { connections: with_this, weight: dest.settings.weight }
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::scheduler::Scheduler;
    use crate::testing::service_with_weights;

    #[test]
    fn a_fast_server_is_preferred_to_an_idle_one() {
        let service = service_with_weights(Scheduler::Sed, &[1, 3]);
        service.set_connections(1, 1, 1000);
        // 1 / 1 against 2 / 3.
        assert_eq!(service.pick_ports(1), [2]);
        service.set_connections(1, 2, 0);
        // 1 / 1 against 3 / 3: the first.
        assert_eq!(service.pick_ports(1), [1]);
    }
}
