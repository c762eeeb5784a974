// SPDX-License-Identifier: MIT OR Apache-2.0
//! `DEVICE` strings: what the user writes for a port, and what DPDK wants to hear for it.

use std::{fmt, str::FromStr};

use crate::{EalError, PortSpecError, system};

/// Longest interface name Linux allows (`IFNAMSIZ` less the NUL).
const INTERFACE_NAME_LEN_MAX: usize = 15;

/// Bytes of an `af_packet` ring slot that the kernel keeps for its own header
/// (`TPACKET2_HDRLEN`): the rest must fit into one packet buffer, or the driver refuses it.
const AF_PACKET_HEADER_LEN: u32 = 52;

/// Smallest `af_packet` slot: holds every frame of a 1500-byte link with room for a tunnel.
const AF_PACKET_SLOT_LEN_MIN: u32 = 2048;

/// Largest `af_packet` slot: the largest power of two whose frame fits 16-bit lengths.
const AF_PACKET_SLOT_LEN_MAX: u32 = 32768;

/// Slots in each direction of each `af_packet` queue.
const AF_PACKET_SLOTS: u32 = 2048;

/// A device to be used as a port.
///
/// ```
/// use dpdk::PortSpec;
/// let spec: PortSpec = "af_packet:eth0".parse()?;
/// assert_eq!(spec.device_name(1), "net_af_packet1");
/// assert_eq!("03:00.0".parse::<PortSpec>()?.to_string(), "0000:03:00.0");
/// assert!("eth0".parse::<PortSpec>().is_err());
/// # Ok::<(), dpdk::PortSpecError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PortSpec {
    /// A network card by its PCI address, `DDDD:BB:DD.F`.
    Pci(String),
    /// A Linux interface through `AF_PACKET` rings; it must exist.
    AfPacket(String),
    /// A Linux interface through `AF_XDP` sockets; it must exist.
    AfXdp(String),
    /// A tap interface, made by us; further arguments of DPDK's driver may follow the name.
    Tap {
        /// The interface's name.
        interface: String,
        /// Arguments for DPDK's driver, as `mac=fixed`; may be empty.
        arguments: String,
    },
    /// Frames read from one capture file and written to another; either may be absent.
    Pcap {
        /// Read from.
        input: Option<String>,
        /// Written to.
        output: Option<String>,
    },
    /// Shared memory with another process, arguments as in DPDK's manual.
    Memif(String),
    /// Any virtual device of DPDK's: its name and arguments, as `net_null0,size=64`.
    Vdev(String),
}

/// What a virtual device is told beside its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VdevOptions {
    /// Queues in each direction.
    pub queues: u16,
    /// Bytes of a frame that one buffer of the receiving pool holds: its data room less the
    /// headroom. Rings of `af_packet` are sized by it: their frames are cut, without notice, about
    /// 70 bytes below the largest power of two that it holds (1982 for 2048). So segmentation
    /// offloads of the interface, and of a veth's peer, must be off, and jumbo frames need 16384.
    pub frame_len_max: u16,
}

impl Default for VdevOptions {
    fn default() -> Self {
        Self { queues: 1, frame_len_max: 2048 }
    }
}

impl FromStr for PortSpec {
    type Err = PortSpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(address) = parse_pci(text) {
            return Ok(Self::Pci(address));
        }
        let unknown = || PortSpecError::UnknownKind(text.to_owned());
        let (kind, rest) = text.split_once(':').ok_or_else(unknown)?;
        let form = |expected| PortSpecError::Form { text: text.to_owned(), expected };
        match kind {
            "af_packet" => interface_name(rest).map(Self::AfPacket),
            "af_xdp" => interface_name(rest).map(Self::AfXdp),
            "tap" => {
                let (name, arguments) = rest.split_once(',').unwrap_or((rest, ""));
                let interface = interface_name(name)?;
                Ok(Self::Tap { interface, arguments: arguments.to_owned() })
            }
            "pcap" => {
                let (input, output) = rest.split_once(',').unwrap_or((rest, ""));
                let file = |name: &str| (!name.is_empty()).then(|| name.to_owned());
                if (input.is_empty() && output.is_empty()) || output.contains(',') {
                    return Err(form("pcap:IN,OUT, where one of the two files may be left out"));
                }
                Ok(Self::Pcap { input: file(input), output: file(output) })
            }
            "memif" if rest.is_empty() => Err(form("memif:ARGS, as memif:role=client,id=0")),
            "memif" => Ok(Self::Memif(rest.to_owned())),
            "vdev" if !rest.starts_with("net_") && !rest.starts_with("eth_") => {
                Err(form("vdev:NAME[,ARGS], where the name starts with net_, as net_null0"))
            }
            "vdev" => Ok(Self::Vdev(rest.to_owned())),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pci(address) => f.write_str(address),
            Self::AfPacket(interface) => write!(f, "af_packet:{interface}"),
            Self::AfXdp(interface) => write!(f, "af_xdp:{interface}"),
            Self::Tap { interface, arguments } if arguments.is_empty() => {
                write!(f, "tap:{interface}")
            }
            Self::Tap { interface, arguments } => write!(f, "tap:{interface},{arguments}"),
            Self::Pcap { input, output } => {
                let (input, output) = (input.as_deref(), output.as_deref());
                write!(f, "pcap:{},{}", input.unwrap_or(""), output.unwrap_or(""))
            }
            Self::Memif(arguments) => write!(f, "memif:{arguments}"),
            Self::Vdev(arguments) => write!(f, "vdev:{arguments}"),
        }
    }
}

impl PortSpec {
    /// Whether the device is found on the PCI bus, and must be named before DPDK starts.
    pub fn is_pci(&self) -> bool {
        matches!(self, Self::Pci(_))
    }

    /// The Linux interface that the device is made of or makes, where there is one.
    pub fn interface(&self) -> Option<&str> {
        match self {
            Self::AfPacket(interface) | Self::AfXdp(interface) | Self::Tap { interface, .. } => {
                Some(interface)
            }
            _ => None,
        }
    }

    /// DPDK's driver, where the kind decides it.
    pub fn driver(&self) -> Option<&str> {
        match self {
            Self::Pci(_) => None,
            Self::AfPacket(_) => Some("net_af_packet"),
            Self::AfXdp(_) => Some("net_af_xdp"),
            Self::Tap { .. } => Some("net_tap"),
            Self::Pcap { .. } => Some("net_pcap"),
            Self::Memif(_) => Some("net_memif"),
            Self::Vdev(arguments) => {
                let name = arguments.split(',').next().unwrap_or(arguments);
                Some(name.trim_end_matches(|c: char| c.is_ascii_digit()))
            }
        }
    }

    /// DPDK's name of the device: `index` makes it unique among those of its kind.
    pub fn device_name(&self, index: u16) -> String {
        match self {
            Self::Pci(address) => address.clone(),
            Self::Vdev(arguments) => arguments.split(',').next().unwrap_or(arguments).to_owned(),
            _ => format!("{}{index}", self.driver().unwrap_or("net_")),
        }
    }

    /// DPDK's arguments of the device, without its name; empty for a PCI device.
    pub fn device_arguments(&self, options: &VdevOptions) -> String {
        let queues = options.queues.max(1);
        match self {
            Self::Pci(_) => String::new(),
            Self::AfPacket(interface) => {
                let slot = af_packet_slot_len(options.frame_len_max);
                let block = slot.max(32768);
                format!(
                    "iface={interface},qpairs={queues},blocksz={block},framesz={slot},\
                     framecnt={AF_PACKET_SLOTS}"
                )
            }
            Self::AfXdp(interface) => {
                format!("iface={interface},start_queue=0,queue_count={queues}")
            }
            Self::Tap { interface, arguments } if arguments.is_empty() => {
                format!("iface={interface}")
            }
            Self::Tap { interface, arguments } => format!("iface={interface},{arguments}"),
            Self::Pcap { input, output } => {
                let input = input.iter().map(|file| format!("rx_pcap={file}"));
                let output = output.iter().map(|file| format!("tx_pcap={file}"));
                input.chain(output).collect::<Vec<_>>().join(",")
            }
            Self::Memif(arguments) => arguments.clone(),
            Self::Vdev(arguments) => {
                arguments.split_once(',').map_or_else(String::new, |(_, rest)| rest.to_owned())
            }
        }
    }

    /// Checks what can be checked before DPDK is asked, so that the error can name the cause.
    ///
    /// # Errors
    /// A missing interface, file, device node or capability.
    pub fn check(&self) -> Result<(), EalError> {
        let device = || self.to_string();
        let privilege = |capability| EalError::Privilege { device: device(), capability };
        if let Self::AfPacket(interface) | Self::AfXdp(interface) = self
            && !system::interface_exists(interface)
        {
            return Err(EalError::NoInterface { device: device(), interface: interface.clone() });
        }
        match self {
            Self::AfPacket(_) if !system::has_capability(system::CAP_NET_RAW) => {
                Err(privilege("CAP_NET_RAW"))
            }
            Self::AfXdp(_) | Self::Tap { .. } if !system::has_capability(system::CAP_NET_ADMIN) => {
                Err(privilege("CAP_NET_ADMIN"))
            }
            Self::Tap { .. } => readable("/dev/net/tun").map_err(|reason| EalError::File {
                device: device(),
                path: "/dev/net/tun".to_owned(),
                reason,
            }),
            Self::Pcap { input: Some(path), .. } => readable(path)
                .map_err(|reason| EalError::File { device: device(), path: path.clone(), reason }),
            _ => Ok(()),
        }
    }
}

/// The largest slot whose frame fits into one buffer: a power of two, so that slots fill blocks.
fn af_packet_slot_len(frame_len_max: u16) -> u32 {
    let room = u32::from(frame_len_max) + AF_PACKET_HEADER_LEN;
    let power = if room.is_power_of_two() { room } else { room.next_power_of_two() / 2 };
    power.clamp(AF_PACKET_SLOT_LEN_MIN, AF_PACKET_SLOT_LEN_MAX)
}

fn readable(path: &str) -> Result<(), String> {
    std::fs::File::open(path).map(drop).map_err(|error| error.to_string())
}

fn interface_name(text: &str) -> Result<String, PortSpecError> {
    let is_forbidden = |c: char| c == '/' || c == ',' || c == '=' || c.is_whitespace();
    let len_ok = (1..=INTERFACE_NAME_LEN_MAX).contains(&text.len());
    if !len_ok || text.contains(is_forbidden) || text == "." || text == ".." {
        return Err(PortSpecError::InterfaceName(text.to_owned()));
    }
    Ok(text.to_owned())
}

/// `[DDDD:]BB:DD.F` in hexadecimal, as DPDK writes it.
fn parse_pci(text: &str) -> Option<String> {
    let mut parts: Vec<&str> = text.split(':').collect();
    if parts.len() == 2 {
        parts.insert(0, "0000");
    }
    let [domain, bus, rest] = parts[..] else { return None };
    let (device, function) = rest.split_once('.')?;
    let hex = |digits: &str, len: usize, max: u32| {
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = u32::from_str_radix(digits, 16).ok().filter(|value| *value <= max);
        value.filter(|_| is_hex && digits.len() == len)
    };
    let (domain, bus) = (hex(domain, 4, 0xffff)?, hex(bus, 2, 0xff)?);
    let (device, function) = (hex(device, 2, 0x1f)?, hex(function, 1, 7)?);
    Some(format!("{domain:04x}:{bus:02x}:{device:02x}.{function}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> PortSpec {
        text.parse().unwrap()
    }

    #[test]
    fn every_kind_is_parsed_and_printed_as_written() {
        for text in [
            "0000:03:00.0",
            "af_packet:eth0",
            "af_xdp:eth0",
            "tap:dtap0",
            "tap:dtap0,mac=fixed",
            "pcap:in.pcap,out.pcap",
            "pcap:,out.pcap",
            "memif:role=client",
            "vdev:net_null0,size=64",
        ] {
            assert_eq!(spec(text).to_string(), text);
        }
        assert_eq!(spec("3B:1f.7".replace("3B", "3b").as_str()).to_string(), "0000:3b:1f.7");
    }

    #[test]
    fn devices_that_cannot_exist_are_refused() {
        for text in [
            "",
            "eth0",
            "af_packet:",
            "af_packet:a/b",
            "tap:sixteencharacter",
            "pcap:",
            "pcap:,",
            "memif:",
            "vdev:",
            "vdev:null0",
            "03:00",
            "03:20.0",
            "03:00.8",
            "0:03:00.0",
            "usb:1",
        ] {
            assert!(text.parse::<PortSpec>().is_err(), "{text}");
        }
    }

    #[test]
    fn af_packet_slots_fit_the_buffer_and_fill_the_block() {
        let arguments = |frame_len_max| {
            spec("af_packet:e").device_arguments(&VdevOptions { queues: 3, frame_len_max })
        };
        assert_eq!(arguments(2048), "iface=e,qpairs=3,blocksz=32768,framesz=2048,framecnt=2048");
        assert!(arguments(4044).contains("framesz=4096"));
        assert!(arguments(4043).contains("framesz=2048"));
        assert!(arguments(16384).contains("framesz=16384"));
        assert!(arguments(u16::MAX).contains("blocksz=32768,framesz=32768"));
    }

    #[test]
    fn names_and_drivers_follow_the_kind() {
        assert_eq!(spec("tap:x").device_name(2), "net_tap2");
        assert_eq!(spec("vdev:net_ring7,a=b").device_name(2), "net_ring7");
        assert_eq!(spec("vdev:net_ring7,a=b").driver(), Some("net_ring"));
        assert_eq!(spec("vdev:net_ring7,a=b").device_arguments(&VdevOptions::default()), "a=b");
        let pcap = spec("pcap:i,o").device_arguments(&VdevOptions::default());
        assert_eq!(pcap, "rx_pcap=i,tx_pcap=o");
    }
}
