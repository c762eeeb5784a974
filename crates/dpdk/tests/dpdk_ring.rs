// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames, buffers and threads over `net_ring`. Needs DPDK; no root, no hugepages, no card.
#![allow(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "an integration test")]

mod common;

use arrayvec::ArrayVec;
use common::{BURST, eal, pool};
use dpdk::{
    Eal, EalError, HEADROOM, Mbuf, NoRoom, Pool, Port, PortConfig, PortError, PortId, TxChecksums,
    TxOffload,
};

#[test]
fn frames_survive_the_ring_and_nothing_is_lost() {
    // What would break: bursts, buffer bounds, ownership, and the one start in a process.
    let eal = eal(&["vdev:net_ring0"]);
    let pool = pool(&eal, "frames");
    second_start_is_refused();
    buffers_keep_their_bounds(&pool);
    headers_for_the_card_must_be_there(&pool);
    bulk_is_all_or_nothing(&eal);
    {
        let id = eal.ports()[0];
        ports_are_checked(&eal, id, &pool);
        round_trip(&eal, id, &pool);
    }
    assert_eq!(pool.available(), pool.count(), "a buffer was lost");
    registered_threads_have_numbers(&eal);
}

fn second_start_is_refused() {
    assert!(matches!(common::config().init(), Err(EalError::AlreadyStarted)));
}

fn buffers_keep_their_bounds(pool: &Pool) {
    let frame_max = usize::from(pool.frame_len_max());
    for len in [0, 1, 14, 60, 64, 1500, frame_max - 1, frame_max] {
        let bytes: Vec<u8> = (0..=255).cycle().take(len).collect();
        let mut frame = Mbuf::from_bytes(pool, &bytes).unwrap();
        assert_eq!((frame.bytes(), frame.packet_len()), (&bytes[..], len));
        assert_eq!((frame.headroom(), frame.tailroom()), (HEADROOM.into(), frame_max - len));

        let (head, tail) = (frame.headroom(), frame.tailroom());
        let more = head + 1;
        assert_eq!(frame.push_front(more), Err(NoRoom { wanted: more, room: head }));
        assert!(frame.push_front(usize::MAX).is_err() && frame.push_front(65536).is_err());
        assert_eq!(frame.append(tail + 1), Err(NoRoom { wanted: tail + 1, room: tail }));
        assert!(frame.append(usize::MAX).is_err() && frame.pull_front(len + 1).is_err());
        assert_eq!(frame.bytes(), &bytes[..], "a refusal changed the frame");

        frame.push_front(head).unwrap();
        frame.bytes_mut()[..head].fill(0xee);
        frame.append(tail).unwrap().fill(0xdd);
        assert_eq!((frame.headroom(), frame.tailroom()), (0, 0));
        assert_eq!(&frame.bytes()[head..head + len], &bytes[..]);
        assert_eq!(frame.packet_len(), usize::from(pool.data_room()));

        frame.truncate(head + len + 1_000_000);
        frame.truncate(head + len);
        frame.pull_front(head).unwrap();
        assert_eq!(frame.bytes(), &bytes[..]);
        frame.truncate(0);
        assert_eq!((frame.bytes(), frame.segments().count()), (&[][..], 1));
        assert!(frame.linearize());
    }
    assert!(Mbuf::from_bytes(pool, &vec![0; frame_max + 1]).is_err());
    random_edits_match_a_vector(pool);
}

/// Applies pseudo-random edits to a frame and to a model of it.
fn random_edits_match_a_vector(pool: &Pool) {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed >> 33).unwrap() % below
    };
    let mut frame = Mbuf::alloc(pool).unwrap();
    let mut model: Vec<u8> = Vec::new();
    for step in 0..20_000 {
        let len = random(300);
        let fill = u8::try_from(step % 256).unwrap();
        match random(4) {
            0 => {
                let fits = len <= frame.headroom();
                assert_eq!(frame.push_front(len).is_ok(), fits);
                if fits {
                    frame.bytes_mut()[..len].fill(fill);
                    model.splice(..0, std::iter::repeat_n(fill, len));
                }
            }
            1 => {
                let fits = len <= model.len();
                assert_eq!(frame.pull_front(len).is_ok(), fits);
                if fits {
                    model.drain(..len);
                }
            }
            2 => {
                let fits = len <= frame.tailroom();
                assert_eq!(frame.extend_from_slice(&vec![fill; len]).is_ok(), fits);
                if fits {
                    model.extend(std::iter::repeat_n(fill, len));
                }
            }
            _ => {
                let len = len * 8;
                frame.truncate(len);
                model.truncate(len);
            }
        }
        assert_eq!(frame.bytes(), &model[..], "step {step}");
        assert_eq!(frame.packet_len(), model.len());
        let whole = frame.headroom() + model.len() + frame.tailroom();
        assert_eq!(whole, usize::from(pool.data_room()));
    }
}

fn headers_for_the_card_must_be_there(pool: &Pool) {
    let mut frame = Mbuf::from_bytes(pool, &[0; 54]).unwrap();
    let checksums = TxChecksums::IPV4_HEADER | TxChecksums::TCP;
    let offload = TxOffload { l2_len: 14, l3_len: 20, checksums };
    assert_eq!(frame.set_tx_offload(&offload), Ok(()));
    frame.truncate(53);
    assert_eq!(frame.set_tx_offload(&offload), Err(NoRoom { wanted: 54, room: 53 }));
    let long = TxOffload { l3_len: 512, ..offload };
    let mut frame = Mbuf::from_bytes(pool, &[0; 1000]).unwrap();
    assert!(frame.set_tx_offload(&long).is_err());
    assert_eq!((frame.rss_hash(), frame.vlan_tci(), frame.rx_checksum_bad()), (None, None, false));
}

fn bulk_is_all_or_nothing(eal: &Eal) {
    let small = Pool::new(eal, "small", 15, 0, 256).unwrap();
    let mut frames = ArrayVec::<Mbuf, 16>::new();
    assert!(!small.alloc_bulk(&mut frames, 16) && frames.is_empty());
    assert!(small.alloc_bulk(&mut frames, 10) && small.alloc_bulk(&mut frames, 5));
    assert_eq!((frames.len(), small.available()), (15, 0));
    assert!(!small.alloc_bulk(&mut frames, 2) && Mbuf::alloc(&small).is_none());
    dpdk::free_bulk(&mut frames);
    assert_eq!((frames.len(), small.available()), (0, 15));
    let refused = [("", 15, 0, 256), ("x", 0, 0, 256), ("x", 15, 11, 256), ("x", 15, 0, 128)];
    for (name, count, cache, data_room) in refused {
        assert!(Pool::new(eal, name, count, cache, data_room).is_err());
    }
    assert!(Pool::new(eal, "small", 15, 0, 256).is_err(), "a name was given twice");
}

fn ports_are_checked(eal: &Eal, id: PortId, pool: &Pool) {
    let pools = std::slice::from_ref(pool);
    let too_many = PortConfig { rx_queues: 99, ..PortConfig::default() };
    let error = Port::open(eal, id, &too_many, pools).unwrap_err().to_string();
    assert!(error.contains("receive queues, 99 were asked for"), "{error}");
    let none = Port::open(eal, PortId(77), &PortConfig::default(), pools);
    assert!(matches!(none, Err(PortError::NoSuchPort(PortId(77)))));
    let without = Port::open(eal, id, &PortConfig::default(), &[]);
    assert!(matches!(without, Err(PortError::PoolCount { .. })));
}

fn round_trip(eal: &Eal, id: PortId, pool: &Pool) {
    let pools = std::slice::from_ref(pool);
    let config = PortConfig { rx_desc: 64, tx_desc: 64, ..PortConfig::default() };
    let (mut port, mut rx, mut tx) = Port::open(eal, id, &config, pools).unwrap();
    assert!(matches!(Port::open(eal, id, &config, pools), Err(PortError::AlreadyOpen(_))));
    assert_eq!((port.name(), port.info().driver.as_str()), ("net_ring0", "net_ring"));
    assert!(port.link().unwrap().up);

    let mut frames = ArrayVec::<Mbuf, BURST>::new();
    for index in 0..32_u8 {
        frames.push(Mbuf::from_bytes(pool, &[index; 60]).unwrap());
    }
    assert_eq!((tx[0].burst(&mut frames), frames.len()), (32, 0));
    assert_eq!(rx[0].burst(&mut frames), 32);
    for (index, frame) in (0..32_u8).zip(&frames) {
        assert_eq!(frame.bytes(), [index; 60]);
    }
    assert_eq!(rx[0].burst(&mut frames), 0, "a full array leaves no room");
    dpdk::free_bulk(&mut frames);
    unsent_frames_stay_in_order(&mut tx[0], &mut rx[0], pool);

    assert!(matches!(port.stop(&mut rx, &mut []), Err(PortError::NotItsQueues(_))));
    port.stop(&mut rx, &mut tx).unwrap();
    port.start(&mut rx, &mut tx).unwrap();
    assert!(matches!(eal.detach("net_ring0"), Err(EalError::DeviceInUse { .. })));
    assert_eq!(port.stats().unwrap().tx_packets, port.stats().unwrap().rx_packets);
    port.close(rx, tx).unwrap();
}

/// The ring of `net_ring` has fewer places than frames are sent.
fn unsent_frames_stay_in_order(tx: &mut dpdk::TxQueue, rx: &mut dpdk::RxQueue, pool: &Pool) {
    let number = |frame: &Mbuf| u16::from_be_bytes([frame.bytes()[0], frame.bytes()[1]]);
    let mut frames: Vec<Mbuf> =
        (0..2000_u16).map(|n| Mbuf::from_bytes(pool, &n.to_be_bytes()).unwrap()).collect();
    let sent = tx.burst_vec(&mut frames);
    assert!(sent > 0 && sent < 2000, "{sent} sent");
    assert_eq!(frames.len(), 2000 - sent);
    let first = u16::try_from(sent).unwrap();
    assert!(frames.iter().map(number).eq(first..2000), "the rest is not in order");
    let received = common::receive(rx, sent, |_| true);
    assert!(received.iter().map(number).eq(0..first), "what was sent is not in order");
}

fn registered_threads_have_numbers(eal: &Eal) {
    assert!(matches!(eal.register_thread(), Err(EalError::Thread(_))), "main is known already");
    let eal = eal.clone();
    let thread = std::thread::spawn(move || {
        let guard = eal.register_thread().unwrap();
        assert!(eal.register_thread().is_err());
        guard.lcore()
    });
    assert!(thread.join().unwrap() > 0);
    assert!(dpdk::tsc_hz() > 1_000_000 && dpdk::tsc() > 0);
}
