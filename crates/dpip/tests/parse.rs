// SPDX-License-Identifier: MIT OR Apache-2.0
//! What command lines mean, as requests; and that no command line whatever brings the program down.

#[cfg(test)]
mod tests {
    use dpip::{Options, Outcome, Request};
    use dpvs_api::types::{
        AddrSpec, DeviceFilter, EchoDown, EchoPolicy, EchoRef, EchoRule, EchoSpec, Family,
        IcmpDecisionsParams, IcmpServersParams, LinkSpec, NeighSpec, RouteSpec, Scope,
    };
    use proptest::prelude::*;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    fn understood(line: &str) -> (Options, Request) {
        let parsed = dpip::parse(line.split(' ').map(OsString::from));
        match parsed.outcome {
            Outcome::Run(options, request) => (*options, *request),
            other => panic!("{line}: {other:?} {}", parsed.stderr),
        }
    }

    fn request(line: &str) -> Request {
        understood(line).1
    }

    #[test]
    fn an_address_is_what_its_words_say_and_the_last_word_wins() {
        let line = "dpip addr add 10.0.0.9 dev x 10.0.0.1/24 dev dpdk0 broadcast 10.0.0.255 \
                    scope host valid_lft 100 preferred_lft 50 sapool";
        let spec = AddrSpec {
            address: "10.0.0.1".parse().unwrap(),
            prefix_len: 24,
            device: "dpdk0".to_owned(),
            broadcast: Some("10.0.0.255".parse().unwrap()),
            scope: Scope::Host,
            valid_lft: 100,
            preferred_lft: 50,
            sapool: true,
        };
        assert_eq!(request(line), Request::AddrAdd(spec));
    }

    #[test]
    fn routes_without_a_family_are_those_of_ipv4() {
        let filter = |family| DeviceFilter { device: None, family: Some(family) };
        assert_eq!(request("dpip route show"), Request::RouteShow(filter(Family::Inet)));
        assert_eq!(request("dpip -6 route show"), Request::RouteShow(filter(Family::Inet6)));
        assert_eq!(request("dpip addr show"), Request::AddrShow(DeviceFilter::default()));
    }

    #[test]
    fn a_route_has_the_scope_that_its_gateway_tells_unless_told() {
        let scope_of = |line| match request(line) {
            Request::RouteAdd(RouteSpec { scope, .. }) => scope,
            other => panic!("{other:?}"),
        };
        assert_eq!(scope_of("dpip route add 10.0.0.0/8 via 10.1.1.1"), Scope::Global);
        assert_eq!(scope_of("dpip route add 10.0.0.0/8 dev dpdk0 scope global"), Scope::Link);
        assert_eq!(scope_of("dpip route add 10.0.0.1 dev dpdk0 local"), Scope::Host);
        assert_eq!(scope_of("dpip route add 10.0.0.1 dev dpdk0 scope kni_host"), Scope::KniHost);
    }

    #[test]
    fn default_and_its_long_forms_are_the_default_route() {
        for (line, to) in [
            ("dpip route del default", "0.0.0.0"),
            ("dpip route del 0.0.0.0/0", "0.0.0.0"),
            ("dpip -6 route del default", "::"),
            ("dpip route del ::/0", "::"),
        ] {
            match request(line) {
                Request::RouteDel(spec) => {
                    assert_eq!((spec.destination, spec.prefix_len), (to.parse().unwrap(), 0));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_neighbours_link_address_is_sent_in_the_usual_form() {
        let spec = NeighSpec {
            address: "10.0.0.1".parse().unwrap(),
            lladdr: "52:54:00:0a:bb:01".to_owned(),
            device: "dpdk0".to_owned(),
        };
        let line = "dpip neigh add 10.0.0.1 dev dpdk0 lladdr 52:54:0:A:bb:1";
        assert_eq!(request(line), Request::NeighAdd(spec));
    }

    #[test]
    fn several_items_of_a_link_are_one_request() {
        let spec = LinkSpec {
            device: "dpdk0".to_owned(),
            promisc: Some(true),
            up: Some(false),
            ..LinkSpec::default()
        };
        assert_eq!(request("dpip link set dpdk0 promisc on link down"), Request::LinkSet(spec));
    }

    #[test]
    fn an_echo_policy_is_what_its_words_say() {
        let line = "dpip echo set 203.0.113.80 policy quorum quorum 2 down host max-size 64";
        let policy = EchoPolicy {
            rule: EchoRule::Quorum,
            quorum: Some(2),
            down: EchoDown::Host,
            max_size: 64,
        };
        let address = "203.0.113.80".parse().unwrap();
        assert_eq!(request(line), Request::EchoSet(EchoSpec { address, policy }));
        let policy =
            EchoPolicy { rule: EchoRule::AnyUp, quorum: None, down: EchoDown::Drop, max_size: 0 };
        let line = "dpip echo set policy any-up 203.0.113.80";
        assert_eq!(request(line), Request::EchoSet(EchoSpec { address, policy }));
        assert_eq!(request("dpip echo del 203.0.113.80"), Request::EchoDel(EchoRef { address }));
        assert_eq!(request("dpip -6 echo show"), Request::EchoShow(Some(Family::Inet6)));
    }

    #[test]
    fn decisions_are_asked_for_by_worker_and_number() {
        let params = IcmpDecisionsParams { worker: Some(1), limit: Some(20) };
        assert_eq!(
            request("dpip icmp decisions limit 20 worker 1"),
            Request::IcmpDecisions(params)
        );
        assert_eq!(request("dpip icmp show"), Request::IcmpShow);
        let params = IcmpServersParams { limit: Some(5) };
        assert_eq!(request("dpip icmp servers limit 5"), Request::IcmpServers(params));
    }

    #[test]
    fn options_stand_anywhere() {
        let (options, request) = understood("dpip link -s show --int=3 dpdk0 -c5 --js -C");
        assert_eq!(request, Request::LinkShow(Some("dpdk0".to_owned())));
        assert!(options.stats && options.json && options.color);
        assert_eq!((options.interval, options.count), (Some(3), Some(5)));
    }

    /// Words that get far, so that the property is not about unknown objects alone.
    fn word() -> impl Strategy<Value = Vec<u8>> {
        let known: Vec<&[u8]> = vec![
            b"addr",
            b"route",
            b"neigh",
            b"link",
            b"echo",
            b"icmp",
            b"vlan",
            b"show",
            b"add",
            b"del",
            b"set",
            b"replace",
            b"flush",
            b"help",
            b"dev",
            b"via",
            b"src",
            b"scope",
            b"local",
            b"default",
            b"lladdr",
            b"policy",
            b"quorum",
            b"decisions",
            b"mtu",
            b"valid_lft",
            b"sapool",
            b"promisc",
            b"on",
            b"bond-mode",
            b"cpu",
            b"-v",
            b"-6",
            b"-s",
            b"-i",
            b"--",
            b"--family",
            b"--json",
            b"-",
            b"--ver",
            b"-svi3",
            b"10.0.0.1/24",
            b"::/0",
            b"2001:db8::1",
            b"2:0:0:0:0:1",
            b"99999999999999999999",
        ];
        prop_oneof![
            3 => proptest::sample::select(known).prop_map(<[u8]>::to_vec),
            1 => proptest::collection::vec(any::<u8>(), 0..12),
            1 => "-{0,2}[a-zA-Z0-9=/:.]{0,8}".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        /// A panic here is a program that dies of a typing error.
        #[test]
        fn no_command_line_brings_the_program_down(
            argv in proptest::collection::vec(word(), 0..10),
        ) {
            let argv: Vec<OsString> = argv.into_iter().map(OsString::from_vec).collect();
            let parsed = dpip::parse(argv.clone());
            prop_assert_eq!(&dpip::parse(argv), &parsed);
            if parsed.outcome == Outcome::Exit(1) {
                prop_assert!(!(parsed.stderr.is_empty() && parsed.stdout.is_empty()));
            }
        }

        /// A route that is listed can be given back to `route add` word by word.
        #[test]
        fn a_listed_route_reads_back(
            to in any::<u32>(),
            len in 1_u8..=32,
            via in 1_u32..,
            mtu in any::<u32>(),
        ) {
            let spec = RouteSpec {
                destination: std::net::Ipv4Addr::from(to).into(),
                prefix_len: len,
                via: Some(std::net::Ipv4Addr::from(via).into()),
                device: Some("dpdk0".to_owned()),
                src: None,
                mtu,
                scope: Scope::Global,
                metric: 7,
            };
            let text = dpip::render::route(&spec);
            let words: Vec<&str> = text.split_whitespace().filter(|w| *w != "inet").collect();
            let kept = words.join(" ").replace(" tos 0", "").replace(" proto auto", "");
            prop_assert_eq!(request(&format!("dpip route add {kept}")), Request::RouteAdd(spec));
        }
    }
}
