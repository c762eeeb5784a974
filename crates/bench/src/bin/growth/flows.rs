// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packets of connections that stand.

use crate::balancer::{Balancer, Plan};
use crate::chart::Chart;
use crate::frames::{Frames, Kind, Order};
use dpvs_bench::crowd::Crowd;
use dpvs_bench::measure::Measurement;
use dpvs_core::net::Protocol;
use dpvs_core::tables::{DestSettings, Forward, Tunnel, TunnelChecksum, TunnelKind};
use dpvs_core::testing::tunneled;

/// Packets of a repetition.
const PACKETS: usize = 200_000;
/// Flows through all services together.
const FLOWS_OF_SERVICES: u32 = 100_000;

/// One, ten, and so on.
fn decades(most: u32) -> impl Iterator<Item = u32> {
    let mut all: Vec<u32> = (0..8).map(|n| 10u32.pow(n)).filter(|n| *n < most).collect();
    all.push(most);
    all.into_iter()
}

/// Full NAT and direct routing of more and more flows.
pub(crate) fn over_flows(crowd: &mut Crowd, most: u32) -> anyhow::Result<Vec<Chart>> {
    let mut chart = Chart::new("growth-flows", "Packets of so many flows, in turn", "flows");
    let plans = [
        ("full NAT", "full-nat", Plan::full_nat(most), Order::Scattered),
        ("full NAT, as opened", "full-nat-opened", Plan::full_nat(most), Order::Opened),
        ("direct routing", "direct", Plan::new(Forward::Direct), Order::Scattered),
    ];
    for (name, id, plan, order) in plans {
        let mut balancer = Balancer::new(usize::try_from(most)?);
        balancer.serve(&plan, 1)?;
        let mut frames = Frames::new(Kind::Udp, 1);
        let mut opened = 0;
        for flows in decades(most) {
            balancer.open(&mut frames, opened, flows)?;
            opened = flows;
            frames.play(0, flows, order);
            let cost = balancer.cost(crowd, &mut frames, PACKETS, 0)?;
            anyhow::ensure!(balancer.lost == 0, "packets were not sent");
            let goal = format!("growth-flows-{id}-{flows}");
            chart.add(name, f64::from(flows), cost.measurement(&goal));
            let goal = format!("growth-flows-{id}-frame-{flows}");
            if id == "full-nat" {
                let made = Measurement::median(goal, "ns/packet", cost.frame_ns);
                chart.add("(making a frame)", f64::from(flows), made);
            }
        }
    }
    Ok(vec![chart])
}

/// A hundred thousand flows through more and more services, and the making of their connections.
pub(crate) fn over_services(crowd: &mut Crowd) -> anyhow::Result<Vec<Chart>> {
    let title = "Packets of 100,000 flows through so many services";
    let mut chart = Chart::new("growth-services", title, "services");
    for services in decades(100_000) {
        let mut balancer = Balancer::new(1 << 18);
        let plan = if services == 1 {
            Plan::full_nat(FLOWS_OF_SERVICES)
        } else {
            Plan { servers: 1, ..Plan::full_nat(FLOWS_OF_SERVICES) }
        };
        let plan = Plan { laddrs: plan.laddrs.max(3), ..plan };
        balancer.serve(&plan, services)?;
        let mut frames = Frames::new(Kind::Udp, services);
        balancer.open(&mut frames, 0, FLOWS_OF_SERVICES)?;
        frames.play(0, FLOWS_OF_SERVICES, Order::Scattered);
        let cost = balancer.cost(crowd, &mut frames, PACKETS, 0)?;
        let goal = format!("growth-services-{services}");
        chart.add("full NAT", f64::from(services), cost.measurement(&goal));
    }
    Ok(vec![chart])
}

/// Adds so many of something.
type Add = fn(&mut Balancer, u32) -> anyhow::Result<()>;

/// A thousand flows beside more and more routes, and neighbours set by hand, of others.
pub(crate) fn over_network(crowd: &mut Crowd) -> anyhow::Result<Vec<Chart>> {
    let title = "Packets of 1,000 flows of full NAT, beside what concerns others";
    let mut chart = Chart::new("growth-network", title, "routes, neighbours");
    let things: [(&str, &str, Add); 2] = [
        ("routes", "routes", Balancer::add_routes),
        ("neighbours set by hand", "neighbours", Balancer::add_neighbours),
    ];
    for (name, id, add) in things {
        for count in decades(10_000) {
            let mut balancer = Balancer::new(1 << 14);
            balancer.serve(&Plan::full_nat(1000), 1)?;
            add(&mut balancer, count)?;
            let mut frames = Frames::new(Kind::Udp, 1);
            balancer.open(&mut frames, 0, 1000)?;
            frames.play(0, 1000, Order::Scattered);
            let cost = balancer.cost(crowd, &mut frames, PACKETS / 10, 0)?;
            let goal = format!("growth-network-{id}-{count}");
            chart.add(name, f64::from(count), cost.measurement(&goal));
        }
    }
    Ok(vec![chart])
}

/// Every method, of a thousand to a hundred thousand flows.
pub(crate) fn over_methods(crowd: &mut Crowd) -> anyhow::Result<Vec<Chart>> {
    let mut chart = Chart::new("growth-methods", "Packets by each method", "flows");
    let tunnel = |kind, port| {
        let dest = tunneled(Tunnel { kind, port, checksum: TunnelChecksum::None });
        Plan { dest, ..Plan::new(Forward::Tunnel) }
    };
    let ping = Plan { protocol: Protocol::Icmp, ..Plan::full_nat(100_000) };
    let snat = Plan { dest: DestSettings::new(Forward::Snat), ..Plan::new(Forward::Snat) };
    let methods = [
        ("full NAT", "full-nat", Kind::Udp, Plan::full_nat(100_000)),
        ("NAT", "nat", Kind::Udp, Plan::new(Forward::Nat)),
        ("direct routing", "direct", Kind::Udp, Plan::new(Forward::Direct)),
        ("tunnel, IP in IP", "ipip", Kind::Udp, tunnel(TunnelKind::Ipip, 0)),
        ("tunnel, GRE", "gre", Kind::Udp, tunnel(TunnelKind::Gre, 0)),
        ("tunnel, GUE", "gue", Kind::Udp, tunnel(TunnelKind::Gue, 6080)),
        ("SNAT", "snat", Kind::Udp, snat),
        ("echo, full NAT", "echo", Kind::Ping, ping),
        ("echo, answered here", "local-echo", Kind::Ping, Plan::new(Forward::Direct)),
    ];
    for (name, id, kind, plan) in methods {
        for flows in [1000u32, 10_000, 100_000] {
            let mut balancer = Balancer::new(1 << 20);
            balancer.serve(&plan, 1)?;
            if id == "local-echo" {
                balancer.own_first_virtual()?;
            }
            let mut frames = Frames::new(kind, 1);
            balancer.open(&mut frames, 0, flows)?;
            frames.play(0, flows, Order::Scattered);
            let cost = balancer.cost(crowd, &mut frames, PACKETS, 0)?;
            let goal = format!("growth-methods-{id}-{flows}");
            chart.add(name, f64::from(flows), cost.measurement(&goal));
        }
    }
    Ok(vec![chart])
}
