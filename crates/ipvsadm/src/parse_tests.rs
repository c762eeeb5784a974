// SPDX-License-Identifier: MIT OR Apache-2.0
//! Command lines beyond those that stock knows: what DPVS and we added.

use crate::invocation::{AccessList, Action, Format, Invocation, View};
use dpvs_api::types::{
    AccessSpec, DestSpec, Forward, Protocol, ServiceKey, ServiceSelector, ServiceSpec,
};

fn parse(line: &str) -> Result<Invocation, String> {
    let argv: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
    crate::parse(&argv).map_err(|failure| String::from_utf8(failure.message).unwrap())
}

fn error(line: &str) -> String {
    parse(line).unwrap_err()
}

fn service(line: &str) -> ServiceSpec {
    match parse(line).unwrap().action {
        Action::AddService(spec) | Action::EditService(spec) => *spec,
        other => panic!("{other:?}"),
    }
}

fn server(line: &str) -> DestSpec {
    match parse(line).unwrap().action {
        Action::AddServer(spec) | Action::EditServer(spec) => spec,
        other => panic!("{other:?}"),
    }
}

fn icmp(protocol: Protocol, address: &str) -> ServiceKey {
    ServiceKey::Address { protocol, address: address.parse().unwrap(), port: 0 }
}

#[test]
fn icmp_services_need_no_port_and_no_persistence() {
    for (line, protocol, address) in [
        ("ipvsadm -A -q 10.0.0.100", Protocol::Icmp, "10.0.0.100"),
        ("ipvsadm -A -q 10.0.0.100:0", Protocol::Icmp, "10.0.0.100"),
        ("ipvsadm -A -q 10.0.0.100:8 -s rr", Protocol::Icmp, "10.0.0.100"),
        ("ipvsadm -A -q [2001:db8::1]:0", Protocol::Icmpv6, "2001:db8::1"),
        ("ipvsadm -A -1 2001:db8::1", Protocol::Icmpv6, "2001:db8::1"),
        ("ipvsadm -A -p icmp 10.0.0.100", Protocol::Icmp, "10.0.0.100"),
        ("ipvsadm -A 10.0.0.100 -s rr -p ICMP", Protocol::Icmp, "10.0.0.100"),
        ("ipvsadm -A --proto ipv6-icmp [2001:db8::1]", Protocol::Icmpv6, "2001:db8::1"),
        ("ipvsadm -A -p icmp 2001:db8::1", Protocol::Icmpv6, "2001:db8::1"),
    ] {
        assert_eq!(service(line).service, icmp(protocol, address), "{line}");
    }
}

#[test]
fn the_protocol_of_p_is_no_persistence() {
    assert_eq!(service("ipvsadm -A -p icmp 10.0.0.100").persistent, Some(0));
    assert_eq!(service("ipvsadm -A -p icmp 10.0.0.100 -p 300").persistent, Some(300));
    let spec = service("ipvsadm -A -p icmp6 -M 64 -p 300 2001:db8::1");
    assert_eq!((spec.prefix_len, spec.netmask), (Some(64), None));
    for (line, text) in [
        (
            "ipvsadm -A -p icmp",
            "You need to supply the 'service-address' option for the 'add-service' command\n",
        ),
        ("ipvsadm -A -p icmp 10.0.0.1 x", "unexpected argument x\n"),
        ("ipvsadm -A -p icmp -q 10.0.0.1", "multiple 'service-address' options specified\n"),
        ("ipvsadm -A -p icmp 10.0.0.1:80", "illegal virtual server address[:port] specified\n"),
        ("ipvsadm -A -p icmpv6 10.0.0.1", "illegal virtual server address[:port] specified\n"),
        ("ipvsadm -A -1 10.0.0.1", "illegal virtual server address[:port] specified\n"),
        ("ipvsadm -A -p 10.0.0.1", "invalid timeout value `10.0.0.1' specified\n"),
    ] {
        assert_eq!(error(line), text, "{line}");
    }
}

#[test]
fn servers_of_icmp_services_have_no_port() {
    let spec = server("ipvsadm -a -q 10.0.0.100 -r 10.1.1.1:80 -b");
    assert_eq!((spec.port, spec.forward), (0, Some(Forward::FullNat)));
}

#[test]
fn an_empty_scheduler_is_the_default_one() {
    for command in ["-A", "-E"] {
        let argv = ["ipvsadm", command, "-t", "10.0.0.1:80", "-s", ""];
        let argv = argv.map(|word| word.as_bytes().to_vec());
        let action = crate::parse(&argv).unwrap().action;
        let (Action::AddService(spec) | Action::EditService(spec)) = action else {
            panic!("{action:?}");
        };
        assert_eq!(spec.scheduler.as_deref(), Some("wlc"));
    }
}

#[test]
fn editing_a_service_replaces_what_stock_has_and_nothing_else() {
    let spec = service("ipvsadm -E -t 10.0.0.1:80");
    assert_eq!(spec.scheduler.as_deref(), Some("wlc"));
    assert_eq!((spec.persistent, spec.one_packet), (Some(0), Some(false)));
    assert_eq!(spec.scheduler_flags, Some(Vec::new()));
    assert_eq!(spec.persistence_engine.as_deref(), Some(""));
    let own = (spec.synproxy, spec.conn_timeout, spec.proxy_protocol, spec.dest_check, spec.quic);
    assert_eq!(own, (None, None, None, None, None));
    assert_eq!((spec.hash_target, spec.expire_quiescent), (None, None));
    let spec =
        service("ipvsadm -E -t 10.0.0.1:80 -j disable --dest-check disable --proxy-protocol x");
    assert_eq!((spec.synproxy, spec.dest_check.as_deref()), (Some(false), Some("")));
    assert_eq!(spec.proxy_protocol.as_deref(), Some(""));
}

#[test]
fn editing_a_server_gives_everything() {
    let spec = server("ipvsadm -e -t 10.0.0.1:80 -r 10.1.1.1:8080");
    assert_eq!((spec.forward, spec.weight), (Some(Forward::Direct), Some(1)));
    assert_eq!((spec.upper_threshold, spec.lower_threshold), (Some(0), Some(0)));
    // Direct routing leaves the port alone.
    assert_eq!(spec.port, 80);
    assert_eq!(server("ipvsadm -a -t 10.0.0.1:80 -r 10.1.1.1 -b").port, 80);
    assert_eq!(server("ipvsadm -a -r 10.1.1.1 -t 10.0.0.1:80 -b").port, 0);
    assert_eq!(server("ipvsadm -a -t [2001:db8::1]:80 -r 10.1.1.1 -b").port, 80);
}

#[test]
fn conhash_options_depend_on_what_stands_left_of_them() {
    let spec = service("ipvsadm -A -u 10.0.0.1:443 -s conhash --hash-target qid --quic");
    assert_eq!((spec.hash_target.as_deref(), spec.quic), (Some("qid"), Some(true)));
    let spec = service("ipvsadm -A -t 10.0.0.1:443 -s conhash");
    assert_eq!(spec.hash_target.as_deref(), Some("sip"));
    for (line, text) in [
        (
            "ipvsadm -A -u 10.0.0.1:443 --hash-target sip -s conhash",
            "hash target can only be set when schedule is conhash\n\n",
        ),
        (
            "ipvsadm -A -s conhash --hash-target qid -u 10.0.0.1:443",
            "qid hash can only be set in udp service\n\n",
        ),
        ("ipvsadm -A -s conhash --hash-target dip -u 10.0.0.1:443", "hash target not support\n\n"),
        ("ipvsadm -A -t 10.0.0.1:443 -j maybe", "synproxy switch must be enable or disable\n\n"),
        ("ipvsadm -A -t 10.0.0.1:443 --dest-check 1", "invalid dest_check config\n"),
        ("ipvsadm -A -t 10.0.0.1:443 --conn-timeout x", "x: invalid numeric value\n"),
    ] {
        assert_eq!(error(line), text, "{line}");
    }
    assert_eq!(service("ipvsadm -A -t 10.0.0.1:443 --conn-timeout 0x10").conn_timeout, Some(16));
}

#[test]
fn options_without_a_column_are_ignored_with_a_warning_elsewhere() {
    let warnings = parse("ipvsadm -L --quic --quic").unwrap().warnings;
    assert_eq!(warnings, ["warning: 'quic' has no effect with the 'list' command"]);
    assert!(parse("ipvsadm -A -t 10.0.0.1:80 --quic").unwrap().warnings.is_empty());
}

#[test]
fn local_addresses_lists_and_formats_parse() {
    let line = "ipvsadm -P -t 10.0.0.1:80 -z 10.0.1.1 -F dpdk0";
    let Action::AddLaddr(spec) = parse(line).unwrap().action else { panic!() };
    assert_eq!((spec.address.to_string(), spec.device.as_str()), ("10.0.1.1".into(), "dpdk0"));
    assert!(matches!(
        parse("ipvsadm -U -t 10.0.0.1:80 -k ipset:bad").unwrap().action,
        Action::Refuse(_)
    ));
    assert_eq!(
        error("ipvsadm -O -t 10.0.0.1:80 -2 ipset:"),
        "illegal whitelist entry format, require [ IP | ipset:NAME ]\n"
    );
    assert_eq!(parse("ipvsadm -G --json").unwrap().format, Some(Format::Json));
    assert_eq!(error("ipvsadm -L --json --format dpvs"), "multiple 'format' options specified\n");
    assert_eq!(error("ipvsadm -S --json"), "Illegal 'format' option with the 'save' command\n");
}

#[test]
fn the_commands_for_lists_name_their_list_the_service_and_the_client() {
    let service = |port| ServiceKey::Address {
        protocol: Protocol::Tcp,
        address: "10.0.0.1".parse().unwrap(),
        port,
    };
    let spec = || AccessSpec { service: service(80), address: "198.51.100.9".parse().unwrap() };
    let (black, white) = (AccessList::Black, AccessList::White);
    for (line, action) in [
        ("-U -t 10.0.0.1:80 -k 198.51.100.9", Action::AddClient(black, spec())),
        ("--add-blklst -t 10.0.0.1:80 --blklst 198.51.100.9", Action::AddClient(black, spec())),
        ("-V -t 10.0.0.1:80 -k 198.51.100.9:99", Action::DelClient(black, spec())),
        ("-O -t 10.0.0.1:80 -2 198.51.100.9", Action::AddClient(white, spec())),
        ("-Y -t 10.0.0.1:80 -2 198.51.100.9", Action::DelClient(white, spec())),
        ("-B", Action::ListClients(black, ServiceSelector::default())),
        (
            "-W -t 10.0.0.1:81",
            Action::ListClients(white, ServiceSelector { service: Some(service(81)) }),
        ),
    ] {
        assert_eq!(parse(&format!("ipvsadm {line}")).unwrap().action, action, "{line}");
    }
    assert_eq!(parse("ipvsadm -B --json").unwrap().format, Some(Format::Json));
    assert_eq!(
        error("ipvsadm -U -t 10.0.0.1:80 -2 198.51.100.9"),
        "You need to supply the 'blklst-address' option for the 'add-blklst' command\n"
    );
    let Action::Refuse(text) = parse("ipvsadm -V -t 10.0.0.1:80 -k ipset:s").unwrap().action else {
        panic!()
    };
    assert!(text.contains("ipsets"), "{text}");
}

#[test]
fn each_method_of_forwarding_has_its_letter() {
    for (options, forward) in [
        ("", Forward::Direct),
        (" -g", Forward::Direct),
        (" -m", Forward::Nat),
        (" -i", Forward::Tunnel),
        (" -b", Forward::FullNat),
        (" --fullnat", Forward::FullNat),
        (" -J", Forward::Snat),
    ] {
        let spec = server(&format!("ipvsadm -a -t 10.0.0.1:80 -r 10.1.1.1:8080{options}"));
        assert_eq!(spec.forward, Some(forward), "{options}");
        let port = if matches!(forward, Forward::Direct | Forward::Tunnel) { 80 } else { 8080 };
        assert_eq!(spec.port, port, "{options}");
        assert_eq!(spec.tunnel.is_some(), forward == Forward::Tunnel);
    }
    let pool = "ipvsadm -a -H src-range=10.0.0.1-10.0.0.9,oif=dpdk1 -r 192.0.2.1:0 -J -w 5";
    let spec = server(pool);
    assert_eq!((spec.forward, spec.port, spec.weight), (Some(Forward::Snat), 0, Some(5)));
    assert!(matches!(spec.service, ServiceKey::Match { .. }));
}

/// Stock takes a mask without persistence; the daemon would ask what it is for.
#[test]
fn a_mask_goes_with_persistence_alone() {
    let spec = service("ipvsadm -A -t 10.0.0.1:80 -M 255.255.255.0");
    assert_eq!((spec.persistent, spec.netmask, spec.prefix_len), (Some(0), None, None));
    let spec = service("ipvsadm -E -t 10.0.0.1:80 -p -M 255.0.255.0");
    let netmask = Some("255.0.255.0".parse().unwrap());
    assert_eq!((spec.persistent, spec.netmask, spec.prefix_len), (Some(360), netmask, None));
    let spec = service("ipvsadm -E -t [2001:db8::1]:80 -p 60");
    assert_eq!((spec.persistent, spec.netmask, spec.prefix_len), (Some(60), None, Some(128)));
}

#[test]
fn a_match_service_is_exempt_from_the_port() {
    let spec = service("ipvsadm -A -H proto=tcp,src-range=10.0.0.1-10.0.0.9,oif=dpdk1 -s rr");
    assert!(matches!(spec.service, ServiceKey::Match { .. }));
    assert_eq!(error("ipvsadm -A -H proto=tcp"), "illegal match specified\n");
}

#[test]
fn of_several_views_stats_is_shown() {
    let line = "ipvsadm -L --tun-info --rate --stats";
    let Action::ListServices(listing) = parse(line).unwrap().action else { panic!() };
    assert_eq!(listing.view, View::Stats);
    let line = "ipvsadm -L --sockpair tcp:1.1.1.1:1:2.2.2.2:2";
    assert!(matches!(parse(line).unwrap().action, Action::ListConnections(_)));
}
