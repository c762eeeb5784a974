// SPDX-License-Identifier: MIT OR Apache-2.0
//! `addr show`.

use crate::value::address_bits;
use dpvs_api::types::{AddrInfo, Scope};
use std::fmt::Write as _;

/// Writes an address in two lines.
///
/// `is_verbose` puts the number of a processor in front. It is always 00: the control thread owns
/// the addresses, and every worker has the same ones. `with_pool` adds the use of a pool of local
/// ports, where the address is one.
pub fn addr(info: &AddrInfo, is_verbose: bool, with_pool: bool) -> String {
    let spec = &info.addr;
    let core = if is_verbose { "[00] " } else { "" };
    let family = if spec.address.is_ipv4() { "inet" } else { "inet6" };
    let len = if spec.prefix_len == 0 { address_bits(spec.address) } else { spec.prefix_len };
    let scope = match spec.scope {
        Scope::Host => "host",
        Scope::KniHost => "kni_host",
        Scope::Link => "link",
        Scope::Global => "global",
    };
    let broadcast = spec.broadcast.map_or_else(String::new, |to| format!("broadcast {to}"));
    let mut text = format!(
        "{core}{family} {address}/{len} scope {scope} {device}\n    {broadcast} valid_lft {valid} \
         preferred_lft {preferred}",
        address = spec.address,
        device = spec.device,
        valid = lifetime(spec.valid_lft),
        preferred = lifetime(spec.preferred_lft),
    );
    if let Some(pool) = info.pool.filter(|_| with_pool) {
        let _ =
            write!(text, " sa_used {} sa_free {} sa_miss {}", pool.used, pool.free, pool.missed);
    }
    text.push('\n');
    text
}

fn lifetime(seconds: u32) -> String {
    if seconds == 0 { "forever".to_owned() } else { seconds.to_string() }
}
