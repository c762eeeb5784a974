// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is to be reached.

use dpvs_bench::measure::Measurement;

/// Which side of it is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    AtMost,
    AtLeast,
}

/// Something to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) what: &'static str,
    /// The name of the figure.
    pub(crate) of: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) side: Side,
    pub(crate) bound: f64,
    pub(crate) stretch: Option<f64>,
}

const fn most(what: &'static str, of: &'static str, unit: &'static str, bound: f64) -> Goal {
    Goal { what, of, unit, side: Side::AtMost, bound, stretch: None }
}

const fn least(what: &'static str, of: &'static str, unit: &'static str, bound: f64) -> Goal {
    Goal { side: Side::AtLeast, ..most(what, of, unit, bound) }
}

impl Goal {
    const fn stretch(self, bound: f64) -> Goal {
        Goal { stretch: Some(bound), ..self }
    }

    /// What was found.
    pub(crate) fn value(&self, found: &[Measurement]) -> Option<f64> {
        found.iter().find(|measurement| measurement.goal == self.of).map(|m| m.value)
    }

    fn is_met(&self, value: f64, bound: f64) -> bool {
        match self.side {
            Side::AtMost => value <= bound,
            Side::AtLeast => value >= bound,
        }
    }

    /// In words, how far a figure is.
    pub(crate) fn verdict(&self, value: Option<f64>) -> String {
        let Some(value) = value else { return "not measured".to_owned() };
        if self.stretch.is_some_and(|bound| self.is_met(value, bound)) {
            return "met, and the stretch".to_owned();
        }
        if self.is_met(value, self.bound) {
            return "met".to_owned();
        }
        let by = (value - self.bound).abs();
        if self.bound == 0.0 {
            return format!("missed by {}", number(by));
        }
        format!("missed by {} ({:.0} %)", number(by), 100.0 * by / self.bound)
    }
}

/// A figure with as many digits as it deserves.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        n if n >= 10_000.0 => format!("{:.2} M", value / 1e6),
        n if n >= 100.0 => format!("{value:.0}"),
        n if n >= 10.0 => format!("{value:.1}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.2}"),
    }
}

/// Tables are in huge pages, as the daemon has them.
const HELD_1M: &str = "growth-memory-full-nat-huge-pages-1000000";
const HELD_10M: &str = "growth-memory-full-nat-huge-pages-10000000";
const COST_50M: &str = "growth-full-tables-full-nat-huge-pages-50000000";

/// All of them.
pub(crate) const GOALS: &[Goal] = &[
    most("full NAT, 1 flow", "replay-full-nat-1-above", "ns", 35.0).stretch(25.0),
    most("full NAT, 1 k flows", "replay-full-nat-1000-above", "ns", 40.0).stretch(30.0),
    most("full NAT, 100 k flows", "replay-full-nat-100000-above", "ns", 80.0).stretch(55.0),
    most("full NAT, 1 M flows", "replay-full-nat-1000000-above", "ns", 110.0).stretch(75.0),
    most("direct routing, 1 flow", "replay-direct-1-above", "ns", 25.0),
    most("direct routing, 1 k flows", "replay-direct-1000-above", "ns", 30.0),
    most("direct routing, 100 k flows", "replay-direct-100000-above", "ns", 65.0),
    most("direct routing, 1 M flows", "replay-direct-1000000-above", "ns", 95.0),
    most("echo through full NAT", "replay-echo-1000-above", "ns", 60.0),
    most("related ICMP error", "replay-related-error-100-above", "ns", 150.0),
    most("echo reply of our own", "replay-local-echo-1000-above", "ns", 40.0),
    least("new connections, UDP full NAT", "openings-udp-full-nat", "/s", 1.5e6).stretch(2e6),
    least("new connections, SYN full NAT", "openings-syn-full-nat", "/s", 1.2e6).stretch(1.6e6),
    most("memory of a connection, 1 M", HELD_1M, "bytes", 192.0).stretch(144.0),
    most("memory of a connection, 10 M", HELD_10M, "bytes", 192.0).stretch(144.0),
    // 1.3 times the goal of a million flows.
    most("a packet in the core, 50 M connections", COST_50M, "ns", 143.0),
    least("two workers against one", "workers-two-against-one", "x", 1.9).stretch(1.97),
    most("hand-off of a packet", "workers-hand-off", "ns", 60.0),
    most("dwell time at half load, by testpmd's, p50", "generate-dwell-p50-ratio", "x", 1.3),
    most("dwell time at half load, by testpmd's, p99", "generate-dwell-p99-ratio", "x", 1.5),
    most("dwell time at half load, by testpmd's, p99.9", "generate-dwell-p999-ratio", "x", 2.0),
    most("packets lost while the configuration changes", "generate-change-lost", "packets", 0.0),
    most("delay that a change of the configuration adds", "growth-change-delay-max", "us", 50.0),
    most("start to the first packet", "start-to-first-packet", "s", 1.0),
    most("a worker without traffic", "idle-cpu", "%", 5.0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_goal_says_by_how_much() {
        let goal = most("full NAT", "x", "ns", 40.0).stretch(30.0);
        assert_eq!(goal.verdict(Some(50.0)), "missed by 10.0 (25 %)");
        assert_eq!(goal.verdict(Some(40.0)), "met");
        assert_eq!(goal.verdict(Some(29.0)), "met, and the stretch");
        assert_eq!(goal.verdict(None), "not measured");
        let goal = least("rate", "x", "/s", 2e6);
        assert_eq!(goal.verdict(Some(1.5e6)), "missed by 0.50 M (25 %)");
        let goal = most("lost", "x", "packets", 0.0);
        assert_eq!(goal.verdict(Some(3.0)), "missed by 3.00");
    }
}
