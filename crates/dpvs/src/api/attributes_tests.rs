// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of services' attributes.

use super::*;
use dpvs_api::types as wire;
use dpvs_core::key::Address;
use dpvs_core::net::Protocol;
use proptest::prelude::*;
use std::net::Ipv6Addr;

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn refusal<T: std::fmt::Debug>(outcome: Result<T, RpcError>) -> String {
    let error = outcome.unwrap_err();
    format!("{} {}", error.data.name.unwrap(), error.data.path.unwrap())
}

/// A specification that gives nothing; the key in it is not looked at.
fn nothing() -> ServiceSpec {
    ServiceSpec::new(wire::ServiceKey::FwMark { fwmark: 1, family: wire::Family::Inet })
}

fn key(family: Family) -> ServiceKey {
    let address = match family {
        Family::V4 => Address::v4([203, 0, 113, 80]),
        Family::V6 => Address::v6(Ipv6Addr::LOCALHOST.octets()),
    };
    ServiceKey::new(Protocol::Udp, address, 53)
}

#[test]
fn flags_have_a_general_name_and_that_of_their_scheduler() {
    for (list, scheduler, bits, written) in [
        (&["flag-1", "flag-3"][..], "rr", 0b101, &["flag-1", "flag-3"][..]),
        (&["flag-2", "sh-fallback"], "sh", 0b011, &["sh-fallback", "sh-port"]),
        (&["mh-port", "mh-port", "flag-3"], "mh", 0b110, &["mh-port", "flag-3"]),
        (&[], "sh", 0, &[]),
    ] {
        let flags = read_flags(&names(list), scheduler).unwrap();
        assert_eq!(flags, SchedulerFlags(bits));
        assert_eq!(write_flags(flags, scheduler), names(written));
    }
    assert_eq!(read_flags(&names(&["sh-fallback"]), "sh").unwrap(), SchedulerFlags::FALLBACK);
    assert_eq!(read_flags(&names(&["mh-port"]), "mh").unwrap(), SchedulerFlags::PORT);
    for (list, scheduler) in [("sh-port", "mh"), ("mh-port", "wlc"), ("flag-4", "rr"), ("", "rr")] {
        let outcome = read_flags(&names(&[list]), scheduler);
        assert_eq!(refusal(outcome), "INVALID scheduler_flags", "{list}");
    }
}

#[test]
fn a_hash_target_comes_and_goes_with_consistent_hashing() {
    let (sip, qid) = (HashTarget::Source, HashTarget::QuicId);
    for (given, scheduler, standing, expected) in [
        (Some("qid"), Scheduler::Conhash, sip, qid),
        (Some("sip"), Scheduler::Conhash, qid, sip),
        (Some(""), Scheduler::Conhash, qid, sip),
        (None, Scheduler::Conhash, qid, qid),
        (None, Scheduler::Rr, qid, sip),
        (Some(""), Scheduler::Rr, qid, sip),
    ] {
        assert_eq!(hash_target(given, scheduler, standing).unwrap(), expected);
    }
    let outcome = hash_target(Some("sip"), Scheduler::Rr, sip);
    assert_eq!(refusal(outcome), "INVALID hash_target");
    let outcome = hash_target(Some("cid"), Scheduler::Conhash, sip);
    assert_eq!(refusal(outcome), "INVALID hash_target");
    let settings = |scheduler| ServiceSettings {
        hash_target: HashTarget::QuicId,
        ..ServiceSettings::new(scheduler)
    };
    assert_eq!(Shown::new(&settings(Scheduler::Conhash), Family::V4).hash_target, "qid");
    assert_eq!(Shown::new(&settings(Scheduler::Rr), Family::V4).hash_target, "");
}

#[test]
fn a_mask_of_ipv4_keeps_the_upper_bits_and_may_have_holes() {
    let v4 = |netmask: [u8; 4]| ServiceSpec {
        persistent: Some(300),
        netmask: Some(Ipv4Addr::from(netmask)),
        ..nothing()
    };
    for (netmask, low) in
        [([255, 255, 255, 0], 0xffff_ff00), ([0; 4], 0), ([255, 0, 255, 0], 0xff00_ff00)]
    {
        let settings = settings(&v4(netmask), &key(Family::V4), None).unwrap();
        let mask = settings.persistence.unwrap().mask;
        assert_eq!(mask, 0xffff_ffff_ffff_ffff_ffff_ffff_0000_0000 | low);
        let client = Address::v4([198, 51, 100, 10]).masked(mask);
        assert_eq!(client.family(), Family::V4);
        let shown = Shown::new(&settings, Family::V4);
        assert_eq!((shown.netmask, shown.prefix_len), (Ipv4Addr::from(netmask), 128));
    }
}

#[test]
fn what_is_not_given_stays_and_the_mask_goes_with_persistence() {
    let v6 = |persistent, prefix_len| ServiceSpec { persistent, prefix_len, ..nothing() };
    let key = key(Family::V6);
    let over = |spec: &ServiceSpec, standing| settings(spec, &key, standing);
    let first = over(&v6(Some(300), Some(64)), None).unwrap();
    let persistence = |timeout_ms, mask| Some(Persistence { timeout_ms, mask });
    let mask = 0xffff_ffff_ffff_ffff_0000_0000_0000_0000;
    assert_eq!(first.persistence, persistence(300_000, mask));
    assert_eq!(over(&nothing(), Some(first)).unwrap(), first);
    let longer = over(&v6(Some(600), None), Some(first)).unwrap();
    assert_eq!(longer.persistence, persistence(600_000, mask));
    let whole = over(&v6(None, Some(128)), Some(longer)).unwrap();
    assert_eq!(whole.persistence, persistence(600_000, u128::MAX));
    let off = over(&v6(Some(0), None), Some(longer)).unwrap();
    assert_eq!(off.persistence, None);
    assert_eq!(over(&v6(Some(0), Some(128)), Some(longer)).unwrap().persistence, None);
    for (spec, expected) in [
        (v6(None, Some(64)), "INVALID prefix_len"),
        (v6(Some(0), Some(64)), "INVALID prefix_len"),
        (v6(Some(300), Some(0)), "RANGE prefix_len"),
        (v6(Some(300), Some(129)), "RANGE prefix_len"),
        (v6(Some(2_678_401), None), "RANGE persistent"),
        (
            ServiceSpec { netmask: Some(Ipv4Addr::new(255, 0, 0, 0)), ..v6(Some(300), None) },
            "INVALID netmask",
        ),
        (ServiceSpec { conn_timeout: Some(2_678_401), ..nothing() }, "RANGE conn_timeout"),
    ] {
        assert_eq!(refusal(over(&spec, Some(off))), expected);
    }
}

proptest! {
    #[test]
    fn every_netmask_and_prefix_length_is_shown_as_it_was_set(bits: u32, len in 1u8..=128) {
        let spec = ServiceSpec {
            persistent: Some(1),
            netmask: Some(Ipv4Addr::from_bits(bits)),
            ..nothing()
        };
        let v4 = settings(&spec, &key(Family::V4), None).unwrap();
        prop_assert_eq!(Shown::new(&v4, Family::V4).netmask.to_bits(), bits);
        let spec = ServiceSpec { persistent: Some(1), prefix_len: Some(len), ..nothing() };
        let v6 = settings(&spec, &key(Family::V6), None).unwrap();
        prop_assert_eq!(Shown::new(&v6, Family::V6).prefix_len, len);
    }

    #[test]
    fn every_set_of_flags_reads_as_it_was_written(bits in 0u8..8, at in 0usize..3) {
        let scheduler = ["rr", "sh", "mh"][at];
        let written = write_flags(SchedulerFlags(bits), scheduler);
        prop_assert_eq!(read_flags(&written, scheduler).unwrap(), SchedulerFlags(bits));
    }
}
