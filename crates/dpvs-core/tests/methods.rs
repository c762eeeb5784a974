// SPDX-License-Identifier: MIT OR Apache-2.0
//! Literal frames in, literal frames out, for the methods beside full NAT: each case of
//! `fixtures/methods.txt` is a test of its name.
//!
//! Every case runs with 1, 2, 3 and 8 workers and with the frame arriving at each of them; where no
//! local port is in the frames also with a hash key that spreads the clients.
#![cfg(test)]

use dpvs_core::net::{Family, Protocol};
use dpvs_core::scheduler::Scheduler;
use dpvs_core::steering::KEY_DEFAULT;
use dpvs_core::tables::{
    DestSettings, Forward, NoServer, ServiceSettings, Tunnel, TunnelChecksum, TunnelKind,
};
use dpvs_core::testing::{
    Fixtures, Lab, Outcome, PacketBuilder, checksums_hold, end, match_key, repair_checksums,
    service_key, tunneled,
};

const FRAMES: Fixtures = Fixtures(include_str!("fixtures/methods.txt"));

const V: &str = "203.0.113.80";
const V6: &str = "2001:db8:80::80";
const R: &str = "10.1.1.10";
const R6: &str = "2001:db8:a::10";
const SETTINGS: ServiceSettings = ServiceSettings::new(Scheduler::Rr);

/// How the servers of the services are reached.
#[derive(Clone, Copy)]
enum Method {
    Nat,
    Direct,
    /// By a tunnel to a server of this family.
    Tunnel(Tunnel, Family),
    Snat,
    /// There are none.
    Nobody(NoServer),
}

impl Method {
    fn serve(self, lab: &mut Lab) {
        let settings = match self {
            Method::Nat => DestSettings::new(Forward::Nat),
            Method::Direct => DestSettings::new(Forward::Direct),
            Method::Tunnel(tunnel, _) => tunneled(tunnel),
            Method::Snat => return serve_snat(lab),
            Method::Nobody(policy) => {
                lab.change(|draft| draft.tables_mut().limits.no_server = policy);
                for vip in [V, V6] {
                    lab.serve(&service_key(Protocol::Tcp, vip, 80), SETTINGS, &[]);
                    lab.serve(&service_key(Protocol::Udp, vip, 53), SETTINGS, &[]);
                }
                return;
            }
        };
        let ports = if matches!(self, Method::Nat) { [8080, 5300] } else { [80, 53] };
        for (vip, usual, icmp) in [(V, R, Protocol::Icmp), (V6, R6, Protocol::Icmpv6)] {
            let server = match self {
                Method::Tunnel(_, Family::V4) => R,
                Method::Tunnel(_, Family::V6) => R6,
                _ => usual,
            };
            let [tcp, udp] = ports.map(|port| (end(server, port), settings));
            lab.serve(&service_key(Protocol::Tcp, vip, 80), SETTINGS, &[tcp]);
            lab.serve(&service_key(Protocol::Udp, vip, 53), SETTINGS, &[udp]);
            lab.serve(&service_key(icmp, vip, 0), SETTINGS, &[(end(server, 0), settings)]);
        }
    }
}

fn serve_snat(lab: &mut Lab) {
    // Which identifier a host gets follows from its address; the fixtures' is the only one here.
    lab.change(|draft| draft.tables_mut().limits.identifier_max = 0);
    let snat = DestSettings::new(Forward::Snat);
    for (family, pool, icmp) in [
        (Family::V4, "203.0.113.88", Protocol::Icmp),
        (Family::V6, "2001:db8:80::88", Protocol::Icmpv6),
    ] {
        for protocol in [Protocol::Tcp, Protocol::Udp, icmp] {
            lab.serve(&match_key(family, protocol), SETTINGS, &[(end(pool, 0), snat)]);
        }
    }
}

/// What cannot be literal is left out: the source port of GUE and an IPv4 identification of the outer
/// packet, which are hashes. The checksums over them are checked, and made right for 0.
fn plain(mut frame: Vec<u8>, method: Method) -> Vec<u8> {
    let Method::Tunnel(tunnel, _) = method else { return frame };
    let is_v4 = frame[14] >> 4 == 4;
    let is_ours = if is_v4 {
        frame[26..30] == [10, 1, 1, 2]
    } else {
        frame[22..30] == [32, 1, 13, 184, 0, 10, 0, 0]
    };
    // An error that we make is not wrapped.
    if !is_ours {
        return frame;
    }
    let l4 = if is_v4 { 34 } else { 54 };
    if is_v4 {
        assert_ne!(checksums_hold(&frame), Some(false), "the outer checksums");
        frame[18..20].fill(0);
    }
    if tunnel.kind == TunnelKind::Gue {
        assert!(frame[l4] >= 0xc0, "a source port for hashing");
        assert_eq!(checksums_hold(&frame), Some(true));
        frame[l4..l4 + 2].fill(0);
    }
    let has_sum = tunnel.kind == TunnelKind::Gue && frame[l4 + 6..l4 + 8] != [0, 0];
    repair_checksums(&mut frame);
    if tunnel.kind == TunnelKind::Gue && !has_sum {
        frame[l4 + 6..l4 + 8].fill(0);
    }
    frame
}

fn send(lab: &mut Lab, worker: usize, name: &str, method: Method) {
    let (input, expected) = FRAMES.frames(name);
    let out = match lab.send(worker, &input) {
        Outcome::Sent(frame) => vec![frame],
        Outcome::Pieces(frames) => frames,
        other => panic!("{name} at worker {worker}: {other:?}"),
    };
    let out: Vec<_> = out.into_iter().map(|frame| plain(frame, method)).collect();
    let hex = |frames: &[Vec<u8>]| frames.iter().map(|f| format!("{f:02x?}")).collect::<Vec<_>>();
    assert_eq!(hex(&out), hex(&expected), "{name} at worker {worker}");
}

fn check(name: &str, method: Method, before: &[&str]) {
    let keys: &[_] =
        if matches!(method, Method::Snat) { &[[0; 40]] } else { &[[0; 40], KEY_DEFAULT] };
    for key in keys {
        for workers in [1, 2, 3, 8] {
            for arrive_at in 0..workers {
                let mut lab = Lab::with_key(workers, key);
                method.serve(&mut lab);
                for case in before {
                    send(&mut lab, 0, case, method);
                }
                let connections = lab.connections();
                send(&mut lab, arrive_at, name, method);
                if name.contains("error") || matches!(method, Method::Nobody(_)) {
                    assert_eq!(lab.connections(), connections, "nothing is made");
                }
            }
        }
    }
}

macro_rules! cases {
    ($( $name:ident: $method:expr $(, $before:ident)*; )+) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name), $method, &[ $( stringify!($before) ),* ]);
            }
        )+
        /// A case that no test runs would prove nothing.
        #[test]
        fn every_fixture_is_a_test() {
            let tested = [ $( stringify!($name), )+ ];
            for name in FRAMES.names() {
                assert!(tested.contains(&name), "{name} is not tested");
            }
        }
    };
}

const NAT: Method = Method::Nat;
const DR: Method = Method::Direct;
const RESET: Method = Method::Nobody(NoServer::Reset);
const PORT: Method = Method::Nobody(NoServer::PortUnreachable);
const HOST: Method = Method::Nobody(NoServer::HostUnreachable);
const PROHIBITED: Method = Method::Nobody(NoServer::Prohibited);
const SNAT: Method = Method::Snat;

const fn tunnel(kind: TunnelKind, has_checksum: bool, family: Family) -> Method {
    let port = if matches!(kind, TunnelKind::Gue) { 6080 } else { 0 };
    let checksum = if has_checksum { TunnelChecksum::Full } else { TunnelChecksum::None };
    Method::Tunnel(Tunnel { kind, port, checksum }, family)
}

const IPIP: Method = tunnel(TunnelKind::Ipip, false, Family::V4);
const IPIP6: Method = tunnel(TunnelKind::Ipip, false, Family::V6);
const GRE: Method = tunnel(TunnelKind::Gre, false, Family::V4);
const GRE6: Method = tunnel(TunnelKind::Gre, false, Family::V6);
const GRE_SUM: Method = tunnel(TunnelKind::Gre, true, Family::V4);
const GRE6_SUM: Method = tunnel(TunnelKind::Gre, true, Family::V6);
const GUE: Method = tunnel(TunnelKind::Gue, false, Family::V4);
const GUE6: Method = tunnel(TunnelKind::Gue, false, Family::V6);
const GUE_SUM: Method = tunnel(TunnelKind::Gue, true, Family::V4);
const GUE6_SUM: Method = tunnel(TunnelKind::Gue, true, Family::V6);

cases! {
    nat_tcp_in: NAT;
    nat_tcp_out: NAT, nat_tcp_in;
    nat_udp_in: NAT;
    nat_udp_out: NAT, nat_udp_in;
    nat_ping_in: NAT;
    nat_pong_out: NAT, nat_ping_in;
    nat_tcp6_in: NAT;
    nat_tcp6_out: NAT, nat_tcp6_in;
    nat_udp6_in: NAT;
    nat_udp6_out: NAT, nat_udp6_in;
    nat_ping6_in: NAT;
    nat_pong6_out: NAT, nat_ping6_in;
    nat_udp_nosum_in: NAT;
    a66_nat_error_from_client_side: NAT, nat_tcp_in;
    a66_nat_error_from_server_side: NAT, nat_tcp_in;
    a66_nat_error_of_8_bytes_from_client_side: NAT, nat_tcp_in;
    a66_nat_error_of_8_bytes_from_server_side: NAT, nat_tcp_in;
    a66_nat_udp_error_from_server: NAT, nat_udp_in;
    a66_nat_udp_error_from_client: NAT, nat_udp_in;
    a66_nat_ping_error_from_server_side: NAT, nat_ping_in;
    a66_nat_ping_error_from_client_side: NAT, nat_ping_in, nat_pong_out;
    a66_nat_error6_from_client_side: NAT, nat_tcp6_in;
    a66_nat_error6_from_server_side: NAT, nat_tcp6_in;
    a66_nat_error6_of_8_bytes_from_client_side: NAT, nat_tcp6_in;
    a66_nat_error6_of_8_bytes_from_server_side: NAT, nat_tcp6_in;
    a66_nat_udp_error6_from_server: NAT, nat_udp6_in;
    a66_nat_udp_error6_from_client: NAT, nat_udp6_in;
    a66_nat_ping_error6_from_server_side: NAT, nat_ping6_in;
    a66_nat_ping_error6_from_client_side: NAT, nat_ping6_in, nat_pong6_out;
    a61_nat_ttl_1_in: NAT;
    a61_nat6_ttl_1_in: NAT;
    nat_oversize_udp_in: NAT;
    nat_oversize_ping_out: NAT, nat_ping_in;
    dr_tcp: DR;
    dr_udp: DR;
    dr_ping: DR;
    a61_dr_ttl_1: DR;
    a56_dr_error: DR, dr_tcp;
    a56_dr_error_of_8_bytes: DR, dr_tcp;
    a56_dr_ping_error: DR, dr_ping;
    dr_tcp6: DR;
    dr_udp6: DR;
    dr_ping6: DR;
    a61_dr_ttl6_1: DR;
    a56_dr_error6: DR, dr_tcp6;
    a56_dr_error6_of_8_bytes: DR, dr_tcp6;
    a56_dr_ping_error6: DR, dr_ping6;
    ipip_4in4: IPIP;
    ipip_6in6: IPIP6;
    ipip_6in4: IPIP;
    ipip_4in6: IPIP6;
    ipip_without_df: IPIP;
    ipip_ping: IPIP;
    a55_ipip_error: IPIP, ipip_4in4;
    a55_ipip_error_of_8_bytes: IPIP, ipip_4in4;
    ipip_ping6: IPIP;
    a55_ipip_error6: IPIP, ipip_6in4;
    a55_ipip_error6_of_8_bytes: IPIP, ipip_6in4;
    a61_ipip_ttl_1: IPIP;
    gre_4in4: GRE;
    gre_6in4: GRE;
    gre_4in6: GRE6;
    gre_6in6: GRE6;
    gue_4in4: GUE;
    gue_6in4: GUE;
    gue_4in6: GUE6;
    gue_6in6: GUE6;
    gre_sum_4in4: GRE_SUM;
    gre_sum_6in4: GRE_SUM;
    gre_sum_4in6: GRE6_SUM;
    gre_sum_6in6: GRE6_SUM;
    gue_sum_4in4: GUE_SUM;
    gue_sum_6in4: GUE_SUM;
    gue_sum_4in6: GUE6_SUM;
    gue_sum_6in6: GUE6_SUM;
    gre_sum_odd: GRE_SUM;
    gue_sum_odd: GUE_SUM;
    a57_ipip_4in4_too_big: IPIP;
    a57_ipip_4in6_too_big: IPIP6;
    a57_gre_4in4_too_big: GRE;
    a57_gre_sum_4in4_too_big: GRE_SUM;
    a57_gue_4in4_too_big: GUE;
    a58_ipip_6in6_too_big: IPIP6;
    a58_ipip_6in4_too_big: IPIP;
    a58_gre_6in6_too_big: GRE6;
    a58_gue_6in6_too_big: GUE6;
    ipip_oversize: IPIP;
    gre_oversize: GRE;
    ipip_just_fits: IPIP;
    snat_tcp_in: SNAT;
    snat_tcp_out: SNAT, snat_tcp_in;
    snat_udp_in: SNAT;
    snat_udp_out: SNAT, snat_udp_in;
    a22_snat_ping_in: SNAT;
    a22_snat_pong_out: SNAT, a22_snat_ping_in;
    a67_snat_error_from_outside: SNAT, snat_tcp_in;
    a67_snat_error_from_inside: SNAT, snat_tcp_in;
    a67_snat_error_of_8_bytes_from_outside: SNAT, snat_tcp_in;
    a67_snat_error_from_host_inside: SNAT, snat_udp_in;
    a21_snat_ping_error_from_outside: SNAT, a22_snat_ping_in;
    a21_snat_ping_error_from_inside: SNAT, a22_snat_ping_in, a22_snat_pong_out;
    snat_tcp6_in: SNAT;
    snat_tcp6_out: SNAT, snat_tcp6_in;
    snat_udp6_in: SNAT;
    snat_udp6_out: SNAT, snat_udp6_in;
    a22_snat_ping6_in: SNAT;
    a22_snat_pong6_out: SNAT, a22_snat_ping6_in;
    a67_snat_error6_from_outside: SNAT, snat_tcp6_in;
    a67_snat_error6_from_inside: SNAT, snat_tcp6_in;
    a67_snat_error6_of_8_bytes_from_outside: SNAT, snat_tcp6_in;
    a67_snat_error6_from_host_inside: SNAT, snat_udp6_in;
    a21_snat_ping_error6_from_outside: SNAT, a22_snat_ping6_in;
    a21_snat_ping_error6_from_inside: SNAT, a22_snat_ping6_in, a22_snat_pong6_out;
    a61_snat_ttl_1_in: SNAT;
    a64_reset_of_syn: RESET;
    a64_reset_of_syn_with_data: RESET;
    a64_port_unreachable: PORT;
    a64_host_unreachable: HOST;
    a64_prohibited_unreachable: PROHIBITED;
    a64_reset6_of_syn: RESET;
    a64_reset6_of_syn_with_data: RESET;
    a64_port6_unreachable: PORT;
    a64_host6_unreachable: HOST;
    a64_prohibited6_unreachable: PROHIBITED;
}

/// Routers between us and the servers spread what differs in the ports of the outer packet, and must
/// not spread what belongs together.
#[test]
fn gue_has_one_source_port_for_a_flow_and_others_for_others() {
    for (client, vip) in [("198.51.100.10", V), ("2001:db8:c::10", V6)] {
        let mut lab = Lab::new(1);
        GUE.serve(&mut lab);
        let mut port = |sport, flags, data: &[u8]| {
            let frame = PacketBuilder::new(client, vip).tcp(sport, 80, flags, data);
            let out = lab.send(0, &frame).sent();
            u16::from_be_bytes([out[34], out[35]])
        };
        let ports: std::collections::HashSet<u16> = (1..=100u16)
            .map(|sport| {
                let first = port(sport, 2, &[]);
                assert_eq!(port(sport, 16, b"data"), first, "the same flow");
                first
            })
            .collect();
        assert!(ports.len() > 90, "{} ports for 100 flows", ports.len());
    }
}

#[test]
fn a61_what_passes_untranslated_ends_here_where_the_limits_say_so() {
    for method in [DR, IPIP] {
        let mut lab = Lab::new(1);
        method.serve(&mut lab);
        lab.change(|draft| draft.tables_mut().limits.pass_takes_ttl = true);
        let syn = |ttl| PacketBuilder::new("198.51.100.10", V).ttl(ttl).tcp(40000, 80, 2, &[]);
        let out = lab.send(0, &syn(1)).sent();
        assert_eq!(
            (&out[26..36], lab.connections()),
            (&[203, 0, 113, 80, 198, 51, 100, 10, 11, 0][..], 0)
        );
        let out = lab.send(0, &syn(2)).sent();
        let inner = out.len() - 40;
        assert_eq!((out[inner + 8], lab.connections()), (1, 1));
        let ack = PacketBuilder::new("198.51.100.10", V).ttl(1).tcp(40000, 80, 16, &[]);
        assert_eq!(lab.send(0, &ack).sent()[34..36], [11, 0]);
    }
}
