// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be set of a service, between the wire and the core.
//!
//! What a request gives wins over what stands (`service.set`) or over the defaults (`service.add`
//! and `service.replace`). What would be ignored is refused.

use super::convert::error;
use dpvs_api::types::ServiceSpec;
use dpvs_api::{ErrorCode, RpcError};
use dpvs_core::net::Family;
use dpvs_core::scheduler::{HashTarget, Scheduler, SchedulerFlags};
use dpvs_core::tables::{Persistence, Service, ServiceKey, ServiceSettings, Timeouts};
use std::net::Ipv4Addr;

/// The upper bits of an IPv4 mask: see [`Persistence::mask`].
const V4_UPPER_BITS: u128 = u128::MAX << 32;
const PREFIX_LEN_MAX: u8 = 128;

/// The flags' names, and those that a scheduler has for them.
const FLAGS: [&str; 3] = ["flag-1", "flag-2", "flag-3"];
const OWN_FLAGS: [(&str, [&str; 2]); 2] =
    [("sh", ["sh-fallback", "sh-port"]), ("mh", ["mh-fallback", "mh-port"])];

/// Puts what a request gives over what stands.
pub(super) fn settings(
    spec: &ServiceSpec,
    key: &ServiceKey,
    standing: Option<ServiceSettings>,
) -> Result<ServiceSettings, RpcError> {
    refuse_what_is_not_offered(spec)?;
    let standing = standing.unwrap_or(ServiceSettings::new(Scheduler::Wlc));
    let scheduler = match &spec.scheduler {
        None => standing.scheduler,
        Some(name) => Scheduler::from_name(name).ok_or_else(|| {
            let names: Vec<&str> = Scheduler::ALL.iter().map(|row| row.1).collect();
            let text = format!("no scheduler {name:?}; there are: {}", names.join(", "));
            error(ErrorCode::NoScheduler, text, "scheduler")
        })?,
    };
    let flags = match &spec.scheduler_flags {
        None => standing.flags,
        Some(names) => read_flags(names, scheduler.name())?,
    };
    Ok(ServiceSettings {
        scheduler,
        flags,
        hash_target: hash_target(spec.hash_target.as_deref(), scheduler, standing.hash_target)?,
        persistence: persistence(spec, key.family(), standing.persistence)?,
        one_packet: spec.one_packet.unwrap_or(standing.one_packet),
        expire_quiescent: spec.expire_quiescent.unwrap_or(standing.expire_quiescent),
        conn_timeout_ms: match spec.conn_timeout {
            None => standing.conn_timeout_ms,
            Some(seconds) => milliseconds(seconds, "conn_timeout")?,
        },
    })
}

/// Refuses attributes that the dataplane does not have. Defaults are let through: they ask for
/// nothing, and `ipvsadm -E` sends them.
fn refuse_what_is_not_offered(spec: &ServiceSpec) -> Result<(), RpcError> {
    let has_text = |value: &Option<String>| value.as_ref().is_some_and(|text| !text.is_empty());
    if let Some(name) = spec.persistence_engine.as_ref().filter(|name| !name.is_empty()) {
        let text = format!("no persistence engine {name:?}: there are none");
        return Err(error(ErrorCode::NoScheduler, text, "persistence_engine"));
    }
    let rows = [
        (
            spec.synproxy == Some(true),
            "synproxy",
            "SYN proxy is not offered: each SYN goes on to a real server",
        ),
        (
            spec.quic == Some(true),
            "quic",
            "QUIC connection ids are not followed: a client that changes its address or port is a \
             new one",
        ),
        (
            has_text(&spec.proxy_protocol),
            "proxy_protocol",
            "PROXY protocol is not offered: nothing is put in front of a client's data",
        ),
        (
            has_text(&spec.dest_check),
            "dest_check",
            "the dataplane does not check real servers: let a checker set their weights",
        ),
    ];
    match rows.iter().find(|row| row.0) {
        None => Ok(()),
        Some((_, path, text)) => Err(error(ErrorCode::NotSupported, *text, path)),
    }
}

/// Reads flags by name. Each scheduler takes the general names, and its own.
fn read_flags(names: &[String], scheduler: &str) -> Result<SchedulerFlags, RpcError> {
    let invalid = |text: String| Err(error(ErrorCode::Invalid, text, "scheduler_flags"));
    let at = |list: &[&str], name: &str| list.iter().position(|other| *other == name);
    let mut flags = SchedulerFlags::NONE;
    for name in names {
        let owner = OWN_FLAGS.iter().find(|(_, own)| own.contains(&name.as_str()));
        let bit = match (at(&FLAGS, name), owner) {
            (Some(bit), _) => bit,
            (None, Some((owner, own))) if *owner == scheduler => at(own, name).unwrap_or(0),
            (None, Some((owner, _))) => {
                return invalid(format!("{name} is a flag of the scheduler {owner} alone"));
            }
            (None, None) => return invalid(format!("no scheduler flag {name:?}")),
        };
        flags.0 |= 1 << bit;
    }
    Ok(flags)
}

/// Writes flags by the names that their scheduler has for them.
fn write_flags(flags: SchedulerFlags, scheduler: &str) -> Vec<String> {
    let own = OWN_FLAGS.iter().find(|(owner, _)| *owner == scheduler).map(|(_, own)| own);
    let name = |(bit, general): (usize, &&str)| {
        let name = own.and_then(|own| own.get(bit)).unwrap_or(general);
        flags.has(SchedulerFlags(1 << bit)).then(|| (*name).to_owned())
    };
    FLAGS.iter().enumerate().filter_map(name).collect()
}

/// Reads what consistent hashing hashes. It goes with its scheduler.
fn hash_target(
    given: Option<&str>,
    scheduler: Scheduler,
    standing: HashTarget,
) -> Result<HashTarget, RpcError> {
    let given = given.map(|text| match text {
        "" => Ok(None),
        "sip" => Ok(Some(HashTarget::Source)),
        "qid" => Ok(Some(HashTarget::QuicId)),
        other => {
            let text = format!("no hash target {other:?}; there are: sip, qid");
            Err(error(ErrorCode::Invalid, text, "hash_target"))
        }
    });
    match (given.transpose()?, scheduler) {
        (None, Scheduler::Conhash) => Ok(standing),
        (Some(target), Scheduler::Conhash) => Ok(target.unwrap_or_default()),
        (None | Some(None), _) => Ok(HashTarget::default()),
        (Some(Some(_)), _) => {
            let text = "the scheduler conhash alone has a choice of what is hashed";
            Err(error(ErrorCode::Invalid, text, "hash_target"))
        }
    }
}

fn persistence(
    spec: &ServiceSpec,
    family: Family,
    standing: Option<Persistence>,
) -> Result<Option<Persistence>, RpcError> {
    let (mask, path) = mask(spec, family)?;
    let timeout_ms = match spec.persistent {
        None => standing.map_or(0, |standing| standing.timeout_ms),
        Some(seconds) => milliseconds(seconds, "persistent")?,
    };
    if timeout_ms > 0 {
        let mask = mask.or(standing.map(|standing| standing.mask));
        return Ok(Some(Persistence { timeout_ms, mask: mask.unwrap_or(Persistence::MASK_WHOLE) }));
    }
    if mask.is_some_and(|mask| mask != Persistence::MASK_WHOLE) {
        let text = "this is part of persistence, which is off";
        return Err(error(ErrorCode::Invalid, text, path));
    }
    Ok(None)
}

/// Reads the mask of persistence, with the field that it is in.
fn mask(spec: &ServiceSpec, family: Family) -> Result<(Option<u128>, &'static str), RpcError> {
    let netmask = spec.netmask.map(|netmask| V4_UPPER_BITS | u128::from(netmask.to_bits()));
    let prefix = match spec.prefix_len {
        None => None,
        Some(len @ 1..=PREFIX_LEN_MAX) => Some(u128::MAX << (PREFIX_LEN_MAX - len)),
        Some(_) => {
            let text = format!("the length of a prefix is 1 to {PREFIX_LEN_MAX}");
            return Err(error(ErrorCode::Range, text, "prefix_len"));
        }
    };
    let (own, other) = match family {
        Family::V4 => ((netmask, "netmask"), (prefix, "prefix_len")),
        Family::V6 => ((prefix, "prefix_len"), (netmask, "netmask")),
    };
    match other {
        (Some(mask), path) if mask != Persistence::MASK_WHOLE => {
            let text = "IPv4 services have a netmask, IPv6 services a prefix length";
            Err(error(ErrorCode::Invalid, text, path))
        }
        _ => Ok(own),
    }
}

/// Reads a time in seconds; 0 is none.
fn milliseconds(seconds: u32, path: &str) -> Result<u32, RpcError> {
    let max = Timeouts::SECONDS_MAX;
    if seconds > max {
        let text = format!("at most {max} s, which are 31 days; 0 is none");
        return Err(error(ErrorCode::Range, text, path));
    }
    Ok(seconds.saturating_mul(1000))
}

/// Attributes of a service that a listing shows in other terms than the core has them in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) scheduler_flags: Vec<String>,
    pub(super) persistent: u32,
    pub(super) netmask: Ipv4Addr,
    pub(super) prefix_len: u8,
    pub(super) hash_target: String,
}

impl Shown {
    pub(super) fn of(service: &Service) -> Self {
        Shown::new(&service.settings, service.key.family())
    }

    fn new(settings: &ServiceSettings, family: Family) -> Self {
        let mask = settings.persistence.map_or(Persistence::MASK_WHOLE, |p| p.mask);
        let v4_bits = u32::try_from(mask & u128::from(u32::MAX)).unwrap_or(u32::MAX);
        let v6_bits = u8::try_from(mask.leading_ones()).unwrap_or(PREFIX_LEN_MAX);
        let (netmask, prefix_len) = match family {
            Family::V4 => (Ipv4Addr::from_bits(v4_bits), PREFIX_LEN_MAX),
            Family::V6 => (Ipv4Addr::BROADCAST, v6_bits),
        };
        Shown {
            scheduler_flags: write_flags(settings.flags, settings.scheduler.name()),
            persistent: settings.persistence.map_or(0, |p| p.timeout_ms / 1000),
            netmask,
            prefix_len,
            hash_target: match (settings.scheduler, settings.hash_target) {
                (Scheduler::Conhash, HashTarget::Source) => "sip".to_owned(),
                (Scheduler::Conhash, HashTarget::QuicId) => "qid".to_owned(),
                _ => String::new(),
            },
        }
    }
}

#[cfg(test)]
#[path = "attributes_tests.rs"]
mod tests;
