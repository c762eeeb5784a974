// SPDX-License-Identifier: MIT OR Apache-2.0
//! Services, between attributes and the API.

use super::attributes::{Attributes, INET, INET6, Writer, family_of, svc};
use super::stats;
use dpvs_api::types::{Family, Protocol, Service, ServiceKey, ServiceSpec};
use nix::errno::Errno;

const PERSISTENT: u32 = 0x1;
const ONE_PACKET: u32 = 0x4;
/// The three flags of schedulers, with their names.
const SCHEDULER: [(u32, &str); 3] = [(0x8, "flag-1"), (0x10, "flag-2"), (0x20, "flag-3")];
const SCHEDULER_ALL: u32 = 0x38;

/// Reads what a service is known by.
pub(super) fn key(attributes: &Attributes<'_>) -> Result<ServiceKey, Errno> {
    let number = attributes.u16(svc::FAMILY)?.ok_or(Errno::EINVAL)?;
    let family = match number {
        INET => Family::Inet,
        INET6 => Family::Inet6,
        _ => return Err(Errno::EAFNOSUPPORT),
    };
    if let Some(fwmark) = attributes.u32(svc::FWMARK)? {
        return Ok(ServiceKey::FwMark { fwmark, family });
    }
    let protocol = attributes.u16(svc::PROTOCOL)?.ok_or(Errno::EINVAL)?;
    let address = attributes.address(svc::ADDRESS, number)?.ok_or(Errno::EINVAL)?;
    let port = attributes.port(svc::PORT)?.ok_or(Errno::EINVAL)?;
    let protocol = match protocol {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        132 => Protocol::Sctp,
        _ => return Err(Errno::EPROTONOSUPPORT),
    };
    Ok(ServiceKey::Address { protocol, address, port })
}

/// Returns the number of the family of a service's packets.
pub(super) fn family(key: &ServiceKey) -> u16 {
    match key {
        ServiceKey::Address { address, .. } => family_of(*address),
        ServiceKey::FwMark { family: Family::Inet6, .. } => INET6,
        ServiceKey::FwMark { .. } | ServiceKey::Match { .. } => INET,
    }
}

/// Reads a whole service. What stock tools can say is given, so that it replaces what stands; what
/// only dpvs has is not, so that it stays.
pub(super) fn spec(attributes: &Attributes<'_>) -> Result<ServiceSpec, Errno> {
    let mut spec = ServiceSpec::new(key(attributes)?);
    let (flags, mask) = attributes.flags(svc::FLAGS)?.ok_or(Errno::EINVAL)?;
    let timeout = attributes.u32(svc::TIMEOUT)?.ok_or(Errno::EINVAL)?;
    let mask_number = attributes.u32(svc::NETMASK)?.ok_or(Errno::EINVAL)?;
    spec.scheduler = Some(attributes.text(svc::SCHEDULER)?.ok_or(Errno::EINVAL)?);
    spec.persistence_engine = attributes.text(svc::ENGINE)?;
    let is_meant = |flag: u32| mask & flag != 0;
    let has = |flag: u32| flags & flag != 0;
    if is_meant(SCHEDULER_ALL) {
        let names = SCHEDULER.iter().filter(|row| has(row.0)).map(|row| row.1.to_owned());
        spec.scheduler_flags = Some(names.collect());
    }
    spec.one_packet = is_meant(ONE_PACKET).then(|| has(ONE_PACKET));
    spec.persistent = is_meant(PERSISTENT).then(|| if has(PERSISTENT) { timeout } else { 0 });
    if attributes.u16(svc::FAMILY)? == Some(INET) {
        spec.netmask = attributes.netmask(svc::NETMASK)?;
    } else {
        spec.prefix_len = Some(u8::try_from(mask_number).map_err(|_| Errno::EINVAL)?);
    }
    Ok(spec)
}

/// Returns the number of a protocol that stock tools know.
fn protocol_number(protocol: Protocol) -> Option<u16> {
    match protocol {
        Protocol::Tcp => Some(6),
        Protocol::Udp => Some(17),
        Protocol::Sctp => Some(132),
        Protocol::Icmp | Protocol::Icmpv6 => None,
    }
}

/// Returns whether stock tools have words for a service of this key.
pub(super) fn is_known(key: &ServiceKey) -> bool {
    matches!(key, ServiceKey::Address { protocol, .. } if protocol_number(*protocol).is_some())
}

/// Writes a service; `None` if stock tools have no word for it.
pub(super) fn write(service: &Service) -> Option<Writer> {
    let ServiceKey::Address { protocol, address, port } = service.service else { return None };
    let mut own = Writer::default();
    own.u16(svc::FAMILY, family_of(address));
    own.u16(svc::PROTOCOL, protocol_number(protocol)?);
    own.address(svc::ADDRESS, address);
    own.port(svc::PORT, port);
    own.text(svc::SCHEDULER, &service.scheduler);
    if !service.persistence_engine.is_empty() {
        own.text(svc::ENGINE, &service.persistence_engine);
    }
    let flags = [flags(service).to_ne_bytes(), u32::MAX.to_ne_bytes()].concat();
    own.bytes(svc::FLAGS, &flags);
    own.u32(svc::TIMEOUT, service.persistent);
    if address.is_ipv4() {
        own.bytes(svc::NETMASK, &service.netmask.octets());
    } else {
        own.u32(svc::NETMASK, u32::from(service.prefix_len));
    }
    stats::write(&mut own, [svc::STATS, svc::STATS64], &service.stats, &service.rates);
    Some(own)
}

fn flags(service: &Service) -> u32 {
    let mut flags = 0;
    if service.persistent > 0 {
        flags |= PERSISTENT;
    }
    if service.one_packet {
        flags |= ONE_PACKET;
    }
    for name in &service.scheduler_flags {
        flags |= match name.as_str() {
            "flag-1" | "sh-fallback" | "mh-fallback" => 0x8,
            "flag-2" | "sh-port" | "mh-port" => 0x10,
            _ => 0x20,
        };
    }
    flags
}
