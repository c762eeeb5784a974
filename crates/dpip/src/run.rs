// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carries out a request: asks the daemon, prints the answer.

use crate::cli::{Outcome, Parsed, parse_on_top};
use crate::daemon::Daemon;
use crate::options::Options;
use crate::render;
use crate::request::Request;
use crate::stop::{NO_DEVICE, NOT_EXIST, client_error_text};
use crate::value::family_of;
use crate::{batch, config, watch};
use dpvs_api::types::{AddrList, AddrSpec, DeviceFilter, Empty, Family, LinkList, RouteSpec};
use dpvs_api::{ClientError, method};
use std::ffi::OsString;
use std::io::{self, Write};

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Standard output cannot be written.
    #[error("write error: {0}")]
    Write(#[from] io::Error),
    /// The daemon refused, or cannot be asked.
    #[error("{}", client_error_text(.0))]
    Daemon(#[from] ClientError),
    /// What the daemon's answer means for this command.
    #[error("{0}")]
    Text(&'static str),
    /// A file cannot be read, or is not what it should be.
    #[error("{0}")]
    File(String),
    /// The same with a line before it.
    #[error("{text}")]
    Noted { note: String, text: String },
}

/// Carries out a command line, the program's name first; returns the exit code.
pub fn run(
    argv: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let parsed = parse_on_top(&Options::default(), argv.into_iter().collect());
    match carry_out(parsed, &mut Daemon::default(), out, err) {
        Ok(code) => code,
        Err(error) => output_failed(&error, err),
    }
}

/// Prints and does what a command line came to.
///
/// # Errors
/// Only if standard output cannot be written; everything else is printed and in the exit code.
pub(crate) fn carry_out(
    parsed: Parsed,
    daemon: &mut Daemon,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    // Where standard error cannot be written there is nobody left to tell.
    let _ = err.write_all(parsed.stderr.as_bytes());
    out.write_all(parsed.stdout.as_bytes())?;
    let code = match parsed.outcome {
        Outcome::Exit(code) => code,
        Outcome::Batch(options, path) => {
            return Ok(batch::run(&options, &path, daemon, out, err));
        }
        Outcome::Run(options, request) => {
            daemon.use_socket(options.socket.as_deref());
            match execute(&options, &request, daemon, out) {
                Ok(()) => 0,
                Err(Fault::Write(error)) => return Err(error),
                Err(fault) => {
                    report(&fault, options.verbose, err);
                    1
                }
            }
        }
    };
    out.flush()?;
    Ok(code)
}

/// A reader that went away, as `head` does, is no error of ours.
fn output_failed(error: &io::Error, err: &mut dyn Write) -> u8 {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return 0;
    }
    let _ = writeln!(err, "dpip: write error: {error}");
    1
}

fn report(fault: &Fault, is_verbose: bool, err: &mut dyn Write) {
    let mut text = String::new();
    if let Fault::Noted { note, .. } = fault {
        text = format!("{note}\n");
    }
    // The daemon's own sentence names the field; scripts that look for the text alone never see it.
    if let (Fault::Daemon(ClientError::Refused(error)), true) = (fault, is_verbose) {
        text = format!("dpvs: {error}\n");
    }
    let _ = err.write_all(format!("{text}dpip: {fault}\n").as_bytes());
}

fn execute(
    options: &Options,
    request: &Request,
    daemon: &mut Daemon,
    out: &mut dyn Write,
) -> Result<(), Fault> {
    // A change is made even if nobody reads how it was understood.
    let printed = print_parsed_route(options, request, out);
    let text = match request {
        Request::AddrShow(filter) => addr_show(options, daemon, filter)?,
        Request::RouteShow(filter) => {
            let list = daemon.call::<method::RouteList>(filter)?;
            if options.json {
                json(&list)?
            } else {
                list.routes.iter().map(render::route).collect()
            }
        }
        Request::NeighShow(filter) => {
            let list = daemon.call::<method::NeighList>(filter)?;
            if options.json {
                json(&list)?
            } else {
                list.neighs.iter().map(render::neigh).collect()
            }
        }
        Request::LinkShow(name) if options.stats && options.interval.is_some() => {
            return watch::links(options, name.as_deref(), daemon, out);
        }
        Request::LinkShow(name) => {
            let list = links(daemon, name.as_deref())?;
            if options.json { json(&list)? } else { link_show(options, &list) }
        }
        Request::EchoShow(family) => echo_show(options, daemon, *family)?,
        Request::IcmpShow => {
            let status = daemon.call::<method::IcmpGet>(&Empty {})?;
            if options.json {
                json(&status)?
            } else {
                render::icmp_status(&status).map_err(io::Error::from)?
            }
        }
        Request::IcmpServers(params) => {
            let list = daemon.call::<method::IcmpServers>(params)?;
            if options.json {
                json(&list)?
            } else {
                list.servers.iter().map(render::icmp_server).collect()
            }
        }
        Request::IcmpDecisions(params) => {
            let list = daemon.call::<method::IcmpDecisions>(params)?;
            if options.json {
                json(&list)?
            } else {
                list.decisions.iter().map(render::icmp_decision).collect()
            }
        }
        Request::ConfigShow => config::show(options, daemon)?,
        Request::ConfigApply { path, dry_run } => config::apply(options, daemon, path, *dry_run)?,
        write => {
            change(daemon, write)?;
            String::new()
        }
    };
    printed?;
    out.write_all(text.as_bytes())?;
    Ok(())
}

fn change(daemon: &mut Daemon, request: &Request) -> Result<(), Fault> {
    match request {
        Request::AddrAdd(spec) => daemon.call::<method::AddrAdd>(spec)?,
        Request::AddrReplace(spec) => daemon.call::<method::AddrReplace>(spec)?,
        Request::AddrSet(spec) => {
            require_addr(daemon, spec)?;
            daemon.call::<method::AddrReplace>(spec)?
        }
        Request::AddrDel(name) => daemon.call::<method::AddrDel>(name)?,
        Request::AddrFlush(filter) => return daemon.flush_addrs(filter).map_err(Fault::Daemon),
        Request::RouteAdd(spec) => daemon.call::<method::RouteAdd>(spec)?,
        Request::RouteReplace(spec) => daemon.call::<method::RouteReplace>(spec)?,
        Request::RouteSet(spec) => {
            require_route(daemon, spec)?;
            daemon.call::<method::RouteReplace>(spec)?
        }
        Request::RouteDel(spec) => daemon.call::<method::RouteDel>(spec)?,
        Request::RouteFlush(device) => daemon.call::<method::RouteFlush>(device)?,
        Request::NeighAdd(spec) => daemon.call::<method::NeighAdd>(spec)?,
        Request::NeighReplace(spec) => daemon.call::<method::NeighReplace>(spec)?,
        Request::NeighDel(name) => daemon.call::<method::NeighDel>(name)?,
        Request::LinkSet(spec) => daemon.call::<method::LinkSet>(spec)?,
        Request::EchoSet(spec) => daemon.call::<method::EchoSet>(spec)?,
        Request::EchoDel(echo) => daemon.call::<method::EchoDel>(echo)?,
        Request::AddrShow(_)
        | Request::RouteShow(_)
        | Request::NeighShow(_)
        | Request::LinkShow(_)
        | Request::EchoShow(_)
        | Request::IcmpShow
        | Request::IcmpServers(_)
        | Request::IcmpDecisions(_)
        | Request::ConfigShow
        | Request::ConfigApply { .. } => unreachable!("execute() answers what only reads"),
    };
    Ok(())
}

/// `set` is for what stands: a misspelt address must not become a new one.
fn require_addr(daemon: &mut Daemon, spec: &AddrSpec) -> Result<(), Fault> {
    let filter = DeviceFilter { device: Some(spec.device.clone()), family: None };
    let AddrList { addrs, .. } = daemon.call::<method::AddrList>(&filter)?;
    let stands = |info: &AddrSpec| {
        info.address == spec.address && (info.prefix_len == spec.prefix_len || info.prefix_len == 0)
    };
    if addrs.iter().any(|info| stands(&info.addr)) { Ok(()) } else { Err(Fault::Text(NOT_EXIST)) }
}

fn require_route(daemon: &mut Daemon, spec: &RouteSpec) -> Result<(), Fault> {
    let routes = daemon.call::<method::RouteList>(&DeviceFilter::default())?.routes;
    let stands = |route: &RouteSpec| {
        route.destination == spec.destination && route.prefix_len == spec.prefix_len
    };
    if routes.iter().any(stands) { Ok(()) } else { Err(Fault::Text(NOT_EXIST)) }
}

/// With `-v` a change of a route is repeated as it was understood.
fn print_parsed_route(
    options: &Options,
    request: &Request,
    out: &mut dyn Write,
) -> Result<(), Fault> {
    match request {
        Request::RouteAdd(spec)
        | Request::RouteReplace(spec)
        | Request::RouteSet(spec)
        | Request::RouteDel(spec)
            if options.verbose =>
        {
            out.write_all(render::route(spec).as_bytes())?;
        }
        _ => {}
    }
    Ok(())
}

fn addr_show(
    options: &Options,
    daemon: &mut Daemon,
    filter: &DeviceFilter,
) -> Result<String, Fault> {
    let list = daemon.call::<method::AddrList>(filter)?;
    if options.json {
        return json(&list);
    }
    let with_pool = options.stats || options.verbose;
    let lines = list.addrs.iter().map(|info| render::addr(info, options.verbose, with_pool));
    Ok(lines.collect())
}

fn echo_show(
    options: &Options,
    daemon: &mut Daemon,
    family: Option<Family>,
) -> Result<String, Fault> {
    let mut list = daemon.call::<method::EchoList>(&Empty {})?;
    list.echoes.retain(|info| family.is_none_or(|family| family_of(info.address) == family));
    if options.json {
        return json(&list);
    }
    Ok(list.echoes.iter().map(render::echo).collect())
}

fn link_show(options: &Options, list: &LinkList) -> String {
    let mut text = String::new();
    for info in &list.links {
        text.push_str(&render::link(info));
        if options.stats {
            text.push_str(&render::link_stats(info));
        }
        if options.verbose {
            text.push_str(&render::link_detail(info));
        }
    }
    text
}

/// Lists one port, or all.
pub(crate) fn links(daemon: &mut Daemon, name: Option<&str>) -> Result<LinkList, Fault> {
    let filter = DeviceFilter { device: name.map(str::to_owned), family: None };
    let text = match daemon.call::<method::LinkList>(&filter) {
        Ok(list) if name.is_some() && list.links.is_empty() => NO_DEVICE.to_owned(),
        Ok(list) => return Ok(list),
        Err(error @ ClientError::Refused(_)) => client_error_text(&error),
        Err(error) => return Err(Fault::Daemon(error)),
    };
    let note = match name {
        Some(name) => format!("Fail to get information for {name}"),
        None => format!("Fail to get configured NIC list: {text}."),
    };
    Err(Fault::Noted { note, text })
}

/// Writes a reply as one line of JSON, as the API has it.
pub(crate) fn json<T: serde::Serialize>(reply: &T) -> Result<String, Fault> {
    let text = serde_json::to_string(reply).map_err(io::Error::from)?;
    Ok(text + "\n")
}
