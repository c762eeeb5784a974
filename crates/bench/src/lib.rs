// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the benchmarks share: balancers with many connections, and bursts of their frames.
//!
//! The benches measure stages of the packet path in nanoseconds for each packet, on heap frames:
//! no port, no ring. `make bench` runs them.

pub mod chart;
pub mod crowd;
pub mod measure;
pub mod network;
pub mod pcap;
pub mod process;
pub mod traffic;

use dpvs_core::net::Protocol;
use dpvs_core::testing::{HeapFrame, Lab, PacketBuilder, address, service_key};
use dpvs_core::{BURST, PortId, Verdict};

/// A balancer with established connections, and the next data packet of each.
#[derive(Debug)]
pub struct Flows {
    /// The balancer, one worker.
    pub lab: Lab,
    frames: Vec<Vec<u8>>,
    next: usize,
}

impl Flows {
    /// Makes `count` UDP flows from as many clients' ports and addresses.
    pub fn udp(count: usize) -> Self {
        let mut lab = Lab::with_addresses(1, count.max(1024));
        lab.service(Protocol::Udp, "203.0.113.80", 53, &[("10.1.1.10", 5300), ("10.1.1.11", 5300)]);
        lab.change(|draft| {
            draft.tables_mut().limits.local_port_min = 1;
            // One has 131,070 ports for the two servers.
            let key = service_key(Protocol::Udp, "203.0.113.80", 53);
            for n in 0..count / 100_000 {
                let added = draft.add_laddr(&key, address(&format!("10.1.2.{n}")), PortId(0));
                debug_assert!(added.is_ok(), "each is another");
            }
        });
        let mut flows = Flows { lab, frames: Vec::with_capacity(count), next: 0 };
        for n in 0..u32::try_from(count).unwrap_or(u32::MAX) {
            let [_, a, b, c] = n.to_be_bytes();
            let src = format!("198.{}.{}.{}", 18 + a % 2, b, c);
            let port = u16::try_from(1024 + n % 60_000).unwrap_or(1024);
            flows.frames.push(PacketBuilder::new(&src, "203.0.113.80").udp(port, 53, &[0; 18]));
        }
        let made = flows.frames.clone();
        for frame in &made {
            flows.lab.send(0, frame);
        }
        flows
    }

    /// Returns how many connections stand.
    pub fn connections(&self) -> usize {
        self.lab.connections()
    }

    /// Fills a burst with the next flows' packets, round-robin: the worst case for caches.
    pub fn fill(&mut self, burst: &mut [HeapFrame]) {
        for frame in burst {
            if let Some(bytes) = self.frames.get(self.next) {
                frame.refill(bytes);
            }
            self.next = if self.next + 1 >= self.frames.len() { 0 } else { self.next + 1 };
        }
    }

    /// Processes a burst.
    pub fn process(&mut self, burst: &mut [HeapFrame], verdicts: &mut [Verdict; BURST]) {
        let now = self.lab.now;
        if let Some(worker) = self.lab.workers.first_mut() {
            worker.process(now, burst, verdicts);
        }
    }
}

/// A burst of empty frames.
pub fn burst() -> Vec<HeapFrame> {
    vec![HeapFrame::new(&[0; 2048]); BURST]
}
