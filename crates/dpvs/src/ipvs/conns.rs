// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections as `/proc/net/ip_vs_conn` lists them.

use dpvs_api::types::{Connection, Endpoint, Protocol};
use std::net::IpAddr;

/// The first line.
pub(super) const HEADER: &str =
    "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n";
/// Longest text of a message.
const TEXT_LEN_MAX: usize = 12 << 10;

/// Lines put together to texts that have room in a message.
#[derive(Debug, Default)]
pub(super) struct Texts(pub(super) Vec<String>);

impl Texts {
    pub(super) fn add(&mut self, line: &str) {
        match self.0.last_mut() {
            Some(text) if text.len() + line.len() <= TEXT_LEN_MAX => text.push_str(line),
            _ => self.0.push(line.to_owned()),
        }
    }
}

/// Returns the line of a connection.
pub(super) fn row(conn: &Connection) -> String {
    let protocol = match conn.protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
        Protocol::Icmp => "ICMP",
        Protocol::Icmpv6 => "ICMPv6",
    };
    let (client, virtual_, dest) = (end(conn.client), end(conn.virtual_), end(conn.dest));
    let Connection { state, expires, .. } = conn;
    format!("{protocol:<3} {client} {virtual_} {dest} {state:<11} {expires:7}\n")
}

/// Address and port in hexadecimal; an IPv6 address with all its digits.
fn end(Endpoint { address, port }: Endpoint) -> String {
    match address {
        IpAddr::V4(v4) => format!("{:08X} {port:04X}", v4.to_bits()),
        IpAddr::V6(v6) => {
            let groups = v6.segments().map(|group| format!("{group:04x}"));
            format!("{} {port:04X}", groups.join(":"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpvs_api::types::Forward;

    fn conn(client: &str, virtual_: &str, dest: &str) -> Connection {
        let end = |text: &str| {
            let end: std::net::SocketAddr = text.parse().unwrap();
            Endpoint { address: end.ip(), port: end.port() }
        };
        Connection {
            worker: 0,
            protocol: Protocol::Tcp,
            state: "ESTABLISHED".to_owned(),
            expires: 899,
            client: end(client),
            virtual_: end(virtual_),
            forward: Forward::Nat,
            local: None,
            dest: end(dest),
            in_packets: 0,
            out_packets: 0,
            template: false,
        }
    }

    #[test]
    fn a_connection_is_listed_as_the_kernel_lists_it() {
        assert_eq!(
            row(&conn("192.168.0.1:51234", "10.0.0.1:80", "10.1.1.1:8080")),
            "TCP C0A80001 C822 0A000001 0050 0A010101 1F90 ESTABLISHED     899\n"
        );
        assert_eq!(
            row(&conn("[fd00::1]:1", "[fd00::100]:80", "[fd00::2]:80")),
            "TCP fd00:0000:0000:0000:0000:0000:0000:0001 0001 \
             fd00:0000:0000:0000:0000:0000:0000:0100 0050 \
             fd00:0000:0000:0000:0000:0000:0000:0002 0050 ESTABLISHED     899\n"
        );
    }
}
