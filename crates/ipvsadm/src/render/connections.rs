// SPDX-License-Identifier: MIT OR Apache-2.0
//! The listing of connections, row by row: tables are large.

use super::{Namer, cut, services::protocol_word};
use crate::invocation::{ConnListing, SockPair};
use crate::names::protocol_name;
use dpvs_api::types::{Connection, Endpoint, Protocol};
use std::net::IpAddr;

/// Longest text of an expiry in the DPVS format.
const EXPIRES_CHARS_MAX: usize = 7;

/// Returns the title of the stock format.
pub fn stock_title(persistent: bool) -> String {
    let (state, source, virtual_, dest) = ("state", "source", "virtual", "destination");
    let rest =
        if persistent { format!("{dest:<18} {:<16} pe_data", "pe name") } else { dest.to_owned() };
    format!("IPVS connection entries\npro expire {state:<11} {source:<18} {virtual_:<18} {rest}\n")
}

/// The ends of a connection as a row has them.
struct Ends {
    client: Endpoint,
    virtual_: Endpoint,
    local: Option<Endpoint>,
    dest: Endpoint,
}

impl Ends {
    /// The ends of an ICMP query have its identifier where others have ports: the client's on its
    /// side, and on the server's the one that the server sees.
    fn of(conn: &Connection) -> Self {
        let Connection { client, virtual_, local, dest, .. } = *conn;
        if conn.template || !is_icmp(conn.protocol) {
            return Ends { client, virtual_, local, dest };
        }
        let seen = local.map_or(client.port, |local| local.port);
        let virtual_ = Endpoint { port: client.port, ..virtual_ };
        Ends { client, virtual_, local, dest: Endpoint { port: seen, ..dest } }
    }
}

fn is_icmp(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Icmp | Protocol::Icmpv6)
}

/// Returns a row of the stock format.
pub fn stock_row(conn: &Connection, namer: &Namer<'_>) -> String {
    let end = |end: Endpoint| namer.endpoint(end.address, end.port, conn.protocol);
    let Ends { client, virtual_, dest, .. } = Ends::of(conn);
    let expires = format!("{:02}:{:02}", conn.expires / 60, conn.expires % 60);
    format!(
        "{:<3} {expires:<6} {:<11} {:<18} {:<18} {}\n",
        protocol_word(conn.protocol),
        conn.state,
        end(client),
        end(virtual_),
        end(dest),
    )
}

/// Returns a row of the DPVS format. Workers are counted from 1, as the lcores of DPVS are.
pub fn dpvs_row(conn: &Connection, namer: &Namer<'_>) -> String {
    let end = |end: Endpoint| namer.endpoint(end.address, end.port, conn.protocol);
    let Ends { client, virtual_, local, dest } = Ends::of(conn);
    let expires = cut(format!("{}s", conn.expires), EXPIRES_CHARS_MAX);
    let nothing = match conn.dest.address {
        IpAddr::V4(_) => "0.0.0.0:0",
        IpAddr::V6(_) => "[::]:0",
    };
    let local = local.map_or_else(|| nothing.to_owned(), end);
    format!(
        "[{}]{:<3} {expires:<6} {:<11} {:<18} {:<18} {local:<18} {}\n",
        u64::from(conn.worker) + 1,
        protocol_name(conn.protocol),
        conn.state,
        end(client),
        end(virtual_),
        end(dest),
    )
}

/// Tells whether a connection is one that the listing asks for.
///
/// In the DPVS format templates are listed instead of connections, in stock's along with them.
pub fn is_wanted(conn: &Connection, listing: &ConnListing, dpvs: bool) -> bool {
    match listing.sockpair {
        Some(SockPair { protocol, client, virtual_ }) => {
            conn.protocol == protocol && conn.client == client && conn.virtual_ == virtual_
        }
        None => !dpvs || conn.template == listing.persistent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::NoNames;
    use dpvs_api::types::Forward;

    const NUMERIC: Namer<'static> = Namer { names: &NoNames, numeric: true };

    fn end(text: &str) -> Endpoint {
        let address: std::net::SocketAddr = text.parse().unwrap();
        Endpoint { address: address.ip(), port: address.port() }
    }

    fn conn(protocol: Protocol, expires: u32, state: &str, ends: [&str; 4]) -> Connection {
        Connection {
            worker: 2,
            protocol,
            state: state.to_owned(),
            expires,
            forward: Forward::FullNat,
            client: end(ends[0]),
            virtual_: end(ends[1]),
            local: (!ends[2].is_empty()).then(|| end(ends[2])),
            dest: end(ends[3]),
            in_packets: 1,
            out_packets: 1,
            template: false,
        }
    }

    #[test]
    fn stock_rows_have_minutes_and_three_ends() {
        assert_eq!(
            stock_title(true),
            "IPVS connection entries\n\
             pro expire state       source             virtual            destination        pe name          pe_data\n"
        );
        assert_eq!(
            stock_title(false),
            "IPVS connection entries\n\
             pro expire state       source             virtual            destination\n"
        );
        let ends = ["192.168.0.1:51234", "10.0.0.1:80", "", "10.1.1.1:8080"];
        assert_eq!(
            stock_row(&conn(Protocol::Tcp, 899, "ESTABLISHED", ends), &NUMERIC),
            "TCP 14:59  ESTABLISHED 192.168.0.1:51234  10.0.0.1:80        10.1.1.1:8080\n"
        );
    }

    #[test]
    fn dpvs_rows_have_the_worker_and_the_local_address() {
        let ends = ["172.16.5.6:45678", "192.168.100.10:80", "10.0.1.1:1025", "10.0.0.1:8080"];
        assert_eq!(
            dpvs_row(&conn(Protocol::Tcp, 87, "ESTABLISHED", ends), &NUMERIC),
            "[3]tcp 87s    ESTABLISHED 172.16.5.6:45678   192.168.100.10:80  10.0.1.1:1025      10.0.0.1:8080\n"
        );
        let ends = ["172.16.5.7:2048", "192.168.100.11:1234", "10.0.1.1:1025", "10.0.0.1:8080"];
        assert_eq!(
            dpvs_row(&conn(Protocol::Sctp, 1_234_567, "NORMAL", ends), &NUMERIC),
            "[3]sctp 1234567 NORMAL      172.16.5.7:2048    192.168.100.11:1234 10.0.1.1:1025      10.0.0.1:8080\n"
        );
    }

    /// Both halves of a ping: by the client's identifier it is found in the client's trace, by the
    /// other one in the server's.
    #[test]
    fn pings_have_identifiers_for_ports() {
        let ends = ["198.51.100.10:4711", "203.0.113.80:0", "10.1.1.200:5", "10.1.1.10:0"];
        let row = |state| conn(Protocol::Icmp, 60, state, ends);
        assert_eq!(
            stock_row(&row("REQUEST"), &NUMERIC) + &stock_row(&row("REPLY"), &NUMERIC),
            "ICMP 01:00  REQUEST     198.51.100.10:4711 203.0.113.80:4711  10.1.1.10:5\n\
             ICMP 01:00  REPLY       198.51.100.10:4711 203.0.113.80:4711  10.1.1.10:5\n"
        );
        assert_eq!(
            dpvs_row(&row("REQUEST"), &NUMERIC) + &dpvs_row(&row("REPLY"), &NUMERIC),
            "[3]icmp 60s    REQUEST     198.51.100.10:4711 203.0.113.80:4711  10.1.1.200:5       10.1.1.10:5\n\
             [3]icmp 60s    REPLY       198.51.100.10:4711 203.0.113.80:4711  10.1.1.200:5       10.1.1.10:5\n"
        );
        // NAT and direct routing leave the identifier alone.
        let ends = ["[2001:db8:c::1]:7", "[2001:db8::80]:0", "", "[2001:db8:a::1]:0"];
        let request = conn(Protocol::Icmpv6, 59, "REQUEST", ends);
        assert_eq!(
            stock_row(&request, &NUMERIC),
            "ICMPv6 00:59  REQUEST     [2001:db8:c::1]:7  [2001:db8::80]:7   [2001:db8:a::1]:7\n"
        );
        assert_eq!(
            dpvs_row(&request, &NUMERIC),
            "[3]icmpv6 59s    REQUEST     [2001:db8:c::1]:7  [2001:db8::80]:7   [::]:0             [2001:db8:a::1]:7\n"
        );
    }

    #[test]
    fn templates_have_no_state_and_no_client_port() {
        let ends = ["192.168.0.0:0", "10.0.0.1:80", "", "10.1.1.1:8080"];
        let template = Connection {
            template: true,
            forward: Forward::Nat,
            ..conn(Protocol::Tcp, 355, "NONE", ends)
        };
        assert_eq!(
            stock_row(&template, &NUMERIC),
            "TCP 05:55  NONE        192.168.0.0:0      10.0.0.1:80        10.1.1.1:8080\n"
        );
        assert_eq!(
            dpvs_row(&template, &NUMERIC),
            "[3]tcp 355s   NONE        192.168.0.0:0      10.0.0.1:80        0.0.0.0:0          10.1.1.1:8080\n"
        );
        let sctp =
            conn(Protocol::Sctp, 59, "ESTABLISHED", ["192.168.0.1:1", "10.0.0.1:9", "", ends[3]]);
        assert_eq!(
            stock_row(&sctp, &NUMERIC),
            "SCTP 00:59  ESTABLISHED 192.168.0.1:1      10.0.0.1:9         10.1.1.1:8080\n"
        );
        // Stock lists them with the connections, DPVS either these or those.
        let all = ConnListing::default();
        let templates = ConnListing { persistent: true, ..all };
        let wanted = |conn| {
            [(&all, false), (&templates, false), (&all, true), (&templates, true)]
                .map(|(listing, dpvs)| is_wanted(conn, listing, dpvs))
        };
        assert_eq!(wanted(&template), [true, true, false, true]);
        assert_eq!(wanted(&sctp), [true, true, true, false]);
    }

    #[test]
    fn a_socket_pair_chooses_one_connection() {
        let ends = ["172.16.5.6:45678", "192.168.100.10:80", "", "10.0.0.1:8080"];
        let conn = conn(Protocol::Tcp, 87, "ESTABLISHED", ends);
        let pair = |port| ConnListing {
            sockpair: Some(SockPair {
                protocol: Protocol::Tcp,
                client: Endpoint { port, ..conn.client },
                virtual_: conn.virtual_,
            }),
            ..ConnListing::default()
        };
        assert!(is_wanted(&conn, &pair(45678), true));
        assert!(!is_wanted(&conn, &pair(45679), true));
        let templates = ConnListing { persistent: true, ..ConnListing::default() };
        assert!(!is_wanted(&conn, &templates, true));
        assert!(is_wanted(&conn, &templates, false));
    }
}
