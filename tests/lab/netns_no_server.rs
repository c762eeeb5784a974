// SPDX-License-Identifier: MIT OR Apache-2.0
//! A service without a real server that takes connections: what its clients are told.

use crate::cells::{Family, host};
use dpvs_tests::Lab;
use dpvs_tests::station::{ask, udp_client};
use std::io::ErrorKind::{self, ConnectionRefused, HostUnreachable, PermissionDenied, WouldBlock};
use std::net::TcpStream;
use std::time::Duration;

/// Longer than an answer takes.
const SILENCE: Duration = Duration::from_millis(700);

/// Checks what clients get by UDP and TCP, for IPv4 and IPv6, where `no_server` is as configured.
fn check(no_server: &str, udp: [ErrorKind; 2], tcp: [ErrorKind; 2]) {
    for workers in [1, 3] {
        let config = format!("[forward]\nno_server = \"{no_server}\"\n");
        let Some(lab) = Lab::configured(workers, &config) else { return };
        for (family, at) in [(Family::V4, 0), (Family::V6, 1)] {
            let (vip, server) = (host(family.vip()), host(family.server()));
            // Never one, and one that takes no more.
            lab.all(&format!(
                "ipvsadm -A -u {vip}:7 -s rr
                 ipvsadm -A -t {vip}:80 -s rr
                 ipvsadm -a -t {vip}:80 -r {server}:80 -m -w 0"
            ));
            let socket = udp_client(&lab.client(), &format!("{vip}:7"));
            socket.set_read_timeout(Some(SILENCE)).unwrap();
            assert_eq!(ask(&socket, b"hello"), Err(udp[at]), "UDP to {vip}");
            let peer = format!("{vip}:80").parse().unwrap();
            let connect = || TcpStream::connect_timeout(&peer, SILENCE).unwrap_err().kind();
            let told = match lab.client().within(connect) {
                ErrorKind::TimedOut => WouldBlock,
                kind => kind,
            };
            assert_eq!(told, tcp[at], "TCP to {vip}");
        }
        assert_eq!(lab.daemon().connections(), []);
    }
}

mod clients {
    use super::*;

    #[test]
    fn hear_nothing_by_default() {
        check("drop", [WouldBlock; 2], [WouldBlock; 2]);
    }

    #[test]
    fn are_reset() {
        check("reset", [ConnectionRefused; 2], [ConnectionRefused; 2]);
    }

    #[test]
    fn are_told_of_the_port() {
        check("port", [ConnectionRefused; 2], [ConnectionRefused; 2]);
    }

    #[test]
    fn are_told_of_the_host() {
        // That may pass, so the kernel does not bother a UDP socket with it (RFC 1122 section 4.1.3.3).
        check("host", [WouldBlock; 2], [HostUnreachable; 2]);
    }

    #[test]
    fn are_told_that_it_is_prohibited() {
        let kinds = [HostUnreachable, PermissionDenied];
        check("prohibited", kinds, kinds);
    }
}
