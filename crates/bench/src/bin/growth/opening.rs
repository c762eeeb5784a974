// SPDX-License-Identifier: MIT OR Apache-2.0
//! New connections, and the end of old ones: every packet makes one, and each ends two seconds later.

use crate::balancer::{Balancer, Plan, SHORT_MS};
use crate::chart::Chart;
use crate::frames::{Frames, Kind, Order};
use dpvs_bench::crowd::Crowd;
use dpvs_core::scheduler::{Scheduler, SchedulerFlags};
use dpvs_core::tables::{Forward, ServiceSettings};

/// Connections of a repetition.
const CONNECTIONS: usize = 32_000;
/// Flows of connections that end, after those of the ones that stay.
const SHORT_FROM: u32 = 20_000_000;
const SHORT: u32 = 40_000_000;

/// Every scheduler and number of servers.
pub(crate) fn over_servers(crowd: &mut Crowd) -> anyhow::Result<Vec<Chart>> {
    let title = "New connections, by scheduler";
    let mut chart =
        Chart { y: "ns/connection", ..Chart::new("growth-schedulers", title, "servers") };
    for (scheduler, name) in Scheduler::ALL {
        for servers in [1u32, 10, 100, 1000] {
            let mut balancer = Balancer::new(1 << 18);
            let mut settings = ServiceSettings::new(*scheduler);
            settings.conn_timeout_ms = SHORT_MS;
            // Clients differ by port, too.
            settings.flags = SchedulerFlags::PORT;
            balancer.serve(&Plan { settings, servers, laddrs: 7, ..Plan::full_nat(1) }, 1)?;
            let mut frames = Frames::new(Kind::Udp, 1);
            frames.play(SHORT_FROM, SHORT, Order::Opened);
            // Until as many end as begin: a burst each millisecond, and the wheel's coarseness.
            balancer.play(&mut frames, 32 * 3000, 1)?;
            let cost = balancer.cost(crowd, &mut frames, CONNECTIONS, 1)?;
            // Of a thousand servers a few may have to be asked for their link addresses again.
            anyhow::ensure!(balancer.lost < CONNECTIONS / 10, "{name}: {} lost", balancer.lost);
            let goal = format!("growth-schedulers-{name}-{servers}");
            chart.add(name, f64::from(servers), cost.measurement(&goal));
        }
    }
    Ok(vec![chart])
}

/// A table that connections fill which stay.
pub(crate) fn over_table(crowd: &mut Crowd) -> anyhow::Result<Vec<Chart>> {
    const CAPACITY: u32 = 1 << 20;
    let title = "New connections in a table of 1,048,576 that is so full";
    let mut chart = Chart { is_log: false, ..Chart::new("growth-table", title, "per cent full") };
    chart.y = "ns/connection";
    for (name, id, forward) in
        [("full NAT", "full-nat", Forward::FullNat), ("direct routing", "direct", Forward::Direct)]
    {
        let plan = match forward {
            Forward::FullNat => Plan::full_nat(CAPACITY),
            forward => Plan::new(forward),
        };
        let mut short = plan;
        short.settings.conn_timeout_ms = SHORT_MS;
        let mut balancer = Balancer::new(usize::try_from(CAPACITY)?);
        // Those that stay are the first service's, the others the second's.
        balancer.serve_from(&plan, 0, 1)?;
        balancer.serve_from(&short, 1, 2)?;
        let mut stay = Frames::new(Kind::Udp, 1);
        let mut come = Frames::new(Kind::Udp, 1).for_service(1);
        come.play(SHORT_FROM, SHORT, Order::Opened);
        let mut standing = 0;
        for percent in [10u32, 25, 50, 75, 90, 95, 98] {
            // Two per cent come and go: eight a millisecond, for two seconds and the wheel's tick.
            let wanted = CAPACITY / 100 * (percent - 2);
            balancer.open(&mut stay, standing, wanted)?;
            standing = wanted;
            balancer.play(&mut come, 8 * 2600, 4)?;
            let cost = balancer.cost(crowd, &mut come, CONNECTIONS, 4)?;
            anyhow::ensure!(balancer.lost == 0, "{percent} %: {} lost", balancer.lost);
            let goal = format!("growth-table-{id}-{percent}");
            chart.add(name, f64::from(percent), cost.measurement(&goal));
        }
        let room = CAPACITY - u32::try_from(balancer.lab.connections())?;
        balancer.open(&mut stay, standing, standing + room / 32 * 32)?;
        let cost = balancer.cost(crowd, &mut come, CONNECTIONS, 0)?;
        let goal = format!("growth-table-{id}-shed");
        chart.add(name, 100.0, cost.measurement(&goal));
    }
    Ok(vec![chart])
}

/// One server and four local addresses, of whose ports so many are in use, here and there.
pub(crate) fn over_ports(crowd: &mut Crowd) -> anyhow::Result<Vec<Chart>> {
    const LADDRS: u32 = 4;
    const PORTS: u32 = LADDRS * 64_512;
    let title = "New connections where so many local ports are in use";
    let mut chart = Chart { is_log: false, ..Chart::new("growth-ports", title, "per cent used") };
    chart.y = "ns/connection";
    for percent in [10u32, 25, 50, 75, 90, 95, 98] {
        let mut balancer = Balancer::new(1 << 19);
        let plan = Plan { servers: 1, laddrs: LADDRS, ..Plan::full_nat(1) };
        balancer.serve(&plan, 1)?;
        balancer.take_ports(&plan, PORTS, percent)?;
        let mut come = Frames::new(Kind::Udp, 1);
        come.play(SHORT_FROM, SHORT, Order::Opened);
        balancer.play(&mut come, 2600, 64)?;
        let cost = balancer.cost(crowd, &mut come, 6400, 64)?;
        anyhow::ensure!(balancer.lost == 0, "{percent} %: {} lost", balancer.lost);
        let goal = format!("growth-ports-{percent}");
        chart.add("full NAT", f64::from(percent), cost.measurement(&goal));
    }
    Ok(vec![chart])
}
