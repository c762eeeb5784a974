// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a processor's core does another's work beside ours.
//!
//! What a virtual machine has for a processor is often one of two threads of a core, and the other one
//! may be somebody else's. While that one is busy, what fills the core's execution units takes up to
//! 1.6 times as long, and what waits for memory hardly any longer: two programs of different kinds can
//! then not be compared. It comes and goes within tenths of a second, and no counter of the machine
//! tells of it; a loop of independent steps does, beside one of steps that wait for each other, which
//! takes the same time in either case.

use crate::measure::median;
use crate::process::pin;
use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use std::fs;
use std::hint::black_box;
use std::io;
use std::sync::Barrier;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// A turn counts if the loop of independent steps took at most so many times what it took in the
/// calmest turn.
const CALM: f64 = 1.08;

/// So often a measurement is repeated for each turn that counts, at most.
const TRIES: usize = 16;

/// Turns that count, at least, unless fewer are wanted.
const FEWEST: usize = 3;

/// Steps of a loop: about 20 us.
const STEPS: u64 = 16_384;

/// How often the loops run for one look.
const LOOKS: usize = 15;

/// One look in so many may be odd: the least of the others tells what calm is.
const ODD_LOOKS: usize = 50;

/// Where it is kept what calm is, and for how long.
const KEPT_IN: &str = "target/bench/calm.txt";
const KEPT_FOR: Duration = Duration::from_secs(3600);

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Looks before anything is measured, to learn what calm is, or while calm is waited for, and the time
/// between two of them.
const LOOKS_MOST: usize = 100;
const BETWEEN: Duration = Duration::from_millis(10);

/// The processors that measurements run on.
#[derive(Debug)]
pub struct Crowd {
    cpus: Vec<u32>,
    calm: Calm,
    /// The turns that were waited for.
    waited: Waited,
}

/// Turns that were waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waited {
    /// Those before which the processors were calm.
    pub calm: usize,
    /// All.
    pub all: usize,
}

/// What calm is.
#[derive(Debug)]
struct Calm {
    /// What was seen, the least first.
    seen: Vec<f64>,
    /// The least that counts.
    least: f64,
}

/// Looks at the processors during a turn.
#[derive(Debug)]
pub struct Watch<'a> {
    cpus: &'a [u32],
    /// The greatest that was seen.
    most: f64,
}

/// What was measured in turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turns<T> {
    /// Of each turn that counts: the calm ones, as many as were wanted. If they are too few, the calmest
    /// of all.
    pub values: Vec<T>,
    /// How many turns were calm.
    pub calm: usize,
    /// How many turns there were.
    pub all: usize,
}

impl Crowd {
    /// Looks at these processors for a second. Nothing of ours must run on them meanwhile. What calm
    /// is it may know from another program that ran within the last hour, for a crowd may stay for
    /// minutes; it is kept in `target/bench` of the working directory.
    ///
    /// # Errors
    /// If there is no such processor.
    pub fn new(cpus: &[u32]) -> anyhow::Result<Self> {
        let mut calm = Calm::of(kept().unwrap_or(f64::INFINITY));
        for _ in 0..LOOKS_MOST {
            calm.learn(look_at(cpus)?);
            thread::sleep(BETWEEN);
        }
        Ok(Crowd { cpus: cpus.to_vec(), calm, waited: Waited::default() })
    }

    /// Waits until the processors are calm, for a second at most: before a turn that cannot be done
    /// again, because it changes what the next ones find.
    ///
    /// # Errors
    /// If there is no such processor.
    pub fn wait(&mut self) -> anyhow::Result<()> {
        self.waited.all += 1;
        for _ in 0..LOOKS_MOST {
            let crowd = look_at(&self.cpus)?;
            self.calm.learn(crowd);
            if self.calm.is(crowd) {
                self.waited.calm += 1;
                break;
            }
            thread::sleep(BETWEEN);
        }
        Ok(())
    }

    /// Counts turns that another process waited for.
    pub fn count(&mut self, others: Waited) {
        self.waited.calm += others.calm;
        self.waited.all += others.all;
    }

    /// Returns the turns that were waited for.
    pub fn waited(&self) -> Waited {
        self.waited
    }

    /// Measures in turns until `count` of them are calm, or too many were not.
    ///
    /// # Errors
    /// Those of the turns.
    pub fn calm_turns<T>(
        &mut self,
        count: usize,
        mut measure: impl FnMut(&mut Watch<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<Turns<T>> {
        let cpus = &self.cpus;
        calm_turns(&mut self.calm, count, || {
            let mut watch = Watch { cpus, most: f64::NEG_INFINITY };
            watch.look()?;
            let value = measure(&mut watch)?;
            watch.look()?;
            Ok((value, watch.most))
        })
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // Where there is no such folder, the next program learns it anew.
        let _ = keep(self.calm.least);
    }
}

impl Calm {
    fn of(least: f64) -> Self {
        Calm { seen: Vec::new(), least }
    }

    fn is(&self, crowd: f64) -> bool {
        crowd <= self.least * CALM
    }

    /// Learns from a look. Once in a thousand looks the steps that wait for each other take longer:
    /// less than all others, and nothing would be calm. What was once calm stays so in a crowd.
    fn learn(&mut self, crowd: f64) {
        let at = self.seen.partition_point(|seen| *seen < crowd);
        self.seen.insert(at, crowd);
        if self.seen.len() >= LOOKS_MOST
            && let Some(least) = self.seen.get(self.seen.len() / ODD_LOOKS)
        {
            self.least = self.least.min(*least);
        }
    }
}

/// What calm was, if that is known.
fn kept() -> Option<f64> {
    if cfg!(debug_assertions) {
        // Without optimisation the loops are others.
        return None;
    }
    let age = fs::metadata(KEPT_IN).ok()?.modified().ok()?.elapsed().ok()?;
    if age > KEPT_FOR {
        return None;
    }
    fs::read_to_string(KEPT_IN).ok()?.trim().parse().ok().filter(|least: &f64| *least > 0.0)
}

/// Keeps what is less than what is kept. What is not does not make that last longer.
fn keep(least: f64) -> io::Result<()> {
    if cfg!(debug_assertions) || kept().is_some_and(|kept| kept <= least) {
        return Ok(());
    }
    fs::write(KEPT_IN, format!("{least}\n"))
}

impl Watch<'_> {
    /// Looks at the processors, on which nothing of ours must run meanwhile.
    ///
    /// # Errors
    /// If there is no such processor.
    pub fn look(&mut self) -> anyhow::Result<()> {
        self.most = self.most.max(look_at(self.cpus)?);
        Ok(())
    }

    /// Lets this turn be as one of the most crowded, because what was measured is not what was wanted.
    pub fn spoil(&mut self) {
        self.most = f64::INFINITY;
    }
}

/// Does turns, which tell how crowded they were.
fn calm_turns<T>(
    calm: &mut Calm,
    count: usize,
    mut turn: impl FnMut() -> anyhow::Result<(T, f64)>,
) -> anyhow::Result<Turns<T>> {
    let mut turns: Vec<(T, f64)> = Vec::new();
    let calm = loop {
        let calm_count = turns.iter().filter(|(_, crowd)| calm.is(*crowd)).count();
        if calm_count >= count || turns.len() >= TRIES * count {
            break calm_count;
        }
        let (value, crowd) = turn()?;
        calm.learn(crowd);
        turns.push((value, crowd));
    };
    let all = turns.len();
    turns.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let kept = calm.clamp(FEWEST.min(count), count);
    let values = turns.into_iter().take(kept).map(|(value, _)| value).collect();
    Ok(Turns { values, calm, all })
}

/// How crowded the most crowded of these processors is: without unit, more is worse. All are busy at
/// once, for two of them may be the threads of one core, for a while.
fn look_at(cpus: &[u32]) -> anyhow::Result<f64> {
    let start = Barrier::new(cpus.len());
    let looks: Vec<anyhow::Result<f64>> = thread::scope(|scope| {
        let begin = |cpu: &u32| {
            let (cpu, start) = (*cpu, &start);
            scope.spawn(move || look(cpu, start))
        };
        let threads: Vec<_> = cpus.iter().map(begin).collect();
        let end = |thread: ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|_| Err(anyhow!("the look at a processor failed")))
        };
        threads.into_iter().map(end).collect()
    });
    looks.into_iter().try_fold(f64::NEG_INFINITY, |worst, look| Ok(worst.max(look?)))
}

fn look(cpu: u32, start: &Barrier) -> anyhow::Result<f64> {
    let pinned = pin(0, cpu);
    // The others wait for this one, whatever comes of it.
    start.wait();
    pinned?;
    let looks: Vec<f64> = (0..LOOKS).map(|_| time(independent) / time(chained)).collect();
    Ok(median(&looks))
}

fn time(work: fn()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64()
}

/// Many steps at a time.
fn independent() {
    let mut lanes = [1_u64, 2, 3, 4, 5, 6, 7, 8];
    for step in 0..STEPS {
        for lane in &mut lanes {
            *lane = lane.rotate_left(5) ^ step;
        }
    }
    black_box(lanes);
}

/// One step at a time.
fn chained() {
    let mut value = black_box(1_u64);
    for step in 0..STEPS {
        value = (value ^ step).wrapping_mul(ODD);
    }
    black_box(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    fn turns_of(crowds: &[f64], count: usize, least: f64) -> Turns<usize> {
        let mut turns = crowds.iter().copied().enumerate();
        calm_turns(&mut Calm::of(least), count, || turns.next().context("no more turns")).unwrap()
    }

    #[test]
    fn turns_go_on_until_enough_are_calm_and_those_alone_are_given() {
        let turns = turns_of(&[1.3, 1.0, 1.5, 1.05, 1.2, 1.01, 1.0], 3, 1.0);
        assert_eq!(turns, Turns { values: vec![1, 5, 3], calm: 3, all: 6 });
    }

    #[test]
    fn what_calm_is_was_learned_before() {
        let turns = turns_of(&[1.3, 1.3, 1.0, 1.3, 1.0], 2, 1.0);
        assert_eq!(turns, Turns { values: vec![2, 4], calm: 2, all: 5 });
    }

    #[test]
    fn odd_looks_do_not_tell_what_calm_is() {
        let mut calm = Calm::of(f64::INFINITY);
        for number in 0..1000 {
            calm.learn(if number % 100 == 99 { 0.9 } else { 1.1 });
        }
        assert!(calm.is(1.18) && !calm.is(1.19), "{}", calm.least);
        // A crowd that comes later does not change it.
        (0..10_000).for_each(|_| calm.learn(2.0));
        assert!(calm.is(1.18) && !calm.is(1.19), "{}", calm.least);
        // It is never more than what it was.
        let mut known = Calm::of(1.0);
        known.learn(1.1);
        assert!(known.is(1.08) && !known.is(1.09), "{}", known.least);
    }

    #[test]
    fn three_calm_turns_are_better_than_more_that_were_not() {
        let mut crowds = vec![1.5; 16 * 4];
        (crowds[7], crowds[9], crowds[50]) = (1.0, 1.02, 1.01);
        let turns = turns_of(&crowds, 4, 1.0);
        assert_eq!(turns, Turns { values: vec![7, 50, 9], calm: 3, all: 64 });
    }

    #[test]
    fn spoiled_turns_do_not_count() {
        let mut crowd = Crowd::new(&[0]).unwrap();
        let mut number = 0;
        let turns = crowd.calm_turns(1, |watch| {
            number += 1;
            if number < 3 {
                watch.spoil();
            }
            Ok(number)
        });
        let Turns { values, all, .. } = turns.unwrap();
        assert!(values.iter().all(|value| *value >= 3) && all >= 3, "{values:?} of {all}");
    }

    #[test]
    fn where_nothing_is_calm_the_calmest_turns_are_given() {
        let crowds: Vec<f64> = (0..32).map(|at| 100.0 - f64::from(at)).collect();
        let turns = turns_of(&crowds, 2, 1.0);
        assert_eq!(turns, Turns { values: vec![31, 30], calm: 0, all: 32 });
    }

    #[test]
    fn turns_are_counted_that_were_waited_for() {
        let mut crowd = Crowd::new(&[0]).unwrap();
        crowd.calm = Calm::of(f64::INFINITY);
        crowd.wait().unwrap();
        assert_eq!(crowd.waited(), Waited { calm: 1, all: 1 });
        // Nothing is as calm as this.
        crowd.calm = Calm::of(0.0);
        crowd.wait().unwrap();
        crowd.count(Waited { calm: 2, all: 3 });
        assert_eq!(crowd.waited(), Waited { calm: 3, all: 5 });
    }

    #[test]
    fn a_processor_that_is_not_there_is_an_error() {
        assert!(look_at(&[100_000]).is_err());
        assert!(look_at(&[0]).unwrap() > 0.0);
    }
}
