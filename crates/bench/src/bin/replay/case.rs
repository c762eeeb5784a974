// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is measured, and what is read while it is.

use dpvs_bench::measure::to_f64;
use dpvs_bench::traffic::Traffic;
use std::str::FromStr;
use std::time::Duration;

/// A kind of traffic with a number of flows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) traffic: Traffic,
    pub(crate) flows: usize,
}

impl Case {
    /// Those that are measured unless others are named.
    pub(crate) fn all() -> Vec<Case> {
        let flows = [1, 1000, 100_000, 1_000_000];
        let grows = [Traffic::FullNat, Traffic::Direct];
        let others =
            [Traffic::Nat, Traffic::Tunnel, Traffic::SynFullNat, Traffic::Echo, Traffic::LocalEcho];
        // A hundred frames each.
        let errors = Case { traffic: Traffic::RelatedError, flows: 100 };
        let grows = grows.iter().flat_map(|t| flows.map(|flows| Case { traffic: *t, flows }));
        grows.chain(others.map(|traffic| Case { traffic, flows: 1000 })).chain([errors]).collect()
    }

    /// Its name in what is written for other programs.
    pub(crate) fn name(self) -> String {
        format!("{}-{}", self.traffic.name(), self.flows)
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (traffic, flows) = text.split_once(':').unwrap_or((text, "1000"));
        let traffic = clap::ValueEnum::from_str(traffic, false)?;
        let flows = flows.parse().map_err(|_| format!("`{flows}` is not a number of flows"))?;
        if flows == 0 {
            return Err("there must be a flow".to_owned());
        }
        Ok(Case { traffic, flows })
    }
}

/// Counters at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) packets: u64,
    pub(crate) on_cpu: Duration,
}

impl Sample {
    /// Nanoseconds on the processor for each packet since an earlier sample.
    pub(crate) fn ns_per_packet(self, earlier: Sample) -> f64 {
        let ns = (self.on_cpu.saturating_sub(earlier.on_cpu)).as_secs_f64() * 1e9;
        ns / to_f64(self.packets.saturating_sub(earlier.packets).max(1))
    }
}
