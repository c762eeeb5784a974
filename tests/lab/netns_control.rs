// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control socket: who finds it, who may use it, and what it says.

use dpvs_api::types::Empty;
use dpvs_api::{Client, ClientError, method};
use dpvs_tests::Lab;
use std::os::unix::fs::PermissionsExt;
use std::thread;

dpvs_tests::lab_tests!(bare:
    a_second_daemon_says_that_one_runs,
    tools_say_when_no_daemon_runs,
    the_socket_is_for_root_and_group,
    info_tells_what_runs,
    twenty_clients_write_at_once,
);

fn a_second_daemon_says_that_one_runs(lab: &mut Lab) {
    let run = lab.start_another();
    assert_ne!(run.code, 0, "{run:#?}");
    let socket = lab.socket();
    let socket = socket.to_string_lossy();
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains(&*socket), "{run:#?}");
    assert!(said.lines().count() <= 5, "a page of text: {run:#?}");
    assert!(lab.daemon().is_answering(), "the first is disturbed");
}

fn tools_say_when_no_daemon_runs(lab: &mut Lab) {
    lab.take_daemon().stop();
    let socket = lab.socket();
    let socket = socket.to_string_lossy();
    for (line, code) in [("dpip addr show", 1), ("ipvsadm -Ln", 2)] {
        let run = lab.run(line);
        assert_eq!(run.stderr.lines().count(), 1, "{run:#?}");
        run.fails(code, &socket);
    }
}

fn the_socket_is_for_root_and_group(lab: &mut Lab) {
    let mode = lab.socket().metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o660, "{mode:o}");
}

fn info_tells_what_runs(lab: &mut Lab) {
    let info = lab.daemon().client().call::<method::SystemInfo>(&Empty {}).unwrap();
    assert!(info.workers == 1 || info.workers == 3, "{info:?}");
    assert_eq!(info.connections, 0);
    assert!(info.conn_table_size > 0 && info.dpdk.contains('.'), "{info:?}");
    let stats = lab.daemon().client().call::<method::StatsGet>(&Empty {}).unwrap();
    assert_eq!(stats.workers.len(), usize::try_from(info.workers).unwrap());
}

fn twenty_clients_write_at_once(lab: &mut Lab) {
    let lab = &*lab;
    thread::scope(|scope| {
        for port in 1..=20 {
            scope.spawn(move || lab.all(&format!("ipvsadm -A -t 10.0.0.100:{port} -s rr")));
        }
    });
    let listing = lab.run("ipvsadm -Ln").ok();
    assert_eq!(listing.matches("TCP  10.0.0.100:").count(), 20, "{listing}");
    let missing = Client::connect(&lab.directory().join("nothing")).unwrap_err();
    assert!(matches!(missing, ClientError::NotRunning { .. }));
}
