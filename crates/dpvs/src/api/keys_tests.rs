// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of services' keys.

use super::*;
use dpvs_core::PortId;
use dpvs_core::net::Mac;
use dpvs_core::steering::{KEY_DEFAULT, Steering};
use dpvs_core::tables::{Limits, Port};
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

fn tables() -> Tables {
    let port = |id| Port {
        id: PortId(id),
        name: format!("dpdk{id}"),
        mac: Mac([2, 0, 0, 0, 0, 1]),
        mtu: 1500,
        has_kernel: false,
    };
    let steering = Steering::new(1, &KEY_DEFAULT);
    Tables::new(vec![port(0), port(1)], steering, Limits::default())
}

fn src(text: &str) -> wire::Match {
    wire::Match { src_range: Some(text.to_owned()), ..wire::Match::default() }
}

fn refusal(pattern: &wire::Match) -> String {
    let error = read_match(&tables(), pattern).unwrap_err();
    let path = error.data.path.clone().unwrap();
    format!("{} {}", error.data.name.unwrap(), path.strip_prefix("service.match").unwrap())
}

#[test]
fn ranges_are_read_in_every_form_and_written_in_one() {
    for (text, written) in [
        ("192.168.0.0-192.168.0.254:0-0", "192.168.0.0-192.168.0.254:0-0"),
        ("10.0.0.1", "10.0.0.1-10.0.0.1:0-0"),
        ("10.0.0.1-10.0.0.9", "10.0.0.1-10.0.0.9:0-0"),
        ("10.0.0.1:80", "10.0.0.1-10.0.0.1:80-80"),
        ("10.0.0.1-10.0.0.9:80-443", "10.0.0.1-10.0.0.9:80-443"),
        ("0.0.0.0-255.255.255.255:0-65535", "0.0.0.0-255.255.255.255:0-65535"),
        ("[10.0.0.1-10.0.0.9]:80", "10.0.0.1-10.0.0.9:80-80"),
        ("2001:db8::1", "[2001:db8::1-2001:db8::1]:0-0"),
        ("2001:db8::1-2001:db8::9", "[2001:db8::1-2001:db8::9]:0-0"),
        ("[2001:db8::1-2001:db8::9]", "[2001:db8::1-2001:db8::9]:0-0"),
        ("[2001:db8::1-2001:db8::9]:80-90", "[2001:db8::1-2001:db8::9]:80-90"),
        ("[::-ffff:ffff::]:53", "[::-ffff:ffff::]:53-53"),
    ] {
        let range = read_range(text, "p").unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(write_range(range), written);
    }
    let range = read_range("10.0.0.1-10.0.0.9:80-443", "p").unwrap();
    let address = |last| Address::v4([10, 0, 0, last]);
    assert_eq!((range.first, range.last), (address(1), address(9)));
    assert_eq!((range.first_port, range.last_port), (80, 443));
}

#[test]
fn a_wrong_range_is_refused_and_not_turned_into_another() {
    for text in [
        "",
        "-",
        "10.0.0.1-",
        "10.0.0.9-10.0.0.1",
        "10.0.0.1:9-8",
        "10.0.0.1:65536",
        "10.0.0.1:",
        "192.168.0.1-10:80-100",
        "10.0.0.1-2001:db8::1",
        "[2001:db8::1-2001:db8::9",
        "[2001:db8::1]80",
        "2001:db8::1-2001:db8::9:80-90",
        "0.0.0.0",
        "0.0.0.0-0.0.0.0:80-80",
        "::-::",
        "::ffff:10.0.0.1-::ffff:10.0.0.9",
        "10.0.0.0/8",
        " 10.0.0.1",
    ] {
        assert_eq!(refusal(&src(text)), "INVALID .src_range", "{text}");
    }
}

#[test]
fn the_parts_of_a_match_fit_together_or_the_one_at_fault_is_named() {
    let none = wire::Match::default();
    let range = || Some("10.0.0.1".to_owned());
    let name = |text: &str| Some(text.to_owned());
    for (pattern, expected) in [
        (none.clone(), "INVALID "),
        (wire::Match { protocol: Some(wire::Protocol::Tcp), ..none.clone() }, "INVALID "),
        (wire::Match { oif: name("dpdk1"), ..none.clone() }, "INVALID "),
        (
            wire::Match { family: Some(wire::Family::Inet6), dst_range: range(), ..none.clone() },
            "INVALID .dst_range",
        ),
        (
            wire::Match { src_range: range(), dst_range: name("2001:db8::1"), ..none.clone() },
            "INVALID .dst_range",
        ),
        (
            wire::Match { protocol: Some(wire::Protocol::Icmpv6), ..src("10.0.0.1") },
            "INVALID .protocol",
        ),
        (
            wire::Match { protocol: Some(wire::Protocol::Icmp), ..src("2001:db8::1") },
            "INVALID .protocol",
        ),
        (wire::Match { iif: name("dpdk9"), ..src("10.0.0.1") }, "NO_DEVICE .iif"),
        (wire::Match { oif: name(""), ..src("10.0.0.1") }, "NO_DEVICE .oif"),
    ] {
        assert_eq!(refusal(&pattern), expected, "{pattern:?}");
    }
}

#[test]
fn a_match_comes_back_as_it_went_in() {
    let tables = tables();
    let all = wire::Match {
        protocol: Some(wire::Protocol::Tcp),
        family: None,
        src_range: Some("10.0.0.1-10.0.0.9:0-0".to_owned()),
        dst_range: Some("192.0.2.1-192.0.2.1:80-443".to_owned()),
        iif: Some("dpdk0".to_owned()),
        oif: Some("dpdk1".to_owned()),
    };
    let family = wire::Match { family: Some(wire::Family::Inet6), ..wire::Match::default() };
    for pattern in [all, family] {
        let key = wire::ServiceKey::Match { pattern };
        let read = service_key(&tables, &key).unwrap();
        assert_eq!(wire_key(&tables, &read), key);
    }
    let read = read_match(&tables, &src("10.0.0.1")).unwrap();
    assert_eq!((read.family, read.protocol, read.oif), (Family::V4, None, None));
}

fn any_range() -> impl Strategy<Value = Range> {
    let v4 = (any::<u32>(), any::<u32>()).prop_map(|(a, b)| {
        let ip = |bits| Address::from(IpAddr::from(Ipv4Addr::from_bits(bits)));
        (ip(a.min(b)), ip(a.max(b).max(1)))
    });
    let v6 = (any::<u128>(), any::<u128>()).prop_map(|(a, b)| {
        // IPv4-mapped addresses are not IPv6 here.
        let ip = |bits: u128| Address::from(IpAddr::from(Ipv6Addr::from_bits(bits | 1 << 127)));
        (ip(a).min(ip(b)), ip(a).max(ip(b)))
    });
    (prop_oneof![v4, v6], any::<u16>(), any::<u16>()).prop_map(|((first, last), a, b)| Range {
        first,
        last,
        first_port: a.min(b),
        last_port: a.max(b),
    })
}

proptest! {
    #[test]
    fn every_range_reads_as_it_was_written(range in any_range()) {
        prop_assert_eq!(read_range(&write_range(range), "p").unwrap(), range);
    }

    #[test]
    fn no_text_panics(text in "[0-9a-f:.\\[\\]-]{0,40}") {
        if let Ok(range) = read_range(&text, "p") {
            prop_assert!(range.first <= range.last);
        }
    }
}
