// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who gets which real server: persistence, thresholds, lists, one packet at a time.

use crate::cells::get;
use dpvs_tests::flows::{Flows, count};
use dpvs_tests::station::{Station, ask, udp_client};
use dpvs_tests::{Lab, Namespace};
use std::time::Duration;

dpvs_tests::lab_tests!(plain:
    a_persistent_client_stays_with_its_server,
    a_netmask_keeps_neighbours_together,
    a_service_for_any_port_keeps_a_client_together,
    a_server_takes_no_more_than_its_threshold,
    a_black_list_keeps_a_client_out,
    a_white_list_keeps_others_out,
    every_datagram_is_scheduled_anew,
    every_datagram_is_scheduled_anew_by_nat,
);

const ONE: &str = "10.1.0.10";
const TWO: &str = "10.1.0.11";

/// Makes a service by NAT with both servers.
fn provision(lab: &Lab, service: &str, options: &str, port: u16) {
    lab.all(&format!(
        "ipvsadm -A {service} -s rr {options}
         ipvsadm -a {service} -r 10.2.0.11:{port} -m
         ipvsadm -a {service} -r 10.2.0.12:{port} -m"
    ));
}

fn web(lab: &Lab, port: u16) -> [Station; 2] {
    [Station::http(&lab.rs1(), port, "rs1"), Station::http(&lab.rs2(), port, "rs2")]
}

/// Gets pages with one of the client's addresses, and returns the servers that gave them.
fn servers(client: &Namespace, source: &str, ports: &[u16]) -> Vec<String> {
    let mut servers: Vec<String> = ports
        .iter()
        .map(|port| get(client, &format!("--interface {source} http://10.0.0.100:{port}/")))
        .collect();
    servers.sort_unstable();
    servers.dedup();
    servers
}

fn is_served(client: &Namespace, source: &str) -> bool {
    client.run(&format!("curl -sS -m 1 --interface {source} http://10.0.0.100/")).code == 0
}

/// Checks that a client is listed as bound to a server.
fn bound(lab: &Lab, client: &str) {
    let connections = lab.daemon().connections();
    let templates: Vec<_> = connections.iter().filter(|conn| conn.template).collect();
    let is_it = |address: std::net::IpAddr| address.to_string() == client;
    assert!(templates.iter().any(|t| is_it(t.client.address)), "{templates:?}");
}

fn a_persistent_client_stays_with_its_server(lab: &mut Lab) {
    let _web = web(lab, 80);
    provision(lab, "-t 10.0.0.100:80", "-p 300", 80);
    for source in [ONE, TWO] {
        let servers = servers(&lab.client(), source, &[80; 12]);
        assert_eq!(servers.len(), 1, "{servers:?}");
        bound(lab, source);
    }
    let listing = lab.run("ipvsadm -Ln").ok();
    assert!(listing.contains("TCP  10.0.0.100:80 rr persistent 300\n"), "{listing}");
}

fn a_netmask_keeps_neighbours_together(lab: &mut Lab) {
    let _web = web(lab, 80);
    provision(lab, "-t 10.0.0.100:80", "-p 300 -M 255.255.255.0", 80);
    let first = servers(&lab.client(), ONE, &[80; 6]);
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!(servers(&lab.client(), TWO, &[80; 6]), first);
    bound(lab, "10.1.0.0");
}

fn a_service_for_any_port_keeps_a_client_together(lab: &mut Lab) {
    let _web = [web(lab, 80), web(lab, 8080)];
    provision(lab, "-t 10.0.0.100:0", "-p 300", 0);
    for source in [ONE, TWO] {
        let servers = servers(&lab.client(), source, &[80, 8080, 80, 8080, 80, 8080]);
        assert_eq!(servers.len(), 1, "{servers:?}");
    }
    let conn = lab.daemon().connections().into_iter().find(|c| c.virtual_.port == 8080).unwrap();
    assert_eq!(conn.dest.port, 8080, "{conn:?}");
}

fn a_server_takes_no_more_than_its_threshold(lab: &mut Lab) {
    let _servers = [Station::marking(&lab.rs1(), 80, b'1'), Station::marking(&lab.rs2(), 80, b'2')];
    lab.all(
        "ipvsadm -A -t 10.0.0.100:80 -s rr
         ipvsadm -a -t 10.0.0.100:80 -r 10.2.0.11:80 -m -x 5
         ipvsadm -a -t 10.0.0.100:80 -r 10.2.0.12:80 -m",
    );
    let mut flows = Flows::open(&lab.client(), "10.0.0.100:80", 40);
    let counts = count(&flows.ask(Duration::from_secs(5)));
    assert_eq!((counts[&Some(b'1')], counts[&Some(b'2')]), (5, 35), "{counts:?}");
}

fn a_black_list_keeps_a_client_out(lab: &mut Lab) {
    let _web = web(lab, 80);
    provision(lab, "-t 10.0.0.100:80", "", 80);
    lab.all("ipvsadm -U -t 10.0.0.100:80 -k 10.1.0.11");
    assert!(is_served(&lab.client(), ONE), "who is not on the list");
    assert!(!is_served(&lab.client(), TWO), "who is on the list");
    assert!(lab.daemon().drops("denied") >= 1);
    assert!(lab.run("ipvsadm -B").ok().contains("10.1.0.11"));
    lab.all("ipvsadm -V -t 10.0.0.100:80 -k 10.1.0.11");
    assert!(is_served(&lab.client(), TWO), "who was on the list");
}

fn a_white_list_keeps_others_out(lab: &mut Lab) {
    let _web = web(lab, 80);
    provision(lab, "-t 10.0.0.100:80", "", 80);
    lab.all("ipvsadm -O -t 10.0.0.100:80 -2 10.1.0.11");
    assert!(!is_served(&lab.client(), ONE), "who is not on the list");
    assert!(is_served(&lab.client(), TWO), "who is on the list");
    assert!(lab.run("ipvsadm -W").ok().contains("10.1.0.11"));
    lab.all("ipvsadm -Y -t 10.0.0.100:80 -2 10.1.0.11");
    assert!(is_served(&lab.client(), ONE), "an empty list keeps nobody out");
}

/// Checks that the datagrams of one client's port take turns, and are answered.
fn datagrams_take_turns(lab: &Lab) {
    let _echo = [(lab.rs1(), "10.2.0.11"), (lab.rs2(), "10.2.0.12")]
        .map(|(server, address)| Station::udp_echo(&server, address.parse().unwrap(), 7));
    let socket = udp_client(&lab.client(), "10.0.0.100:7");
    for number in 0..8_u8 {
        assert_eq!(ask(&socket, &[number]).as_deref(), Ok(&[number][..]), "datagram {number}");
    }
    let seen = [lab.rs1(), lab.rs2()].map(|server| server.snmp("Udp", "InDatagrams"));
    assert_eq!(seen, [4, 4]);
    let listing = lab.run("ipvsadm -Ln").ok();
    assert!(listing.contains("UDP  10.0.0.100:7 rr ops\n"), "{listing}");
}

fn every_datagram_is_scheduled_anew(lab: &mut Lab) {
    lab.all(
        "ipvsadm -A -u 10.0.0.100:7 -s rr --ops
         ipvsadm -P -u 10.0.0.100:7 -z 10.2.0.200 -F dpdk1
         ipvsadm -a -u 10.0.0.100:7 -r 10.2.0.11:7 -b
         ipvsadm -a -u 10.0.0.100:7 -r 10.2.0.12:7 -b",
    );
    datagrams_take_turns(lab);
}

fn every_datagram_is_scheduled_anew_by_nat(lab: &mut Lab) {
    provision(lab, "-u 10.0.0.100:7", "--ops", 7);
    datagrams_take_turns(lab);
}
