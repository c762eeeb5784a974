// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections: the record, its states, and the table they are found in.

mod find;
mod plain;
mod record;
mod sctp;
mod sequences;
mod table;
mod tcp;
mod view;
mod wheel;

pub(crate) use find::{Place, Sought};
pub use sctp::{Sctp, SctpChunk};
pub use sequences::Sequences;
pub(crate) use table::TIMERS_TOGETHER;
pub use table::{ConnIndex, ConnTable, Found, TableFull};
pub use tcp::TcpState;
pub(crate) use view::View;

use crate::Millis;
use crate::key::{Endpoint, Key};
use crate::net::Protocol;
use crate::tables::{DestId, Forward, ServiceId, Timeouts};

/// Which way a packet goes through the balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the real server.
    Inbound,
    /// The way back.
    Outbound,
}

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// TCP.
    Tcp(TcpState),
    /// UDP has none.
    Udp,
    /// SCTP.
    Sctp(Sctp),
    /// The request half of an ICMP query pair. It owns the pair's timer.
    Request {
        /// The reply half, once a reply came.
        reply: Option<ConnIndex>,
    },
    /// The reply half.
    Reply {
        /// The request half, which outlives it.
        request: ConnIndex,
    },
    /// Not a connection: what binds a client to a real server (persistence).
    Template {
        /// Connections made by it that have not ended.
        members: u32,
    },
}

/// By which of its keys a connection is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entries {
    /// By both.
    Both,
    /// By what the client sends alone: the answers go past us.
    Inbound,
    /// By what the real server sends alone: each of the client's packets makes a connection.
    Outbound,
}

impl Entries {
    pub(crate) fn has(self, direction: Direction) -> bool {
        match self {
            Entries::Both => true,
            Entries::Inbound => direction == Direction::Inbound,
            Entries::Outbound => direction == Direction::Outbound,
        }
    }
}

impl State {
    /// Returns the name in listings: IPVS's, and `REQUEST` or `REPLY`.
    pub fn name(self) -> &'static str {
        match self {
            State::Tcp(state) => state.name(),
            State::Udp => "UDP",
            State::Sctp(state) => state.name(),
            State::Request { .. } => "REQUEST",
            State::Reply { .. } => "REPLY",
            State::Template { .. } => "NONE",
        }
    }

    /// Returns the idle timeout in milliseconds. `own_ms` is the service's own for connections that
    /// stand; 0 is the protocol's. A template's is its service's persistence, which is kept in it.
    pub fn timeout_ms(self, timeouts: &Timeouts, own_ms: u32) -> u32 {
        let or_own = |ms| if own_ms == 0 { ms } else { own_ms };
        match self {
            State::Tcp(TcpState::Established) => or_own(timeouts.tcp_ms),
            State::Tcp(state) => state.timeout_ms(timeouts),
            State::Udp => or_own(timeouts.udp_ms),
            State::Sctp(state) if state.is_active() => or_own(state.timeout_ms(timeouts)),
            State::Sctp(state) => state.timeout_ms(timeouts),
            State::Request { .. } | State::Reply { .. } => timeouts.icmp_ms,
            State::Template { .. } => 0,
        }
    }

    /// Returns whether it counts as an active connection of its real server.
    pub fn is_active(self) -> bool {
        match self {
            State::Tcp(state) => state.is_active(),
            State::Sctp(state) => state.is_active(),
            _ => false,
        }
    }
}

/// A connection.
///
/// The four ends follow from the two keys: the client sends to the virtual address, the real server
/// to the local one, which is the client itself where the source is not translated. The reply half of an ICMP query pair is found by what the real server sends;
/// its other key is that of its request and is not in the table.
#[derive(Clone, Copy, Debug)]
pub struct Conn {
    /// The key it is found by first: what the client sends, or for a reply what the server sends.
    pub inbound: Key,
    /// What the other side sends. For a request: the reply that it expects.
    pub outbound: Key,
    /// State.
    pub state: State,
    /// The service.
    pub service: ServiceId,
    /// The real server.
    pub dest: DestId,
    /// The forwarding method it was made with.
    pub forward: Forward,
    /// By which keys it is found.
    pub entries: Entries,
    /// The template that it was made by, in the table of templates.
    pub template: Option<ConnIndex>,
    /// When the last packet came.
    pub last_seen: Millis,
    /// How long it may be idle from then on.
    pub timeout_ms: u32,
    /// Sequence numbers of TCP under way, where they are checked.
    pub sequences: Sequences,
    /// When the last path MTU was told.
    pub mtu_told_at: Option<Millis>,
    /// Packets found by `inbound`.
    pub in_packets: u64,
    /// Packets found by `outbound`.
    pub out_packets: u64,
}

impl Conn {
    fn client_key(&self) -> &Key {
        if matches!(self.state, State::Reply { .. }) { &self.outbound } else { &self.inbound }
    }

    fn server_key(&self) -> &Key {
        if matches!(self.state, State::Reply { .. }) { &self.inbound } else { &self.outbound }
    }

    /// Returns the protocol.
    pub fn protocol(&self) -> Protocol {
        self.inbound.protocol
    }

    /// Returns its four ends.
    pub fn sides(&self) -> Sides {
        Sides::of(self.client_key(), self.server_key())
    }

    /// Returns the client; the port is the identifier for ICMP.
    pub fn client(&self) -> Endpoint {
        self.sides().client
    }

    /// Returns the virtual address; port 0 for ICMP.
    pub fn virtual_(&self) -> Endpoint {
        self.sides().virtual_
    }

    /// Returns the local address; the port is the identifier for ICMP.
    pub fn local(&self) -> Endpoint {
        self.sides().local
    }

    /// Returns the real server; port 0 for ICMP.
    pub fn dest_end(&self) -> Endpoint {
        self.sides().dest
    }

    /// Returns when it expires if it stays idle.
    pub fn expires_at(&self) -> Millis {
        self.last_seen + u64::from(self.timeout_ms)
    }
}

/// The four ends of a connection, and their protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sides {
    /// The client; the port is the identifier for ICMP.
    pub client: Endpoint,
    /// The virtual address; port 0 for ICMP.
    pub virtual_: Endpoint,
    /// The local address; the port is the identifier for ICMP.
    pub local: Endpoint,
    /// The real server; port 0 for ICMP.
    pub dest: Endpoint,
    /// The protocol.
    pub protocol: Protocol,
}

impl Sides {
    /// Those of what the client sends and what the server answers.
    #[inline]
    fn of(client: &Key, server: &Key) -> Self {
        let protocol = client.protocol;
        if protocol.is_icmp() {
            return Sides {
                client: client.source(),
                virtual_: Endpoint { address: client.dst, port: 0 },
                local: Endpoint { address: server.dst, port: server.sport },
                dest: Endpoint { address: server.src, port: 0 },
                protocol,
            };
        }
        Sides {
            client: client.source(),
            virtual_: client.destination(),
            local: server.destination(),
            dest: server.source(),
            protocol,
        }
    }
}
