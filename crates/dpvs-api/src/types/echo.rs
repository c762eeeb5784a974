// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether echo requests to an address are answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// When echo requests are answered. A real server is up if its weight is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EchoRule {
    /// Never.
    Never,
    /// Whatever the services are like: as without a policy.
    Always,
    /// If any real server of any service of the address is up.
    AnyUp,
    /// If every service of the address has a real server that is up.
    AllUp,
    /// If every service of the address has as many real servers that are up.
    Quorum,
    /// By a real server that is up, to which they are forwarded.
    Backend,
}

/// What becomes of echo requests while the services of the address are down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EchoDown {
    /// They are dropped.
    #[default]
    Drop,
    /// Their sender is told that the host cannot be reached.
    Host,
    /// Their sender is told that this is forbidden.
    Admin,
}

impl EchoRule {
    /// All rules with their words.
    const ALL: [(EchoRule, &'static str); 6] = [
        (EchoRule::Never, "never"),
        (EchoRule::Always, "always"),
        (EchoRule::AnyUp, "any-up"),
        (EchoRule::AllUp, "all-up"),
        (EchoRule::Quorum, "quorum"),
        (EchoRule::Backend, "backend"),
    ];

    /// Returns its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }

    /// Finds the rule of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|row| row.1 == word).map(|row| row.0)
    }
}

impl EchoDown {
    /// All values with their words.
    const ALL: [(EchoDown, &'static str); 3] =
        [(EchoDown::Drop, "drop"), (EchoDown::Host, "host"), (EchoDown::Admin, "admin")];

    /// Returns its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }

    /// Finds the value of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|row| row.1 == word).map(|row| row.0)
    }
}

/// The echo policy of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EchoPolicy {
    /// When they are answered.
    pub rule: EchoRule,
    /// The quorum, at least 1; with the rule `quorum` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<u32>,
    /// What becomes of them while the services are down; default `drop`.
    #[serde(default)]
    pub down: EchoDown,
    /// Most bytes of ICMP data in a request; 0, the default, is what fits the link.
    #[serde(default)]
    pub max_size: u16,
}

/// An echo policy to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EchoSpec {
    /// The address; it need not be one of ours yet.
    pub address: IpAddr,
    /// The policy.
    pub policy: EchoPolicy,
}

/// Names an address that has an echo policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EchoRef {
    /// The address.
    pub address: IpAddr,
}

/// What an echo policy comes to, with the services as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EchoAnswer {
    /// Echo requests are answered here.
    Reply,
    /// They are dropped.
    Drop,
    /// Their sender is told that the host cannot be reached.
    Host,
    /// Their sender is told that this is forbidden.
    Admin,
    /// They are forwarded to a real server.
    Backend,
}

impl EchoAnswer {
    /// Returns its word.
    pub fn word(self) -> &'static str {
        match self {
            EchoAnswer::Reply => "reply",
            EchoAnswer::Drop => "drop",
            EchoAnswer::Host => "host",
            EchoAnswer::Admin => "admin",
            EchoAnswer::Backend => "backend",
        }
    }
}

/// An echo policy as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EchoInfo {
    /// The address.
    pub address: IpAddr,
    /// The policy.
    pub policy: EchoPolicy,
    /// What it comes to.
    pub answer: EchoAnswer,
}

/// Echo policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EchoList {
    /// The generation of the listing.
    pub generation: u64,
    /// The policies, in the order of their addresses.
    pub echoes: Vec<EchoInfo>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Command lines and JSON say the same.
    #[test]
    fn words_are_those_of_the_wire() {
        let wire = |value: serde_json::Value| value.as_str().unwrap().to_owned();
        for (rule, word) in EchoRule::ALL {
            assert_eq!(wire(serde_json::to_value(rule).unwrap()), word);
            assert_eq!((rule.word(), EchoRule::from_word(word)), (word, Some(rule)));
        }
        for (down, word) in EchoDown::ALL {
            assert_eq!(wire(serde_json::to_value(down).unwrap()), word);
            assert_eq!((down.word(), EchoDown::from_word(word)), (word, Some(down)));
        }
        for answer in ["reply", "drop", "host", "admin", "backend"] {
            let read: EchoAnswer = serde_json::from_value(answer.into()).unwrap();
            assert_eq!(read.word(), answer);
        }
    }
}
