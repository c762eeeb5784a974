// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory of connections: all that a worker takes, by the pages that the system gave it.

use crate::balancer::{Balancer, Plan};
use crate::chart::Chart;
use crate::frames::{Frames, Kind, Order};
use anyhow::Context as _;
use dpvs_bench::crowd::{Crowd, Waited};
use dpvs_bench::measure::{Measurement, to_f64};
use serde::{Deserialize, Serialize};
use std::process::{Command, Stdio};

/// Pages of memory: those of 4 KiB, and those of 2 MiB where the system has them.
const PAGES: [(&str, &str, &str); 2] =
    [("full NAT", "", ""), ("full NAT, huge pages", "glibc.malloc.hugetlb=1", "-huge-pages")];

/// What a full table was like.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Filled {
    memory: Measurement,
    cost: Measurement,
    waited: Waited,
}

/// Memory of an IPv4 connection of full NAT, in tables of more and more that are all in use, and what
/// a packet costs there.
pub(crate) fn of_connections(crowd: &mut Crowd, cpu: u32, most: u32) -> anyhow::Result<Vec<Chart>> {
    let title = "Memory of a connection, in a full table";
    let mut chart = Chart { y: "bytes", ..Chart::new("growth-memory", title, "connections") };
    let title = "Packets of all connections of a full table, in turn";
    let mut costs = Chart::new("growth-full-tables", title, "connections");
    for connections in [100_000u32, 1_000_000, 10_000_000, 50_000_000] {
        if connections > most {
            break;
        }
        // A process of its own: what was freed before would be taken again and not be counted.
        for (name, tunables, id) in PAGES {
            let program = std::env::current_exe().context("this program has no path")?;
            let output = Command::new(program)
                .args(["--fill", &connections.to_string(), "--cpu", &cpu.to_string()])
                .env("GLIBC_TUNABLES", tunables)
                .stderr(Stdio::inherit())
                .output()?;
            anyhow::ensure!(output.status.success(), "{connections}: {}", output.status);
            let filled: Filled = serde_json::from_slice(&output.stdout)?;
            crowd.count(filled.waited);
            let [memory, cost] = [filled.memory, filled.cost]
                .map(|m| Measurement { goal: format!("{}{id}-{connections}", m.goal), ..m });
            chart.add(name, f64::from(connections), memory);
            costs.add(name, f64::from(connections), cost);
        }
    }
    Ok(vec![chart, costs])
}

/// Fills a table, and returns what a connection takes and what a packet costs.
pub(crate) fn fill(crowd: &mut Crowd, connections: u32) -> anyhow::Result<Filled> {
    let before = resident_bytes()?;
    let mut balancer = Balancer::new(usize::try_from(connections)?);
    balancer.serve(&Plan::full_nat(connections), 1)?;
    let mut frames = Frames::new(Kind::Udp, 1);
    balancer.open(&mut frames, 0, connections)?;
    let taken = resident_bytes()?.saturating_sub(before);
    let standing = balancer.lab.connections();
    anyhow::ensure!(standing == usize::try_from(connections)?, "each flow is a connection");
    let each = to_f64(taken) / f64::from(connections);
    let memory = Measurement::of("growth-memory-full-nat", "bytes", each);
    frames.play(0, connections, Order::Scattered);
    let cost = balancer.cost(crowd, &mut frames, 200_000, 0)?;
    let cost = cost.measurement("growth-full-tables-full-nat");
    Ok(Filled { memory, cost, waited: crowd.waited() })
}

fn resident_bytes() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}
