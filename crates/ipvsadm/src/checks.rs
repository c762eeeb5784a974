// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is checked once all options are known, and the action that comes of them.

use crate::invocation::{AccessList, Action, ConnListing, Invocation, ServiceListing, View};
use crate::legality::{check, check_tunnel, command_name};
use crate::listopts::ListEntry;
use crate::options::{Column as C, Id, OPTIONS};
use crate::parse::{Mask, State};
use crate::schedflags::parse_flags;
use crate::{Failure, options::Given};
use dpvs_api::types::{
    AccessSpec, DestRef, DestSpec, Family, Forward, LaddrSpec, Protocol, ServiceKey,
    ServiceSelector, ServiceSpec, Tunnel, TunnelChecksum, TunnelType,
};
use std::net::IpAddr;

const SCHEDULER_DEFAULT: &str = "wlc";
const TUNNEL_COLUMNS: &[C] = &[C::TunType, C::TunPort, C::TunNocsum, C::TunCsum, C::TunRemcsum];
const NO_SETS: &str =
    "Sets of clients are not supported: dpvs knows no ipsets, so give each client's address";
const NO_SYNC: &str = "Connection synchronization is not supported";

/// Checks the whole and says what to do.
pub(crate) fn finish(mut state: State<'_>) -> Result<Invocation, Failure> {
    if state.scheduler.is_empty() {
        SCHEDULER_DEFAULT.clone_into(&mut state.scheduler);
    }
    let flags = match &state.flags {
        Some(list) => parse_flags(list, &state.scheduler)?,
        None => Vec::new(),
    };
    check(state.command, state.given)?;
    let mut warnings = ignored_options(&state);
    let action = match state.command {
        Id::AddService | Id::EditService => service_action(&state, flags)?,
        Id::AddServer | Id::EditServer => server_action(&state)?,
        Id::List => list_action(&state, &mut warnings)?,
        Id::DeleteService => Action::DeleteService(service_key(&state)?),
        Id::DeleteServer => {
            let (service, address, port) = server_key(&state)?;
            Action::DeleteServer(DestRef { service, address, port })
        }
        Id::AddLaddr => Action::AddLaddr(laddr_spec(&state)?),
        Id::DelLaddr => Action::DelLaddr(laddr_spec(&state)?),
        Id::Flush => Action::Flush,
        Id::Set => Action::SetTimeouts(state.timeouts),
        Id::Zero => Action::Zero(selector(&state)?),
        Id::GetLaddr => {
            warn_of_cpu(&state, &mut warnings);
            Action::ListLaddrs(selector(&state)?)
        }
        Id::Save => Action::Save { numeric: state.given.has(C::Numeric) },
        Id::Restore => Action::Restore { atomic: state.given.has(C::Atomic) },
        Id::StartDaemon | Id::StopDaemon => Action::Refuse(NO_SYNC),
        Id::AddBlklst | Id::DelBlklst | Id::GetBlklst => list_change(&state, AccessList::Black)?,
        // What is left are the commands for white lists.
        _ => list_change(&state, AccessList::White)?,
    };
    Ok(Invocation { action, socket: state.socket, format: state.format, warnings })
}

/// The options without a column are never illegal: scripts may rely on them being ignored.
fn ignored_options(state: &State<'_>) -> Vec<String> {
    if matches!(state.command, Id::AddService | Id::EditService) {
        return Vec::new();
    }
    let mut warnings: Vec<String> = Vec::new();
    for &id in &state.bitless {
        let long = OPTIONS.iter().find(|opt| opt.id == id).map_or("", |opt| opt.long);
        let name = command_name(state.command);
        let text = format!("warning: '{long}' has no effect with the '{name}' command");
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }
    warnings
}

fn warn_of_cpu(state: &State<'_>, warnings: &mut Vec<String>) {
    if state.cpu.is_some_and(|cpu| cpu != 0) {
        warnings.push("warning: 'cpu' has an effect with 'connection' only".to_owned());
    }
}

fn service_key(state: &State<'_>) -> Result<ServiceKey, Failure> {
    if let Some(fwmark) = state.fwmark {
        return Ok(ServiceKey::FwMark { fwmark, family: state.family.unwrap_or(Family::Inet) });
    }
    if let Some(pattern) = &state.pattern {
        return Ok(ServiceKey::Match { pattern: pattern.clone() });
    }
    if let (Some(protocol), Some((address, port))) = (state.protocol, state.vip) {
        return Ok(ServiceKey::Address { protocol, address, port });
    }
    let name = command_name(state.command);
    let text = format!("You need to supply the 'service-address' option for the '{name}' command");
    Err(Failure::usage(&text))
}

fn selector(state: &State<'_>) -> Result<ServiceSelector, Failure> {
    let chosen = state.given.has(C::ServiceAddress);
    let service = if chosen { Some(service_key(state)?) } else { None };
    Ok(ServiceSelector { service })
}

fn is_icmp(state: &State<'_>) -> bool {
    state.vip.is_some() && matches!(state.protocol, Some(Protocol::Icmp | Protocol::Icmpv6))
}

fn service_action(state: &State<'_>, flags: Vec<String>) -> Result<Action, Failure> {
    let port = state.vip.map_or(0, |(_, port)| port);
    let needs_port = state.vip.is_some() && !is_icmp(state);
    if needs_port && port == 0 && state.persistent.is_none() {
        return Err(Failure::usage("Zero port specified for non-persistent service"));
    }
    let ops = state.given.has(C::Ops);
    if ops && state.fwmark.is_none() && state.protocol != Some(Protocol::Udp) {
        return Err(Failure::usage("One-Packet Scheduling is only for UDP virtual services"));
    }
    // Stock takes a mask without persistence, and nothing comes of it.
    let (netmask, prefix_len) = match (state.persistent, state.mask) {
        (None, _) => (None, None),
        (Some(_), Mask::V4(netmask)) => (Some(netmask), None),
        (Some(_), Mask::V6(length)) => (None, Some(length)),
    };
    let add = state.command == Id::AddService;
    let conhash = state.scheduler.starts_with("conhash");
    // DPVS makes the source address the default target when it makes the service.
    let hash_target = state.hash_target.clone().or_else(|| (add && conhash).then(|| "sip".into()));
    let spec = ServiceSpec {
        service: service_key(state)?,
        scheduler: Some(state.scheduler.clone()),
        scheduler_flags: Some(flags),
        persistent: Some(state.persistent.unwrap_or(0)),
        netmask,
        prefix_len,
        persistence_engine: Some(state.pe.clone()),
        one_packet: Some(ops),
        // These only DPVS has: what is not given keeps its value.
        synproxy: state.synproxy,
        expire_quiescent: state.given.has(C::ExpireQuiescent).then_some(true),
        quic: state.bitless.contains(&Id::Quic).then_some(true),
        conn_timeout: state.conn_timeout,
        proxy_protocol: state.proxy_protocol.clone(),
        hash_target,
        dest_check: state.dest_check.as_ref().map(|check| check.parts().join(",")),
        icmp_echo: state.icmp_echo,
    };
    let spec = Box::new(spec);
    Ok(if add { Action::AddService(spec) } else { Action::EditService(spec) })
}

/// Names the real server. Those of ICMP services have no port.
fn server_key(state: &State<'_>) -> Result<(ServiceKey, IpAddr, u16), Failure> {
    let (address, port) = state
        .server
        .ok_or_else(|| Failure::usage("illegal real server address[:port] specified"))?;
    Ok((service_key(state)?, address, if is_icmp(state) { 0 } else { port }))
}

fn server_action(state: &State<'_>) -> Result<Action, Failure> {
    let (service, address, mut port) = server_key(state)?;
    let forward = state.forward.unwrap_or(Forward::Direct);
    let family = if address.is_ipv4() { Family::Inet } else { Family::Inet6 };
    // Full NAT translates between the families too.
    let mixes = matches!(forward, Forward::Tunnel | Forward::FullNat);
    if state.family != Some(family) && !mixes {
        return Err(Failure::usage(
            "Different address family is allowed only for tunneling servers",
        ));
    }
    let tunnel = tunnel(state, forward)?;
    // These methods leave the port alone, so the server's is the service's.
    if let (Forward::Direct | Forward::Tunnel, Some((_, service_port))) = (forward, state.vip) {
        port = service_port;
    }
    let spec = DestSpec {
        service,
        address,
        port,
        forward: Some(forward),
        weight: Some(state.weight),
        upper_threshold: Some(state.upper),
        lower_threshold: Some(state.lower),
        tunnel,
    };
    let add = state.command == Id::AddServer;
    Ok(if add { Action::AddServer(spec) } else { Action::EditServer(spec) })
}

fn tunnel(state: &State<'_>, forward: Forward) -> Result<Option<Tunnel>, Failure> {
    if forward != Forward::Tunnel {
        if state.given.has_any(TUNNEL_COLUMNS) {
            return Err(Failure::usage("Tunnel options conflict with forward method"));
        }
        return Ok(None);
    }
    let kind = match state.tunnel {
        TunnelType::Ipip => "ipip",
        TunnelType::Gue => "gue",
        TunnelType::Gre => "gre",
    };
    check_tunnel(kind, state.given)?;
    let checksum = if state.given.has(C::TunRemcsum) {
        TunnelChecksum::Remote
    } else if state.given.has(C::TunCsum) {
        TunnelChecksum::Checksum
    } else {
        TunnelChecksum::None
    };
    Ok(Some(Tunnel { kind: state.tunnel, port: state.tunnel_port, checksum }))
}

fn laddr_spec(state: &State<'_>) -> Result<LaddrSpec, Failure> {
    let address = state.laddr.ok_or_else(|| Failure::usage("illegal local address"))?;
    Ok(LaddrSpec { service: service_key(state)?, address, device: state.ifname.clone() })
}

fn list_change(state: &State<'_>, list: AccessList) -> Result<Action, Failure> {
    let is_addition = match state.command {
        Id::GetBlklst | Id::GetWhtlst => return Ok(Action::ListClients(list, selector(state)?)),
        command => matches!(command, Id::AddBlklst | Id::AddWhtlst),
    };
    let Some(ListEntry::Client(address)) = state.list_entry else {
        return Ok(Action::Refuse(NO_SETS));
    };
    let spec = AccessSpec { service: service_key(state)?, address };
    Ok(if is_addition { Action::AddClient(list, spec) } else { Action::DelClient(list, spec) })
}

fn list_action(state: &State<'_>, warnings: &mut Vec<String>) -> Result<Action, Failure> {
    let given = state.given;
    let counters = given.has_any(&[C::Stats, C::Rate, C::Thresholds]);
    let others = given.has_any(&[C::Timeout, C::Daemon]);
    if (counters && (others || given.has(C::Connection)))
        || (others && given.has(C::PersistentConn))
    {
        return Err(Failure::usage("options conflicts in the list command"));
    }
    let numeric = given.has(C::Numeric);
    if given.has(C::Connection) || state.sockpair.is_some() {
        return Ok(Action::ListConnections(ConnListing {
            sockpair: state.sockpair,
            numeric,
            persistent: given.has(C::PersistentConn),
            cpu: state.cpu,
        }));
    }
    warn_of_cpu(state, warnings);
    if given.has(C::Timeout) {
        return Ok(Action::ListTimeouts);
    }
    if given.has(C::Daemon) {
        return Ok(Action::ListDaemons);
    }
    Ok(Action::ListServices(ServiceListing {
        service: selector(state)?.service,
        view: view(given),
        numeric,
        exact: given.has(C::Exact),
        nosort: given.has(C::Nosort),
        cpu: state.cpu,
    }))
}

/// Of several views the first of this order is shown.
fn view(given: Given) -> View {
    let order = [
        (C::Stats, View::Stats),
        (C::Rate, View::Rate),
        (C::Thresholds, View::Thresholds),
        (C::PersistentConn, View::PersistentConn),
        (C::TunInfo, View::TunInfo),
    ];
    order.iter().find(|row| given.has(row.0)).map_or(View::Default, |row| row.1)
}
