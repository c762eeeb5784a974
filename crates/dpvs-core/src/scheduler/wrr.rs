// SPDX-License-Identifier: MIT OR Apache-2.0
//! Weighted round robin: a server of weight w gets w turns in a round, spread out.
//!
//! A level comes down from the greatest weight in steps of the weights' greatest common divisor;
//! at each level every server of at least that weight has one turn (the algorithm that the LVS
//! documentation describes as "Weighted Round-Robin Scheduling"). Levels that no available server
//! reaches are passed over at once, so that a choice takes O(servers) steps, also while thresholds
//! close the heaviest ones. Level and turn are the worker's own.

use super::{Algorithm, Flow};
use crate::WorkerId;
use crate::counters::ServiceCounters;
use crate::ids::position;
use crate::tables::{Dest, Service};

#[derive(Clone, Debug)]
pub(super) struct Wrr {
    /// Greatest common divisor of the weights, 0 if all are 0.
    gcd: u32,
}

impl Algorithm for Wrr {
    fn new(service: &Service) -> Self {
        Wrr { gcd: service.dests.iter().fold(0, |sum, dest| gcd(sum, dest.settings.weight)) }
    }

    fn pick<'a>(&self, service: &'a Service, me: WorkerId, _flow: &Flow) -> Option<&'a Dest> {
        let state = service.counters.part(me.index())?;
        let level = state.weight.get();
        if level > 0
            && let Some(dest) = next_at_level(service, state, state.cursor.get(), level)
        {
            return Some(dest);
        }
        let available = || service.dests.iter().filter(|dest| dest.is_available());
        let top = available().map(|dest| dest.settings.weight).max()?;
        let level = match level.checked_sub(self.gcd) {
            Some(lower) if lower > 0 => lower.min(top),
            _ => top,
        };
        // Other workers may have closed all that were found open a moment ago: then any does.
        next_at_level(service, state, 0, level).or_else(|| available().next())
    }
}

/// Gives the turn to the next server from `cursor` on whose weight reaches the level.
fn next_at_level<'a>(
    service: &'a Service,
    state: &ServiceCounters,
    cursor: u32,
    level: u32,
) -> Option<&'a Dest> {
    let rest = (1..).zip(&service.dests).skip(position(cursor));
    let (next, dest) =
        { rest }.find(|(_, dest)| dest.settings.weight >= level && dest.is_available())?;
    state.cursor.set(next);
    state.weight.set(level);
    Some(dest)
}

fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
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
    fn extreme_weights_have_their_turns() {
        let service = service_with_weights(Scheduler::Wrr, &[1, 65535]);
        let ports = service.pick_ports(65536);
        assert_eq!(ports.iter().filter(|p| **p == 1).count(), 1);
    }

    /// The levels from 65535 to 4 are nobody's while the heaviest server is closed.
    #[test]
    fn the_others_go_on_by_weight_while_the_heaviest_is_overloaded() {
        let mut service = service_with_weights(Scheduler::Wrr, &[65535, 3, 1]);
        service.set_overloaded(0, true);
        assert_eq!(service.pick_ports(8), [2, 2, 2, 3, 2, 2, 2, 3]);
        service.set_overloaded(0, false);
        assert_eq!(service.pick_ports(2), [1, 1]);
    }
}
