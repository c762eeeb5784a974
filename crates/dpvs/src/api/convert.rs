// SPDX-License-Identifier: MIT OR Apache-2.0
//! Between the types of the wire and those of the core.

use dpvs_api::types as wire;
use dpvs_api::{ErrorCode, RpcError};
use dpvs_core::PortId;
use dpvs_core::counters::Traffic;
use dpvs_core::key::{Address, Endpoint};
use dpvs_core::net::{Family, Mac, Prefix, Protocol};
use dpvs_core::tables::{
    Forward, Port, Refusal, RefusalKind, Scope, Tables, Tunnel, TunnelChecksum, TunnelKind,
};
use std::net::IpAddr;

/// The error of a refused change.
pub(super) fn refused(refusal: Refusal) -> RpcError {
    let code = match refusal.kind {
        RefusalKind::Exist => ErrorCode::Exist,
        RefusalKind::NoService => ErrorCode::NoService,
        RefusalKind::NoDest => ErrorCode::NoDest,
        RefusalKind::NoScheduler => ErrorCode::NoScheduler,
        RefusalKind::Invalid => ErrorCode::Invalid,
        RefusalKind::Range => ErrorCode::Range,
        RefusalKind::NoDevice => ErrorCode::NoDevice,
        RefusalKind::NoRoute => ErrorCode::NoRoute,
        RefusalKind::NotSupported => ErrorCode::NotSupported,
        RefusalKind::NoMemory => ErrorCode::NoMemory,
        RefusalKind::Busy => ErrorCode::Busy,
    };
    let error = RpcError::new(code, refusal.text);
    match refusal.field {
        Some(field) => error.at(field),
        None => error,
    }
}

/// An error at a field.
pub(super) fn error(code: ErrorCode, text: impl Into<String>, path: &str) -> RpcError {
    RpcError::new(code, text).at(path)
}

/// Reads an address. The core has no place for IPv4-mapped IPv6 addresses, and the wire may not
/// have them (RFC 4942 section 2.2).
pub(super) fn address(ip: IpAddr, path: &str) -> Result<Address, RpcError> {
    match ip {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            Err(error(ErrorCode::Invalid, format!("{ip} is IPv4-mapped: give it as IPv4"), path))
        }
        _ => Ok(Address::from(ip)),
    }
}

/// Reads an address with the length of its prefix, of which no host bits may be set.
pub(super) fn network(ip: IpAddr, len: u8, paths: [&str; 2]) -> Result<Prefix, RpcError> {
    let [address_path, len_path] = paths;
    address(ip, address_path)?;
    let prefix = prefix(ip, len, len_path)?;
    if prefix.address() == ip {
        return Ok(prefix);
    }
    let text = format!("{ip}/{len} has host bits set: {}/{len} is the prefix", prefix.address());
    Err(error(ErrorCode::Invalid, text, address_path))
}

/// Reads an address with the length of the prefix that it lies in.
pub(super) fn prefix(ip: IpAddr, len: u8, path: &str) -> Result<Prefix, RpcError> {
    Prefix::containing(ip, len).ok_or_else(|| {
        let bits = Family::of(ip).bits();
        error(ErrorCode::Range, format!("the length of a prefix is at most {bits}"), path)
    })
}

/// Reads a protocol.
pub(super) fn protocol(name: wire::Protocol) -> Protocol {
    match name {
        wire::Protocol::Tcp => Protocol::Tcp,
        wire::Protocol::Udp => Protocol::Udp,
        wire::Protocol::Sctp => Protocol::Sctp,
        wire::Protocol::Icmp => Protocol::Icmp,
        wire::Protocol::Icmpv6 => Protocol::Icmpv6,
    }
}

/// Writes a protocol.
pub(super) fn wire_protocol(protocol: Protocol) -> wire::Protocol {
    match protocol {
        Protocol::Tcp => wire::Protocol::Tcp,
        Protocol::Udp => wire::Protocol::Udp,
        Protocol::Sctp => wire::Protocol::Sctp,
        Protocol::Icmp => wire::Protocol::Icmp,
        Protocol::Icmpv6 => wire::Protocol::Icmpv6,
    }
}

/// Reads a forwarding method.
pub(super) fn forward(method: wire::Forward) -> Forward {
    match method {
        wire::Forward::FullNat => Forward::FullNat,
        wire::Forward::Nat => Forward::Nat,
        wire::Forward::Direct => Forward::Direct,
        wire::Forward::Tunnel => Forward::Tunnel,
        wire::Forward::Snat => Forward::Snat,
        wire::Forward::Local => Forward::Local,
    }
}

/// Writes a forwarding method.
pub(super) fn wire_forward(method: Forward) -> wire::Forward {
    match method {
        Forward::FullNat => wire::Forward::FullNat,
        Forward::Nat => wire::Forward::Nat,
        Forward::Direct => wire::Forward::Direct,
        Forward::Tunnel => wire::Forward::Tunnel,
        Forward::Snat => wire::Forward::Snat,
        Forward::Local => wire::Forward::Local,
    }
}

/// Reads how a tunnel wraps packets. What its kind would ignore is refused.
pub(super) fn tunnel(tunnel: wire::Tunnel) -> Result<Tunnel, RpcError> {
    let wire::Tunnel { kind, port, checksum } = tunnel;
    let invalid = |text: &str, path| Err(error(ErrorCode::Invalid, text, path));
    if kind != wire::TunnelType::Gue && port != 0 {
        return invalid("GUE tunnels alone have a UDP port", "tunnel.port");
    }
    match (kind, checksum) {
        (wire::TunnelType::Ipip, wire::TunnelChecksum::Checksum | wire::TunnelChecksum::Remote) => {
            return invalid("IP in IP has no checksum", "tunnel.checksum");
        }
        (wire::TunnelType::Gre, wire::TunnelChecksum::Remote) => {
            return invalid("GRE has no remote checksum offload", "tunnel.checksum");
        }
        _ => {}
    }
    let kind = match kind {
        wire::TunnelType::Ipip => TunnelKind::Ipip,
        wire::TunnelType::Gue => TunnelKind::Gue,
        wire::TunnelType::Gre => TunnelKind::Gre,
    };
    let checksum = match checksum {
        wire::TunnelChecksum::None => TunnelChecksum::None,
        wire::TunnelChecksum::Checksum => TunnelChecksum::Full,
        wire::TunnelChecksum::Remote => TunnelChecksum::Remote,
    };
    Ok(Tunnel { kind, port, checksum })
}

/// Writes how a tunnel wraps packets.
pub(super) fn wire_tunnel(tunnel: Tunnel) -> wire::Tunnel {
    let Tunnel { kind, port, checksum } = tunnel;
    let kind = match kind {
        TunnelKind::Ipip => wire::TunnelType::Ipip,
        TunnelKind::Gue => wire::TunnelType::Gue,
        TunnelKind::Gre => wire::TunnelType::Gre,
    };
    let checksum = match checksum {
        TunnelChecksum::None => wire::TunnelChecksum::None,
        TunnelChecksum::Full => wire::TunnelChecksum::Checksum,
        TunnelChecksum::Remote => wire::TunnelChecksum::Remote,
    };
    wire::Tunnel { kind, port, checksum }
}

/// Reads a scope.
pub(super) fn scope(scope: wire::Scope) -> Scope {
    match scope {
        wire::Scope::Host => Scope::Host,
        wire::Scope::KniHost => Scope::KniHost,
        wire::Scope::Link => Scope::Link,
        wire::Scope::Global => Scope::Global,
    }
}

/// Writes a scope.
pub(super) fn wire_scope(scope: Scope) -> wire::Scope {
    match scope {
        Scope::Host => wire::Scope::Host,
        Scope::KniHost => wire::Scope::KniHost,
        Scope::Link => wire::Scope::Link,
        Scope::Global => wire::Scope::Global,
    }
}

/// Writes counters.
pub(super) fn stats(traffic: Traffic) -> wire::Stats {
    let Traffic { connections, in_packets, out_packets, in_bytes, out_bytes } = traffic;
    wire::Stats { connections, in_packets, out_packets, in_bytes, out_bytes }
}

/// Writes an endpoint.
pub(super) fn wire_endpoint(endpoint: Endpoint) -> wire::Endpoint {
    wire::Endpoint { address: endpoint.address.ip(), port: endpoint.port }
}

/// Finds a port by its name.
pub(super) fn device<'a>(tables: &'a Tables, name: &str) -> Result<&'a Port, RpcError> {
    device_at(tables, name, "device")
}

/// Finds the port that a field names.
pub(super) fn device_at<'a>(
    tables: &'a Tables,
    name: &str,
    path: &str,
) -> Result<&'a Port, RpcError> {
    tables.port_by_name(name).and_then(|id| tables.port(id)).ok_or_else(|| {
        let names: Vec<&str> = tables.ports().iter().map(|port| port.name.as_str()).collect();
        let text = format!("there is no port {name:?}; the ports are: {}", names.join(", "));
        error(ErrorCode::NoDevice, text, path)
    })
}

/// Returns a port's name.
pub(super) fn device_name(tables: &Tables, port: PortId) -> String {
    tables.port(port).map(|port| port.name.clone()).unwrap_or_default()
}

/// Reads a link address.
pub(super) fn mac(text: &str) -> Result<Mac, RpcError> {
    text.parse()
        .map_err(|bad: dpvs_core::net::BadMac| error(ErrorCode::Invalid, bad.to_string(), "lladdr"))
}

/// Which of a listing's rows are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    port: Option<PortId>,
    family: Option<Family>,
}

impl Wanted {
    /// Reads the filter of a listing.
    pub(super) fn new(tables: &Tables, filter: &wire::DeviceFilter) -> Result<Self, RpcError> {
        let port = match &filter.device {
            Some(name) => Some(device(tables, name)?.id),
            None => None,
        };
        let family = filter.family.map(|family| match family {
            wire::Family::Inet => Family::V4,
            wire::Family::Inet6 => Family::V6,
        });
        Ok(Wanted { port, family })
    }

    /// Returns whether a row of a port and a family is wanted.
    pub(super) fn matches(self, port: PortId, family: Family) -> bool {
        self.has_port(port) && self.family.is_none_or(|wanted| wanted == family)
    }

    /// Returns whether a row of a port is wanted.
    pub(super) fn has_port(self, port: PortId) -> bool {
        self.port.is_none_or(|wanted| wanted == port)
    }
}
