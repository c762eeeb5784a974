// SPDX-License-Identifier: MIT OR Apache-2.0
//! ICMP messages, without their checksums.

use super::Flow;
use super::network::{packet, write_checksum};
use super::random::Random;
use crate::packet::checksum;

/// Longest message, so that a frame of any headers fits a link of 1500 bytes.
const LEN_MAX: usize = 1200;

/// Where the row of all types and codes stands, for each family.
#[derive(Debug, Default)]
pub(super) struct Messages {
    any: [usize; 2],
}

impl Messages {
    /// Makes a message that is about nothing: a query, or any type and code in turn.
    pub(super) fn other(&mut self, random: &mut Random, is_ipv4: bool) -> Vec<u8> {
        let len = random.pick(&[0, 8, 16, 56, 56, 300, 1000]);
        let body = random.bytes(len);
        let [kind, code] = if random.chance(40) {
            let number = &mut self.any[usize::from(is_ipv4)];
            let (kind, code) = (*number % 256, *number / 256 + *number);
            *number = (*number + 1) % 65_536;
            [kind, code % 256].map(|byte| u8::try_from(byte).expect("a byte"))
        } else if is_ipv4 {
            // Requests and replies: echo, router, timestamp, information, mask.
            [random.pick(&[8, 8, 8, 8, 8, 0, 10, 13, 14, 15, 17, 42]), 0]
        } else {
            [random.pick(&[128, 128, 128, 128, 128, 129, 130, 133, 139, 160]), 0]
        };
        let rest_len = if random.chance(3) { random.below(4) } else { 4 };
        let rest = random.bytes(rest_len);
        let body = if rest.len() < 4 { vec![] } else { body };
        [&[kind, code, 0, 0], &rest[..], &body].concat()
    }

    /// Makes an error about a flow.
    pub(super) fn error(random: &mut Random, flow: &Flow) -> Vec<u8> {
        let is_ipv4 = flow.src.is_ipv4();
        let mut quote = quote(random, flow);
        let [kind, code] = if is_ipv4 {
            // Those that there are more of are the ones that are relayed.
            let (kind, codes) = random.pick(&[(3, 16), (3, 16), (4, 1), (5, 4), (11, 2), (12, 3)]);
            [kind, u8::try_from(random.below(codes)).expect("a code")]
        } else {
            let (kind, codes) = random.pick(&[(1, 8), (2, 1), (3, 2), (4, 3), (137, 1)]);
            [kind, u8::try_from(random.below(codes)).expect("a code")]
        };
        let mut rest = match random.below(4) {
            0 => random.bytes(4),
            1 => vec![0; 4],
            _ => {
                let mtu: u32 = random.pick(&[0, 67, 68, 576, 1279, 1280, 1400, 1499, 1500, 65_535]);
                mtu.to_be_bytes().to_vec()
            }
        };
        if random.chance(15) {
            extend(random, is_ipv4, &mut rest, &mut quote);
        }
        if random.chance(25) {
            quote.truncate(random.below(quote.len() + 1));
        }
        quote.truncate(LEN_MAX);
        [&[kind, code, 0, 0], &rest[..], &quote].concat()
    }
}

/// Makes a packet of a flow, as an error quotes it.
fn quote(random: &mut Random, flow: &Flow) -> Vec<u8> {
    let [src, dst] = [flow.src, flow.dst].map(|end| end.port().to_be_bytes());
    let ends = (flow.src.ip(), flow.dst.ip());
    let data_len = random.pick(&[0, 0, 4, 100, 500]);
    let data = random.bytes(data_len);
    let segment = match flow.protocol {
        6 => {
            let numbers = random.bytes(8);
            [&src[..], &dst, &numbers, &[0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0], &data].concat()
        }
        1 | 58 => {
            let echo: [u8; 2] = if flow.protocol == 1 { [0, 8] } else { [129, 128] };
            let mut echo = [&[random.pick(&echo), 0, 0, 0], &src[..], &[0, 1], &data].concat();
            write_checksum(&mut echo, ends.0, ends.1);
            echo
        }
        _ => [&src[..], &dst, &random.bytes(4), &data].concat(),
    };
    let mut quote = packet(random, ends, flow.protocol, &segment, false);
    match random.below(20) {
        // An error about an error.
        0 => {
            let kind = if flow.src.is_ipv4() { 3 } else { 1 };
            let mut error = [&[kind, 1, 0, 0, 0, 0, 0, 0], &quote[..]].concat();
            write_checksum(&mut error, ends.0, ends.1);
            quote = packet(random, ends, if flow.src.is_ipv4() { 1 } else { 58 }, &error, false);
        }
        1 | 2 => {
            let at = random.below(quote.len());
            quote[at] ^= 1 << random.below(8);
        }
        3 => {
            let len = random.below(200);
            quote = random.bytes(len);
        }
        _ => {}
    }
    quote
}

/// Appends extensions (RFC 4884) behind the padded quote, mostly right ones.
fn extend(random: &mut Random, is_ipv4: bool, rest: &mut [u8], quote: &mut Vec<u8>) {
    quote.resize(128, 0);
    let (at, units) = if is_ipv4 { (1, 32) } else { (0, 16) };
    rest[at] = if random.chance(80) { units } else { random.byte() };
    // One object: a stack of MPLS labels, or any.
    let any = random.byte();
    let class = random.pick(&[1, 2, any]);
    let mut object = vec![0, 8, class, 1];
    object.extend(random.bytes(4));
    if random.chance(10) {
        object[1] = random.byte();
    }
    let mut extensions = [&[0x20, 0, 0, 0], &object[..]].concat();
    let sum = checksum(&extensions);
    extensions[2..4].copy_from_slice(&sum);
    quote.extend(extensions);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_type_and_code_of_both_families_comes() {
        let (mut random, mut messages) = (Random::new(7), Messages::default());
        for is_ipv4 in [true, false] {
            let mut other = || messages.other(&mut random, is_ipv4);
            let seen: BTreeSet<(u8, u8)> =
                (0..170_000).map(|_| other()).map(|message| (message[0], message[1])).collect();
            assert_eq!(seen.len(), 65_536, "IPv4: {is_ipv4}");
        }
    }
}
