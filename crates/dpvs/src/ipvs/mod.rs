// SPDX-License-Identifier: MIT OR Apache-2.0
//! The door for stock tools: the kernel's IPVS, spoken by generic netlink on a socket of our own.
//!
//! Debian's `ipvsadm` and `keepalived` come here with `LD_PRELOAD=libdpvs_ipvs.so`. Every command is
//! made a call of the API, so what it does and what it refuses is the same at both doors.
//!
//! ```text
//! client    packets in and out, one request at a time
//! request   bytes -> what is asked for: message, attributes, service, dest
//! answer    what is asked for -> calls of the API -> answers; long listings go on in listing
//! ```
//!
//! What stock tools have no word for they do not see: services of ICMP and of matches are left out
//! of their listings and stay when they flush. Full NAT and SNAT look like NAT to them, and stay
//! what they are when such a tool edits the real server.

mod answer;
mod attributes;
mod client;
mod conns;
mod dest;
mod errno;
mod listing;
mod message;
mod request;
mod service;
mod stats;

pub(crate) use client::Client;
pub use request::{Ask, Request, decode};
