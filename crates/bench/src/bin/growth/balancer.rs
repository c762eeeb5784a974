// SPDX-License-Identifier: MIT OR Apache-2.0
//! A worker with services, and what its packets cost.
//!
//! Times are the thread's own, so that other programs on the processor do not count; what they do to
//! its caches does.

use crate::frames::{Fill, Frames, Kind, Order};
use anyhow::{Context as _, ensure};
use dpvs_bench::crowd::Crowd;
use dpvs_bench::measure::{Measurement, to_f64};
use dpvs_core::key::{Address, Endpoint};
use dpvs_core::neighbour::NeighbourUpdate;
use dpvs_core::net::{Family, Mac, Prefix, Protocol};
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{
    DestSettings, Draft, Forward, ServiceKey, ServiceSettings, StaticNeighbour,
};
use dpvs_core::testing::{HeapFrame, Lab, local_address, match_key, service_key};
use dpvs_core::{BURST, Command, Event, PortId, Verdict, Worker};
use nix::time::{ClockId, clock_gettime};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// How often everything is measured.
pub(crate) const REPETITIONS: usize = 5;
/// Virtual addresses: one for each service, as [`Frames`] has them.
const SERVICES_FROM: u32 = 0xac10_0000;
/// Local addresses.
const LADDRS_FROM: u32 = 0x0a03_0001;
/// Servers: 10.2.0.0/16.
const SERVERS_FROM: u32 = 0x0a02_0101;
/// Neighbours and networks that are none of those.
const OTHERS_FROM: u32 = 0x0b00_0000;
/// Of services with one server each, so many have others.
const SERVERS: u32 = 200;
/// Timeout of connections that are to stay, in milliseconds: a day.
const STAY_MS: u32 = 86_400_000;
/// Timeout of those that come and go.
pub(crate) const SHORT_MS: u32 = 2000;

/// What a service is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) protocol: Protocol,
    pub(crate) settings: ServiceSettings,
    pub(crate) dest: DestSettings,
    pub(crate) servers: u32,
    pub(crate) laddrs: u32,
}

impl Plan {
    /// UDP with round robin over 16 servers, whose connections stay.
    pub(crate) fn new(forward: Forward) -> Self {
        let mut settings = ServiceSettings::new(Scheduler::Rr);
        settings.conn_timeout_ms = STAY_MS;
        let dest = DestSettings::new(forward);
        Plan { protocol: Protocol::Udp, settings, dest, servers: 16, laddrs: 0 }
    }

    /// The same by full NAT, with local addresses for `connections` and half as many again. The servers'
    /// and their numbers have no common divisor: both take turns, and would meet in few pairs.
    pub(crate) fn full_nat(connections: u32) -> Self {
        let wanted = connections / (16 * 43_000) + 1;
        Plan { laddrs: wanted | 1, ..Plan::new(Forward::FullNat) }
    }
}

/// What packets cost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cost {
    /// Nanoseconds for each packet, of each repetition; without those of making the frame.
    pub(crate) ns: Vec<f64>,
    /// Nanoseconds of making the frame.
    pub(crate) frame_ns: Vec<f64>,
}

impl Cost {
    /// Returns the figure.
    pub(crate) fn measurement(&self, goal: &str) -> Measurement {
        Measurement::median(goal, "ns/packet", self.ns.clone())
    }
}

/// A worker and its frames.
#[derive(Debug)]
pub(crate) struct Balancer {
    pub(crate) lab: Lab,
    burst: Vec<HeapFrame>,
    verdicts: [Verdict; BURST],
    /// Servers whose link addresses are known.
    known: u32,
    /// Packets that were to be sent and were not.
    pub(crate) lost: usize,
}

impl Balancer {
    /// One without services and with room for `capacity` connections.
    pub(crate) fn new(capacity: usize) -> Self {
        let mut lab = Lab::with_addresses(1, capacity);
        lab.change(|draft| {
            let limits = &mut draft.tables_mut().limits;
            limits.icmp.echo_per_s = 0;
            // The other end of the network is the same gateway for all.
            let added = draft.add_address(local_address("10.2.0.1", 16));
            debug_assert!(added.is_ok(), "it is no other's");
        });
        let burst = vec![HeapFrame::new(&[0; 2048]); BURST];
        let verdicts = [Verdict::Consumed; BURST];
        Balancer { lab, burst, verdicts, known: 0, lost: 0 }
    }

    /// Lets the worker learn the servers' link addresses: they are good for half a minute.
    fn know(&mut self) -> anyhow::Result<()> {
        let now = self.lab.now;
        let worker = worker(&mut self.lab)?;
        for address in (0..self.known).map(server) {
            let mac = Mac([2, 0, 0, 0, 0, 3]);
            worker.learn(now, NeighbourUpdate { port: PortId(0), address, mac });
        }
        Ok(())
    }

    /// Adds services, one for each virtual address.
    pub(crate) fn serve(&mut self, plan: &Plan, services: u32) -> anyhow::Result<()> {
        self.serve_from(plan, 0, services)
    }

    /// Adds services from a virtual address on.
    pub(crate) fn serve_from(&mut self, plan: &Plan, from: u32, to: u32) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        self.lab.change(|draft| {
            outcome = (from..to).try_for_each(|number| add_service(draft, plan, number));
        });
        self.known = self.known.max(plan.servers + (to - from).min(SERVERS));
        outcome?;
        self.know()
    }

    /// Limits the answers to echo requests, which are not limited otherwise.
    pub(crate) fn limit_echo(&mut self, per_s: u32) {
        self.lab.change(|draft| draft.tables_mut().limits.icmp.echo_per_s = per_s);
    }

    /// Makes the first virtual address one of ours, which answers pings.
    pub(crate) fn own_first_virtual(&mut self) -> anyhow::Result<()> {
        let address = local_address(&Ipv4Addr::from(SERVICES_FROM).to_string(), 32);
        let mut outcome = Ok(());
        self.lab.change(|draft| outcome = draft.add_address(address));
        Ok(outcome?)
    }

    /// Sets so many link addresses by hand, of neighbours that nothing is sent to.
    pub(crate) fn add_neighbours(&mut self, count: u32) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        self.lab.change(|draft| {
            outcome = (0..count).try_for_each(|n| {
                let (port, mac) = (PortId(0), Mac([2, 0, 0, 0, 0, 4]));
                draft.add_neighbour(StaticNeighbour { port, address: v4(OTHERS_FROM + n), mac })
            });
        });
        Ok(outcome?)
    }

    /// Adds so many routes to networks that nothing is sent to.
    pub(crate) fn add_routes(&mut self, count: u32) -> anyhow::Result<()> {
        let Some(pattern) = self.lab.tables.routes().iter().find(|route| route.via.is_some())
        else {
            anyhow::bail!("there is a route to the clients");
        };
        let mut route = *pattern;
        let mut outcome = Ok(());
        self.lab.change(|draft| {
            outcome = (0..count).try_for_each(|n| {
                let network = IpAddr::from((OTHERS_FROM + (n << 8)).to_be_bytes());
                route.prefix = Prefix::containing(network, 24).context("a network")?;
                Ok(draft.add_route(route)?)
            });
        });
        outcome
    }

    /// Lets the next packets through, and the work between the bursts be done. `pass_ms` pass with
    /// each burst.
    pub(crate) fn play(
        &mut self,
        frames: &mut impl Fill,
        packets: usize,
        pass_ms: u64,
    ) -> anyhow::Result<()> {
        for _ in 0..packets.div_ceil(BURST) {
            frames.fill(&mut self.burst);
            self.lab.now = self.lab.now + pass_ms;
            let now = self.lab.now;
            let worker = worker(&mut self.lab)?;
            worker.process(now, &mut self.burst, &mut self.verdicts);
            worker.poll_control(now);
            let lost = |(at, verdict): &(usize, &Verdict)| {
                !matches!(verdict, Verdict::Transmit(_)) && frames.has_to_pass(*at)
            };
            self.lost += self.verdicts.iter().enumerate().filter(lost).count();
        }
        Ok(())
    }

    /// Lets the worker do what it does between bursts, and the next burst; returns the worker's own
    /// time in microseconds.
    pub(crate) fn burst_us(&mut self, frames: &mut impl Fill) -> anyhow::Result<f64> {
        frames.fill(&mut self.burst);
        let now = self.lab.now;
        let worker = worker(&mut self.lab)?;
        let before = thread_time()?;
        worker.poll_control(now);
        worker.process(now, &mut self.burst, &mut self.verdicts);
        let took = thread_time()?.saturating_sub(before);
        self.lost += self.verdicts.iter().filter(|v| !matches!(v, Verdict::Transmit(_))).count();
        Ok(took.as_secs_f64() * 1e6)
    }

    /// Changes a service in the tables, which the worker takes when it looks next.
    pub(crate) fn order_change(&mut self, plan: &Plan, number: u32) -> anyhow::Result<()> {
        let key = key(plan, number);
        let current = self.lab.tables.service(&key).context("it stands")?.settings;
        let conn_timeout_ms = current.conn_timeout_ms ^ 1;
        let mut draft = Draft::new(&self.lab.tables);
        draft.set_service(&key, ServiceSettings { conn_timeout_ms, ..current })?;
        self.lab.tables = draft.publish();
        self.lab.order(0, Command::Install(Arc::new(self.lab.tables.clone())));
        Ok(())
    }

    /// Takes the old tables back.
    pub(crate) fn take_answer(&mut self) -> anyhow::Result<()> {
        let event = self.lab.answer(0);
        ensure!(matches!(event, Some(Event::Retired(_))), "the tables were not taken");
        Ok(())
    }

    /// Opens the connections of flows that have none.
    pub(crate) fn open(&mut self, frames: &mut Frames, from: u32, to: u32) -> anyhow::Result<()> {
        let count = to.saturating_sub(from);
        if count == 0 {
            return Ok(());
        }
        frames.play(from, count, Order::Opened);
        self.play(frames, usize::try_from(count)?, 0)?;
        ensure!(self.lost == 0, "{} packets were not sent: {:?}", self.lost, self.verdicts);
        Ok(())
    }

    /// Takes so many ports that so many per cent are in use, here and there.
    pub(crate) fn take_ports(
        &mut self,
        plan: &Plan,
        ports: u32,
        percent: u32,
    ) -> anyhow::Result<()> {
        let mut frames = Frames::new(Kind::Udp, 1);
        self.set_timeout(plan, SHORT_MS)?;
        self.open(&mut frames, 0, ports)?;
        // Those that send once more stay, the others end.
        self.set_timeout(plan, STAY_MS)?;
        frames.play(0, ports, Order::Scattered);
        self.play(&mut frames, usize::try_from(ports / 100 * percent)?, 0)?;
        self.set_timeout(plan, SHORT_MS)?;
        self.lab.now = self.lab.now + 2 * u64::from(SHORT_MS);
        for _ in 0..ports {
            self.lab.poll();
        }
        self.know()
    }

    /// Lets connections of the first service last so long from their next packet on.
    fn set_timeout(&mut self, plan: &Plan, conn_timeout_ms: u32) -> anyhow::Result<()> {
        let settings = ServiceSettings { conn_timeout_ms, ..plan.settings };
        let mut outcome = Ok(());
        self.lab.change(|draft| outcome = draft.set_service(&key(plan, 0), settings));
        Ok(outcome?)
    }

    /// Measures what the next packets cost, each time on a calm processor.
    pub(crate) fn cost(
        &mut self,
        crowd: &mut Crowd,
        frames: &mut impl Fill,
        packets: usize,
        pass_ms: u64,
    ) -> anyhow::Result<Cost> {
        let mut cost = Cost::default();
        let count = to_f64(u64::try_from(packets.div_ceil(BURST) * BURST)?);
        for _ in 0..REPETITIONS {
            crowd.wait()?;
            self.know()?;
            // The same frames are made again by what comes then.
            let again = frames.clone();
            let before = thread_time()?;
            for _ in 0..packets.div_ceil(BURST) {
                frames.fill(&mut self.burst);
            }
            let made = thread_time()?;
            *frames = again;
            let between = thread_time()?;
            self.play(frames, packets, pass_ms)?;
            let done = thread_time()?;
            let frame_ns = made.saturating_sub(before).as_secs_f64() * 1e9 / count;
            cost.ns.push(done.saturating_sub(between).as_secs_f64() * 1e9 / count - frame_ns);
            cost.frame_ns.push(frame_ns);
        }
        Ok(cost)
    }
}

fn worker(lab: &mut Lab) -> anyhow::Result<&mut Worker> {
    lab.workers.first_mut().context("a worker")
}

fn thread_time() -> anyhow::Result<Duration> {
    Ok(Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?))
}

fn v4(address: u32) -> Address {
    Address::v4(address.to_be_bytes())
}

fn server(number: u32) -> Address {
    v4(SERVERS_FROM + number)
}

/// The key of a service on a virtual address.
fn key(plan: &Plan, number: u32) -> ServiceKey {
    let port = if plan.protocol == Protocol::Icmp { 0 } else { 53 };
    service_key(plan.protocol, &Ipv4Addr::from(SERVICES_FROM + number).to_string(), port)
}

fn add_service(draft: &mut Draft, plan: &Plan, number: u32) -> anyhow::Result<()> {
    let forward = plan.dest.forward;
    if forward == Forward::Snat {
        let key = match_key(Family::V4, plan.protocol);
        draft.add_service(key, plan.settings)?;
        for n in 0..plan.servers {
            let end = Endpoint { address: v4(LADDRS_FROM + n), port: 0 };
            draft.add_dest(&key, end, plan.dest)?;
        }
        return Ok(());
    }
    let is_ping = plan.protocol == Protocol::Icmp;
    let port = if is_ping { 0 } else { 53 };
    let key = key(plan, number);
    draft.add_service(key, plan.settings)?;
    for n in 0..plan.laddrs {
        draft.add_laddr(&key, v4(LADDRS_FROM + n), PortId(0))?;
    }
    for n in 0..plan.servers {
        // Services that share a server have ports of their own there, unless the port must stay.
        let own = 1024 + u16::try_from((number / SERVERS + n) % 60_000)?;
        let can_change = matches!(forward, Forward::FullNat | Forward::Nat) && !is_ping;
        let port = if can_change { own } else { port };
        draft.add_dest(
            &key,
            Endpoint { address: server(number % SERVERS + n), port },
            plan.dest,
        )?;
    }
    Ok(())
}
