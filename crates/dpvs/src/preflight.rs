// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--check`: what the machine lacks for a configuration, each with the command that mends it.
//! Starts nothing and changes nothing.

use crate::config::{Config, HugepagesWord, PortSection};
use crate::kernel;
use crate::sizes::{self, Sizes};
use dpdk::PortSpec;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Where Debian and its kin keep DPDK's drivers: `<this>/<triplet>/dpdk/pmds-<abi>`.
const LIBRARIES: &str = "/usr/lib";

/// How a finding counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// As it should be.
    Fine,
    /// Works, but see the advice.
    Hint,
    /// Will not start.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    level: Level,
    text: String,
    /// What to do.
    advice: Option<String>,
}

impl Finding {
    fn fine(text: impl Into<String>) -> Self {
        Finding { level: Level::Fine, text: text.into(), advice: None }
    }

    fn hint(text: impl Into<String>, advice: impl Into<String>) -> Self {
        Finding { level: Level::Hint, text: text.into(), advice: Some(advice.into()) }
    }

    fn missing(text: impl Into<String>, advice: Option<String>) -> Self {
        Finding { level: Level::Missing, text: text.into(), advice }
    }

    /// Whether the daemon would not start.
    pub(crate) fn is_missing(&self) -> bool {
        self.level == Level::Missing
    }
}

/// Looks at everything that a start with this configuration needs.
pub(crate) fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if config.ports.is_empty() {
        let advice = "dpvs --check --port dpdk0=af_packet:eth0".to_owned();
        findings.push(Finding::missing("no port is configured", Some(advice)));
    }
    let drivers = driver_directory(Path::new(LIBRARIES));
    for port in &config.ports {
        findings.extend(check_port(port, drivers.as_deref()));
    }
    findings.push(check_memory(config));
    findings.extend(check_hugepages(config));
    findings.push(check_cpus(config));
    findings
}

/// The findings as text, a line each and one for the advice.
pub(crate) fn render(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let word = match finding.level {
            Level::Fine => "ok",
            Level::Hint => "hint",
            Level::Missing => "MISSING",
        };
        let _ = writeln!(text, "{word:<8} {}", finding.text);
        if let Some(advice) = &finding.advice {
            let _ = writeln!(text, "{:<8} -> {advice}", "");
        }
    }
    let missing = findings.iter().filter(|finding| finding.is_missing()).count();
    let _ = match missing {
        0 => writeln!(text, "dpvs can start"),
        1 => writeln!(text, "1 thing is missing"),
        _ => writeln!(text, "{missing} things are missing"),
    };
    text
}

fn check_port(port: &PortSection, drivers: Option<&Path>) -> Vec<Finding> {
    let name = &port.name;
    let mut findings = vec![match (&port.device, port.device.check()) {
        (PortSpec::Pci(address), Ok(())) => {
            check_pci(name, address, Path::new("/sys/bus/pci/devices"))
        }
        (device, Ok(())) => Finding::fine(format!("port {name}: {device} can be used")),
        (_, Err(error)) => Finding::missing(format!("port {name}: {error}"), device_advice(port)),
    }];
    if let Some(driver) = port.device.driver() {
        findings.extend(check_driver(driver, drivers));
    }
    if let PortSpec::AfPacket(interface) = &port.device {
        findings.push(Finding::hint(
            format!("port {name}: frames longer than the MTU would be cut"),
            format!("ethtool -K {interface} gro off lro off gso off tso off"),
        ));
        if is_veth(interface) {
            findings.push(Finding::hint(
                format!("port {name}: {interface} may be one end of a veth pair"),
                "ethtool -K PEER tx off gso off tso off gro off, where PEER is its other end",
            ));
        }
    }
    if let (PortSpec::AfPacket(interface), true) = (&port.device, port.kernel) {
        findings.push(Finding::hint(
            format!("port {name}: Linux sees the frames of {interface} too, and answers twice"),
            format!(
                "once dpvs runs: ip link set {} netns NAME, to keep Linux's addresses apart",
                kernel::interface_name(name)
            ),
        ));
    }
    if port.kernel {
        findings.push(check_tun(name));
        findings.extend(check_driver("net_tap", drivers));
        let interface = kernel::interface_name(name);
        if nix::net::if_::if_nametoindex(interface.as_str()).is_ok() {
            let advice = format!("ip link del {interface}");
            let text = format!("port {name}: the interface {interface} exists already");
            findings.push(Finding::missing(text, Some(advice)));
        }
    }
    findings
}

/// The command that makes a device usable, where we know one.
fn device_advice(port: &PortSection) -> Option<String> {
    let interface = port.device.interface()?;
    let exists = nix::net::if_::if_nametoindex(interface).is_ok();
    match port.device {
        PortSpec::AfPacket(_) | PortSpec::AfXdp(_) if !exists => {
            Some("`ip -br link` lists the interfaces of this network namespace".to_owned())
        }
        PortSpec::Tap { .. } if !Path::new("/dev/net/tun").exists() => Some(TUN_ADVICE.to_owned()),
        _ => Some("run dpvs as root, or with AmbientCapabilities= in its unit".to_owned()),
    }
}

const TUN_ADVICE: &str = "modprobe tun";

fn check_tun(name: &str) -> Finding {
    match fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun") {
        Ok(_) => Finding::fine(format!("port {name}: a kernel interface can be made")),
        Err(error) => Finding::missing(
            format!("port {name}: its kernel interface needs /dev/net/tun: {error}"),
            Some(TUN_ADVICE.to_owned()),
        ),
    }
}

/// The directory that DPDK loads its drivers from, if there is just one ABI of it.
fn driver_directory(libraries: &Path) -> Option<PathBuf> {
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries(libraries)
        .flat_map(|triplet| entries(&triplet.path().join("dpdk")))
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("pmds-"))
        })
        .collect();
    if found.len() == 1 { found.pop() } else { None }
}

/// Says that a driver's library is not installed, if that can be told.
fn check_driver(driver: &str, directory: Option<&Path>) -> Option<Finding> {
    let directory = directory?;
    let abi = directory.file_name()?.to_str()?.strip_prefix("pmds-")?.split('.').next()?;
    let prefix = format!("librte_{driver}.so");
    let is_there = fs::read_dir(directory)
        .ok()?
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
    if is_there {
        return None;
    }
    let package = format!("librte-{}{abi}", driver.replace('_', "-"));
    Some(Finding::missing(
        format!("the DPDK driver {driver} is not installed"),
        Some(format!("apt-get install {package}")),
    ))
}

fn check_pci(name: &str, address: &str, devices: &Path) -> Finding {
    let device = devices.join(address);
    if !device.exists() {
        let advice = "`lspci -D | grep -i net` lists the cards".to_owned();
        return Finding::missing(format!("port {name}: there is no card {address}"), Some(advice));
    }
    let link = fs::read_link(device.join("driver")).unwrap_or_default();
    let driver = link.file_name().unwrap_or_default().to_string_lossy();
    match driver.as_ref() {
        "vfio-pci" | "igb_uio" | "uio_pci_generic" => {
            Finding::fine(format!("port {name}: {address} is bound to {driver}"))
        }
        // Works beside the kernel's driver.
        "mlx4_core" | "mlx5_core" | "mana" => {
            Finding::fine(format!("port {name}: {address} is shared with {driver}"))
        }
        _ => Finding::missing(
            format!("port {name}: {address} is not bound to vfio-pci"),
            Some(format!("modprobe vfio-pci && dpdk-devbind.py -b vfio-pci {address}")),
        ),
    }
}

/// Whether an interface may be one of a pair: it has no hardware, and is none of the other kinds.
fn is_veth(interface: &str) -> bool {
    let directory = Path::new("/sys/class/net").join(interface);
    let others = ["device", "bridge", "bonding", "tun_flags"];
    directory.exists() && !others.iter().any(|kind| directory.join(kind).exists())
}

fn check_memory(config: &Config) -> Finding {
    let available = sizes::available_memory();
    let sizes = Sizes::compute(config, available);
    let wanted = sizes.total_bytes(config.dataplane.workers);
    let text = format!(
        "memory: {} MiB for {} packet buffers and {} connections per worker, {} MiB available",
        wanted >> 20,
        sizes.buffers,
        sizes.connections,
        available >> 20,
    );
    if wanted <= available {
        return Finding::fine(text);
    }
    let advice = "lower connections, buffers or workers in [dataplane]".to_owned();
    Finding::missing(text, Some(advice))
}

fn check_hugepages(config: &Config) -> Option<Finding> {
    let wanted = u64::from(Sizes::compute(config, sizes::available_memory()).memory_mb);
    let pages = wanted.div_ceil(2);
    let free = dpdk::free_hugepages_mb();
    let advice = format!("sysctl vm.nr_hugepages={pages}");
    let is_card = config.ports.iter().any(|port| port.device.is_pci());
    match config.dataplane.hugepages {
        HugepagesWord::Never => None,
        _ if free >= wanted => Some(Finding::fine(format!("hugepages: {free} MiB are free"))),
        HugepagesWord::Always => Some(Finding::missing(
            format!("hugepages: {free} MiB are free, {wanted} are needed"),
            Some(advice),
        )),
        HugepagesWord::Auto if is_card => {
            let text = format!("hugepages: {free} MiB are free; a card is faster with {wanted}");
            Some(Finding::hint(text, advice))
        }
        HugepagesWord::Auto => {
            Some(Finding::fine("hugepages: none are needed, ordinary memory is used"))
        }
    }
}

fn check_cpus(config: &Config) -> Finding {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = config.dataplane.workers;
    let text = format!("processors: {count} for {workers} workers and the control thread");
    if workers <= count {
        return Finding::fine(text);
    }
    Finding::hint(text, format!("dpvs --workers {count}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(device: &str) -> PortSection {
        PortSection::new("dpdk0".to_owned(), device.parse().unwrap())
    }

    #[test]
    fn an_interface_that_is_not_there_is_missing() {
        let findings = check_port(&port("af_packet:no-such-if"), None);
        assert!(findings[0].is_missing());
        assert!(findings[0].text.contains("no interface `no-such-if`"), "{findings:?}");
    }

    #[test]
    fn a_driver_that_is_not_installed_names_its_package() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("x86_64-linux-gnu/dpdk/pmds-23.0");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("librte_net_tap.so.23"), "").unwrap();
        let found = driver_directory(root.path()).unwrap();
        assert_eq!(found, directory);
        assert_eq!(check_driver("net_tap", Some(&found)), None);
        let finding = check_driver("net_af_packet", Some(&found)).unwrap();
        assert_eq!(finding.advice.as_deref(), Some("apt-get install librte-net-af-packet23"));
    }

    #[test]
    fn a_card_must_be_there_and_bound() {
        let root = tempfile::tempdir().unwrap();
        assert!(check_pci("p", "0000:03:00.0", root.path()).is_missing());
        let device = root.path().join("0000:03:00.0");
        fs::create_dir(&device).unwrap();
        let unbound = check_pci("p", "0000:03:00.0", root.path());
        assert!(unbound.advice.unwrap().ends_with("dpdk-devbind.py -b vfio-pci 0000:03:00.0"));
        std::os::unix::fs::symlink("../drivers/vfio-pci", device.join("driver")).unwrap();
        assert_eq!(check_pci("p", "0000:03:00.0", root.path()).level, Level::Fine);
    }

    #[test]
    fn the_report_ends_with_the_verdict() {
        let findings = [Finding::fine("a"), Finding::hint("b", "do"), Finding::missing("c", None)];
        let text = render(&findings);
        assert_eq!(
            text,
            "ok       a\nhint     b\n         -> do\nMISSING  c\n1 thing is missing\n"
        );
        assert!(render(&findings[..2]).ends_with("dpvs can start\n"));
    }
}
