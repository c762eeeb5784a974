// SPDX-License-Identifier: MIT OR Apache-2.0
//! A worker: owns its connections, neighbours and limiters by value, and decides about frames.
//!
//! All methods are for the worker's own thread. Nothing here allocates after the start, locks, logs
//! or makes a system call.

mod answers;
mod burst;
mod control;
mod echo;
mod endings;
mod errors;
mod fragments;
mod local;
mod owners;
mod persistence;
mod plain;
mod plain_errors;
mod process;
mod queries;
mod query_share;
mod sessions;
mod spreads;
mod tunnel_errors;
mod ways;

pub use control::{Command, ConnFilter, ConnInfo, ConnQuery, Event};

use crate::conn::{ConnTable, Direction};
use crate::counters::WorkerCounters;
use crate::fragment::{self, FragmentTable};
use crate::icmp::recorder::Recorder;
use crate::limiter::{Buckets, TokenBucket};
use crate::neighbour::{Link, NeighbourUpdate, Neighbours};
use crate::net::Mac;
use crate::parse::{Packet, Payload, Span};
use crate::tables::{RouteLookup, Tables};
use crate::wire::{EtherType, EthernetHeader, view_mut};
use crate::{DropReason, Frame, Millis, NextHop, PortId, Verdict, WorkerId};
use arrayvec::ArrayVec;
use query_share::QueryShare;
use std::sync::Arc;
use zerocopy::big_endian::U16;

/// Longest frame that a worker makes out of nothing: a neighbour advertisement has 86 bytes.
const MADE_LEN_MAX: usize = 96;
/// Most frames made between two looks of the caller; more are not made.
const MADE_MAX: usize = 64;
/// Connections to a template, at least: a client that is bound has at least one, mostly several.
const TEMPLATE_SHARE: usize = 4;
/// Of this many places in the connection table a query pair may have one: a pair takes two, so that at
/// least half of the table is left for others.
const QUERY_SHARE: usize = 4;
/// Datagrams whose parts are known at a time.
const FRAGMENTED_MAX: usize = 4096;
/// Most link addresses learned between two looks of the caller; more are learned again later.
const LEARNED_MAX: usize = 32;

/// A frame made out of nothing: ARP, neighbour discovery.
#[derive(Clone, Debug)]
pub struct MadeFrame {
    /// The port to send it from.
    pub port: PortId,
    bytes: ArrayVec<u8, MADE_LEN_MAX>,
}

impl MadeFrame {
    /// Returns the frame.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A worker.
#[derive(Debug)]
pub struct Worker {
    tables: Arc<Tables>,
    state: WorkerState,
    /// Places for the frames of a burst.
    places: Box<burst::Places>,
    control: control::Control,
}

/// Everything of a worker but the tables, so that both can be borrowed at once.
#[derive(Debug)]
struct WorkerState {
    me: WorkerId,
    conns: ConnTable,
    /// What binds clients to real servers.
    templates: ConnTable,
    /// What becomes of the later parts of datagrams.
    fragments: FragmentTable<fragments::Continuation>,
    neighbours: Neighbours,
    counters: Arc<WorkerCounters>,
    queries: QueryShare,
    relayed: TokenBucket,
    relayed_per_virtual: Buckets,
    made_per_destination: Buckets,
    echoes_per_address: Buckets,
    echoes_per_source: Buckets,
    prohibited: TokenBucket,
    recorder: Recorder,
    answered: plain::Answered,
    /// The ways that plain packets have gone lately.
    ways: ways::Ways,
    /// Whose plain packets without a connection are.
    spreads: spreads::Spreads,
    made_errors: TokenBucket,
    made: ArrayVec<MadeFrame, MADE_MAX>,
    learned: ArrayVec<NeighbourUpdate, LEARNED_MAX>,
}

impl Worker {
    /// Makes a worker with room for `capacity` connections. `commands` and `events` connect it to
    /// the control thread; `counters` are read there.
    pub fn new(
        me: WorkerId,
        tables: Arc<Tables>,
        capacity: usize,
        counters: Arc<WorkerCounters>,
        commands: rtrb::Consumer<Command>,
        events: rtrb::Producer<Event>,
    ) -> Self {
        Worker {
            tables,
            state: WorkerState {
                me,
                conns: ConnTable::with_capacity(capacity),
                templates: ConnTable::with_capacity(capacity / TEMPLATE_SHARE),
                fragments: FragmentTable::with_capacity(FRAGMENTED_MAX),
                neighbours: Neighbours::new(),
                counters,
                queries: QueryShare::new(capacity / QUERY_SHARE),
                relayed: TokenBucket::default(),
                relayed_per_virtual: Buckets::new(),
                made_per_destination: Buckets::new(),
                echoes_per_address: Buckets::new(),
                echoes_per_source: Buckets::new(),
                prohibited: TokenBucket::default(),
                recorder: Recorder::new(),
                answered: plain::Answered::default(),
                ways: ways::Ways::new(),
                spreads: spreads::Spreads::new(),
                made_errors: TokenBucket::default(),
                made: ArrayVec::new(),
                learned: ArrayVec::new(),
            },
            places: Box::new(burst::Places::new()),
            control: control::Control::new(commands, events),
        }
    }

    /// Returns the tables in use.
    pub fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    /// Returns the connections.
    pub fn connections(&self) -> &ConnTable {
        &self.state.conns
    }

    /// Returns the counters.
    pub fn counters(&self) -> &WorkerCounters {
        &self.state.counters
    }

    /// Counts a frame that the caller had to drop.
    pub fn count_drop(&self, reason: DropReason) {
        self.state.counters.count_drop(reason);
    }

    /// Takes the frames made out of nothing since the last call.
    pub fn take_made(&mut self) -> impl Iterator<Item = MadeFrame> {
        self.state.made.drain(..)
    }

    /// Takes the link addresses learned since the last call; every other worker is to
    /// [`Worker::learn`] them.
    pub fn take_learned(&mut self) -> impl Iterator<Item = NeighbourUpdate> {
        self.state.learned.drain(..)
    }

    /// Learns a link address that another worker found.
    pub fn learn(&mut self, now: Millis, update: NeighbourUpdate) {
        self.state.neighbours.learn(now, update, true);
    }

    /// Returns whether the port's hash of a frame is the one that we compute; `None` for frames that
    /// are not to be compared: without ports, or without a hash.
    pub fn has_our_hash<F: Frame>(&self, frame: &F) -> Option<bool> {
        let theirs = frame.rx().rss_hash?;
        let packet = self.parse(frame)?;
        match packet.payload {
            Payload::Tcp { .. } | Payload::Udp { .. } if packet.fragment.is_none() => {
                Some(self.tables.steering().hash(&packet.key()?) == theirs)
            }
            _ => None,
        }
    }

    /// Cuts a frame with the verdict [`Verdict::Split`] into pieces of at most `mtu` bytes, which are
    /// [`Worker::process_split`]'s. `None` if that cannot be.
    pub fn split<'a, F: Frame>(&self, frame: &'a F, mtu: u32) -> Option<fragment::Pieces<'a>> {
        fragment::split(frame.bytes(), &self.parse(frame)?, mtu)
    }

    /// Looks again at a frame with the verdict [`Verdict::Wait`].
    pub fn resolve<F: Frame>(&mut self, now: Millis, hop: NextHop, frame: &mut F) -> Verdict {
        let verdict = self.state.next_hop(&self.tables, now, hop, frame.bytes_mut());
        self.state.count_end(&verdict);
        verdict
    }
}

impl WorkerState {
    /// Counts the end of a frame, once, where its verdict is final.
    #[inline]
    fn count_end(&self, verdict: &Verdict) {
        match verdict {
            Verdict::Drop(reason) => self.counters.count_drop(*reason),
            Verdict::Consumed => self.counters.frames_used.add(1),
            _ => {}
        }
    }

    /// Sends a finished packet on its way: route, Ethernet header, link address of the next hop.
    fn send<F: Frame>(
        &mut self,
        tables: &Tables,
        now: Millis,
        frame: &mut F,
        packet: &Packet,
    ) -> Verdict {
        self.send_by(tables, now, frame, packet.span(), tables.routes().lookup(packet.dst))
    }

    /// The same, by a route that has been looked up.
    fn send_by<F: Frame>(
        &mut self,
        tables: &Tables,
        now: Millis,
        frame: &mut F,
        packet: Span,
        route: Option<RouteLookup>,
    ) -> Verdict {
        let Some(route) = route else {
            return Verdict::Drop(DropReason::NoRoute);
        };
        let Some(port) = tables.port(route.port) else {
            return Verdict::Drop(DropReason::NoRoute);
        };
        // Neither the trailer nor a priority tag goes along.
        frame.truncate(packet.end);
        let surplus = packet.l3 - EthernetHeader::LEN;
        if surplus > 0 && frame.pull_front(surplus).is_err() {
            return Verdict::Drop(DropReason::TruncatedHeader);
        }
        let bytes = frame.bytes_mut();
        let Some(header) = view_mut::<EthernetHeader>(bytes, 0) else {
            return Verdict::Drop(DropReason::TruncatedHeader);
        };
        header.src = port.mac.0;
        header.ether_type = U16::new(EtherType::of(packet.family));
        let hop = NextHop { port: route.port, address: route.next_hop };
        self.next_hop(tables, now, hop, bytes)
    }

    /// Fills in the link destination, or asks for it.
    fn next_hop(
        &mut self,
        tables: &Tables,
        now: Millis,
        hop: NextHop,
        bytes: &mut [u8],
    ) -> Verdict {
        let resolution = self.neighbours.resolve(tables, now, hop);
        if resolution.ask {
            let known = match resolution.link {
                Link::Known(mac) => Some(mac),
                Link::Pending | Link::Failed => None,
            };
            self.ask(tables, hop, known);
        }
        match resolution.link {
            Link::Known(mac) => {
                if let Some(header) = view_mut::<EthernetHeader>(bytes, 0) {
                    header.dst = mac.0;
                }
                Verdict::Transmit(hop.port)
            }
            Link::Pending => Verdict::Wait(hop),
            Link::Failed => Verdict::Drop(DropReason::NeighbourUnresolved),
        }
    }

    fn make(&mut self, port: PortId, parts: &[&[u8]]) {
        let mut bytes = ArrayVec::new();
        let fits = parts.iter().all(|part| bytes.try_extend_from_slice(part).is_ok());
        debug_assert!(fits, "what we make is at most {MADE_LEN_MAX} bytes long");
        // A full outbox loses a question that will be asked again.
        if self.made.try_push(MadeFrame { port, bytes }).is_ok() {
            self.counters.frames_made.add(1);
        }
    }
}

/// Returns the way that a packet goes from the entry that it was found by.
fn direction_of(entry: Direction, is_reply: bool) -> Direction {
    if is_reply { Direction::Outbound } else { entry }
}

/// The link address that multicast to an IPv6 address goes to (RFC 2464 section 7).
fn multicast_mac(address: [u8; 16]) -> Mac {
    let [.., a, b, c, d] = address;
    Mac([0x33, 0x33, a, b, c, d])
}
