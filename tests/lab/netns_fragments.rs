// SPDX-License-Identifier: MIT OR Apache-2.0
//! Datagrams and pings in several fragments pass by every forwarding method, in both families.

use crate::cells::{Family, Way, host};
use dpvs_tests::run::wait_until;
use dpvs_tests::station::{Station, ask, udp_client};
use dpvs_tests::{Lab, Namespace};

const BOTH: [Family; 2] = [Family::V4, Family::V6];

/// Checks that large datagrams and pings pass from here to there, where port 7 is an echo.
fn large_ones_pass(from: &Namespace, to: &str) {
    let socket = udp_client(from, &format!("{}:7", host(to)));
    for len in [1473, 4000, 9000] {
        let question: Vec<u8> = (0..=250).cycle().take(len).collect();
        let answer = ask(&socket, &question);
        let is_whole = answer.as_deref() == Ok(&question[..]);
        assert!(is_whole, "{len} bytes to {to}: {:?}", answer.map(|answer| answer.len()));
    }
    from.ping(3, "-s 3000", to);
}

fn pass(lab: &Lab, way: &Way) {
    let _echo = Station::udp_echo(&lab.rs1(), way.served().parse().unwrap(), 7);
    way.provision(lab);
    // What the sender alone may cut (IPv6) is first told how small; a socket would hear of it.
    let line = format!("ping -c 1 -W 0.5 -s 3000 {}", way.family.vip());
    wait_until("a large ping is answered", || lab.client().run(&line).code == 0);
    large_ones_pass(&lab.client(), way.family.vip());
    lab.all("ipvsadm -C");
}

/// `af_packet`'s ports are given a datagram of IPv4 that the kernel has put together.
mod put_together {
    use super::*;

    dpvs_tests::lab_tests!(plain: a_datagram_longer_than_the_way_out_is_cut_again);

    fn a_datagram_longer_than_the_way_out_is_cut_again(lab: &mut Lab) {
        for family in BOTH {
            let way = crate::netns_nat::way(family);
            let _echo = Station::udp_echo(&lab.rs1(), way.served().parse().unwrap(), 7);
            way.provision(lab);
            let socket = udp_client(&lab.client(), &format!("{}:7", host(family.vip())));
            let question = [7; 1900];
            assert_eq!(ask(&socket, &question).as_deref(), Ok(&question[..]), "{family:?}");
        }
    }
}

mod through_the_balancer {
    use super::*;

    dpvs_tests::lab_tests!(plain_with_fragments: pass_full_nat, pass_nat, pass_snat);

    fn pass_full_nat(lab: &mut Lab) {
        for family in BOTH {
            pass(lab, &crate::netns_full_nat::way(family));
        }
    }

    fn pass_nat(lab: &mut Lab) {
        for family in BOTH {
            pass(lab, &crate::netns_nat::way(family));
        }
    }

    fn pass_snat(lab: &mut Lab) {
        for family in BOTH {
            let echo = Station::udp_echo(&lab.client(), family.client().parse().unwrap(), 7);
            crate::netns_snat::provision(lab, family, &crate::netns_snat::each_protocol(family));
            large_ones_pass(&lab.rs1(), family.client());
            drop(echo);
        }
    }
}

mod past_the_balancer {
    use super::*;
    use crate::netns_tunnel::{end, way as tunnel};

    dpvs_tests::lab_tests!(direct_with_fragments: pass_direct_routing, pass_tunnels);

    fn pass_direct_routing(lab: &mut Lab) {
        for family in BOTH {
            pass(lab, &crate::netns_direct::way(family));
        }
    }

    fn pass_tunnels(lab: &mut Lab) {
        let end = end(lab);
        for options in ["-i", "-i --tun-type gre --tun-csum", "-i --tun-type gue --tun-port 6080"] {
            for family in BOTH {
                for outer in BOTH {
                    pass(lab, &tunnel(family, outer, options));
                    assert!(!end.take().is_empty(), "{options}: nothing came through it");
                }
            }
        }
    }
}
