// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words of `dpip echo`.

use crate::options::Options;
use crate::request::Request;
use crate::stop::{NOT_SUPPORT, Stop};
use crate::value::{address, number};
use crate::words::{Command, Words};
use dpvs_api::types::{EchoDown, EchoPolicy, EchoRef, EchoRule, EchoSpec};
use std::net::IpAddr;

#[derive(Debug, Default)]
struct Given {
    address: Option<IpAddr>,
    rule: Option<EchoRule>,
    quorum: Option<u32>,
    down: EchoDown,
    max_size: u16,
}

/// Reads the words after `echo COMMAND`.
pub(crate) fn parse(
    command: Command,
    options: &Options,
    words: Words<'_>,
) -> Result<Request, Stop> {
    let given = read(options, words)?;
    match command {
        Command::Show => Ok(Request::EchoShow(options.family)),
        Command::Set => {
            let address = require_address(&given)?;
            let rule = given.rule.ok_or_else(|| Stop::check("missing policy"))?;
            if (rule == EchoRule::Quorum) != given.quorum.is_some() {
                return Err(Stop::check("the policy quorum has a quorum, and no other"));
            }
            let Given { quorum, down, max_size, .. } = given;
            let policy = EchoPolicy { rule, quorum, down, max_size };
            Ok(Request::EchoSet(EchoSpec { address, policy }))
        }
        Command::Del => Ok(Request::EchoDel(EchoRef { address: require_address(&given)? })),
        _ => Err(Stop::Action(NOT_SUPPORT)),
    }
}

fn read(options: &Options, mut words: Words<'_>) -> Result<Given, Stop> {
    let mut given = Given::default();
    while let Some(word) = words.next() {
        match word {
            "policy" => {
                let text = words.value(word)?;
                let bad = || Stop::parse(format!("invalid policy: {text}"));
                given.rule = Some(EchoRule::from_word(text).ok_or_else(bad)?);
            }
            "quorum" => given.quorum = Some(number(words.value(word)?)?),
            "down" => {
                let text = words.value(word)?;
                let bad = || Stop::parse(format!("invalid down: {text}"));
                given.down = EchoDown::from_word(text).ok_or_else(bad)?;
            }
            "max-size" => given.max_size = number(words.value(word)?)?,
            _ => given.address = Some(address(word, options.family)?),
        }
    }
    Ok(given)
}

fn require_address(given: &Given) -> Result<IpAddr, Stop> {
    given.address.ok_or_else(|| Stop::check("missing ip address"))
}
