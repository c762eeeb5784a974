// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything the control plane decides, never changed in place.
//!
//! The control thread makes a [`Draft`] of the current [`Tables`], changes it, and publishes it; each
//! worker takes the new `Arc<Tables>` between two bursts and gives the old one back, so nothing is
//! freed on a packet thread. A draft shares with its origin what it does not change.

mod access;
mod dest;
mod draft;
mod draft_dests;
mod draft_network;
mod echo;
mod icmp;
mod matching;
mod network;
mod refusal;
mod routes;
mod service;

pub use access::{AccessList, AccessLists};
pub use dest::{Dest, DestId, DestSettings, Forward, Tunnel, TunnelChecksum, TunnelKind};
pub use draft::Draft;
pub use echo::{Echo, EchoAnswer, EchoDown, EchoPolicy, EchoRule};
pub use icmp::{Check, ErrorSource, IcmpPolicy};
pub use matching::{Match, Range};
pub use network::{LocalAddress, Port, Scope, StaticNeighbour};
pub use refusal::{Refusal, RefusalKind};
pub(crate) use routes::smaller_mtu;
pub use routes::{Route, RouteLookup, Routes};
pub use service::{
    Laddr, Persistence, Service, ServiceId, ServiceKey, ServiceSettings, VirtualKey,
};

use crate::PortId;
use crate::ids::position;
use crate::key::{Address, Endpoint, Key};
use crate::net::Protocol;
use crate::path_mtu::PathMtus;
use crate::steering::Steering;
use hashbrown::HashMap;
use service::{ServiceSlot, SlotState};
use std::collections::VecDeque;
use std::sync::Arc;

/// The hash of the tables' maps: fast, and its seed is not known outside.
pub(crate) type MapHash = foldhash::quality::RandomState;

/// The real server's end of NAT connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct NatEnd {
    protocol: Protocol,
    /// Port 0 stands for any.
    end: Endpoint,
}

/// How many services have an address: as their virtual one, as a local one that stands or is
/// remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Uses {
    virtual_: u32,
    local: u32,
}

/// Far ends of tunnels, each with the real servers there.
type TunnelEnds = HashMap<Address, Vec<TunnelPlace>, MapHash>;

/// A real server behind a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TunnelPlace {
    /// Slot of its service.
    slot: u32,
    port: u16,
    id: DestId,
}

/// Most real servers at the far end of one tunnel that count errors about its packets.
const TUNNEL_DESTS_MAX: usize = 64;

/// Most services that the answer of one real server is looked for in.
const NAT_SERVICES_MAX: usize = 64;

/// A snapshot of the configuration.
#[derive(Clone, Debug)]
pub struct Tables {
    generation: u64,
    steering: Arc<Steering>,
    ports: Arc<Vec<Port>>,
    addresses: Arc<Vec<LocalAddress>>,
    address_index: Arc<HashMap<Address, u32, MapHash>>,
    routes: Arc<Routes>,
    neighbours: Arc<Vec<StaticNeighbour>>,
    services: Vec<ServiceSlot>,
    service_index: HashMap<ServiceKey, u32, MapHash>,
    served: HashMap<Address, Uses, MapHash>,
    /// Some address is both virtual and local.
    has_shared_addresses: bool,
    /// Slots of services by match, in the order of their making.
    match_slots: Vec<u32>,
    /// Slots of services whose NAT connections a real server's packets may answer.
    nat_index: Arc<HashMap<NatEnd, Vec<u32>, MapHash>>,
    /// Slots of deleted services, oldest first: they keep their place for a while, so that the
    /// connections live on when the service comes back (`ipvsadm -C; ipvsadm -R`).
    deleted: VecDeque<u32>,
    tunnel_ends: Arc<TunnelEnds>,
    /// What is known of the ways to the far ends of tunnels.
    path_mtus: Arc<PathMtus>,
    /// Which addresses have echo policies of their own.
    echoes: Arc<echo::Echoes>,
    /// Timeouts of idle connections.
    pub timeouts: Timeouts,
    /// Limits and switches.
    pub limits: Limits,
}

impl Tables {
    /// Makes tables with ports and nothing else, for workers that share the work by `steering`.
    pub fn new(ports: Vec<Port>, steering: Steering, limits: Limits) -> Self {
        Tables {
            generation: 0,
            steering: Arc::new(steering),
            ports: Arc::new(ports),
            addresses: Arc::default(),
            address_index: Arc::default(),
            routes: Arc::default(),
            neighbours: Arc::default(),
            services: Vec::new(),
            service_index: HashMap::default(),
            served: HashMap::default(),
            has_shared_addresses: false,
            match_slots: Vec::new(),
            nat_index: Arc::default(),
            deleted: VecDeque::new(),
            tunnel_ends: Arc::default(),
            path_mtus: Arc::default(),
            echoes: Arc::default(),
            timeouts: Timeouts::default(),
            limits,
        }
    }

    /// Returns the number of the snapshot; it grows by one with each published draft.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns how frames find their workers.
    pub fn steering(&self) -> &Steering {
        &self.steering
    }

    /// Returns all ports in the order of their numbers.
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// Returns a port.
    pub fn port(&self, id: PortId) -> Option<&Port> {
        self.ports.get(id.index())
    }

    /// Returns the port of a name.
    pub fn port_by_name(&self, name: &str) -> Option<PortId> {
        self.ports.iter().find(|port| port.name == name).map(|port| port.id)
    }

    /// Returns all addresses in the order of their making.
    pub fn addresses(&self) -> &[LocalAddress] {
        &self.addresses
    }

    /// Returns an address if it is ours, on whichever port.
    pub fn address(&self, address: Address) -> Option<&LocalAddress> {
        self.address_index.get(&address).and_then(|i| self.addresses.get(position(*i)))
    }

    /// Returns the address to use as ours when talking to `peer` on `port`: one whose prefix holds
    /// the peer, else any of its family there.
    pub fn source_for(&self, port: PortId, peer: Address) -> Option<Address> {
        let of_family = |a: &&LocalAddress| {
            a.port == port && a.scope != Scope::Host && a.address.family() == peer.family()
        };
        let ours = || self.addresses.iter().filter(of_family);
        ours()
            .find(|a| a.prefix.len() < peer.family().bits() && a.prefix.contains(peer.ip()))
            .or_else(|| ours().next())
            .map(|a| a.address)
    }

    /// Returns the routes.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Returns whether an address is, or was lately, the far end of one of our tunnels.
    pub fn is_tunnel_end(&self, address: Address) -> bool {
        self.tunnel_ends.contains_key(&address)
    }

    /// Returns the real servers at the far end of a tunnel; a few at most.
    pub(crate) fn tunnel_dests(&self, address: Address) -> impl Iterator<Item = &Dest> {
        let places = self.tunnel_ends.get(&address).into_iter().flatten().take(TUNNEL_DESTS_MAX);
        places.filter_map(|place| {
            let service = self.services.get(position(place.slot))?.live()?;
            service.dest(place.id).filter(|dest| dest.settings.forward == Forward::Tunnel)
        })
    }

    /// Returns what is known of the ways to the far ends of tunnels; all snapshots share it.
    pub fn path_mtus(&self) -> &PathMtus {
        &self.path_mtus
    }

    /// Returns whether an address is the host's own on a link, and its kernel has it too: what no
    /// connection here claims may be the host's.
    pub(crate) fn is_hosts(&self, address: Address) -> bool {
        self.address(address).is_some_and(|ours| {
            ours.prefix.len() < address.family().bits()
                && self.port(ours.port).is_some_and(|port| port.has_kernel)
        })
    }

    /// Returns the configured neighbours.
    pub fn neighbours(&self) -> &[StaticNeighbour] {
        &self.neighbours
    }

    /// Returns the service for a packet to `address` and `port`: that of the port, else one that
    /// takes any port. ICMP services have port 0.
    pub fn service_for(&self, protocol: Protocol, address: Address, port: u16) -> Option<&Service> {
        let at = |port| self.service(&ServiceKey::new(protocol, address, port));
        if protocol.is_icmp() { at(0) } else { at(port).or_else(|| at(0)) }
    }

    /// Returns the service by match for a packet on its way through: the first that fits.
    pub fn service_matching(&self, key: &Key, iif: PortId) -> Option<&Service> {
        if self.match_slots.is_empty() {
            return None;
        }
        let oif = self.routes.lookup(key.dst)?.port;
        self.match_slots.iter().find_map(|slot| {
            let service = self.services.get(position(*slot)).and_then(ServiceSlot::live)?;
            match &service.key {
                ServiceKey::Match(pattern) if pattern.fits(key, iif, oif) => Some(service.as_ref()),
                _ => None,
            }
        })
    }

    /// Returns whether services take packets for an address: a virtual or a local one of theirs.
    pub fn is_served(&self, address: Address) -> bool {
        self.served.contains_key(&address)
    }

    /// Returns whether an address is ours, a port's or a service's.
    pub fn is_ours(&self, address: Address) -> bool {
        self.address_index.contains_key(&address) || self.is_served(address)
    }

    /// Returns whether packets on their way through can be anybody's business here.
    pub fn has_transit(&self) -> bool {
        !self.match_slots.is_empty() || !self.nat_index.is_empty()
    }

    /// Returns what the clients of NAT services would have sent for `key` to be the answer; a few
    /// at most, with their services.
    pub(crate) fn nat_requests(&self, key: &Key) -> impl Iterator<Item = (&Service, Key)> {
        let slots_of = |port| {
            let end = Endpoint { address: key.src, port };
            self.nat_index.get(&NatEnd { protocol: key.protocol, end })
        };
        let of_port = if key.protocol.is_icmp() { None } else { slots_of(key.sport) };
        let request = key.reversed();
        let protocol = key.protocol;
        of_port.into_iter().chain(slots_of(0)).flatten().take(NAT_SERVICES_MAX).filter_map(
            move |slot| {
                let slot = self.services.get(position(*slot))?;
                let (SlotState::Live(service) | SlotState::Deleted(service)) = &slot.state else {
                    return None;
                };
                let virtual_ = service.key.virtual_()?;
                let mut request = request?;
                request.dst = virtual_.address;
                if !protocol.is_icmp() && virtual_.port != 0 {
                    request.dport = virtual_.port;
                }
                Some((service.as_ref(), request))
            },
        )
    }

    /// Returns the service of a key.
    pub fn service(&self, key: &ServiceKey) -> Option<&Service> {
        let slot = self.service_index.get(key)?;
        self.services.get(position(*slot)).and_then(ServiceSlot::live).map(Arc::as_ref)
    }

    /// Returns the service of an id, unless it was deleted.
    pub fn service_by_id(&self, id: ServiceId) -> Option<&Service> {
        let slot = self.services.get(position(id.slot))?;
        if slot.generation == id.generation { slot.live().map(Arc::as_ref) } else { None }
    }

    /// Returns the service of an id also while it is deleted but not forgotten.
    pub fn service_by_id_or_deleted(&self, id: ServiceId) -> Option<&Service> {
        let slot = self.services.get(position(id.slot))?;
        match &slot.state {
            SlotState::Live(service) | SlotState::Deleted(service)
                if slot.generation == id.generation =>
            {
                Some(service)
            }
            _ => None,
        }
    }

    /// Returns all services: those with addresses in the order of their slots, then those by match in
    /// the order in which they are tried.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        let live = self.services.iter().filter_map(ServiceSlot::live);
        let slots = self.match_slots.iter();
        let matches = slots.filter_map(|slot| self.services.get(position(*slot))?.live());
        live.filter(|service| service.key.virtual_().is_some()).chain(matches)
    }

    /// Returns how many services there are.
    pub fn services_len(&self) -> usize {
        self.service_index.len()
    }

    /// Returns whether an address is a local address of any service, or was one and connections may
    /// still use it.
    pub fn is_laddr(&self, address: Address) -> bool {
        self.served.get(&address).is_some_and(|uses| uses.local > 0)
    }

    /// Returns whether an address is ours for the sake of connections alone: a local address or one
    /// of SNAT, and neither a virtual address nor the host's own on a link.
    pub fn is_pool(&self, address: Address) -> bool {
        let of_link = |ours: &LocalAddress| ours.prefix.len() < address.family().bits();
        let ours = self.address(address);
        (self.is_laddr(address) || ours.is_some_and(|ours| ours.is_pool))
            && !self.is_virtual(address)
            && !ours.is_some_and(of_link)
    }

    /// Returns whether any service's virtual address is a local address too.
    pub(crate) fn has_shared_addresses(&self) -> bool {
        self.has_shared_addresses
    }

    /// Returns whether an address is the virtual address of any service.
    pub fn is_virtual(&self, address: Address) -> bool {
        self.served.get(&address).is_some_and(|uses| uses.virtual_ > 0)
    }
}

/// Timeouts of idle connections in milliseconds. The defaults are those of IPVS; ICMP's is the
/// least that RFC 5508 REQ-2 allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Established TCP.
    pub tcp_ms: u32,
    /// TCP that one end has closed.
    pub tcp_fin_ms: u32,
    /// UDP.
    pub udp_ms: u32,
    /// ICMP queries.
    pub icmp_ms: u32,
}

impl Timeouts {
    /// Longest timeout: 31 days, as in IPVS.
    pub const SECONDS_MAX: u32 = 2_678_400;
    /// Shortest timeout of ICMP queries (RFC 5508 REQ-2).
    pub const ICMP_SECONDS_MIN: u32 = 60;
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts { tcp_ms: 900_000, tcp_fin_ms: 120_000, udp_ms: 300_000, icmp_ms: 60_000 }
    }
}

/// What happens to a packet for a service without a real server that takes connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoServer {
    /// It is dropped.
    #[default]
    Drop,
    /// TCP is reset; others are answered as by [`NoServer::PortUnreachable`].
    Reset,
    /// Its sender is told that the port cannot be reached.
    PortUnreachable,
    /// Its sender is told that the host cannot be reached.
    HostUnreachable,
    /// Its sender is told that this is forbidden.
    Prohibited,
}

/// Limits and switches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// First local port of full NAT.
    pub local_port_min: u16,
    /// Last local port of full NAT.
    pub local_port_max: u16,
    /// First identifier of forwarded ICMP queries.
    pub identifier_min: u16,
    /// Last identifier of forwarded ICMP queries.
    pub identifier_max: u16,
    /// ICMP.
    pub icmp: IcmpPolicy,
    /// What happens where no real server is.
    pub no_server: NoServer,
    /// Whether direct routing and tunnels take one from the time to live, as a router does.
    pub pass_takes_ttl: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            local_port_min: 1024,
            local_port_max: u16::MAX,
            identifier_min: 0,
            identifier_max: u16::MAX,
            icmp: IcmpPolicy::default(),
            no_server: NoServer::Drop,
            pass_takes_ttl: false,
        }
    }
}
