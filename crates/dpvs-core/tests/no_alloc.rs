// SPDX-License-Identifier: MIT OR Apache-2.0
//! The packet path allocates nothing: a million mixed frames under a counting allocator.
#![cfg(test)]
#![allow(unsafe_code, reason = "a global allocator is an unsafe trait; this one only counts")]

use dpvs_core::net::{Family, Protocol};
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{
    DestSettings, Forward, Persistence, ServiceSettings, Tunnel, TunnelChecksum, TunnelKind,
};
use dpvs_core::testing::{HeapFrame, Lab, PacketBuilder, end, match_key, service_key, tunneled};
use dpvs_core::{BURST, Verdict};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    /// Of this thread: the test harness allocates on its own when it likes.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system allocator with what came in.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, and `alloc` above is the system's.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Frames of every kind: new and old connections, pings, errors, ARP, rubbish.
fn mix() -> Vec<Vec<u8>> {
    let c = PacketBuilder::new("198.51.100.10", "203.0.113.80");
    let r = PacketBuilder::new("10.1.1.10", "10.1.1.200");
    let x = PacketBuilder::new("198.51.100.254", "203.0.113.80");
    let c6 = PacketBuilder::new("2001:db8:c::10", "2001:db8:80::80");
    let mut frames = Vec::new();
    for n in 0..40u16 {
        frames.push(c.tcp(2000 + n, 80, 2, &[]));
        frames.push(c.tcp(2000 + n, 80, 16, b"data"));
        frames.push(c.tcp(2000 + n, 80, 17, &[]));
        frames.push(c.udp(3000 + n, 53, b"question"));
        frames.push(c.ping(n, 1, b"ping"));
        frames.push(c6.ping(n, 1, b"ping"));
        frames.push(c6.tcp(2000 + n, 80, 2, &[]));
        frames.push(r.pong(n, 1, b"ping"));
        frames.push(r.tcp(8080, 1024 + n, 18, b"data"));
        let answer = PacketBuilder::new("203.0.113.80", "198.51.100.10").tcp(80, 2000 + n, 16, &[]);
        frames.push(x.icmp(3, 4, [0, 0, 5, 0], &answer[14..42]));
        frames.push(c.clone().ttl(1).tcp(2000 + n, 80, 16, b"late"));
        frames.push(c.tcp(2000 + n, 80, 16, &[0; 1480]));
        frames.push(c.tcp(9, 9, 2, &[])[..14 + usize::from(n)].to_vec());
    }
    frames.extend(other_methods());
    let mut arp = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
    arp.extend([2, 0, 0, 0, 0, 1, 203, 0, 113, 99, 0, 0, 0, 0, 0, 0, 203, 0, 113, 2]);
    frames.push(arp);
    frames
}

/// Frames of every other method: parts of datagrams, SNAT, and an error to a tunnel.
fn other_methods() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for (vip, n) in ["203.0.113.81", "203.0.113.82", "203.0.113.83"].iter().zip(0u16..) {
        let c = PacketBuilder::new("198.51.100.10", vip);
        for port in 0..20u16 {
            frames.push(c.udp(4000 + port, 53, b"question"));
            frames.push(c.clone().id(n * 20 + port).flags_fragment(0x2000).udp(
                4000 + port,
                53,
                &[0; 64],
            ));
            frames.push(c.clone().id(n * 20 + port).flags_fragment(9).raw(17, &[0; 64]));
            let nat = PacketBuilder::new("10.1.1.10", "198.51.100.10");
            frames.push(nat.udp(53, 4000 + port, b"answer"));
            let answer = PacketBuilder::new(vip, "198.51.100.10").udp(53, 4000 + port, b"answer");
            let x = PacketBuilder::new("198.51.100.254", vip);
            frames.push(x.icmp(3, 3, [0; 4], &answer[14..]));
            let inside = PacketBuilder::new("10.1.1.10", "198.51.100.10");
            frames.push(inside.udp(6000 + port, 53, b"question"));
        }
    }
    frames
}

fn serve_other_methods(lab: &mut Lab) {
    let gue = Tunnel { kind: TunnelKind::Gue, port: 6080, checksum: TunnelChecksum::Full };
    let methods =
        [DestSettings::new(Forward::Nat), DestSettings::new(Forward::Direct), tunneled(gue)];
    let persistence = Some(Persistence { timeout_ms: 10_000, mask: u128::MAX });
    let settings = ServiceSettings { persistence, ..ServiceSettings::new(Scheduler::Mh) };
    for (vip, method) in ["203.0.113.81", "203.0.113.82", "203.0.113.83"].iter().zip(methods) {
        let key = service_key(Protocol::Udp, vip, 53);
        lab.serve(&key, settings, &[(end("10.1.1.10", 53), method)]);
    }
    let snat = [(end("203.0.113.88", 0), DestSettings::new(Forward::Snat))];
    let key = match_key(Family::V4, Protocol::Udp);
    lab.serve(&key, ServiceSettings::new(Scheduler::Wlc), &snat);
}

#[test]
fn a_million_mixed_frames_allocate_nothing() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Tcp, "203.0.113.80", 80, &[("10.1.1.10", 8080), ("10.1.1.77", 8080)]);
    lab.service(Protocol::Udp, "203.0.113.80", 53, &[("10.1.1.10", 5300)]);
    lab.service(Protocol::Icmp, "203.0.113.80", 0, &[("10.1.1.10", 0)]);
    lab.service(Protocol::Tcp, "2001:db8:80::80", 80, &[("2001:db8:a::10", 8080)]);
    serve_other_methods(&mut lab);
    let mix = mix();
    let mut frames = vec![HeapFrame::new(&[0; 2048]); BURST];
    let mut verdicts = [Verdict::Consumed; BURST];
    let mut sent = 0;
    let before = ALLOCATIONS.get();
    let mut next = mix.iter().cycle();
    for _ in 0..1_000_000 / BURST {
        for frame in &mut frames {
            frame.refill(next.next().unwrap());
        }
        let now = lab.now;
        let worker = &mut lab.workers[0];
        worker.process(now, &mut frames, &mut verdicts);
        sent += verdicts.iter().filter(|v| matches!(v, Verdict::Transmit(_))).count();
        worker.take_made().for_each(drop);
        worker.take_learned().for_each(drop);
        worker.poll_control(now);
        lab.now = now + 5;
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert!(sent > 300_000, "only {sent} were sent: the mix does not exercise the way out");
}
