// SPDX-License-Identifier: MIT OR Apache-2.0
//! ICMP errors and what passes untranslated: by direct routing and in tunnels they go to the server as
//! they are, and what routers say of the tunnels' own packets becomes their path MTU.
#![cfg(test)]

mod icmp_shared;

use dpvs_core::net::Protocol;
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{DestSettings, ServiceSettings, Tunnel, TunnelChecksum, TunnelKind};
use dpvs_core::testing::{
    Lab, Outcome, PacketBuilder, assert_checksums, end, service_key, tunneled,
};
use dpvs_core::{DropReason, Verdict};
use icmp_shared::*;

const MADE: [&str; 2] = ["icmp_made_too_big", "too_big"];
const LEARNED: [&str; 2] = ["icmp_tunnel_errors", "icmp_tunnel_mtu_learned"];

/// A tunnel: what is put into what, and how many bytes that adds.
#[derive(Clone, Copy, Debug)]
struct Wrapping {
    kind: TunnelKind,
    has_checksum: bool,
    inner_v6: bool,
    outer_v6: bool,
    overhead: usize,
}

/// Every kind, with and without checksum, in every pair of families.
fn wrappings() -> impl Iterator<Item = Wrapping> {
    let kinds = [
        (TunnelKind::Ipip, false, 0),
        (TunnelKind::Gre, false, 4),
        (TunnelKind::Gre, true, 8),
        (TunnelKind::Gue, false, 12),
        (TunnelKind::Gue, true, 12),
    ];
    kinds.into_iter().flat_map(|(kind, has_checksum, len)| {
        [(false, false), (true, false), (false, true), (true, true)].map(|(inner_v6, outer_v6)| {
            let overhead = len + header_len(outer_v6);
            Wrapping { kind, has_checksum, inner_v6, outer_v6, overhead }
        })
    })
}

impl Wrapping {
    fn settings(self) -> DestSettings {
        let port = if self.kind == TunnelKind::Gue { 6080 } else { 0 };
        let checksum = if self.has_checksum { TunnelChecksum::Full } else { TunnelChecksum::None };
        tunneled(Tunnel { kind: self.kind, port, checksum })
    }

    /// A balancer with a TCP service of one server, and its session.
    fn lab(self, workers: usize) -> Lab {
        let mut lab = Lab::new(workers);
        lab.change(|draft| draft.tables_mut().limits.icmp.mtu_gap_ms = 0);
        let key = service_key(Protocol::Tcp, V[at(self.inner_v6)], 80);
        let server = (end(R[at(self.outer_v6)], 80), self.settings());
        lab.serve(&key, ServiceSettings::new(Scheduler::Rr), &[server]);
        lab.send(0, &self.client().tcp(40000, 80, SYN, &[])).sent();
        lab
    }

    fn client(self) -> PacketBuilder {
        PacketBuilder::new(C[at(self.inner_v6)], V[at(self.inner_v6)])
    }

    /// A segment of the client that is so many bytes long, IP header included.
    fn segment(self, len: usize) -> Vec<u8> {
        let data = vec![0x41; len - header_len(self.inner_v6) - 20];
        self.client().tcp(40000, 80, ACK, &data)
    }

    /// A router between us and the server says that an outer packet is too big.
    fn complaint(self, outer: &[u8], mtu: u32, quoted: usize) -> Vec<u8> {
        let v6 = self.outer_v6;
        let [a, b, c, d] = mtu.to_be_bytes();
        let rest = if v6 { [a, b, c, d] } else { [0, 0, c, d] };
        let (icmp_type, code) = TOO_BIG[at(v6)];
        let quote = &outer[14..14 + header_len(v6) + quoted];
        PacketBuilder::new(Y[at(v6)], B_INSIDE[at(v6)]).icmp(icmp_type, code, rest, quote)
    }

    /// What the client must be told about a segment: all of the frame.
    fn told(self, segment: &[u8], mtu: usize) -> Vec<u8> {
        let v6 = self.inner_v6;
        let len_max = if v6 { 1280 } else { 576 };
        let quote = &segment[14..segment.len().min(14 + len_max - header_len(v6) - 8)];
        let [a, b] = u16::try_from(mtu).unwrap().to_be_bytes();
        let (icmp_type, code) = TOO_BIG[at(v6)];
        let mut frame = PacketBuilder::new(V[at(v6)], C[at(v6)]).tos(0xc0).id(0).icmp(
            icmp_type,
            code,
            [0, 0, a, b],
            quote,
        );
        frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, if v6 { 5 } else { 1 }]);
        frame[6..12].copy_from_slice(&PacketBuilder::OUR_MAC);
        frame
    }
}

fn free_of_limits(lab: &mut Lab) {
    lab.change(|draft| {
        draft.tables_mut().limits.icmp.made_per_destination_per_s = 0;
        draft.tables_mut().limits.icmp.made_per_s = 0;
    });
}

#[test]
fn a55_errors_are_wrapped_for_the_owner_unchanged() {
    for wrapping in wrappings() {
        let v6 = wrapping.inner_v6;
        let kinds: &[(u8, u8)] = if v6 {
            &[(1, 0), (2, 0), (3, 0), (4, 1)]
        } else {
            &[(3, 3), (3, 4), (4, 0), (11, 0), (12, 0)]
        };
        everywhere(|workers, worker| {
            let mut lab = wrapping.lab(workers);
            let before = lives(&lab);
            for ((icmp_type, code), quoted) in kinds.iter().flat_map(|k| [(k, 8), (k, 400)]) {
                let answer =
                    PacketBuilder::new(V[at(v6)], C[at(v6)]).tcp(80, 40000, ACK, &[7; 1260]);
                let quote = &answer[14..14 + header_len(v6) + quoted];
                let rest = if v6 { [0, 0, 5, 0] } else { [0, 0, 2, 0] };
                let error = PacketBuilder::new(X[at(v6)], V[at(v6)])
                    .ttl(9)
                    .icmp(*icmp_type, *code, rest, quote);
                let (outcome, counted) = tally(&mut lab, worker, &error);
                let out = outcome.sent();
                assert_eq!(out[14 + wrapping.overhead..], error[14..], "{wrapping:?}");
                assert_eq!(ends_of(&out)[1], R[at(wrapping.outer_v6)]);
                assert_eq!(counted, ["icmp_error_relayed_in"], "{wrapping:?} {icmp_type}/{code}");
            }
            assert_eq!(lives(&lab), before);
        });
    }
}

/// An error that would not fit with the headers of the tunnel is cut, never fragmented.
#[test]
fn a55_errors_that_do_not_fit_the_tunnel_are_cut() {
    for wrapping in wrappings() {
        let v6 = wrapping.inner_v6;
        let mut lab = wrapping.lab(1);
        let answer = PacketBuilder::new(V[at(v6)], C[at(v6)]).tcp(80, 40000, ACK, &[7; 1440]);
        for flags in [0, 0x4000] {
            let (icmp_type, code) = HOST[at(v6)];
            let whole = 1500 - header_len(v6) - 8;
            let error = PacketBuilder::new(X[at(v6)], V[at(v6)]).flags_fragment(flags).icmp(
                icmp_type,
                code,
                [0; 4],
                &answer[14..14 + whole.min(answer.len() - 14)],
            );
            let (outcome, counted) = tally(&mut lab, 0, &error);
            let out = outcome.sent();
            assert!(out.len() <= 1514 && out.len() > 1510, "{wrapping:?}: {}", out.len());
            assert_eq!(counted, ["icmp_error_cut", "icmp_error_relayed_in"]);
            let inner = [&out[..14], &out[14 + wrapping.overhead..]].concat();
            assert_checksums(&inner);
            let quote = 14 + header_len(v6) + 8;
            assert_eq!(inner[quote..], error[quote..inner.len()], "{wrapping:?}");
        }
    }
}

#[test]
fn a56_direct_routing_changes_the_link_address_and_nothing_else() {
    for v6 in FAMILIES {
        for l4 in L4::ALL {
            everywhere(|workers, worker| {
                let mut lab = Method::Direct.lab(workers);
                let session =
                    Session::with_data(&mut lab, Method::Direct, (v6, l4, 40000), &[7; 99]);
                let kinds: &[(u8, u8)] = if v6 {
                    &[(1, 4), (2, 0), (3, 0), (4, 1)]
                } else {
                    &[(3, 3), (3, 4), (4, 0), (11, 0), (12, 0)]
                };
                for (kind, quoted) in kinds.iter().flat_map(|kind| [(kind, 8), (kind, 99)]) {
                    let rest = if v6 { [0, 0, 5, 0] } else { [0, 0, 0, 70] };
                    let error = session.error(Side::Client, *kind, rest, quoted);
                    let (outcome, counted) = tally(&mut lab, worker, &error);
                    let out = outcome.sent();
                    let mac = [2, 0, 0, 0, 0, if v6 { 5 } else { 3 }, 2, 0, 0, 0, 0, 0xbb];
                    assert_eq!((&out[..12], &out[12..]), (&mac[..], &error[12..]));
                    // Every IPv6 packet of less than 1280 bytes fits every link.
                    let is_odd = (v6, kind.0) == (true, 2);
                    let odd: &[&str] = if is_odd { &["icmp_error_ptb_implausible"] } else { &[] };
                    assert_eq!(counted, [odd, &["icmp_error_relayed_in"]].concat());
                }
            });
        }
    }
}

/// With links of 1500 bytes: 1480 by IP in IP, 1476 by GRE, 1468 by GUE; 1460 and so on in IPv6.
#[test]
fn a57_a58_clients_are_told_what_fits_a_tunnel() {
    for wrapping in wrappings() {
        let mtu = 1500 - wrapping.overhead;
        everywhere(|workers, worker| {
            let mut lab = wrapping.lab(workers);
            free_of_limits(&mut lab);
            let before = lives(&lab);
            let segment = wrapping.segment(1500);
            let (outcome, counted) = tally(&mut lab, worker, &segment);
            assert_eq!(outcome, Outcome::Sent(wrapping.told(&segment, mtu)), "{wrapping:?}");
            assert_eq!((counted, lives(&lab)), (MADE.to_vec(), before));
            let out = lab.send(worker, &wrapping.segment(mtu)).sent();
            assert_eq!(out.len(), 1514, "{wrapping:?}: what fits passes");
        });
    }
}

/// The complaint of a router inside arrives at any worker and holds for all of them, for ten minutes.
#[test]
fn a59_a60_a_routers_complaint_about_a_tunnel_becomes_its_path_mtu() {
    for wrapping in wrappings() {
        everywhere(|workers, worker| {
            let mut lab = wrapping.lab(workers);
            free_of_limits(&mut lab);
            let outer = lab.send(0, &wrapping.segment(1400)).sent();
            let path = 1400;
            let (outcome, counted) = tally(&mut lab, worker, &wrapping.complaint(&outer, path, 8));
            assert_eq!(outcome, Outcome::Other(Verdict::Consumed), "{wrapping:?}");
            assert_eq!(counted, LEARNED);
            let mtu = 1400 - wrapping.overhead;
            let segment = wrapping.segment(1400);
            let (outcome, counted) = tally(&mut lab, (worker + 1) % workers, &segment);
            assert_eq!(outcome, Outcome::Sent(wrapping.told(&segment, mtu)), "{wrapping:?}");
            assert_eq!(counted, MADE);
            assert_eq!(lab.send(worker, &wrapping.segment(mtu)).sent().len(), 1414);
            // Ten minutes later the way may have changed.
            lab.now = lab.now + 599_000;
            assert_eq!(lab.send(worker, &segment).sent()[14..], wrapping.told(&segment, mtu)[14..]);
            lab.now = lab.now + 1_000;
            assert_eq!(lab.send(worker, &segment).sent().len(), 1414 + wrapping.overhead);
        });
    }
}

/// A router that quotes more than RFC 792 asks for tells us whose packet it was. What the tunnel adds
/// is taken off, which others did for IP in IP alone.
#[test]
fn b20_a_client_whose_packet_is_quoted_is_told_what_fits_the_tunnel() {
    for wrapping in wrappings() {
        let mut lab = wrapping.lab(3);
        free_of_limits(&mut lab);
        let segment = wrapping.segment(1400);
        let outer = lab.send(0, &segment).sent();
        let quoted = wrapping.overhead - header_len(wrapping.outer_v6) + 200;
        let (outcome, counted) = tally(&mut lab, 1, &wrapping.complaint(&outer, 1400, quoted));
        let expected = wrapping.told(&segment[..14 + 200], 1400 - wrapping.overhead);
        assert_eq!(outcome, Outcome::Sent(expected), "{wrapping:?}");
        assert_eq!(counted, [&MADE[..1], &LEARNED[..], &MADE[1..]].concat());
    }
}

/// What a router may not tell: more than was sent, less than can be, nothing at all.
#[test]
fn a59_path_mtus_that_cannot_be_are_not_believed() {
    for wrapping in wrappings() {
        let least = if wrapping.outer_v6 { 1280 } else { 576 };
        // Behind each: what is left for the client; of 0 the plateau below the outer packet's length.
        let len = 1400 + u32::try_from(wrapping.overhead).unwrap();
        let mut cases = vec![(len, None), (9000, None), (least - 1, Some(least))];
        if !wrapping.outer_v6 {
            cases.push((0, Some(if len > 1492 { 1492 } else { 1006 })));
        }
        for (told, expected) in cases {
            let mut lab = wrapping.lab(1);
            free_of_limits(&mut lab);
            let segment = wrapping.segment(1400);
            let outer = lab.send(0, &segment).sent();
            let counted = tally(&mut lab, 0, &wrapping.complaint(&outer, told, 8)).1;
            let out = lab.send(0, &segment).sent();
            let learned = if expected.is_some() { &LEARNED[..] } else { &LEARNED[..1] };
            assert_eq!(counted, learned, "{wrapping:?} {told}");
            let Some(path) = expected else {
                assert_eq!(out, outer, "{wrapping:?} {told}");
                continue;
            };
            let mtu = usize::try_from(path).unwrap() - wrapping.overhead;
            let mtu = if wrapping.inner_v6 { mtu.max(1280) } else { mtu };
            if mtu >= 1400 {
                continue;
            }
            assert_eq!(out, wrapping.told(&segment, mtu), "{wrapping:?} {told}");
        }
    }
}

/// A forged or damaged complaint changes nothing.
#[test]
fn a59_a_damaged_complaint_is_not_believed() {
    for wrapping in wrappings() {
        let mut lab = wrapping.lab(1);
        let segment = wrapping.segment(1400);
        let outer = lab.send(0, &segment).sent();
        let mut damaged = wrapping.complaint(&outer, 1400, 8);
        damaged[14 + header_len(wrapping.outer_v6) + 3] ^= 1;
        drops(&mut lab, 0, &damaged, DropReason::IcmpUnrelated);
        assert_eq!(lab.send(0, &segment).sent(), outer);
    }
}

/// Whoever can send us errors could fill the memory of path MTUs, or narrow the way to any server.
#[test]
fn a59_a_complaint_about_a_server_without_a_tunnel_is_not_believed() {
    let mut lab = Lab::new(1);
    lab.service(Protocol::Tcp, "203.0.113.80", 80, &[("10.1.1.10", 80)]);
    let tunnel = PacketBuilder::new("10.1.1.2", "10.1.1.10").raw(4, &[0; 28]);
    let complaint =
        PacketBuilder::new("10.1.1.254", "10.1.1.2").icmp(3, 4, [0, 0, 2, 88], &tunnel[14..]);
    lab.send(0, &complaint);
    assert_eq!(lab.tables.path_mtus().find(lab.now, end("10.1.1.10", 0).address), None);
    assert_eq!(lab.workers[0].counters().icmp_tunnel_errors.get(), 0);
}

/// Tunnels of ours have no keys, as IPVS's have none: what a router says of a keyed one is about
/// somebody else's, of the host for instance, and its overhead is another.
#[test]
fn a60_a_complaint_about_a_keyed_gre_packet_is_not_about_a_tunnel_of_ours() {
    for wrapping in wrappings().filter(|w| w.kind == TunnelKind::Gre) {
        everywhere(|workers, worker| {
            let mut lab = wrapping.lab(workers);
            let segment = wrapping.segment(1400);
            let outer = lab.send(0, &segment).sent();
            let gre = 14 + header_len(wrapping.outer_v6);
            // A key, a sequence number, routing, version 1.
            for flags in [0x20, 0x10, 0x40] {
                let mut keyed = outer.clone();
                keyed[gre] |= flags;
                keyed.splice(gre + 4..gre + 4, [0, 0, 0, 99]);
                for quoted in [8, 200] {
                    let complaint = wrapping.complaint(&keyed, 1300, quoted);
                    drops(&mut lab, worker, &complaint, DropReason::IcmpUnrelated);
                }
            }
            let mut version_1 = outer.clone();
            version_1[gre + 1] |= 1;
            let complaint = wrapping.complaint(&version_1, 1300, 8);
            drops(&mut lab, worker, &complaint, DropReason::IcmpUnrelated);
            assert_eq!(lab.send(worker, &segment).sent(), outer, "the way is as wide as it was");
        });
    }
}

/// What routers on the way to a server behind a tunnel say stands with that server, as it does with
/// other methods.
#[test]
fn a59_complaints_about_a_tunnel_are_counted_for_its_server() {
    for wrapping in wrappings() {
        everywhere(|workers, worker| {
            let mut lab = wrapping.lab(workers);
            let outer = lab.send(0, &wrapping.segment(1400)).sent();
            let v6 = wrapping.outer_v6;
            let header = header_len(v6);
            let router = PacketBuilder::new(Y[at(v6)], B_INSIDE[at(v6)]);
            for (icmp_type, code) in [HOST[at(v6)], HOST[at(v6)], TIME[at(v6)]] {
                let quote = &outer[14..14 + header + 8];
                let error = router.icmp(icmp_type, code, [0; 4], quote);
                let (outcome, counted) = tally(&mut lab, worker, &error);
                assert_eq!(outcome, Outcome::Other(Verdict::Consumed), "{wrapping:?}");
                assert_eq!(counted, ["icmp_tunnel_errors"]);
            }
            tally(&mut lab, worker, &wrapping.complaint(&outer, 1400, 8));
            let key = service_key(Protocol::Tcp, V[at(wrapping.inner_v6)], 80);
            let errors = |lab: &Lab| {
                let dest = lab.tables.service(&key).unwrap().dests[0].clone();
                let errors = dest.shared.icmp_errors();
                [errors.unreachable, errors.time_exceeded, errors.too_big]
            };
            assert_eq!(errors(&lab), [2, 1, 1]);
            // The server goes and comes back.
            lab.change(|draft| {
                draft.del_dest(&key, end(R[at(v6)], 80)).unwrap();
                draft.add_dest(&key, end(R[at(v6)], 80), wrapping.settings()).unwrap();
            });
            let (icmp_type, code) = HOST[at(v6)];
            let quote = &outer[14..14 + header + 8];
            lab.send(worker, &router.icmp(icmp_type, code, [0; 4], quote));
            assert_eq!(errors(&lab), [3, 1, 1]);
        });
    }
}

/// A balancer with IPIP from IPv4 into IPv6.
fn four_in_six() -> Lab {
    let mut lab = Lab::new(1);
    let key = service_key(Protocol::Udp, V[0], 53);
    let tunnel = Tunnel { kind: TunnelKind::Ipip, port: 0, checksum: TunnelChecksum::None };
    lab.serve(&key, ServiceSettings::new(Scheduler::Rr), &[(end(R[1], 53), tunneled(tunnel))]);
    lab
}

/// A router says that what we sent is too big for its link of 1280 bytes.
fn complaint(outer: &[u8]) -> Vec<u8> {
    let quote = &outer[14..outer.len().min(14 + 1280 - 48)];
    PacketBuilder::new(Y[1], B_INSIDE[1]).icmp(2, 0, [0, 0, 5, 0], quote)
}

/// Nobody forbade to cut the client's packet, so the client is not told: the next ones are cut.
#[test]
fn a_complaint_about_a_tunnel_is_no_packet_to_be_cut() {
    let mut lab = four_in_six();
    let packet = PacketBuilder::new(C[0], V[0]).flags_fragment(0).udp(40000, 53, &[0x41; 1372]);
    let outer = lab.send(0, &packet).sent();
    assert_eq!(outer.len(), 14 + 40 + 1400);
    assert_eq!(lab.send(0, &complaint(&outer)), Outcome::Other(Verdict::Consumed));
    let Outcome::Pieces(pieces) = lab.send(0, &packet) else { panic!("not cut") };
    assert_eq!(pieces.iter().map(|piece| piece.len() - 14 - 40).collect::<Vec<_>>(), [1236, 184]);
}

/// RFC 1122 section 3.2.2: no error about an error, not even about one in a tunnel.
#[test]
fn a_complaint_about_an_error_in_a_tunnel_makes_no_error() {
    let mut lab = four_in_six();
    let query = PacketBuilder::new(C[0], V[0]).udp(40000, 53, &[0x41; 20]);
    lab.send(0, &query).sent();
    let answer = PacketBuilder::new(V[0], C[0]).udp(53, 40000, &[0x41; 1300]);
    let error = PacketBuilder::new(X[0], V[0]).icmp(3, 1, [0; 4], &answer[14..]);
    let outer = lab.send(0, &error).sent();
    assert_eq!(outer.len(), 14 + 40 + 20 + 8 + 1328);
    let outcome = lab.send(0, &complaint(&outer));
    assert!(!matches!(outcome, Outcome::Sent(_) | Outcome::Pieces(_)), "{outcome:?}");
    assert_eq!(counts(&lab)["icmp_tunnel_mtu_learned"], 1);
}
