// SPDX-License-Identifier: MIT OR Apache-2.0
//! The examples of docs/provisioning, as they are: each makes the same balancer, which works.

use dpvs_tests::station::Station;
use dpvs_tests::{Lab, Run};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

dpvs_tests::lab_tests!(bare:
    a_shell_script,
    rules_and_a_batch,
    a_document_from_the_shell,
    a_document_from_python,
);

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/provisioning").join(name)
}

/// Runs a program of the system with ours on its path, as an operator has them.
fn run(lab: &Lab, words: &[&str], stdin: Option<&Path>) -> Run {
    let ours = dpvs_tests::run::program("dpip");
    let path = format!("{}:/usr/bin:/bin", ours.parent().unwrap().display());
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env("DPVS_SOCKET", lab.socket()).env("PATH", path);
    command.stdin(stdin.map_or_else(Stdio::null, |path| File::open(path).unwrap().into()));
    Run::of(&words.join(" "), &mut command)
}

/// The balancer works, and stands as every other way makes it.
fn check(lab: &Lab) {
    let text = lab.run("ipvsadm -Ln").ok();
    for line in [
        "TCP  10.0.0.100:80 wrr",
        "  -> 10.2.0.11:80                 FullNat 1      0          0         ",
        "  -> 10.2.0.12:80                 FullNat 1      0          0         ",
        "ICMP 10.0.0.100:0 rr",
    ] {
        assert!(text.lines().any(|l| l == line), "{line:?} is not in\n{text}");
    }
    let same = lab.run(&format!("dpip config test {}", example("balancer.json").display()));
    assert_eq!(same.ok(), "", "what stands differs from the document");
    let _one = Station::http(&lab.rs1(), 80, "one");
    let _two = Station::http(&lab.rs2(), 80, "two");
    let pages: Vec<String> =
        (0..6).map(|_| lab.client().run("curl -sS -m 5 http://10.0.0.100/").ok()).collect();
    assert!(pages.iter().any(|p| p == "one\n") && pages.iter().any(|p| p == "two\n"), "{pages:?}");
    lab.client().run("ping -c 3 -i 0.2 -W 2 10.0.0.100").ok();
}

fn a_shell_script(lab: &mut Lab) {
    let script = example("balancer.sh");
    run(lab, &[script.to_str().unwrap()], None).ok();
    check(lab);
    run(lab, &[script.to_str().unwrap()], None).fails(255, "Service already exists");
}

fn rules_and_a_batch(lab: &mut Lab) {
    let batch = example("network.dpip");
    for _ in 0..2 {
        run(lab, &["dpip", "--batch", batch.to_str().unwrap()], None).ok();
    }
    run(lab, &["ipvsadm", "-R", "--atomic"], Some(&example("services.rules"))).ok();
    check(lab);
}

fn a_document_from_the_shell(lab: &mut Lab) {
    let document = example("balancer.json");
    let line = |verb: &str| format!("dpip config {verb} {}", document.display());
    assert!(lab.run(&line("test")).ok().lines().count() > 10);
    assert_eq!(
        lab.run(&line("test")).ok().lines().count(),
        lab.run(&line("test")).ok().lines().count()
    );
    assert_eq!(lab.run(&line("replace")).ok(), "");
    check(lab);
    // Connections of what stays live on: those of the pings stand after a change.
    let count = |lab: &Lab| lab.run("ipvsadm -Lnc").ok().lines().count();
    let before = count(lab);
    assert!(before > 2, "no connections");
    lab.all("ipvsadm -a -t 10.0.0.100:80 -r 10.2.0.13:80 -b");
    let told = lab.run(&line("test")).ok();
    let text = r#"dest.del {"service":{"protocol":"tcp","address":"10.0.0.100","port":80},"address":"10.2.0.13","port":80}"#;
    assert_eq!(told.trim_end(), text);
    assert_eq!(lab.run(&line("replace")).ok(), "");
    assert_eq!(count(lab), before);
    // What is shown can be applied.
    let shown = lab.run("dpip config show").ok();
    let path = lab.directory().join("shown.json");
    fs::write(&path, shown).unwrap();
    lab.all(&format!("ipvsadm -C\ndpip config replace {}", path.display()));
    let test = lab.run(&line("test")).ok();
    assert_eq!(test, "");
}

fn a_document_from_python(lab: &mut Lab) {
    let (program, document) = (example("apply.py"), example("balancer.json"));
    let words = [program.to_str().unwrap(), "--dry-run", document.to_str().unwrap()];
    let tried = run(lab, &words, None).ok();
    assert!(tried.contains("service.add") && lab.run("ipvsadm -Ln").ok().lines().count() == 3);
    let words = [program.to_str().unwrap(), document.to_str().unwrap()];
    assert_eq!(run(lab, &words, None).ok(), tried);
    check(lab);
    assert_eq!(run(lab, &words, None).ok(), "");
    let bad = lab.directory().join("bad.json");
    fs::write(&bad, r#"{"services":[{"service":{"protocol":"tcp","address":"10.0.0.100"}}]}"#)
        .unwrap();
    let words = [program.to_str().unwrap(), bad.to_str().unwrap()];
    run(lab, &words, None).fails(1, "config.services[0]");
}
