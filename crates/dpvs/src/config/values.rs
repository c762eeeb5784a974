// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of the configuration file that are checked as they are read.

use super::{PORT_NAME_LEN_MAX, is_port_name};
use dpdk::PortSpec;
use dpvs_core::net::{Family, Prefix};
use dpvs_core::steering::{KEY_LEN, WORKERS_MAX};
use dpvs_core::tables::Timeouts;
use serde::{Deserialize, Deserializer, de};
use std::net::IpAddr;

pub(super) fn yes() -> bool {
    true
}

pub(super) fn port_name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let name = String::deserialize(from)?;
    if is_port_name(&name) {
        return Ok(name);
    }
    Err(de::Error::custom(format!(
        "`{name}` is not a port name: 1 to {PORT_NAME_LEN_MAX} letters, digits, `.`, `_` or `-`"
    )))
}

/// Networks; an address alone is one of itself.
pub(super) fn prefixes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Prefix>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    let bad = |text| de::Error::custom(format!("`{text}` is not a network, such as 10.0.0.0/8"));
    texts.iter().map(|text| prefix(text).ok_or_else(|| bad(text))).collect()
}

fn prefix(text: &str) -> Option<Prefix> {
    let (address, len) = match text.split_once('/') {
        Some((address, len)) => (address, Some(len.parse().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let prefix = Prefix::containing(address, len.unwrap_or(Family::of(address).bits()))?;
    (prefix.address() == address).then_some(prefix)
}

pub(super) fn device<'de, D: Deserializer<'de>>(from: D) -> Result<PortSpec, D::Error> {
    String::deserialize(from)?.parse().map_err(de::Error::custom)
}

fn between<'de, D, T>(from: D, what: &str, min: T, max: T) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Copy + PartialOrd + std::fmt::Display,
{
    let value = T::deserialize(from)?;
    if value >= min && value <= max {
        return Ok(value);
    }
    Err(de::Error::custom(format!("{what} must be {min} to {max}, not {value}")))
}

pub(super) fn workers<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    between(from, "workers", 1, WORKERS_MAX)
}

pub(super) fn connections<'de, D: Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    between(from, "connections", 1024, 1 << 28).map(Some)
}

pub(super) fn buffers<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    between(from, "buffers", 1024, 1 << 24).map(Some)
}

pub(super) fn idle_sleep<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    between(from, "idle_sleep_us", 0, 100_000)
}

pub(super) fn mtu<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u16>, D::Error> {
    between(from, "mtu", 576, 9600).map(Some)
}

pub(super) fn timeout<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    between(from, "a timeout", 1, Timeouts::SECONDS_MAX)
}

pub(super) fn icmp_timeout<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    between(from, "the timeout of ICMP", Timeouts::ICMP_SECONDS_MIN, Timeouts::SECONDS_MAX)
}

pub(super) fn rss_key<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; KEY_LEN], D::Error> {
    let text = String::deserialize(from)?;
    let digits: Vec<u32> =
        text.chars().filter(|c| *c != ':').map_while(|c| c.to_digit(16)).collect();
    let key: Vec<u8> = digits
        .chunks_exact(2)
        .filter_map(|pair| u8::try_from(pair.iter().fold(0, |byte, digit| byte << 4 | digit)).ok())
        .collect();
    let is_hex = text.chars().all(|c| c == ':' || c.is_ascii_hexdigit());
    let key: Result<[u8; KEY_LEN], _> = key.try_into();
    key.ok()
        .filter(|_| is_hex && digits.len() == 2 * KEY_LEN)
        .ok_or_else(|| de::Error::custom(format!("rss_key must be {KEY_LEN} bytes in hexadecimal")))
}
