// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packets of connections that stand, in a flood: none of them may be lost, and what the flood costs
//! tells how much of it a worker bears.

use crate::balancer::{Balancer, Plan};
use crate::chart::Chart;
use crate::frames::{Frames, Kind, Mixed, Order};
use dpvs_bench::crowd::Crowd;
use dpvs_bench::measure::Measurement;
use dpvs_core::net::Protocol;
use dpvs_core::tables::Forward;

/// Packets of a repetition.
const PACKETS: usize = 100_000;
/// Connections that stand.
const GOOD: u32 = 1000;
/// Flows of the flood, after those.
const FLOOD_FROM: u32 = 1_000_000;
const FLOOD: u32 = 40_000_000;
/// Packets of the flood to each good one.
const EACH: [u32; 5] = [1, 3, 7, 15, 31];

/// What comes as a flood.
#[derive(Clone, Copy, Debug)]
struct Flood {
    name: &'static str,
    id: &'static str,
    kind: Kind,
    forward: Forward,
    /// Places in the table.
    capacity: usize,
}

const FLOODS: [Flood; 5] = [
    // Two million connections: far from full at the end.
    flood("SYN, full NAT", "syn", Kind::Syn, Forward::FullNat, 1 << 22),
    flood("SYN, full NAT, table full", "syn-full-nat-shed", Kind::Syn, Forward::FullNat, 1 << 14),
    flood("SYN, direct, table full", "syn-direct-shed", Kind::Syn, Forward::Direct, 1 << 14),
    flood("pings above the limit", "pings", Kind::Ping, Forward::FullNat, 1 << 14),
    flood("ICMP errors, unrelated", "errors", Kind::Error, Forward::FullNat, 1 << 14),
];

const fn flood(
    name: &'static str,
    id: &'static str,
    kind: Kind,
    forward: Forward,
    capacity: usize,
) -> Flood {
    Flood { name, id, kind, forward, capacity }
}

/// What a packet of the flood costs, and what part of all packets may be the flood's while good flows
/// take so much of the worker's time. None of the good flows' packets may be lost.
pub(crate) fn over_floods(crowd: &mut Crowd) -> anyhow::Result<Vec<Chart>> {
    let title = "Packets of a flood among those of 1,000 flows of full NAT";
    let mut costs =
        Chart { is_log: false, ..Chart::new("growth-floods", title, "flood to one good") };
    let title = "Flood that a worker bears, and loses no packet of good flows";
    let mut shares = Chart {
        is_log: false,
        ..Chart::new("growth-flood-shares", title, "% of time for good flows")
    };
    shares.y = "% of packets";
    for flood in FLOODS {
        let mut balancer = balancer(&flood)?;
        let mut mixed = frames(&flood);
        balancer.open(&mut mixed.good, 0, GOOD)?;
        mixed.good.play(0, GOOD, Order::Scattered);
        let alone = balancer.cost(crowd, &mut mixed, PACKETS, 0)?.measurement("alone").value;
        // The table gets as full as it will.
        mixed.each = 31;
        balancer.play(&mut mixed, PACKETS, 0)?;
        let mut flood_ns = 0.0;
        for each in EACH {
            mixed.each = usize::try_from(each)?;
            let cost = balancer.cost(crowd, &mut mixed, PACKETS, 0)?;
            let all = f64::from(each + 1);
            let of_flood = cost.ns.iter().map(|ns| (ns * all - alone) / f64::from(each)).collect();
            let goal = format!("growth-floods-{}-{each}", flood.id);
            let measurement = Measurement::median(goal, costs.y, of_flood);
            flood_ns = measurement.value;
            costs.add(flood.name, f64::from(each), measurement);
        }
        let lost = balancer.lost;
        anyhow::ensure!(lost == 0, "{}: {lost} packets of standing connections lost", flood.name);
        for percent in [10u32, 25, 50, 75, 90] {
            let good = f64::from(percent) / alone;
            let bad = f64::from(100 - percent) / flood_ns;
            let goal = format!("growth-flood-shares-{}-{percent}", flood.id);
            let share = Measurement::of(goal, shares.y, 100.0 * bad / (good + bad));
            shares.add(flood.name, f64::from(percent), share);
        }
    }
    Ok(vec![costs, shares])
}

fn balancer(flood: &Flood) -> anyhow::Result<Balancer> {
    let mut balancer = Balancer::new(flood.capacity);
    // The good flows' service, and that of the flood on another address.
    balancer.serve_from(&Plan::full_nat(100_000), 0, 1)?;
    let plan = match flood.forward {
        Forward::FullNat => Plan::full_nat(4_000_000),
        forward => Plan::new(forward),
    };
    balancer.serve_from(&Plan { protocol: Protocol::Tcp, ..plan }, 1, 2)?;
    balancer.own_first_virtual()?;
    balancer.limit_echo(10_000);
    Ok(balancer)
}

fn frames(flood: &Flood) -> Mixed {
    let good = Frames::new(Kind::Udp, 1);
    let service = u32::from(flood.kind == Kind::Syn);
    let mut others = Frames::new(flood.kind, 1).for_service(service);
    others.play(FLOOD_FROM, FLOOD, Order::Opened);
    Mixed { good, flood: others, each: 0 }
}
