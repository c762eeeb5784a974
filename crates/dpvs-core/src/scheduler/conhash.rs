// SPDX-License-Identifier: MIT OR Apache-2.0
//! Consistent hashing: each server has points on a ring, and a client belongs to the first point at
//! or after its own. Where that point's server is unavailable, the next one's on the ring.
//!
//! What is hashed is the client's address, or the connection id of QUIC where the service's
//! [`HashTarget`] says so. A server's points are hashes of its address and port, so every node
//! makes the same ring. The heaviest server has 160 points, or fewer so that all have 4096 at most;
//! the others have as many less as their weight is less, one at least. While that number stays,
//! a server that goes takes nobody's clients with it but its own. O(log points).
//!
//! A point takes 8 bytes: 32 KiB a service with 26 servers or more. To make a ring of 4096 points
//! takes 0.2 ms.

use super::table::{Server, servers};
use super::{Algorithm, Flow, HashTarget, hash};
use crate::WorkerId;
use crate::tables::{Dest, Service};
use std::sync::Arc;

/// Points of the heaviest server.
const POINTS_PER_SERVER: usize = 160;
/// Points of all servers; more only if there are more servers.
const POINTS_MAX: usize = 4096;

#[derive(Clone, Debug)]
pub(super) struct Conhash {
    ring: Arc<[Point]>,
}

/// A point: 48 bits of hash, then 16 bits for where the server stands in the list.
#[derive(Clone, Copy, Debug)]
struct Point(u64);

impl Point {
    fn new(hash: u64, server: u16) -> Self {
        Point(hash & !0xffff | u64::from(server))
    }

    /// Returns the place on the ring.
    fn place(self) -> u64 {
        self.0 >> 16
    }

    fn dest(self, service: &Service) -> Option<&Dest> {
        service.dests.get(usize::try_from(self.0 & 0xffff).ok()?)
    }
}

impl Algorithm for Conhash {
    fn new(service: &Service) -> Self {
        let servers = servers(service);
        let heaviest = servers.iter().map(|server| server.weight).max().unwrap_or(0);
        let most = POINTS_PER_SERVER.min(POINTS_MAX / servers.len().max(1));
        let mut ring: Vec<Point> =
            servers.iter().flat_map(|server| points(server, heaviest, most)).collect();
        // Stable: where two servers meet in one place, the order of their addresses decides.
        ring.sort_by_key(|point| point.place());
        Conhash { ring: ring.into() }
    }

    fn pick<'a>(&self, service: &'a Service, _me: WorkerId, flow: &Flow) -> Option<&'a Dest> {
        let hash = match (service.settings.hash_target, flow.quic_id) {
            (HashTarget::QuicId, Some(id)) => hash::of_quic_id(id),
            _ => hash::of_address(flow.client.address),
        };
        let place = Point::new(hash, 0).place();
        let first = self.ring.partition_point(|point| point.place() < place);
        let (before, after) = self.ring.split_at_checked(first)?;
        let mut next = after.iter().chain(before).filter_map(|point| point.dest(service));
        let chosen = next.next()?;
        if chosen.is_available() {
            return Some(chosen);
        }
        if !service.dests.iter().any(Dest::is_available) {
            return None;
        }
        next.find(|dest| dest.is_available())
    }
}

/// Returns the points of a server, `most` if it is the heaviest.
fn points(server: &Server, heaviest: u32, most: usize) -> impl Iterator<Item = Point> {
    let (weight, heaviest) = (u64::from(server.weight), u64::from(heaviest));
    let most = u64::try_from(most).unwrap_or(0);
    let count = ((weight * most + heaviest / 2) / heaviest).max(1);
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    (0..count).map(|turn| Point::new(hash::of_server(server.endpoint, turn), server.at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::Scheduler;
    use crate::testing::service_with_weights;

    fn points_of(weights: &[u32]) -> Vec<usize> {
        let service = service_with_weights(Scheduler::Conhash, weights);
        let ring = Conhash::new(service.service()).ring;
        assert!(ring.is_sorted_by_key(|point| point.place()));
        let of = |server: u64| ring.iter().filter(|point| point.0 & 0xffff == server).count();
        (0..).take(weights.len()).map(of).collect()
    }

    #[test]
    fn servers_have_points_in_proportion_to_their_weights() {
        assert_eq!(points_of(&[100, 50, 0, 1]), [160, 80, 0, 2]);
        assert_eq!(points_of(&[65535, 1]), [160, 1]);
        assert_eq!(points_of(&[7; 100]), [40; 100]);
        assert_eq!(points_of(&vec![1; 5000]), vec![1; 5000]);
        assert_eq!(points_of(&[]), [0; 0]);
    }
}
