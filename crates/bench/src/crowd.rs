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
use anyhow::{Context as _, anyhow};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::hint::black_box;
use std::sync::Barrier;
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

/// A turn counts if the loop of independent steps took at most so many times what it took in the
/// calmest turn.
const CALM: f64 = 1.08;

/// So often a measurement is repeated for each turn that counts, at most.
const TRIES: usize = 16;

/// Steps of a loop: about 20 us.
const STEPS: u64 = 16_384;

/// How often the loops run for one look.
const LOOKS: usize = 15;

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A look at processors before, during and after a turn.
#[derive(Debug)]
pub struct Watch<'a> {
    cpus: &'a [u32],
    crowd: f64,
}

/// What was measured in a turn, and how crowded its processors were.
#[derive(Clone, Copy, Debug)]
pub struct Turn<T> {
    value: T,
    crowd: f64,
}

/// What was measured in turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turns<T> {
    /// Of each turn that counts: as many as were wanted, the calmest of all.
    pub values: Vec<T>,
    /// How many of them were calm.
    pub calm: usize,
    /// How many turns there were.
    pub all: usize,
}

impl Watch<'_> {
    /// Looks at the processors, on which nothing of ours must run meanwhile.
    ///
    /// # Errors
    /// If there is no such processor.
    pub fn look(&mut self) -> anyhow::Result<()> {
        self.crowd = self.crowd.max(crowd(self.cpus)?);
        Ok(())
    }
}

/// Does one turn. It may look at the processors in between.
///
/// # Errors
/// Those of the turn, or if there is no such processor.
pub fn turn<T>(
    cpus: &[u32],
    measure: impl FnOnce(&mut Watch<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<Turn<T>> {
    let mut watch = Watch { cpus, crowd: f64::NEG_INFINITY };
    watch.look()?;
    let value = measure(&mut watch)?;
    watch.look()?;
    Ok(Turn { value, crowd: watch.crowd })
}

/// Does turns until `count` of them are calm, or too many were not.
///
/// # Errors
/// Those of the turns.
pub fn calm_turns<T>(
    count: usize,
    mut next: impl FnMut() -> anyhow::Result<Turn<T>>,
) -> anyhow::Result<Turns<T>> {
    let mut turns: Vec<Turn<T>> = Vec::new();
    while calm(&turns) < count && turns.len() < TRIES * count {
        turns.push(next()?);
    }
    let (calm, all) = (calm(&turns).min(count), turns.len());
    turns.sort_by(|a, b| a.crowd.total_cmp(&b.crowd));
    let values = turns.into_iter().take(count).map(|turn| turn.value).collect();
    Ok(Turns { values, calm, all })
}

/// Turns that are calm, beside the calmest one.
fn calm<T>(turns: &[Turn<T>]) -> usize {
    let least = turns.iter().map(|turn| turn.crowd).fold(f64::INFINITY, f64::min);
    turns.iter().filter(|turn| turn.crowd <= least * CALM).count()
}

/// How crowded the most crowded of these processors is: without unit, more is worse. All are busy at
/// once, for two of them may be the threads of one core, for a while.
fn crowd(cpus: &[u32]) -> anyhow::Result<f64> {
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
    let pinned = pin(cpu);
    start.wait();
    pinned.with_context(|| format!("there is no processor {cpu}"))?;
    let looks: Vec<f64> = (0..LOOKS).map(|_| time(independent) / time(chained)).collect();
    Ok(median(&looks))
}

fn pin(cpu: u32) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(usize::try_from(cpu)?)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
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

    #[test]
    fn turns_go_on_until_enough_are_calm_and_those_alone_are_given() {
        let crowds = [1.3, 1.0, 1.5, 1.05, 1.2, 1.01, 1.0];
        let mut turns =
            crowds.iter().enumerate().map(|(value, crowd)| Turn { value, crowd: *crowd });
        let next = || turns.next().context("no more turns");
        let expected = Turns { values: vec![1, 5, 3], calm: 3, all: 6 };
        assert_eq!(calm_turns(3, next).unwrap(), expected);
    }

    #[test]
    fn where_nothing_is_calm_the_calmest_turns_are_given() {
        // Each is half as crowded as the one before.
        let mut turns = (0..32).map(|at| Turn { value: at, crowd: 0.5_f64.powi(at) });
        let next = || turns.next().context("no more turns");
        let expected = Turns { values: vec![31, 30], calm: 1, all: 32 };
        assert_eq!(calm_turns(2, next).unwrap(), expected);
    }

    #[test]
    fn a_processor_that_is_not_there_is_an_error() {
        assert!(turn(&[100_000], |_| Ok(())).is_err());
        assert!(turn(&[0], |watch| watch.look()).unwrap().crowd > 0.0);
    }
}
