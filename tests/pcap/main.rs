// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames in, frames out through the real daemon, byte for byte. Needs libdpdk; no root.
//!
//! Every frame is written here by hand, what is expected too. The client is 10.1.0.10 at
//! 02:00:00:00:00:0c, the real server 10.2.0.11 at 02:00:00:00:00:05.
#![allow(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "an integration test")]

mod wire;

use wire::Wire;

/// The device's link address: `pcap` after two for "locally administered", then its number.
const OUR_MAC: &str = "027063617000";

const ARP_REQUEST: &str = "ffffffffffff 02000000000c 0806
    0001 0800 0604 0001 0200 0000 000c 0a01 000a 0000 0000 0000 0a01 0001";
const ARP_REPLY: &str = "02000000000c 027063617000 0806
    0001 0800 0604 0002 0270 6361 7000 0a01 0001 0200 0000 000c 0a01 000a";

/// Identifier 0x1111, sequence number 1.
const ECHO_REQUEST: &str = "027063617000 02000000000c 0800
    4500 0024 1234 4000 4001 1437 0a01 000a 0a00 0064
    0800 5558 1111 0001 6162 6364 6566 6768";
const ECHO_LOCAL_REPLY: &str = "02000000000c 027063617000 0800
    4500 0024 1234 4000 4001 1437 0a00 0064 0a01 000a
    0000 5d58 1111 0001 6162 6364 6566 6768";

/// The same to the real server: local address 10.2.0.200, identifier 7, one hop further.
const ECHO_FORWARDED: &str = "020000000005 027063617000 0800
    4500 0024 1234 4000 3f01 14cf 0a02 00c8 0a02 000b
    0800 6662 0007 0001 6162 6364 6566 6768";
const ECHO_REPLY: &str = "027063617000 020000000005 0800
    4500 0024 4321 0000 4001 22e2 0a02 000b 0a02 00c8
    0000 6e62 0007 0001 6162 6364 6566 6768";
const ECHO_REPLY_FORWARDED: &str = "02000000000c 027063617000 0800
    4500 0024 4321 0000 3f01 244a 0a00 0064 0a01 000a
    0000 5d58 1111 0001 6162 6364 6566 6768";

/// Port 4000 to port 7.
const DATAGRAM: &str = "027063617000 02000000000c 0800
    4500 0022 1234 4000 4011 1429 0a01 000a 0a00 0064
    0fa0 0007 000e 97c9 6865 6c6c 6f21";
/// From local port 5000.
const DATAGRAM_FORWARDED: &str = "020000000005 027063617000 0800
    4500 0022 1234 4000 3f11 14c1 0a02 00c8 0a02 000b
    1388 0007 000e 9379 6865 6c6c 6f21";
/// Port unreachable, with the shortest quote: the header and 8 bytes.
const ERROR: &str = "027063617000 020000000005 0800
    4500 0038 5555 0000 4001 109a 0a02 000b 0a02 00c8
    0303 55e6 0000 0000
    4500 0022 1234 4000 3f11 14c1 0a02 00c8 0a02 000b
    1388 0007 000e 9379";
/// The client sees its own datagram in it.
const ERROR_FORWARDED: &str = "02000000000c 027063617000 0800
    4500 0038 5555 0000 3f01 1202 0a00 0064 0a01 000a
    0303 557e 0000 0000
    4500 0022 1234 4000 3f11 1529 0a01 000a 0a00 0064
    0fa0 0007 000e 97c9";

#[test]
fn arp_is_answered() {
    let mut wire = Wire::new();
    wire.exchange(ARP_REQUEST, ARP_REPLY);
}

#[test]
fn an_echo_without_a_service_is_answered() {
    let mut wire = Wire::new();
    wire.exchange(ECHO_REQUEST, ECHO_LOCAL_REPLY);
}

#[test]
fn an_echo_with_a_service_is_forwarded_and_so_is_its_reply() {
    let mut wire = Wire::new();
    wire.all(
        "ipvsadm -A -p icmp 10.0.0.100 -s rr
         ipvsadm -P -q 10.0.0.100 -z 10.2.0.200 -F dpdk0
         ipvsadm -a -q 10.0.0.100 -r 10.2.0.11 -b",
    );
    wire.exchange(ECHO_REQUEST, ECHO_FORWARDED);
    wire.exchange(ECHO_REPLY, ECHO_REPLY_FORWARDED);
}

#[test]
fn an_error_about_a_datagram_is_translated() {
    let mut wire = Wire::new();
    wire.all(
        "ipvsadm -A -u 10.0.0.100:7 -s rr
         ipvsadm -P -u 10.0.0.100:7 -z 10.2.0.200 -F dpdk0
         ipvsadm -a -u 10.0.0.100:7 -r 10.2.0.11:7 -b",
    );
    wire.exchange(DATAGRAM, DATAGRAM_FORWARDED);
    wire.exchange(ERROR, ERROR_FORWARDED);
}
