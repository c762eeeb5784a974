// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a benchmark found, as its `--json FILE` has it.

use serde::{Deserialize, Serialize};

/// One figure, and what it was made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// What was measured, in kebab case.
    pub goal: String,
    /// Unit of the figures.
    pub unit: String,
    /// The figure.
    pub value: f64,
    /// The figures that it was made of.
    pub samples: Vec<f64>,
}
