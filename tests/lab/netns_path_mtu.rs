// SPDX-License-Identifier: MIT OR Apache-2.0
//! A link with a small MTU behind a router, on either side: the sender must learn of it.
//!
//! Nothing else lets these transfers end: the kernels have no black hole detection (RFC 4821).

use dpvs_tests::station::Station;
use dpvs_tests::{Lab, Namespace};

dpvs_tests::lab_tests!(routed:
    a_real_server_learns_the_clients_path,
    a_real_server_learns_the_clients_path_v6,
    a_client_learns_the_real_servers_path,
    a_client_learns_the_real_servers_path_v6,
    both_learn_by_nat,
    both_learn_by_nat_v6,
    both_learn_by_snat,
    both_learn_by_snat_v6,
);

/// Makes a router's way to `host` narrow.
fn narrow(router: &Namespace, host: &str, link: &str) {
    router.run(&format!("ip route replace {host} dev {link} mtu lock 1300")).ok();
}

fn download(lab: &Lab, vip: &str) {
    download_to(&lab.client(), vip);
}

fn download_to(station: &Namespace, host: &str) {
    let words = ["curl", "-sS", "-m", "30", "-o", "/dev/null", "-w", "%{size_download}"];
    let url = format!("http://{host}/bytes/1000000");
    assert_eq!(station.run_words(&[&words[..], &[&url]].concat()).ok(), "1000000");
}

fn upload(lab: &Lab, vip: &str) {
    upload_from(&lab.client(), lab, vip);
}

fn upload_from(station: &Namespace, lab: &Lab, host: &str) {
    let file = lab.directory().join("body");
    std::fs::write(&file, vec![b'y'; 1_000_000]).unwrap();
    let line = format!("curl -sS -m 30 -T {} http://{host}/", file.display());
    assert_eq!(station.run(&line).ok(), "1000000\n");
}

/// Checks that a kernel has a path MTU of 1300 towards `peer`, as an exception of its routes.
fn knows_1300(station: &Namespace, peer: &str) {
    let route = station.run(&format!("ip route get {peer}")).ok();
    assert!(route.contains("mtu 1300"), "{route}");
}

/// Makes a kernel forget what it has learned: it would ask its peers for small segments.
fn forget(station: &Namespace) {
    station.run("ip route flush cache").ok();
    station.run("ip -6 route flush cache").ok();
}

fn a_real_server_learns_the_clients_path(lab: &mut Lab) {
    let _web = Station::http(&lab.rs1(), 80, "rs1");
    lab.full_nat("-t 10.0.0.100:80", &["10.4.0.11:80"]);
    narrow(&lab.client_router(), "10.3.0.10", "eth0");
    download(lab, "10.0.0.100");
    knows_1300(&lab.rs1(), "10.2.0.200");
    assert!(lab.daemon().counter("icmp_error_relayed_in") >= 1);
}

fn a_real_server_learns_the_clients_path_v6(lab: &mut Lab) {
    let _web = Station::http(&lab.rs1(), 80, "rs1");
    lab.full_nat("-t [fd00::100]:80", &["[fd00:4::11]:80"]);
    narrow(&lab.client_router(), "fd00:3::10", "eth0");
    download(lab, "[fd00::100]");
    knows_1300(&lab.rs1(), "fd00:2::200");
}

fn a_client_learns_the_real_servers_path(lab: &mut Lab) {
    let _web = Station::http(&lab.rs1(), 80, "rs1");
    lab.full_nat("-t 10.0.0.100:80", &["10.4.0.11:80"]);
    narrow(&lab.server_router(), "10.4.0.11", "eth1");
    upload(lab, "10.0.0.100");
    knows_1300(&lab.client(), "10.0.0.100");
    assert!(lab.daemon().counter("icmp_error_relayed_out") >= 1);
}

fn a_client_learns_the_real_servers_path_v6(lab: &mut Lab) {
    let _web = Station::http(&lab.rs1(), 80, "rs1");
    lab.full_nat("-t [fd00::100]:80", &["[fd00:4::11]:80"]);
    narrow(&lab.server_router(), "fd00:4::11", "eth1");
    upload(lab, "[fd00::100]");
    knows_1300(&lab.client(), "fd00::100");
}

/// The client is known to a server by its own address, so that is what the server learns of.
fn both_learn_by_nat(lab: &mut Lab) {
    let _web = Station::http(&lab.rs1(), 80, "rs1");
    lab.all(
        "ipvsadm -A -t 10.0.0.100:80 -s rr
         ipvsadm -a -t 10.0.0.100:80 -r 10.4.0.11:80 -m",
    );
    narrow(&lab.client_router(), "10.3.0.10", "eth0");
    download(lab, "10.0.0.100");
    knows_1300(&lab.rs1(), "10.3.0.10");
    forget(&lab.rs1());
    narrow(&lab.server_router(), "10.4.0.11", "eth1");
    upload(lab, "10.0.0.100");
    knows_1300(&lab.client(), "10.0.0.100");
}

fn both_learn_by_nat_v6(lab: &mut Lab) {
    let _web = Station::http(&lab.rs1(), 80, "rs1");
    lab.all(
        "ipvsadm -A -t [fd00::100]:80 -s rr
         ipvsadm -a -t [fd00::100]:80 -r [fd00:4::11]:80 -m",
    );
    narrow(&lab.client_router(), "fd00:3::10", "eth0");
    download(lab, "[fd00::100]");
    knows_1300(&lab.rs1(), "fd00:3::10");
    forget(&lab.rs1());
    narrow(&lab.server_router(), "fd00:4::11", "eth1");
    upload(lab, "[fd00::100]");
    knows_1300(&lab.client(), "fd00::100");
}

/// Inside is the first real server, outside the client, which knows it by an address of the pool.
fn both_learn_by_snat(lab: &mut Lab) {
    let _web = Station::http(&lab.client(), 80, "outside");
    crate::netns_snat::routed(lab);
    narrow(&lab.client_router(), "10.3.0.10", "eth0");
    upload_from(&lab.rs1(), lab, "10.3.0.10");
    knows_1300(&lab.rs1(), "10.3.0.10");
    forget(&lab.rs1());
    narrow(&lab.server_router(), "10.4.0.11", "eth1");
    download_to(&lab.rs1(), "10.3.0.10");
    knows_1300(&lab.client(), "10.1.0.200");
}

fn both_learn_by_snat_v6(lab: &mut Lab) {
    let _web = Station::http(&lab.client(), 80, "outside");
    crate::netns_snat::routed(lab);
    narrow(&lab.client_router(), "fd00:3::10", "eth0");
    upload_from(&lab.rs1(), lab, "[fd00:3::10]");
    knows_1300(&lab.rs1(), "fd00:3::10");
    forget(&lab.rs1());
    narrow(&lab.server_router(), "fd00:4::11", "eth1");
    download_to(&lab.rs1(), "[fd00:3::10]");
    knows_1300(&lab.client(), "fd00:1::200");
}
