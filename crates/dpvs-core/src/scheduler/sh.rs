// SPDX-License-Identifier: MIT OR Apache-2.0
//! Source hashing: a static table of buckets, looked up by the client's address.
//!
//! There are 16 buckets for each server, at least 256, a power of two, and servers have them in
//! proportion to their weights. `sh-port` hashes the client's port too. Where a bucket's server is
//! unavailable there is no server for its clients, with `sh-fallback` the next bucket's. O(1).
//! A changed server deals the buckets anew: `mh` and `conhash` are for those whom that hurts.
//! A bucket takes 2 bytes: 4 KiB for 100 servers, dealt in 5 us, or in 0.6 ms where one of them
//! outweighs all others.

use super::table::{Table, Turns, servers};
use super::{Algorithm, Flow, SchedulerFlags, hash};
use crate::WorkerId;
use crate::key::Endpoint;
use crate::tables::{Dest, Service};

const BUCKETS_MIN: usize = 256;
const BUCKETS_PER_SERVER: usize = 16;

#[derive(Clone, Debug)]
pub(super) struct Sh(Table);

impl Algorithm for Sh {
    fn new(service: &Service) -> Self {
        Sh(buckets(service))
    }

    fn pick<'a>(&self, service: &'a Service, _me: WorkerId, flow: &Flow) -> Option<&'a Dest> {
        let flags = service.settings.flags;
        self.0.pick(service, client(flow.client, flags), flags)
    }
}

/// Hashes a client, with its port where a flag says so.
pub(super) fn client(client: Endpoint, flags: SchedulerFlags) -> u64 {
    if flags.has(SchedulerFlags::PORT) {
        hash::of_endpoint(client)
    } else {
        hash::of_address(client.address)
    }
}

/// Deals the buckets.
pub(super) fn buckets(service: &Service) -> Table {
    let servers = servers(service);
    let len = (servers.len() * BUCKETS_PER_SERVER).next_power_of_two().max(BUCKETS_MIN);
    let dealt = Turns::new(&servers).take(len);
    Table(dealt.filter_map(|turn| servers.get(turn)).map(|server| server.at).collect())
}

#[cfg(test)]
mod tests {
    use crate::scheduler::{Scheduler, SchedulerFlags};
    use crate::tables::ServiceSettings;
    use crate::testing::service_with_settings;

    /// The hashes are those of `hash::tests`: 0x6ad3.. is bucket 106 of 256, with the port 0x39d9..
    /// is bucket 57. Three servers have every third bucket.
    #[test]
    fn the_bucket_of_a_client_is_that_of_its_hash() {
        let mut settings = ServiceSettings::new(Scheduler::Sh);
        assert_eq!(service_with_settings(settings, &[1, 1, 1]).pick_ports(2), [2, 2]);
        settings.flags = SchedulerFlags::PORT;
        assert_eq!(service_with_settings(settings, &[1, 1, 1]).pick_ports(2), [1, 1]);
    }

    #[test]
    fn an_overloaded_server_leaves_its_clients_without_one() {
        let mut service = service_with_settings(ServiceSettings::new(Scheduler::Sh), &[1, 1, 1]);
        service.set_overloaded(1, true);
        assert_eq!(service.pick_ports(1), [0; 0]);
        service.set_overloaded(0, true);
        service.set_overloaded(1, false);
        assert_eq!(service.pick_ports(1), [2]);
    }

    #[test]
    fn with_fallback_any_server_that_is_available_is_found() {
        let flags = SchedulerFlags::FALLBACK;
        let settings = ServiceSettings { flags, ..ServiceSettings::new(Scheduler::Sh) };
        let mut service = service_with_settings(settings, &[65535, 65535, 1]);
        service.set_overloaded(0, true);
        service.set_overloaded(1, true);
        assert_eq!(service.pick_ports(1), [3]);
        service.set_overloaded(2, true);
        assert_eq!(service.pick_ports(1), [0; 0]);
    }
}
