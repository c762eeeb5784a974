// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any bytes as the packet that an ICMP error embeds.
//!
//! What is relayed has right checksums, the length it came with, and goes to the host whose packet
//! it quotes.
#![no_main]

use dpvs_core::net::Protocol;
use dpvs_core::testing::{Lab, Outcome, PacketBuilder, assert_checksums};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;

thread_local! {
    static LAB: RefCell<Lab> = RefCell::new(lab());
}

fn lab() -> Lab {
    let mut lab = Lab::new(1);
    lab.change(|draft| {
        let policy = &mut draft.tables_mut().limits.icmp;
        (policy.relayed_per_s, policy.relayed_per_virtual_per_s, policy.mtu_gap_ms) = (0, 0, 0);
    });
    lab.service(Protocol::Tcp, "203.0.113.80", 80, &[("10.1.1.10", 8080)]);
    lab.service(Protocol::Udp, "203.0.113.80", 53, &[("10.1.1.10", 5300)]);
    lab.service(Protocol::Icmp, "203.0.113.80", 0, &[("10.1.1.10", 0)]);
    lab.service(Protocol::Tcp, "2001:db8:80::80", 80, &[("2001:db8:a::10", 8080)]);
    lab.service(Protocol::Icmpv6, "2001:db8:80::80", 0, &[("2001:db8:a::10", 0)]);
    let v4 = PacketBuilder::new("198.51.100.10", "203.0.113.80");
    lab.send(0, &v4.tcp(40000, 80, 2, &[])).sent();
    lab.send(0, &v4.udp(5353, 53, b"x")).sent();
    lab.send(0, &v4.ping(7, 1, b"x")).sent();
    let v6 = PacketBuilder::new("2001:db8:c::10", "2001:db8:80::80");
    lab.send(0, &v6.tcp(40000, 80, 2, &[])).sent();
    lab.send(0, &v6.ping(7, 1, b"x")).sent();
    lab
}

fuzz_target!(|data: &[u8]| {
    let [kind, code, a, b, c, d, quote @ ..] = data else { return };
    // Longer ones do not fit the way out, and are another matter.
    let quote = &quote[..quote.len().min(1400)];
    let (src, dst) = match kind >> 6 {
        0 => ("198.51.100.254", "203.0.113.80"),
        1 => ("10.1.1.254", "10.1.1.200"),
        2 => ("2001:db8:c::fe", "2001:db8:80::80"),
        _ => ("2001:db8:a::fe", "2001:db8:a::200"),
    };
    let frame = PacketBuilder::new(src, dst).icmp(kind & 15, *code, [*a, *b, *c, *d], quote);
    LAB.with_borrow_mut(|lab| {
        let connections = lab.connections();
        if let Outcome::Sent(out) = lab.send(0, &frame) {
            assert_eq!(out.len(), frame.len());
            assert_checksums(&out);
            let is_v6 = src.contains(':');
            let (addresses, len) = if is_v6 { (38, 16) } else { (30, 4) };
            let quoted_source = if is_v6 { 62 + 8 } else { 42 + 12 };
            let is_error = if is_v6 { matches!(kind & 15, 1..=4) } else { matches!(kind & 15, 3 | 4 | 11 | 12) };
            if is_error {
                let quoted = &out[quoted_source..quoted_source + len];
                assert_eq!(&out[addresses..addresses + len], quoted);
                assert_eq!(lab.connections(), connections);
            }
        }
        assert!(lab.connections() <= connections + 1);
    });
});
