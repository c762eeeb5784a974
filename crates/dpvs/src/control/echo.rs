// SPDX-License-Identifier: MIT OR Apache-2.0
//! Damping of echo answers: where real servers flap, the answer of an address changes once a second
//! at most. What an operator sets is in force at once.

use dpvs_core::Millis;
use dpvs_core::key::Address;
use dpvs_core::tables::{Draft, Tables};
use std::collections::HashMap;

/// Least time between two changes of an answer.
const HOLD_MS: u64 = 1000;

/// When answers have changed.
#[derive(Debug, Default)]
pub(super) struct EchoDamper(HashMap<Address, Millis>);

impl EchoDamper {
    /// Has a draft keep the answers that have just changed.
    pub(super) fn hold(&mut self, old: &Tables, draft: &mut Draft, now: Millis) {
        self.0.retain(|_, at| now.since(*at) < HOLD_MS);
        for address in self.0.keys() {
            let policy = |tables: &Tables| tables.echo(*address).map(|echo| echo.policy);
            if policy(old) == policy(draft.tables()) {
                draft.hold_echo(*address);
            }
        }
    }

    /// Notes the answers that have changed under their policies.
    pub(super) fn note(&mut self, old: &Tables, new: &Tables, now: Millis) {
        for echo in new.echoes() {
            let is_changed = |old: &dpvs_core::tables::Echo| {
                old.policy == echo.policy && old.answer != echo.answer
            };
            if old.echo(echo.address).is_some_and(is_changed) {
                self.0.insert(echo.address, now);
            }
        }
    }

    /// Returns whether an answer that was held may change.
    pub(super) fn is_due(&self, tables: &Tables, now: Millis) -> bool {
        let is_over = |at: &Millis| now.since(*at) >= HOLD_MS;
        tables.held_echoes().any(|address| self.0.get(&address).is_none_or(is_over))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpvs_core::net::Protocol;
    use dpvs_core::scheduler::Scheduler;
    use dpvs_core::tables::{
        DestSettings, EchoAnswer, EchoPolicy, EchoRule, Forward, ServiceSettings,
    };
    use dpvs_core::testing::{address, end, service_key, tables};

    const V: &str = "203.0.113.80";

    /// Publishes as the control thread does.
    fn publish(
        damper: &mut EchoDamper,
        old: &Tables,
        now: u64,
        change: impl FnOnce(&mut Draft),
    ) -> Tables {
        let mut draft = Draft::new(old);
        change(&mut draft);
        damper.hold(old, &mut draft, Millis(now));
        let new = draft.publish();
        damper.note(old, &new, Millis(now));
        new
    }

    fn set_weight(draft: &mut Draft, weight: u32) {
        let key = service_key(Protocol::Tcp, V, 80);
        let settings = DestSettings { weight, ..DestSettings::new(Forward::FullNat) };
        draft.set_dest(&key, end("10.1.1.10", 8080), settings).unwrap();
    }

    #[test]
    fn an_answer_changes_once_a_second_at_most() {
        let mut damper = EchoDamper::default();
        let any_up = EchoPolicy { rule: EchoRule::AnyUp, ..EchoPolicy::default() };
        let answer = |tables: &Tables| tables.echo(address(V)).unwrap().answer;
        let new = publish(&mut damper, &tables(1), 0, |draft| {
            draft.set_echo(address(V), any_up).unwrap();
        });
        // To be provisioned in steps costs no time.
        let new = publish(&mut damper, &new, 5, |draft| {
            let key = service_key(Protocol::Tcp, V, 80);
            draft.add_service(key, ServiceSettings::new(Scheduler::Rr)).unwrap();
            let settings = DestSettings::new(Forward::FullNat);
            draft.add_dest(&key, end("10.1.1.10", 8080), settings).unwrap();
        });
        assert_eq!(answer(&new), EchoAnswer::Reply);
        let new = publish(&mut damper, &new, 500, |draft| set_weight(draft, 0));
        assert_eq!(answer(&new), EchoAnswer::Reply, "495 ms after the last change");
        assert!(!damper.is_due(&new, Millis(1004)));
        assert!(damper.is_due(&new, Millis(1005)));
        let new = publish(&mut damper, &new, 1005, |_| {});
        assert_eq!(answer(&new), EchoAnswer::Drop);
        assert!(!damper.is_due(&new, Millis(9000)), "nothing is held any more");
        // It came back before anybody noticed: nothing changes.
        let new = publish(&mut damper, &new, 1100, |draft| set_weight(draft, 1));
        let new = publish(&mut damper, &new, 1200, |draft| set_weight(draft, 0));
        assert_eq!(answer(&new), EchoAnswer::Drop);
        assert!(!damper.is_due(&new, Millis(9000)));
        // Who sets a policy does not wait.
        let new = publish(&mut damper, &new, 1300, |draft| {
            draft.set_echo(address(V), EchoPolicy::default()).unwrap();
        });
        assert_eq!(answer(&new), EchoAnswer::Reply);
    }
}
