// SPDX-License-Identifier: MIT OR Apache-2.0
//! Puts ports, rings and workers together, and takes them apart at the end.

use crate::config::{Config, HugepagesWord, PortSection};
use crate::control::{Control, LinkHandle, WorkerHandle};
use crate::handoff::{self, Rings};
use crate::kernel::{self, KernelInterface};
use crate::lane::{HASHES_TO_CHECK, Inlet, Inlets, Ways, sender_for};
use crate::outlet::{Outlet, Outlets, OwnQueue};
use crate::ports::{self, OpenPort};
use crate::sizes::{self, Sizes};
use crate::worker_loop::{self, Start};
use anyhow::Context as _;
use dpdk::{Eal, Hugepages, Pool, RxQueue, TxQueue, VdevOptions};
use dpvs_core::counters::WorkerCounters;
use dpvs_core::net::Mac;
use dpvs_core::steering::Steering;
use dpvs_core::tables::{self, Draft, Tables};
use dpvs_core::{PortId, WorkerId};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Orders and answers that may be on their way between the control thread and a worker.
const CONTROL_RING_LEN: usize = 64;

/// How long workers may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What runs, beside what the control thread has.
#[derive(Debug)]
pub(crate) struct Dataplane {
    threads: Vec<JoinHandle<()>>,
    /// Keeps the kernel interfaces.
    kernel: Vec<dpdk::Port>,
    /// Goes last: DPDK ends with it.
    eal: Eal,
}

/// All ports, open, with the queues that workers take from them.
struct Devices {
    pool: Pool,
    links: Vec<LinkHandle>,
    ports: Vec<tables::Port>,
    rx: Vec<Vec<Option<RxQueue>>>,
    tx: Vec<Vec<Option<TxQueue>>>,
    /// By port.
    kernel: Vec<Option<(RxQueue, TxQueue)>>,
    kernel_ports: Vec<dpdk::Port>,
}

/// Starts DPDK, opens the ports and starts the workers. `eal_arguments` go to DPDK as they are.
///
/// # Errors
/// Whatever is missing, in one sentence.
pub(crate) fn start(
    config: &Config,
    eal_arguments: Option<&str>,
) -> anyhow::Result<(Dataplane, Control)> {
    let workers = config.dataplane.workers;
    let sizes = Sizes::compute(config, sizes::available_memory());
    let steering = Steering::new(workers, &config.dataplane.rss_key);
    let cpus = cpus(config)?;
    let eal = start_dpdk(config, &sizes, eal_arguments)?;
    let mut devices = open_devices(&eal, config, &sizes, &steering)?;
    let mut tables = Tables::new(std::mem::take(&mut devices.ports), steering, config.limits());
    tables.timeouts = config.timeouts();
    let mut draft = Draft::new(&tables);
    config.set_echoes(&mut draft)?;
    let tables = Arc::new(draft.publish());
    let origin = Instant::now();

    let mut handles = Vec::with_capacity(workers);
    let mut threads = Vec::with_capacity(workers);
    let (ready, is_ready) = mpsc::channel();
    let ids = (0..=u8::MAX).map(WorkerId);
    for ((id, rings), cpu) in ids.zip(handoff::mesh(workers)).zip(cpus.iter().copied().cycle()) {
        let (handle, start) =
            worker(config, &sizes, (id, cpu), rings, &mut devices, &tables, origin);
        handles.push(handle);
        threads.push(worker_loop::spawn(&eal, start, ready.clone())?);
    }
    drop(ready);
    let mut dataplane = Dataplane { threads, kernel: devices.kernel_ports, eal };
    let control = Control::new(tables, handles, devices.links, origin);
    // Ends when every worker has spoken, or is gone.
    if let Some(error) = is_ready.iter().find_map(Result::err) {
        dataplane.stop(control)?;
        return Err(error);
    }
    Ok((dataplane, control))
}

impl Dataplane {
    /// Ends the workers, closes the ports and ends DPDK.
    ///
    /// # Errors
    /// If a worker does not end.
    pub(crate) fn stop(&mut self, mut control: Control) -> anyhow::Result<()> {
        let deadline = Instant::now() + STOP_TIMEOUT;
        control.stop_workers();
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            if Instant::now() > deadline {
                anyhow::bail!("a worker did not stop within {} s", STOP_TIMEOUT.as_secs());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                anyhow::bail!("a worker ended by a panic");
            }
        }
        self.kernel.clear();
        // The ports close with it.
        drop(control);
        tracing::debug!("workers have ended, ports are closed: {:?}", self.eal);
        Ok(())
    }
}

fn start_dpdk(config: &Config, sizes: &Sizes, arguments: Option<&str>) -> anyhow::Result<Eal> {
    let queues = u16::try_from(config.dataplane.workers).unwrap_or(1);
    let options = VdevOptions { queues, frame_len_max: sizes.frame_len_max };
    let mut builder =
        Eal::builder().memory_mb(sizes.memory_mb).hugepages(match config.dataplane.hugepages {
            HugepagesWord::Auto => Hugepages::Auto,
            HugepagesWord::Always => Hugepages::Always,
            HugepagesWord::Never => Hugepages::Never,
        });
    for port in &config.ports {
        builder = builder.port(port.device.clone(), options);
    }
    let arguments = arguments.unwrap_or_default().split_whitespace();
    Ok(builder.extra_args(arguments).init()?)
}

fn open_devices(
    eal: &Eal,
    config: &Config,
    sizes: &Sizes,
    steering: &Steering,
) -> anyhow::Result<Devices> {
    let pool = Pool::new(eal, "frames", sizes.buffers, sizes::CACHE, sizes.data_room())
        .context("cannot make the packet buffers")?;
    let mut devices = Devices {
        pool,
        links: Vec::new(),
        ports: Vec::new(),
        rx: Vec::new(),
        tx: Vec::new(),
        kernel: Vec::new(),
        kernel_ports: Vec::new(),
    };
    let ids = (0..=u16::MAX).map(PortId);
    for ((section, device), id) in config.ports.iter().zip(eal.ports()).zip(ids) {
        let open = ports::open(eal, device, section, steering, &devices.pool)?;
        let (mac, mtu) = (open.port.mac(), open.port.mtu());
        let kernel = if section.kernel {
            Some(kernel::open(eal, &section.name, mac, mtu, &devices.pool)?)
        } else {
            None
        };
        devices.add(id, section, open, kernel);
    }
    Ok(devices)
}

impl Devices {
    fn add(
        &mut self,
        id: PortId,
        section: &PortSection,
        open: OpenPort,
        kernel: Option<KernelInterface>,
    ) {
        let OpenPort { port, rx, tx, steering } = open;
        tracing::info!(
            "port {} is {} ({}), {} receive and {} transmit queues, steering {steering}",
            section.name,
            section.device,
            port.mac(),
            rx.len(),
            tx.len(),
        );
        self.ports.push(tables::Port {
            id,
            name: section.name.clone(),
            mac: Mac(port.mac().0),
            mtu: u32::from(port.mtu()),
            has_kernel: kernel.is_some(),
        });
        self.links.push(LinkHandle {
            port,
            spec: section.device.to_string(),
            pool: self.pool.clone(),
            steering,
            kernel: kernel.is_some().then(|| kernel::interface_name(&section.name)),
        });
        self.rx.push(rx.into_iter().map(Some).collect());
        self.tx.push(tx.into_iter().map(Some).collect());
        self.kernel.push(kernel.map(|kernel| {
            self.kernel_ports.push(kernel.port);
            (kernel.rx, kernel.tx)
        }));
    }

    /// The ways in and out of a worker. Each queue is given once.
    fn take(&mut self, worker: WorkerId) -> (Inlets, Outlets) {
        let at = worker.index();
        let ids = (0..=u16::MAX).map(PortId);
        let ports = self.rx.iter_mut().zip(ids.clone()).zip(&self.links);
        let inlets = ports.filter_map(|((queues, port), link)| {
            let queue = queues.get_mut(at).and_then(Option::take)?;
            let hashes_to_check = if link.steering == "rss" { HASHES_TO_CHECK } else { 0 };
            Some(Inlet { port, queue, hashes_to_check })
        });
        let inlets = inlets.collect();
        let outlets = self.tx.iter_mut().map(|queues| {
            let via = Outlet::Via(sender_for(at, queues.len()));
            let queue = queues.get_mut(at).and_then(Option::take);
            queue.map_or(via, |queue| Outlet::Own(OwnQueue::new(queue)))
        });
        let outlets = outlets.collect();
        let mut inlets = Inlets { ports: inlets, kernel: Vec::new() };
        let mut outlets = Outlets { ports: outlets, kernel: Vec::new() };
        for ((slot, port), has_kernel) in
            self.kernel.iter_mut().zip(ids).zip(self.links.iter().map(|link| link.kernel.is_some()))
        {
            // The first worker comes first, and takes them all.
            outlets.kernel.push(match slot.take() {
                Some((rx, tx)) => {
                    inlets.kernel.push(Inlet { port, queue: rx, hashes_to_check: 0 });
                    Outlet::Own(OwnQueue::new(tx))
                }
                None if has_kernel => Outlet::Via(WorkerId(0)),
                None => Outlet::None,
            });
        }
        (inlets, outlets)
    }
}

fn worker(
    config: &Config,
    sizes: &Sizes,
    (id, cpu): (WorkerId, u32),
    rings: Rings,
    devices: &mut Devices,
    tables: &Arc<Tables>,
    origin: Instant,
) -> (WorkerHandle, Start) {
    let (command_out, commands) = rtrb::RingBuffer::new(CONTROL_RING_LEN);
    let (events, event_in) = rtrb::RingBuffer::new(CONTROL_RING_LEN);
    let counters = Arc::new(WorkerCounters::default());
    let busy_permille = Arc::new(AtomicU32::new(0));
    let (inlets, outlets) = devices.take(id);
    let start = Start {
        id,
        cpu,
        capacity: sizes.connections,
        tables: Arc::clone(tables),
        commands,
        events,
        counters: Arc::clone(&counters),
        busy_permille: Arc::clone(&busy_permille),
        inlets,
        ways: Ways::new(outlets, rings, Arc::clone(&counters)),
        pool: devices.pool.clone(),
        origin,
        idle_sleep_us: config.dataplane.idle_sleep_us,
    };
    let handle = WorkerHandle {
        commands: command_out,
        events: event_in,
        counters,
        cpu,
        capacity: sizes.connections,
        busy_permille,
    };
    (handle, start)
}

/// The processors for the workers: those configured, or those that the process may use.
fn cpus(config: &Config) -> anyhow::Result<Vec<u32>> {
    let allowed = allowed_cpus().context("cannot tell which processors may be used")?;
    let wanted = &config.dataplane.cpus;
    if let Some(cpu) = wanted.iter().find(|cpu| !allowed.contains(cpu)) {
        anyhow::bail!("processor {cpu} in dataplane.cpus is not one that this process may use");
    }
    let cpus = if wanted.is_empty() { allowed } else { wanted.clone() };
    if cpus.len() < config.dataplane.workers {
        let (workers, count) = (config.dataplane.workers, cpus.len());
        tracing::warn!("{workers} workers share {count} processors: expect less of each");
    }
    Ok(cpus)
}

fn allowed_cpus() -> anyhow::Result<Vec<u32>> {
    let set = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0))?;
    let cpus = (0..nix::sched::CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false));
    Ok(cpus.filter_map(|cpu| u32::try_from(cpu).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_run_where_the_process_may() {
        let mut config = Config::default();
        let allowed = cpus(&config).unwrap();
        assert!(!allowed.is_empty());
        config.dataplane.cpus = vec![*allowed.last().unwrap()];
        assert_eq!(cpus(&config).unwrap(), config.dataplane.cpus);
        config.dataplane.cpus = vec![1023];
        assert!(cpus(&config).unwrap_err().to_string().contains("processor 1023"));
    }
}
