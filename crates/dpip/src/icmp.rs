// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words of `dpip icmp`.

use crate::request::Request;
use crate::stop::{NOT_SUPPORT, Stop};
use crate::value::number;
use crate::words::{Command, Words};
use dpvs_api::types::{IcmpDecisionsParams, IcmpServersParams};

/// Reads the words after `icmp COMMAND`.
pub(crate) fn parse(command: Command, mut words: Words<'_>) -> Result<Request, Stop> {
    match command {
        Command::Show => match words.next() {
            None => Ok(Request::IcmpShow),
            Some(_) => Err(Stop::parse("too many arguments")),
        },
        Command::Servers => {
            let mut params = IcmpServersParams::default();
            while let Some(word) = words.next() {
                match word {
                    "limit" => params.limit = Some(number(words.value(word)?)?),
                    _ => return Err(Stop::parse(format!("unknow argument `{word}'"))),
                }
            }
            Ok(Request::IcmpServers(params))
        }
        Command::Decisions => {
            let mut params = IcmpDecisionsParams::default();
            while let Some(word) = words.next() {
                match word {
                    "worker" => params.worker = Some(number(words.value(word)?)?),
                    "limit" => params.limit = Some(number(words.value(word)?)?),
                    _ => return Err(Stop::parse(format!("unknow argument `{word}'"))),
                }
            }
            Ok(Request::IcmpDecisions(params))
        }
        _ => Err(Stop::Action(NOT_SUPPORT)),
    }
}
