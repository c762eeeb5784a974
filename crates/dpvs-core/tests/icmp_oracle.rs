// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much the ICMP checksum of a translated error changes follows from the addresses and ports that
//! change, whatever is quoted: arithmetic of its own is compared with what comes out.
//!
//! ```text
//! quote                                     ICMP csum' - csum       ICMPv6 csum' - csum
//! transport checksum quoted and updated     + addresses(quote)      - addresses(outer)
//! none quoted, or UDP's zero, or SCTP       - ports                 - addresses(quote) - ports
//!                                                                   - addresses(outer)
//! query                                     0                       - addresses(outer)
//! ```
//! All of it modulo 0xffff, in which ones' complement numbers count.
#![cfg(test)]

mod icmp_shared;

use dpvs_core::Verdict;
use dpvs_core::testing::{Outcome, PacketBuilder, assert_checksums};
use icmp_shared::*;
use proptest::prelude::*;

/// Sums words modulo 0xffff.
fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0)));
    words.fold(0, |sum, word| (sum + word) % 0xffff)
}

fn negative(n: u32) -> u32 {
    (0xffff - n) % 0xffff
}

/// What an error quotes, as its sender may have got it: nothing in it has to be right but what
/// names the session.
#[derive(Clone, Debug)]
struct Quote {
    options: Vec<u8>,
    headers: Vec<u8>,
    /// What follows the ports or the identifier, as far as the quote goes.
    rest: Vec<u8>,
    noise: [u8; 8],
    has_udp_checksum: bool,
    /// Bytes of padding and whether extensions follow (RFC 4884).
    has_extension: bool,
}

fn quote() -> impl Strategy<Value = Quote> {
    (
        proptest::collection::vec(any::<u8>(), 0..=10).prop_map(|w| w.repeat(4)),
        proptest::collection::vec(prop_oneof![Just(0u8), Just(43), Just(60), Just(51)], 0..=8),
        proptest::collection::vec(any::<u8>(), 4..1300),
        any::<[u8; 8]>(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(options, headers, rest, noise, has_udp_checksum, has_extension)| Quote {
            options,
            headers,
            rest,
            noise,
            has_udp_checksum,
            has_extension,
        })
}

/// A frame that quotes, and where in it the quoted transport header and its checksum stand.
struct Error {
    frame: Vec<u8>,
    l4: usize,
    checksum: Option<usize>,
}

fn number(v6: bool, l4: L4) -> u8 {
    match (l4, v6) {
        (L4::Tcp, _) => 6,
        (L4::Udp, _) => 17,
        (L4::Sctp, _) => 132,
        (L4::Ping, false) => 1,
        (L4::Ping, true) => 58,
    }
}

/// The quoted IP header: addresses as they were seen, everything else by chance.
fn ip_header(q: &Quote, v6: bool, l4: L4, seen: &[u8]) -> Vec<u8> {
    let n = q.noise;
    if v6 {
        let mut ip = vec![0x60 | n[0] & 15, n[1], n[2], n[3], n[4], n[5], 0, n[6]];
        ip.extend(&seen[8..40]);
        let mut next = 6;
        for header in &q.headers {
            ip[next] = *header;
            next = ip.len();
            // Of 8 bytes; authentication counts 4 bytes each beyond the first two of them.
            ip.extend([0, 0, n[0], n[1], n[2], n[3], n[4], n[5]]);
        }
        ip[next] = number(v6, l4);
        return ip;
    }
    let header_words = u8::try_from(5 + q.options.len() / 4).unwrap();
    let mut ip = vec![0x40 | header_words, n[0], n[1], n[2], n[3], n[4], n[5] & 0xe0, 0];
    ip.extend([n[6], number(v6, l4), n[7], n[0]]);
    ip.extend(&seen[12..20]);
    ip.extend(&q.options);
    ip
}

fn error(q: &Quote, session: &Session, l4: L4, side: Side) -> Error {
    let v6 = session.v6;
    let seen = &session.passage(side).seen[14..];
    let transport = &seen[header_len(v6)..];
    let named = if l4 == L4::Ping { 6 } else { 4 };
    let mut body = transport[..named].to_vec();
    if l4 == L4::Ping {
        body[2..4].copy_from_slice(&q.noise[..2]);
    }
    body.extend(&q.rest);
    let offset = match l4 {
        L4::Tcp => Some(16),
        L4::Udp => Some(6),
        L4::Sctp => None,
        L4::Ping => Some(2),
    };
    if l4 == L4::Udp && !q.has_udp_checksum {
        body[6..8].fill(0);
    }
    let is_quoted = |at: &usize| at + 2 <= body.len();
    let is_there = |at: &usize| l4 != L4::Udp || body[*at..at + 2] != [0, 0];
    let checksum = offset.filter(is_quoted).filter(is_there);
    let ip = ip_header(q, v6, l4, seen);
    let icmp = 14 + header_len(v6);
    let l4_at = icmp + 8 + ip.len();
    let mut quoted = [ip, body].concat();
    let mut rest = [0; 4];
    if q.has_extension {
        let unit = if v6 { 8 } else { 4 };
        let len = quoted.len().max(128).next_multiple_of(unit);
        // The length has one byte.
        if len / unit < 256 {
            quoted.resize(len, 0);
            rest[usize::from(!v6)] = u8::try_from(len / unit).unwrap();
            quoted.extend([0x20, 0, 0xde, 0xad, 0, 8, 1, 1, 0x11, 0x22, 0x33, 0xff]);
        }
    }
    let (icmp_type, code) = TIME[at(v6)];
    let [to, ..] = ends_of(&session.passage(side).seen);
    let sender = session.method.router(v6, side);
    let frame = PacketBuilder::new(sender, &to).icmp(icmp_type, code, rest, &quoted);
    // Padding is a quoted checksum too, where the quote ended before it.
    let padded = frame.len() - if rest == [0; 4] { 0 } else { 12 };
    let checksum = match (checksum, offset) {
        (None, Some(at)) if l4 == L4::Tcp && l4_at + at + 2 <= padded => Some(l4_at + at),
        (checksum, _) => checksum.map(|at| l4_at + at),
    };
    Error { frame, l4: l4_at, checksum }
}

/// The change of a part of a frame, modulo 0xffff.
fn change(old: &[u8], new: &[u8], range: std::ops::Range<usize>) -> u32 {
    (sum(&new[range.clone()]) + negative(sum(&old[range]))) % 0xffff
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Also: as long as it was, to whom it quotes, and nothing else touched.
    #[test]
    fn a80_the_checksum_changes_as_the_oracle_says(
        method in prop::sample::select(&Method::TRANSLATING[..]),
        l4 in prop::sample::select(&L4::ALL[..]),
        side in prop::sample::select(&Side::BOTH[..]),
        v6: bool, cport in 10_001u16.., q in quote(), workers in 1usize..5, arrive_at in 0usize..4,
    ) {
        let mut lab = method.lab(workers);
        let session = Session::open(&mut lab, method, v6, l4, cport);
        let Error { frame, l4: l4_at, checksum } = error(&q, &session, l4, side);
        prop_assume!(frame.len() <= 1514);
        let before = lives(&lab);
        let out = lab.send(arrive_at % workers, &frame).sent();
        assert_checksums(&out);
        prop_assert_eq!(out.len(), frame.len());
        prop_assert_eq!(lives(&lab), before);

        let icmp = 14 + header_len(v6);
        let quote = icmp + 8;
        let addresses = if v6 { 8..40 } else { 12..20 };
        let of_quote = quote + addresses.start..quote + addresses.end;
        let of_outer = 14 + addresses.start..14 + addresses.end;
        let source = of_quote.start..of_quote.start + addresses.len() / 2;
        let outer_dst = of_outer.start + addresses.len() / 2..of_outer.end;
        prop_assert_eq!(&out[outer_dst], &out[source], "to whom it quotes");

        let named = if l4 == L4::Ping { l4_at + 4..l4_at + 6 } else { l4_at..l4_at + 4 };
        let in_quote = change(&frame, &out, of_quote.clone());
        let ports = change(&frame, &out, named.clone());
        let outer = change(&frame, &out, of_outer);
        let expected = match (v6, checksum.is_some()) {
            (false, true) if l4 == L4::Ping => 0,
            (false, true) => in_quote,
            (false, false) => negative(ports),
            (true, true) => negative(outer),
            (true, false) => negative((in_quote + ports + outer) % 0xffff),
        };
        prop_assert_eq!(change(&frame, &out, icmp + 2..icmp + 4), expected);

        // What may change: addresses, ports or identifier, and the checksums over them.
        let mut expected = frame.clone();
        let mut changes = |range: std::ops::Range<usize>| {
            expected[range.clone()].copy_from_slice(&out[range]);
        };
        changes(0..icmp);
        changes(icmp + 2..icmp + 4);
        changes(of_quote);
        changes(named);
        if !v6 {
            changes(quote + 10..quote + 12);
        }
        if let Some(at) = checksum {
            changes(at..at + 2);
        }
        prop_assert_eq!(out, expected);
    }

    /// Whatever an error quotes, it is dropped or comes out as long as it was and with right
    /// checksums; nothing else happens.
    #[test]
    fn a80_any_bytes_in_a_quote_do_no_harm(
        method in prop::sample::select(&Method::ALL[..]), v6: bool,
        l4 in prop::sample::select(&L4::ALL[..]), kind in 0usize..4, code in 0u8..16,
        flips in proptest::collection::vec((0usize..80, any::<u8>()), 0..6), len in 0usize..80,
    ) {
        let mut lab = method.lab(1);
        let session = Session::open(&mut lab, method, v6, l4, 40000);
        let whole = &session.passage(Side::Client).seen;
        let mut quote = whole[14..whole.len().min(14 + len)].to_vec();
        for (at, byte) in flips {
            if let Some(place) = quote.get_mut(at) {
                *place = byte;
            }
        }
        let [to, ..] = ends_of(whole);
        let kind = if v6 { [1, 2, 3, 4] } else { [3, 4, 11, 12] }[kind];
        let sender = method.router(v6, Side::Client);
        let frame = PacketBuilder::new(sender, &to).icmp(kind, code, [0; 4], &quote);
        let before = lives(&lab);
        let (outcome, counted) = tally(&mut lab, 0, &frame);
        prop_assert_eq!(lives(&lab), before);
        match outcome {
            Outcome::Sent(out) if method.translates() => {
                assert_checksums(&out);
                prop_assert_eq!(out.len(), frame.len());
                prop_assert!(counted.contains(&Side::Client.relayed()));
            }
            Outcome::Sent(_) => prop_assert!(counted.contains(&Side::Client.relayed())),
            Outcome::Dropped(reason) => prop_assert!(counted.contains(&reason.name())),
            // It looks like one about a packet of a tunnel of ours.
            Outcome::Other(Verdict::Consumed) => {
                prop_assert!(counted.contains(&"icmp_tunnel_errors"));
            }
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        }
    }
}
