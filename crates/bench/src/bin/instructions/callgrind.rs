// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs this program under callgrind.

use anyhow::{Context as _, bail, ensure};
use std::path::Path;
use std::process::{Command, Stdio};

/// Returns the instructions of each packet of a scene.
pub(crate) fn count(scene: &str, packets: usize, profiles: &Path) -> anyhow::Result<f64> {
    let profile = profiles.join(format!("{scene}.out"));
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        // Whatever the compiler makes of the name, this is in it.
        .arg("--toggle-collect=*counted_*")
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(std::env::current_exe().context("this program has no path")?)
        .args(["--inside", scene])
        .stdin(Stdio::null())
        .output()
        .context("cannot run valgrind (`make setup` installs it)")?;
    if !output.status.success() {
        bail!("scene {scene}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let text = std::fs::read_to_string(&profile)
        .with_context(|| format!("cannot read {}", profile.display()))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = f64::from(total.context("the profile has no total")?.trim().parse::<u32>()?);
    ensure!(total > 0.0, "scene {scene}: callgrind counted nothing");
    Ok(total / f64::from(u32::try_from(packets)?))
}
