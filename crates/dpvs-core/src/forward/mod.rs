// SPDX-License-Identifier: MIT OR Apache-2.0
//! Forwarding methods. One file a method: what it can work with (`check`), what the answer to its
//! packets looks like (`bind`), and what else is its own.
//!
//! A new one is a file, a variant of [`Forward`], and a line in each `match` of this file. Nothing
//! else knows the methods. The methods that translate share [`rewrite`]: where a packet comes from
//! and goes to when it leaves follows from the two keys of its connection.

mod direct;
mod fullnat;
mod nat;
mod rewrite;
mod snat;
mod tunnel;

pub use rewrite::rewrite;
pub(crate) use rewrite::{rewrite_addresses, take_ttl};
pub(crate) use tunnel::SOURCE_PORT_MIN as GUE_SOURCE_PORT_MIN;

use crate::conn::{ConnTable, Direction, Sides, View};
use crate::counters::LaddrCounters;
use crate::key::{Address, Endpoint, Key};
use crate::parse::Packet;
use crate::tables::{
    Dest, DestSettings, Forward, Refusal, RefusalKind, Service, ServiceKey, Tables,
};
use crate::{DropReason, Frame, WorkerId};

/// Where a packet comes from and goes to. For an ICMP query the identifier is `src.port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Source.
    pub src: Endpoint,
    /// Destination.
    pub dst: Endpoint,
}

/// Checks a real server of a service against what its method can work with.
///
/// # Errors
/// `Invalid` or `NotSupported` with the reason.
pub(crate) fn check(
    tables: &Tables,
    key: &ServiceKey,
    endpoint: Endpoint,
    settings: &DestSettings,
) -> Result<(), Refusal> {
    if settings.forward != Forward::Snat && tables.address(endpoint.address).is_some() {
        let text = format!("{:?} is an address of this balancer", endpoint.address);
        return Err(Refusal::new(RefusalKind::Invalid, text).at("address"));
    }
    match settings.forward {
        Forward::FullNat => fullnat::check(key, endpoint),
        Forward::Nat => nat::check(key, endpoint),
        Forward::Direct => direct::check(tables, key, endpoint),
        Forward::Tunnel => tunnel::check(key, endpoint, settings.tunnel),
        Forward::Snat => snat::check(key, endpoint),
        Forward::Local => {
            let text = "the balancer itself cannot be a real server";
            Err(Refusal::new(RefusalKind::NotSupported, text).at("forward"))
        }
    }
}

/// What most methods need: a virtual address, and a server of the same family.
fn virtual_of_one_family(key: &ServiceKey, endpoint: Endpoint) -> Result<(), Refusal> {
    if key.virtual_().is_none() {
        let text = "services by match are for SNAT (-J) alone";
        return Err(Refusal::new(RefusalKind::Invalid, text).at("forward"));
    }
    if endpoint.address.family() != key.family() {
        let text = "a real server of the other address family needs a tunnel";
        return Err(Refusal::new(RefusalKind::NotSupported, text).at("address"));
    }
    Ok(())
}

/// What a real server's answers will look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) key: Key,
    /// The key's hash, if it has been looked up.
    pub(crate) hash: Option<u32>,
    /// The counters of the address that it takes a port or identifier of.
    pub(crate) pool: Option<&'a LaddrCounters>,
}

/// A connection in the making.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding<'b, 'a> {
    pub(crate) tables: &'b Tables,
    pub(crate) conns: &'b ConnTable,
    pub(crate) me: WorkerId,
    /// What the client sends.
    pub(crate) key: &'b Key,
    pub(crate) service: &'a Service,
    pub(crate) dest: &'a Dest,
}

impl<'a> Binding<'_, 'a> {
    /// Returns the real server's end; its port is the client's choice where the server has none.
    fn server(&self) -> Endpoint {
        let Endpoint { address, port } = self.dest.endpoint;
        let port = if port == 0 && !self.key.protocol.is_icmp() { self.key.dport } else { port };
        Endpoint { address, port }
    }

    /// Returns what the server sends when it answers to the client itself.
    fn answer_to_client(&self) -> Option<Key> {
        let server = self.server();
        let answer = self.key.reversed()?;
        let sport = if self.key.protocol.is_icmp() { answer.sport } else { server.port };
        Some(Key { src: server.address, sport, ..answer })
    }

    /// Finds what the real server's answers will look like, and takes what is needed for it.
    pub(crate) fn bind(&self) -> Result<Answer<'a>, DropReason> {
        match self.dest.settings.forward {
            Forward::FullNat => fullnat::bind(self),
            Forward::Nat => nat::bind(self),
            Forward::Direct => direct::bind(self),
            Forward::Tunnel => tunnel::bind(self),
            Forward::Snat => snat::bind(self),
            Forward::Local => Err(DropReason::NoDest),
        }
    }
}

/// Returns the counters of the address that a connection has a port or identifier of.
pub(crate) fn pool<'a>(
    service: &'a Service,
    dest: Option<&'a Dest>,
    conn: &View<'_>,
    me: WorkerId,
) -> Option<&'a LaddrCounters> {
    match conn.forward() {
        Forward::FullNat => {
            service.laddr_or_removed(conn.local_address())?.counters.part(me.index())
        }
        Forward::Snat => dest?.shared.pool()?.part(me.index()),
        Forward::Nat | Forward::Direct | Forward::Tunnel | Forward::Local => None,
    }
}

/// Returns the ends that a packet of a translated connection has when it leaves. `direction` is the
/// packet's way through the balancer, not the entry that it was found by.
#[inline]
pub fn ends(sides: &Sides, direction: Direction) -> Ends {
    let Sides { client, virtual_, local, dest, protocol } = *sides;
    match direction {
        Direction::Inbound => Ends { src: local, dst: dest },
        Direction::Outbound if protocol.is_icmp() => {
            Ends { src: Endpoint { port: client.port, ..virtual_ }, dst: client }
        }
        Direction::Outbound => Ends { src: virtual_, dst: client },
    }
}

/// Returns the address that the receiver of a connection's packets in `direction` talks to, if the
/// method hides the other one: the balancer's for servers, the virtual address for clients. Where one
/// side is left as it is, so are the sources of errors from there.
pub(crate) fn peer(method: Forward, sides: &Sides, direction: Direction) -> Option<Address> {
    hides_sender(method, direction).then_some(match direction {
        Direction::Inbound => sides.local.address,
        Direction::Outbound => sides.virtual_.address,
    })
}

/// Returns whether a method hides who sends a connection's packets in `direction`.
#[inline]
pub(crate) fn hides_sender(method: Forward, direction: Direction) -> bool {
    match direction {
        Direction::Inbound => matches!(method, Forward::FullNat | Forward::Snat),
        Direction::Outbound => matches!(method, Forward::FullNat | Forward::Nat),
    }
}

/// Returns the address that a connection's packets are routed to.
#[inline]
pub(crate) fn towards(sides: &Sides, direction: Direction) -> Address {
    match direction {
        Direction::Inbound => sides.dest.address,
        Direction::Outbound => sides.client.address,
    }
}

/// Returns how many bytes a method adds to a packet. It is the connection's: its server may have been
/// given another since.
pub(crate) fn overhead(method: Forward, dest: &Dest) -> usize {
    match method {
        Forward::Tunnel => tunnel::overhead(dest.endpoint.address.family(), dest.settings.tunnel),
        _ => 0,
    }
}

/// Makes of a packet what leaves, by a method that does not translate. `source` is an address of
/// ours for what is wrapped. Returns the packet as it leaves: its destination is where to route it.
pub(crate) fn pass<F: Frame>(
    frame: &mut F,
    packet: &Packet,
    (method, dest): (Forward, &Dest),
    source: Option<Address>,
) -> Result<Packet, DropReason> {
    match method {
        Forward::Tunnel => {
            let source = source.ok_or(DropReason::NoLocalAddress)?;
            let ends = (source, dest.endpoint.address);
            tunnel::wrap(frame, packet, ends, dest.settings.tunnel).ok_or(DropReason::NoHeadroom)
        }
        _ => Ok(*packet),
    }
}
