// SPDX-License-Identifier: MIT OR Apache-2.0
//! What belongs to nothing makes nothing: replies nobody asked for, errors about no packet of ours.

use crate::ping_service;
use dpvs_tests::Lab;
use dpvs_tests::packet::{echo, icmp, ipv4, send_icmpv6, send_ipv4, udp};
use dpvs_tests::run::wait_until;
use dpvs_tests::station::{Station, ask, udp_client};

dpvs_tests::lab_tests!(plain:
    unsolicited_replies_make_no_connection,
    unsolicited_replies_make_no_connection_v6,
    unrelated_errors_make_no_connection,
    an_unrelated_error_is_not_passed_on_v6,
    a_redirect_is_dropped,
    a_corrupt_error_is_dropped,
);

const VIP: &str = "10.0.0.100";
const LOCAL: &str = "10.2.0.200";
const CLIENT: &str = "10.1.0.10";
const SERVER: &str = "10.2.0.11";

#[track_caller]
fn dropped(lab: &Lab, reason: &str, times: u64) {
    wait_until(reason, || lab.daemon().drops(reason) == times);
    assert_eq!(lab.daemon().connections(), []);
}

fn unsolicited_replies_make_no_connection(lab: &mut Lab) {
    ping_service(lab);
    send_ipv4(&lab.client(), &ipv4(CLIENT, VIP, 1, &echo(0, 77, 1)));
    send_ipv4(&lab.rs1(), &ipv4(SERVER, LOCAL, 1, &echo(0, 77, 1)));
    dropped(lab, "icmp_unsolicited", 2);
    assert_eq!(lab.client().snmp("Icmp", "InEchoReps"), 0);
}

fn unsolicited_replies_make_no_connection_v6(lab: &mut Lab) {
    crate::ping_service_v6(lab);
    // The kernel writes the checksum, which has the addresses in it.
    let reply = [&[129, 0, 0, 0, 0, 77, 0, 1][..], b"payload"].concat();
    send_icmpv6(&lab.client(), "fd00::100", &reply);
    send_icmpv6(&lab.rs1(), "fd00:2::200", &reply);
    dropped(lab, "icmp_unsolicited", 2);
}

fn unrelated_errors_make_no_connection(lab: &mut Lab) {
    lab.full_nat("-u 10.0.0.100:7", &["10.2.0.11:7"]);
    // About a packet that we never sent, from either side.
    let quote = ipv4(VIP, CLIENT, 17, &udp(7, 4000, b"hello"));
    let error = ipv4(CLIENT, VIP, 1, &icmp(3, 3, [0; 4], &quote));
    send_ipv4(&lab.client(), &error);
    let quote = ipv4(LOCAL, SERVER, 17, &udp(5000, 7, b"hello"));
    let error = ipv4(SERVER, LOCAL, 1, &icmp(3, 3, [0; 4], &quote));
    send_ipv4(&lab.rs1(), &error);
    dropped(lab, "icmp_unrelated", 2);
    assert_eq!(lab.rs1().snmp("Icmp", "InMsgs") + lab.client().snmp("Icmp", "InMsgs"), 0);
}

fn an_unrelated_error_is_not_passed_on_v6(lab: &mut Lab) {
    lab.full_nat("-u [fd00::100]:7", &["[fd00:2::11]:7"]);
    // Port unreachable about fd00::100:7 -> fd00:1::10:4000.
    let mut message = vec![1, 4, 0, 0, 0, 0, 0, 0];
    message.extend([0x60, 0, 0, 0, 0, 8, 17, 64]);
    message.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    message.extend([0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10]);
    message.extend([0, 7, 0x0f, 0xa0, 0, 8, 0xab, 0xcd]);
    send_icmpv6(&lab.client(), "fd00::100", &message);
    dropped(lab, "icmp_unrelated", 1);
}

fn a_redirect_is_dropped(lab: &mut Lab) {
    ping_service(lab);
    let quote = ipv4(VIP, CLIENT, 17, &udp(7, 4000, b"hello"));
    let redirect = ipv4(CLIENT, VIP, 1, &icmp(5, 1, [10, 1, 0, 99], &quote));
    send_ipv4(&lab.client(), &redirect);
    dropped(lab, "icmp_redirect", 1);
}

fn a_corrupt_error_is_dropped(lab: &mut Lab) {
    let _echo = Station::udp_echo(&lab.rs1(), SERVER.parse().unwrap(), 7);
    lab.full_nat("-u 10.0.0.100:7", &["10.2.0.11:7"]);
    let socket = udp_client(&lab.client(), "10.0.0.100:7");
    assert_eq!(ask(&socket, b"hello").as_deref(), Ok(&b"hello"[..]));
    let port = socket.local_addr().unwrap().port();
    let quote = ipv4(VIP, CLIENT, 17, &udp(7, port, b"hello"));
    let mut message = icmp(3, 3, [0; 4], &quote);
    message[2] ^= 0x55;
    send_ipv4(&lab.client(), &ipv4(CLIENT, VIP, 1, &message));
    wait_until("it is dropped", || lab.daemon().drops("icmp_bad_checksum") == 1);
    assert_eq!(lab.daemon().counter("icmp_error_relayed_in"), 0);
    // The same error, whole, is passed on.
    message[2] ^= 0x55;
    send_ipv4(&lab.client(), &ipv4(CLIENT, VIP, 1, &message));
    wait_until("the server is told", || lab.rs1().snmp("Icmp", "InDestUnreachs") == 1);
}
