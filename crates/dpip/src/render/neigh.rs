// SPDX-License-Identifier: MIT OR Apache-2.0
//! `neigh show`.

use crate::value::{link_address, link_address_text};
use dpvs_api::types::NeighInfo;

/// Writes a neighbour in one line; spelling and blanks are those that scripts know.
pub fn neigh(info: &NeighInfo) -> String {
    // The states in which there is no link address yet.
    let is_resolved = !matches!(info.state.as_str(), "NONE" | "SEND");
    let lladdr = info.lladdr.as_deref().filter(|_| is_resolved);
    let device = &info.device;
    let core = info.worker;
    let kind = if info.is_static { "static" } else { "" };
    // An address does not heed a width by itself.
    let ip = info.address.to_string();
    let state = &info.state;
    match lladdr {
        Some(text) => {
            let mac = link_address(text).map_or_else(|| text.to_owned(), link_address_text);
            format!(
                "ip: {ip:<48} mac: {mac}   state: {state:<12}  dev: {device}  core: {core}  \
                 {kind}\n"
            )
        }
        None => format!(
            "ip: {ip:<48} mac:incomplate                       state: {state:<12}   dev: {device}  \
             core: {core}  {kind}\n"
        ),
    }
}
