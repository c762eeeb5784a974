// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a real server is chosen for a new connection. One file an algorithm.
//!
//! A new one is a file with a `pick` function of the same shape, a variant of [`Scheduler`], and a
//! line in each of the two tables below. Nothing else knows the algorithms.

mod rr;
mod wlc;
mod wrr;

use crate::WorkerId;
use crate::tables::{Dest, Service};

/// A scheduling algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheduler {
    /// Round robin.
    Rr,
    /// Weighted round robin.
    Wrr,
    /// Weighted least connections.
    Wlc,
}

impl Scheduler {
    /// Every algorithm with its IPVS name.
    pub const ALL: &'static [(Scheduler, &'static str)] =
        &[(Scheduler::Rr, "rr"), (Scheduler::Wrr, "wrr"), (Scheduler::Wlc, "wlc")];

    /// Returns the algorithm of an IPVS name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// Returns the IPVS name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }

    /// Chooses a real server that takes connections; `None` if there is none.
    pub fn pick(self, service: &Service, me: WorkerId) -> Option<&Dest> {
        match self {
            Scheduler::Rr => rr::pick(service, me),
            Scheduler::Wrr => wrr::pick(service, me),
            Scheduler::Wlc => wlc::pick(service),
        }
    }
}
