// SPDX-License-Identifier: MIT OR Apache-2.0
//! The drops that only buffers, rings and queues can cause, on real devices of DPDK's. One test,
//! since DPDK starts once in a process.

use super::*;
use crate::handoff::mesh;
use crate::outlet::OwnQueue;
use dpdk::{Eal, Port, PortConfig, PortSpec, VdevOptions};
use dpvs_core::counters::WorkerCounters;
use dpvs_core::tables::Tables;
use std::fs;

/// Header of a capture file, and one frame of 60 bytes for nobody.
fn capture(frame_len: usize) -> Vec<u8> {
    let mut file =
        vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0];
    let len = u32::try_from(frame_len).unwrap().to_le_bytes();
    file.extend([&[0; 8][..], &len, &len, &vec![0x5a; frame_len]].concat());
    file
}

fn ways(outlets: Outlets, rings: Rings) -> (Ways, Arc<WorkerCounters>) {
    let counters = Arc::new(WorkerCounters::default());
    (Ways::new(outlets, rings, Arc::clone(&counters)), counters)
}

#[test]
fn dpdk_long_chains_full_rings_and_full_queues_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in.pcap");
    fs::write(&input, capture(6000)).unwrap();
    let spec = |text: &str| text.parse::<PortSpec>().unwrap();
    let config = Eal::builder().memory_mb(64).hugepages(dpdk::Hugepages::Never);
    let eal = config
        .port(spec(&format!("pcap:{},", input.display())), VdevOptions::default())
        .port(spec("vdev:net_ring0"), VdevOptions::default())
        .init()
        .unwrap();
    let pool = Pool::new(&eal, "lane", 4095, 0, dpdk::DATA_ROOM_DEFAULT).unwrap();
    let open = |index: usize| {
        let pools = std::slice::from_ref(&pool);
        Port::open(&eal, eal.ports()[index], &PortConfig::default(), pools).unwrap()
    };
    let frame = || Mbuf::from_bytes(&pool, &[0; 60]).unwrap();

    // A frame longer than a buffer comes as a chain, which is not taken apart.
    let (_capture_port, mut receive, _send) = open(0);
    let (ways_in, counters) = ways(Outlets::default(), mesh(1).remove(0));
    let tables = Arc::new(Tables::clone(&dpvs_core::testing::tables(1)));
    let (_commands, from_control) = rtrb::RingBuffer::new(2);
    let (to_control, _events) = rtrb::RingBuffer::new(2);
    let worker =
        Worker::new(WorkerId(0), tables, 16, Arc::clone(&counters), from_control, to_control);
    let inlet = Inlet { port: PortId(0), queue: receive.remove(0), hashes_to_check: 0 };
    let inlets = Inlets { ports: vec![inlet], kernel: Vec::new() };
    let mut lane = Lane::new(worker, inlets, ways_in, pool.clone());
    assert!(lane.round(Millis(1)));
    assert_eq!(counters.drops(DropReason::MultiSegment), 1);
    assert_eq!(counters.frames_in.get(), 1, "what is dropped came in");

    full_rings_are_counted(&pool);

    // The device takes no more: its ring of frames is read by nobody.
    drop(lane);
    let (_ring_port, _receive, mut send) = open(1);
    let outlets =
        Outlets { ports: vec![Outlet::Own(OwnQueue::new(send.remove(0)))], ..Outlets::default() };
    let (mut full, counters) = ways(outlets, mesh(1).remove(0));
    let mut sent = 0;
    while counters.drops(DropReason::TransmitFull) < 3 {
        full.send(Way::Port(PortId(0)), frame());
        full.flush();
        sent += 1;
        assert!(sent < 4000, "the device never fills up");
    }
    assert_eq!(counters.frames_out.get() + 3, sent, "each went, or was dropped");
}

/// Hands frames to a worker that does not take them, until they are shed.
fn full_rings_are_counted(pool: &Pool) {
    // The other worker does not take what it is handed: its ring fills up. More is handed over in a
    // round than is gathered at a time.
    let buffers = pool.available();
    let mut rings = mesh(2);
    let mut other = rings.remove(1);
    let (mut full, counters) = ways(Outlets::default(), rings.remove(0));
    let numbered = |number: u16| {
        let bytes = [&number.to_be_bytes()[..], &[0; 58]].concat();
        PortFrame::received(Mbuf::from_bytes(pool, &bytes).unwrap(), PortId(0)).unwrap()
    };
    let mut handed = 0;
    while counters.drops(DropReason::SteerFull) < 3 {
        for _ in 0..40 {
            full.carry_out(numbered(handed), Verdict::Redirect(WorkerId(1)));
            handed += 1;
        }
        full.flush();
        assert!(handed < 4000, "the ring never fills up");
    }
    // What fits is there and in order, and everything else was counted.
    let taken = 0..handed - u16::try_from(counters.drops(DropReason::SteerFull)).unwrap();
    let number = |frame: &PortFrame| u16::from_be_bytes([frame.bytes()[0], frame.bytes()[1]]);
    let some: Vec<PortFrame> = other.take_frames(0, 100).collect();
    assert!(some.iter().map(number).eq(taken.clone().take(100)));
    let rest: Vec<u16> = other.take_frames(0, 4000).map(|frame| number(&frame)).collect();
    assert!(rest.into_iter().eq(taken.skip(100)));
    // Nobody has the worker's rings: that is counted alike.
    full.carry_out(numbered(0), Verdict::Redirect(WorkerId(9)));
    full.flush();

    // What was gathered and what was handed over goes back to the pool at the end.
    for number in 0..100 {
        full.carry_out(numbered(number), Verdict::Redirect(WorkerId(1)));
    }
    drop((some, full, other));
    assert_eq!(pool.available(), buffers);
}
