// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is to become of a frame, and every reason to drop one.

use crate::key::Address;
use crate::{PortId, WorkerId};

/// What is to become of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it as it stands out of this port.
    Transmit(PortId),
    /// Hand it to the worker that owns its connection.
    Redirect(WorkerId),
    /// Give it to the kernel interface of this port.
    Kernel(PortId),
    /// Cut it into fragments no longer than this many bytes, IP header included, and give these to
    /// [`crate::Worker::process_split`].
    Split(u32),
    /// Keep it until the link address of the next hop is known: [`crate::waiting::Waiting`].
    Wait(NextHop),
    /// It has done its work (an ARP reply was learned); free it.
    Consumed,
    /// Free it. The reason has been counted.
    Drop(DropReason),
}

impl Verdict {
    /// Returns whether the frame ends here for a reason.
    pub fn is_drop(&self) -> bool {
        matches!(self, Verdict::Drop(_))
    }
}

/// Where a frame goes next on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The port to leave by.
    pub port: PortId,
    /// The neighbour: a gateway or the destination itself.
    pub address: Address,
}

macro_rules! drop_reasons {
    ($( $(#[doc = $doc:literal])+ $variant:ident = $name:literal, )+) => {
        /// Why a frame was dropped. Every variant is a counter of the same name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum DropReason {
            $( $(#[doc = $doc])+ $variant, )+
        }

        impl DropReason {
            /// Every reason, in the order of its number.
            pub const ALL: &'static [DropReason] = &[ $( DropReason::$variant, )+ ];

            /// Number of reasons.
            pub const COUNT: usize = Self::ALL.len();

            /// Returns the reason's word, in metrics and in listings.
            pub fn name(self) -> &'static str {
                match self { $( DropReason::$variant => $name, )+ }
            }

            /// Returns the position of the reason's counter.
            #[allow(clippy::as_conversions, reason = "the discriminants are the positions")]
            pub fn index(self) -> usize {
                usize::from(self as u8)
            }
        }
    };
}

drop_reasons! {
    /// A header does not fit into the frame, or its length fields lie.
    TruncatedHeader = "truncated_header",
    /// A version, length or reserved address that no sender may use.
    MalformedHeader = "malformed_header",
    /// An IPv4 header checksum is wrong, or the port found a checksum wrong.
    BadChecksum = "bad_checksum",
    /// The frame is for another link address.
    NotOurMac = "not_our_mac",
    /// A VLAN that is not configured.
    UnknownVlan = "unknown_vlan",
    /// Neither IP nor ARP, and the port has no kernel interface.
    NotIp = "not_ip",
    /// More buffer segments than could be joined.
    MultiSegment = "multi_segment",
    /// The source address cannot be a sender's: multicast, broadcast, loopback, or our own.
    BadSource = "bad_source",
    /// An IP fragment, which has no ports to find its connection by.
    Fragment = "fragment",
    /// More IPv6 extension headers than are followed, or one that cannot be.
    ExtensionHeaders = "extension_headers",
    /// For none of our addresses, and nothing routes it.
    NotForUs = "not_for_us",
    /// For an address of ours, but the port has no kernel interface to give it to.
    NoKernelInterface = "no_kernel_interface",
    /// For a virtual address and port without a service.
    NoService = "no_service",
    /// Belongs to no connection and may not start one (TCP without SYN).
    NoConnection = "no_connection",
    /// The client stands on the service's black list, or not on its white list.
    Denied = "denied",
    /// The service has no real server that takes connections.
    NoDest = "no_dest",
    /// The connection's real server is gone.
    DestGone = "dest_gone",
    /// The service has no local address of the real server's family.
    NoLocalAddress = "no_local_address",
    /// No local port is free.
    LocalPortsExhausted = "local_ports_exhausted",
    /// Another connection of the client has the same answers: they could not be told apart.
    TupleInUse = "tuple_in_use",
    /// A real server for direct routing that is not on a link of ours.
    OffLink = "off_link",
    /// No room in front of the packet for the headers of a tunnel.
    NoHeadroom = "no_headroom",
    /// The connection table is full.
    TableFull = "table_full",
    /// No route to the destination.
    NoRoute = "no_route",
    /// The next hop does not answer.
    NeighbourUnresolved = "neighbour_unresolved",
    /// Too many frames wait for next hops.
    WaitingFull = "waiting_full",
    /// The time to live ended here.
    TtlExceeded = "ttl_exceeded",
    /// Longer than the way out can take.
    TooBig = "too_big",
    /// The ring to the owning worker is full.
    SteerFull = "steer_full",
    /// The port took no more frames.
    TransmitFull = "transmit_full",
    /// An ARP packet that makes no sense, or asks for somebody else.
    Arp = "arp",
    /// A neighbour discovery packet that makes no sense, or asks for somebody else.
    NeighbourDiscovery = "neighbour_discovery",
    /// An ICMP checksum is wrong.
    IcmpBadChecksum = "icmp_bad_checksum",
    /// An echo or timestamp reply that no request expects.
    IcmpUnsolicited = "icmp_unsolicited",
    /// An echo request that is not answered: a timestamp without a service, an address not ours.
    IcmpQuery = "icmp_query",
    /// An echo request that the echo policy of its address does not have answered.
    IcmpEchoDenied = "icmp_echo_denied",
    /// An echo request of a sender that is not among those whose requests are answered.
    IcmpEchoDeniedAcl = "icmp_echo_denied_acl",
    /// An echo request to a local address or one of SNAT, which are set not to answer.
    IcmpEchoPool = "icmp_echo_pool",
    /// An echo request with more data than the echo policy of its address allows.
    IcmpEchoTooLong = "icmp_echo_too_long",
    /// An ICMP type that is not passed on.
    IcmpUnknownType = "icmp_unknown_type",
    /// A redirect.
    IcmpRedirect = "icmp_redirect",
    /// A source quench, with the knob set to drop.
    IcmpQuench = "icmp_quench",
    /// An ICMP error that quotes too little.
    IcmpShortQuote = "icmp_short_quote",
    /// An ICMP error whose quote is malformed.
    IcmpBadQuote = "icmp_bad_quote",
    /// An ICMP error about an ICMP error.
    IcmpNested = "icmp_nested",
    /// An ICMP error that quotes a fragment other than the first.
    IcmpQuoteFragment = "icmp_quote_fragment",
    /// An ICMP error that quotes a protocol without connections.
    IcmpQuoteProtocol = "icmp_quote_protocol",
    /// An ICMP error addressed to another host than the one whose packet it quotes.
    IcmpSourceMismatch = "icmp_source_mismatch",
    /// An ICMP error that relates to no connection.
    IcmpUnrelated = "icmp_unrelated",
    /// An ICMP error with a path MTU below the protocol's minimum.
    IcmpMtuTooSmall = "icmp_mtu_too_small",
    /// An ICMP error whose time to live ended here.
    IcmpTtl = "icmp_ttl",
    /// More ICMP errors than the limits allow.
    IcmpLimited = "icmp_limited",
    /// More echo requests to an address, or from a network, than the limits allow.
    IcmpEchoLimited = "icmp_echo_limited",
    /// More ICMP errors for one virtual address than its limit allows.
    IcmpLimitedVirtual = "icmp_limited_virtual",
    /// A path MTU of a connection too soon after the last one.
    IcmpLimitedConnection = "icmp_limited_connection",
    /// An ICMP error that quotes a TCP sequence number outside of what is under way.
    IcmpSequence = "icmp_sequence",
    /// An ICMP error whose quoted IPv4 header has a wrong checksum.
    IcmpBadQuotedChecksum = "icmp_bad_quoted_checksum",
    /// No identifier is free.
    IcmpIdentifiersExhausted = "icmp_identifiers_exhausted",
    /// One client, or all together, have as many ICMP queries under way as the limits allow.
    IcmpQueriesFull = "icmp_queries_full",
}
