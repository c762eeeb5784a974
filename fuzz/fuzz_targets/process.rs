// SPDX-License-Identifier: MIT OR Apache-2.0
//! A sequence of any frames through whole workers, with services and time passing.
//!
//! What goes out of a frame whose checksums were right has right checksums.
#![no_main]

use dpvs_core::net::{Family, Protocol};
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{
    DestSettings, Forward, Persistence, ServiceSettings, Tunnel, TunnelChecksum, TunnelKind,
};
use dpvs_core::testing::{
    Lab, Outcome, PacketBuilder, checksums_hold, end, match_key, repair_checksums, service_key,
    tunneled,
};
use libfuzzer_sys::fuzz_target;

/// Addresses that make a frame interesting: ours, the services', the neighbours', the pool's.
const V4: [[u8; 4]; 12] = [
    [203, 0, 113, 80],
    [10, 1, 1, 200],
    [10, 1, 1, 10],
    [198, 51, 100, 10],
    [203, 0, 113, 2],
    [198, 51, 100, 254],
    [203, 0, 113, 81],
    [203, 0, 113, 82],
    [203, 0, 113, 83],
    [10, 1, 1, 11],
    [203, 0, 113, 88],
    [10, 1, 1, 2],
];

/// A service of each method, with what can be switched on.
fn lab(workers: usize, options: u8) -> Lab {
    let mut lab = Lab::new(workers);
    lab.service(Protocol::Tcp, "203.0.113.80", 80, &[("10.1.1.10", 8080)]);
    lab.service(Protocol::Udp, "203.0.113.80", 53, &[("10.1.1.10", 5300)]);
    lab.service(Protocol::Icmp, "203.0.113.80", 0, &[("10.1.1.10", 0)]);
    lab.service(Protocol::Tcp, "2001:db8:80::80", 80, &[("2001:db8:a::10", 8080)]);
    lab.service(Protocol::Icmpv6, "2001:db8:80::80", 0, &[("2001:db8:a::10", 0)]);
    let persistence = Persistence { timeout_ms: 5000, mask: !0xff };
    let settings = ServiceSettings {
        persistence: (options & 2 != 0).then_some(persistence),
        one_packet: false,
        expire_quiescent: options & 4 != 0,
        ..ServiceSettings::new(if options & 8 == 0 { Scheduler::Rr } else { Scheduler::Mh })
    };
    let gue = Tunnel { kind: TunnelKind::Gue, port: 6080, checksum: TunnelChecksum::Full };
    let methods = [
        ("203.0.113.81", DestSettings::new(Forward::Nat)),
        ("203.0.113.82", DestSettings::new(Forward::Direct)),
        ("203.0.113.83", tunneled(gue)),
    ];
    let protocols =
        [(Protocol::Tcp, 80), (Protocol::Udp, 53), (Protocol::Sctp, 80), (Protocol::Icmp, 0)];
    for (vip, dest) in methods {
        for (protocol, port) in protocols {
            let servers = [(end("10.1.1.10", port), dest), (end("10.1.1.11", port), dest)];
            lab.serve(&service_key(protocol, vip, port), settings, &servers);
        }
    }
    let snat = [(end("203.0.113.88", 0), DestSettings::new(Forward::Snat))];
    let rr = ServiceSettings::new(Scheduler::Rr);
    for (protocol, _) in protocols {
        lab.serve(&match_key(Family::V4, protocol), rr, &snat);
    }
    let builder = PacketBuilder::new("198.51.100.10", "203.0.113.80");
    lab.send(0, &builder.tcp(40000, 80, 2, &[]));
    lab.send(0, &builder.udp(5353, 53, b"x"));
    lab.send(0, &builder.ping(7, 1, b"x"));
    lab
}

fuzz_target!(|data: &[u8]| {
    let Some((first, mut rest)) = data.split_first() else { return };
    let workers = if first & 1 == 0 { 1 } else { 3 };
    let mut lab = lab(workers, *first);
    while let [options, addresses, len, tail @ ..] = rest {
        let len = usize::from(*len).min(tail.len());
        let (bytes, next) = tail.split_at(len);
        rest = next;
        let mut frame = bytes.to_vec();
        if options & 1 != 0 && frame.len() >= 14 {
            frame[..6].copy_from_slice(&PacketBuilder::OUR_MAC);
        }
        if options & 2 != 0 && frame.len() >= 34 {
            let at = |n: u8| V4[usize::from(n) % V4.len()];
            frame[12..14].copy_from_slice(&[8, 0]);
            frame[26..30].copy_from_slice(&at(addresses >> 4));
            frame[30..34].copy_from_slice(&at(addresses & 15));
            let total = u16::try_from(frame.len() - 14).unwrap();
            frame[16..18].copy_from_slice(&total.to_be_bytes());
        }
        if options & 4 != 0 {
            repair_checksums(&mut frame);
        }
        if options & 8 != 0 {
            lab.pass(u64::from(*addresses) * 100);
        }
        let was_right = checksums_hold(&frame) == Some(true);
        let worker = usize::from(options >> 4) % workers;
        if let Outcome::Sent(out) = lab.send(worker, &frame)
            && was_right
        {
            assert_eq!(checksums_hold(&out), Some(true), "in {frame:02x?} out {out:02x?}");
        }
        lab.poll();
    }
});
