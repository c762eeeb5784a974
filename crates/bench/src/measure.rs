// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a benchmark found, as its `--json FILE` has it.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

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

impl Measurement {
    /// The median of what was measured.
    pub fn median(goal: impl Into<String>, unit: &str, samples: Vec<f64>) -> Self {
        let value = median(&samples);
        Measurement { goal: goal.into(), unit: unit.to_owned(), value, samples }
    }

    /// A figure that was computed of others.
    pub fn of(goal: impl Into<String>, unit: &str, value: f64) -> Self {
        Measurement { goal: goal.into(), unit: unit.to_owned(), value, samples: vec![value] }
    }
}

/// The middle one; not a number of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Writes what was measured.
///
/// # Errors
/// Those of the file.
pub fn save(path: &Path, measurements: &[Measurement]) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    serde_json::to_writer_pretty(&mut file, measurements)?;
    writeln!(file)?;
    file.flush()
}

/// A count as a number to compute with: all are far below 2^53.
#[allow(clippy::as_conversions, clippy::cast_precision_loss, reason = "no other way there is")]
pub fn to_f64(count: u64) -> f64 {
    count as f64
}
