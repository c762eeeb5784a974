// SPDX-License-Identifier: MIT OR Apache-2.0
//! `icmp show`, `icmp servers` and `icmp decisions`.

use dpvs_api::types::{
    Endpoint, IcmpDecision, IcmpErrors, IcmpQuote, IcmpServer, IcmpStatus, Match, Protocol,
    ServiceKey,
};
use std::fmt::{Display, Write as _};
use std::net::SocketAddr;

/// Writes counters, drops, messages and settings, one a line under a title each.
///
/// # Errors
/// None for what the API can say: its settings are an object.
pub fn icmp_status(status: &IcmpStatus) -> serde_json::Result<String> {
    let mut text = String::new();
    section(&mut text, "counters", status.counters.iter());
    section(&mut text, "drops", status.drops.iter());
    let messages = &status.messages;
    section(&mut text, "received", messages.received.iter());
    section(&mut text, "relayed in", messages.relayed_in.iter());
    section(&mut text, "relayed out", messages.relayed_out.iter());
    section(&mut text, "made", messages.made.iter());
    let settings = serde_json::to_value(&status.settings)?;
    let rows = settings.as_object().into_iter().flatten();
    section(&mut text, "settings", rows.map(|(key, value)| (key, plain(value))));
    Ok(text)
}

/// The text of a value: words have no quotes here, and lists no brackets.
fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(word) => word.clone(),
        serde_json::Value::Array(list) if list.is_empty() => "none".to_owned(),
        serde_json::Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn section<'a>(
    text: &mut String,
    title: &str,
    rows: impl Iterator<Item = (&'a String, impl Display)>,
) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{title}:");
    for (name, value) in rows {
        let _ = writeln!(text, "    {name:<32} {value}");
    }
}

/// Writes a real server that errors were about in one line.
pub fn icmp_server(server: &IcmpServer) -> String {
    let IcmpErrors { unreachable, time_exceeded, too_big } = server.icmp;
    let service = match &server.service {
        ServiceKey::Address { protocol, address, port } => {
            format!("{} {}", word(*protocol), SocketAddr::new(*address, *port))
        }
        ServiceKey::FwMark { fwmark, .. } => format!("fwmark {fwmark}"),
        ServiceKey::Match { pattern } => {
            let Match { protocol, src_range, dst_range, iif, oif, .. } = pattern;
            let given = [
                ("", protocol.map(|protocol| word(protocol).to_owned())),
                ("from ", src_range.clone()),
                ("to ", dst_range.clone()),
                ("iif ", iif.clone()),
                ("oif ", oif.clone()),
            ];
            let words =
                given.into_iter().filter_map(|(what, text)| Some(format!(" {what}{}", text?)));
            format!("match{}", words.collect::<String>())
        }
    };
    format!(
        "{service} -> {} unreachable {unreachable} time-exceeded {time_exceeded} too-big {too_big}\n",
        SocketAddr::new(server.address, server.port),
    )
}

/// Writes a decision in one line.
pub fn icmp_decision(decision: &IcmpDecision) -> String {
    let IcmpDecision { age_ms, worker, device, src, dst, icmp_type, code, outcome, .. } = decision;
    let quote = decision.quote.as_ref().map_or_else(|| "unread".to_owned(), quote);
    let to = decision.steered_to.map(|worker| format!(" to {worker}")).unwrap_or_default();
    format!(
        "{}.{:03}s ago worker {worker} dev {device} icmp {icmp_type}/{code} {src} -> {dst} \
         quote {quote} outcome {outcome}{to}\n",
        age_ms / 1000,
        age_ms % 1000,
    )
}

fn quote(quote: &IcmpQuote) -> String {
    let IcmpQuote { protocol, src, dst } = quote;
    let word = word(*protocol);
    if matches!(protocol, Protocol::Icmp | Protocol::Icmpv6) {
        return format!("{word} {} -> {} id {}", src.address, dst.address, src.port);
    }
    let end = |end: &Endpoint| SocketAddr::new(end.address, end.port);
    format!("{word} {} -> {}", end(src), end(dst))
}

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
        Protocol::Icmp => "icmp",
        Protocol::Icmpv6 => "icmpv6",
    }
}
