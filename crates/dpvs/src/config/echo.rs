// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sections `[[echo]]`: echo policies that stand from the start.

use super::{Config, ConfigError};
use crate::api;
use dpvs_api::types::{EchoDown, EchoPolicy, EchoRule, EchoSpec};
use dpvs_core::steering::{KEY_DEFAULT, Steering};
use dpvs_core::tables::{Draft, Limits, Tables};
use serde::Deserialize;
use std::collections::HashSet;
use std::net::IpAddr;

/// The echo policy of an address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EchoSection {
    address: IpAddr,
    policy: EchoRule,
    quorum: Option<u32>,
    #[serde(default)]
    down: EchoDown,
    #[serde(default)]
    max_size: u16,
}

impl Config {
    /// Sets the configured echo policies.
    ///
    /// # Errors
    /// If an address or a policy cannot be, or an address has two.
    pub(crate) fn set_echoes(&self, draft: &mut Draft) -> Result<(), ConfigError> {
        let mut addresses = HashSet::new();
        for section in &self.echoes {
            let EchoSection { address, policy: rule, quorum, down, max_size } = *section;
            let policy = EchoPolicy { rule, quorum, down, max_size };
            let error = |message| ConfigError::Echo { address, message };
            if !addresses.insert(address) {
                return Err(error("it has two policies".to_owned()));
            }
            api::set_echo(draft, &EchoSpec { address, policy })
                .map_err(|refusal| error(refusal.message))?;
        }
        Ok(())
    }

    /// Checks the configured echo policies.
    pub(super) fn check_echoes(&self) -> Result<(), ConfigError> {
        let nothing = Tables::new(Vec::new(), Steering::new(1, &KEY_DEFAULT), Limits::default());
        self.set_echoes(&mut Draft::new(&nothing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpvs_core::tables;
    use dpvs_core::testing::address;
    use std::path::Path;

    fn load(text: &str) -> Result<Config, String> {
        let config = Config::parse(text, Path::new("f")).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn policies_stand_from_the_start() {
        let config = load(
            r#"
            [[echo]]
            address = "203.0.113.80"
            policy = "any-up"
            [[echo]]
            address = "2001:db8::80"
            policy = "quorum"
            quorum = 2
            down = "host"
            max_size = 64
            "#,
        )
        .unwrap();
        let mut draft = Draft::new(&dpvs_core::testing::tables(1));
        config.set_echoes(&mut draft).unwrap();
        let tables = draft.publish();
        let policy = |text| tables.echo(address(text)).unwrap().policy;
        let any_up = tables::EchoPolicy {
            rule: tables::EchoRule::AnyUp,
            down: tables::EchoDown::Drop,
            data_max: 0,
        };
        assert_eq!(policy("203.0.113.80"), any_up);
        let quorum = tables::EchoPolicy {
            rule: tables::EchoRule::Quorum(2),
            down: tables::EchoDown::Host,
            data_max: 64,
        };
        assert_eq!(policy("2001:db8::80"), quorum);
        assert_eq!(tables.echoes().count(), 2);
    }

    #[test]
    fn policies_that_cannot_be_are_refused() {
        let never = "policy = \"never\"\n";
        for (text, expected) in [
            (format!("address = \"224.0.0.1\"\n{never}"), "[[echo]] of 224.0.0.1: "),
            (format!("address = \"::ffff:10.0.0.1\"\n{never}"), "[[echo]] of ::ffff:10.0.0.1: "),
            (format!("address = \"10.0.0.1\"\n{never}quorum = 2\n"), "the rule quorum alone"),
            ("address = \"10.0.0.1\"\npolicy = \"quorum\"\n".to_owned(), "needs a number"),
            ("address = \"10.0.0.1\"\npolicy = \"quorum\"\nquorum = 0\n".to_owned(), "at least 1"),
            ("address = \"10.0.0.1\"\npolicy = \"up\"\n".to_owned(), "f:3: unknown variant `up`"),
            (format!("address = \"here\"\n{never}"), "f:2: "),
            (never.to_owned(), "missing field `address`"),
            ("address = \"10.0.0.1\"\n".to_owned(), "missing field `policy`"),
            (format!("address = \"10.0.0.1\"\n{never}down = \"rst\"\n"), "f:4: unknown variant"),
        ] {
            let error = load(&format!("[[echo]]\n{text}")).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let one = format!("[[echo]]\naddress = \"10.0.0.1\"\n{never}");
        let error = load(&format!("{one}{one}")).unwrap_err();
        assert_eq!(error, "[[echo]] of 10.0.0.1: it has two policies");
    }
}
