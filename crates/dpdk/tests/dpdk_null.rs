// SPDX-License-Identifier: MIT OR Apache-2.0
//! Spreading over queues, workers on threads of their own, and buffers that outlive everything,
//! over `net_null`. Needs DPDK; no root.
#![allow(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "an integration test")]

mod common;

use arrayvec::ArrayVec;
use dpdk::{Mbuf, Offloads, Port, PortConfig, PortError, RssConfig};

#[test]
fn table_takes_and_buffers_outlive_the_environment() {
    // What would break: negotiation of RSS, queues on other threads, and memory unmapped too soon.
    let eal = common::eal(&["vdev:net_null0,size=64"]);
    let pool = common::pool(&eal, "frames");
    let pools = std::slice::from_ref(&pool);
    let id = eal.ports()[0];

    let rss = |reta: &[u16]| Some(RssConfig { key: vec![0x6d; 52], reta: reta.to_vec() });
    let queues = PortConfig { rx_queues: 2, tx_queues: 2, ..PortConfig::default() };
    let config = PortConfig { rss: rss(&[0, 2]), ..queues.clone() };
    let error = Port::open(&eal, id, &config, pools).unwrap_err();
    assert!(matches!(error, PortError::RetaQueue { queue: 2, queues: 2, .. }), "{error}");

    let offloads = Offloads::all();
    let config = PortConfig { rss: rss(&[1, 0, 0]), offloads, ..queues };
    let (port, rx, tx) = Port::open(&eal, id, &config, pools).unwrap();
    let info = port.info();
    // The driver does not say how long its key is, so the key cannot have been taken.
    assert_eq!((info.reta_size, info.hash_key_size), (128, 0));
    assert!(info.rss.is_active && !info.rss.is_key_set && info.rss.is_reta_set, "{info:?}");
    assert_eq!(info.offloads, info.offloads_supported);
    assert!(!info.offloads.contains(Offloads::RX_IPV4_CHECKSUM), "the device has none");

    let workers = rx.into_iter().zip(tx).map(|(mut rx, mut tx)| {
        let eal = eal.clone();
        std::thread::spawn(move || {
            let _guard = eal.register_thread().unwrap();
            let mut frames = ArrayVec::<Mbuf, 32>::new();
            for _ in 0..10_000 {
                rx.burst(&mut frames);
                tx.burst(&mut frames);
            }
            assert!(frames.is_empty());
        })
    });
    let workers: Vec<_> = workers.collect();
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!(port.stats().unwrap().tx_packets, 2 * 10_000 * 32);
    drop(port);
    assert_eq!(pool.available(), pool.count(), "a buffer was lost");

    let kept = Mbuf::from_bytes(&pool, &[7; 60]).unwrap();
    drop((pool, eal));
    let kept = std::thread::spawn(move || kept).join().unwrap();
    assert_eq!(kept.bytes(), [7; 60]);
}
