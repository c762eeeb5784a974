// SPDX-License-Identifier: MIT OR Apache-2.0
//! SNAT: the "real servers" are the inside hosts here, the client is a server outside. Who is inside
//! reaches it with an address of the pool.

use crate::cells::{Family, Held, bodies_pass, get, host, of, pings_seen};
use crate::states;
use dpvs_api::types::{Connection, Protocol};
use dpvs_tests::Lab;
use dpvs_tests::station::{Station, ask, udp_client};
use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

dpvs_tests::lab_tests!(plain:
    tcp_udp_and_pings_pass,
    tcp_udp_and_pings_pass_v6,
    one_service_for_all_protocols_is_enough,
    inside_hosts_with_one_identifier_get_their_own_answers,
    a_closed_port_outside_is_refused,
    a_closed_port_outside_is_refused_v6,
    outsiders_do_not_come_in,
);

/// An address of the pool, and what inside hosts look like.
fn pool(family: Family) -> (&'static str, &'static str) {
    match family {
        Family::V4 => ("10.1.0.200", "src-range=10.2.0.0-10.2.0.255,oif=dpdk0"),
        Family::V6 => ("fd00:1::200", "src-range=[fd00:2::-fd00:2::ff]:0-0,oif=dpdk0"),
    }
}

/// Makes a service for each of these protocols; `None` is for all.
pub(crate) fn provision(lab: &Lab, family: Family, protocols: &[Option<&str>]) {
    let (address, inside) = pool(family);
    let (dpip, len) = if family == Family::V4 { ("dpip", 32) } else { ("dpip -6", 128) };
    lab.all(&format!("{dpip} addr add {address}/{len} dev dpdk0"));
    for protocol in protocols {
        let protocol = protocol.map(|p| format!("proto={p},")).unwrap_or_default();
        lab.all(&format!(
            "ipvsadm -A -H {protocol}{inside} -s rr
             ipvsadm -a -H {protocol}{inside} -r {}:0 -J",
            host(address)
        ));
    }
    let listing = lab.run("ipvsadm -Ln").ok();
    let words = listing.lines().filter(|l| l.contains("->") && l.contains(address));
    let words: Vec<_> = words.filter_map(|l| l.split_whitespace().nth(2)).collect();
    assert_eq!(words, vec!["SNAT"; protocols.len()], "{listing}");
}

/// Makes services for the inside hosts of a routed lab, in both families.
pub(crate) fn routed(lab: &Lab) {
    lab.all(
        "dpip addr add 10.1.0.200/32 dev dpdk0
         ipvsadm -A -H src-range=10.4.0.0-10.4.0.255,oif=dpdk0 -s rr
         ipvsadm -a -H src-range=10.4.0.0-10.4.0.255,oif=dpdk0 -r 10.1.0.200:0 -J
         dpip -6 addr add fd00:1::200/128 dev dpdk0
         ipvsadm -A -H src-range=[fd00:4::-fd00:4::ff]:0-0,oif=dpdk0 -s rr
         ipvsadm -a -H src-range=[fd00:4::-fd00:4::ff]:0-0,oif=dpdk0 -r [fd00:1::200]:0 -J",
    );
}

pub(crate) fn each_protocol(family: Family) -> [Option<&'static str>; 3] {
    [Some("tcp"), Some("udp"), Some(if family == Family::V4 { "icmp" } else { "icmpv6" })]
}

/// Checks who is at the ends of a connection: nobody but the two, and the pool between them.
fn check_ends(conn: &Connection, family: Family, port: u16) {
    assert_eq!(conn.client.address.to_string(), family.server(), "{conn:?}");
    assert_eq!(conn.virtual_.address.to_string(), family.client(), "{conn:?}");
    assert_eq!(conn.virtual_.port, port, "{conn:?}");
    assert_eq!(conn.dest, conn.virtual_, "{conn:?}");
    let local = conn.local.map(|local| local.address.to_string());
    assert_eq!(local.as_deref(), Some(pool(family).0), "{conn:?}");
}

fn pass(lab: &Lab, family: Family) {
    let (inside, outside) = (lab.rs1(), lab.client());
    let _web = Station::http(&outside, 80, "outside");
    let url = format!("http://{}/peer", host(family.client()));
    assert_eq!(get(&inside, &url), format!("{}\n", pool(family).0));
    bodies_pass(lab, &inside, family.client());
    let held = Held::open(&inside, family.client());
    check_ends(&held.connection(lab), family, 80);
    held.close(lab);

    let _echo = Station::udp_echo(&outside, family.client().parse().unwrap(), 7);
    let socket = udp_client(&inside, &format!("{}:7", host(family.client())));
    for question in [&b""[..], b"a", &[7; 1200]] {
        assert_eq!(ask(&socket, question).as_deref(), Ok(question));
    }
    let connections = of(lab, Protocol::Udp, socket.local_addr().unwrap().port());
    let [conn] = &connections[..] else { panic!("{connections:?}") };
    assert_eq!((conn.in_packets, conn.out_packets), (3, 3), "{conn:?}");
    check_ends(conn, family, 7);

    inside.ping(5, "-e 4660", family.client());
    assert_eq!(pings_seen(&outside, family), 5, "others came");
    let connections = of(lab, family.icmp(), 4660);
    assert_eq!(states(&connections), ["REPLY", "REQUEST"]);
    for conn in &connections {
        assert_eq!(conn.in_packets + conn.out_packets, 5, "{conn:?}");
        check_ends(conn, family, 0);
    }
}

fn tcp_udp_and_pings_pass(lab: &mut Lab) {
    provision(lab, Family::V4, &each_protocol(Family::V4));
    pass(lab, Family::V4);
}

fn tcp_udp_and_pings_pass_v6(lab: &mut Lab) {
    provision(lab, Family::V6, &each_protocol(Family::V6));
    pass(lab, Family::V6);
}

fn one_service_for_all_protocols_is_enough(lab: &mut Lab) {
    provision(lab, Family::V4, &[None]);
    pass(lab, Family::V4);
}

fn inside_hosts_with_one_identifier_get_their_own_answers(lab: &mut Lab) {
    provision(lab, Family::V4, &[Some("icmp")]);
    thread::scope(|scope| {
        for inside in [lab.rs1(), lab.rs2()] {
            scope.spawn(move || inside.ping(5, "-e 7", "10.1.0.10"));
        }
    });
    let connections = of(lab, Protocol::Icmp, 7);
    assert_eq!(states(&connections), ["REPLY", "REPLY", "REQUEST", "REQUEST"]);
}

/// The error outside is about the pool's address; inside it is about the host's own.
fn refused(lab: &Lab, family: Family) {
    provision(lab, family, &[Some("tcp"), Some("udp")]);
    let socket = udp_client(&lab.rs1(), &format!("{}:9", host(family.client())));
    assert_eq!(ask(&socket, b"hello"), Err(ErrorKind::ConnectionRefused));
    assert_eq!(of(lab, Protocol::Udp, socket.local_addr().unwrap().port()).len(), 1);
    let url = format!("http://{}/", host(family.client()));
    lab.rs1().run(&format!("curl -sS -g -m 5 {url}")).fails(7, "");
}

fn a_closed_port_outside_is_refused(lab: &mut Lab) {
    refused(lab, Family::V4);
}

fn a_closed_port_outside_is_refused_v6(lab: &mut Lab) {
    refused(lab, Family::V6);
}

fn outsiders_do_not_come_in(lab: &mut Lab) {
    provision(lab, Family::V4, &each_protocol(Family::V4));
    let _web = Station::http(&lab.rs1(), 80, "inside");
    let run = lab.client().run("curl -sS -m 1 http://10.1.0.200/");
    assert_ne!(run.code, 0, "{run:#?}");
    let _echo = Station::udp_echo(&lab.rs1(), "10.2.0.11".parse().unwrap(), 7);
    let socket = udp_client(&lab.client(), "10.1.0.200:7");
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    assert!(ask(&socket, b"hello").is_err());
    assert_eq!(lab.daemon().connections(), []);
}
