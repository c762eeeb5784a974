// SPDX-License-Identifier: MIT OR Apache-2.0
//! Saved commands, and that they mean what was saved.

use super::*;
use crate::invocation::{AccessList, Action};
use crate::names::NoNames;
use crate::render::tests_support::{
    FileNames, clients, dest, fwmark, key, page, recorded_cases, service,
};
use crate::restore;
use dpvs_api::types::{
    DestSpec, EchoDown, EchoPolicy, EchoRule, Laddr, ServiceClients, ServiceSpec,
};

const NUMERIC: Namer<'static> = Namer { names: &NoNames, numeric: true };
const TIMEOUTS: Timeouts = Timeouts { tcp: 900, tcp_fin: 120, udp: 300, icmp: 60 };

/// One of everything.
fn everything() -> Vec<Service> {
    let mut web = service(key(Protocol::Tcp, "192.168.100.10", 80), "conhash");
    (web.persistent, web.netmask) = (600, "255.255.255.0".parse().unwrap());
    web.synproxy = true;
    web.expire_quiescent = true;
    web.conn_timeout = 60;
    web.proxy_protocol = "v2".to_owned();
    web.hash_target = "sip".to_owned();
    web.dest_check = "2,4s,tcp,ping".to_owned();
    let mut server = dest("10.0.0.1", 8080, Forward::FullNat);
    (server.weight, server.upper_threshold, server.lower_threshold) = (50, 1000, 800);
    web.dests = vec![server];
    let device = "dpdk0".to_owned();
    let address = "10.0.1.1".parse().unwrap();
    web.laddrs = vec![Laddr { address, device, conflicts: 0, connections: 9 }];
    let mut dns = service(key(Protocol::Udp, "2001:db8::1", 53), "mh");
    (dns.persistent, dns.prefix_len, dns.one_packet) = (60, 64, true);
    dns.scheduler_flags = vec!["mh-port".to_owned(), "flag-3".to_owned()];
    dns.icmp_echo = Some(EchoPolicy {
        rule: EchoRule::Quorum,
        quorum: Some(2),
        down: EchoDown::Host,
        max_size: 64,
    });
    let mut quic = service(key(Protocol::Udp, "192.168.100.10", 443), "conhash");
    (quic.quic, quic.hash_target) = (true, "qid".to_owned());
    let mut ping = service(key(Protocol::Icmp, "10.0.0.100", 0), "rr");
    ping.dests = vec![dest("10.0.0.4", 0, Forward::Nat)];
    let mut any = service(key(Protocol::Tcp, "10.0.0.100", 0), "wlc");
    any.persistent = 360;
    let tunnel = |address: &str, kind, port, checksum| Dest {
        tunnel: Some(Tunnel { kind, port, checksum }),
        ..dest(address, 0, Forward::Tunnel)
    };
    any.dests = vec![
        tunnel("10.0.0.5", TunnelType::Gue, 6080, TunnelChecksum::Remote),
        tunnel("10.0.0.6", TunnelType::Gre, 0, TunnelChecksum::Checksum),
        tunnel("2001:db8::7", TunnelType::Ipip, 0, TunnelChecksum::None),
        dest("10.0.0.8", 0, Forward::Direct),
    ];
    let range = Some("192.168.0.0-192.168.0.254:0-0".to_owned());
    let pattern = Match { src_range: range, oif: Some("dpdk1".to_owned()), ..Match::default() };
    let mut snat = service(ServiceKey::Match { pattern }, "rr");
    snat.dests = vec![dest("1.2.3.4", 0, Forward::Snat)];
    // The first of both is asked first, wherever sorting would put it.
    let src_range = Some("10.0.0.0-10.0.0.255:0-0".to_owned());
    let pattern = Match { src_range, ..Match::default() };
    let second = service(ServiceKey::Match { pattern }, "wlc");
    vec![
        snat,
        ping,
        any,
        web,
        service(key(Protocol::Sctp, "10.0.0.100", 5060), "rr"),
        service(key(Protocol::Icmpv6, "2001:db8::11", 0), "rr"),
        dns,
        quic,
        service(fwmark(u32::MAX, false), "wlc"),
        service(fwmark(8, true), "rr"),
        second,
    ]
}

const SAVED: &str = "\
--set 900 120 300
-A -q 10.0.0.100:0 -s rr
-a -q 10.0.0.100:0 -r 10.0.0.4:0 -m -w 1
-A -t 10.0.0.100:0 -s wlc -p 360
-a -t 10.0.0.100:0 -r 10.0.0.5:0 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum
-a -t 10.0.0.100:0 -r 10.0.0.6:0 -i -w 1 --tun-type gre --tun-csum
-a -t 10.0.0.100:0 -r 10.0.0.8:0 -g -w 1
-a -t 10.0.0.100:0 -r [2001:db8::7]:0 -i -w 1 --tun-type ipip
-A -t 192.168.100.10:80 -s conhash -p 600 -M 255.255.255.0 -j enable --hash-target sip --conn-timeout 60 --proxy-protocol v2 --expire-quiescent --dest-check 2,4s --dest-check tcp --dest-check ping
-P -t 192.168.100.10:80 -z 10.0.1.1 -F dpdk0
-U -t 192.168.100.10:80 -k 198.51.100.9
-U -t 192.168.100.10:80 -k 198.51.100.10
-O -t 192.168.100.10:80 -2 198.51.100.11
-a -t 192.168.100.10:80 -r 10.0.0.1:8080 -b -w 50 -x 1000 -y 800
-A -u 192.168.100.10:443 -s conhash --hash-target qid --quic
-A --sctp-service 10.0.0.100:5060 -s rr
-A -u [2001:db8::1]:53 -s mh -p 60 -M 64 -o -b mh-port,flag-3 --icmp-echo quorum=2:host:64
-O -u [2001:db8::1]:53 -2 2001:db8::9
-A -1 [2001:db8::11]:0 -s rr
-A -f 8 -6 -s rr
-A -f 4294967295 -s wlc
-A -H src-range=192.168.0.0-192.168.0.254:0-0,oif=dpdk1 -s rr
-a -H src-range=192.168.0.0-192.168.0.254:0-0,oif=dpdk1 -r 1.2.3.4:0 -J -w 1
-A -H src-range=10.0.0.0-10.0.0.255:0-0 -s wlc
";

/// The lists of [`everything`]: black, white.
fn lists() -> [AccessPage; 2] {
    let web = || key(Protocol::Tcp, "192.168.100.10", 80);
    let dns = key(Protocol::Udp, "2001:db8::1", 53);
    [
        clients(&[(web(), &["198.51.100.9", "198.51.100.10"])]),
        clients(&[(web(), &["198.51.100.11"]), (dns, &["2001:db8::9"])]),
    ]
}

fn rendered(services: Vec<Service>, [black, white]: &[AccessPage; 2]) -> String {
    let page = page(services);
    render(&Saved { page: &page, timeouts: &TIMEOUTS, black, white }, &NUMERIC)
}

#[test]
fn everything_that_a_service_has_is_saved() {
    assert_eq!(rendered(everything(), &lists()), SAVED);
}

/// The policy is of the address: a line for each of its services would set it as often.
#[test]
fn an_echo_policy_is_saved_once_for_its_address() {
    let policy =
        EchoPolicy { rule: EchoRule::AnyUp, quorum: None, down: EchoDown::Drop, max_size: 0 };
    let at = |address, port| Service {
        icmp_echo: Some(policy),
        ..service(key(Protocol::Tcp, address, port), "rr")
    };
    let services = vec![at("10.0.0.1", 443), at("10.0.0.2", 80), at("10.0.0.1", 80)];
    let none = [clients(&[]), clients(&[])];
    assert_eq!(
        rendered(services, &none),
        "--set 900 120 300\n\
         -A -t 10.0.0.1:80 -s rr --icmp-echo any-up\n\
         -A -t 10.0.0.1:443 -s rr\n\
         -A -t 10.0.0.2:80 -s rr --icmp-echo any-up\n"
    );
}

/// Makes the service that a saved line asks for: what the daemon does with the parameters.
fn made(spec: ServiceSpec) -> Service {
    let scheduler = spec.scheduler.unwrap();
    Service {
        scheduler_flags: spec.scheduler_flags.unwrap(),
        persistent: spec.persistent.unwrap(),
        netmask: spec.netmask.unwrap_or(std::net::Ipv4Addr::BROADCAST),
        prefix_len: spec.prefix_len.unwrap_or(128),
        persistence_engine: spec.persistence_engine.unwrap(),
        one_packet: spec.one_packet.unwrap(),
        synproxy: spec.synproxy.unwrap_or(false),
        expire_quiescent: spec.expire_quiescent.unwrap_or(false),
        quic: spec.quic.unwrap_or(false),
        conn_timeout: spec.conn_timeout.unwrap_or(0),
        proxy_protocol: spec.proxy_protocol.unwrap_or_default(),
        hash_target: spec.hash_target.unwrap_or_default(),
        dest_check: spec.dest_check.unwrap_or_default(),
        icmp_echo: spec.icmp_echo,
        ..service(spec.service, &scheduler)
    }
}

fn made_server(spec: &DestSpec) -> Dest {
    Dest {
        weight: spec.weight.unwrap(),
        upper_threshold: spec.upper_threshold.unwrap(),
        lower_threshold: spec.lower_threshold.unwrap(),
        tunnel: spec.tunnel,
        ..dest(&spec.address.to_string(), spec.port, spec.forward.unwrap())
    }
}

/// A restored file that is saved again is the same file: nothing is lost or changed on the way.
#[test]
fn what_is_saved_is_restored() {
    let mut services: Vec<Service> = Vec::new();
    let mut lists = [clients(&[]), clients(&[])];
    for line in restore::parse(SAVED.as_bytes(), &NoNames) {
        let invocation = line.invocation.unwrap();
        assert!(invocation.warnings.is_empty());
        match invocation.action {
            Action::AddService(spec) => services.push(made(*spec)),
            Action::AddServer(spec) => {
                let owner = services.iter_mut().find(|s| s.service == spec.service).unwrap();
                owner.dests.push(made_server(&spec));
            }
            Action::AddLaddr(spec) => {
                let owner = services.iter_mut().find(|s| s.service == spec.service).unwrap();
                let (address, device) = (spec.address, spec.device);
                owner.laddrs.push(Laddr { address, device, conflicts: 0, connections: 0 });
            }
            Action::AddClient(list, spec) => {
                let page = &mut lists[usize::from(list == AccessList::White)];
                match page.services.iter_mut().find(|list| list.service == spec.service) {
                    Some(list) => list.clients.push(spec.address),
                    None => page.services.push(ServiceClients {
                        service: spec.service,
                        clients: vec![spec.address],
                    }),
                }
            }
            Action::SetTimeouts(spec) => assert_eq!(spec.tcp_fin, Some(120)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(rendered(services, &lists), SAVED);
}

/// The rules that the kernel had after a recorded command hold what the command asks for here.
#[test]
fn recorded_commands_ask_for_the_rules_that_the_kernel_then_had() {
    let names = FileNames::new();
    let mut compared = 0;
    for case in recorded_cases() {
        let Some(rules) = case["rules_after"].as_str().filter(|_| case["rc"] == 0) else {
            continue;
        };
        let words = case["argv"].as_array().unwrap().iter();
        let argv: Vec<Vec<u8>> = words.map(|word| word.as_str().unwrap().into()).collect();
        let mut lines: Vec<String> = Vec::new();
        match crate::parse_with(&argv, &names, false).map(|invocation| invocation.action) {
            Ok(Action::AddService(spec) | Action::EditService(spec)) => {
                let service = made(*spec);
                let name = service_text(&service.service, &NUMERIC);
                // The kernel's flag without a name is lost in stock: there it is an empty list.
                let options = options(&service).replace(" -b flag-3", " -b ");
                lines.push(format!("-A {name} -s {}{options}", service.scheduler));
            }
            Ok(Action::AddServer(spec) | Action::EditServer(spec)) => {
                let mut server = made_server(&spec);
                // Stock does not save thresholds.
                (server.upper_threshold, server.lower_threshold) = (0, 0);
                let protocol = port_protocol(&spec.service);
                let server = dest_text(&server, protocol, &NUMERIC);
                lines.push(format!("-a {} {server}", service_text(&spec.service, &NUMERIC)));
            }
            _ => {}
        }
        for line in lines {
            // Stock saves marks as signed numbers, which it cannot restore.
            let line = line.replace("-f 3000000000", "-f -1294967296");
            assert!(rules.lines().any(|rule| rule == line), "{}: {line}", case["id"]);
            compared += 1;
        }
    }
    assert!(compared > 150, "{compared}");
}
