// SPDX-License-Identifier: MIT OR Apache-2.0
//! The listing of local addresses.

use super::numeric_endpoint;
use dpvs_api::types::{LaddrList, ServiceKey};
use std::fmt::Write as _;

/// Prints local addresses by service; nothing if there are no services.
pub fn render(list: &LaddrList) -> String {
    let mut text = String::new();
    if list.services.is_empty() {
        return text;
    }
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{:<20} {:<8} {:<20} {:<10} {:<10}",
        "VIP:VPORT", "TOTAL", "SNAT_IP", "CONFLICTS", "CONNS"
    );
    for service in &list.services {
        let name = match &service.service {
            ServiceKey::Address { address, port, .. } => numeric_endpoint(*address, *port),
            _ => "0.0.0.0:0".to_owned(),
        };
        let _ = writeln!(text, "{name:<20} {:<8} ", service.laddrs.len());
        for laddr in &service.laddrs {
            let _ = writeln!(
                text,
                "{:<20} {:<8} {:<20} {:<10} {:<10}",
                "",
                "",
                laddr.address.to_string(),
                laddr.conflicts,
                laddr.connections
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpvs_api::types::{Laddr, Protocol, ServiceLaddrs};

    #[test]
    fn the_table_is_that_of_dpvs() {
        let service = |port| ServiceKey::Address {
            protocol: Protocol::Tcp,
            address: "192.168.100.10".parse().unwrap(),
            port,
        };
        let laddr = |address: &str, conflicts, connections| Laddr {
            address: address.parse().unwrap(),
            device: "dpdk0".to_owned(),
            conflicts,
            connections,
        };
        let laddrs = vec![laddr("10.0.1.1", 0, 100), laddr("10.0.1.2", 7, 101)];
        let list = LaddrList {
            generation: 1,
            services: vec![
                ServiceLaddrs { service: service(80), laddrs },
                ServiceLaddrs { service: service(443), laddrs: Vec::new() },
            ],
            next: None,
        };
        assert_eq!(
            render(&list),
            "VIP:VPORT            TOTAL    SNAT_IP              CONFLICTS  CONNS     \n\
             192.168.100.10:80    2        \n\
             \x20                             10.0.1.1             0          100       \n\
             \x20                             10.0.1.2             7          101       \n\
             192.168.100.10:443   0        \n"
        );
        assert_eq!(render(&LaddrList { generation: 1, services: Vec::new(), next: None }), "");
    }
}
