// SPDX-License-Identifier: MIT OR Apache-2.0
//! Forwarding at half load while one of 10,000 services is changed again and again.
//!
//! Turns with changes and turns without alternate; what changes add is the difference. The control
//! thread and the one that asks for changes take the generator's processor while they work: with two
//! processors there is no other. Packets that were under way meanwhile cannot be timed, but are
//! counted. So the delay that is seen is a lower bound: a pause of the worker at that very time is
//! not in it, and it says nothing about whether a bound is kept.

use crate::balancer::{Balancer, memif_socket};
use crate::pace::{Flight, capacity, fly};
use crate::wire::Generator;
use crate::{Bench, Found, plan};
use dpvs_api::types::{DestSpec, Forward, Protocol, ServiceRef, ServiceSpec, TransactionSpec};
use dpvs_api::{Client, method};
use dpvs_bench::measure::{Measurement, median, to_f64};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// Services besides the one with the traffic.
const SERVICES: u16 = 9999;

/// Services that are added at once.
const TRANSACTION: usize = 500;

/// Flows.
const FLOWS: u64 = 1000;

/// Seconds after which idle connections end: none does.
const UDP_TIMEOUT: u32 = 3000;

/// Between two changes.
const PAUSE: Duration = Duration::from_millis(5);

/// What is printed above the lines.
pub(crate) fn heading() -> String {
    format!(
        "changes of one of 10,000 services at half load, time away in us: medians over the turns\n\
         {:8} {:>9} {:>9} {:>9} {:>9} {:>10} {:>8} {:>8}",
        "", "p50", "p99", "p99.9", "longest", "timed", "lost", "changes"
    )
}

/// Measures it.
pub(crate) fn run(bench: &Bench, generator: &Generator) -> anyhow::Result<Found> {
    let directory = tempfile::tempdir()?;
    let config = plan::config(Protocol::Udp, Forward::FullNat)?;
    let mut balancer =
        Balancer::start(&bench.dpvs, directory.path(), bench.cpus(), 100_000, config, UDP_TIMEOUT)?;
    let mut wire = generator.connect(&memif_socket(directory.path()))?;
    let rate = capacity(&mut wire, FLOWS, Duration::from_secs(1)) / 2.0;
    configure_others(&mut balancer.another_client()?)?;
    let first = balancer.sample()?;
    let (mut quiet, mut changing) = (Turns::default(), Turns::default());
    let is_over = AtomicBool::new(false);
    for _ in 0..bench.repetitions {
        quiet.add(fly(&mut wire, FLOWS, rate, bench.interval()));
        let client = balancer.another_client()?;
        is_over.store(false, Ordering::Relaxed);
        let before = balancer.sample()?;
        let changes = thread::scope(|scope| {
            let changer = scope.spawn(|| change(client, &is_over));
            changing.add(fly(&mut wire, FLOWS, rate, bench.interval()));
            is_over.store(true, Ordering::Relaxed);
            changer.join()
        });
        changing.returned_late += balancer.sample()?.since(&before).ring_full();
        let (count, longest) =
            changes.map_err(|_| anyhow::anyhow!("the thread that changes ended"))??;
        changing.changes += count;
        changing.longest_call = changing.longest_call.max(longest);
    }
    let past = balancer.sample()?.since(&first);
    quiet.print("without")?;
    changing.print("with")?;
    // A turn with changes has its longest delay by accident, too: what other programs took.
    let pairs = changing.longest.iter().zip(&quiet.longest);
    let added = pairs.map(|(with, without)| (with - without).max(0.0)).collect();
    let added = Measurement::median("generate-change-delay-seen", "us", added);
    let lost = to_f64(changing.lost.saturating_sub(changing.returned_late));
    writeln!(
        std::io::stdout(),
        "{rate:.0} packets/s; {:.1} us more seen (a lower bound); {lost} lost but for the generator's full ring; the longest call took {:.1} ms; drops: {}",
        added.value,
        changing.longest_call.as_secs_f64() * 1e3,
        past.dropped(),
    )?;
    balancer.end()?;
    Ok(vec![added, Measurement::of("generate-change-lost", "packets", lost)])
}

/// Adds the services without traffic.
fn configure_others(client: &mut Client) -> anyhow::Result<()> {
    let numbers: Vec<u16> = (0..SERVICES).collect();
    for part in numbers.chunks(TRANSACTION) {
        let calls = part.iter().flat_map(|n| plan::adding(*n));
        let writes = calls.map(|call| call.to_write()).collect::<Result<_, _>>()?;
        let params = TransactionSpec { writes, ..TransactionSpec::default() };
        client.call::<method::Transaction>(&params)?;
    }
    Ok(())
}

/// What the turns of a kind found, in microseconds.
#[derive(Debug, Default)]
struct Turns {
    p50: Vec<f64>,
    p99: Vec<f64>,
    p999: Vec<f64>,
    longest: Vec<f64>,
    timed: usize,
    lost: u64,
    changes: u32,
    /// Found the ring back full, because this program had lost its processor.
    returned_late: u64,
    longest_call: Duration,
}

impl Turns {
    fn add(&mut self, mut flight: Flight) {
        self.p50.push(flight.quantile(500) / 1e3);
        self.p99.push(flight.quantile(990) / 1e3);
        self.p999.push(flight.quantile(999) / 1e3);
        self.longest.push(flight.quantile(1000) / 1e3);
        self.timed += flight.timed();
        self.lost += flight.lost();
    }

    fn print(&self, name: &str) -> anyhow::Result<()> {
        writeln!(
            std::io::stdout(),
            "{name:8} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>10} {:>8} {:>8}",
            median(&self.p50),
            median(&self.p99),
            median(&self.p999),
            median(&self.longest),
            self.timed,
            self.lost,
            self.changes,
        )?;
        Ok(())
    }
}

/// Changes a weight, removes a service and adds it again until told to stop; says how many changes
/// that were, and how long the longest took.
fn change(mut client: Client, is_over: &AtomicBool) -> anyhow::Result<(u32, Duration)> {
    let (mut count, mut longest) = (0, Duration::ZERO);
    let (weighed, removed) = (plan::other(1), plan::other(2));
    while !is_over.load(Ordering::Relaxed) {
        let began = Instant::now();
        match count % 3 {
            0 => {
                let weight = 1 + count % 100;
                client.call::<method::DestSet>(&DestSpec {
                    weight: Some(weight),
                    ..plan::dest_of(weighed.clone())
                })?;
            }
            1 => {
                let service = removed.clone();
                client.call::<method::ServiceDel>(&ServiceRef { service })?;
            }
            _ => {
                client.call::<method::ServiceAdd>(&ServiceSpec::new(removed.clone()))?;
            }
        }
        longest = longest.max(began.elapsed());
        count += 1;
        sleep(PAUSE);
    }
    if count % 3 == 2 {
        client.call::<method::ServiceAdd>(&ServiceSpec::new(removed))?;
    }
    Ok((count, longest))
}
