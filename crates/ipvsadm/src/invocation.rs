// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a command line asks for, once it has been understood.

use dpvs_api::types::{
    AccessSpec, DestRef, DestSpec, Endpoint, LaddrSpec, Protocol, ServiceKey, ServiceSelector,
    ServiceSpec, TimeoutSpec,
};
use std::path::PathBuf;

/// How listings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As ipvsadm 1.31 prints.
    Stock,
    /// As the ipvsadm of DPVS prints, where it differs in more than details: connections.
    Dpvs,
    /// The replies of the API.
    Json,
}

impl Format {
    /// Returns the format of a name.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            b"stock" => Some(Format::Stock),
            b"dpvs" => Some(Format::Dpvs),
            b"json" => Some(Format::Json),
            _ => None,
        }
    }
}

/// Which columns a listing of services has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Scheduler, flags, forwarding, weight, connections.
    #[default]
    Default,
    /// As `Default`, with the encapsulation.
    TunInfo,
    /// Counters.
    Stats,
    /// Rates.
    Rate,
    /// Thresholds and connections.
    Thresholds,
    /// Persistence templates and connections.
    PersistentConn,
}

/// A listing of services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceListing {
    /// Only this service.
    pub service: Option<ServiceKey>,
    /// Which columns.
    pub view: View,
    /// Numbers instead of names.
    pub numeric: bool,
    /// Whole numbers instead of K, M, G, T.
    pub exact: bool,
    /// The daemon's order instead of a sorted one.
    pub nosort: bool,
    /// Only this worker, counted from 1 as DPVS counts.
    pub cpu: Option<u8>,
}

/// The two ends of one connection, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SockPair {
    /// The protocol.
    pub protocol: Protocol,
    /// The client.
    pub client: Endpoint,
    /// The virtual address.
    pub virtual_: Endpoint,
}

/// A listing of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnListing {
    /// Only this one.
    pub sockpair: Option<SockPair>,
    /// Numbers instead of names.
    pub numeric: bool,
    /// With the columns of persistence engines; in the DPVS format, templates only.
    pub persistent: bool,
    /// Only this worker, counted from 1 as DPVS counts.
    pub cpu: Option<u8>,
}

/// One of the two lists that say who may connect to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessList {
    /// Those who may not.
    Black,
    /// Those who may, if there are any.
    White,
}

impl AccessList {
    /// Returns the list's name in messages.
    pub fn word(self) -> &'static str {
        match self {
            AccessList::Black => "blacklist",
            AccessList::White => "whitelist",
        }
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Print the help.
    Help {
        /// The name that the program was started by.
        program: String,
    },
    /// Print the version.
    Version,
    /// Add a service.
    AddService(Box<ServiceSpec>),
    /// Change a service: stock's attributes are given, the others where they were.
    EditService(Box<ServiceSpec>),
    /// Remove a service.
    DeleteService(ServiceKey),
    /// Remove all services.
    Flush,
    /// Add a real server.
    AddServer(DestSpec),
    /// Change a real server.
    EditServer(DestSpec),
    /// Remove a real server.
    DeleteServer(DestRef),
    /// Set the timeouts of idle connections.
    SetTimeouts(TimeoutSpec),
    /// Zero counters.
    Zero(ServiceSelector),
    /// Add a local address.
    AddLaddr(LaddrSpec),
    /// Remove a local address.
    DelLaddr(LaddrSpec),
    /// Put a client on a list.
    AddClient(AccessList, AccessSpec),
    /// Take a client off a list.
    DelClient(AccessList, AccessSpec),
    /// List services.
    ListServices(ServiceListing),
    /// List connections.
    ListConnections(ConnListing),
    /// Print the timeouts.
    ListTimeouts,
    /// Print the connection sync daemons.
    ListDaemons,
    /// List local addresses.
    ListLaddrs(ServiceSelector),
    /// List the clients on black lists or on white lists.
    ListClients(AccessList, ServiceSelector),
    /// Print commands that make the services again.
    Save {
        /// Numbers instead of names.
        numeric: bool,
    },
    /// Carry out the commands on stdin.
    Restore {
        /// All or none.
        atomic: bool,
    },
    /// Say that this cannot be done.
    Refuse(&'static str),
}

/// A command line that has been understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// What to do.
    pub action: Action,
    /// The daemon's socket, where it was given.
    pub socket: Option<PathBuf>,
    /// The format of listings, where it was given.
    pub format: Option<Format>,
    /// What else to say on stderr.
    pub warnings: Vec<String>,
}
