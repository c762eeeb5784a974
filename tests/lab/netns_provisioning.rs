// SPDX-License-Identifier: MIT OR Apache-2.0
//! An operator's script, command by command, with exit codes and what is listed afterwards.

use dpvs_tests::Lab;
use std::fs;
use std::process::{Command, Stdio};

dpvs_tests::lab_tests!(bare:
    addresses_routes_and_neighbours,
    services_and_servers,
    what_is_refused_says_why,
    saved_rules_are_restored_as_they_were,
    timeouts_are_set_and_shown,
);

fn addresses_routes_and_neighbours(lab: &mut Lab) {
    lab.set_addresses();
    lab.run("dpip addr add 10.1.0.1/24 dev dpdk0").fails(1, "already exist");
    lab.run("dpip addr add 10.9.0.1/24 dev dpdk9").fails(1, "dpip: ");
    let text = lab.run("dpip addr show").ok();
    assert!(text.contains("inet 10.0.0.100/32 scope global dpdk0"), "{text}");
    assert!(text.contains("inet6 fd00::100/128 scope global dpdk0"), "{text}");

    lab.all("dpip route add default via 10.1.0.10 dev dpdk0");
    lab.run("dpip route add default via 10.1.0.10 dev dpdk0").fails(1, "already exist");
    assert!(lab.run("dpip route show").ok().contains("inet 0.0.0.0/0 via 10.1.0.10"));
    lab.all("dpip route del default via 10.1.0.10 dev dpdk0");
    lab.run("dpip route del default via 10.1.0.10 dev dpdk0").fails(1, "not exist");

    lab.all("dpip neigh add 10.2.0.77 lladdr 02:00:00:00:00:77 dev dpdk1");
    let text = lab.run("dpip neigh show").ok();
    assert!(text.contains("10.2.0.77") && text.contains("02:00:00:00:00:77"), "{text}");
    assert!(text.contains("static"), "{text}");
    lab.all("dpip neigh del 10.2.0.77 dev dpdk1");
    assert!(!lab.run("dpip neigh show").ok().contains("10.2.0.77"));

    lab.all("dpip addr del 10.0.0.100/32 dev dpdk0");
    lab.run("dpip addr del 10.0.0.100/32 dev dpdk0").fails(1, "not exist");
    assert!(!lab.run("dpip addr show").ok().contains("10.0.0.100"));
    let text = lab.run("dpip -s link show dpdk0").ok();
    assert!(text.contains("1: dpdk0:") && text.contains("ipackets"), "{text}");
}

fn services_and_servers(lab: &mut Lab) {
    lab.set_addresses();
    lab.all(
        "ipvsadm -A -t 10.0.0.100:80 -s wrr
         ipvsadm -a -t 10.0.0.100:80 -r 10.2.0.11:8080 -b -w 3
         ipvsadm -a -t 10.0.0.100:80 -r 10.2.0.12:8080 -b -w 1
         ipvsadm -P -t 10.0.0.100:80 -z 10.2.0.200 -F dpdk1
         ipvsadm -A -p icmp 10.0.0.100 -s rr
         ipvsadm -A -1 fd00::100 -s rr
         ipvsadm -E -t 10.0.0.100:80 -s rr
         ipvsadm -e -t 10.0.0.100:80 -r 10.2.0.12:8080 -b -w 7",
    );
    let text = lab.run("ipvsadm -Ln").ok();
    for line in [
        "TCP  10.0.0.100:80 rr",
        "  -> 10.2.0.11:8080               FullNat 3      0          0         ",
        "  -> 10.2.0.12:8080               FullNat 7      0          0         ",
        "ICMP 10.0.0.100:0 rr",
        "ICMPv6 [fd00::100]:0 rr",
    ] {
        assert!(text.lines().any(|l| l == line), "{line:?} is not in\n{text}");
    }
    let text = lab.run("ipvsadm -G -t 10.0.0.100:80").ok();
    assert!(text.contains("10.2.0.200"), "{text}");
    assert!(lab.run("dpip addr show").ok().contains("10.2.0.200/32"), "-P brings the address");
    lab.all(
        "ipvsadm -Z
         ipvsadm -Z -t 10.0.0.100:80
         ipvsadm -d -t 10.0.0.100:80 -r 10.2.0.12:8080
         ipvsadm -Q -t 10.0.0.100:80 -z 10.2.0.200 -F dpdk1
         ipvsadm -D -q 10.0.0.100
         ipvsadm -D -t 10.0.0.100:80",
    );
    assert!(!lab.run("dpip addr show").ok().contains("10.2.0.200"), "-Q takes it away");
    let text = lab.run("ipvsadm -Ln").ok();
    assert!(text.contains("ICMPv6") && !text.contains("TCP"), "{text}");
    lab.all("ipvsadm -C");
    assert_eq!(lab.run("ipvsadm -Ln").ok().lines().count(), 3);
}

fn what_is_refused_says_why(lab: &mut Lab) {
    lab.set_addresses();
    lab.all("ipvsadm -A -t 10.0.0.100:80 -s rr");
    for (line, text) in [
        ("ipvsadm -A -t 10.0.0.100:80 -s rr", "Service already exists"),
        ("ipvsadm -E -t 10.0.0.100:81 -s rr", "No such service"),
        ("ipvsadm -D -q 10.0.0.100", "No such service"),
        ("ipvsadm -a -t 10.0.0.100:81 -r 10.2.0.11:80 -b", "Service not defined"),
        ("ipvsadm -d -t 10.0.0.100:80 -r 10.2.0.11:80", "No such destination"),
        ("ipvsadm -A -t 10.0.0.100:82 -s nonsense", "Scheduler or persistence engine not found"),
        ("ipvsadm -Q -t 10.0.0.100:80 -z 10.2.0.200 -F dpdk1", "ocal address"),
    ] {
        lab.run(line).fails(255, text);
    }
    lab.run("ipvsadm -A -t 10.0.0.100:80 nonsense").fails(2, "unexpected argument nonsense");
    lab.run("ipvsadm -L -t 10.0.0.100:99").fails(1, "No such service");
}

const RULES: &str = "\
-A -t 10.0.0.100:80 -s wrr
-P -t 10.0.0.100:80 -z 10.2.0.200 -F dpdk1
-P -t 10.0.0.100:80 -z 10.2.0.201 -F dpdk1
-a -t 10.0.0.100:80 -r 10.2.0.11:8080 -b -w 3 -x 1000 -y 10
-A -u [fd00::100]:53 -s rr
-P -u [fd00::100]:53 -z fd00:2::200 -F dpdk1
-a -u [fd00::100]:53 -r [fd00:2::11]:53 -b
-A -p icmp 10.0.0.100 -s rr
-P -q 10.0.0.100 -z 10.2.0.200 -F dpdk1
-a -q 10.0.0.100 -r 10.2.0.12 -b
-A -1 fd00::100 -s rr
";

/// Feeds rules to `ipvsadm -R`.
fn restore(lab: &Lab, rules: &str) {
    let path = lab.directory().join("rules");
    fs::write(&path, rules).unwrap();
    let mut command = Command::new(dpvs_tests::run::program("ipvsadm"));
    command.arg("-R").env("DPVS_SOCKET", lab.socket());
    command.stdin(Stdio::from(fs::File::open(&path).unwrap()));
    dpvs_tests::Run::of("ipvsadm -R", &mut command).ok();
}

fn saved_rules_are_restored_as_they_were(lab: &mut Lab) {
    lab.set_addresses();
    restore(lab, RULES);
    let state = || (lab.run("ipvsadm -S -n").ok(), lab.run("ipvsadm -Ln --thresholds").ok());
    let before = state();
    // And the timeouts.
    assert_eq!(before.0.lines().count(), RULES.lines().count() + 1, "{}", before.0);
    lab.all("ipvsadm -C");
    assert_eq!(lab.run("ipvsadm -S -n").ok().lines().count(), 1);
    restore(lab, &before.0);
    assert_eq!(state(), before);
}

fn timeouts_are_set_and_shown(lab: &mut Lab) {
    lab.all("ipvsadm --set 100 20 30");
    let text = lab.run("ipvsadm -L --timeout").ok();
    assert_eq!(text, "Timeout (tcp tcpfin udp): 100 20 30\n");
    lab.all("ipvsadm --set 0 0 40");
    let text = lab.run("ipvsadm -L --timeout").ok();
    assert_eq!(text, "Timeout (tcp tcpfin udp): 100 20 40\n");
}
