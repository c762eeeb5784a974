// SPDX-License-Identifier: MIT OR Apache-2.0
//! `link show`: a port, its counters, their rates.

use dpvs_api::types::{LinkInfo, LinkStats};

/// Writes a port in three lines.
pub fn link(info: &LinkInfo) -> String {
    let mut state = vec![
        if info.up { "UP" } else { "DOWN" }.to_owned(),
        format!("{} Mbps", info.speed_mbps),
        if info.full_duplex { "full-duplex" } else { "half-duplex" }.to_owned(),
        if info.autoneg { "auto-nego" } else { "fixed-nego" }.to_owned(),
    ];
    let flags = [
        (info.promisc, "promisc"),
        (info.allmulticast, "allmulticast"),
        // Sic: scripts look for this spelling.
        (info.kernel, "foward2kni"),
    ];
    state.extend(flags.iter().filter(|flag| flag.0).map(|flag| flag.1.to_owned()));
    let mut addr = vec![format!("addr {}", info.lladdr)];
    addr.extend(info.offloads.iter().cloned());
    format!(
        "{number}: {device}: socket {socket} mtu {mtu} rx-queue {rx} tx-queue {tx}\n    \
         {state} \n    {addr} \n",
        number = u64::from(info.index) + 1,
        device = info.device,
        socket = info.socket,
        mtu = info.mtu,
        rx = info.rx_queues,
        tx = info.tx_queues,
        state = state.join(" "),
        addr = addr.join(" "),
    )
}

/// Writes what `-s` adds: a port's counters and its pool of frame buffers.
pub fn link_stats(info: &LinkInfo) -> String {
    let stats = &info.stats;
    [
        row(20, &["ipackets", "opackets", "ibytes", "obytes"]),
        numbers(20, &[stats.in_packets, stats.out_packets, stats.in_bytes, stats.out_bytes]),
        row(20, &["ierrors", "oerrors", "imissed", "rx_nombuf"]),
        numbers(20, &[stats.in_errors, stats.out_errors, stats.in_missed, stats.no_buffer]),
        row(20, &["mbuf-avail", "mbuf-inuse"]),
        numbers(20, &[info.buffers_free, info.buffers_used]),
    ]
    .concat()
}

/// Writes what `-v` adds: the device as configured, its driver, and how frames find their worker.
pub fn link_detail(info: &LinkInfo) -> String {
    let head = row(32, &["pci_addr", "driver_name"]);
    let values = row(32, &[info.spec.as_str(), info.driver.as_str()]);
    format!("{head}{values}    steering {}\n", info.steering)
}

/// Writes a port's rates; with `is_color`, those that are not 0 in green, losses in red.
pub fn link_rates(rates: &LinkStats, is_color: bool) -> String {
    let traffic = [rates.in_packets, rates.out_packets, rates.in_bytes, rates.out_bytes];
    let losses = [rates.in_errors, rates.out_errors, rates.in_missed, rates.no_buffer];
    let paint = |values: &[u64], color| {
        if is_color { colored(16, values, color) } else { numbers(16, values) }
    };
    [
        row(16, &["ipackets/pps", "opackets/pps", "ibytes/Bps", "obytes/Bps"]),
        paint(&traffic, "\x1b[32m"),
        row(16, &["ierrors/pps", "oerrors/pps", "imissed/pps", "rx_nombuf/pps"]),
        paint(&losses, "\x1b[31m"),
    ]
    .concat()
}

/// Returns what happened in a second between two readings; 0 where a counter was reset.
pub fn rates_between(before: &LinkStats, after: &LinkStats, seconds: u64) -> LinkStats {
    let seconds = seconds.max(1);
    let rate = |field: fn(&LinkStats) -> u64| field(after).saturating_sub(field(before)) / seconds;
    LinkStats {
        in_packets: rate(|stats| stats.in_packets),
        out_packets: rate(|stats| stats.out_packets),
        in_bytes: rate(|stats| stats.in_bytes),
        out_bytes: rate(|stats| stats.out_bytes),
        in_errors: rate(|stats| stats.in_errors),
        out_errors: rate(|stats| stats.out_errors),
        in_missed: rate(|stats| stats.in_missed),
        no_buffer: rate(|stats| stats.no_buffer),
    }
}

fn row(width: usize, cells: &[&str]) -> String {
    line(cells.iter().map(|cell| format!("{cell:<width$}")))
}

fn numbers(width: usize, values: &[u64]) -> String {
    line(values.iter().map(|value| format!("{value:<width$}")))
}

fn colored(width: usize, values: &[u64], color: &str) -> String {
    line(values.iter().map(|value| match value {
        0 => format!("{value:<width$}"),
        _ => format!("{color}{value:<width$}\x1b[0m"),
    }))
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let mut text = "    ".to_owned();
    text.extend(cells);
    text.push('\n');
    text
}
