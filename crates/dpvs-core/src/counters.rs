// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counters that one worker writes and the control thread reads.
//!
//! A write is a plain load, add and store: only the owner writes, so no read-modify-write
//! instruction is needed. Readers may see a value that is a packet old.

use crate::DropReason;
use crate::icmp::messages::Messages;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning worker may call this.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Returns the value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets the value; for baselines, which the control thread owns.
    fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU32);

impl Gauge {
    /// Adds one. Only the owning worker may call this.
    #[inline]
    pub fn increment(&self) {
        self.set(self.get().saturating_add(1));
    }

    /// Takes one away. Only the owning worker may call this.
    #[inline]
    pub fn decrement(&self) {
        self.set(self.get().saturating_sub(1));
    }

    /// Sets the value. Only the owning worker may call this.
    #[inline]
    pub fn set(&self, value: u32) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Returns the value.
    #[inline]
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Traffic of a service or a real server on one worker.
#[derive(Debug, Default)]
pub struct TrafficCounters {
    /// Connections scheduled.
    pub connections: Counter,
    /// Packets from clients.
    pub in_packets: Counter,
    /// Packets to clients.
    pub out_packets: Counter,
    /// Bytes from clients, from the IP header on.
    pub in_bytes: Counter,
    /// Bytes to clients, from the IP header on.
    pub out_bytes: Counter,
}

impl TrafficCounters {
    fn read(&self) -> Traffic {
        Traffic {
            connections: self.connections.get(),
            in_packets: self.in_packets.get(),
            out_packets: self.out_packets.get(),
            in_bytes: self.in_bytes.get(),
            out_bytes: self.out_bytes.get(),
        }
    }

    fn write(&self, traffic: Traffic) {
        self.connections.set(traffic.connections);
        self.in_packets.set(traffic.in_packets);
        self.out_packets.set(traffic.out_packets);
        self.in_bytes.set(traffic.in_bytes);
        self.out_bytes.set(traffic.out_bytes);
    }
}

/// Values of [`TrafficCounters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub in_packets: u64,
    /// Packets to clients.
    pub out_packets: u64,
    /// Bytes from clients.
    pub in_bytes: u64,
    /// Bytes to clients.
    pub out_bytes: u64,
}

impl Traffic {
    fn combine(self, other: Traffic, f: impl Fn(u64, u64) -> u64) -> Traffic {
        Traffic {
            connections: f(self.connections, other.connections),
            in_packets: f(self.in_packets, other.in_packets),
            out_packets: f(self.out_packets, other.out_packets),
            in_bytes: f(self.in_bytes, other.in_bytes),
            out_bytes: f(self.out_bytes, other.out_bytes),
        }
    }

    /// Returns what came since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Traffic) -> Traffic {
        self.combine(earlier, u64::wrapping_sub)
    }
}

/// What the workers count about one object, one part for each worker, and the control thread's
/// baseline: what stood there when the counters were last zeroed.
#[derive(Debug)]
pub struct PerWorker<T> {
    parts: Box<[T]>,
    base: TrafficCounters,
}

/// A part of [`PerWorker`] that has traffic in it.
pub trait HasTraffic {
    /// Returns the traffic counters.
    fn traffic(&self) -> &TrafficCounters;
}

impl<T: Default> PerWorker<T> {
    /// Makes the parts of `workers` workers, all zero.
    pub fn new(workers: usize) -> Self {
        PerWorker {
            parts: (0..workers).map(|_| T::default()).collect(),
            base: TrafficCounters::default(),
        }
    }

    /// Returns the part of the worker at `index`.
    #[inline]
    pub fn part(&self, index: usize) -> Option<&T> {
        self.parts.get(index)
    }

    /// Returns all parts.
    pub fn parts(&self) -> impl Iterator<Item = &T> {
        self.parts.iter()
    }
}

impl<T: Default + HasTraffic> PerWorker<T> {
    fn raw(&self) -> Traffic {
        self.parts.iter().fold(Traffic::default(), |sum, part| {
            sum.combine(part.traffic().read(), u64::wrapping_add)
        })
    }

    /// Returns the traffic over all workers since the counters were zeroed.
    pub fn traffic(&self) -> Traffic {
        self.raw().since(self.base.read())
    }

    /// Zeroes the traffic counters. Only the control thread may call this.
    pub fn zero(&self) {
        self.base.write(self.raw());
    }
}

/// Counts about a service.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct ServiceCounters {
    /// Traffic.
    pub traffic: TrafficCounters,
    /// Where the scheduler stands.
    pub cursor: Gauge,
    /// The weight that weighted round robin has come down to.
    pub weight: Gauge,
    /// Where the choice of a local address stands.
    pub laddr_cursor: Gauge,
}

/// Counts about a real server.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct DestCounters {
    /// Traffic.
    pub traffic: TrafficCounters,
    /// Established connections.
    pub active: Gauge,
    /// Other connections.
    pub inactive: Gauge,
    /// Clients bound to it by persistence.
    pub persistent: Gauge,
    /// ICMP errors about packets to it.
    pub icmp: IcmpErrorCounters,
}

/// ICMP errors about packets to a real server, by what they say. They are as narrow as gauges are,
/// since there may be a million servers.
#[derive(Debug, Default)]
pub struct IcmpErrorCounters {
    /// Unreachable.
    pub unreachable: Gauge,
    /// The time to live ended.
    pub time_exceeded: Gauge,
    /// Too big.
    pub too_big: Gauge,
}

/// Values of [`IcmpErrorCounters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IcmpErrors {
    /// Unreachable.
    pub unreachable: u32,
    /// The time to live ended.
    pub time_exceeded: u32,
    /// Too big.
    pub too_big: u32,
}

impl IcmpErrorCounters {
    pub(crate) fn read(&self) -> IcmpErrors {
        IcmpErrors {
            unreachable: self.unreachable.get(),
            time_exceeded: self.time_exceeded.get(),
            too_big: self.too_big.get(),
        }
    }

    pub(crate) fn write(&self, errors: IcmpErrors) {
        self.unreachable.set(errors.unreachable);
        self.time_exceeded.set(errors.time_exceeded);
        self.too_big.set(errors.too_big);
    }
}

impl IcmpErrors {
    fn combine(self, other: IcmpErrors, f: impl Fn(u32, u32) -> u32) -> IcmpErrors {
        IcmpErrors {
            unreachable: f(self.unreachable, other.unreachable),
            time_exceeded: f(self.time_exceeded, other.time_exceeded),
            too_big: f(self.too_big, other.too_big),
        }
    }

    /// Returns what came since `earlier`.
    #[must_use]
    pub(crate) fn since(self, earlier: IcmpErrors) -> IcmpErrors {
        self.combine(earlier, u32::saturating_sub)
    }

    /// Returns how many there are of all kinds.
    pub fn total(self) -> u64 {
        u64::from(self.unreachable) + u64::from(self.time_exceeded) + u64::from(self.too_big)
    }
}

impl HasTraffic for ServiceCounters {
    fn traffic(&self) -> &TrafficCounters {
        &self.traffic
    }
}

impl HasTraffic for DestCounters {
    fn traffic(&self) -> &TrafficCounters {
        &self.traffic
    }
}

impl PerWorker<DestCounters> {
    fn sum(&self, gauge: impl Fn(&DestCounters) -> &Gauge) -> u32 {
        self.parts.iter().fold(0, |sum: u32, part| sum.saturating_add(gauge(part).get()))
    }

    /// Returns the established connections over all workers.
    pub fn active(&self) -> u32 {
        self.sum(|part| &part.active)
    }

    /// Returns the clients bound by persistence over all workers.
    pub fn persistent(&self) -> u32 {
        self.sum(|part| &part.persistent)
    }

    /// Returns the other connections over all workers.
    pub fn inactive(&self) -> u32 {
        self.sum(|part| &part.inactive)
    }

    /// Returns the ICMP errors over all workers since the start.
    pub(crate) fn icmp_errors(&self) -> IcmpErrors {
        self.parts.iter().fold(IcmpErrors::default(), |sum, part| {
            sum.combine(part.icmp.read(), u32::saturating_add)
        })
    }
}

/// Counts about a local address of a service.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct LaddrCounters {
    /// Connections that use it.
    pub connections: Gauge,
    /// Where the search for a free port stands.
    pub cursor: Gauge,
    /// How often no port or identifier was found.
    pub conflicts: Counter,
}

macro_rules! worker_counters {
    ($( $(#[doc = $doc:literal])+ $name:ident, )+) => {
        /// Counts of one worker.
        #[derive(Debug, Default)]
        #[repr(align(64))]
        pub struct WorkerCounters {
            $( $(#[doc = $doc])+ pub $name: Counter, )+
            /// Connections in the table.
            pub connections: Gauge,
            /// Query pairs under way.
            pub icmp_queries: Gauge,
            /// ICMP messages by type.
            pub icmp_messages: Messages,
            /// Dropped frames by reason.
            drops: DropCounters,
        }

        impl WorkerCounters {
            /// Returns every counter but the drops, with its name.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [ $( (stringify!($name), self.$name.get()), )+ ].into_iter()
            }
        }
    };
}

worker_counters! {
    /// Frames given to the worker by ports.
    frames_in,
    /// Bytes of those.
    bytes_in,
    /// Frames that came from kernel interfaces.
    frames_from_kernel,
    /// Frames made here: questions and answers of the link's protocols, errors and resets, parts of
    /// what was too long.
    frames_made,
    /// Frames that ports took. What comes in, from kernel interfaces or is made goes out, to kernel
    /// interfaces, is used up, or dropped for one reason; nothing else becomes of a frame.
    frames_out,
    /// Frames that kernel interfaces took.
    frames_to_kernel,
    /// Frames that had done their work: something was learned from them, or they were cut.
    frames_used,
    /// Frames handed over by other workers.
    handed_in,
    /// Frames handed to their owners.
    steered,
    /// Connections made.
    connections_made,
    /// Connections expired.
    connections_expired,
    /// ARP requests answered.
    arp_replied,
    /// Neighbour solicitations answered.
    neighbour_advertised,
    /// ARP requests and neighbour solicitations sent.
    neighbour_asked,
    /// Echo requests answered by ourselves.
    icmp_echo_replied,
    /// Queries forwarded to real servers.
    icmp_query_forwarded,
    /// Of those, by the echo policy of an address.
    icmp_echo_forwarded,
    /// Query pairs begun.
    icmp_query_created,
    /// Query pairs that ran out.
    icmp_query_expired,
    /// Errors translated towards clients.
    icmp_error_relayed_out,
    /// Errors translated towards real servers.
    icmp_error_relayed_in,
    /// Related errors whose MTU is not below the quoted packet's length: relayed, but odd.
    icmp_error_ptb_implausible,
    /// Related "fragmentation needed" without an MTU, from routers older than RFC 1191.
    icmp_error_ptb_zero_mtu,
    /// Related errors that quote a TCP sequence number outside of what is under way.
    icmp_error_sequence_odd,
    /// Related errors whose quoted IPv4 header has a wrong checksum.
    icmp_error_quoted_checksum_bad,
    /// Related errors whose extensions were cut off.
    icmp_error_extensions_stripped,
    /// Related errors that were cut to fit their way out.
    icmp_error_cut,
    /// UDP connections ended because their real server has no such port, where that is wished.
    icmp_error_expired_udp,
    /// TCP connections ended because the way to their real server fails, where that is wished.
    icmp_error_rescheduled_syn,
    /// Errors about our own tunnel packets.
    icmp_tunnel_errors,
    /// Path MTUs of tunnels learned from those.
    icmp_tunnel_mtu_learned,
    /// Packets with a port's own hash of the flow that is another than ours.
    rss_mismatched,
    /// Errors made here: the time to live ended.
    icmp_made_time_exceeded,
    /// Errors made here: too big for the way out.
    icmp_made_too_big,
    /// Errors made here: nobody to take the packet.
    icmp_made_unreachable,
    /// TCP resets made here: no real server.
    resets_made,
    /// Errors not made because of the limits.
    icmp_made_limited,
    /// Errors not made because they would have left by a port that is silent.
    icmp_made_silent,
}

#[derive(Debug)]
struct DropCounters([Counter; DropReason::COUNT]);

impl Default for DropCounters {
    fn default() -> Self {
        DropCounters(std::array::from_fn(|_| Counter::default()))
    }
}

impl WorkerCounters {
    /// Counts a dropped frame.
    pub fn count_drop(&self, reason: DropReason) {
        if let Some(counter) = self.drops.0.get(reason.index()) {
            counter.add(1);
        }
    }

    /// Returns how many frames were dropped for a reason.
    pub fn drops(&self, reason: DropReason) -> u64 {
        self.drops.0.get(reason.index()).map_or(0, Counter::get)
    }
}
