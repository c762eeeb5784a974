// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words of `dpip addr`.

use crate::options::Options;
use crate::request::Request;
use crate::stop::{NOT_SUPPORT, Stop};
use crate::value::{Prefix, address, number};
use crate::words::{Command, Words};
use dpvs_api::types::{AddrRef, AddrSpec, DeviceFilter, Scope};
use std::net::IpAddr;

#[derive(Debug, Default)]
struct Given {
    prefix: Option<Prefix>,
    device: Option<String>,
    broadcast: Option<IpAddr>,
    scope: Scope,
    valid_lft: u32,
    preferred_lft: u32,
    sapool: bool,
}

/// Reads the words after `addr COMMAND`.
pub(crate) fn parse(
    command: Command,
    options: &Options,
    words: Words<'_>,
) -> Result<Request, Stop> {
    let given = read(options, words)?;
    let family = options.family;
    match command {
        Command::Show => Ok(Request::AddrShow(DeviceFilter { device: given.device, family })),
        Command::Flush => {
            let device = Some(require_device(given.device)?);
            Ok(Request::AddrFlush(DeviceFilter { device, family }))
        }
        Command::Add => Ok(Request::AddrAdd(spec(given)?)),
        Command::Replace => Ok(Request::AddrReplace(spec(given)?)),
        Command::Set => Ok(Request::AddrSet(spec(given)?)),
        Command::Del => {
            let AddrSpec { address, prefix_len, device, .. } = spec(given)?;
            Ok(Request::AddrDel(AddrRef { address, prefix_len, device }))
        }
        _ => Err(Stop::Action(NOT_SUPPORT)),
    }
}

fn read(options: &Options, mut words: Words<'_>) -> Result<Given, Stop> {
    let mut given = Given::default();
    while let Some(word) = words.next() {
        match word {
            "dev" => given.device = Some(words.value(word)?.to_owned()),
            "broadcast" => given.broadcast = Some(address(words.value(word)?, options.family)?),
            "scope" => given.scope = scope(words.value(word)?)?,
            "valid_lft" => given.valid_lft = lifetime(words.value(word)?)?,
            // The help's spelling, and the one that the original's parser knows.
            "preferred_lft" | "prefered_lft" => {
                given.preferred_lft = lifetime(words.value(word)?)?;
            }
            "sapool" => given.sapool = true,
            _ => given.prefix = Some(Prefix::parse(word, options.family)?),
        }
    }
    Ok(given)
}

fn spec(given: Given) -> Result<AddrSpec, Stop> {
    let prefix = given.prefix.ok_or_else(|| Stop::check("missing IFADDR"))?;
    Ok(AddrSpec {
        address: prefix.address,
        prefix_len: prefix.len,
        device: require_device(given.device)?,
        broadcast: given.broadcast,
        scope: given.scope,
        valid_lft: given.valid_lft,
        preferred_lft: given.preferred_lft,
        sapool: given.sapool,
    })
}

fn require_device(device: Option<String>) -> Result<String, Stop> {
    device.ok_or_else(|| Stop::check("no device specified."))
}

/// Reads a scope: a word, or a number of rtnetlink(7) as far as the daemon has the scope.
fn scope(text: &str) -> Result<Scope, Stop> {
    match text {
        "host" => Ok(Scope::Host),
        "link" => Ok(Scope::Link),
        "global" => Ok(Scope::Global),
        _ => match number::<u8>(text)? {
            0 => Ok(Scope::Global),
            253 => Ok(Scope::Link),
            254 => Ok(Scope::Host),
            _ => Err(Stop::Action(NOT_SUPPORT)),
        },
    }
}

/// Reads a lifetime in seconds; `forever` is 0, as the API has it.
fn lifetime(text: &str) -> Result<u32, Stop> {
    if text == "forever" { Ok(0) } else { number(text) }
}
