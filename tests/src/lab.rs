// SPDX-License-Identifier: MIT OR Apache-2.0
//! The laboratory: namespaces by `scripts/lab.sh`, with `dpvs` between client and real servers.
//!
//! `scripts/lab.sh` has the picture with all addresses.

use crate::daemon::Daemon;
use crate::namespace::Namespace;
use crate::run::{self, Run};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// The virtual address.
pub const VIP: &str = "10.0.0.100";
/// The virtual address of IPv6.
pub const VIP6: &str = "fd00::100";
/// The local address of full NAT.
pub const LOCAL: &str = "10.2.0.200";
/// The local address of full NAT for IPv6.
pub const LOCAL6: &str = "fd00:2::200";

/// The balancer's two ports.
type Ports = [&'static str; 2];

/// What everybody has.
const PORTS: Ports = ["dpdk0=af_packet:lan0", "dpdk1=af_packet:lan1"];
/// These get IPv4 fragments as they come. `af_packet` asks the kernel to put datagrams together
/// first, and then has no room for large ones.
const PCAP_PORTS: Ports = [
    "dpdk0=vdev:net_pcap0,rx_iface_in=lan0,tx_iface=lan0",
    "dpdk1=vdev:net_pcap1,rx_iface_in=lan1,tx_iface=lan1",
];

/// A laboratory of its own; it vanishes when dropped.
#[derive(Debug)]
pub struct Lab {
    name: String,
    directory: TempDir,
    flags: &'static [&'static str],
    arguments: Vec<String>,
    daemon: Option<Daemon>,
}

/// Runs a test in a lab, if one could be made.
pub fn test_in(lab: Option<Lab>, test: impl FnOnce(&mut Lab)) {
    if let Some(mut lab) = lab {
        test(&mut lab);
    }
}

/// Runs `scripts/lab.sh` for the lab of a name.
pub fn script(verb: &str, name: &str, flags: &[&str]) -> Run {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/lab.sh");
    Run::of(&format!("lab.sh {verb} {name}"), Command::new(path).args([verb, name]).args(flags))
}

impl Lab {
    /// A lab with client and servers beside the balancer, its addresses set. `None` without root.
    pub fn plain(workers: usize) -> Option<Lab> {
        Lab::with(workers, &[], PORTS, "")
    }

    /// A lab with a router on either side, the routes behind them set. `None` without root.
    pub fn routed(workers: usize) -> Option<Lab> {
        Lab::with(workers, &["--routed"], PORTS, "")
    }

    /// A plain lab whose servers have the virtual addresses too, and a way to the client around
    /// the balancer. `None` without root.
    pub fn direct(workers: usize) -> Option<Lab> {
        Lab::with(workers, &["--direct"], PORTS, "")
    }

    /// A plain lab whose ports get fragments as they come. `None` without root.
    pub fn plain_with_fragments(workers: usize) -> Option<Lab> {
        Lab::with(workers, &[], PCAP_PORTS, "")
    }

    /// A direct lab whose ports get fragments as they come. `None` without root.
    pub fn direct_with_fragments(workers: usize) -> Option<Lab> {
        Lab::with(workers, &["--direct"], PCAP_PORTS, "")
    }

    /// A plain lab whose daemon reads a configuration file.
    pub fn configured(workers: usize, config: &str) -> Option<Lab> {
        Lab::with(workers, &[], PORTS, config)
    }

    /// A plain lab whose balancer has nothing: no addresses.
    pub fn bare(workers: usize) -> Option<Lab> {
        let mut lab = Lab::wired(workers, &[], PORTS, "")?;
        lab.start();
        Some(lab)
    }

    fn with(
        workers: usize,
        flags: &'static [&'static str],
        ports: Ports,
        config: &str,
    ) -> Option<Lab> {
        let mut lab = Lab::wired(workers, flags, ports, config)?;
        lab.start();
        lab.set_addresses();
        Some(lab)
    }

    fn wired(
        workers: usize,
        flags: &'static [&'static str],
        ports: Ports,
        config: &str,
    ) -> Option<Lab> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if !nix::unistd::geteuid().is_root() {
            eprintln!("SKIPPED: needs root to make network namespaces");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", process::id());
        let directory = TempDir::with_prefix(format!("dpvs-lab-{name}-")).expect("a directory");
        let mut arguments = Vec::from(Daemon::arguments(&directory.path().join("dpvs.sock")));
        arguments.extend(["--workers".to_owned(), workers.to_string()]);
        for port in ports {
            arguments.extend(["--port".to_owned(), port.to_owned()]);
        }
        if !config.is_empty() {
            let path = directory.path().join("dpvs.toml");
            fs::write(&path, config).expect("a configuration file");
            arguments.extend(["--config".to_owned(), path.to_string_lossy().into_owned()]);
        }
        let lab = Lab { name, directory, flags, arguments, daemon: None };
        script("up", &lab.name, lab.flags).ok();
        Some(lab)
    }

    /// Starts the daemon.
    pub fn start(&mut self) {
        let (program, rest) = self.arguments.split_first().expect("a program");
        let mut command = self.namespace("lb").command(program);
        command.args(rest);
        self.daemon = Some(Daemon::start(&mut command, self.directory.path(), &self.socket()));
    }

    /// Starts a second daemon as the first was, to its end.
    pub fn start_another(&self) -> Run {
        let words: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        self.namespace("lb").run_words(&words)
    }

    /// Takes the daemon out, to end it.
    pub fn take_daemon(&mut self) -> Daemon {
        self.daemon.take().expect("a daemon")
    }

    /// Gives the balancer the addresses of the lab.
    pub fn set_addresses(&self) {
        self.all(&script("addresses", &self.name, self.flags).ok());
    }

    /// Returns the daemon.
    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("a daemon")
    }

    /// Returns where the daemon listens.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("dpvs.sock")
    }

    /// Returns a directory for files of the test.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn namespace(&self, role: &str) -> Namespace {
        Namespace { name: format!("dpvs-{}-{role}", self.name) }
    }

    /// The client.
    pub fn client(&self) -> Namespace {
        self.namespace("client")
    }

    /// The balancer.
    pub fn balancer(&self) -> Namespace {
        self.namespace("lb")
    }

    /// The bridge that the real servers are on.
    pub fn switch(&self) -> Namespace {
        self.namespace("sw")
    }

    /// The first real server.
    pub fn rs1(&self) -> Namespace {
        self.namespace("rs1")
    }

    /// The second real server.
    pub fn rs2(&self) -> Namespace {
        self.namespace("rs2")
    }

    /// The router between client and balancer.
    pub fn client_router(&self) -> Namespace {
        self.namespace("crt")
    }

    /// The router between balancer and real servers.
    pub fn server_router(&self) -> Namespace {
        self.namespace("srt")
    }

    /// Runs `dpip` or `ipvsadm`, as an operator would.
    pub fn run(&self, line: &str) -> Run {
        let mut words = line.split_whitespace();
        let program = run::program(words.next().expect("a program"));
        Run::of(line, Command::new(program).args(words).env("DPVS_SOCKET", self.socket()))
    }

    /// Runs Debian's own `ipvsadm`, led to the daemon by the preload library.
    pub fn stock(&self, arguments: &str) -> Run {
        let mut command = self.stock_command();
        Run::of(&format!("stock ipvsadm {arguments}"), command.args(arguments.split_whitespace()))
    }

    /// Returns a command of Debian's own `ipvsadm` without its arguments.
    pub fn stock_command(&self) -> Command {
        let mut command = Command::new("/usr/sbin/ipvsadm");
        command.env("LD_PRELOAD", Lab::preload()).env("DPVS_SOCKET", self.socket());
        command
    }

    /// Returns the path of the preload library.
    pub fn preload() -> PathBuf {
        run::program("libdpvs_ipvs.so")
    }

    /// Runs the commands of a script, one a line, each of which must succeed.
    #[track_caller]
    pub fn all(&self, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            self.run(line).ok();
        }
    }

    /// Makes a full NAT service on all its servers: `-t 10.0.0.100:80`, `-r` of each, local address.
    #[track_caller]
    pub fn full_nat(&self, service: &str, servers: &[&str]) {
        let local = if service.contains("fd00") { LOCAL6 } else { LOCAL };
        self.run(&format!("ipvsadm -A {service} -s rr")).ok();
        self.run(&format!("ipvsadm -P {service} -z {local} -F dpdk1")).ok();
        for server in servers {
            self.run(&format!("ipvsadm -a {service} -r {server} -b")).ok();
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.daemon = None;
        let run = script("down", &self.name, &[]);
        if !std::thread::panicking() {
            run.ok();
        }
    }
}
