// SPDX-License-Identifier: MIT OR Apache-2.0
//! Literal replies of the API against the transcripts of the original's listings.

#[cfg(test)]
mod tests {
    use dpip::render;
    use dpvs_api::types::{
        AddrInfo, AddrSpec, EchoAnswer, EchoDown, EchoInfo, EchoPolicy, EchoRule, Endpoint,
        IcmpDecision, IcmpErrors, IcmpMessages, IcmpQuote, IcmpServer, IcmpSettings, IcmpStatus,
        LinkInfo, LinkStats, Match, NeighInfo, PoolUse, Protocol, RouteSpec, Scope, ServiceKey,
    };

    const SHOW: &str = include_str!("golden/dpip-1.10.2-show.txt");

    /// Returns what a command of the transcripts printed.
    fn golden(command: &str) -> &'static str {
        let start = format!("$ {command}\n");
        let at = SHOW.find(&start).unwrap() + start.len();
        SHOW[at..].split_once("[rc=").unwrap().0
    }

    fn addr(address: &str, prefix_len: u8, device: &str, scope: Scope) -> AddrInfo {
        AddrInfo {
            addr: AddrSpec {
                address: address.parse().unwrap(),
                prefix_len,
                device: device.to_owned(),
                broadcast: None,
                scope,
                valid_lft: 0,
                preferred_lft: 0,
                sapool: false,
            },
            pool: None,
        }
    }

    fn addrs() -> [AddrInfo; 3] {
        let mut pool = addr("10.0.1.1", 24, "dpdk0", Scope::Global);
        pool.addr.broadcast = Some("10.0.1.255".parse().unwrap());
        pool.addr.valid_lft = 100;
        pool.addr.sapool = true;
        pool.pool = Some(PoolUse { used: 12, free: 4_294_901_748, missed: 0 });
        [
            // Length 0 counts as 32.
            addr("192.168.100.10", 0, "dpdk0", Scope::Global),
            pool,
            addr("fe80::1", 64, "bond0.100", Scope::Link),
        ]
    }

    fn route(to: &str, prefix_len: u8, scope: Scope) -> RouteSpec {
        RouteSpec {
            destination: to.parse().unwrap(),
            prefix_len,
            via: None,
            device: Some("dpdk0".to_owned()),
            src: None,
            mtu: 1500,
            scope,
            metric: 0,
        }
    }

    fn dpdk0() -> LinkInfo {
        LinkInfo {
            index: 0,
            device: "dpdk0".to_owned(),
            spec: "0000:3b:00.0".to_owned(),
            driver: "mlx5_pci".to_owned(),
            socket: 0,
            mtu: 1500,
            rx_queues: 8,
            tx_queues: 8,
            up: true,
            speed_mbps: 25000,
            full_duplex: true,
            autoneg: true,
            promisc: true,
            allmulticast: false,
            kernel: true,
            lladdr: "52:54:00:12:34:56".to_owned(),
            offloads: vec!["OF_TX_IP_CSUM".to_owned()],
            steering: "rss".to_owned(),
            stats: LinkStats {
                in_packets: 123,
                out_packets: 456,
                in_bytes: 7890,
                out_bytes: 1011,
                ..LinkStats::default()
            },
            buffers_free: 1_000_000,
            buffers_used: 48_575,
        }
    }

    /// LLDP is not in the API, so its word is not in our listing.
    fn golden_link(command: &str) -> String {
        golden(command).replace("foward2kni lldp ", "foward2kni ")
    }

    #[test]
    fn addresses_are_listed_as_monitors_parse_them() {
        let text: String = addrs().iter().map(|info| render::addr(info, false, false)).collect();
        assert_eq!(text, golden("dpip addr show"));
        let text: String = addrs().iter().map(|info| render::addr(info, false, true)).collect();
        assert_eq!(text, golden("dpip -s addr show"));
    }

    #[test]
    fn verbose_addresses_have_a_processor_in_front() {
        let text: String = addrs().iter().map(|info| render::addr(info, true, true)).collect();
        // One table for all workers: there is no processor 2 that it belongs to.
        assert_eq!(text, golden("dpip -v addr show").replace("[02]", "[00]"));
    }

    #[test]
    fn ipv4_routes_print_every_field_and_a_blank_at_the_end() {
        let via = Some("10.0.0.254".parse().unwrap());
        let src = Some("10.0.1.1".parse().unwrap());
        let routes = [
            route("192.168.100.10", 32, Scope::Host),
            RouteSpec { src, ..route("10.0.0.0", 16, Scope::Link) },
            RouteSpec { via, metric: 5, ..route("0.0.0.0", 0, Scope::Global) },
            RouteSpec { via, metric: 5, ..route("192.168.9.9", 32, Scope::KniHost) },
        ];
        let text: String = routes.iter().map(render::route).collect();
        assert_eq!(text, golden("dpip route show"));
    }

    #[test]
    fn ipv6_routes_print_what_says_something() {
        let via = Some("2001:db8::1".parse().unwrap());
        let src = Some("2001:db8:1::5".parse().unwrap());
        let routes = [
            route("2001:db8::10", 128, Scope::Host),
            RouteSpec { via, ..route("::", 0, Scope::Global) },
            RouteSpec { src, mtu: 0, ..route("2001:db8:1::", 64, Scope::Link) },
        ];
        let text: String = routes.iter().map(render::route).collect();
        assert_eq!(text, golden("dpip -6 route show"));
    }

    /// The words in front of `answer` set the policy again.
    #[test]
    fn echo_policies_are_listed_as_they_are_set() {
        let policy = EchoPolicy {
            rule: EchoRule::Quorum,
            quorum: Some(2),
            down: EchoDown::Host,
            max_size: 64,
        };
        let info = EchoInfo {
            address: "203.0.113.80".parse().unwrap(),
            policy,
            answer: EchoAnswer::Reply,
        };
        let text = "203.0.113.80 policy quorum quorum 2 down host max-size 64 answer reply\n";
        assert_eq!(render::echo(&info), text);
        let policy =
            EchoPolicy { rule: EchoRule::AnyUp, quorum: None, down: EchoDown::Drop, max_size: 0 };
        let address = "2001:db8::80".parse().unwrap();
        let info = EchoInfo { address, policy, answer: EchoAnswer::Drop };
        let text = "2001:db8::80 policy any-up down drop max-size 0 answer drop\n";
        assert_eq!(render::echo(&info), text);
    }

    fn icmp_settings() -> IcmpSettings {
        IcmpSettings {
            relayed_per_s: 20_000,
            relayed_per_vip_per_s: 1000,
            mtu_gap_ms: 100,
            made_per_s: 1000,
            made_per_destination_per_s: 1,
            prohibited_per_s: 100,
            echo_per_s: 10_000,
            echo_per_source_per_s: 0,
            echo_allow: vec!["10.0.0.0/8".to_owned(), "2001:db8::/32".to_owned()],
            pool_echo: true,
            queries_per_client: 1024,
            source_quench: "relay".to_owned(),
            source_to_clients: "peer".to_owned(),
            source_to_servers: "own".to_owned(),
            sequence_check: "off".to_owned(),
            quoted_checksum: "count".to_owned(),
            extensions: "keep".to_owned(),
            expire_unreachable_udp: false,
            reschedule_unreachable_syn: false,
            tell_unreachable: false,
            tell_denied: false,
            tell_exhausted: true,
            silent_ports: Vec::new(),
        }
    }

    #[test]
    fn icmp_is_shown_with_counters_drops_and_settings() {
        let count = |name: &str, value| (name.to_owned(), value);
        let status = IcmpStatus {
            counters: [count("icmp_echo_replied", 12), count("icmp_error_relayed_in", 0)].into(),
            drops: [count("icmp_unrelated", 3)].into(),
            messages: IcmpMessages {
                received: [count("icmp 3", 4), count("icmpv6 128", 2)].into(),
                relayed_in: [count("icmp 3", 1)].into(),
                relayed_out: [].into(),
                made: [count("icmpv6 1/4", 7)].into(),
            },
            settings: icmp_settings(),
        };
        let text = "\
counters:
    icmp_echo_replied                12
    icmp_error_relayed_in            0
drops:
    icmp_unrelated                   3
received:
    icmp 3                           4
    icmpv6 128                       2
relayed in:
    icmp 3                           1
relayed out:
made:
    icmpv6 1/4                       7
settings:
    echo_allow                       10.0.0.0/8,2001:db8::/32
    echo_per_s                       10000
    echo_per_source_per_s            0
    expire_unreachable_udp           false
    extensions                       keep
    made_per_destination_per_s       1
    made_per_s                       1000
    mtu_gap_ms                       100
    pool_echo                        true
    prohibited_per_s                 100
    queries_per_client               1024
    quoted_checksum                  count
    relayed_per_s                    20000
    relayed_per_vip_per_s            1000
    reschedule_unreachable_syn       false
    sequence_check                   off
    silent_ports                     none
    source_quench                    relay
    source_to_clients                peer
    source_to_servers                own
    tell_denied                      false
    tell_exhausted                   true
    tell_unreachable                 false
";
        assert_eq!(render::icmp_status(&status).unwrap(), text);
    }

    #[test]
    fn a_server_has_what_errors_said_about_it_in_a_line() {
        let row = |service| IcmpServer {
            service,
            address: "10.1.1.10".parse().unwrap(),
            port: 8080,
            icmp: IcmpErrors { unreachable: 3, time_exceeded: 0, too_big: 12 },
        };
        let address = "203.0.113.80".parse().unwrap();
        let service = ServiceKey::Address { protocol: Protocol::Tcp, address, port: 80 };
        let text =
            "tcp 203.0.113.80:80 -> 10.1.1.10:8080 unreachable 3 time-exceeded 0 too-big 12\n";
        assert_eq!(render::icmp_server(&row(service)), text);
        let pattern = Match {
            protocol: Some(Protocol::Udp),
            src_range: Some("10.0.0.1-10.0.0.9".to_owned()),
            oif: Some("dpdk0".to_owned()),
            ..Match::default()
        };
        let text = "match udp from 10.0.0.1-10.0.0.9 oif dpdk0 -> 10.1.1.10:8080 \
                    unreachable 3 time-exceeded 0 too-big 12\n";
        assert_eq!(render::icmp_server(&row(ServiceKey::Match { pattern })), text);
    }

    #[test]
    fn a_decision_says_when_where_what_about_what_and_why() {
        let end = |text: &str| {
            let end: std::net::SocketAddr = text.parse().unwrap();
            Endpoint { address: end.ip(), port: end.port() }
        };
        let quote = |protocol, src, dst| Some(IcmpQuote { protocol, src: end(src), dst: end(dst) });
        let relayed = IcmpDecision {
            age_ms: 12_045,
            worker: 1,
            device: "dpdk0".to_owned(),
            src: "198.51.100.254".parse().unwrap(),
            dst: "203.0.113.80".parse().unwrap(),
            icmp_type: 3,
            code: 4,
            quote: quote(Protocol::Tcp, "203.0.113.80:80", "198.51.100.10:40000"),
            outcome: "relayed-in".to_owned(),
            steered_to: None,
        };
        assert_eq!(
            render::icmp_decision(&relayed),
            "12.045s ago worker 1 dev dpdk0 icmp 3/4 198.51.100.254 -> 203.0.113.80 \
             quote tcp 203.0.113.80:80 -> 198.51.100.10:40000 outcome relayed-in\n"
        );
        let steered = IcmpDecision {
            age_ms: 9,
            quote: quote(Protocol::Icmp, "10.1.1.200:5", "10.1.1.10:0"),
            outcome: "steered".to_owned(),
            steered_to: Some(3),
            ..relayed.clone()
        };
        assert_eq!(
            render::icmp_decision(&steered),
            "0.009s ago worker 1 dev dpdk0 icmp 3/4 198.51.100.254 -> 203.0.113.80 \
             quote icmp 10.1.1.200 -> 10.1.1.10 id 5 outcome steered to 3\n"
        );
        let unread = IcmpDecision {
            quote: None,
            outcome: "icmp_short_quote".to_owned(),
            src: "2001:db8::1".parse().unwrap(),
            dst: "2001:db8::2".parse().unwrap(),
            icmp_type: 2,
            code: 0,
            ..relayed
        };
        assert_eq!(
            render::icmp_decision(&unread),
            "12.045s ago worker 1 dev dpdk0 icmp 2/0 2001:db8::1 -> 2001:db8::2 \
             quote unread outcome icmp_short_quote\n"
        );
    }

    #[test]
    fn neighbours_are_listed_resolved_or_incomplete() {
        let neigh = |address: &str, lladdr: Option<&str>, state: &str, is_static| NeighInfo {
            address: address.parse().unwrap(),
            lladdr: lladdr.map(str::to_owned),
            device: "dpdk0".to_owned(),
            state: state.to_owned(),
            worker: 1,
            is_static,
        };
        let text = [
            render::neigh(&neigh("10.0.0.1", Some("52:54:00:AA:bb:1"), "REACHABLE", false)),
            render::neigh(&neigh("10.0.0.77", None, "SEND", true)),
        ]
        .concat();
        assert_eq!(text, golden("dpip neigh show"));
    }

    #[test]
    fn links_are_listed_with_their_counters() {
        assert_eq!(render::link(&dpdk0()), golden_link("dpip link show"));
        let text = render::link(&dpdk0()) + &render::link_stats(&dpdk0());
        assert_eq!(text, golden_link("dpip -s link show dpdk0"));
    }

    #[test]
    fn a_link_that_is_down_says_so() {
        let info = LinkInfo {
            index: 1,
            socket: -1,
            up: false,
            speed_mbps: 0,
            full_duplex: false,
            autoneg: false,
            promisc: false,
            allmulticast: true,
            kernel: false,
            offloads: Vec::new(),
            ..dpdk0()
        };
        let text = "2: dpdk0: socket -1 mtu 1500 rx-queue 8 tx-queue 8\n    \
                    DOWN 0 Mbps half-duplex fixed-nego allmulticast \n    \
                    addr 52:54:00:12:34:56 \n";
        assert_eq!(render::link(&info), text);
    }

    #[test]
    fn verbose_links_name_device_driver_and_steering() {
        let table = golden("dpip -s -v link show dpdk0");
        let at = table.find("    pci_addr").unwrap();
        let two_lines: String = table[at..].split_inclusive('\n').take(2).collect();
        assert_eq!(render::link_detail(&dpdk0()), two_lines + "    steering rss\n");
    }

    #[test]
    fn rates_are_listed_below_the_link() {
        let stats = dpdk0().stats;
        let idle = render::rates_between(&stats, &stats, 1);
        let text = render::link(&dpdk0()) + &render::link_rates(&idle, false);
        assert_eq!(text, golden_link("dpip -s -i 1 -c 1 link show dpdk0"));
    }

    #[test]
    fn rates_are_per_second_and_survive_a_reset() {
        let before = LinkStats { in_packets: 100, out_packets: 50, ..LinkStats::default() };
        let after = LinkStats { in_packets: 700, out_packets: 10, ..LinkStats::default() };
        let rates = render::rates_between(&before, &after, 3);
        assert_eq!((rates.in_packets, rates.out_packets), (200, 0));
        let text = render::link_rates(&rates, true);
        assert!(text.contains("\x1b[32m200             \x1b[0m0  "), "{text:?}");
    }
}
