// SPDX-License-Identifier: MIT OR Apache-2.0
//! `route show`.

use dpvs_api::types::{RouteSpec, Scope};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

/// Writes a route in one line. IPv4 prints every field always, IPv6 those that say something.
pub fn route(spec: &RouteSpec) -> String {
    if spec.destination.is_ipv4() { route_v4(spec) } else { route_v6(spec) }
}

/// `tos` and `proto` are constants, and so is the blank at the end: scripts count fields.
fn route_v4(spec: &RouteSpec) -> String {
    let none = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    format!(
        "inet {to}/{len} via {via} src {src} dev {device} mtu {mtu} tos 0 scope {scope} metric \
         {metric} proto auto \n",
        to = spec.destination,
        len = spec.prefix_len,
        via = spec.via.unwrap_or(none),
        src = spec.src.unwrap_or(none),
        device = spec.device.as_deref().unwrap_or_default(),
        mtu = spec.mtu,
        scope = scope(spec),
        metric = spec.metric,
    )
}

fn route_v6(spec: &RouteSpec) -> String {
    let mut text = match spec.prefix_len {
        0 => "inet6 default".to_owned(),
        len => format!("inet6 {}/{len}", spec.destination),
    };
    if let Some(via) = spec.via {
        let _ = write!(text, " via {via}");
    }
    if let Some(src) = spec.src {
        let _ = write!(text, " src {src}");
    }
    let _ = write!(text, " dev {}", spec.device.as_deref().unwrap_or_default());
    if spec.mtu > 0 {
        let _ = write!(text, " mtu {}", spec.mtu);
    }
    let _ = writeln!(text, " scope {}", scope(spec));
    text
}

fn scope(spec: &RouteSpec) -> &'static str {
    match spec.scope {
        Scope::Host => "host",
        Scope::KniHost => "kni_host",
        Scope::Link => "link",
        Scope::Global => "global",
    }
}
