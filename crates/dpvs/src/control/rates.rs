// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rates of services and real servers: an exponential average, taken every two seconds.
//!
//! A round goes over one snapshot of the tables in bounded pieces, so that many servers do not stall
//! the control thread, and rounds are further apart where one takes long: a million servers are
//! looked at in a quarter of a second, every five. Whatever has never had traffic has no estimate
//! and takes no room. What a round no longer finds is forgotten.

use dpvs_api::types::Rates;
use dpvs_core::Millis;
use dpvs_core::counters::Traffic;
use dpvs_core::tables::{DestId, Service, ServiceId, Tables};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two rounds, and the time in which an old rate counts half.
const ROUND_MS: u64 = 2000;
/// Rounds take at most one part in so many of the control thread's time.
const SHARE: u32 = 20;
/// Services and real servers looked at in one piece.
const PIECE_MAX: usize = 1024;

/// A service, or a real server of one. Its place and generation are never another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ObjectId {
    service: ServiceId,
    dest: Option<DestId>,
}

impl ObjectId {
    /// The id of a service.
    pub(crate) fn service(id: ServiceId) -> Self {
        ObjectId { service: id, dest: None }
    }

    /// The id of a real server.
    pub(crate) fn dest(service: ServiceId, dest: DestId) -> Self {
        ObjectId { service, dest: Some(dest) }
    }

    /// Its position in the row of its service, and which of those that had the place it is.
    fn place(self) -> (usize, u32) {
        self.dest.map_or((0, 0), |dest| (index(dest.slot).saturating_add(1), dest.generation))
    }
}

fn index(slot: u32) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}

#[derive(Clone, Copy, Debug)]
struct Estimate {
    generation: u32,
    at: Millis,
    seen: Traffic,
    /// Connections, packets in, packets out, bytes in, bytes out, each per second.
    rates: [f64; 5],
    /// The round that looked last.
    round: u64,
}

/// The estimates of a service and its real servers.
#[derive(Debug, Default)]
struct Row {
    generation: u32,
    /// The service itself, then its real servers by their places.
    estimates: Vec<Option<Box<Estimate>>>,
    /// The round that looked last.
    round: u64,
}

impl Row {
    fn get(&self, id: ObjectId) -> Option<&Estimate> {
        let (at, generation) = id.place();
        let estimate = self.estimates.get(at)?.as_deref()?;
        let is_it = self.generation == id.service.generation && estimate.generation == generation;
        is_it.then_some(estimate)
    }

    fn set(&mut self, at: usize, estimate: Estimate) {
        if self.estimates.len() <= at {
            self.estimates.resize_with(at + 1, || None);
        }
        if let Some(place) = self.estimates.get_mut(at) {
            *place = Some(Box::new(estimate));
        }
    }

    /// Ends a round: servers that it has not found are gone.
    fn end(&mut self) {
        for place in &mut self.estimates {
            if place.as_ref().is_some_and(|estimate| estimate.round != self.round) {
                *place = None;
            }
        }
    }
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
    /// By the services' places.
    rows: Vec<Row>,
    round: Option<Round>,
    number: u64,
    started_at: Option<Millis>,
    /// When the round before started: what has no estimate had no traffic then.
    idle_at: Millis,
    /// How long the pieces of the last round took together.
    took: Duration,
}

impl Estimator {
    /// Returns the rates of an object; zero for one that is new.
    pub(crate) fn of(&self, id: ObjectId) -> Rates {
        let estimate = self.rows.get(index(id.service.slot)).and_then(|row| row.get(id));
        let [connections, in_packets, out_packets, in_bytes, out_bytes] =
            estimate.map_or([0; 5], |estimate| estimate.rates.map(whole));
        Rates { connections, in_packets, out_packets, in_bytes, out_bytes }
    }

    /// Forgets the rates of a service and its real servers, as zeroing its counters does.
    pub(crate) fn forget(&mut self, service: &Service) {
        if let Some(row) = self.rows.get_mut(index(service.id.slot)) {
            *row = Row::default();
        }
    }

    /// Starts a round if it is time and none is going on.
    pub(super) fn start(&mut self, tables: &Arc<Tables>, now: Millis) {
        if self.round.is_some() || !self.is_time(now) {
            return;
        }
        self.idle_at = self.started_at.unwrap_or(now);
        self.started_at = Some(now);
        self.number += 1;
        self.took = Duration::ZERO;
        self.round = Some(Round { tables: Arc::clone(tables), service: 0, object: 0 });
    }

    fn is_time(&self, now: Millis) -> bool {
        let Some(started_at) = self.started_at else { return true };
        let since = now.since(started_at);
        since >= ROUND_MS && Duration::from_millis(since) >= self.took * SHARE
    }

    /// Does a piece of the round; returns whether there is more.
    pub(super) fn work(&mut self, now: Millis) -> bool {
        let Some(mut round) = self.round.take() else { return false };
        let begun_at = Instant::now();
        if self.piece(&mut round, now) {
            self.round = Some(round);
        } else {
            let number = self.number;
            for row in self.rows.iter_mut().filter(|row| row.round != number) {
                *row = Row::default();
            }
        }
        self.took += begun_at.elapsed();
        self.round.is_some()
    }

    fn piece(&mut self, round: &mut Round, now: Millis) -> bool {
        let mut left = PIECE_MAX;
        for service in round.tables.services().skip(round.service) {
            let objects = 1 + service.dests.len();
            while round.object < objects {
                if left == 0 {
                    return true;
                }
                left -= 1;
                self.look(service, round.object, now);
                round.object += 1;
            }
            if let Some(row) = self.rows.get_mut(index(service.id.slot)) {
                row.end();
            }
            round.service += 1;
            round.object = 0;
        }
        false
    }

    fn look(&mut self, service: &Service, object: usize, now: Millis) {
        let (id, seen) = match object.checked_sub(1).and_then(|at| service.dests.get(at)) {
            None => (ObjectId::service(service.id), service.counters.traffic()),
            Some(dest) => (ObjectId::dest(service.id, dest.id), dest.shared.counters.traffic()),
        };
        let row = index(service.id.slot);
        if self.rows.len() <= row {
            self.rows.resize_with(row + 1, Row::default);
        }
        let Some(row) = self.rows.get_mut(row) else { return };
        if row.generation != service.id.generation {
            *row = Row { generation: service.id.generation, ..Row::default() };
        }
        row.round = self.number;
        let (at, generation) = id.place();
        let idle = Estimate {
            generation,
            at: self.idle_at,
            seen: Traffic::default(),
            rates: [0.0; 5],
            round: 0,
        };
        let old = row.get(id).copied();
        if old.is_none() && seen == idle.seen {
            return;
        }
        let old = old.unwrap_or(idle);
        let elapsed_ms = now.since(old.at);
        let rates = average(&old, seen, elapsed_ms);
        let (since, seen) = if elapsed_ms == 0 { (old.at, old.seen) } else { (now, seen) };
        row.set(at, Estimate { generation, at: since, seen, rates, round: self.number });
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
        Estimate { generation: 0, at: Millis(0), seen: traffic(connections), rates, round: 0 }
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

    #[test]
    fn rounds_that_take_long_are_further_apart() {
        let mut estimator = Estimator { started_at: Some(Millis(1000)), ..Estimator::default() };
        assert!(!estimator.is_time(Millis(2999)));
        assert!(estimator.is_time(Millis(3000)));
        estimator.took = Duration::from_millis(300);
        assert!(!estimator.is_time(Millis(6999)));
        assert!(estimator.is_time(Millis(7000)));
    }
}
