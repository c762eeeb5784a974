// SPDX-License-Identifier: MIT OR Apache-2.0
//! The state that the control thread owns: the tables, and a line to every worker and port.
//!
//! Nothing in here is for a packet thread. Waiting for workers blocks the control thread, but for a
//! bounded time: see `Line`.

mod echo;
mod line;
mod link;
mod rates;
mod stage;

pub(crate) use line::Silent;
pub use link::{LinkChange, LinkControl};
pub(crate) use rates::ObjectId;
pub(crate) use stage::{Paused, Stage};

use crate::clock::millis_since;
use dpvs_api::{ErrorCode, RpcError};
use dpvs_core::counters::WorkerCounters;
use dpvs_core::tables::{Draft, Limits, Tables, Timeouts};
use dpvs_core::{Command, Event, Millis};
use echo::EchoDamper;
use line::Line;
use link::PortLink;
use rates::Estimator;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

/// How long workers have to answer. They need about a millisecond.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a flush may take for each place of a worker's table, beyond [`ANSWER_TIMEOUT`]: an
/// idle worker looks at 256 places and then sleeps for a millisecond.
const FLUSH_NANOS_PER_PLACE: u64 = 10_000;

/// The control thread's end of a worker.
#[derive(Debug)]
pub struct WorkerHandle {
    /// Orders to it.
    pub commands: rtrb::Producer<Command>,
    /// Answers from it.
    pub events: rtrb::Consumer<Event>,
    /// What it counts.
    pub counters: Arc<WorkerCounters>,
    /// The processor that it is pinned to.
    pub cpu: u32,
    /// Connections that its table can hold.
    pub capacity: usize,
    /// Share of time in which it was busy, in thousandths, over the last second.
    pub busy_permille: Arc<AtomicU32>,
}

/// A DPDK port with what the API tells about it.
#[derive(Debug)]
pub struct LinkHandle {
    /// The port.
    pub port: dpdk::Port,
    /// What it is, as configured: `af_packet:eth1`.
    pub spec: String,
    /// The pool of its frames.
    pub pool: dpdk::Pool,
    /// How frames find their worker: `single`, `rss` or `handoff`.
    pub steering: &'static str,
    /// The kernel interface that takes what is not for the dataplane.
    pub kernel: Option<String>,
}

/// Where to listen, and for whom.
#[derive(Clone, Debug)]
pub struct ControlOptions {
    /// The socket's path.
    pub socket: PathBuf,
    /// The path of the socket for stock tools.
    pub ipvs_socket: PathBuf,
    /// The group whose members may write.
    pub admin_group: Option<String>,
    /// The group whose members may read.
    pub reader_group: Option<String>,
}

/// The control plane's state.
pub struct Control {
    tables: Arc<Tables>,
    lines: Vec<Line>,
    links: Vec<Box<dyn LinkControl>>,
    origin: Instant,
    rates: Estimator,
    echoes: EchoDamper,
    has_warned_of_rss: bool,
    is_ending: bool,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("generation", &self.tables.generation())
            .field("workers", &self.lines.len())
            .field("links", &self.links.len())
            .finish_non_exhaustive()
    }
}

impl Control {
    /// Starts from `tables`, which all workers have; `links` stand in the order of the tables'
    /// ports; `origin` is the moment that the workers' clock counts from.
    pub fn new(
        tables: Arc<Tables>,
        workers: Vec<WorkerHandle>,
        links: Vec<LinkHandle>,
        origin: Instant,
    ) -> Self {
        let boxed = |link| -> Box<dyn LinkControl> { Box::new(PortLink::new(link)) };
        Control::with_links(tables, workers, links.into_iter().map(boxed).collect(), origin)
    }

    /// As [`Control::new`], with ports of any kind.
    pub fn with_links(
        tables: Arc<Tables>,
        workers: Vec<WorkerHandle>,
        links: Vec<Box<dyn LinkControl>>,
        origin: Instant,
    ) -> Self {
        Control {
            tables,
            lines: workers.into_iter().map(Line::new).collect(),
            links,
            origin,
            rates: Estimator::default(),
            echoes: EchoDamper::default(),
            has_warned_of_rss: false,
            is_ending: false,
        }
    }

    /// Returns the tables in use.
    pub fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    /// Returns the workers.
    pub(crate) fn workers(&self) -> impl ExactSizeIterator<Item = &WorkerHandle> {
        self.lines.iter().map(|line| &line.worker)
    }

    /// Returns the ports, in the order of their numbers.
    pub(crate) fn links(&self) -> &[Box<dyn LinkControl>] {
        &self.links
    }

    fn link_mut(&mut self, index: usize) -> Option<&mut (dyn LinkControl + 'static)> {
        self.links.get_mut(index).map(Box::as_mut)
    }

    /// Returns what is known of the traffic's rates.
    pub(crate) fn rates(&self) -> &Estimator {
        &self.rates
    }

    /// Returns what is known of the traffic's rates, to forget some.
    pub(crate) fn rates_mut(&mut self) -> &mut Estimator {
        &mut self.rates
    }

    /// Returns the workers' time.
    pub(crate) fn now(&self) -> Millis {
        millis_since(self.origin)
    }

    /// Returns how long the daemon has been running.
    pub(crate) fn uptime(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Says that the daemon is to end.
    pub(crate) fn end(&mut self) {
        self.is_ending = true;
    }

    /// Returns whether the daemon is to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending
    }

    /// Starts a change of the tables.
    pub(crate) fn stage(&mut self) -> Stage<'_> {
        Stage::new(self)
    }

    /// Goes on with a change of the tables; `None` if there has been another meanwhile.
    pub(crate) fn resume(&mut self, paused: Paused) -> Option<Stage<'_>> {
        Stage::resume(self, paused)
    }

    /// Makes a draft the tables in use, and waits until every worker has them.
    ///
    /// # Errors
    /// `Internal` if a worker does not answer; the change stands all the same, and the worker gets
    /// it as soon as it can.
    fn publish(&mut self, mut draft: Draft) -> Result<(), RpcError> {
        let now = self.now();
        self.echoes.hold(&self.tables, &mut draft, now);
        let tables = Arc::new(draft.publish());
        self.echoes.note(&self.tables, &tables, now);
        self.tables = Arc::clone(&tables);
        for line in &mut self.lines {
            line.install(&tables);
        }
        // The old tables come back from the workers and are freed here.
        self.collect(ANSWER_TIMEOUT).map(drop)
    }

    /// Gives a command to every worker and returns their answers.
    ///
    /// # Errors
    /// `Internal` if a worker does not answer.
    pub(crate) fn ask_all(
        &mut self,
        command: impl Fn() -> Command,
    ) -> Result<Vec<Event>, RpcError> {
        for line in &mut self.lines {
            line.send(command());
        }
        self.collect(ANSWER_TIMEOUT)
    }

    /// Gives a command to one worker and returns its answer.
    ///
    /// # Errors
    /// `Invalid` if there is no such worker, `Internal` if it does not answer.
    pub(crate) fn ask(&mut self, worker: usize, command: Command) -> Result<Event, RpcError> {
        let line = self.lines.get_mut(worker).ok_or_else(|| {
            RpcError::new(ErrorCode::Invalid, format!("there is no worker {worker}"))
        })?;
        line.send(command);
        line.receive(Instant::now() + ANSWER_TIMEOUT).map_err(|Silent| silent(&[worker]))
    }

    /// Ends all connections of all workers.
    ///
    /// # Errors
    /// `Internal` if a worker does not answer.
    pub(crate) fn flush_connections(&mut self) -> Result<(), RpcError> {
        let places = self.workers().map(|worker| worker.capacity).max().unwrap_or(0);
        let places = u64::try_from(places).unwrap_or(u64::MAX);
        let extra = Duration::from_nanos(places.saturating_mul(FLUSH_NANOS_PER_PLACE));
        for line in &mut self.lines {
            line.send(Command::Flush);
        }
        self.collect(ANSWER_TIMEOUT + extra).map(drop)
    }

    fn collect(&mut self, timeout: Duration) -> Result<Vec<Event>, RpcError> {
        let deadline = Instant::now() + timeout;
        let mut events = Vec::with_capacity(self.lines.len());
        let mut missing = Vec::new();
        for (at, line) in self.lines.iter_mut().enumerate() {
            match line.receive(deadline) {
                Ok(event) => events.push(event),
                Err(Silent) => missing.push(at),
            }
        }
        if missing.is_empty() { Ok(events) } else { Err(silent(&missing)) }
    }

    /// Does what time asks for; to be called about once a second.
    pub(crate) fn tick(&mut self) {
        let tables = Arc::clone(&self.tables);
        for line in &mut self.lines {
            line.catch_up(&tables);
        }
        for (link, port) in self.links.iter_mut().zip(tables.ports()) {
            if let Some(news) = link.watch() {
                tracing::warn!("port {}: {news}", port.name);
            }
        }
        let mismatched = |worker: &WorkerHandle| worker.counters.rss_mismatched.get() > 0;
        if !self.has_warned_of_rss && self.workers().any(mismatched) {
            self.has_warned_of_rss = true;
            tracing::warn!(
                "a port hashes flows in another way than it was told to: packets reach their \
                 workers by hand-over (counter rss_mismatched)"
            );
        }
        let now = self.now();
        let is_over = |until: Option<Millis>| until.is_some_and(|until| until <= now);
        if self.tables.addresses().iter().any(|address| is_over(address.valid_until)) {
            let mut draft = Draft::new(&self.tables);
            draft.expire_addresses(now);
            match self.publish(draft) {
                Ok(()) => tracing::info!("addresses whose lifetime is over are gone"),
                Err(error) => tracing::error!("expiring addresses: {error}"),
            }
        }
        if self.echoes.is_due(&self.tables, now)
            && let Err(error) = self.publish(Draft::new(&self.tables))
        {
            tracing::error!("changing what pings are answered with: {error}");
        }
        self.rates.start(&tables, now);
    }

    /// Does a piece of the work that is not urgent; returns whether there is more.
    pub(crate) fn work(&mut self) -> bool {
        let now = self.now();
        self.rates.work(now)
    }

    /// Changes limits and timeouts, as a reload does.
    ///
    /// # Errors
    /// As for any write.
    pub(crate) fn reload(
        &mut self,
        limits: Option<Limits>,
        timeouts: Option<Timeouts>,
    ) -> Result<(), RpcError> {
        let mut draft = Draft::new(&self.tables);
        let tables = draft.tables_mut();
        if let Some(limits) = limits {
            tables.limits = limits;
        }
        if let Some(timeouts) = timeouts {
            tables.timeouts = timeouts;
        }
        self.publish(draft)
    }

    /// Tells every worker to stop; it does so at its next look.
    pub fn stop_workers(&mut self) {
        for line in &mut self.lines {
            line.stop();
        }
    }
}

fn silent(workers: &[usize]) -> RpcError {
    let list: Vec<String> = workers.iter().map(ToString::to_string).collect();
    RpcError::new(
        ErrorCode::Internal,
        format!(
            "no answer from worker {}; a change stands and reaches it when it comes back",
            list.join(", ")
        ),
    )
}
