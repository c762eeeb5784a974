// SPDX-License-Identifier: MIT OR Apache-2.0
//! `system.*`, `stats.*` and `drop.*`.

use crate::control::Control;
use dpvs_api::RpcError;
use dpvs_api::types::{DataplaneStats, DropCount, DropList, Empty, SystemInfo, WorkerStats};
use dpvs_core::{Command, DropReason};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// Returns how many connections the tables of all workers can hold.
pub(super) fn conn_table_size(control: &Control) -> u64 {
    let sizes = control.workers().map(|worker| u64::try_from(worker.capacity).unwrap_or(u64::MAX));
    sizes.fold(0, u64::saturating_add)
}

/// Returns what runs here.
pub(crate) fn info(control: &Control) -> SystemInfo {
    SystemInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        dpdk: dpdk::version(),
        pid: std::process::id(),
        uptime: control.uptime().as_secs(),
        workers: u32::try_from(control.workers().len()).unwrap_or(u32::MAX),
        generation: control.tables().generation(),
        conn_table_size: conn_table_size(control),
        connections: control.workers().map(|w| u64::from(w.counters.connections.get())).sum(),
    }
}

/// Waits for an answer of every worker.
pub(super) fn ping(control: &mut Control) -> Result<Empty, RpcError> {
    control.ask_all(|| Command::Ping)?;
    Ok(Empty {})
}

/// Returns dropped frames by reason.
pub(super) fn drops(control: &Control) -> DropList {
    let count = |reason: &DropReason| {
        let workers: Vec<u64> =
            control.workers().map(|worker| worker.counters.drops(*reason)).collect();
        DropCount { reason: reason.name().to_owned(), count: workers.iter().sum(), workers }
    };
    DropList { drops: DropReason::ALL.iter().map(count).collect() }
}

/// Returns the counters of the dataplane.
pub(super) fn stats(control: &Control) -> DataplaneStats {
    let mut counters = BTreeMap::new();
    for (name, value) in control.workers().flat_map(|worker| worker.counters.named()) {
        *counters.entry(name.to_owned()).or_insert(0) += value;
    }
    let workers = (0..).zip(control.workers()).map(|(at, worker)| WorkerStats {
        worker: at,
        cpu: worker.cpu,
        connections: u64::from(worker.counters.connections.get()),
        connections_max: u64::try_from(worker.capacity).unwrap_or(u64::MAX),
        busy_permille: worker.busy_permille.load(Ordering::Relaxed),
    });
    DataplaneStats { counters, workers: workers.collect() }
}
