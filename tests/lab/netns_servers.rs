// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real servers come, go and change their weight under a thousand connections.

use dpvs_tests::Lab;
use dpvs_tests::flows::{Flows, count};
use dpvs_tests::run::wait_for;
use dpvs_tests::station::Station;
use std::time::Duration;

dpvs_tests::lab_tests!(plain:
    a_deleted_server_takes_only_its_connections_full_nat,
    a_deleted_server_takes_only_its_connections_nat,
    a_weight_disturbs_no_connection,
);

const FLOWS: usize = 1000;
/// How long all answers may take on a busy machine.
const SOON: Duration = Duration::from_secs(5);
/// Longer than an answer takes.
const SILENCE: Duration = Duration::from_secs(1);
const ONE: Option<u8> = Some(b'1');
const TWO: Option<u8> = Some(b'2');

fn provision(lab: &Lab, method: &str) -> [Station; 2] {
    lab.all("ipvsadm -A -t 10.0.0.100:80 -s rr");
    if method == "-b" {
        lab.all("ipvsadm -P -t 10.0.0.100:80 -z 10.2.0.200 -F dpdk1");
    }
    for server in ["10.2.0.11", "10.2.0.12"] {
        lab.all(&format!("ipvsadm -a -t 10.0.0.100:80 -r {server}:80 {method}"));
    }
    [Station::marking(&lab.rs1(), 80, b'1'), Station::marking(&lab.rs2(), 80, b'2')]
}

/// Returns who answers each connection at first: both servers, about half each.
fn first_answers(flows: &mut Flows) -> Vec<Option<u8>> {
    let answers = flows.ask(SOON);
    let counts = count(&answers);
    assert!(counts[&ONE] >= FLOWS / 3 && counts[&TWO] >= FLOWS / 3, "{counts:?}");
    assert_eq!(counts[&ONE] + counts[&TWO], FLOWS, "{counts:?}");
    answers
}

fn a_deleted_server_takes_only_its_connections(lab: &Lab, method: &str) {
    let _servers = provision(lab, method);
    let mut flows = Flows::open(&lab.client(), "10.0.0.100:80", FLOWS);
    let first = first_answers(&mut flows);

    lab.all("ipvsadm -d -t 10.0.0.100:80 -r 10.2.0.12:80");
    let answers = flows.ask(SILENCE);
    let left: Vec<_> = first.iter().map(|mark| mark.filter(|mark| *mark == b'1')).collect();
    assert_eq!(count(&answers), count(&left), "the others' connections");
    assert!(answers == left, "another server answers");
    assert_eq!(Flows::open(&lab.client(), "10.0.0.100:80", 8).ask(SOON), [ONE; 8], "new ones");

    // What was not answered is sent again by the client's kernel.
    lab.all(&format!("ipvsadm -a -t 10.0.0.100:80 -r 10.2.0.12:80 {method}"));
    let late: Vec<_> = first.iter().map(|mark| mark.filter(|mark| *mark == b'2')).collect();
    let mut seen = vec![None; FLOWS];
    wait_for(Duration::from_secs(20), "its connections go on", || {
        for (seen, new) in seen.iter_mut().zip(flows.answers(SILENCE)) {
            *seen = seen.or(new);
        }
        seen == late
    });
    assert!(flows.ask(SOON) == first, "not all go on");
}

fn a_deleted_server_takes_only_its_connections_full_nat(lab: &mut Lab) {
    a_deleted_server_takes_only_its_connections(lab, "-b");
}

fn a_deleted_server_takes_only_its_connections_nat(lab: &mut Lab) {
    a_deleted_server_takes_only_its_connections(lab, "-m");
}

fn a_weight_disturbs_no_connection(lab: &mut Lab) {
    let _servers = provision(lab, "-b");
    let mut flows = Flows::open(&lab.client(), "10.0.0.100:80", FLOWS);
    let first = first_answers(&mut flows);
    for (weight, new) in [(0, ONE), (5, TWO)] {
        lab.all(&format!("ipvsadm -e -t 10.0.0.100:80 -r 10.2.0.12:80 -b -w {weight}"));
        assert!(flows.ask(SOON) == first, "weight {weight}");
        let mut others = Flows::open(&lab.client(), "10.0.0.100:80", 24);
        let counts = count(&others.ask(SOON));
        assert!(counts.contains_key(&new), "weight {weight}: {counts:?}");
        assert_eq!(counts.contains_key(&TWO), weight > 0, "{counts:?}");
    }
}
