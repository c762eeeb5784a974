// SPDX-License-Identifier: MIT OR Apache-2.0
//! `icmp.*`: what is done with ICMP, and why.

use super::conns::worker_range;
use super::convert::{device_name, wire_endpoint, wire_protocol};
use super::keys::wire_key;
use super::services::page_limit;
use super::system;
use crate::control::Control;
use dpvs_api::RpcError;
use dpvs_api::types as wire;
use dpvs_api::types::{
    Endpoint, IcmpDecision, IcmpDecisions, IcmpDecisionsParams, IcmpQuote, IcmpServer, IcmpServers,
    IcmpServersParams, IcmpSettings, IcmpStatus,
};
use dpvs_core::conn::Direction;
use dpvs_core::counters::IcmpErrors;
use dpvs_core::icmp::recorder::{DECISIONS_MAX, Decision, Outcome};
use dpvs_core::key::Key;
use dpvs_core::net::{Family, Prefix};
use dpvs_core::tables::{Check, Dest, ErrorSource, IcmpPolicy, Service, Tables};
use dpvs_core::{Command, Event, Millis};
use std::sync::Arc;

/// Most rows of a listing: it is one line of the protocol.
const LISTED_MAX: u32 = 2048;
/// Rows of a listing unless told otherwise.
const LISTED: u32 = 256;

/// Returns counters and settings.
pub(super) fn status(control: &Control) -> IcmpStatus {
    let is_icmp = |name: &str| name.starts_with("icmp_");
    let mut counters = system::stats(control).counters;
    counters.retain(|name, _| is_icmp(name));
    let queries = control.workers().map(|worker| u64::from(worker.counters.icmp_queries.get()));
    counters.insert("icmp_query_sessions".to_owned(), queries.sum());
    let drops = system::drops(control).drops.into_iter().filter(|drop| is_icmp(&drop.reason));
    IcmpStatus {
        counters,
        drops: drops.map(|drop| (drop.reason, drop.count)).collect(),
        messages: messages(control),
        settings: settings(control.tables()),
    }
}

/// Returns the messages of all workers by type.
fn messages(control: &Control) -> wire::IcmpMessages {
    let name = |family| match family {
        Family::V4 => "icmp",
        Family::V6 => "icmpv6",
    };
    let mut sum = wire::IcmpMessages::default();
    for worker in control.workers() {
        let of = &worker.counters.icmp_messages;
        for (sum, by_type) in [
            (&mut sum.received, &of.received),
            (&mut sum.relayed_in, &of.relayed_in),
            (&mut sum.relayed_out, &of.relayed_out),
        ] {
            for (family, icmp_type, count) in by_type.counted() {
                let icmp_type = icmp_type.map_or("other".to_owned(), |t| t.to_string());
                *sum.entry(format!("{} {icmp_type}", name(family))).or_default() += count;
            }
        }
        for (family, (icmp_type, code), count) in of.made.counted() {
            let name = format!("{} {icmp_type}/{code}", name(family));
            *sum.made.entry(name).or_default() += count;
        }
    }
    sum
}

/// Writes the policy with the keys and words of the configuration.
fn settings(tables: &Tables) -> IcmpSettings {
    let policy: &IcmpPolicy = &tables.limits.icmp;
    let network = |prefix: &Prefix| format!("{}/{}", prefix.address(), prefix.len());
    let check = |check| match check {
        Check::Off => "off",
        Check::Count => "count",
        Check::Drop => "drop",
    };
    let source = |source| match source {
        ErrorSource::Peer => "peer",
        ErrorSource::Own => "own",
        ErrorSource::Keep => "keep",
    };
    let quench = if policy.relays_source_quench { "relay" } else { "drop" };
    let extensions = if policy.strips_extensions { "strip" } else { "keep" };
    IcmpSettings {
        relayed_per_s: policy.relayed_per_s,
        relayed_per_vip_per_s: policy.relayed_per_virtual_per_s,
        mtu_gap_ms: policy.mtu_gap_ms,
        made_per_s: policy.made_per_s,
        made_per_destination_per_s: policy.made_per_destination_per_s,
        prohibited_per_s: policy.prohibited_per_s,
        echo_per_s: policy.echo_per_s,
        echo_per_source_per_s: policy.echo_per_source_per_s,
        echo_allow: policy.echo_admitted.iter().map(network).collect(),
        pool_echo: policy.answers_pool_echo,
        queries_per_client: policy.queries_per_client,
        source_quench: quench.to_owned(),
        source_to_clients: source(policy.source_to_clients).to_owned(),
        source_to_servers: source(policy.source_to_servers).to_owned(),
        sequence_check: check(policy.sequence).to_owned(),
        quoted_checksum: check(policy.quoted_checksum).to_owned(),
        extensions: extensions.to_owned(),
        expire_unreachable_udp: policy.expires_unreachable_udp,
        reschedule_unreachable_syn: policy.reschedules_unreachable_syn,
        tell_unreachable: policy.tells_unreachable,
        tell_denied: policy.tells_denied,
        tell_exhausted: policy.tells_exhausted,
        silent_ports: policy.silent_ports.iter().map(|port| device_name(tables, *port)).collect(),
    }
}

/// Returns ICMP errors about packets to a server as the API has them.
pub(super) fn errors(errors: IcmpErrors) -> wire::IcmpErrors {
    let IcmpErrors { unreachable, time_exceeded, too_big } = errors;
    wire::IcmpErrors { unreachable, time_exceeded, too_big }
}

/// Lists the servers that ICMP errors were about, those with most of them first.
pub(super) fn servers(
    control: &Control,
    params: IcmpServersParams,
) -> Result<IcmpServers, RpcError> {
    let limit = page_limit(params.limit.or(Some(LISTED)), LISTED_MAX)?;
    let tables = control.tables();
    let all = tables.services().flat_map(|service| service.dests.iter().map(move |d| (service, d)));
    let counted = all.map(|(service, dest)| (service, dest, dest.shared.icmp_errors()));
    let mut rows: Vec<_> = counted.filter(|(_, _, errors)| errors.total() > 0).collect();
    rows.sort_by_key(|(_, _, errors)| std::cmp::Reverse(errors.total()));
    rows.truncate(limit);
    let show = |(service, dest, counts): (&Arc<Service>, &Dest, IcmpErrors)| IcmpServer {
        service: wire_key(tables, &service.key),
        address: dest.endpoint.address.ip(),
        port: dest.endpoint.port,
        icmp: errors(counts),
    };
    Ok(IcmpServers { servers: rows.into_iter().map(show).collect() })
}

/// Lists what became of the last ICMP errors, newest last.
pub(super) fn decisions(
    control: &mut Control,
    params: &IcmpDecisionsParams,
) -> Result<IcmpDecisions, RpcError> {
    let limit = page_limit(params.limit.or(Some(LISTED)), LISTED_MAX)?;
    let wanted = worker_range(params.worker, control.workers().len())?;
    let lists = control.ask_all(|| Command::Decisions(Vec::with_capacity(DECISIONS_MAX)))?;
    let (now, tables) = (control.now(), control.tables());
    let mut all: Vec<(Millis, IcmpDecision)> = Vec::new();
    for (worker, event) in lists.into_iter().enumerate() {
        let Event::Decisions(list) = event else { continue };
        if wanted.contains(&worker) {
            let show = |decision: &Decision| (decision.at, show(tables, now, worker, decision));
            all.extend(list.iter().map(show));
        }
    }
    // Of one moment, each worker's own order stays.
    all.sort_by_key(|row| row.0);
    let surplus = all.len().saturating_sub(limit);
    Ok(IcmpDecisions { decisions: all.into_iter().skip(surplus).map(|row| row.1).collect() })
}

fn show(tables: &Tables, now: Millis, worker: usize, decision: &Decision) -> IcmpDecision {
    let steered_to = match decision.outcome {
        Outcome::Steered(worker) => Some(u32::from(worker.0)),
        _ => None,
    };
    IcmpDecision {
        age_ms: now.since(decision.at),
        worker: u32::try_from(worker).unwrap_or(u32::MAX),
        device: device_name(tables, decision.port),
        src: decision.src.ip(),
        dst: decision.dst.ip(),
        icmp_type: decision.icmp_type,
        code: decision.code,
        quote: decision.quote.as_ref().map(quote),
        outcome: word(decision.outcome).to_owned(),
        steered_to,
    }
}

fn quote(key: &Key) -> IcmpQuote {
    let dst = wire_endpoint(key.destination());
    // Of a query that is its type.
    let port = if key.protocol.is_icmp() { 0 } else { dst.port };
    IcmpQuote {
        protocol: wire_protocol(key.protocol),
        src: wire_endpoint(key.source()),
        dst: Endpoint { port, ..dst },
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Relayed(Direction::Inbound) => "relayed-in",
        Outcome::Relayed(Direction::Outbound) => "relayed-out",
        Outcome::Steered(_) => "steered",
        Outcome::Host => "host",
        Outcome::Used => "used",
        Outcome::Dropped(reason) => reason.name(),
    }
}
