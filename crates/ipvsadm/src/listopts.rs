// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values with a syntax of their own: health checks, socket pairs, list entries.

use crate::Failure;
use crate::address::parse_addr;
use crate::invocation::{AccessList, SockPair};
use crate::names::Names;
use dpvs_api::types::{Endpoint, Protocol};
use std::net::IpAddr;

/// The passive check that `default` stands for.
const CHECK_DEFAULT: &str = "1,1,3s,5-3600s";
const EXTERNAL: &[&str] = &["tcp", "udp", "sctp", "ping"];

/// Health checks of a service: at most one passive check, and external ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DestCheck {
    /// `default`, `D,Ws` or `D,U,Ws,MIN-MAXs`.
    pub(crate) passive: Option<String>,
    /// Whether `tcp`, `udp`, `sctp` and `ping` are on.
    pub(crate) external: [bool; 4],
}

impl DestCheck {
    /// Adds what one `--dest-check` says; `disable` removes everything.
    ///
    /// # Errors
    /// The text of DPVS.
    pub(crate) fn add(&mut self, text: &[u8]) -> Result<(), Failure> {
        let bad = || Failure::usage("invalid dest_check config");
        let text = std::str::from_utf8(text).map_err(|_| bad())?;
        if text == "disable" {
            *self = DestCheck::default();
        } else if let Some(index) = EXTERNAL.iter().position(|&name| name == text) {
            self.external[index] = true;
        } else {
            self.passive = Some(parse_passive(text).ok_or_else(bad)?);
        }
        Ok(())
    }

    /// Reads the text of the API: the parts with commas between them.
    pub(crate) fn from_api(text: &str) -> Self {
        let mut check = DestCheck::default();
        let mut passive = Vec::new();
        for part in text.split([',', ' ']).filter(|part| !part.is_empty()) {
            match EXTERNAL.iter().position(|&name| name == part) {
                Some(index) => check.external[index] = true,
                None => passive.push(part),
            }
        }
        if !passive.is_empty() {
            let passive = passive.join(",");
            check.passive = Some(if passive == CHECK_DEFAULT { "default".into() } else { passive });
        }
        check
    }

    /// Returns the names of the external checks that are on.
    pub(crate) fn external_names(&self) -> Vec<&'static str> {
        EXTERNAL.iter().zip(self.external).filter(|row| row.1).map(|row| *row.0).collect()
    }

    /// Returns the parts, each an argument of `--dest-check`.
    pub(crate) fn parts(&self) -> Vec<&str> {
        let mut parts: Vec<&str> = self.passive.iter().map(String::as_str).collect();
        parts.extend(self.external_names());
        parts
    }
}

/// Reads `default`, `D,Ws` or `D,U,Ws,MIN-MAXs`.
fn parse_passive(text: &str) -> Option<String> {
    if text == "default" || text == CHECK_DEFAULT {
        return Some("default".to_owned());
    }
    let fields: Vec<&str> = text.split(',').collect();
    match fields[..] {
        [down, wait] => {
            let down: u8 = down.parse().ok()?;
            let wait: u8 = wait.strip_suffix('s')?.parse().ok()?;
            Some(format!("{down},{wait}s"))
        }
        [down, up, wait, range] => {
            let (down, up): (u8, u8) = (down.parse().ok()?, up.parse().ok()?);
            let wait: u8 = wait.strip_suffix('s')?.parse().ok()?;
            let (min, max) = range.strip_suffix('s')?.split_once('-')?;
            let (min, max): (u16, u16) = (min.parse().ok()?, max.parse().ok()?);
            let sane = down > 0 && up > 0 && wait > 0 && min > 0 && min <= max;
            sane.then(|| format!("{down},{up},{wait}s,{min}-{max}s"))
        }
        _ => None,
    }
}

/// Reads the argument of `--synproxy`.
pub(crate) fn parse_synproxy(text: &[u8]) -> Result<bool, Failure> {
    // DPVS compares prefixes.
    if text.starts_with(b"enable") {
        return Ok(true);
    }
    if text.starts_with(b"disable") {
        return Ok(false);
    }
    Err(Failure::usage("synproxy switch must be enable or disable\n"))
}

/// Reads the argument of `--proxy-protocol`; what is no version switches it off, as in DPVS.
pub(crate) fn parse_proxy_protocol(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    let known = ["v1", "v2", "v1-insecure", "v2-insecure"].contains(&text.as_str());
    if known { text } else { String::new() }
}

/// Reads `PROTO:SIP:SPORT:TIP:TPORT`; IPv6 addresses stand in brackets.
pub(crate) fn parse_sockpair(text: &[u8]) -> Result<SockPair, Failure> {
    let bad = || Failure::usage("illegal sockpair<af:sip:sport:tip:tport> specified");
    std::str::from_utf8(text).ok().and_then(sockpair).ok_or_else(bad)
}

fn sockpair(text: &str) -> Option<SockPair> {
    let (word, rest) = text.split_once(':')?;
    let protocols = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp), ("sctp", Protocol::Sctp)];
    let protocol = protocols.iter().find(|row| word.starts_with(row.0))?.1;
    let (client, rest) = endpoint(rest)?;
    let (virtual_, rest) = endpoint(rest?)?;
    let same_family = client.address.is_ipv4() == virtual_.address.is_ipv4();
    (rest.is_none() && same_family).then_some(SockPair { protocol, client, virtual_ })
}

fn endpoint(text: &str) -> Option<(Endpoint, Option<&str>)> {
    let (address, rest): (IpAddr, &str) = if let Some(inner) = text.strip_prefix('[') {
        let (address, rest) = inner.split_once("]:")?;
        (IpAddr::V6(address.parse().ok()?), rest)
    } else {
        let (address, rest) = text.split_once(':')?;
        (IpAddr::V4(address.parse().ok()?), rest)
    };
    let (port, rest) = match rest.split_once(':') {
        Some((port, rest)) => (port, Some(rest)),
        None => (rest, None),
    };
    Some((Endpoint { address, port: port.parse().ok()? }, rest))
}

/// Checks a multicast group of the connection sync daemon.
pub(crate) fn check_mcast_group(text: &[u8]) -> Result<(), Failure> {
    let parsed = std::str::from_utf8(text).ok().and_then(|text| text.parse::<IpAddr>().ok());
    let family = match parsed {
        Some(address) if address.is_multicast() => return Ok(()),
        Some(IpAddr::V6(_)) => "IPv6",
        None if text.contains(&b':') => "IPv6",
        _ => "IPv4",
    };
    Err(Failure::usage_quoting(&format!("invalid {family} mcast-group `"), text, "'"))
}

/// An entry of a black or white list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListEntry {
    /// A client.
    Client(IpAddr),
    /// A set of clients, `ipset:NAME`.
    Set,
}

/// Reads an entry of a black or white list: an address or `ipset:NAME`.
pub(crate) fn parse_list_entry(
    text: &[u8],
    list: AccessList,
    names: &dyn Names,
) -> Result<ListEntry, Failure> {
    if text.strip_prefix(b"ipset:").is_some_and(|name| !name.is_empty()) {
        return Ok(ListEntry::Set);
    }
    let bad = || {
        let list = list.word();
        Failure::usage(&format!("illegal {list} entry format, require [ IP | ipset:NAME ]"))
    };
    parse_addr(text, None, names).map(|addr| ListEntry::Client(addr.ip)).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_checks_add_up_and_read_back() {
        let mut check = DestCheck::default();
        for part in [&b"ping"[..], b"2,4s", b"tcp"] {
            check.add(part).unwrap();
        }
        assert_eq!(check.parts(), ["2,4s", "tcp", "ping"]);
        assert_eq!(DestCheck::from_api(&check.parts().join(",")), check);
        check.add(b"disable").unwrap();
        assert!(check.parts().is_empty());
        assert_eq!(DestCheck::from_api("1,1,3s,5-3600s").parts(), ["default"]);
        for bad in ["0,1,3s,5-9s", "1,1,3s,9-5s", "x", "", "1,3", "256,3s", "1,3sx"] {
            assert!(DestCheck::default().add(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn socket_pairs_have_both_families_but_not_mixed() {
        let pair = parse_sockpair(b"tcp:172.16.5.6:45678:192.168.100.10:80").unwrap();
        assert_eq!((pair.client.port, pair.virtual_.port), (45678, 80));
        assert!(parse_sockpair(b"udp:[2001:db8::1]:1:[2001:db8::2]:2").is_ok());
        for bad in
            ["tcp", "gre:1.1.1.1:1:2.2.2.2:2", "tcp:1.1.1.1:1:[::1]:2", "tcp:1.1.1.1:1:2.2.2.2:2:3"]
        {
            assert!(parse_sockpair(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
