// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `ipvsadm -S` prints makes everything again, and listings end well whatever reads them.

use dpvs_tests::{Lab, Run, run};
use std::fs::{self, File};
use std::process::{Command, Stdio};

dpvs_tests::lab_tests!(bare:
    what_is_saved_makes_everything_again,
    the_scripts_save_and_restore,
    an_atomic_restore_names_the_line_and_changes_nothing,
    a_full_disk_fails_every_listing,
    a_reader_that_leaves_fails_no_listing,
    every_listing_is_json_when_asked,
);

/// Everything that `ipvsadm` can set, in the order and the words of `-S -n`.
const EVERYTHING: &str = "\
--set 800 100 200
-A -q 10.0.0.100:0 -s rr --icmp-echo quorum=2:host:64
-P -q 10.0.0.100:0 -z 10.2.0.200 -F dpdk1
-a -q 10.0.0.100:0 -r 10.2.0.12:0 -b -w 1
-A -t 10.0.0.100:0 -s mh -p 60 -b mh-fallback,mh-port,flag-3
-a -t 10.0.0.100:0 -r 10.2.0.11:0 -m -w 1
-A -t 10.0.0.100:80 -s wrr -p 600 -M 255.255.255.0 --conn-timeout 77 --expire-quiescent
-P -t 10.0.0.100:80 -z 10.2.0.200 -F dpdk1
-P -t 10.0.0.100:80 -z 10.2.0.201 -F dpdk1
-U -t 10.0.0.100:80 -k 10.1.0.66
-U -t 10.0.0.100:80 -k 10.1.0.67
-O -t 10.0.0.100:80 -2 10.1.0.10
-a -t 10.0.0.100:80 -r 10.2.0.11:8080 -b -w 0 -x 1000 -y 10
-a -t 10.0.0.100:80 -r 10.2.0.12:0 -b -w 65535
-A -t 10.0.0.100:81 -s sh -b sh-fallback,sh-port
-a -t 10.0.0.100:81 -r 10.2.0.11:81 -g -w 3
-A -t 10.0.0.100:82 -s wlc
-a -t 10.0.0.100:82 -r 10.2.0.11:82 -i -w 1 --tun-type ipip
-a -t 10.0.0.100:82 -r 10.2.0.12:82 -i -w 1 --tun-type gre --tun-csum
-a -t 10.0.0.100:82 -r 10.2.0.13:82 -i -w 1 --tun-type gre --tun-nocsum -x 5
-a -t 10.0.0.100:82 -r 10.2.0.14:82 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum
-a -t 10.0.0.100:82 -r 10.2.0.15:82 -i -w 1 --tun-type gue --tun-port 6081 --tun-csum
-a -t 10.0.0.100:82 -r [fd00:2::11]:82 -i -w 1 --tun-type gue --tun-port 6082 --tun-nocsum
-A -u 10.0.0.100:53 -s rr -o
-A -u 10.0.0.100:443 -s conhash --hash-target qid
-A --sctp-service 10.0.0.100:5060 -s conhash --hash-target sip
-A -t [fd00::100]:80 -s rr -p 300 -M 64 --icmp-echo any-up:admin
-P -t [fd00::100]:80 -z fd00:2::200 -F dpdk1
-U -t [fd00::100]:80 -k fd00:1::66
-O -t [fd00::100]:80 -2 fd00:1::10
-a -t [fd00::100]:80 -r [fd00:2::11]:80 -b -w 1
-A -1 [fd00::100]:0 -s rr
-A -H proto=tcp,src-range=10.2.0.0-10.2.0.255:0-0,oif=dpdk0 -s rr
-a -H proto=tcp,src-range=10.2.0.0-10.2.0.255:0-0,oif=dpdk0 -r 10.1.0.1:0 -J -w 1
-A -H proto=udp,src-range=10.2.0.0-10.2.0.255:0-0,dst-range=10.9.0.0-10.9.255.255:53-53,iif=dpdk1 -s wrr
";

fn command(lab: &Lab, line: &str) -> Command {
    let mut words = line.split(' ');
    let mut command = Command::new(run::program(words.next().unwrap()));
    command.args(words).env("DPVS_SOCKET", lab.socket()).stdin(Stdio::null());
    command
}

/// Runs a command that reads a text.
fn fed(lab: &Lab, line: &str, input: &str) -> Run {
    let path = lab.directory().join("input");
    fs::write(&path, input).unwrap();
    Run::of(line, command(lab, line).stdin(File::open(path).unwrap()))
}

fn what_is_saved_makes_everything_again(lab: &mut Lab) {
    lab.set_addresses();
    assert_eq!(fed(lab, "ipvsadm -R", EVERYTHING).ok(), "");
    let state = || {
        let listings = ["-Sn", "-Ln", "-Ln --thresholds", "-Ln --tun-info", "-G", "-B", "-W"];
        let listings = listings.map(|words| lab.run(&format!("ipvsadm {words}")).ok());
        (listings, lab.run("ipvsadm -L --timeout").ok())
    };
    let echoes = || lab.run("dpip echo show").ok();
    let echoes_before = echoes();
    let before = state();
    assert_eq!(before.0[0], EVERYTHING);
    for restore in ["ipvsadm -R", "ipvsadm -R --atomic"] {
        lab.all("ipvsadm -C\nipvsadm --set 900 120 300");
        assert_eq!(echoes(), "", "policies that came with services go with them");
        assert_eq!(lab.run("ipvsadm -Sn").ok(), "--set 900 120 300\n");
        assert_eq!(fed(lab, restore, &before.0[0]).ok(), "");
        assert_eq!(state(), before, "{restore}");
        // An answer is held for a while before it changes.
        run::wait_until("pings are answered as before", || echoes() == echoes_before);
    }
    // And from rules to rules at once.
    let rules = format!("-C\n{}", before.0[0]);
    assert_eq!(fed(lab, "ipvsadm -R --atomic", &rules).ok(), "");
    assert_eq!(state(), before);
}

fn script(lab: &Lab, words: &str, input: &str) -> Run {
    let (name, rest) = words.split_once(' ').unwrap_or((words, ""));
    let path = format!("{}/../packaging/{name}", env!("CARGO_MANIFEST_DIR"));
    let ours = run::program("ipvsadm");
    let directory = ours.parent().unwrap().display().to_string();
    let file = lab.directory().join("input");
    fs::write(&file, input).unwrap();
    let mut command = Command::new(path);
    command.args(rest.split_whitespace()).env("DPVS_SOCKET", lab.socket());
    command.env("PATH", format!("{directory}:/usr/bin:/bin"));
    Run::of(words, command.stdin(File::open(file).unwrap()))
}

fn the_scripts_save_and_restore(lab: &mut Lab) {
    lab.set_addresses();
    script(lab, "ipvsadm-restore", EVERYTHING).ok();
    assert_eq!(script(lab, "ipvsadm-save -n", "").ok(), EVERYTHING);
    let named = script(lab, "ipvsadm-save", "").ok();
    // The services that stood are gone, also where the file does not speak of them.
    script(lab, "ipvsadm-restore", "# nothing but this\n-A -t 10.0.0.77:8080 -s rr\n").ok();
    let saved = script(lab, "ipvsadm-save -n", "").ok();
    assert_eq!(saved, "--set 800 100 200\n-A -t 10.0.0.77:8080 -s rr\n");
    script(lab, "ipvsadm-restore", &named).ok();
    assert_eq!(script(lab, "ipvsadm-save -n", "").ok(), EVERYTHING);
    script(lab, "ipvsadm-save -t", "").fails(255, "-t: missing argument");
    script(lab, "ipvsadm-restore", "garbage\n").fails(255, "Try `ipvsadm -h'");
}

fn an_atomic_restore_names_the_line_and_changes_nothing(lab: &mut Lab) {
    lab.set_addresses();
    let rules = "-A -t 10.0.0.100:80 -s rr\n\n-A -t 10.0.0.100:80 -s rr\n";
    let run = fed(lab, "ipvsadm -R --atomic", rules);
    assert_eq!((run.stderr.as_str(), run.code), ("line 3: Service already exists\n", 255));
    let run = fed(lab, "ipvsadm -R --atomic", "-A -t 10.0.0.100:80 -s rr\n-A -t\n");
    assert_eq!((run.stderr.as_str(), run.code), ("line 2: -t: missing argument\n", 255));
    assert_eq!(lab.run("ipvsadm -Sn").ok(), "--set 900 120 300\n");
}

/// Every listing of both programs.
const LISTINGS: &[&str] = &[
    "ipvsadm",
    "ipvsadm -Ln",
    "ipvsadm -Ln --stats",
    "ipvsadm -Ln --rate",
    "ipvsadm -Ln --thresholds",
    "ipvsadm -Ln --persistent-conn",
    "ipvsadm -Ln --tun-info",
    "ipvsadm -Lnc",
    "ipvsadm -L --timeout",
    "ipvsadm -G",
    "ipvsadm -B",
    "ipvsadm -W",
    "ipvsadm -Sn",
    "ipvsadm -h",
    "ipvsadm -v",
    "dpip addr show",
    "dpip route show",
    "dpip -6 route show",
    "dpip neigh show",
    "dpip link show",
    "dpip -s -v link show",
    "dpip -s -i 1 -c 1 link show",
    "dpip echo show",
    "dpip icmp show",
    "dpip --json addr show",
    "dpip -V",
];

fn fill(lab: &Lab) {
    lab.set_addresses();
    lab.all("dpip neigh add 10.2.0.77 lladdr 02:00:00:00:00:77 dev dpdk1");
    fed(lab, "ipvsadm -R", EVERYTHING).ok();
}

fn a_full_disk_fails_every_listing(lab: &mut Lab) {
    fill(lab);
    for line in LISTINGS {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let run = Run::of(line, command(lab, line).stdout(full));
        // The real program would not notice; a script with `set -e` must.
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.stderr.contains("No space left on device"), "{run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    }
}

fn a_reader_that_leaves_fails_no_listing(lab: &mut Lab) {
    fill(lab);
    for line in LISTINGS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let run = Run::of(line, command(lab, line).stdout(writer));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    }
}

fn every_listing_is_json_when_asked(lab: &mut Lab) {
    fill(lab);
    for line in LISTINGS.iter().filter(|line| !line.ends_with("-h") && !line.contains("-Sn")) {
        let line = match line.split_once(' ') {
            _ if line.ends_with("-v") || line.ends_with("-V") || line.contains("-i 1") => continue,
            Some(("dpip", rest)) if !rest.contains("--json") => format!("dpip --json {rest}"),
            Some(("ipvsadm", _)) => format!("{line} --json"),
            _ => (*line).to_owned(),
        };
        let line = if line == "ipvsadm" { "ipvsadm -L --json" } else { &line };
        let text = lab.run(line).ok();
        let value: Result<serde_json::Value, _> = serde_json::from_str(&text);
        assert!(value.is_ok_and(|value| value.is_object()), "{line}: {text}");
    }
    let by_variable =
        |format: &str, line: &str| Run::of(line, command(lab, line).env("IPVSADM_FORMAT", format));
    assert_eq!(
        by_variable("json", "ipvsadm -L --timeout").ok(),
        lab.run("ipvsadm -L --timeout --json").ok()
    );
    assert!(by_variable("dpvs", "ipvsadm -Ln").ok().starts_with("IP Virtual Server version"));
    by_variable("yaml", "ipvsadm -Ln").fails(2, "invalid format `IPVSADM_FORMAT=yaml' specified");
}
