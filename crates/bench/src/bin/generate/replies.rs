// SPDX-License-Identifier: MIT OR Apache-2.0
//! Both directions of established connections by full NAT: this process is the clients, their router
//! and the real servers, which send every packet back.
//!
//! So many packets are under way that the balancer's ring is not empty while it works; what that
//! costs in each direction follows from two runs: in one the servers only listen, in the other they
//! answer.

use crate::balancer::{Balancer, Sample, memif_socket};
use crate::frames::Template;
use crate::stamp::{is_for_server, turn_round};
use crate::wire::{BURST, Burst, Generator, Wire};
use crate::{Bench, Found, plan};
use anyhow::Context as _;
use arrayvec::ArrayVec;
use dpdk::free_bulk;
use dpvs_api::types::{Forward, Protocol};
use dpvs_bench::measure::{Measurement, to_f64};
use std::io::Write as _;
use std::time::{Duration, Instant};

/// How many flows.
pub(crate) const NAMES: [&str; 2] = ["1000", "100000"];

/// Packets under way: half of a ring.
const UNDER_WAY: u64 = 512;

/// Below so many thousandths of its time the worker waited for the generator.
const BUSY_MIN: u32 = 900;

/// After so long without a packet none is under way any more.
const SILENCE: Duration = Duration::from_millis(50);

/// Seconds after which idle connections end: none does.
const UDP_TIMEOUT: u32 = 3000;

/// What clients and servers counted.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// By clients.
    sent: u64,
    at_servers: u64,
    at_clients: u64,
    /// By servers; what finds no place in the ring is not sent.
    replied: u64,
}

/// Clients and real servers.
#[derive(Debug)]
struct Hosts {
    wire: Wire,
    template: Template,
    flows: u64,
    client: u64,
    do_servers_answer: bool,
    counts: Counts,
}

/// What is printed above the lines.
pub(crate) fn heading() -> String {
    format!(
        "both directions of full NAT, on cpu for each packet; busy: of the worker\n\
         {:>8} {:>10} {:>10} {:>12} {:>6} {:>8} drops",
        "flows", "request ns", "reply ns", "packets/s", "busy", "lost"
    )
}

/// Measures so many flows.
pub(crate) fn run(bench: &Bench, generator: &Generator, scene: &str) -> anyhow::Result<Found> {
    let flows: u64 = scene.parse().context("a number of flows")?;
    let directory = tempfile::tempdir()?;
    let config = plan::config(Protocol::Udp, Forward::FullNat)?;
    let room = usize::try_from(2 * flows)?;
    let mut balancer =
        Balancer::start(&bench.dpvs, directory.path(), bench.cpus(), room, config, UDP_TIMEOUT)?;
    let wire = generator.connect(&memif_socket(directory.path()))?;
    let template = Template::udp();
    let counts = Counts::default();
    let mut hosts = Hosts { wire, template, flows, client: 0, do_servers_answer: false, counts };
    while hosts.counts.at_servers < 3 * flows {
        hosts.talk_for(Duration::from_millis(100));
    }
    let (mut requests, mut replies, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    hosts.hear_out();
    let first = balancer.sample()?;
    hosts.counts = Counts::default();
    for _ in 0..bench.repetitions {
        hosts.do_servers_answer = false;
        let one_way = measure(bench, &mut balancer, &mut hosts)?;
        let request = ns_per_packet(&one_way);
        hosts.do_servers_answer = true;
        let before = hosts.counts;
        let began = Instant::now();
        let both = measure(bench, &mut balancer, &mut hosts)?;
        let count = hosts.counts.at_clients - before.at_clients;
        rates.push(2.0 * to_f64(count) / began.elapsed().as_secs_f64());
        requests.push(request);
        // Half of the packets are requests, at the same price.
        replies.push(2.0 * ns_per_packet(&both) - request);
    }
    let past = balancer.sample()?.since(&first);
    let Counts { sent, at_servers, replied, at_clients } = hosts.counts;
    // What was under way before may come back meanwhile.
    let lost = (sent + replied).saturating_sub(at_servers + at_clients);
    let request = Measurement::median(format!("generate-request-{flows}"), "ns", requests);
    let reply = Measurement::median(format!("generate-reply-{flows}"), "ns", replies);
    writeln!(
        std::io::stdout(),
        "{flows:>8} {:>10.1} {:>10.1} {:>12.0} {:>4.0} % {lost:>8} {}{}",
        request.value,
        reply.value,
        Measurement::median("", "/s", rates).value,
        f64::from(past.busy_permille) / 10.0,
        past.dropped(),
        if past.busy_permille < BUSY_MIN { "; the worker waited: its cost counts too" } else { "" },
    )?;
    balancer.end()?;
    let lost = Measurement::of(format!("generate-replies-lost-{flows}"), "packets", to_f64(lost));
    Ok(vec![request, reply, lost])
}

fn measure(bench: &Bench, balancer: &mut Balancer, hosts: &mut Hosts) -> anyhow::Result<Sample> {
    hosts.talk_for(bench.interval() / 5);
    let before = balancer.sample()?;
    hosts.talk_for(bench.interval());
    let past = balancer.sample()?.since(&before);
    hosts.hear_out();
    Ok(past)
}

fn ns_per_packet(past: &Sample) -> f64 {
    past.on_cpu.as_secs_f64() * 1e9 / to_f64(past.frames_in.max(1))
}

impl Hosts {
    fn talk_for(&mut self, time: Duration) {
        let began = Instant::now();
        let mut target = Counts { sent: self.counts.sent, ..Counts::default() };
        let mut heard = Instant::now();
        // What is under way is what came back since the beginning, less what was sent.
        let base = self.back();
        while began.elapsed() < time {
            let under_way = self.counts.sent - target.sent;
            if under_way.saturating_sub(self.back() - base) < UNDER_WAY {
                self.send();
            }
            if self.hear() > 0 {
                heard = Instant::now();
            } else if heard.elapsed() > SILENCE {
                // Some were lost. Those that were under way before may have come back, too.
                target.sent = self.counts.sent.saturating_sub(self.back() - base);
                heard = Instant::now();
            }
        }
    }

    fn back(&self) -> u64 {
        if self.do_servers_answer { self.counts.at_clients } else { self.counts.at_servers }
    }

    fn send(&mut self) {
        let Hosts { wire, template, flows, client, .. } = self;
        let sent = wire.send(BURST, template.len(), |bytes| {
            template.write(bytes, *client);
            *client = (*client + 1) % *flows;
        });
        self.counts.sent += u64::try_from(sent).unwrap_or(0);
    }

    /// Takes what has come and lets the servers answer.
    fn hear(&mut self) -> usize {
        let mut burst = Burst::new();
        let received = self.wire.rx.burst(&mut burst);
        let mut answers: ArrayVec<_, BURST> = ArrayVec::new();
        for mut frame in burst {
            if !is_for_server(frame.bytes()) {
                self.counts.at_clients += 1;
                continue;
            }
            self.counts.at_servers += 1;
            if self.do_servers_answer {
                turn_round(frame.bytes_mut());
                answers.push(frame);
            }
        }
        let replied = self.wire.tx.burst(&mut answers);
        self.counts.replied += u64::try_from(replied).unwrap_or(0);
        free_bulk(&mut answers);
        received
    }

    /// Takes everything that is still under way.
    fn hear_out(&mut self) {
        let mut heard = Instant::now();
        while heard.elapsed() < SILENCE {
            if self.hear() > 0 {
                heard = Instant::now();
            }
        }
    }
}
