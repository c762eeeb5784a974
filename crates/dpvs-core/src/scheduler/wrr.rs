// SPDX-License-Identifier: MIT OR Apache-2.0
//! Weighted round robin: a server of weight w gets w turns in a round, spread out.
//!
//! A level comes down from the greatest weight in steps of the weights' greatest common divisor;
//! at each level every server of at least that weight has one turn (the algorithm that the LVS
//! documentation describes as "Weighted Round-Robin Scheduling"). O(servers) at most: at any level
//! the greatest one qualifies, unless thresholds close it, for which a whole round is bounded too.

use crate::WorkerId;
use crate::ids::position;
use crate::tables::{Dest, Service};

/// Most steps for one choice: overloaded servers may make all levels of a round fruitless.
const STEPS_MAX: u32 = 1 << 16;

pub(super) fn pick(service: &Service, me: WorkerId) -> Option<&Dest> {
    let state = service.counters.part(me.index())?;
    let len = u32::try_from(service.dests.len()).ok()?;
    if service.picker.weight_gcd == 0 || !service.dests.iter().any(Dest::is_available) {
        return None;
    }
    let (mut at, mut level) = (state.cursor.get(), state.weight.get());
    for _ in 0..STEPS_MAX {
        if at >= len || level == 0 || level > service.picker.weight_max {
            at = 0;
            level = match level.checked_sub(service.picker.weight_gcd) {
                Some(lower) if lower > 0 && lower <= service.picker.weight_max => lower,
                _ => service.picker.weight_max,
            };
        }
        let dest = service.dests.get(position(at))?;
        at += 1;
        if dest.settings.weight >= level && dest.is_available() {
            state.cursor.set(at);
            state.weight.set(level);
            return Some(dest);
        }
    }
    service.dests.iter().find(|dest| dest.is_available())
}

#[cfg(test)]
mod tests {
    use crate::scheduler::Scheduler;
    use crate::testing::service_with_weights;

    /// The example of the LVS documentation: weights 4, 3, 2 give AABABCABC.
    #[test]
    fn weights_4_3_2_give_the_documented_sequence() {
        let service = service_with_weights(Scheduler::Wrr, &[4, 3, 2]);
        assert_eq!(service.pick_ports(9), [1, 1, 2, 1, 2, 3, 1, 2, 3]);
        assert_eq!(service.pick_ports(9), [1, 1, 2, 1, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn a_round_gives_each_its_weight() {
        let service = service_with_weights(Scheduler::Wrr, &[10, 0, 250, 35]);
        let ports = service.pick_ports(2 * (10 + 250 + 35) / 5);
        let share = |port| ports.iter().filter(|p| **p == port).count();
        assert_eq!((share(1), share(2), share(3), share(4)), (4, 0, 100, 14));
    }

    #[test]
    fn extreme_weights_need_no_more_steps_than_servers() {
        let service = service_with_weights(Scheduler::Wrr, &[1, 65535]);
        let ports = service.pick_ports(65536);
        assert_eq!(ports.iter().filter(|p| **p == 1).count(), 1);
    }
}
