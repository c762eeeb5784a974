// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stages of the packet path. Figures are for a burst of 32 where the name says so; divide by 32.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dpvs_bench::{Flows, burst};
use dpvs_core::forward::{Ends, rewrite};
use dpvs_core::key::{Address, Endpoint};
use dpvs_core::net::{Mac, Protocol};
use dpvs_core::parse::{Parsed, parse};
use dpvs_core::steering::{KEY_DEFAULT, Steering};
use dpvs_core::testing::{HeapFrame, Lab, PacketBuilder};
use dpvs_core::{BURST, Verdict};
use std::hint::black_box;

fn parsing(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    let builder = PacketBuilder::new("198.51.100.10", "203.0.113.80");
    let v6 = PacketBuilder::new("2001:db8:c::10", "2001:db8:80::80");
    for (name, frame) in [
        ("tcp4", builder.tcp(40000, 80, 16, &[0; 10])),
        ("udp4", builder.udp(40000, 53, &[0; 18])),
        ("tcp6", v6.tcp(40000, 80, 16, &[0; 10])),
        ("ping4", builder.ping(7, 1, &[0; 56])),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| parse(black_box(&frame), Mac(PacketBuilder::OUR_MAC)));
        });
    }
    group.finish();
}

fn rewriting(c: &mut Criterion) {
    let frame = PacketBuilder::new("198.51.100.10", "203.0.113.80").tcp(40000, 80, 16, &[0; 10]);
    let Ok(Parsed::Ip(packet)) = parse(&frame, Mac(PacketBuilder::OUR_MAC)) else { return };
    let end = |last, port| Endpoint { address: Address::v4([10, 1, 1, last]), port };
    let ends = Ends { src: end(200, 1024), dst: end(10, 8080) };
    c.bench_function("rewrite/tcp4", |b| {
        b.iter_batched_ref(
            || frame.clone(),
            |bytes| rewrite(black_box(bytes), &packet, ends),
            BatchSize::SmallInput,
        );
    });
}

fn steering(c: &mut Criterion) {
    let steering = Steering::new(3, &KEY_DEFAULT);
    let frame = PacketBuilder::new("198.51.100.10", "203.0.113.80").tcp(40000, 80, 16, &[]);
    let Ok(Parsed::Ip(packet)) = parse(&frame, Mac(PacketBuilder::OUR_MAC)) else { return };
    let Some(key) = packet.key() else { return };
    c.bench_function("owner/toeplitz4", |b| b.iter(|| steering.inbound(black_box(&key))));
}

/// Whole bursts through a worker: full NAT of established flows, round-robin.
fn full_nat(c: &mut Criterion) {
    let mut group = c.benchmark_group("full_nat_udp4_burst");
    group.throughput(Throughput::Elements(u64::try_from(BURST).unwrap_or(0)));
    for flows in [1, 1000, 100_000] {
        let mut many = Flows::udp(flows);
        assert_eq!(many.connections(), flows, "every flow is a connection");
        let mut frames = burst();
        let mut verdicts = [Verdict::Consumed; BURST];
        group.bench_function(BenchmarkId::from_parameter(flows), |b| {
            b.iter(|| {
                many.fill(&mut frames);
                many.process(&mut frames, &mut verdicts);
            });
        });
    }
    // What filling the frames alone costs: to be taken off the figures above.
    let mut many = Flows::udp(1000);
    let mut frames = burst();
    group.bench_function("fill_only_1000", |b| b.iter(|| many.fill(&mut frames)));
    group.finish();
}

fn icmp(c: &mut Criterion) {
    let mut group = c.benchmark_group("icmp");
    let mut lab = Lab::new(1);
    lab.service(Protocol::Tcp, "203.0.113.80", 80, &[("10.1.1.10", 8080)]);
    lab.change(|draft| {
        draft.tables_mut().limits.icmp.echo_per_s = 0;
        draft.tables_mut().limits.icmp.relayed_per_s = 0;
    });
    let client = PacketBuilder::new("198.51.100.10", "203.0.113.80");
    lab.send(0, &client.tcp(40000, 80, 2, &[]));
    let answer = PacketBuilder::new("203.0.113.80", "198.51.100.10").tcp(80, 40000, 16, &[]);
    let router = PacketBuilder::new("198.51.100.254", "203.0.113.80");
    for (name, bytes) in [
        ("local_echo", client.ping(1, 1, &[0; 56])),
        ("related_error", router.icmp(3, 4, [0, 0, 5, 0], &answer[14..42])),
    ] {
        let mut frames = vec![HeapFrame::new(&[0; 2048])];
        let mut verdicts = [Verdict::Consumed; BURST];
        group.bench_function(name, |b| {
            b.iter(|| {
                frames[0].refill(&bytes);
                lab.workers[0].process(lab.now, &mut frames, &mut verdicts);
            });
        });
        assert!(matches!(verdicts[0], Verdict::Transmit(_)), "{name}: {:?}", verdicts[0]);
    }
    group.finish();
}

criterion_group!(benches, parsing, rewriting, steering, full_nat, icmp);
criterion_main!(benches);
