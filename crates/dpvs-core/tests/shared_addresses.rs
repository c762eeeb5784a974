// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses with two uses: a service's, and one that ports are taken of.
#![cfg(test)]

mod icmp_shared;

use dpvs_core::net::{Family, Protocol};
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{DestSettings, Forward, Persistence, ServiceSettings};
use dpvs_core::testing::{Lab, PacketBuilder, end, match_key, service_key};
use icmp_shared::*;

/// The address that hosts behind SNAT get is a virtual address whose service takes any port.
fn shared_address(workers: usize) -> Lab {
    let mut lab = Lab::new(workers);
    for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Icmp] {
        let mut settings = ServiceSettings::new(Scheduler::Rr);
        settings.persistence = Some(Persistence { timeout_ms: 300_000, mask: u128::MAX });
        let server = (end("10.1.1.11", 0), DestSettings::new(Forward::FullNat));
        lab.serve(&service_key(protocol, P[0], 0), settings, &[server]);
        let snat = (end(P[0], 0), DestSettings::new(Forward::Snat));
        let settings = ServiceSettings::new(Scheduler::Rr);
        lab.serve(&match_key(Family::V4, protocol), settings, &[snat]);
    }
    lab
}

#[test]
fn snat_by_the_address_of_a_service_of_any_port_gets_its_answers() {
    for workers in [1, 3, 8] {
        let mut lab = shared_address(workers);
        for sport in 20_000..20_050 {
            let host = PacketBuilder::new(R[0], C[0]);
            let out = lab.send(0, &host.udp(sport, 53, b"?")).sent();
            let [src, _, pport, _] = ends_of(&out);
            assert_eq!(src, P[0]);
            let outside = PacketBuilder::new(C[0], P[0]);
            let answer = outside.udp(53, pport.parse().unwrap(), b"!");
            let error = PacketBuilder::new(X[0], P[0]).icmp(3, 3, [0; 4], &out[14..42]);
            let sent = host.clone().ttl(63).udp(sport, 53, b"?");
            let ping = lab.send(0, &host.ping(sport, 1, b"?")).sent();
            let pong = outside.pong(word(&ping, 24), 1, b"!");
            for worker in 0..workers {
                let ends = [C[0], R[0], "53", &sport.to_string()];
                assert_eq!(ends_of(&lab.send(worker, &answer).sent()), ends);
                let back = lab.send(worker, &pong).sent();
                assert_eq!((&*ends_of(&back)[1], word(&back, 24)), (R[0], sport));
                let back = lab.send(worker, &error).sent();
                assert_eq!(back[42..50], sent[14..22]);
                assert_eq!((&*ends_of(&back)[1], word(&back, 48)), (R[0], sport));
            }
        }
        // All that goes to the address is the service's.
        assert_eq!(lab.connections(), 150, "{workers} workers");
        for (cport, vport) in [(30_000, 80), (30_001, 443), (30_002, 20_000), (30_003, 65_535)] {
            let client = PacketBuilder::new("198.51.100.11", P[0]);
            for (flags, data) in [(SYN, &b""[..]), (ACK, b"GET")] {
                for worker in 0..workers {
                    let out = lab.send(worker, &client.tcp(cport, vport, flags, data)).sent();
                    let [src, dst, _, dport] = ends_of(&out);
                    assert_eq!([&*src, &dst, &dport], [L[0], "10.1.1.11", &vport.to_string()]);
                }
            }
        }
        assert_eq!(lab.connections(), 154, "{workers} workers");
    }
}

/// The local address of full NAT is the virtual address of another service.
#[test]
fn full_nat_does_not_take_the_port_of_a_service() {
    let mut lab = Lab::new(1);
    let server = (end(R[0], 53), DestSettings::new(Forward::FullNat));
    for key in [(P[0], 53), (L[0], 5000)].map(|(to, port)| service_key(Protocol::Udp, to, port)) {
        lab.serve(&key, ServiceSettings::new(Scheduler::Rr), &[server]);
    }
    lab.change(|draft| {
        let limits = &mut draft.tables_mut().limits;
        (limits.local_port_min, limits.local_port_max) = (4999, 5001);
    });
    let client = PacketBuilder::new(C[0], P[0]);
    let mut ports = [20_000, 20_001].map(|sport| {
        let [src, _, lport, _] = ends_of(&lab.send(0, &client.udp(sport, 53, b"?")).sent());
        assert_eq!(src, L[0]);
        lport
    });
    ports.sort_unstable();
    assert_eq!(ports, ["4999", "5001"]);
}
