// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real servers, between attributes and the API.

use super::attributes::{Attributes, Writer, dst, family_of};
use super::stats;
use dpvs_api::types::{
    Dest, DestRef, DestSpec, Forward, ServiceKey, Tunnel, TunnelChecksum, TunnelType,
};
use nix::errno::Errno;

/// The bits of the method in its number; the kernel keeps other things in the rest.
const FORWARD_BITS: u32 = 7;
/// Flags of tunnels.
const CHECKSUM: u16 = 1;
const REMOTE_CHECKSUM: u16 = 2;

/// Reads which real server is meant; its family is that of the service unless told.
pub(super) fn named(
    service: ServiceKey,
    family: u16,
    attributes: &Attributes<'_>,
) -> Result<DestRef, Errno> {
    let family = attributes.u16(dst::FAMILY)?.filter(|given| *given != 0).unwrap_or(family);
    let address = attributes.address(dst::ADDRESS, family)?.ok_or(Errno::EINVAL)?;
    let port = attributes.port(dst::PORT)?.ok_or(Errno::EINVAL)?;
    Ok(DestRef { service, address, port })
}

/// Reads a whole real server.
pub(super) fn spec(
    service: ServiceKey,
    family: u16,
    attributes: &Attributes<'_>,
) -> Result<DestSpec, Errno> {
    let DestRef { service, address, port } = named(service, family, attributes)?;
    let number = |kind| attributes.u32(kind)?.ok_or(Errno::EINVAL);
    let forward = match number(dst::FORWARD)? & FORWARD_BITS {
        0 => Forward::Nat,
        1 => Forward::Local,
        2 => Forward::Tunnel,
        3 => Forward::Direct,
        _ => return Err(Errno::EINVAL),
    };
    let tunnel = if forward == Forward::Tunnel { tunnel(attributes)? } else { None };
    Ok(DestSpec {
        service,
        address,
        port,
        forward: Some(forward),
        weight: Some(number(dst::WEIGHT)?),
        upper_threshold: Some(number(dst::UPPER)?),
        lower_threshold: Some(number(dst::LOWER)?),
        tunnel,
    })
}

/// Reads the encapsulation; tools that are too old for it do not send it.
fn tunnel(attributes: &Attributes<'_>) -> Result<Option<Tunnel>, Errno> {
    let Some(kind) = attributes.u8(dst::TUNNEL_KIND)? else { return Ok(None) };
    let kind = match kind {
        0 => TunnelType::Ipip,
        1 => TunnelType::Gue,
        2 => TunnelType::Gre,
        _ => return Err(Errno::EINVAL),
    };
    let port = attributes.port(dst::TUNNEL_PORT)?.unwrap_or(0);
    let checksum = match attributes.u16(dst::TUNNEL_FLAGS)?.unwrap_or(0) {
        0 => TunnelChecksum::None,
        CHECKSUM => TunnelChecksum::Checksum,
        REMOTE_CHECKSUM => TunnelChecksum::Remote,
        _ => return Err(Errno::EINVAL),
    };
    Ok(Some(Tunnel { kind, port, checksum }))
}

/// Returns the number that stock tools have for a method. Those that they do not know translate
/// addresses, and are shown as what does so there.
fn forward_number(forward: Forward) -> u32 {
    match forward {
        Forward::Nat | Forward::FullNat | Forward::Snat => 0,
        Forward::Local => 1,
        Forward::Tunnel => 2,
        Forward::Direct => 3,
    }
}

/// Returns whether `asked`, which a stock tool has said, is what it was shown for `standing`, so
/// that it means no change.
pub(super) fn means_the_same(asked: Forward, standing: Forward) -> bool {
    forward_number(asked) == forward_number(standing)
}

/// Writes a real server.
pub(super) fn write(dest: &Dest) -> Writer {
    let mut own = Writer::default();
    own.address(dst::ADDRESS, dest.address);
    own.port(dst::PORT, dest.port);
    own.u32(dst::FORWARD, forward_number(dest.forward));
    own.u32(dst::WEIGHT, dest.weight);
    write_tunnel(&mut own, dest.tunnel);
    own.u32(dst::UPPER, dest.upper_threshold);
    own.u32(dst::LOWER, dest.lower_threshold);
    own.u32(dst::ACTIVE, dest.active);
    own.u32(dst::INACTIVE, dest.inactive);
    own.u32(dst::PERSISTENT, dest.persistent);
    own.u16(dst::FAMILY, family_of(dest.address));
    stats::write(&mut own, [dst::STATS, dst::STATS64], &dest.stats, &dest.rates);
    own
}

fn write_tunnel(own: &mut Writer, tunnel: Option<Tunnel>) {
    let plain = Tunnel { kind: TunnelType::Ipip, port: 0, checksum: TunnelChecksum::None };
    let Tunnel { kind, port, checksum } = tunnel.unwrap_or(plain);
    let kind = match kind {
        TunnelType::Ipip => 0,
        TunnelType::Gue => 1,
        TunnelType::Gre => 2,
    };
    let flags = match checksum {
        TunnelChecksum::None => 0,
        TunnelChecksum::Checksum => CHECKSUM,
        TunnelChecksum::Remote => REMOTE_CHECKSUM,
    };
    own.bytes(dst::TUNNEL_KIND, &[kind]);
    own.port(dst::TUNNEL_PORT, port);
    own.u16(dst::TUNNEL_FLAGS, flags);
}
