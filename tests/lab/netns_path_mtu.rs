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
);

/// Makes a router's way to `host` narrow.
fn narrow(router: &Namespace, host: &str, link: &str) {
    router.run(&format!("ip route replace {host} dev {link} mtu lock 1300")).ok();
}

fn download(lab: &Lab, vip: &str) {
    let words = ["curl", "-sS", "-m", "30", "-o", "/dev/null", "-w", "%{size_download}"];
    let url = format!("http://{vip}/bytes/1000000");
    assert_eq!(lab.client().run_words(&[&words[..], &[&url]].concat()).ok(), "1000000");
}

fn upload(lab: &Lab, vip: &str) {
    let file = lab.directory().join("body");
    std::fs::write(&file, vec![b'y'; 1_000_000]).unwrap();
    let line = format!("curl -sS -m 30 -T {} http://{vip}/", file.display());
    assert_eq!(lab.client().run(&line).ok(), "1000000\n");
}

/// Checks that a kernel has a path MTU of 1300 towards `peer`, as an exception of its routes.
fn knows_1300(station: &Namespace, peer: &str) {
    let route = station.run(&format!("ip route get {peer}")).ok();
    assert!(route.contains("mtu 1300"), "{route}");
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
