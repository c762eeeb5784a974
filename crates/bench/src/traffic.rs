// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames for the replay, the same in every run: what clients send, as the balancer's port gets it.

use dpvs_core::testing::PacketBuilder;
use std::net::Ipv4Addr;

/// The link address of DPDK's first `net_pcap` port.
pub const PORT_MAC: [u8; 6] = [0x02, 0x70, 0x63, 0x61, 0x70, 0x00];

/// The virtual address of all services.
pub const VIRTUAL: &str = "10.0.0.100";

/// Port of the services, and of the real servers: direct routing and tunnels change none.
pub const PORT: u16 = 53;

/// Data of a UDP packet that makes it the shortest of Ethernet, 64 bytes with the frame check.
const UDP_DATA: [u8; 18] = [0; 18];

/// Data of the pings: 64 bytes with the frame check, too.
const PING_DATA: [u8; 18] = [0; 18];

/// Frames of a file, at least: three bursts.
const FRAMES_MIN: usize = 96;

/// Clients' ports for each client's address.
const PORTS_EACH: u32 = 64;

/// Rounds of errors about all flows in a file of errors, after one round of what clients send: that
/// makes the connections, and is one packet in a hundred.
const ERROR_ROUNDS: usize = 99;

/// What the frames want from the balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Traffic {
    /// UDP of established connections, by full NAT.
    FullNat,
    /// The same, by NAT.
    Nat,
    /// The same, by direct routing.
    Direct,
    /// The same, by a tunnel of IP in IP.
    Tunnel,
    /// TCP SYN, by full NAT.
    SynFullNat,
    /// Pings of an address with a service for them, by full NAT.
    Echo,
    /// Pings that the balancer answers.
    LocalEcho,
    /// "Fragmentation needed" from routers on the way to clients, for the real servers.
    RelatedError,
}

impl Traffic {
    /// Its name in tables and options.
    pub fn name(self) -> &'static str {
        match self {
            Traffic::FullNat => "full-nat",
            Traffic::Nat => "nat",
            Traffic::Direct => "direct",
            Traffic::Tunnel => "tunnel",
            Traffic::SynFullNat => "syn-full-nat",
            Traffic::Echo => "echo",
            Traffic::LocalEcho => "local-echo",
            Traffic::RelatedError => "related-error",
        }
    }

    /// How many connections the flows are.
    pub fn connections(self, flows: usize) -> usize {
        match self {
            Traffic::LocalEcho => 0,
            _ => flows,
        }
    }

    /// How many connections the table must have room for: it is half full of them. A quarter of it may
    /// be pairs of pings, and three quarters of those one address's.
    pub fn table(self, flows: usize) -> usize {
        let share = if self == Traffic::Echo { 8 } else { 2 };
        share * self.connections(flows)
    }

    /// The frames of `flows` flows, round-robin.
    pub fn frames(self, flows: usize) -> impl Iterator<Item = Vec<u8>> {
        let count = match self {
            Traffic::RelatedError => flows * (1 + ERROR_ROUNDS),
            _ => flows.max(FRAMES_MIN),
        };
        // A ring with a power of two of places holds one less: that many could not be loaded.
        let count = if count.is_power_of_two() { count + 1 } else { count };
        (0..count).map(move |at| self.frame(u32::try_from(at % flows).unwrap_or(0), at / flows))
    }

    /// The frame of a flow. Of errors those of the first round make the connections.
    pub fn frame(self, flow: u32, round: usize) -> Vec<u8> {
        let client = client(flow);
        let address = client.0.to_string();
        let packet = PacketBuilder::new(&address, VIRTUAL).dst_mac(PORT_MAC);
        match self {
            Traffic::FullNat | Traffic::Nat | Traffic::Direct | Traffic::Tunnel => {
                packet.udp(client.1, PORT, &UDP_DATA)
            }
            Traffic::SynFullNat => packet.tcp(client.1, PORT, 2, &[0; 6]),
            Traffic::Echo | Traffic::LocalEcho => packet.ping(client.1, 1, &PING_DATA),
            Traffic::RelatedError if round == 0 => packet.udp(client.1, PORT, &UDP_DATA),
            Traffic::RelatedError => {
                let quoted = PacketBuilder::new(VIRTUAL, &address).udp(PORT, client.1, &UDP_DATA);
                let router = PacketBuilder::new("192.0.2.1", VIRTUAL).dst_mac(PORT_MAC);
                // As RFC 792 obliges: the IP header and 8 bytes. The way takes 1280 bytes.
                let quote = quoted.get(14..14 + 28).unwrap_or_default();
                router.icmp(3, 4, [0, 0, 5, 0], quote)
            }
        }
    }
}

/// The address and port, or identifier, of a flow: in the network for benchmarks (RFC 2544).
pub fn client(flow: u32) -> (Ipv4Addr, u16) {
    let address = u32::from(Ipv4Addr::new(198, 18, 0, 1)) + flow / PORTS_EACH;
    let port = 1024 + u16::try_from(flow % PORTS_EACH).unwrap_or(0) * 977;
    (Ipv4Addr::from(address), port)
}
