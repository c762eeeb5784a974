// SPDX-License-Identifier: MIT OR Apache-2.0
//! A ping that matches a service but cannot be forwarded: silence, and a counter that says why.

use crate::{is_pinged, ping_service};
use dpvs_tests::Lab;

dpvs_tests::lab_tests!(plain:
    without_a_real_server,
    with_real_servers_of_weight_0,
    without_a_local_address,
    a_server_that_is_not_there,
);

/// Checks that a ping is silent, counted under this reason alone, and leaves nothing.
#[track_caller]
fn silent(lab: &Lab, reason: &str) {
    assert!(!is_pinged(lab), "it was answered");
    assert_eq!(lab.daemon().drops(reason), 1);
    assert_eq!(lab.daemon().counter("icmp_echo_replied"), 0);
    assert_eq!(lab.daemon().connections(), []);
}

fn without_a_real_server(lab: &mut Lab) {
    lab.all(
        "ipvsadm -A -q 10.0.0.100 -s rr
         ipvsadm -P -q 10.0.0.100 -z 10.2.0.200 -F dpdk1",
    );
    silent(lab, "no_dest");
}

fn with_real_servers_of_weight_0(lab: &mut Lab) {
    ping_service(lab);
    lab.all(
        "ipvsadm -e -q 10.0.0.100 -r 10.2.0.11 -b -w 0
         ipvsadm -e -q 10.0.0.100 -r 10.2.0.12 -b -w 0",
    );
    silent(lab, "no_dest");
}

fn without_a_local_address(lab: &mut Lab) {
    lab.all(
        "ipvsadm -A -q 10.0.0.100 -s rr
         ipvsadm -a -q 10.0.0.100 -r 10.2.0.11 -b",
    );
    silent(lab, "no_local_address");
}

fn a_server_that_is_not_there(lab: &mut Lab) {
    lab.full_nat("-q 10.0.0.100", &["10.2.0.99"]);
    assert!(!is_pinged(lab));
    dpvs_tests::run::wait_until("the next hop is given up", || {
        lab.daemon().drops("neighbour_unresolved") == 1
    });
    assert_eq!(lab.daemon().counter("icmp_echo_replied"), 0);
}

mod identifiers {
    use dpvs_tests::Lab;

    #[test]
    fn when_all_are_taken() {
        let Some(lab) = Lab::configured(1, "[identifiers]\nfirst = 7\nlast = 7\n") else { return };
        lab.full_nat("-q 10.0.0.100", &["10.2.0.11"]);
        lab.client().run("ping -c 1 -W 2 -e 1 10.0.0.100").ok();
        lab.client().run("ping -c 1 -W 2 -e 1 10.0.0.100").ok();
        let run = lab.client().run("ping -c 1 -W 1 -e 2 10.0.0.100");
        assert_eq!(run.code, 1, "{run:#?}");
        assert_eq!(lab.daemon().drops("icmp_identifiers_exhausted"), 1);
        assert_eq!(lab.daemon().connections().len(), 2);
    }
}
