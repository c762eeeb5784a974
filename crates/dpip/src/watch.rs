// SPDX-License-Identifier: MIT OR Apache-2.0
//! `-s -i N link show`: rates, sampled until the count is reached or the reader goes away.

use crate::daemon::Daemon;
use crate::options::Options;
use crate::render::{self, rates_between};
use crate::run::{self, Fault, json};
use dpvs_api::types::{LinkInfo, LinkStats};
use std::io::Write;
use std::thread;
use std::time::Duration;

/// Prints the rates of one port or all, `-c` times or endlessly.
///
/// Several ports are headed in every round, one only in the first.
pub(crate) fn links(
    options: &Options,
    name: Option<&str>,
    daemon: &mut Daemon,
    out: &mut dyn Write,
) -> Result<(), Fault> {
    let seconds = options.interval.and_then(|n| u64::try_from(n).ok()).unwrap_or(1);
    let rounds = options.count.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
    let mut before = links_of(daemon, name)?;
    let mut round = 0;
    while rounds.is_none_or(|rounds| round < rounds) {
        thread::sleep(Duration::from_secs(seconds));
        let after = links_of(daemon, name)?;
        let with_head = round == 0 || after.len() > 1;
        let text = if options.json {
            json_round(&before, &after, seconds)?
        } else {
            text_round(&before, &after, seconds, options.color, with_head)
        };
        out.write_all(text.as_bytes())?;
        // Readers of an endless listing want each round as it comes.
        out.flush()?;
        before = after;
        round += 1;
    }
    Ok(())
}

fn links_of(daemon: &mut Daemon, name: Option<&str>) -> Result<Vec<LinkInfo>, Fault> {
    Ok(run::links(daemon, name)?.links)
}

/// Pairs each port with its rates; one that is new has none yet.
fn rated<'a>(
    before: &'a [LinkInfo],
    after: &'a [LinkInfo],
    seconds: u64,
) -> impl Iterator<Item = (&'a LinkInfo, LinkStats)> {
    after.iter().map(move |info| {
        let earlier = before.iter().find(|earlier| earlier.device == info.device);
        let base = earlier.map_or(info.stats, |earlier| earlier.stats);
        (info, rates_between(&base, &info.stats, seconds))
    })
}

fn text_round(
    before: &[LinkInfo],
    after: &[LinkInfo],
    seconds: u64,
    is_color: bool,
    with_head: bool,
) -> String {
    let block = |(info, rates): (&LinkInfo, LinkStats)| {
        let head = if with_head { render::link(info) } else { String::new() };
        head + &render::link_rates(&rates, is_color)
    };
    rated(before, after, seconds).map(block).collect()
}

fn json_round(before: &[LinkInfo], after: &[LinkInfo], seconds: u64) -> Result<String, Fault> {
    let links: Vec<_> = rated(before, after, seconds)
        .map(|(info, rates)| serde_json::json!({ "device": info.device, "rates": rates }))
        .collect();
    json(&serde_json::json!({ "interval": seconds, "links": links }))
}
