// SPDX-License-Identifier: MIT OR Apache-2.0
//! `echo show`.

use dpvs_api::types::{EchoInfo, EchoPolicy};

/// Writes an echo policy in one line: the words that set it, then what it comes to.
pub fn echo(info: &EchoInfo) -> String {
    let EchoPolicy { rule, quorum, down, max_size } = info.policy;
    let quorum = quorum.map(|quorum| format!(" quorum {quorum}")).unwrap_or_default();
    format!(
        "{} policy {}{quorum} down {} max-size {max_size} answer {}\n",
        info.address,
        rule.word(),
        down.word(),
        info.answer.word(),
    )
}
