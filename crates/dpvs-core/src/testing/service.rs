// SPDX-License-Identifier: MIT OR Apache-2.0
//! A service without workers, for tests of schedulers.

use super::lab::{dest_settings, tables};
use super::setup::{address, service_key};
use crate::key::{Address, Endpoint};
use crate::net::Protocol;
use crate::scheduler::{Flow, Scheduler};
use crate::tables::{DestSettings, Draft, Service, ServiceKey, ServiceSettings, Tables};
use crate::{Millis, WorkerId};

/// A service for tests of schedulers: server `n` has port `n`, counted from 1.
#[derive(Debug)]
pub struct ServicePicker {
    key: ServiceKey,
    tables: Tables,
}

/// Makes a service with servers of the given weights.
pub fn service_with_weights(scheduler: Scheduler, weights: &[u32]) -> ServicePicker {
    service_with_settings(ServiceSettings::new(scheduler), weights)
}

/// Makes a service with settings, a UDP one, and servers of the given weights.
pub fn service_with_settings(settings: ServiceSettings, weights: &[u32]) -> ServicePicker {
    let servers: Vec<(u16, u32)> = (1..).zip(weights.iter().copied()).collect();
    ServicePicker::new(service_key(Protocol::Udp, "203.0.113.80", 80), settings, &servers)
}

/// A packet of the `n`th of many clients at port 40000.
pub fn client_flow(n: u32) -> Flow {
    let client = Address::v4((0xc633_640a + n).to_be_bytes());
    Flow {
        client: Endpoint { address: client, port: 40000 },
        target: Endpoint { address: address("203.0.113.80"), port: 80 },
        quic_id: None,
        now: Millis(1000),
    }
}

fn server(port: u16) -> Endpoint {
    Endpoint { address: address("10.1.1.10"), port }
}

impl ServicePicker {
    /// Makes a service with servers of the given ports and weights, added in this order.
    pub fn new(key: ServiceKey, settings: ServiceSettings, servers: &[(u16, u32)]) -> Self {
        let mut draft = Draft::new(&tables(2));
        draft.add_service(key, settings).unwrap();
        for (port, weight) in servers {
            draft.add_dest(&key, server(*port), dest_settings(*weight)).unwrap();
        }
        ServicePicker { key, tables: draft.publish() }
    }

    /// Returns the service.
    pub fn service(&self) -> &Service {
        self.tables.service(&self.key).unwrap()
    }

    /// Returns the port of the server that a packet's connection goes to.
    pub fn pick(&self, flow: &Flow) -> Option<u16> {
        self.pick_on(WorkerId(0), flow)
    }

    /// Returns the port of the server that a packet's connection goes to on a worker.
    pub fn pick_on(&self, worker: WorkerId, flow: &Flow) -> Option<u16> {
        let service = self.service();
        service.picker.pick(service, worker, flow).map(|dest| dest.endpoint.port)
    }

    /// Returns the ports of the next `n` choices for one client, as far as there are any.
    pub fn pick_ports(&self, n: usize) -> Vec<u16> {
        (0..n).filter_map(|_| self.pick(&client_flow(0))).collect()
    }

    /// Says how many connections a server has, by its position.
    pub fn set_connections(&self, server: usize, active: u32, inactive: u32) {
        let part = self.service().dests[server].shared.counters.part(0).unwrap();
        part.active.set(active);
        part.inactive.set(inactive);
    }

    /// Changes the service.
    pub fn change(&mut self, change: impl FnOnce(&mut Draft, &ServiceKey)) {
        let mut draft = Draft::new(&self.tables);
        change(&mut draft, &self.key);
        self.tables = draft.publish();
    }

    /// Changes the weight of a server, by its position.
    pub fn set_weight(&mut self, server: usize, weight: u32) {
        let dest = &self.service().dests[server];
        let (endpoint, settings) = (dest.endpoint, DestSettings { weight, ..dest.settings });
        self.change(|draft, key| draft.set_dest(key, endpoint, settings).unwrap());
    }

    /// Puts a server, by its position, above its thresholds or below them.
    pub fn set_overloaded(&mut self, server: usize, is_overloaded: bool) {
        let dest = &self.service().dests[server];
        let upper_threshold = u32::from(is_overloaded);
        let (endpoint, settings) =
            (dest.endpoint, DestSettings { upper_threshold, ..dest.settings });
        self.change(|draft, key| draft.set_dest(key, endpoint, settings).unwrap());
        if is_overloaded {
            self.service().dests[server].reserve_bound();
        }
    }

    /// Removes a server, by its position.
    pub fn remove(&mut self, server: usize) {
        let endpoint = self.service().dests[server].endpoint;
        self.change(|draft, key| draft.del_dest(key, endpoint).unwrap());
    }
}
