// SPDX-License-Identifier: MIT OR Apache-2.0
//! Echo policies of virtual addresses, as the pings of real clients see them.

use crate::cells::{Family, host};
use crate::states;
use dpvs_tests::Lab;
use dpvs_tests::packet::{icmp, ipv4, send_ipv4, udp};
use dpvs_tests::run::wait_until;

dpvs_tests::lab_tests!(plain:
    a_ping_follows_the_weights_of_the_servers,
    a_ping_follows_the_weights_of_the_servers_v6,
    a_server_answers_without_an_icmp_service,
    a_server_answers_without_an_icmp_service_v6,
    a_policy_of_dpip_is_listed_and_taken_away,
    why_an_error_was_dropped_is_told,
);

/// What one ping is told.
fn ping(lab: &Lab, family: Family) -> String {
    lab.client().run(&format!("ping -c 1 -W 2 {}", family.vip())).stdout
}

/// A service with both servers and an echo policy.
fn serve(lab: &Lab, family: Family, policy: &str) {
    let vip = host(family.vip());
    lab.full_nat(&format!("-t {vip}:80"), &[]);
    lab.run(&format!("ipvsadm -E -t {vip}:80 -s rr --icmp-echo {policy}")).ok();
    for server in servers(family) {
        lab.run(&format!("ipvsadm -a -t {vip}:80 -r {}:80 -b", host(server))).ok();
    }
}

fn servers(family: Family) -> [&'static str; 2] {
    match family {
        Family::V4 => ["10.2.0.11", "10.2.0.12"],
        Family::V6 => ["fd00:2::11", "fd00:2::12"],
    }
}

fn set_weight(lab: &Lab, family: Family, server: &str, weight: u32) {
    let (vip, server) = (host(family.vip()), host(server));
    lab.run(&format!("ipvsadm -e -t {vip}:80 -r {server}:80 -b -w {weight}")).ok();
}

fn follow(lab: &Lab, family: Family, refusals: [&str; 2]) {
    let [host_unreachable, prohibited] = refusals;
    let [one, two] = servers(family);
    serve(lab, family, "any-up:host");
    assert!(ping(lab, family).contains("1 received"));
    set_weight(lab, family, one, 0);
    assert!(ping(lab, family).contains("1 received"), "the other server is up");
    set_weight(lab, family, two, 0);
    // A second after the last change at most; a client is told six times, then once a second.
    wait_until("clients are told", || ping(lab, family).contains(host_unreachable));
    assert!(lab.daemon().counter("icmp_made_unreachable") > 0);
    assert!(lab.daemon().drops("icmp_echo_denied") > 0);
    set_weight(lab, family, one, 1);
    wait_until("pings are answered", || ping(lab, family).contains("1 received"));

    let vip = host(family.vip());
    lab.run(&format!("ipvsadm -E -t {vip}:80 -s rr --icmp-echo quorum=2:admin")).ok();
    wait_until("clients are told", || ping(lab, family).contains(prohibited));
    let saved = lab.run("ipvsadm -Sn").ok();
    let line = format!("-A -t {vip}:80 -s rr --icmp-echo quorum=2:admin\n");
    assert!(saved.contains(&line), "{saved}");
}

fn a_ping_follows_the_weights_of_the_servers(lab: &mut Lab) {
    follow(lab, Family::V4, ["Destination Host Unreachable", "Packet filtered"]);
}

fn a_ping_follows_the_weights_of_the_servers_v6(lab: &mut Lab) {
    follow(lab, Family::V6, ["Address unreachable", "Administratively prohibited"]);
}

/// Returns how many echo requests each server has had.
fn echoes(lab: &Lab, family: Family) -> [u64; 2] {
    [lab.rs1(), lab.rs2()].map(|server| match family {
        Family::V4 => server.snmp("Icmp", "InEchos"),
        Family::V6 => server.snmp6("Icmp6InEchos"),
    })
}

fn answer(lab: &Lab, family: Family) {
    serve(lab, family, "backend");
    lab.client().ping(3, "", family.vip());
    assert_eq!(lab.daemon().counter("icmp_echo_replied"), 0, "it was answered here");
    assert_eq!(states(&lab.daemon().connections()), ["REPLY", "REQUEST"]);
    let before = echoes(lab, family);
    assert!(before == [3, 0] || before == [0, 3], "{before:?}");
    // The server goes down: the client's next pings go to the other one.
    let [first, second] = servers(family);
    set_weight(lab, family, if before[0] == 3 { first } else { second }, 0);
    lab.client().ping(3, "", family.vip());
    assert_eq!(echoes(lab, family), [3, 3]);
}

fn a_server_answers_without_an_icmp_service(lab: &mut Lab) {
    answer(lab, Family::V4);
}

fn a_server_answers_without_an_icmp_service_v6(lab: &mut Lab) {
    answer(lab, Family::V6);
}

fn a_policy_of_dpip_is_listed_and_taken_away(lab: &mut Lab) {
    lab.run("dpip echo set 10.0.0.100 policy always max-size 64").ok();
    let line = "10.0.0.100 policy always down drop max-size 64 answer reply\n";
    assert_eq!(lab.run("dpip echo show").ok(), line);
    assert_eq!(lab.run("dpip -6 echo show").ok(), "");
    let sized = |size: u32| lab.client().run(&format!("ping -c 1 -W 1 -s {size} 10.0.0.100")).code;
    assert_eq!([sized(64), sized(65)], [0, 1]);
    lab.run("dpip echo set 10.0.0.100 policy never").ok();
    assert_eq!(sized(56), 1);
    lab.run("dpip echo del 10.0.0.100").ok();
    lab.run("dpip echo del 10.0.0.100").fails(1, "dpip: not exist");
    assert_eq!(sized(65), 0);
}

fn why_an_error_was_dropped_is_told(lab: &mut Lab) {
    lab.full_nat("-u 10.0.0.100:7", &["10.2.0.11:7"]);
    let quote = ipv4("10.0.0.100", "10.1.0.10", 17, &udp(7, 4711, b"never sent"));
    let error = icmp(3, 4, [0, 0, 5, 0x78], &quote);
    send_ipv4(&lab.client(), &ipv4("10.1.0.10", "10.0.0.100", 1, &error));
    let told = "dev dpdk0 icmp 3/4 10.1.0.10 -> 10.0.0.100 \
                quote udp 10.0.0.100:7 -> 10.1.0.10:4711 outcome icmp_unrelated\n";
    wait_until("it is remembered", || lab.run("dpip icmp decisions").ok().contains(told));
    let shown = lab.run("dpip icmp show").ok();
    assert!(shown.contains("\n    icmp_unrelated                   1\n"), "{shown}");
    assert!(shown.contains("\n    relayed_per_s                    20000\n"), "{shown}");
}
