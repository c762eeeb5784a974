// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the balancer is told.

use crate::frames::{PORT, VIRTUAL};
use dpvs_api::Call;
use dpvs_api::types::{
    ConfigSpec, DestSpec, Forward, LaddrSpec, Protocol, ServiceKey, ServiceSpec,
};
pub(crate) use dpvs_bench::network::DEVICE;
use dpvs_bench::network::{self, ip};
use std::net::IpAddr;

/// The service that the traffic is for.
pub(crate) fn config(protocol: Protocol, forward: Forward) -> anyhow::Result<ConfigSpec> {
    let virtual_: IpAddr = VIRTUAL.parse()?;
    let key = ServiceKey::Address { protocol, address: virtual_, port: PORT };
    let service = network::service(key, PORT, forward);
    Ok(network::config(service, &[virtual_, other_virtual()]))
}

/// The key of one of the other services.
pub(crate) fn other(n: u16) -> ServiceKey {
    ServiceKey::Address { protocol: Protocol::Udp, address: other_virtual(), port: 1000 + n }
}

/// The real server of one of the other services.
pub(crate) fn dest_of(service: ServiceKey) -> DestSpec {
    DestSpec {
        service,
        address: ip([10, 1, 2, 1]),
        port: PORT,
        forward: Some(Forward::FullNat),
        weight: Some(1),
        upper_threshold: None,
        lower_threshold: None,
        tunnel: None,
    }
}

/// What adds another service, with a real server and a local address.
pub(crate) fn adding(n: u16) -> [Call; 3] {
    let service = other(n);
    [
        Call::ServiceAdd(ServiceSpec::new(service.clone())),
        Call::DestAdd(dest_of(service.clone())),
        Call::LaddrAdd(LaddrSpec {
            service,
            address: ip([10, 1, 1, 1]),
            device: DEVICE.to_owned(),
        }),
    ]
}

fn other_virtual() -> IpAddr {
    ip([10, 0, 0, 200])
}
