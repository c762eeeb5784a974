// SPDX-License-Identifier: MIT OR Apache-2.0
//! The value of `--icmp-echo`, `POLICY[:DOWN[:SIZE]]`: read from command lines, written into saved
//! ones.

use crate::Failure;
use crate::numbers::number_in;
use dpvs_api::types::{EchoDown, EchoPolicy, EchoRule};
use std::fmt::Write as _;

/// Reads a policy.
///
/// # Errors
/// The value is none.
pub(crate) fn parse(text: &[u8]) -> Result<EchoPolicy, Failure> {
    let policy = std::str::from_utf8(text).ok().and_then(parse_text);
    policy.ok_or_else(|| Failure::usage_quoting("invalid icmp-echo `", text, "' specified"))
}

fn parse_text(text: &str) -> Option<EchoPolicy> {
    let mut parts = text.split(':');
    let first = parts.next()?;
    let (word, quorum) = match first.split_once('=') {
        None => (first, None),
        Some((word, number)) => (word, Some(number_in(number.as_bytes(), 1, u32::MAX)?)),
    };
    let rule = EchoRule::from_word(word)?;
    let down = parts.next().map_or(Some(EchoDown::Drop), EchoDown::from_word)?;
    let max_size = match parts.next() {
        None => 0,
        Some(number) => number_in(number.as_bytes(), 0, u32::from(u16::MAX))?,
    };
    let is_whole = parts.next().is_none() && (rule == EchoRule::Quorum) == quorum.is_some();
    let max_size = u16::try_from(max_size).ok()?;
    is_whole.then_some(EchoPolicy { rule, quorum, down, max_size })
}

/// Writes a policy, as short as it can be.
pub(crate) fn text(policy: &EchoPolicy) -> String {
    let EchoPolicy { rule, quorum, down, max_size } = *policy;
    let mut text = rule.word().to_owned();
    // Writing to a string cannot fail.
    if let Some(quorum) = quorum {
        let _ = write!(text, "={quorum}");
    }
    if down != EchoDown::Drop || max_size > 0 {
        let _ = write!(text, ":{}", down.word());
    }
    if max_size > 0 {
        let _ = write!(text, ":{max_size}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(rule: EchoRule, quorum: Option<u32>, down: EchoDown, max_size: u16) -> EchoPolicy {
        EchoPolicy { rule, quorum, down, max_size }
    }

    #[test]
    fn policies_are_written_as_they_are_read() {
        use EchoRule as R;
        for (text, expected) in [
            ("never", policy(R::Never, None, EchoDown::Drop, 0)),
            ("always", policy(R::Always, None, EchoDown::Drop, 0)),
            ("any-up:host", policy(R::AnyUp, None, EchoDown::Host, 0)),
            ("all-up:admin", policy(R::AllUp, None, EchoDown::Admin, 0)),
            ("quorum=2", policy(R::Quorum, Some(2), EchoDown::Drop, 0)),
            ("quorum=2:drop:64", policy(R::Quorum, Some(2), EchoDown::Drop, 64)),
            ("backend:host:1472", policy(R::Backend, None, EchoDown::Host, 1472)),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap(), expected);
            assert_eq!(super::text(&expected), text);
        }
        assert_eq!(parse(b"any-up:drop").unwrap(), policy(R::AnyUp, None, EchoDown::Drop, 0));
    }

    #[test]
    fn what_is_no_policy_is_refused_as_it_was_written() {
        for bad in [
            "",
            "up",
            "Never",
            "quorum",
            "quorum=",
            "quorum=0",
            "quorum=x",
            "any-up=2",
            "never:",
            "never:no",
            "never:drop:x",
            "never:drop:65536",
            "never:drop:1:2",
            ":host",
        ] {
            let message = parse(bad.as_bytes()).unwrap_err().message;
            let text = format!("invalid icmp-echo `{bad}' specified\n");
            assert_eq!(String::from_utf8(message).unwrap(), text);
        }
    }
}
