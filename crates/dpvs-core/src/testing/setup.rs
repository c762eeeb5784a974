// SPDX-License-Identifier: MIT OR Apache-2.0
//! Services and servers of every method for a [`Lab`].

use super::{HeapFrame, Lab};
use crate::conn::{Conn, ConnIndex};
use crate::key::{Address, Endpoint};
use crate::net::{Family, Protocol};
use crate::tables::{DestSettings, Forward, Match, ServiceKey, ServiceSettings, Tunnel};
use crate::{BURST, DropReason, Frame, Verdict, Worker};
use std::net::IpAddr;

/// Reads an address.
pub fn address(text: &str) -> Address {
    Address::from(text.parse::<IpAddr>().unwrap())
}

/// Makes an address with a port.
pub fn end(text: &str, port: u16) -> Endpoint {
    Endpoint { address: address(text), port }
}

/// Makes the key of a service on a virtual address.
pub fn service_key(protocol: Protocol, vip: &str, port: u16) -> ServiceKey {
    ServiceKey::new(protocol, address(vip), port)
}

/// Makes the key of a SNAT service for all packets of a family and a protocol.
pub fn match_key(family: Family, protocol: Protocol) -> ServiceKey {
    let protocol = Some(protocol);
    ServiceKey::Match(Match { family, protocol, src: None, dst: None, iif: None, oif: None })
}

/// Makes the settings of a server of weight 1 behind a tunnel.
pub fn tunneled(tunnel: Tunnel) -> DestSettings {
    DestSettings { tunnel, ..DestSettings::new(Forward::Tunnel) }
}

impl Lab {
    /// Adds a service with servers; one of a virtual address has the usual local address too.
    pub fn serve(
        &mut self,
        key: &ServiceKey,
        settings: ServiceSettings,
        servers: &[(Endpoint, DestSettings)],
    ) {
        let laddr = match key.family() {
            Family::V4 => "10.1.1.200",
            Family::V6 => "2001:db8:a::200",
        };
        self.change(|draft| {
            draft.add_service(*key, settings).unwrap();
            if key.virtual_().is_some() {
                draft.add_laddr(key, address(laddr), crate::PortId(0)).unwrap();
            }
            for (end, settings) in servers {
                draft.add_dest(key, *end, *settings).unwrap();
            }
        });
    }

    /// Returns how many frames all workers dropped, for whatever reason.
    pub fn all_drops(&self) -> u64 {
        DropReason::ALL.iter().map(|reason| self.drops(*reason)).sum()
    }

    /// Returns all connections, each with the worker that has it.
    pub fn all(&self) -> Vec<(usize, Conn)> {
        let of = |(at, worker): (usize, &Worker)| {
            let table = worker.connections();
            let all = (0..table.positions()).filter_map(|n| table.get(ConnIndex(n)));
            all.map(|conn| (at, conn)).collect::<Vec<_>>()
        };
        self.workers.iter().enumerate().flat_map(of).collect()
    }

    /// Returns the active, inactive and persistent connections of all servers of a service.
    pub fn gauges(&self, key: &ServiceKey) -> [u32; 3] {
        let dests = self.tables.service(key).map_or(&[][..], |service| &service.dests);
        let counters = dests.iter().map(|dest| &dest.shared.counters);
        counters.fold([0; 3], |[a, i, t], c| [a + c.active(), i + c.inactive(), t + c.persistent()])
    }

    /// Gives frames to a worker in one burst.
    pub fn burst(&mut self, worker: usize, frames: &[Vec<u8>]) -> Vec<(Verdict, Vec<u8>)> {
        let mut heap: Vec<HeapFrame> = frames.iter().map(|frame| HeapFrame::new(frame)).collect();
        let mut verdicts = [Verdict::Consumed; BURST];
        self.workers[worker].process(self.now, &mut heap, &mut verdicts);
        verdicts.into_iter().zip(heap).map(|(v, frame)| (v, frame.bytes().to_vec())).collect()
    }
}
