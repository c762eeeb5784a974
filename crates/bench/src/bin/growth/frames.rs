// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames made from a counter: memory for those of ten million flows would be what is measured.

use dpvs_core::Frame;
use dpvs_core::testing::{HeapFrame, PacketBuilder};
use std::hint::black_box;

/// Clients: from 100.64.0.0 on, four million addresses.
const CLIENTS_FROM: u32 = 0x6440_0000;
/// Ports or identifiers of each client: [`PORT_STEP`] apart.
const PORTS_EACH: u32 = 16;
const PORT_STEP: u32 = 3989;
/// Virtual addresses: one for each service, from 172.16.0.0 on.
const SERVICES_FROM: u32 = 0xac10_0000;

const IP_CHECKSUM: usize = 14 + 10;
const ADDRESSES: usize = 14 + 12;
const L4: usize = 14 + 20;

/// What the packets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Udp,
    Ping,
    /// What opens a TCP connection.
    Syn,
    /// An ICMP error about a packet of no connection.
    Error,
}

impl Kind {
    /// Returns a frame without addresses, where its port or identifier is, and the checksum over it.
    fn template(self) -> (Vec<u8>, usize, usize) {
        let packet = PacketBuilder::new("0.0.0.0", "0.0.0.0");
        match self {
            Kind::Udp => (packet.udp(0, 53, &[0; 18]), L4, L4 + 6),
            Kind::Ping => (packet.ping(0, 1, &[0; 18]), L4 + 4, L4 + 2),
            Kind::Syn => (packet.tcp(0, 53, 2, &[0; 6]), L4, L4 + 16),
            Kind::Error => {
                let quoted = PacketBuilder::new("172.16.0.0", "198.18.0.1").udp(53, 9, &[]);
                let quote = quoted.get(14..).unwrap_or_default();
                (packet.icmp(3, 1, [0; 4], quote), L4 + 4, L4 + 2)
            }
        }
    }

    /// Returns the protocol, if its checksum is over the addresses too.
    fn pseudo_header(self) -> Option<u32> {
        match self {
            Kind::Udp => Some(17),
            Kind::Syn => Some(6),
            Kind::Ping | Kind::Error => None,
        }
    }
}

/// Something that fills bursts. Its clone goes on in the same way.
pub(crate) trait Fill: Clone {
    /// Fills a burst with the next packets.
    fn fill(&mut self, burst: &mut [HeapFrame]);

    /// Returns whether the packet at a place of the burst has to be sent.
    fn has_to_pass(&self, _at: usize) -> bool {
        true
    }
}

/// Packets of connections in a flood of others.
#[derive(Clone, Debug)]
pub(crate) struct Mixed {
    pub(crate) good: Frames,
    pub(crate) flood: Frames,
    /// Packets of the flood to each good one.
    pub(crate) each: usize,
}

impl Fill for Mixed {
    fn fill(&mut self, burst: &mut [HeapFrame]) {
        for part in burst.chunks_mut(self.each + 1) {
            if let Some((first, rest)) = part.split_at_mut_checked(1) {
                self.good.fill(first);
                self.flood.fill(rest);
            }
        }
    }

    fn has_to_pass(&self, at: usize) -> bool {
        at.is_multiple_of(self.each + 1)
    }
}

/// In which order the flows take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// As they were opened.
    Opened,
    /// Such that no place of a table is near the one before: the worst for caches.
    Scattered,
}

/// Makes the frames of flows, round-robin: the shortest ones of Ethernet.
#[derive(Clone, Debug)]
pub(crate) struct Frames {
    template: Vec<u8>,
    /// Where the port or identifier is, and the checksum over it.
    field: usize,
    checksum: usize,
    /// Sums of the template without addresses, field and checksums.
    ip_sum: u32,
    l4_sum: u32,
    has_pseudo_header: bool,
    services: u32,
    first_service: u32,
    /// The flows that take turns are the first ones.
    flows: u32,
    first: u32,
    step: u32,
    next: u32,
}

impl Frames {
    /// Frames for services on so many virtual addresses; one flow until told otherwise.
    pub(crate) fn new(kind: Kind, services: u32) -> Self {
        let (mut template, field, checksum) = kind.template();
        for at in [IP_CHECKSUM, checksum] {
            put(&mut template, at, [0; 2]);
        }
        let ip_sum = sum(template.get(14..L4).unwrap_or_default());
        let segment = template.get(L4..).unwrap_or_default();
        let len = u32::try_from(segment.len()).unwrap_or_default();
        let l4_sum = sum(segment) + kind.pseudo_header().map_or(0, |protocol| protocol + len);
        Frames {
            template,
            field,
            checksum,
            ip_sum,
            l4_sum,
            has_pseudo_header: kind.pseudo_header().is_some(),
            services: services.max(1),
            first_service: 0,
            flows: 1,
            first: 0,
            step: 1,
            next: 0,
        }
    }

    /// Addresses them to the services from this one on.
    pub(crate) fn for_service(mut self, first: u32) -> Self {
        self.first_service = first;
        self
    }

    /// Lets the flows from `first` on take turns.
    pub(crate) fn play(&mut self, first: u32, flows: u32, order: Order) {
        (self.first, self.flows, self.next) = (first, flows.max(1), 0);
        self.step = match order {
            Order::Opened => 1,
            Order::Scattered => scattering(self.flows),
        };
    }

    fn write(&self, frame: &mut HeapFrame, flow: u32) {
        frame.refill(&self.template);
        let bytes = frame.bytes_mut();
        let service = self.first_service + flow % self.services;
        let [src, dst] = [CLIENTS_FROM + flow / PORTS_EACH, SERVICES_FROM + service];
        let field = 1024 + flow % PORTS_EACH * PORT_STEP;
        let addresses = (src >> 16) + (src & 0xffff) + (dst >> 16) + (dst & 0xffff);
        let over_addresses = if self.has_pseudo_header { addresses } else { 0 };
        put(bytes, ADDRESSES, src.to_be_bytes());
        put(bytes, ADDRESSES + 4, dst.to_be_bytes());
        put(bytes, self.field, low(field));
        put(bytes, IP_CHECKSUM, checksum(self.ip_sum + addresses));
        put(bytes, self.checksum, checksum(self.l4_sum + over_addresses + field));
        black_box(bytes);
    }
}

impl Fill for Frames {
    fn fill(&mut self, burst: &mut [HeapFrame]) {
        for frame in burst {
            let flow = self.first + self.next;
            self.next += self.step;
            if self.next >= self.flows {
                self.next -= self.flows;
            }
            self.write(frame, flow);
        }
    }
}

/// Returns a step that goes through all flows, and far with each.
fn scattering(flows: u32) -> u32 {
    let coprime = |step: u32| {
        let (mut a, mut b) = (step, flows);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a == 1
    };
    // The golden section: what is near in time is far in place, also after some turns.
    let from = u32::try_from((u64::from(flows) * 0x9e37_79b9) >> 32).unwrap_or(1);
    (from.max(1)..flows).find(|step| coprime(*step)).unwrap_or(1)
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..at + N) {
        place.copy_from_slice(&value);
    }
}

fn low(value: u32) -> [u8; 2] {
    let [.., a, b] = value.to_be_bytes();
    [a, b]
}

fn sum(bytes: &[u8]) -> u32 {
    let (pairs, _) = bytes.as_chunks::<2>();
    pairs.iter().map(|pair| u32::from(u16::from_be_bytes(*pair))).sum()
}

fn checksum(sum: u32) -> [u8; 2] {
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    low(!folded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpvs_core::testing::checksums_hold;
    use std::collections::HashSet;

    #[test]
    fn frames_are_those_of_the_builder() {
        // A wrong checksum would be dropped, or hide what its update costs.
        let mut burst = vec![HeapFrame::new(&[0; 2048]); 20];
        let mut udp = Frames::new(Kind::Udp, 3);
        udp.play(0, 20, Order::Opened);
        udp.fill(&mut burst);
        let packet = PacketBuilder::new("100.64.0.1", "172.16.0.1");
        assert_eq!(burst[19].bytes(), packet.udp(1024 + 3 * 3989, 53, &[0; 18]));
        let mut ping = Frames::new(Kind::Ping, 1);
        ping.play(0, 20, Order::Opened);
        ping.fill(&mut burst);
        let packet = PacketBuilder::new("100.64.0.1", "172.16.0.0");
        assert_eq!(burst[17].bytes(), packet.ping(1024 + 3989, 1, &[0; 18]));
        let mut syn = Frames::new(Kind::Syn, 1);
        syn.play(0, 20, Order::Opened);
        syn.fill(&mut burst);
        assert_eq!(burst[17].bytes(), packet.tcp(1024 + 3989, 53, 2, &[0; 6]));
        let mut mixed = Mixed { good: udp, flood: Frames::new(Kind::Error, 1), each: 1 };
        mixed.fill(&mut burst);
        assert_eq!(checksums_hold(burst[1].bytes()), Some(true));
        assert_eq!([0, 1, 2, 3].map(|at| mixed.has_to_pass(at)), [true, false, true, false]);
    }

    #[test]
    fn scattered_flows_come_near_no_earlier_one_soon() {
        // Thirteen streams, each in order, would be as good for caches as one.
        let (flows, step) = (1_000_000u32, scattering(1_000_000));
        let at = |turn: u32| u64::from(turn) * u64::from(step) % u64::from(flows);
        let nearest = (1..100).map(|turn| at(turn).min(u64::from(flows) - at(turn))).min();
        assert!(nearest.unwrap() > 4000, "{nearest:?} flows away");
    }

    #[test]
    fn scattered_flows_all_have_their_turn() {
        for flows in [1, 2, 3, 10, 1000, 100_000] {
            let mut frames = Frames::new(Kind::Udp, 1);
            frames.play(0, flows, Order::Scattered);
            let mut seen = HashSet::new();
            for _ in 0..flows {
                let mut burst = [HeapFrame::new(&[0; 64])];
                frames.fill(&mut burst);
                seen.insert(burst[0].bytes()[26..36].to_vec());
            }
            assert_eq!(seen.len(), usize::try_from(flows).unwrap());
        }
    }
}
