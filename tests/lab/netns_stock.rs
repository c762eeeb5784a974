// SPDX-License-Identifier: MIT OR Apache-2.0
//! Debian's `ipvsadm`, unmodified: what it does and lists is what ours does and lists, and it never
//! reaches the kernel's IPVS.

use crate::cells::{Held, get};
use dpvs_tests::station::Station;
use dpvs_tests::{Lab, Run};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

dpvs_tests::lab_tests!(plain:
    whichever_tool_configures_both_list_the_same,
    whichever_tool_is_refused_says_the_same,
    what_one_saves_the_other_restores,
    connections_are_listed_alike,
    full_nat_survives_a_stock_edit,
    without_a_daemon_it_fails_and_leaves_the_kernel_alone,
    nothing_reaches_the_kernel,
);

const SCHEDULERS: &str = "rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh";
const LISTINGS: [&str; 6] =
    ["", "--stats --exact", "--rate", "--thresholds", "--persistent-conn", "--tun-info"];

/// Fifty services of every kind that stock `ipvsadm` has words for, as its arguments. Where families
/// are mixed, no address is in the upper half: there stock sorts by numbers that have wrapped.
fn configuration() -> Vec<String> {
    let mut lines = Vec::new();
    for (number, scheduler) in (1..).zip(SCHEDULERS.split(' ')) {
        lines.push(format!("-A -t 10.0.1.{number}:80 -s {scheduler}"));
        lines.push(format!("-a -t 10.0.1.{number}:80 -r 10.2.0.11:8080 -m -w {number}"));
        lines.push(format!("-a -t 10.0.1.{number}:80 -r 10.2.0.12:80 -g -w 0"));
        lines.push(format!("-A -u [fd00::1:{number}]:53 -s {scheduler}"));
        lines.push(format!("-a -u [fd00::1:{number}]:53 -r [fd00:2::11]:53 -m -x {number} -y 1"));
    }
    let more = "
        -A -t 10.0.2.1:80 -s sh -b sh-port
        -A -t 10.0.2.2:80 -s sh -b sh-fallback,sh-port
        -A -t 10.0.2.3:80 -s mh -b mh-port
        -A -t 10.0.2.4:80 -s mh -b mh-fallback
        -A -t 10.0.2.5:80 -s rr -b flag-1,flag-3
        -A -t 10.0.2.6:80 -s rr -p
        -A -t 10.0.2.7:80 -s rr -p 60 -M 255.255.255.0
        -A -t 10.0.2.8:0 -s rr -p 60
        -A -t [fd00::2:9]:80 -s rr -p 60 -M 64
        -A -t [fd00::2:10]:0 -s sh -b sh-port -p 2678400
        -A -u 10.0.2.11:53 -s rr -o
        -A -u [fd00::2:12]:53 -s wlc -o -p 10
        -A --sctp-service 10.0.2.13:36412 -s rr
        -A --sctp-service [fd00::2:14]:36412 -s wrr -p 99
        -A -t 10.0.2.15:80
        -a -t 10.0.2.15:80 -r 10.2.0.11:80 -i
        -a -t 10.0.2.15:80 -r 10.2.0.12:80 -i --tun-type gue --tun-port 6080
        -a -t 10.0.2.15:80 -r 10.2.0.13:80 -i --tun-type gue --tun-port 6080 --tun-csum
        -a -t 10.0.2.15:80 -r 10.2.0.14:80 -i --tun-type gue --tun-port 6080 --tun-remcsum
        -a -t 10.0.2.15:80 -r 10.2.0.15:80 -i --tun-type gre
        -a -t 10.0.2.15:80 -r 10.2.0.16:80 -i --tun-type gre --tun-csum
        -a -t 10.0.2.15:80 -r [2001:db8::11]:80 -i -w 65535
        -A -t [fd00::2:16]:80 -s wrr
        -a -t [fd00::2:16]:80 -r [2001:db8::11]:80 -i -w 7
        -a -t [fd00::2:16]:80 -r 10.2.0.11:80 -i -w 8
        -A -t 10.0.2.17:80 -s rr -p 77 -M 255.255.0.0
        -E -t 10.0.2.17:80 -s wlc
        -A -t 10.0.2.18:80 -s sh -b sh-port -p 5
        -a -t 10.0.2.18:80 -r 10.2.0.11:80 -m -w 3 -x 9 -y 2
        -e -t 10.0.2.18:80 -r 10.2.0.11:80 -g
        -A -t 10.0.2.19:80
        -D -t 10.0.2.19:80
        -A -t 10.0.2.20:80 -s rr
        -a -t 10.0.2.20:80 -r 10.2.0.11:80 -m -x 2147483647 -y 2147483647
        -a -t 10.0.2.20:80 -r 10.2.0.12:80 -m
        -d -t 10.0.2.20:80 -r 10.2.0.12:80
        -A -u 10.0.2.21:53 -s rr
        -A -u 10.0.2.22:53 -s rr -p 2000
        -A -u [fd00::2:23]:53 -s rr -p 2000 -M 1
        -A -t 10.0.2.24:65535 -s nq
        -A -t 10.0.2.25:1 -s sed
        --set 700 0 55";
    lines.extend(more.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()));
    let count = |word: &str| lines.iter().filter(|line| line.starts_with(word)).count();
    assert!(count("-A") - count("-D") >= 50, "{}", lines.len());
    lines
}

/// A way to run `ipvsadm`.
type Tool = fn(&Lab, &str) -> Run;
const STOCK: Tool = |lab, arguments| lab.stock(arguments);
const OURS: Tool = |lab, arguments| lab.run(&format!("ipvsadm {arguments}"));

/// Everything that both list, which must be the same.
#[track_caller]
fn listed_alike(lab: &Lab) -> String {
    let mut all = String::new();
    for options in LISTINGS {
        let arguments = format!("-L -n {options}");
        let text = STOCK(lab, &arguments).ok();
        assert_eq!(text, OURS(lab, &arguments).ok(), "{arguments}");
        all += &text;
    }
    let text = STOCK(lab, "-L --timeout").ok();
    assert_eq!(text, OURS(lab, "-L --timeout").ok());
    all + &text
}

fn whichever_tool_configures_both_list_the_same(lab: &mut Lab) {
    let mut seen = Vec::new();
    for tool in [STOCK, OURS] {
        lab.stock("-C").ok();
        for arguments in configuration() {
            tool(lab, &arguments).ok();
        }
        let text = listed_alike(lab);
        assert!(text.contains("TCP  [fd00::2:9]:80 rr persistent 60 mask 64"), "{text}");
        assert!(text.contains("gue:6080:r+c"), "{text}");
        assert!(text.contains("Timeout (tcp tcpfin udp): 700 120 55"), "{text}");
        seen.push(text);
        tool(lab, "-Z").ok();
        tool(lab, "-Z -t 10.0.1.1:80").ok();
        tool(lab, "-C").ok();
        assert_eq!(listed_alike(lab).matches("TCP ").count(), 0);
    }
    assert_eq!(seen[0], seen[1]);
}

fn whichever_tool_is_refused_says_the_same(lab: &mut Lab) {
    lab.stock("-A -t 10.0.0.100:80 -s rr").ok();
    lab.stock("-a -t 10.0.0.100:80 -r 10.2.0.11:80 -m").ok();
    for arguments in [
        "-A -t 10.0.0.100:80 -s rr",
        "-A -t 10.0.0.100:81 -s nosuch",
        "-A -t 10.0.0.100:81 --pe sip -p 60",
        "-A -t 10.0.0.100:0",
        "-E -t 10.0.0.100:81",
        "-D -t 10.0.0.100:81",
        "-Z -t 10.0.0.100:81",
        "-L -n -t 10.0.0.100:81",
        "-a -t 10.0.0.100:81 -r 10.2.0.11:80 -m",
        "-a -t 10.0.0.100:80 -r 10.2.0.11:80 -m",
        "-a -t 10.0.0.100:80 -r 10.2.0.12:80 -m -y 5",
        "-a -t 10.0.0.100:80 -r 0.0.0.0:80 -m",
        "-e -t 10.0.0.100:80 -r 10.2.0.12:80 -m",
        "-d -t 10.0.0.100:80 -r 10.2.0.12:80",
        "-d -t 10.0.0.100:81 -r 10.2.0.12:80",
        "-a -t 10.0.0.100:80 -r [fd00:2::11]:80 -m",
    ] {
        let (stock, ours) = (STOCK(lab, arguments), OURS(lab, arguments));
        assert_ne!(stock.code, 0, "{stock:?}");
        assert_eq!(
            (stock.code, &stock.stdout, &stock.stderr),
            (ours.code, &ours.stdout, &ours.stderr),
            "{arguments}"
        );
    }
    lab.stock("--start-daemon master").fails(255, "Function not implemented");
    lab.stock("-A -f 1").fails(255, "Function not implemented");
    assert_eq!(lab.stock("-L --daemon").ok(), "");
}

/// Restores what was saved.
#[track_caller]
fn restore(mut command: Command, text: &str) {
    command.arg("-R").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

fn ours_command(lab: &Lab) -> Command {
    let mut command = Command::new(dpvs_tests::run::program("ipvsadm"));
    command.env("DPVS_SOCKET", lab.socket());
    command
}

fn what_one_saves_the_other_restores(lab: &mut Lab) {
    for arguments in configuration() {
        lab.stock(&arguments).ok();
    }
    let (listing, by_stock) = (lab.stock("-Ln --tun-info").ok(), lab.stock("-Sn").ok());
    let by_us = lab.run("ipvsadm -Sn").ok();
    assert_eq!(by_stock.lines().filter(|line| line.starts_with("-A")).count(), 50);
    lab.stock("-C").ok();
    restore(ours_command(lab), &by_stock);
    assert_eq!(lab.run("ipvsadm -Ln --tun-info").ok(), listing);
    lab.stock("-C").ok();
    restore(lab.stock_command(), &by_us);
    assert_eq!(lab.stock("-Ln --tun-info").ok(), listing);
    assert_eq!(lab.run("ipvsadm -Sn").ok(), by_us);
}

/// Takes the time that is left out of the rows of a connection listing.
fn without_time(text: &str) -> String {
    let row = |line: &str| match line.split_once(' ') {
        Some((protocol, rest)) if rest.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("{protocol} {}\n", rest.split_once(' ').map_or("", |(_, rest)| rest))
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(row).collect()
}

fn connections_are_listed_alike(lab: &mut Lab) {
    let _web = Station::http(&lab.rs1(), 80, "rs1");
    lab.stock("-A -t 10.0.0.100:80 -s rr").ok();
    lab.stock("-a -t 10.0.0.100:80 -r 10.2.0.11:80 -m").ok();
    lab.stock("-A -t [fd00::100]:80 -s rr -p 60").ok();
    lab.stock("-a -t [fd00::100]:80 -r [fd00:2::11]:80 -m").ok();
    assert_eq!(get(&lab.client(), "http://10.0.0.100/"), "rs1\n");
    assert_eq!(get(&lab.client(), "http://[fd00::100]/"), "rs1\n");
    let held = Held::open(&lab.client(), "10.0.0.100");
    held.connection(lab);
    let stock = lab.stock("-Lnc").ok();
    assert_eq!(without_time(&stock), without_time(&lab.run("ipvsadm -Lnc").ok()));
    let row = format!("ESTABLISHED 10.1.0.10:{}", held.port());
    assert!(stock.contains(&row) && stock.contains("[fd00:2::11]:80"), "{stock}");
    let stats = lab.stock("-Ln --stats").ok();
    assert_eq!(
        stats.lines().find(|l| l.contains("10.0.0.100")).unwrap().split_whitespace().nth(2),
        Some("2"),
        "{stats}"
    );
    held.close(lab);
}

fn full_nat_survives_a_stock_edit(lab: &mut Lab) {
    let _web = Station::http(&lab.rs1(), 80, "rs1");
    lab.full_nat("-t 10.0.0.100:80", &["10.2.0.11:80"]);
    lab.all("ipvsadm -A -q 10.0.0.100 -s rr");
    lab.stock("-e -t 10.0.0.100:80 -r 10.2.0.11:80 -m -w 9").ok();
    lab.stock("-E -t 10.0.0.100:80 -s wrr").ok();
    let text = lab.stock("-Ln").ok();
    assert!(text.contains("10.2.0.11:80                 Masq    9"), "{text}");
    assert!(!text.contains('?') && !text.contains("ICMP"), "{text}");
    let text = lab.run("ipvsadm -Ln").ok();
    assert!(text.contains("10.2.0.11:80                 FullNat 9"), "{text}");
    assert_eq!(get(&lab.client(), "http://10.0.0.100/peer"), "10.2.0.200\n");
    // Its flush takes what it has shown.
    lab.stock("-C").ok();
    assert!(lab.run("ipvsadm -Ln").ok().contains("ICMP 10.0.0.100:0 rr"));
}

/// Runs Debian's `ipvsadm` and returns what it asked of the kernel.
fn traced(lab: &Lab, arguments: &str) -> (Run, String) {
    let file = lab.directory().join("trace");
    let preload = format!("LD_PRELOAD={}", Lab::preload().display());
    let calls = "trace=socket,connect,execve,getsockopt,setsockopt,init_module,finit_module,openat";
    let mut command = Command::new("strace");
    command.args(["-f", "-e", calls, "-E", &preload, "-o"]).arg(&file).arg("/usr/sbin/ipvsadm");
    command.args(arguments.split_whitespace()).env("DPVS_SOCKET", lab.socket());
    let run = Run::of(arguments, &mut command);
    (run, fs::read_to_string(file).unwrap())
}

/// Checks that nothing of this could have been for the kernel's IPVS.
#[track_caller]
fn leaves_the_kernel_alone(trace: &str) {
    assert_eq!(trace.matches("execve(").count(), 1, "{trace}");
    for word in ["AF_NETLINK", "init_module", "SOL_IP", "/proc/net/ip_vs", "modprobe"] {
        assert!(!trace.contains(word), "{word} in {trace}");
    }
}

fn without_a_daemon_it_fails_and_leaves_the_kernel_alone(lab: &mut Lab) {
    let stood = Path::new("/proc/net/ip_vs").exists();
    lab.take_daemon().stop();
    for arguments in ["-Ln", "-A -t 10.0.0.100:80", "-C", "-Lnc"] {
        let (run, trace) = traced(lab, arguments);
        run.clone().fails(2, "libdpvs_ipvs: cannot connect to dpvs at ");
        run.fails(2, "Can't initialize ipvs: Protocol not available");
        leaves_the_kernel_alone(&trace);
    }
    // Nor by any other way to the loader: a shell, or one that forgets the environment.
    for line in ["modprobe ip_vs", "/sbin/modprobe -- ip_vs", "exec timeout 9 modprobe -a ip_vs_rr"]
    {
        let mut command = Command::new("sh");
        let run = Run::of(line, command.args(["-c", line]).env("LD_PRELOAD", Lab::preload()));
        assert_ne!(run.code, 0, "{run:?}");
        assert!(!run.stderr.contains("FATAL"), "the loader has run: {run:?}");
    }
    let mut loader = Command::new("/sbin/modprobe");
    Run::of("modprobe", loader.arg("ip_vs").env("LD_PRELOAD", Lab::preload()))
        .fails(1, "dpvs takes its place");
    assert_eq!(Path::new("/proc/net/ip_vs").exists(), stood);
}

fn nothing_reaches_the_kernel(lab: &mut Lab) {
    for arguments in ["-A -t 10.0.0.100:80 -s rr", "-Ln", "-Lnc", "-Z", "--set 9 9 9", "-C"] {
        let (run, trace) = traced(lab, arguments);
        run.ok();
        leaves_the_kernel_alone(&trace);
        assert!(trace.contains("ipvs.sock"), "{trace}");
    }
}

#[test]
fn readers_list_and_change_nothing() {
    let config = "[control]\nreader_group = \"nogroup\"\n";
    dpvs_tests::lab::test_in(Lab::configured(1, config), |lab| {
        lab.stock("-A -t 10.0.0.100:80 -s rr").ok();
        // Where everybody may look; the sources may lie elsewhere.
        let library = lab.directory().join("libdpvs_ipvs.so");
        fs::copy(Lab::preload(), &library).unwrap();
        fs::set_permissions(lab.directory(), fs::Permissions::from_mode(0o755)).unwrap();
        let as_user = |group: &str, arguments: &str| {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", "nobody", "--regid", group, "--clear-groups", "env"]);
            command.arg(format!("LD_PRELOAD={}", library.display())).arg("/usr/sbin/ipvsadm");
            command.args(arguments.split(' ')).env("DPVS_SOCKET", lab.socket());
            Run::of(arguments, &mut command)
        };
        let text = as_user("nogroup", "-Ln").ok();
        assert!(text.contains("TCP  10.0.0.100:80 rr"), "{text}");
        as_user("nogroup", "-C").fails(255, "Permission denied (you must be root)");
        as_user("games", "-Ln").fails(2, "cannot connect to dpvs at ");
        assert!(lab.stock("-Ln").ok().contains("TCP  10.0.0.100:80 rr"));
    });
}
