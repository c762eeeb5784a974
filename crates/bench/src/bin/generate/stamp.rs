// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packets that carry the time of their sending, and packets turned round by real servers.

use crate::frames::{PORT, SOURCE, TRANSPORT, UDP_CHECKSUM, checksum, put, word};

/// Where the UDP data start.
const DATA: usize = TRANSPORT + 8;

/// Makes a UDP packet with a time in its data, which the checksum covers.
pub(crate) fn stamp(frame: &mut [u8], time: u64) {
    let old = read_stamp(frame).unwrap_or(0);
    put(frame, DATA, &time.to_be_bytes());
    // RFC 1624: the old words go, the new ones come.
    let mut sum = u32::from(!word(frame, UDP_CHECKSUM));
    for shift in [0, 16, 32, 48] {
        sum += u32::from(!low_word(old >> shift)) + u32::from(low_word(time >> shift));
    }
    put(frame, UDP_CHECKSUM, &checksum(sum));
}

/// The time in a packet's data.
pub(crate) fn read_stamp(frame: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*frame.get(DATA..)?.first_chunk()?))
}

/// Turns a packet round: its addresses and ports are swapped, which changes no checksum.
pub(crate) fn turn_round(frame: &mut [u8]) {
    swap(frame, 0, 6, 6);
    swap(frame, SOURCE, SOURCE + 4, 4);
    swap(frame, TRANSPORT, TRANSPORT + 2, 2);
}

/// Whether a frame goes to a real server rather than to a client.
pub(crate) fn is_for_server(frame: &[u8]) -> bool {
    word(frame, TRANSPORT + 2) == PORT
}

/// Whether it is a frame of the traffic, and not a question for a link address, say.
pub(crate) fn is_traffic(frame: &[u8]) -> bool {
    word(frame, 12) == 0x0800 && frame.len() >= DATA
}

fn swap(frame: &mut [u8], first: usize, second: usize, len: usize) {
    for at in 0..len {
        if second + at < frame.len() {
            frame.swap(first + at, second + at);
        }
    }
}

fn low_word(value: u64) -> u16 {
    u16::try_from(value & 0xffff).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Template;
    use dpvs_core::testing::assert_checksums;

    #[test]
    fn a_stamp_is_read_again_and_covered_by_the_checksum() {
        let template = Template::udp();
        let mut frame = vec![0; template.len()];
        template.write(&mut frame, 77);
        for time in [1, 0xffff_ffff_ffff_ffff, 0x0123_4567_89ab_cdef] {
            stamp(&mut frame, time);
            assert_checksums(&frame);
            assert_eq!(read_stamp(&frame), Some(time));
        }
    }

    #[test]
    fn a_packet_turned_round_has_right_checksums() {
        let template = Template::udp();
        let mut frame = vec![0; template.len()];
        template.write(&mut frame, 5);
        assert!(is_for_server(&frame) && is_traffic(&frame));
        turn_round(&mut frame);
        assert_checksums(&frame);
        assert_eq!(frame[26..30], [10, 0, 0, 100]);
        assert_eq!(frame[30..34], [198, 18, 0, 5]);
        assert!(!is_for_server(&frame));
    }
}
