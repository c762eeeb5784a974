// SPDX-License-Identifier: MIT OR Apache-2.0
//! Weighted least connections: the server with the least load for its weight.
//!
//! The load is 256 times the established connections plus the others (the LVS documentation: "an
//! active connection counts for about 256 inactive ones"). Loads are compared by cross products, so
//! nothing is divided. O(servers), the counts summed over all workers.

use crate::tables::{Dest, Service};

pub(super) fn pick(service: &Service) -> Option<&Dest> {
    let mut best: Option<(&Dest, u64)> = None;
    for dest in service.dests.iter().filter(|dest| dest.is_available()) {
        let counters = &dest.shared.counters;
        let load = u64::from(counters.active()) * 256 + u64::from(counters.inactive());
        let is_better = best.is_none_or(|(other, other_load)| {
            load * u64::from(other.settings.weight) < other_load * u64::from(dest.settings.weight)
        });
        if is_better {
            best = Some((dest, load));
        }
    }
    best.map(|(dest, _)| dest)
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
