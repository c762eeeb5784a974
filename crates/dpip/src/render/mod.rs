// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the API's replies to text, line by line as monitors parse it. Pure functions.

mod addr;
mod echo;
mod icmp;
mod link;
mod neigh;
mod route;

pub use addr::addr;
pub use echo::echo;
pub use icmp::{icmp_decision, icmp_server, icmp_status};
pub use link::{link, link_detail, link_rates, link_stats, rates_between};
pub use neigh::neigh;
pub use route::route;
