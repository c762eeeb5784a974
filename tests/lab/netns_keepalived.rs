// SPDX-License-Identifier: MIT OR Apache-2.0
//! Debian's `keepalived`, unmodified: it checks the real servers, and the dataplane follows.

use crate::cells::get;
use dpvs_tests::Lab;
use dpvs_tests::run::{self, wait_for};
use dpvs_tests::station::Station;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

dpvs_tests::lab_tests!(plain:
    a_server_that_dies_leaves_and_one_that_comes_back_returns,
    a_server_that_pings_no_more_leaves,
    virtual_addresses_follow_by_scripts,
    a_new_daemon_is_found,
    without_a_daemon_the_kernel_is_left_alone,
);

const PATIENCE: Duration = Duration::from_secs(40);

/// A `keepalived` in the balancer's namespace, which has its own way to the real servers: the
/// dataplane's interfaces have no addresses of the kernel.
struct Keepalived {
    child: Child,
    log: PathBuf,
    pid: PathBuf,
}

impl Keepalived {
    /// Starts it with these blocks of configuration.
    fn start(lab: &Lab, blocks: &str) -> Keepalived {
        let file = |name: &str| lab.directory().join(name);
        let (config, log, pid) = (file("keepalived.conf"), file("keepalived.log"), file("k.pid"));
        let global =
            "global_defs {\n router_id lab\n script_user root\n enable_script_security\n}\n";
        fs::write(&config, format!("{global}{blocks}")).unwrap();
        let out = File::create(&log).unwrap();
        let mut command = lab.balancer().command("env");
        command
            .arg(format!("LD_PRELOAD={}", Lab::preload().display()))
            .arg(format!("DPVS_SOCKET={}", lab.socket().display()))
            .args(["keepalived", "--dont-fork", "--log-console", "--log-detail", "--use-file"])
            .arg(&config)
            .arg("--pid")
            .arg(&pid)
            .arg("--checkers_pid")
            .arg(file("c.pid"))
            .arg("--vrrp_pid")
            .arg(file("v.pid"));
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        Keepalived { child: command.spawn().unwrap(), log, pid }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for something; says what the log says if it does not come.
    #[track_caller]
    fn wait(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let end = std::time::Instant::now() + PATIENCE;
        while !is_so() {
            assert!(std::time::Instant::now() < end, "{what}: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it as an operator does.
    fn stop(mut self) {
        let pid = fs::read_to_string(&self.pid).unwrap().trim().parse().unwrap();
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        wait_for(PATIENCE, "keepalived ends", || self.child.try_wait().unwrap().is_some());
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        // An error here means that it has ended already. Its children end with the lab.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Gives the balancer's kernel a way to the real servers.
fn give_management(lab: &Lab) {
    let (balancer, switch) = (lab.balancer(), lab.switch());
    balancer.run("sysctl -qw net.ipv4.conf.all.arp_ignore=1").ok();
    let name = &switch.name;
    balancer.run(&format!("ip link add mgmt0 type veth peer name mgmt netns {name}")).ok();
    switch.run("ip link set mgmt master br0 up").ok();
    balancer.run("ip link set mgmt0 up").ok();
    balancer.run("ip addr add 10.2.0.2/24 dev mgmt0").ok();
}

const WEB: &str = "
virtual_server 10.0.0.100 80 {
  delay_loop 1
  lvs_sched rr
  lvs_method NAT
  protocol TCP
  real_server 10.2.0.11 80 {
    TCP_CHECK {
      connect_timeout 2
      retry 1
      delay_before_retry 1
    }
  }
  real_server 10.2.0.12 80 {
    weight 2
    HTTP_GET {
      url {
        path /
        status_code 200
      }
      connect_timeout 2
      retry 1
      delay_before_retry 1
    }
  }
}
";

/// Returns the real servers in a listing of Debian's `ipvsadm`.
fn servers(lab: &Lab) -> Vec<String> {
    let text = lab.stock("-Ln").ok();
    let rows = text.lines().filter_map(|line| line.trim().strip_prefix("-> 10."));
    rows.map(|row| format!("10.{}", row.split(' ').next().unwrap())).collect()
}

/// Returns who has answered a dozen requests: each worker goes round the servers by itself.
fn answers(lab: &Lab) -> BTreeSet<String> {
    (0..12).map(|_| get(&lab.client(), "http://10.0.0.100/").trim().to_owned()).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn a_server_that_dies_leaves_and_one_that_comes_back_returns(lab: &mut Lab) {
    give_management(lab);
    let web1 = Station::http(&lab.rs1(), 80, "rs1");
    let web2 = Station::http(&lab.rs2(), 80, "rs2");
    let keepalived = Keepalived::start(lab, WEB);
    let both = ["10.2.0.11:80", "10.2.0.12:80"];
    keepalived.wait("both servers", || servers(lab) == both);
    let text = lab.stock("-Ln").ok();
    assert!(text.contains("TCP  10.0.0.100:80 rr\n"), "{text}");
    assert!(text.contains("10.2.0.12:80                 Masq    2"), "{text}");
    assert_eq!(answers(lab), names(&["rs1", "rs2"]));

    drop(web1);
    keepalived.wait("rs1 leaves", || servers(lab) == both[1..]);
    assert_eq!(answers(lab), names(&["rs2"]));
    let _web1 = Station::http(&lab.rs1(), 80, "rs1");
    keepalived.wait("rs1 returns", || servers(lab) == both);
    drop(web2);
    keepalived.wait("rs2 leaves", || servers(lab) == both[..1]);
    assert_eq!(answers(lab), names(&["rs1"]));

    keepalived.stop();
    assert!(!lab.run("ipvsadm -Ln").ok().contains("10.0.0.100"), "it takes its services away");
}

fn a_server_that_pings_no_more_leaves(lab: &mut Lab) {
    give_management(lab);
    let server = |last: u8, check: &str| {
        format!("real_server 10.2.0.{last} 7 {{\n {check}\n inhibit_on_failure\n }}\n")
    };
    let ping = "PING_CHECK {\n retry 1\n delay_before_retry 1\n }";
    let script = "MISC_CHECK {\n misc_path \"/bin/ping -c 1 -W 1 10.2.0.12\"\n }";
    let keepalived = Keepalived::start(
        lab,
        &format!(
            "virtual_server 10.0.0.100 7 {{\n delay_loop 1\n lvs_sched wrr\n lvs_method NAT\n \
             protocol UDP\n persistence_timeout 50\n {} {} }}\n",
            server(11, ping),
            server(12, script)
        ),
    );
    let weights = || -> Vec<String> {
        let text = lab.stock("-Ln").ok();
        let rows = text.lines().filter(|line| line.contains("-> 10."));
        rows.map(|row| row.split_whitespace().nth(3).unwrap().to_owned()).collect()
    };
    keepalived.wait("both servers", || weights() == ["1", "1"]);
    assert!(lab.stock("-Ln").ok().contains("UDP  10.0.0.100:7 wrr persistent 50"));
    for (station, left) in [(lab.rs1(), ["0", "1"]), (lab.rs2(), ["0", "0"])] {
        station.run("sysctl -qw net.ipv4.icmp_echo_ignore_all=1").ok();
        keepalived.wait("its weight is 0", || weights() == left);
    }
    lab.rs1().run("sysctl -qw net.ipv4.icmp_echo_ignore_all=0").ok();
    keepalived.wait("it takes clients again", || weights() == ["1", "0"]);
}

fn virtual_addresses_follow_by_scripts(lab: &mut Lab) {
    give_management(lab);
    let dpip = run::program("dpip").display().to_string();
    let script =
        |verb: &str, address: &str| format!("\"{dpip} addr {verb} {address}/32 dev dpdk0\"");
    let quorum = format!(
        "  quorum_up {}\n  quorum_down {}\n  omega\n  delay_loop 1",
        script("add", "10.0.0.101"),
        script("del", "10.0.0.101")
    );
    let web = WEB.replace("10.0.0.100", "10.0.0.101").replace("  delay_loop 1", &quorum);
    let vrrp = format!(
        "vrrp_instance one {{\n state MASTER\n interface mgmt0\n virtual_router_id 7\n \
         priority 200\n advert_int 1\n virtual_ipaddress {{\n 10.2.0.99/32 dev mgmt0\n }}\n \
         notify_master {}\n notify_stop {}\n}}\n",
        script("add", "10.0.0.102"),
        script("del", "10.0.0.102")
    );
    let has = |last: u8| lab.run("dpip addr show").ok().contains(&format!("10.0.0.{last}/32"));
    let web1 = Station::http(&lab.rs1(), 80, "rs1");
    let keepalived = Keepalived::start(lab, &format!("{vrrp}{web}"));
    keepalived.wait("the address of a service with a server", || has(101));
    keepalived.wait("the address of a master", || has(102));
    keepalived.wait("one server", || servers(lab) == ["10.2.0.11:80"]);
    assert_eq!(get(&lab.client(), "http://10.0.0.101/"), "rs1\n");
    drop(web1);
    keepalived.wait("the address goes with the last server", || !has(101));
    let _web1 = Station::http(&lab.rs1(), 80, "rs1");
    keepalived.wait("and comes back with it", || has(101));
    keepalived.stop();
    wait_for(PATIENCE, "the addresses go with keepalived", || !has(101) && !has(102));
}

fn a_new_daemon_is_found(lab: &mut Lab) {
    give_management(lab);
    let web1 = Station::http(&lab.rs1(), 80, "rs1");
    let _web2 = Station::http(&lab.rs2(), 80, "rs2");
    let keepalived = Keepalived::start(lab, WEB);
    keepalived.wait("both servers", || servers(lab).len() == 2);
    lab.take_daemon().stop();
    lab.start();
    lab.set_addresses();
    // It goes on from what it has done before, so the service has to be there.
    lab.stock("-A -t 10.0.0.100:80 -s rr").ok();
    drop(web1);
    keepalived.wait("it sees that rs1 is gone", || keepalived.log().contains("Removing service"));
    let _web1 = Station::http(&lab.rs1(), 80, "rs1");
    keepalived.wait("it tells the new daemon", || servers(lab) == ["10.2.0.11:80"]);
    assert_eq!(answers(lab), names(&["rs1"]));
}

fn without_a_daemon_the_kernel_is_left_alone(lab: &mut Lab) {
    let stood = fs::exists("/proc/net/ip_vs").unwrap();
    lab.take_daemon().stop();
    let keepalived = Keepalived::start(lab, WEB);
    keepalived.wait("it says why", || {
        let log = keepalived.log();
        log.contains("libdpvs_ipvs: cannot connect to dpvs at ")
            && log.contains("IPVS: Can't initialize ipvs")
    });
    assert_eq!(fs::exists("/proc/net/ip_vs").unwrap(), stood);
}
