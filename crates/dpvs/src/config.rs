// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration file: TOML, read strictly. What it does not know is an error that names the
//! line.

mod echo;
mod icmp;
mod values;

use crate::cli::{Cli, PortArgument};
use crate::kernel;
use dpdk::PortSpec;
use dpvs_core::steering::{KEY_DEFAULT, KEY_LEN};
use dpvs_core::tables::{Limits, NoServer, Timeouts};
use echo::EchoSection;
use icmp::IcmpSection;
use serde::Deserialize;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Where the configuration is, unless told otherwise.
pub(crate) const PATH_DEFAULT: &str = "/etc/dpvs/dpvs.toml";

/// Longest name of a port, as of a Linux interface.
const PORT_NAME_LEN_MAX: usize = 15;

/// Longest configuration file in bytes.
const FILE_LEN_MAX: u64 = 1 << 20;

/// Reads a regular file. From anything else a reload could wait for ever.
fn read_file(path: &Path) -> std::io::Result<String> {
    use std::io::{Error, Read as _};
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    file.take(FILE_LEN_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) control: ControlSection,
    pub(crate) dataplane: DataplaneSection,
    #[serde(rename = "port")]
    pub(crate) ports: Vec<PortSection>,
    pub(crate) forward: ForwardSection,
    pub(crate) icmp: IcmpSection,
    #[serde(rename = "echo")]
    pub(crate) echoes: Vec<EchoSection>,
    pub(crate) timeouts: TimeoutSection,
    pub(crate) local_ports: LocalPorts,
    pub(crate) identifiers: Identifiers,
    pub(crate) log: LogSection,
}

/// The control sockets.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ControlSection {
    /// Its path.
    pub(crate) socket: Option<PathBuf>,
    /// The path of the socket for stock tools; beside the other by default.
    pub(crate) ipvs_socket: Option<PathBuf>,
    /// The group whose members may write.
    pub(crate) admin_group: Option<String>,
    /// The group whose members may read.
    pub(crate) reader_group: Option<String>,
}

/// Workers and memory. What is not given is computed from what the machine has.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DataplaneSection {
    #[serde(deserialize_with = "values::workers")]
    pub(crate) workers: usize,
    /// Processors for the workers; those of the process by default.
    pub(crate) cpus: Vec<u32>,
    /// Connections in each worker's table.
    #[serde(deserialize_with = "values::connections")]
    pub(crate) connections: Option<usize>,
    /// Packet buffers in all.
    #[serde(deserialize_with = "values::buffers")]
    pub(crate) buffers: Option<u32>,
    /// Memory for buffers and rings.
    pub(crate) memory_mb: Option<u32>,
    pub(crate) hugepages: HugepagesWord,
    /// The key that spreads frames over queues.
    #[serde(deserialize_with = "values::rss_key")]
    pub(crate) rss_key: [u8; KEY_LEN],
    /// The longest sleep of a worker that has nothing to do; 0 is never.
    #[serde(deserialize_with = "values::idle_sleep")]
    pub(crate) idle_sleep_us: u32,
}

impl Default for DataplaneSection {
    fn default() -> Self {
        DataplaneSection {
            workers: 1,
            cpus: Vec::new(),
            connections: None,
            buffers: None,
            memory_mb: None,
            hugepages: HugepagesWord::Auto,
            rss_key: KEY_DEFAULT,
            idle_sleep_us: 1000,
        }
    }
}

/// Whether hugepages are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HugepagesWord {
    /// If there are enough.
    #[default]
    Auto,
    Always,
    Never,
}

/// A port.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PortSection {
    #[serde(deserialize_with = "values::port_name")]
    pub(crate) name: String,
    #[serde(deserialize_with = "values::device")]
    pub(crate) device: PortSpec,
    /// Longest IP packet in bytes; the device's by default.
    #[serde(default, deserialize_with = "values::mtu")]
    pub(crate) mtu: Option<u16>,
    /// Whether frames for other stations are received.
    #[serde(default = "values::yes")]
    pub(crate) promiscuous: bool,
    /// Whether it has a kernel interface, `NAME.kni`.
    #[serde(default)]
    pub(crate) kernel: bool,
    /// Receive descriptors of a queue; 0 for the device's default.
    #[serde(default)]
    pub(crate) rx_desc: u16,
    /// Transmit descriptors of a queue; 0 for the device's default.
    #[serde(default)]
    pub(crate) tx_desc: u16,
}

/// What forwarding does beyond what services and real servers say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ForwardSection {
    pub(crate) no_server: NoServerWord,
    /// Whether direct routing and tunnels take one from the time to live, as a router does.
    pub(crate) direct_ttl: bool,
}

/// What becomes of a packet for a service without a real server that takes connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NoServerWord {
    #[default]
    Drop,
    /// TCP is reset, others are answered as by `Port`.
    Reset,
    /// The port cannot be reached.
    Port,
    /// The host cannot be reached.
    Host,
    /// It is forbidden.
    Prohibited,
}

/// Timeouts of idle connections in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TimeoutSection {
    #[serde(deserialize_with = "values::timeout")]
    pub(crate) tcp: u32,
    #[serde(deserialize_with = "values::timeout")]
    pub(crate) tcp_fin: u32,
    #[serde(deserialize_with = "values::timeout")]
    pub(crate) udp: u32,
    #[serde(deserialize_with = "values::icmp_timeout")]
    pub(crate) icmp: u32,
}

impl Default for TimeoutSection {
    fn default() -> Self {
        let timeouts = Timeouts::default();
        TimeoutSection {
            tcp: timeouts.tcp_ms / 1000,
            tcp_fin: timeouts.tcp_fin_ms / 1000,
            udp: timeouts.udp_ms / 1000,
            icmp: timeouts.icmp_ms / 1000,
        }
    }
}

/// A range of 16-bit numbers, as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    first: Option<u16>,
    last: Option<u16>,
}

/// Local ports of full NAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Range")]
pub(crate) struct LocalPorts(pub(crate) u16, pub(crate) u16);

/// Identifiers of forwarded ICMP queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Range")]
pub(crate) struct Identifiers(pub(crate) u16, pub(crate) u16);

impl Default for LocalPorts {
    fn default() -> Self {
        let limits = Limits::default();
        LocalPorts(limits.local_port_min, limits.local_port_max)
    }
}

impl Default for Identifiers {
    fn default() -> Self {
        let limits = Limits::default();
        Identifiers(limits.identifier_min, limits.identifier_max)
    }
}

impl TryFrom<Range> for LocalPorts {
    type Error = String;

    fn try_from(range: Range) -> Result<Self, String> {
        let LocalPorts(first, last) = LocalPorts::default();
        let (first, last) = (range.first.unwrap_or(first), range.last.unwrap_or(last));
        if first == 0 || last < first {
            return Err(format!("local_ports: {first} to {last} is not a range of ports"));
        }
        Ok(LocalPorts(first, last))
    }
}

impl TryFrom<Range> for Identifiers {
    type Error = String;

    fn try_from(range: Range) -> Result<Self, String> {
        let Identifiers(first, last) = Identifiers::default();
        let (first, last) = (range.first.unwrap_or(first), range.last.unwrap_or(last));
        if last < first {
            return Err(format!("identifiers: {first} to {last} is not a range"));
        }
        Ok(Identifiers(first, last))
    }
}

/// What is logged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogSection {
    pub(crate) level: LogWord,
}

/// The least severe message that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogWord {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// Why there is no configuration; one sentence each.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read the configuration {path}: {source}", path = .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}:{line}: {message}", path = .path.display())]
    Parse { path: PathBuf, line: usize, message: String },
    #[error("port {name} is configured twice")]
    DuplicateName { name: String },
    #[error("port {name}: another port uses {device} already")]
    DuplicateDevice { name: String, device: PortSpec },
    #[error(
        "port {name}: with a kernel interface, a port's name has at most {max} characters",
        max = kernel::PORT_NAME_LEN_MAX
    )]
    NameTooLong { name: String },
    #[error("[icmp] silent_ports: there is no port {name}")]
    UnknownPort { name: String },
    #[error("[[echo]] of {address}: {message}")]
    Echo { address: std::net::IpAddr, message: String },
}

impl Config {
    /// Reads the configuration that the command line names, and applies what else it says.
    ///
    /// # Errors
    /// If the file cannot be read, or holds what it must not.
    pub(crate) fn load(cli: &Cli) -> Result<Self, ConfigError> {
        let (path, is_required) = match &cli.config {
            Some(path) => (path.as_path(), true),
            None => (Path::new(PATH_DEFAULT), false),
        };
        let mut config = match read_file(path) {
            Ok(text) => Config::parse(&text, path)?,
            Err(error) if !is_required && error.kind() == std::io::ErrorKind::NotFound => {
                Config::default()
            }
            Err(source) => return Err(ConfigError::Read { path: path.to_owned(), source }),
        };
        config.apply(cli);
        config.check()?;
        Ok(config)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
            let message = error.message().replace('\n', ", ");
            ConfigError::Parse { path: path.to_owned(), line, message }
        })
    }

    /// What the command line says wins over the file.
    fn apply(&mut self, cli: &Cli) {
        if let Some(workers) = cli.workers {
            self.dataplane.workers = usize::from(workers);
        }
        if let Some(socket) = &cli.socket {
            self.control.socket = Some(socket.clone());
        }
        if let Some(socket) = &cli.ipvs_socket {
            self.control.ipvs_socket = Some(socket.clone());
        }
        for PortArgument { name, device } in &cli.ports {
            match self.ports.iter_mut().find(|port| port.name == *name) {
                Some(port) => port.device = device.clone(),
                None => self.ports.push(PortSection::new(name.clone(), device.clone())),
            }
        }
    }

    /// Refuses what contradicts itself.
    fn check(&self) -> Result<(), ConfigError> {
        let (mut names, mut devices) = (HashSet::new(), HashSet::new());
        for port in &self.ports {
            let name = || port.name.clone();
            if !names.insert(&port.name) {
                return Err(ConfigError::DuplicateName { name: name() });
            }
            if !devices.insert(&port.device) {
                let device = port.device.clone();
                return Err(ConfigError::DuplicateDevice { name: name(), device });
            }
            if port.kernel && port.name.len() > kernel::PORT_NAME_LEN_MAX {
                return Err(ConfigError::NameTooLong { name: name() });
            }
        }
        match self.icmp.silent_ports.iter().find(|name| !names.contains(name)) {
            Some(name) => Err(ConfigError::UnknownPort { name: name.clone() }),
            None => self.check_echoes(),
        }
    }

    /// The limits as the tables have them.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            local_port_min: self.local_ports.0,
            local_port_max: self.local_ports.1,
            identifier_min: self.identifiers.0,
            identifier_max: self.identifiers.1,
            icmp: self.icmp.policy(&self.ports),
            no_server: match self.forward.no_server {
                NoServerWord::Drop => NoServer::Drop,
                NoServerWord::Reset => NoServer::Reset,
                NoServerWord::Port => NoServer::PortUnreachable,
                NoServerWord::Host => NoServer::HostUnreachable,
                NoServerWord::Prohibited => NoServer::Prohibited,
            },
            pass_takes_ttl: self.forward.direct_ttl,
        }
    }

    /// The timeouts as the tables have them.
    pub(crate) fn timeouts(&self) -> Timeouts {
        let ms = |seconds: u32| seconds.saturating_mul(1000);
        Timeouts {
            tcp_ms: ms(self.timeouts.tcp),
            tcp_fin_ms: ms(self.timeouts.tcp_fin),
            udp_ms: ms(self.timeouts.udp),
            icmp_ms: ms(self.timeouts.icmp),
        }
    }

    /// Takes over what `new` says of everything that a running daemon can change; what needs a restart
    /// stays different.
    pub(crate) fn take_over(&mut self, new: Config) {
        let Config { control, dataplane, ports, echoes, .. } = std::mem::take(self);
        *self = Config { control, dataplane, ports, echoes, ..new };
    }

    /// The sections in which `new` differs and that only a restart applies.
    pub(crate) fn needs_restart(&self, new: &Config) -> Vec<&'static str> {
        let sections = [
            ("control", self.control != new.control),
            ("dataplane", self.dataplane != new.dataplane),
            ("port", self.ports != new.ports),
            ("echo", self.echoes != new.echoes),
        ];
        sections.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }
}

impl PortSection {
    /// A port with everything by default.
    pub(crate) fn new(name: String, device: PortSpec) -> Self {
        PortSection {
            name,
            device,
            mtu: None,
            promiscuous: true,
            kernel: false,
            rx_desc: 0,
            tx_desc: 0,
        }
    }
}

/// Says whether a port may have this name.
pub(crate) fn is_port_name(name: &str) -> bool {
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (1..=PORT_NAME_LEN_MAX).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(is_good)
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
