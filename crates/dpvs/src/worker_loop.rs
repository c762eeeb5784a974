// SPDX-License-Identifier: MIT OR Apache-2.0
//! A worker's thread: polls while frames come, sleeps while none do, ends when told to.

use crate::clock::Clock;
use crate::idle::{BusyMeter, Idle};
use crate::lane::{Inlets, Lane, Ways};
use anyhow::Context as _;
use dpdk::{Eal, Pool};
use dpvs_core::counters::WorkerCounters;
use dpvs_core::tables::Tables;
use dpvs_core::{Command, Event, Worker, WorkerId};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Instant;

/// What a worker's thread is started with.
#[derive(Debug)]
pub(crate) struct Start {
    /// Its number.
    pub(crate) id: WorkerId,
    /// The processor to run on.
    pub(crate) cpu: u32,
    /// Connections that its table holds.
    pub(crate) capacity: usize,
    /// What is configured.
    pub(crate) tables: Arc<Tables>,
    /// Orders.
    pub(crate) commands: rtrb::Consumer<Command>,
    /// Answers.
    pub(crate) events: rtrb::Producer<Event>,
    /// What it counts.
    pub(crate) counters: Arc<WorkerCounters>,
    /// Its share of busy time, in thousandths.
    pub(crate) busy_permille: Arc<AtomicU32>,
    /// Where frames come in.
    pub(crate) inlets: Inlets,
    /// Where they leave.
    pub(crate) ways: Ways,
    /// Buffers for frames made here.
    pub(crate) pool: Pool,
    /// When the clock of all workers stood at 0.
    pub(crate) origin: Instant,
    /// The longest sleep in microseconds.
    pub(crate) idle_sleep_us: u32,
}

/// Starts a worker's thread. `ready` hears whether it runs.
///
/// # Errors
/// If the system has no more threads.
pub(crate) fn spawn(
    eal: &Eal,
    start: Start,
    ready: mpsc::Sender<anyhow::Result<()>>,
) -> anyhow::Result<JoinHandle<()>> {
    let eal = eal.clone();
    let id = start.id.0;
    std::thread::Builder::new()
        .name(format!("dpvs-worker{id}"))
        .spawn(move || run(&eal, start, ready))
        .with_context(|| format!("cannot start the thread of worker {id}"))
}

fn run(eal: &Eal, start: Start, ready: mpsc::Sender<anyhow::Result<()>>) {
    let id = start.id.0;
    let cpu = usize::try_from(start.cpu).unwrap_or(usize::MAX);
    let pinned = dpdk::pin_current_thread(cpu)
        .with_context(|| format!("cannot run worker {id} on processor {cpu}"));
    let registered = pinned.and_then(|()| {
        eal.register_thread().with_context(|| format!("cannot make worker {id} known to DPDK"))
    });
    // Nobody listens any more only if another worker failed; then this one is told to stop.
    let guard = match registered {
        Ok(guard) => guard,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    // Made here, so that its memory is near the processor that uses it.
    let worker = Worker::new(
        start.id,
        start.tables,
        start.capacity,
        start.counters,
        start.commands,
        start.events,
    );
    let mut lane = Lane::new(worker, start.inlets, start.ways, start.pool);
    let mut idle = Idle::new(start.idle_sleep_us);
    let hz = dpdk::tsc_hz();
    let mut meter = BusyMeter::new(start.busy_permille, hz, dpdk::tsc());
    let mut clock = Clock::new(start.origin, hz, dpdk::tsc());
    let _ = ready.send(Ok(()));
    // Who waits for all workers waits until every sender is gone.
    drop(ready);

    let mut was_busy = false;
    loop {
        let cycles = dpdk::tsc();
        meter.note(cycles, was_busy);
        let now = clock.at(cycles);
        was_busy = lane.round(now);
        let (goes_on, has_work) = lane.poll_control(now);
        if !goes_on {
            break;
        }
        if let Some(pause) = idle.pause(was_busy || has_work) {
            std::thread::sleep(pause);
        }
    }
    // What still lies in the rings goes out with the last of the rings' ends.
    drop(lane);
    drop(guard);
}
