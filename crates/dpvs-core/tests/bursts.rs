// SPDX-License-Identifier: MIT OR Apache-2.0
//! A burst is looked up as a whole before its first frame is decided about: what comes out must be what
//! comes out of the same frames one by one, though connections begin, end and give their places to
//! others within it.
#![cfg(test)]

mod icmp_shared;

use dpvs_core::net::{Family, Protocol};
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{Check, DestSettings, Forward, ServiceSettings};
use dpvs_core::testing::{HeapFrame, Lab, PacketBuilder, end, match_key, service_key};
use dpvs_core::{BURST, DropReason, Frame as _, Verdict};
use icmp_shared::*;
use proptest::prelude::*;

/// So few places that they are taken again within a burst.
const PLACES: usize = 8;

/// What is sent in a test: a client of a few, and what it or its server sends.
#[derive(Clone, Copy, Debug)]
struct Step {
    client: u16,
    kind: u8,
    v6: bool,
}

/// Connections of servers without weight end if `expires`; then none goes the shortest way.
fn lab(method: Forward, expires: bool) -> Lab {
    let mut lab = Lab::with_addresses(1, PLACES);
    lab.change(|draft| {
        let policy = &mut draft.tables_mut().limits.icmp;
        policy.mtu_gap_ms = 0;
        policy.quoted_checksum = if expires { Check::Count } else { Check::Off };
    });
    for (v6, protocol) in [
        (false, Protocol::Tcp),
        (false, Protocol::Udp),
        (false, Protocol::Icmp),
        (true, Protocol::Udp),
        (true, Protocol::Icmpv6),
    ] {
        let port = if protocol.is_icmp() { 0 } else { 53 };
        let mut settings = ServiceSettings::new(Scheduler::Rr);
        settings.expire_quiescent = expires;
        if method == Forward::Snat {
            let family = if v6 { Family::V6 } else { Family::V4 };
            let pool = (end(P[at(v6)], 0), DestSettings::new(method));
            lab.serve(&match_key(family, protocol), settings, &[pool]);
        } else {
            let key = service_key(protocol, V[at(v6)], port);
            let servers = [(end(R[at(v6)], port), DestSettings::new(method))];
            lab.serve(&key, settings, &servers);
        }
    }
    lab
}

/// Returns the frame of a step; answers and errors are made of what was last sent to a server.
fn frame(step: Step, [client, target]: [&str; 2], seen: &[Vec<u8>]) -> Vec<u8> {
    let from = PacketBuilder::new(client, target);
    let cport = 40_000 + step.client;
    let last = seen.get(usize::from(step.client) % seen.len().max(1));
    match (step.kind, last) {
        (0, _) if !step.v6 => from.tcp(cport, 53, SYN, &[]),
        (1, _) if !step.v6 => from.tcp(cport, 53, ACK, b"data"),
        (2, _) if !step.v6 => from.tcp(cport, 53, 4, &[]),
        (3..=5, Some(last)) => {
            let v6 = last[14] >> 4 == 6;
            let [src, dst, sport, dport] = ends_of(last);
            let (sport, dport) = (sport.parse().unwrap(), dport.parse().unwrap());
            let back = PacketBuilder::new(&dst, &src);
            match (step.kind, last[if v6 { 20 } else { 23 }]) {
                (3, 1 | 58) => back.pong(word(last, header_len(v6) + 4), 1, b"pong"),
                (3, 6) => back.tcp(dport, sport, SYN | ACK, &[]),
                (3, _) => back.udp(dport, sport, b"answer"),
                _ => {
                    let (kind, code) = HOST[at(v6)];
                    back.icmp(kind, code, [0; 4], &last[14..])
                }
            }
        }
        (6..=8, _) => from.ping(cport, 1, b"ping"),
        _ => from.udp(cport, 53, b"query"),
    }
}

fn sent(verdicts: Vec<(Verdict, Vec<u8>)>, count: usize) -> Vec<(Verdict, Vec<u8>)> {
    verdicts
        .into_iter()
        .take(count)
        // What was not sent may have been changed.
        .map(|(v, bytes)| if v.is_drop() { (v, Vec::new()) } else { (v, bytes) })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn a_burst_is_what_its_frames_are_one_by_one(
        method in prop_oneof![
            Just(Forward::FullNat), Just(Forward::Nat), Just(Forward::Snat), Just(Forward::Direct),
        ],
        expires in any::<bool>(),
        bursts in proptest::collection::vec(
            (
                proptest::collection::vec((0u16..5, 0u8..12, any::<bool>()), 1..32),
                0u64..70_000,
                any::<bool>(),
                0u8..6,
            ),
            1..12,
        ),
    ) {
        let (mut whole, mut single) = (lab(method, expires), lab(method, expires));
        let mut seen: Vec<Vec<u8>> = Vec::new();
        for (steps, pause, polls, weight) in bursts {
            let frames: Vec<_> = steps
                .into_iter()
                .map(|(client, kind, v6)| {
                    let v = at(v6);
                    let ends = if method == Forward::Snat { [R[v], C[v]] } else { [C[v], V[v]] };
                    frame(Step { client, kind, v6 }, ends, &seen)
                })
                .collect();
            for lab in [&mut whole, &mut single] {
                if weight < 2 && method != Forward::Snat {
                    let key = service_key(Protocol::Udp, V[0], 53);
                    let settings = DestSettings { weight: u32::from(weight), ..DestSettings::new(method) };
                    lab.change(|draft| draft.set_dest(&key, end(R[0], 53), settings).unwrap());
                }
                lab.now = lab.now + pause;
                if polls {
                    (0..8).for_each(|_| lab.poll());
                }
            }
            let together = sent(whole.burst(0, &frames), frames.len());
            let apart: Vec<_> = frames
                .iter()
                .flat_map(|frame| sent(single.burst(0, std::slice::from_ref(frame)), 1))
                .collect();
            prop_assert_eq!(&together, &apart);
            seen = together.iter().filter(|(v, _)| !v.is_drop()).map(|(_, b)| b.clone()).collect();
            prop_assert_eq!(counts(&whole), counts(&single));
            prop_assert_eq!(lives(&whole), lives(&single));
        }
    }
}

#[test]
fn a_place_that_another_client_took_within_the_burst_is_not_taken_for_the_own() {
    let mut lab = lab(Forward::FullNat, false);
    let from = |client: u16| PacketBuilder::new(C[0], V[0]).tcp(40_000 + client, 53, SYN, &[]);
    let ack = PacketBuilder::new(C[0], V[0]).tcp(40_001, 53, ACK, &[]);
    assert!(matches!(lab.burst(0, &[from(1)])[..], [(Verdict::Transmit(_), _), ..]));
    // Its time is over, and no timer has fired: the first frame ends it, the second takes its place,
    // and the third was found there.
    lab.now = lab.now + 3_600_000;
    let frames = [ack, from(2), from(1)];
    let sent = sent(lab.burst(0, &frames), frames.len());
    let [(ended, _), (Verdict::Transmit(_), second), (Verdict::Transmit(_), third)] = &sent[..]
    else {
        panic!("two are sent: {sent:?}");
    };
    assert!(ended.is_drop());
    assert_ne!(ends_of(second), ends_of(third), "each has a local port of its own");
    assert_eq!(lab.connections(), 2);
}

#[test]
fn a_frame_with_a_bad_checksum_is_dropped_whatever_came_before_at_its_place() {
    let mut lab = lab(Forward::FullNat, false);
    let query = PacketBuilder::new(C[0], V[0]).udp(40_001, 53, b"query");
    let (sent, seen) = lab.burst(0, std::slice::from_ref(&query)).remove(0);
    assert!(matches!(sent, Verdict::Transmit(_)));
    let [src, dst, ..] = ends_of(&seen);
    let error = PacketBuilder::new(&dst, &src).icmp(3, 1, [0; 4], &seen[14..]);
    let (relayed, _) = lab.burst(0, std::slice::from_ref(&error)).remove(0);
    assert!(matches!(relayed, Verdict::Transmit(_)));
    for bytes in [&error, &query] {
        let mut frames = [HeapFrame::new(bytes)];
        frames[0].set_checksum_bad(true);
        let mut verdicts = [Verdict::Consumed; BURST];
        lab.workers[0].process(lab.now, &mut frames, &mut verdicts);
        assert_eq!(verdicts[0], Verdict::Drop(DropReason::BadChecksum));
        assert_eq!(frames[0].bytes(), &bytes[..], "nothing was done to it");
    }
}

#[test]
fn the_bytes_of_all_frames_are_counted() {
    let mut lab = lab(Forward::FullNat, false);
    let plain = PacketBuilder::new(C[0], V[0]).udp(40_001, 53, b"query");
    let other = PacketBuilder::new(C[0], V[0]).udp(40_002, 53, b"a query with options");
    let frames = [plain.clone(), vec![0; 77], other, plain];
    let wanted: usize = frames.iter().map(Vec::len).sum();
    lab.burst(0, &frames);
    assert_eq!(lab.workers[0].counters().bytes_in.get(), u64::try_from(wanted).unwrap());
}
