// SPDX-License-Identifier: MIT OR Apache-2.0
//! The listing of black lists and white lists.

use super::numeric_endpoint;
use super::services::protocol_word;
use crate::invocation::AccessList;
use dpvs_api::types::{AccessPage, ServiceKey};
use std::fmt::Write as _;

/// Prints each client on the lists with its service.
pub fn render(page: &AccessPage, list: AccessList) -> String {
    let title = match list {
        AccessList::Black => "BLACKLIST",
        AccessList::White => "WHITELIST",
    };
    let mut text = String::new();
    // Writing to a string cannot fail.
    let mut row = |protocol: &str, service: &str, client: &str| {
        let _ = writeln!(text, "{protocol:<8} {service:<30} {client:<30}");
    };
    row("PROTO", "VIP:VPORT", title);
    for of_service in &page.services {
        let (protocol, service) = match &of_service.service {
            ServiceKey::Address { protocol, address, port } => {
                (protocol_word(*protocol), numeric_endpoint(*address, *port))
            }
            ServiceKey::Match { pattern } => {
                (pattern.protocol.map_or("any", protocol_word), "0.0.0.0:0".to_owned())
            }
            ServiceKey::FwMark { .. } => ("FWM", "0.0.0.0:0".to_owned()),
        };
        for client in &of_service.clients {
            row(protocol, &service, &client.to_string());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::tests_support::{clients, key};
    use dpvs_api::types::Protocol;

    #[test]
    fn the_table_is_that_of_dpvs_with_all_words_of_protocols() {
        let page = clients(&[
            (key(Protocol::Tcp, "192.168.100.10", 80), &["10.0.0.1", "10.0.0.2"]),
            (key(Protocol::Icmpv6, "2001:db8::11", 0), &["2001:db8::1"]),
        ]);
        assert_eq!(
            render(&page, AccessList::Black),
            "PROTO    VIP:VPORT                      BLACKLIST                     \n\
             TCP      192.168.100.10:80              10.0.0.1                      \n\
             TCP      192.168.100.10:80              10.0.0.2                      \n\
             ICMPv6   [2001:db8::11]:0               2001:db8::1                   \n"
        );
        assert_eq!(
            render(&clients(&[]), AccessList::White),
            "PROTO    VIP:VPORT                      WHITELIST                     \n"
        );
    }
}
