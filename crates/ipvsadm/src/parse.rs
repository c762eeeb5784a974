// SPDX-License-Identifier: MIT OR Apache-2.0
//! The walk over the scanned options, strictly from left to right: several checks depend on what
//! stood further left.

mod values;

use crate::address::{Addr, parse_addr, parse_icmp_addr};
use crate::invocation::{Action, Format, Invocation, SockPair};
use crate::names::Names;
use crate::numbers::number_in;
use crate::options::{COMMANDS, Column as C, Given, Id, OPTIONS, as_command, column_name};
use crate::popt::{Scan, Token, scan};
use crate::{Failure, checks, legality, listopts, matchspec};
use dpvs_api::types::{EchoPolicy, Family, Forward, Match, Protocol, TimeoutSpec, TunnelType};
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Longest timeout: 31 days.
const TIMEOUT_SECS_MAX: u32 = 31 * 24 * 3600;
/// Persistence where `-p` has no value.
const PERSISTENT_SECS_DEFAULT: u32 = 360;
const BAD_VIP: &str = "illegal virtual server address[:port] specified";
const BAD_SERVER: &str = "illegal real server address[:port] specified";

/// Persistence granularity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mask {
    V4(Ipv4Addr),
    V6(u8),
}

/// What the options have said so far.
pub(crate) struct State<'a> {
    pub(crate) names: &'a dyn Names,
    pub(crate) command: Id,
    pub(crate) given: Given,
    pub(crate) bitless: Vec<Id>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) vip: Option<(IpAddr, u16)>,
    pub(crate) fwmark: Option<u32>,
    pub(crate) pattern: Option<Match>,
    /// The protocol of `-p PROTO`, whose address is a positional.
    pub(crate) selector: Option<Protocol>,
    pub(crate) family: Option<Family>,
    pub(crate) mask: Mask,
    pub(crate) scheduler: String,
    pub(crate) flags: Option<Vec<u8>>,
    pub(crate) pe: String,
    pub(crate) persistent: Option<u32>,
    pub(crate) synproxy: Option<bool>,
    pub(crate) hash_target: Option<String>,
    pub(crate) conn_timeout: Option<u32>,
    pub(crate) proxy_protocol: Option<String>,
    pub(crate) dest_check: Option<listopts::DestCheck>,
    pub(crate) icmp_echo: Option<EchoPolicy>,
    pub(crate) server: Option<(IpAddr, u16)>,
    pub(crate) forward: Option<Forward>,
    pub(crate) weight: u32,
    pub(crate) upper: u32,
    pub(crate) lower: u32,
    pub(crate) tunnel: TunnelType,
    pub(crate) tunnel_port: u16,
    pub(crate) sockpair: Option<SockPair>,
    pub(crate) cpu: Option<u8>,
    pub(crate) laddr: Option<IpAddr>,
    pub(crate) ifname: String,
    pub(crate) list_entry: Option<listopts::ListEntry>,
    pub(crate) timeouts: TimeoutSpec,
    pub(crate) format: Option<Format>,
    pub(crate) socket: Option<PathBuf>,
}

/// Understands a command line whose first word is the program's name.
///
/// # Errors
/// What the real program would print, with its exit code.
pub(crate) fn parse_with(
    argv: &[Vec<u8>],
    names: &dyn Names,
    posix: bool,
) -> Result<Invocation, Failure> {
    let program = argv.first().map_or(&b"ipvsadm"[..], Vec::as_slice);
    let words = argv.get(1..).unwrap_or_default();
    if words.is_empty() {
        let list = [b"-L".to_vec()];
        return parse_scan(program, scan(&list, posix), names);
    }
    parse_scan(program, scan(words, posix), names)
}

fn parse_scan(program: &[u8], scan: Scan, names: &dyn Names) -> Result<Invocation, Failure> {
    let Some((first, rest)) = scan.tokens.split_first() else {
        return Err(Failure::try_help(program));
    };
    let command = as_command(first.id).ok_or_else(|| Failure::try_help(program))?.id;
    match command {
        Id::Help => {
            let program = String::from_utf8_lossy(program).into_owned();
            return Ok(simple(Action::Help { program }));
        }
        Id::Version => return Ok(simple(Action::Version)),
        Id::StartDaemon | Id::StopDaemon => check_daemon_state(first)?,
        _ => {}
    }
    let mut state = State::new(command, names);
    for token in rest {
        state.option(token)?;
    }
    if let Some(error) = scan.error {
        return Err(Failure::scan(&error.word, error.text));
    }
    let mut positionals = scan.positionals.into_iter();
    state.take_positionals(&mut positionals)?;
    if let Some(word) = positionals.next() {
        return Err(Failure::usage_quoting("unexpected argument ", &word, ""));
    }
    checks::finish(state)
}

fn simple(action: Action) -> Invocation {
    Invocation { action, socket: None, format: None, warnings: Vec::new() }
}

fn check_daemon_state(token: &Token) -> Result<(), Failure> {
    match token.value.as_deref() {
        Some(b"master" | b"backup") => Ok(()),
        _ if token.id == Id::StartDaemon => {
            Err(Failure::usage("illegal start-daemon parameter specified"))
        }
        // The real program's own words.
        _ => Err(Failure::usage("illegal start_daemon specified")),
    }
}

impl<'a> State<'a> {
    fn new(command: Id, names: &'a dyn Names) -> Self {
        State {
            names,
            command,
            given: Given::default(),
            bitless: Vec::new(),
            protocol: None,
            vip: None,
            fwmark: None,
            pattern: None,
            selector: None,
            family: None,
            mask: Mask::V4(Ipv4Addr::BROADCAST),
            scheduler: String::new(),
            flags: None,
            pe: String::new(),
            persistent: None,
            synproxy: None,
            hash_target: None,
            conn_timeout: None,
            proxy_protocol: None,
            dest_check: None,
            icmp_echo: None,
            server: None,
            forward: None,
            weight: 1,
            upper: 0,
            lower: 0,
            tunnel: TunnelType::Ipip,
            tunnel_port: 0,
            sockpair: None,
            cpu: None,
            laddr: None,
            ifname: String::new(),
            list_entry: None,
            timeouts: TimeoutSpec::default(),
            format: None,
            socket: None,
        }
    }

    fn set(&mut self, column: C) -> Result<(), Failure> {
        if self.given.insert(column) {
            return Ok(());
        }
        let text = format!("multiple '{}' options specified", column_name(column));
        Err(Failure::usage(&text))
    }

    fn option(&mut self, token: &Token) -> Result<(), Failure> {
        if COMMANDS.iter().any(|command| command.id == token.id) {
            return Err(Failure::usage_quoting("invalid option `", &token.word, "'"));
        }
        let column = OPTIONS.iter().find(|opt| opt.id == token.id).and_then(|opt| opt.column);
        if let Some(column) = column {
            self.set(column)?;
        }
        let value = token.value.as_deref().unwrap_or_default();
        match token.id {
            Id::Persistent => self.persistent_option(token.value.as_deref()),
            Id::TcpService => self.service(Protocol::Tcp, value),
            Id::UdpService => self.service(Protocol::Udp, value),
            Id::SctpService => self.service(Protocol::Sctp, value),
            Id::IcmpService => self.icmp_service(Protocol::Icmp, value, true),
            Id::Icmpv6Service => self.icmp_service(Protocol::Icmpv6, value, true),
            Id::FwmarkService => self.fwmark_service(value),
            Id::Ipv6 => self.fwmark_ipv6(),
            Id::Match => self.match_service(value),
            Id::Proto => self.proto(value),
            Id::RealServer => self.real_server(value),
            Id::Laddr => {
                let addr = parse_addr(value, self.protocol, self.names);
                let addr = addr.ok_or_else(|| Failure::usage("illegal local address"))?;
                self.laddr = Some(addr.ip);
                Ok(())
            }
            Id::Socket => {
                self.socket = Some(PathBuf::from(OsString::from_vec(value.to_vec())));
                Ok(())
            }
            id => self.service_option(id, value),
        }
    }

    fn service(&mut self, protocol: Protocol, text: &[u8]) -> Result<(), Failure> {
        self.protocol = Some(protocol);
        let addr = parse_addr(text, self.protocol, self.names);
        let Addr { ip, port } = addr.ok_or_else(|| Failure::usage(BAD_VIP))?;
        self.set_vip(ip, port.unwrap_or(0));
        Ok(())
    }

    fn set_vip(&mut self, ip: IpAddr, port: u16) {
        self.vip = Some((ip, port));
        self.family = Some(if ip.is_ipv4() { Family::Inet } else { Family::Inet6 });
        if ip.is_ipv6() {
            self.mask = Mask::V6(128);
        }
    }

    /// `-q` with an IPv6 address is an `ICMPv6` service: that is how DPVS saves one.
    fn icmp_service(
        &mut self,
        protocol: Protocol,
        text: &[u8],
        any_port: bool,
    ) -> Result<(), Failure> {
        let ip = parse_icmp_addr(text, any_port, self.names);
        let ip = ip.ok_or_else(|| Failure::usage(BAD_VIP))?;
        self.protocol = Some(match (protocol, ip) {
            (Protocol::Icmpv6, IpAddr::V4(_)) => return Err(Failure::usage(BAD_VIP)),
            (_, IpAddr::V4(_)) => Protocol::Icmp,
            (_, IpAddr::V6(_)) => Protocol::Icmpv6,
        });
        self.set_vip(ip, 0);
        Ok(())
    }

    fn fwmark_service(&mut self, text: &[u8]) -> Result<(), Failure> {
        let mark = number_in(text, 1, u32::MAX);
        self.fwmark = Some(mark.ok_or_else(|| {
            Failure::usage_quoting("invalid fwmark value `", text, "' specified")
        })?);
        self.family = Some(Family::Inet);
        Ok(())
    }

    fn fwmark_ipv6(&mut self) -> Result<(), Failure> {
        if self.fwmark.is_none() {
            return Err(Failure::usage("-6 used before -f\n"));
        }
        self.family = Some(Family::Inet6);
        self.mask = Mask::V6(128);
        Ok(())
    }

    fn match_service(&mut self, text: &[u8]) -> Result<(), Failure> {
        let pattern = matchspec::parse_match(text);
        let pattern = pattern.ok_or_else(|| Failure::usage("illegal match specified"))?;
        let family = matchspec::match_family(&pattern);
        self.protocol = pattern.protocol;
        self.family = Some(family);
        if family == Family::Inet6 {
            self.mask = Mask::V6(128);
        }
        self.pattern = Some(pattern);
        Ok(())
    }

    fn proto(&mut self, text: &[u8]) -> Result<(), Failure> {
        let protocol = selector_protocol(text);
        self.select(
            protocol
                .ok_or_else(|| Failure::usage_quoting("invalid protocol `", text, "' specified"))?,
        );
        Ok(())
    }

    fn select(&mut self, protocol: Protocol) {
        self.selector = Some(protocol);
        self.protocol = Some(protocol);
        if protocol == Protocol::Icmpv6 {
            self.family = Some(Family::Inet6);
            self.mask = Mask::V6(128);
        }
    }

    /// `-p` with a protocol's name chooses an ICMP service, otherwise it is persistence.
    fn persistent_option(&mut self, value: Option<&[u8]>) -> Result<(), Failure> {
        if let Some(protocol) = value.and_then(selector_protocol) {
            self.set(C::ServiceAddress)?;
            self.select(protocol);
            return Ok(());
        }
        self.set(C::Persistent)?;
        self.persistent = Some(match value {
            None => PERSISTENT_SECS_DEFAULT,
            Some(text) => timeout(text, 1)?,
        });
        Ok(())
    }

    fn take_positionals(
        &mut self,
        words: &mut impl Iterator<Item = Vec<u8>>,
    ) -> Result<(), Failure> {
        if let Some(protocol) = self.selector {
            let Some(text) = words.next() else {
                let name = legality::command_name(self.command);
                let text = format!(
                    "You need to supply the 'service-address' option for the '{name}' command"
                );
                return Err(Failure::usage(&text));
            };
            self.icmp_address(protocol, &text)?;
        }
        if self.command == Id::Set {
            let mut next = || {
                let word = words.next();
                let missing = || Failure::usage("--set option requires 3 timeout values");
                timeout(&word.ok_or_else(missing)?, 0).map(Some)
            };
            self.timeouts =
                TimeoutSpec { tcp: next()?, tcp_fin: next()?, udp: next()?, icmp: None };
        }
        Ok(())
    }

    /// Takes the address of `-p PROTO`. A mask that was given before it stays.
    fn icmp_address(&mut self, protocol: Protocol, text: &[u8]) -> Result<(), Failure> {
        let mask = self.mask;
        self.icmp_service(protocol, text, false)?;
        if matches!((mask, self.mask), (Mask::V6(_), Mask::V6(_))) {
            self.mask = mask;
        }
        Ok(())
    }

    fn real_server(&mut self, text: &[u8]) -> Result<(), Failure> {
        let addr = parse_addr(text, self.protocol, self.names);
        let Addr { ip, port } = addr.ok_or_else(|| Failure::usage(BAD_SERVER))?;
        // The service's port, if the service stood further left.
        let default = self.vip.map_or(0, |(_, port)| port);
        self.server = Some((ip, port.unwrap_or(default)));
        Ok(())
    }
}

/// Reads the protocol words of `-p`.
fn selector_protocol(text: &[u8]) -> Option<Protocol> {
    match text.to_ascii_lowercase().as_slice() {
        b"icmp" => Some(Protocol::Icmp),
        b"icmpv6" | b"icmp6" | b"ipv6-icmp" => Some(Protocol::Icmpv6),
        _ => None,
    }
}

fn timeout(text: &[u8], min: u32) -> Result<u32, Failure> {
    let bad = || Failure::usage_quoting("invalid timeout value `", text, "' specified");
    number_in(text, min, TIMEOUT_SECS_MAX).ok_or_else(bad)
}
