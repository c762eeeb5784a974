// SPDX-License-Identifier: MIT OR Apache-2.0
//! The CRC32c of SCTP packets (RFC 9260 section 6.8 and appendix A) and its update for other ports.
//!
//! A CRC made anew would make a damaged packet look sound to its receiver. But the CRC is linear:
//! two packets of one length differ in it by the CRC of their difference, whatever the rest is. So
//! the change of the ports is carried to the end of the packet and added to the field, and one that
//! was wrong stays wrong by as much.
//!
//! Bytes are polynomials over GF(2) with the highest power in the lowest bit ("reflected"): in a
//! 32-bit word, bit 31 stands for 1 and bit 0 for x^31. The ports are the first 4 bytes of a packet
//! of n bytes, and the remainder is taken of the packet times x^32, so their share in it is
//! `ports * x^(8n)` modulo the polynomial. The field has the word's lowest byte first.

/// The polynomial of Castagnoli without x^32, reflected.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// The polynomial 1.
const ONE: u32 = 1 << 31;
/// The polynomial x^8, a shift by one byte.
const BYTE: u32 = 1 << 23;

/// x^(8n) for n from 0 to 255, and for n from 0 to 255 times 256.
static LOW: [u32; 256] = powers(BYTE);
static HIGH: [u32; 256] = powers(multiply(power_255(BYTE), BYTE));

/// Where the common header has its checksum.
const FIELD_OFFSET: usize = 8;

const fn times_x(a: u32) -> u32 {
    (a >> 1) ^ (POLYNOMIAL & (a & 1).wrapping_neg())
}

/// Multiplies modulo the polynomial, in the same time for all values.
const fn multiply(a: u32, b: u32) -> u32 {
    let (mut product, mut shifted, mut bit) = (0, b, 0);
    while bit < 32 {
        product ^= shifted & (a >> (31 - bit) & 1).wrapping_neg();
        shifted = times_x(shifted);
        bit += 1;
    }
    product
}

const fn power_255(base: u32) -> u32 {
    let [.., last] = powers(base);
    last
}

const fn powers(base: u32) -> [u32; 256] {
    let mut table = [ONE; 256];
    let (mut power, mut rest): (u32, &mut [u32]) = (ONE, &mut table);
    while let [first, after @ ..] = rest {
        *first = power;
        power = multiply(power, base);
        rest = after;
    }
    table
}

/// Returns the CRC of a packet whose ports change, from the one that it has.
///
/// The ports are the packet's first 4 bytes; `packet_len` is the length of the whole SCTP packet as
/// its IP header tells it, at most 65 535. A first fragment does not tell that length, so the CRC
/// in it cannot be updated.
///
/// Two multiplications of 32 steps each, whatever the length.
pub fn update(old: [u8; 4], old_ports: [u8; 4], new_ports: [u8; 4], packet_len: usize) -> [u8; 4] {
    let len = u16::try_from(packet_len);
    debug_assert!(len.is_ok(), "no IP packet is longer");
    let [high, low] = len.unwrap_or(u16::MAX).to_be_bytes();
    let power = |table: &[u32; 256], n: u8| table.get(usize::from(n)).copied().unwrap_or(ONE);
    let shift = multiply(power(&LOW, low), power(&HIGH, high));
    let difference = u32::from_le_bytes(old_ports) ^ u32::from_le_bytes(new_ports);
    (u32::from_le_bytes(old) ^ multiply(difference, shift)).to_le_bytes()
}

/// Returns whether an SCTP packet has the right CRC. Bit by bit, so not for the packet path.
pub fn verifies(packet: &[u8]) -> bool {
    let Some((before, rest)) = packet.split_at_checked(FIELD_OFFSET) else { return false };
    let Some((field, after)) = rest.split_first_chunk() else { return false };
    finish(&[before, &[0; 4], after]) == *field
}

fn finish(runs: &[&[u8]]) -> [u8; 4] {
    let add = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| times_x(crc));
    (!runs.iter().copied().flatten().fold(u32::MAX, add)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A DATA chunk with 11 bytes from port 40 000 to 5678, made by scapy.
    const BEFORE: [u8; 40] = [
        0x9c, 0x40, 0x16, 0x2e, 0x5e, 0x12, 0x00, 0x02, 0x5a, 0xe0, 0xd2, 0xdb, 0x00, 0x03, 0x00,
        0x1b, 0x11, 0x22, 0x33, 0x44, 0x00, 0x01, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x68, 0x65,
        0x6c, 0x6c, 0x6f, 0x2c, 0x20, 0x73, 0x63, 0x74, 0x70, 0x00,
    ];

    /// The same from port 1025 to 3868, made by scapy.
    const AFTER: [u8; 40] = [
        0x04, 0x01, 0x0f, 0x1c, 0x5e, 0x12, 0x00, 0x02, 0x23, 0x9f, 0x9f, 0x2c, 0x00, 0x03, 0x00,
        0x1b, 0x11, 0x22, 0x33, 0x44, 0x00, 0x01, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x68, 0x65,
        0x6c, 0x6c, 0x6f, 0x2c, 0x20, 0x73, 0x63, 0x74, 0x70, 0x00,
    ];

    /// The check value of CRC-32C, and RFC 3720 appendix B.4's for 32 bytes of zero.
    #[test]
    fn the_crc_is_castagnolis() {
        assert_eq!(finish(&[b"123456789"]), [0x83, 0x92, 0x06, 0xe3]);
        assert_eq!(finish(&[&[0; 32]]), [0xaa, 0x36, 0x91, 0x8a]);
    }

    #[test]
    fn the_crc_of_a_translated_packet_is_that_of_another_implementation() {
        let crc = update(
            [0x5a, 0xe0, 0xd2, 0xdb],
            [0x9c, 0x40, 0x16, 0x2e],
            [0x04, 0x01, 0x0f, 0x1c],
            40,
        );
        assert_eq!(crc, [0x23, 0x9f, 0x9f, 0x2c]);
        assert!(verifies(&BEFORE) && verifies(&AFTER));
    }

    #[test]
    fn any_wrong_bit_is_seen() {
        for at in 0..AFTER.len() * 8 {
            let mut packet = AFTER;
            packet[at / 8] ^= 1 << (at % 8);
            assert!(!verifies(&packet), "bit {at}");
        }
        assert!(!verifies(&AFTER[..11]));
        assert!(!verifies(&[]));
    }

    /// The receiver must still find out that the packet was damaged before it came to us.
    #[test]
    fn a_damaged_packet_stays_damaged_by_the_same_bits() {
        let ([a, b], [c, d]) = ([0x9c, 0x40], [0x16, 0x2e]);
        let new_ports = [0x04, 0x01, 0x0f, 0x1c];
        let wrong = update([0x5b, 0xe0, 0xd2, 0x5b], [a, b, c, d], new_ports, 40);
        assert_eq!(wrong, [0x22, 0x9f, 0x9f, 0xac]);
        let mut packet = BEFORE;
        packet[30] ^= 0x10;
        packet[..4].copy_from_slice(&new_ports);
        packet[8..12].copy_from_slice(&[0x23, 0x9f, 0x9f, 0x2c]);
        assert!(!verifies(&packet));
    }

    fn with_crc(mut packet: Vec<u8>) -> Vec<u8> {
        packet[8..12].fill(0);
        let crc = finish(&[&packet]);
        packet[8..12].copy_from_slice(&crc);
        packet
    }

    proptest! {
        #[test]
        fn an_update_equals_a_full_computation(
            ports in any::<[u8; 4]>(),
            data in proptest::collection::vec(any::<u8>(), 12..3000),
        ) {
            let old = with_crc(data);
            let mut new = old.clone();
            new[..4].copy_from_slice(&ports);
            let field = |packet: &[u8]| *packet[8..].first_chunk().unwrap();
            let crc = update(field(&old), *old.first_chunk().unwrap(), ports, old.len());
            prop_assert_eq!(crc, field(&with_crc(new)));
        }
    }

    /// The longest packet, and the lengths around the limits of the tables.
    #[test]
    fn an_update_is_right_at_all_edges_of_the_length() {
        for len in [12, 255, 256, 257, 511, 512, 65_280, 65_515, 65_535] {
            let old = with_crc(vec![0xa5; len]);
            let mut new = old.clone();
            new[..4].copy_from_slice(&[0, 80, 0xff, 0xff]);
            let field = |packet: &[u8]| *packet[8..].first_chunk().unwrap();
            let crc = update(field(&old), [0xa5; 4], [0, 80, 0xff, 0xff], len);
            assert_eq!(crc, field(&with_crc(new)), "{len}");
        }
    }
}
