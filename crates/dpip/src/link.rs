// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words of `dpip link`.

use crate::help;
use crate::options::Options;
use crate::request::Request;
use crate::stop::{NOT_SUPPORT, Stop};
use crate::value::{link_address, link_address_text};
use crate::words::{Command, Object, Words};
use dpvs_api::types::LinkSpec;

/// Reads the words after `link COMMAND`.
pub(crate) fn parse(
    command: Command,
    options: &Options,
    words: Words<'_>,
) -> Result<Request, Stop> {
    match command {
        Command::Show => show(options, words),
        Command::Set => set(words),
        Command::Add | Command::Del => bond_slave(words),
        _ => Err(Stop::Action(NOT_SUPPORT)),
    }
}

fn show(options: &Options, mut words: Words<'_>) -> Result<Request, Stop> {
    let name = words.next();
    let state = words.next();
    if let Some(word) = state.filter(|word| *word != "status").or_else(|| words.next()) {
        return Err(bad_name(word));
    }
    let is_rate = options.interval.is_some() || options.count.is_some();
    if options.stats && is_rate && options.interval.unwrap_or(0) <= 0 {
        let note = "miss statistics display interval\n".to_owned();
        return Err(Stop::check(note + &help::object(Object::Link)));
    }
    // Neither the state of bonds nor that of processors is in the control API.
    if state.is_some() || name.is_some_and(|name| name.starts_with("cpu")) {
        return Err(Stop::Action(NOT_SUPPORT));
    }
    Ok(Request::LinkShow(name.map(str::to_owned)))
}

/// An item of `link set`, once its value has been found good.
enum Item {
    Promisc(bool),
    Allmulticast(bool),
    Up(bool),
    Mtu(u32),
    Address(String),
    /// The control API has no field for it.
    NotOffered,
}

fn set(mut words: Words<'_>) -> Result<Request, Stop> {
    let device = words.value("set")?;
    let mut spec = LinkSpec { device: device.to_owned(), ..LinkSpec::default() };
    let mut name = words.value(device)?;
    let mut is_offered = true;
    loop {
        match item(name, &mut words)? {
            Item::Promisc(on) => spec.promisc = Some(on),
            Item::Allmulticast(on) => spec.allmulticast = Some(on),
            Item::Up(up) => spec.up = Some(up),
            Item::Mtu(mtu) => spec.mtu = Some(mtu),
            Item::Address(lladdr) => spec.lladdr = Some(lladdr),
            Item::NotOffered => is_offered = false,
        }
        match words.next() {
            Some(next) => name = next,
            None if is_offered => return Ok(Request::LinkSet(spec)),
            None => return Err(Stop::Action(NOT_SUPPORT)),
        }
    }
}

fn item(name: &str, words: &mut Words<'_>) -> Result<Item, Stop> {
    if !ITEMS.contains(&name) {
        return Err(bad_name(name));
    }
    let value = words.value(name)?;
    let wrong = || Stop::failed(format!("invalid arguement value for '{name}'\n"));
    let on_off = |on: &str, off: &str| match value {
        _ if value == on => Ok(true),
        _ if value == off => Ok(false),
        _ => Err(wrong()),
    };
    match name {
        "promisc" => on_off("on", "off").map(Item::Promisc),
        "allmulticast" => on_off("on", "off").map(Item::Allmulticast),
        "forward2kni" | "tc-egress" | "tc-ingress" => on_off("on", "off").map(|_| Item::NotOffered),
        // The help says up and down, the original's code wants on and off.
        "lldp" => on_off("on", "off").or_else(|_| on_off("up", "down")).map(|_| Item::NotOffered),
        "link" => match on_off("up", "down") {
            Ok(up) => Ok(Item::Up(up)),
            Err(_) => Err(Stop::failed("invalid argument value for 'link'\n".to_owned())),
        },
        "mtu" => value.parse().ok().filter(|mtu| *mtu > 0).map(Item::Mtu).ok_or_else(wrong),
        "addr" => match link_address(value).filter(|bytes| *bytes != [0; 6]) {
            Some(bytes) => Ok(Item::Address(link_address_text(bytes))),
            None => Err(wrong()),
        },
        _ => bond_item(name, value).map(|()| Item::NotOffered),
    }
}

const ITEMS: &[&str] = &[
    "promisc",
    "allmulticast",
    "forward2kni",
    "tc-egress",
    "tc-ingress",
    "lldp",
    "link",
    "addr",
    "mtu",
    "bond-mode",
    "bond-primary",
    "bond-xmit-policy",
    "bond-monitor-interval",
    "bond-link-up-prop",
    "bond-link-down-prop",
];

/// Checks the value of a bond's item. These complaints go to standard output, as they always did.
fn bond_item(name: &str, value: &str) -> Result<(), Stop> {
    let number = value.parse::<u32>().ok();
    let (is_good, complaint) = match name {
        "bond-mode" => (number.is_some_and(|mode| mode <= 6), "invalid bonding mode"),
        "bond-xmit-policy" => {
            let policies = ["layer2", "layer23", "layer34", "LAYER2", "LAYER23", "LAYER34"];
            (policies.contains(&value), "invalid xmit-poliy")
        }
        "bond-monitor-interval" => {
            (number.is_some_and(|interval| interval > 0), "invalid link_monitor_interval")
        }
        "bond-link-up-prop" => (number.is_some(), "invalid link_up_prop"),
        "bond-link-down-prop" => (number.is_some(), "invalid link_down_prop"),
        _ => (true, ""),
    };
    if is_good {
        return Ok(());
    }
    Err(Stop::Output { text: format!("{complaint}: {value}\n"), code: 1 })
}

/// Reads `link add|del BOND bond-slave NIC`, which no daemon of ours has.
fn bond_slave(mut words: Words<'_>) -> Result<Request, Stop> {
    let bond = words.value("link")?;
    match words.value(bond)? {
        "bond-slave" => words.value("bond-slave")?,
        other => return Err(bad_name(other)),
    };
    Err(Stop::Action(NOT_SUPPORT))
}

fn bad_name(name: &str) -> Stop {
    Stop::parse(format!("invalid parameter name '{name}'"))
}
