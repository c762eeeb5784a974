// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rates of services and real servers: an exponential average, taken every two seconds.
//!
//! A round goes over one snapshot of the tables in bounded pieces, so that many servers do not stall
//! the control thread. What a round no longer finds is forgotten at its end.

use dpvs_api::types::Rates;
use dpvs_core::Millis;
use dpvs_core::counters::Traffic;
use dpvs_core::tables::{DestId, Service, ServiceId, Tables};
use std::collections::HashMap;
use std::sync::Arc;

/// Time between two rounds, and the time in which an old rate counts half.
const ROUND_MS: u64 = 2000;
/// Services and real servers looked at in one piece.
const PIECE_MAX: usize = 1024;

/// A service, or a real server of one. Its place and generation are never another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ObjectId {
    service: (u32, u32),
    dest: Option<(u32, u32)>,
}

impl ObjectId {
    /// The id of a service.
    pub(crate) fn service(id: ServiceId) -> Self {
        ObjectId { service: (id.slot, id.generation), dest: None }
    }

    /// The id of a real server.
    pub(crate) fn dest(service: ServiceId, dest: DestId) -> Self {
        ObjectId { dest: Some((dest.slot, dest.generation)), ..Self::service(service) }
    }
}

#[derive(Clone, Copy, Debug)]
struct Estimate {
    at: Millis,
    seen: Traffic,
    /// Connections, packets in, packets out, bytes in, bytes out, each per second.
    rates: [f64; 5],
    round: u64,
}

#[derive(Debug)]
struct Round {
    tables: Arc<Tables>,
    service: usize,
    /// 0 is the service itself.
    object: usize,
}

/// All estimates.
#[derive(Debug, Default)]
pub(crate) struct Estimator {
    estimates: HashMap<ObjectId, Estimate>,
    round: Option<Round>,
    number: u64,
    started_at: Option<Millis>,
}

impl Estimator {
    /// Returns the rates of an object; zero for one that is new.
    pub(crate) fn of(&self, id: ObjectId) -> Rates {
        let [connections, in_packets, out_packets, in_bytes, out_bytes] =
            self.estimates.get(&id).map_or([0; 5], |estimate| estimate.rates.map(whole));
        Rates { connections, in_packets, out_packets, in_bytes, out_bytes }
    }

    /// Forgets the rates of a service and its real servers, as zeroing its counters does.
    pub(crate) fn forget(&mut self, service: &Service) {
        self.estimates.remove(&ObjectId::service(service.id));
        for dest in &service.dests {
            self.estimates.remove(&ObjectId::dest(service.id, dest.id));
        }
    }

    /// Starts a round if it is time and none is going on.
    pub(super) fn start(&mut self, tables: &Arc<Tables>, now: Millis) {
        let is_time = self.started_at.is_none_or(|at| now.since(at) >= ROUND_MS);
        if is_time && self.round.is_none() {
            self.started_at = Some(now);
            self.number += 1;
            self.round = Some(Round { tables: Arc::clone(tables), service: 0, object: 0 });
        }
    }

    /// Does a piece of the round; returns whether there is more.
    pub(super) fn work(&mut self, now: Millis) -> bool {
        let Some(mut round) = self.round.take() else { return false };
        let tables = Arc::clone(&round.tables);
        let mut left = PIECE_MAX;
        for service in tables.services().skip(round.service) {
            let objects = 1 + service.dests.len();
            while round.object < objects {
                if left == 0 {
                    self.round = Some(round);
                    return true;
                }
                left -= 1;
                self.look(service, round.object, now);
                round.object += 1;
            }
            round.service += 1;
            round.object = 0;
        }
        let number = self.number;
        self.estimates.retain(|_, estimate| estimate.round == number);
        false
    }

    fn look(&mut self, service: &Service, object: usize, now: Millis) {
        let (id, seen) = match object.checked_sub(1).and_then(|at| service.dests.get(at)) {
            None => (ObjectId::service(service.id), service.counters.traffic()),
            Some(dest) => (ObjectId::dest(service.id, dest.id), dest.shared.counters.traffic()),
        };
        let new = Estimate { at: now, seen, rates: [0.0; 5], round: self.number };
        let Some(old) = self.estimates.insert(id, new) else { return };
        let elapsed_ms = now.since(old.at);
        if let Some(estimate) = self.estimates.get_mut(&id) {
            estimate.rates = average(&old, seen, elapsed_ms);
            if elapsed_ms == 0 {
                (estimate.at, estimate.seen) = (old.at, old.seen);
            }
        }
    }
}

/// Returns the average that follows from what came since.
fn average(old: &Estimate, seen: Traffic, elapsed_ms: u64) -> [f64; 5] {
    if elapsed_ms == 0 {
        return old.rates;
    }
    let seconds = float(elapsed_ms) / 1000.0;
    let weight = 1.0 - (-float(elapsed_ms) / float(ROUND_MS)).exp2();
    let (now, before) = (values(seen), values(old.seen));
    std::array::from_fn(|at| {
        let pick = |list: &[u64; 5]| list.get(at).copied().unwrap_or(0);
        let rate = old.rates.get(at).copied().unwrap_or(0.0);
        // Counters that were zeroed meanwhile start again from 0.
        let came = pick(&now).checked_sub(pick(&before)).unwrap_or(pick(&now));
        rate + (float(came) / seconds - rate) * weight
    })
}

fn values(traffic: Traffic) -> [u64; 5] {
    let Traffic { connections, in_packets, out_packets, in_bytes, out_bytes } = traffic;
    [connections, in_packets, out_packets, in_bytes, out_bytes]
}

#[allow(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a rate needs no more than 53 bits"
)]
fn float(value: u64) -> f64 {
    value as f64
}

#[allow(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and rates are not negative"
)]
fn whole(rate: f64) -> u64 {
    rate.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(connections: u64) -> Traffic {
        Traffic { connections, ..Traffic::default() }
    }

    fn old(connections: u64, rate: f64) -> Estimate {
        let mut rates = [0.0; 5];
        rates[0] = rate;
        Estimate { at: Millis(0), seen: traffic(connections), rates, round: 0 }
    }

    #[test]
    fn a_rate_goes_half_the_way_in_two_seconds() {
        let rates = average(&old(100, 0.0), traffic(300), 2000);
        assert!((rates[0] - 50.0).abs() < 0.01, "{rates:?}");
        let rates = average(&old(100, 80.0), traffic(100), 2000);
        assert!((rates[0] - 40.0).abs() < 0.01, "{rates:?}");
    }

    #[test]
    fn counters_that_were_zeroed_do_not_make_a_flood() {
        let rates = average(&old(1_000_000, 0.0), traffic(10), 2000);
        assert!(rates[0] < 10.0, "{rates:?}");
    }
}
