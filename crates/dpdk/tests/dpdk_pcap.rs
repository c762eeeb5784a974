// SPDX-License-Identifier: MIT OR Apache-2.0
//! Capture files in and out, and the device without frames. Needs DPDK; no root.
#![allow(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "an integration test")]

mod common;

use std::{fs, path::Path};

use arrayvec::ArrayVec;
use dpdk::{EalError, Mbuf, PortConfig, VdevOptions};

/// Bytes of a capture file's header, and of each frame's.
const FILE_HEADER_LEN: usize = 24;
const FRAME_HEADER_LEN: usize = 16;

#[test]
fn frames_of_a_capture_file_come_out_in_another() {
    // What would break: frames in are frames out, and frames are made and freed by the thousand.
    let directory = tempfile::tempdir().unwrap();
    let (input, output) = (directory.path().join("in.pcap"), directory.path().join("out.pcap"));
    let device = format!("pcap:{},{}", input.display(), output.display());
    let options = VdevOptions::default();
    let missing = common::config().port(common::spec(&device), options).init();
    assert!(matches!(missing, Err(EalError::File { .. })), "the file is not there yet");

    // The last one takes three buffers.
    let mut frames: Vec<Vec<u8>> = (0..10_u8).map(|n| vec![n; 60 + 7 * usize::from(n)]).collect();
    frames.push((0..=255).cycle().take(5000).collect());
    write_capture(&input, &frames);
    let eal = common::eal(&[&device, "vdev:net_null0,size=100"]);
    let pool = common::pool(&eal, "frames");
    let pools = std::slice::from_ref(&pool);
    {
        let open = |index: usize| {
            dpdk::Port::open(&eal, eal.ports()[index], &PortConfig::default(), pools).unwrap()
        };
        let (port, mut rx, mut tx) = open(0);
        let mut received = common::receive(&mut rx[0], frames.len(), |_| true);
        let whole: Vec<Vec<u8>> =
            received.iter().map(|frame| frame.segments().collect::<Vec<_>>().concat()).collect();
        assert_eq!(whole, frames);
        assert!(received[..10].iter().all(|frame| frame.segment_count() == 1));
        assert_eq!(tx[0].burst_vec(&mut received), frames.len());
        port.close(rx, tx).unwrap();

        // The same device again, to take the chain apart.
        eal.detach("net_pcap0").unwrap();
        let id =
            eal.attach(&common::spec(&format!("pcap:{},", input.display())), &options).unwrap();
        let (port, mut rx, tx) = dpdk::Port::open(&eal, id, &PortConfig::default(), pools).unwrap();
        chain_keeps_its_bounds(common::receive(&mut rx[0], 11, |_| true).remove(10), &frames[10]);
        port.close(rx, tx).unwrap();

        let (port, mut rx, mut tx) = open(1);
        let mut burst = ArrayVec::<Mbuf, 32>::new();
        for _ in 0..1000 {
            assert_eq!(rx[0].burst(&mut burst), 32);
            assert!(burst.iter().all(|frame| frame.packet_len() == 100));
            assert_eq!(tx[0].burst(&mut burst), 32);
        }
        port.close(rx, tx).unwrap();
    }
    assert_eq!(read_capture(&output), frames);
    assert_eq!(pool.available(), pool.count(), "a buffer was lost");
}

fn chain_keeps_its_bounds(mut frame: Mbuf, bytes: &[u8]) {
    let whole = |frame: &Mbuf| frame.segments().collect::<Vec<_>>().concat();
    assert_eq!((frame.segment_count(), frame.packet_len(), frame.tailroom()), (3, 5000, 0));
    assert!(frame.append(1).is_err() && !frame.linearize(), "no room in the first buffer");
    let first = frame.bytes().len();
    assert!(frame.pull_front(first + 1).is_err());
    frame.push_front(10).unwrap();
    assert_eq!(frame.packet_len(), 5010);
    frame.pull_front(14).unwrap();
    assert_eq!(whole(&frame), bytes[4..]);
    frame.truncate(first + 1);
    assert_eq!((frame.segment_count(), frame.packet_len()), (2, first + 1));
    assert_eq!(whole(&frame), bytes[4..first + 5]);
    frame.truncate(100);
    assert!(frame.segment_count() == 1 && frame.linearize());
    assert_eq!((whole(&frame), frame.bytes()), (bytes[4..104].to_vec(), &bytes[4..104]));
    assert!(frame.append(100).is_ok());
}

fn write_capture(path: &Path, frames: &[Vec<u8>]) {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    file.extend([0; 8]);
    file.extend([0xff, 0xff, 0, 0, 1, 0, 0, 0]); // longest frame, Ethernet
    for frame in frames {
        let len = u32::try_from(frame.len()).unwrap().to_le_bytes();
        file.extend([0; 8]);
        file.extend(len);
        file.extend(len);
        file.extend(frame);
    }
    fs::write(path, file).unwrap();
}

fn read_capture(path: &Path) -> Vec<Vec<u8>> {
    let file = fs::read(path).unwrap();
    let mut rest = &file[FILE_HEADER_LEN..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let len = u32::from_le_bytes(rest[8..12].try_into().unwrap());
        let end = FRAME_HEADER_LEN + usize::try_from(len).unwrap();
        frames.push(rest[FRAME_HEADER_LEN..end].to_vec());
        rest = &rest[end..];
    }
    frames
}
