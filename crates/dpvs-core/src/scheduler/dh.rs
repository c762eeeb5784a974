// SPDX-License-Identifier: MIT OR Apache-2.0
//! Destination hashing: as [`super::sh`], looked up by the address that packets go to. It takes no
//! flags. A service with a virtual address has one destination and so uses one server.

use super::sh::buckets;
use super::table::Table;
use super::{Algorithm, Flow, SchedulerFlags, hash};
use crate::WorkerId;
use crate::tables::{Dest, Service};

#[derive(Clone, Debug)]
pub(super) struct Dh(Table);

impl Algorithm for Dh {
    fn new(service: &Service) -> Self {
        Dh(buckets(service))
    }

    fn pick<'a>(&self, service: &'a Service, _me: WorkerId, flow: &Flow) -> Option<&'a Dest> {
        self.0.pick(service, hash::of_address(flow.target.address), SchedulerFlags::NONE)
    }
}

#[cfg(test)]
mod tests {
    use crate::scheduler::{Flow, Scheduler};
    use crate::testing::{client_flow, service_with_weights};

    /// The target is the address of `hash::tests`: bucket 106 of 256.
    #[test]
    fn the_destination_decides_and_the_client_does_not() {
        let mut service = service_with_weights(Scheduler::Dh, &[1, 1, 1]);
        let target = client_flow(0).client;
        let picks = |service: &crate::testing::ServicePicker| {
            [1, 2, 3].map(|n| service.pick(&Flow { target, ..client_flow(n) }))
        };
        assert_eq!(picks(&service), [Some(2); 3]);
        service.set_overloaded(1, true);
        assert_eq!(picks(&service), [None; 3]);
    }
}
