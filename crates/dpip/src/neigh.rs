// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words of `dpip neigh`.

use crate::options::Options;
use crate::request::Request;
use crate::stop::{NOT_SUPPORT, Stop};
use crate::value::{address, link_address, link_address_text};
use crate::words::{Command, Words};
use dpvs_api::types::{DeviceFilter, NeighRef, NeighSpec};
use std::net::IpAddr;

#[derive(Debug, Default)]
struct Given {
    address: Option<IpAddr>,
    lladdr: Option<[u8; 6]>,
    device: Option<String>,
}

/// Reads the words after `neigh COMMAND`.
pub(crate) fn parse(
    command: Command,
    options: &Options,
    words: Words<'_>,
) -> Result<Request, Stop> {
    let given = read(options, words)?;
    match command {
        Command::Show => {
            let family = options.family;
            Ok(Request::NeighShow(DeviceFilter { device: given.device, family }))
        }
        Command::Add => spec(given).map(Request::NeighAdd),
        Command::Replace => spec(given).map(Request::NeighReplace),
        Command::Del => {
            let address = require_address(&given)?;
            let device = require_device(given.device)?;
            Ok(Request::NeighDel(NeighRef { address, device }))
        }
        _ => Err(Stop::Action(NOT_SUPPORT)),
    }
}

fn read(options: &Options, mut words: Words<'_>) -> Result<Given, Stop> {
    let mut given = Given::default();
    while let Some(word) = words.next() {
        match word {
            "dev" => given.device = Some(words.value(word)?.to_owned()),
            "lladdr" => {
                let text = words.value(word)?;
                let lladdr = link_address(text);
                given.lladdr = Some(lladdr.ok_or_else(|| Stop::parse("invalid link layer addr"))?);
            }
            _ => given.address = Some(address(word, options.family)?),
        }
    }
    Ok(given)
}

fn spec(given: Given) -> Result<NeighSpec, Stop> {
    let address = require_address(&given)?;
    let lladdr = given
        .lladdr
        .filter(|bytes| *bytes != [0; 6])
        .ok_or_else(|| Stop::check("invalid MAC address"))?;
    let device = require_device(given.device)?;
    Ok(NeighSpec { address, lladdr: link_address_text(lladdr), device })
}

fn require_address(given: &Given) -> Result<IpAddr, Stop> {
    let address = given.address.ok_or_else(|| Stop::check("missing ip address"))?;
    if address.is_unspecified() { Err(Stop::check("invalid IP address")) } else { Ok(address) }
}

fn require_device(device: Option<String>) -> Result<String, Stop> {
    device.ok_or_else(|| Stop::check("no device specified."))
}
