// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the API's replies to text, line by line as monitors parse it. Pure functions.

mod addr;
mod link;
mod neigh;
mod route;

pub use addr::addr;
pub use link::{link, link_detail, link_rates, link_stats, rates_between};
pub use neigh::neigh;
pub use route::route;
