// SPDX-License-Identifier: MIT OR Apache-2.0
//! Weighted failover: the available server with the greatest weight, the first among equals.
//! O(1), or as many steps as there are overloaded servers of greater weight.

use super::{Algorithm, Flow};
use crate::WorkerId;
use crate::ids::position;
use crate::tables::{Dest, Service};
use std::cmp::Reverse;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub(super) struct Fo(Ranking);

impl Algorithm for Fo {
    fn new(service: &Service) -> Self {
        Fo(Ranking::new(&service.dests))
    }

    fn pick<'a>(&self, service: &'a Service, _me: WorkerId, _flow: &Flow) -> Option<&'a Dest> {
        self.0.available(service).next()
    }
}

/// Where servers stand in the list, the heaviest first.
#[derive(Clone, Debug)]
pub(super) struct Ranking(Arc<[u32]>);

impl Ranking {
    pub(super) fn new(dests: &[Dest]) -> Self {
        let mut ranked: Vec<(u32, u32)> =
            (0..).zip(dests.iter().map(|dest| dest.settings.weight)).collect();
        ranked.sort_by_key(|(_, weight)| Reverse(*weight));
        Ranking(ranked.into_iter().map(|(at, _)| at).collect())
    }

    /// Returns the available servers, the heaviest first.
    pub(super) fn available<'a>(&self, service: &'a Service) -> impl Iterator<Item = &'a Dest> {
        let ranked = self.0.iter().filter_map(|at| service.dests.get(position(*at)));
        ranked.filter(|dest| dest.is_available())
    }
}

#[cfg(test)]
mod tests {
    use crate::scheduler::Scheduler;
    use crate::testing::service_with_weights;

    #[test]
    fn the_heaviest_takes_all_until_it_is_closed() {
        let mut service = service_with_weights(Scheduler::Fo, &[1, 5, 0, 5, 3]);
        service.set_connections(1, 1000, 0);
        assert_eq!(service.pick_ports(3), [2, 2, 2]);
        service.set_overloaded(1, true);
        assert_eq!(service.pick_ports(1), [4]);
        service.set_overloaded(3, true);
        assert_eq!(service.pick_ports(1), [5]);
    }
}
