// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tables and the picture of the document.

use crate::goals::{GOALS, Side, number};
use crate::sheet::Sheet;
use dpvs_bench::chart::{Chart, Line};
use dpvs_bench::measure::Measurement;
use dpvs_bench::traffic::Traffic;

/// Every goal, beside what was measured.
pub(crate) fn goals(found: &[Measurement]) -> Sheet {
    let mut sheet = Sheet::new(&["", "goal", "stretch", "measured", "unit", "verdict"]);
    for goal in GOALS {
        let sign = if goal.side == Side::AtMost { "<=" } else { ">=" };
        let bound = |bound: f64| format!("{sign} {}", number(bound));
        let value = goal.value(found);
        sheet.row([
            goal.what.to_owned(),
            bound(goal.bound),
            goal.stretch.map(bound).unwrap_or_default(),
            value.map_or_else(|| "-".to_owned(), number),
            goal.unit.to_owned(),
            goal.verdict(value),
        ]);
    }
    sheet
}

/// What a packet costs beside testpmd.
pub(crate) fn replay(found: &[Measurement]) -> Sheet {
    let mut sheet = Sheet::new(&["traffic", "flows", "dpvs", "floor", "above", "ratio", "calm"]);
    for (traffic, flows) in cases(found) {
        let of = |what: &str| figure(found, &format!("replay-{}-{flows}-{what}", traffic.name()));
        let cell = |what: &str| of(what).map(number).unwrap_or_default();
        let name = traffic.name().to_owned();
        sheet.row([
            name,
            flows.to_string(),
            cell("dpvs"),
            cell("floor"),
            cell("above"),
            cell("ratio"),
            of("calm").map(|share| format!("{:.0} %", share * 100.0)).unwrap_or_default(),
        ]);
    }
    sheet
}

/// What programs said, as it is.
pub(crate) fn text(said: &[String]) -> String {
    let said = said.concat();
    if said.trim().is_empty() {
        return "Not measured.".to_owned();
    }
    format!("```text\n{}\n```", said.trim_end())
}

/// What failed, as a list.
pub(crate) fn failures(failed: &[String]) -> String {
    if failed.is_empty() {
        return "Nothing failed.".to_owned();
    }
    let line = |text: &String| format!("* {}", text.lines().next().unwrap_or_default());
    let lines: Vec<String> = failed.iter().map(line).collect();
    format!("Not everything could be measured:\n\n{}", lines.join("\n"))
}

/// How a packet's cost grows with flows, beside testpmd's.
pub(crate) fn chart(found: &[Measurement]) -> Option<Chart> {
    let title = "A packet's cost, beside that of testpmd";
    let mut chart = Chart::new("replay-flows", title, "flows");
    let lines = [
        ("full NAT", Traffic::FullNat, "dpvs"),
        ("direct routing", Traffic::Direct, "dpvs"),
        ("testpmd 5tswap", Traffic::FullNat, "floor"),
    ];
    for (name, traffic, what) in lines {
        let mut points = Vec::new();
        for (_, flows) in cases(found).into_iter().filter(|(other, _)| *other == traffic) {
            let goal = format!("replay-{}-{flows}-{what}", traffic.name());
            let measured = found.iter().find(|m| m.goal == goal).cloned();
            points.extend(measured.map(|m| (f64::from(flows), m)));
        }
        chart.lines.push(Line { name: name.to_owned(), points });
    }
    chart.lines.iter().any(|line| !line.points.is_empty()).then_some(chart)
}

/// The kinds of traffic with their flows that were replayed, in order.
fn cases(found: &[Measurement]) -> Vec<(Traffic, u32)> {
    let mut cases = Vec::new();
    for measurement in found {
        let Some(name) = measurement.goal.strip_prefix("replay-") else { continue };
        let Some((name, flows)) = name.strip_suffix("-dpvs").and_then(|n| n.rsplit_once('-'))
        else {
            continue;
        };
        let traffic = clap::ValueEnum::from_str(name, false);
        if let (Ok(traffic), Ok(flows)) = (traffic, flows.parse()) {
            cases.push((traffic, flows));
        }
    }
    cases
}

fn figure(found: &[Measurement], name: &str) -> Option<f64> {
    found.iter().find(|measurement| measurement.goal == name).map(|m| m.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replayed_cases_are_rows() {
        let found = [
            Measurement::of("replay-full-nat-1000-dpvs", "ns", 70.0),
            Measurement::of("replay-full-nat-1000-floor", "ns", 28.5),
            Measurement::of("replay-full-nat-1000-above", "ns", 41.5),
            Measurement::of("replay-full-nat-1000-ratio", "x", 2.456),
            Measurement::of("replay-full-nat-1000-calm", "share", 0.445),
        ];
        let text = replay(&found).to_string();
        assert_eq!(
            text.lines().last(),
            Some("| full-nat |  1000 | 70.0 |  28.5 |  41.5 |  2.46 | 44 % |")
        );
        assert_eq!(chart(&found).map(|chart| chart.lines.len()), Some(3));
        assert!(chart(&[]).is_none());
    }
}
