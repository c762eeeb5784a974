// SPDX-License-Identifier: MIT OR Apache-2.0
//! SCTP associations (RFC 9260 section 4), as the balancer sees them between client and server.
//!
//! Up to `ESTABLISHED` a state says how far the handshake has come; from there on it is that of the
//! *real server's* end, guessed from the packets both ways.
//!
//! ```text
//!         in INIT        out INIT ACK           in COOKIE ECHO
//!   NONE ---------> INIT ------------> INIT_ACK --------------> COOKIE_ECHOED
//!                                                                      | out COOKIE ACK
//!          out SHUTDOWN ACK                      in SHUTDOWN           v
//!        +------------------ SHUTDOWN_RECEIVED <---------------- ESTABLISHED
//!        v                                                             |
//!   SHUTDOWN_ACK_SENT <-------- SHUTDOWN_SENT <------------------------+
//!        |           in SHUTDOWN ACK             out SHUTDOWN
//!        +-----------------> CLOSED
//!        SHUTDOWN COMPLETE
//!   any: ABORT -> CLOSED;   in INIT in CLOSED: a new association, INIT
//! ```
//!
//! Each end has a verification tag, which it told the other in INIT or INIT ACK and which every
//! packet to it must carry (section 8.5). A packet with a wrong one changes nothing here, as it
//! changes nothing at its receiver: who forges an ABORT must know the tag. A tag that was not seen
//! is not checked.
//!
//! A client that has lost its state starts again from the same port with an INIT, which anybody can
//! forge. The association therefore goes on with its tags until the server acknowledges the cookie
//! that it had made for the new ones (section 5.2).

mod chunk;

pub use chunk::SctpChunk;

use super::Direction;
use crate::ids::position;
use crate::tables::Timeouts;
use chunk::kind;

/// How far an association is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Nothing seen.
    #[default]
    None,
    /// The client's INIT seen.
    Init,
    /// The server's answer seen, with the cookie.
    InitAck,
    /// The client has sent the cookie back.
    CookieEchoed,
    /// The server has taken it.
    Established,
    /// The server ends the association; what is under way still arrives.
    ShutdownSent,
    /// The client ends it.
    ShutdownReceived,
    /// One end has all of the other's data; the answer to that is the last packet.
    ShutdownAckSent,
    /// Ended or aborted.
    Closed,
}

impl Phase {
    const ALL: [Phase; 9] = [
        Phase::None,
        Phase::Init,
        Phase::InitAck,
        Phase::CookieEchoed,
        Phase::Established,
        Phase::ShutdownSent,
        Phase::ShutdownReceived,
        Phase::ShutdownAckSent,
        Phase::Closed,
    ];
}

/// Tags of both ends; 0 where not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tags {
    /// What packets to the client carry.
    client: u32,
    /// What packets to the server carry.
    server: u32,
}

/// An association: its state and its tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sctp {
    phase: Phase,
    tags: Tags,
    /// Tags of the handshake with which the client starts over while this association stands.
    restart: Tags,
}

impl Sctp {
    /// An association of which nothing was seen.
    pub fn new() -> Self {
        Sctp::default()
    }

    /// Puts it into words, as its table keeps it.
    pub(super) fn to_words(self) -> [u32; 5] {
        let Sctp { phase, tags, restart } = self;
        let phase = Phase::ALL.iter().position(|other| *other == phase).unwrap_or(0);
        let phase = u32::try_from(phase).unwrap_or(0);
        [phase, tags.client, tags.server, restart.client, restart.server]
    }

    /// Reads it from words.
    pub(super) fn from_words([phase, a, b, c, d]: [u32; 5]) -> Self {
        let phase = Phase::ALL.get(position(phase)).copied();
        let tags = |client, server| Tags { client, server };
        Sctp { phase: phase.unwrap_or_default(), tags: tags(a, b), restart: tags(c, d) }
    }

    /// Returns the name in listings.
    pub fn name(self) -> &'static str {
        match self.phase {
            Phase::None => "NONE",
            Phase::Init => "INIT",
            Phase::InitAck => "INIT_ACK",
            Phase::CookieEchoed => "COOKIE_ECHOED",
            Phase::Established => "ESTABLISHED",
            Phase::ShutdownSent => "SHUTDOWN_SENT",
            Phase::ShutdownReceived => "SHUTDOWN_RECEIVED",
            Phase::ShutdownAckSent => "SHUTDOWN_ACK_SENT",
            Phase::Closed => "CLOSED",
        }
    }

    /// Returns whether it counts as active.
    pub fn is_active(self) -> bool {
        self.phase == Phase::Established
    }

    /// Returns the idle timeout in milliseconds: an established association has TCP's, and its
    /// heartbeats come every 30 s (HB.interval, RFC 9260 section 16).
    pub fn timeout_ms(self, timeouts: &Timeouts) -> u32 {
        match self.phase {
            Phase::None => 2_000,
            // Valid.Cookie.Life, beyond which a cookie is refused, and RTO.Max, within which either
            // end repeats its SHUTDOWN.
            Phase::Init
            | Phase::InitAck
            | Phase::CookieEchoed
            | Phase::ShutdownSent
            | Phase::ShutdownReceived => 60_000,
            Phase::Established => timeouts.tcp_ms,
            Phase::ShutdownAckSent => 30_000,
            Phase::Closed => 10_000,
        }
    }

    /// Returns the state after a packet, where both ways come by.
    #[must_use]
    pub fn next(self, direction: Direction, chunk: &SctpChunk) -> Sctp {
        match (chunk.kind, direction) {
            (kind::INIT, Direction::Inbound) => self.after_init(chunk),
            (kind::INIT_ACK, Direction::Outbound) => self.after_init_ack(chunk),
            (kind::COOKIE_ECHO, Direction::Inbound) => self.after_cookie_echo(chunk),
            (kind::COOKIE_ACK, Direction::Outbound) => self.after_cookie_ack(chunk),
            _ if self.has_right_tag(direction, chunk) => {
                Sctp { phase: self.phase.next(direction, chunk.kind), ..self }
            }
            _ => self,
        }
    }

    /// Returns the state after a packet of the client, where the server's answers go another way
    /// (direct routing, tunnels).
    ///
    /// The client's cookie or data make the association established, as they tell that the server
    /// answered. The server's tag is taken from the first of them. A new start of the client shows
    /// in nothing that could not be forged, so the old tags stay until the association is idle.
    #[must_use]
    pub fn next_one_way(self, chunk: &SctpChunk) -> Sctp {
        let mut next = self.next(Direction::Inbound, chunk);
        next.phase = match (next.phase, chunk.kind) {
            (Phase::CookieEchoed, _) => Phase::Established,
            (Phase::None | Phase::Init, kind::DATA | kind::I_DATA) if chunk.tag != 0 => {
                next.tags.server = chunk.tag;
                Phase::Established
            }
            // The last packet is the server's.
            (Phase::ShutdownAckSent, _) => Phase::Closed,
            (phase, _) => phase,
        };
        next
    }

    /// RFC 9260 sections 8.5 and 8.5.1 (B) and (C).
    fn has_right_tag(self, direction: Direction, chunk: &SctpChunk) -> bool {
        let is_to_client = (direction == Direction::Outbound) != chunk.is_tag_reflected;
        let expected = if is_to_client { self.tags.client } else { self.tags.server };
        // Only the packet of an INIT may have tag 0.
        chunk.tag != 0 && (expected == 0 || chunk.tag == expected)
    }

    fn after_init(self, chunk: &SctpChunk) -> Sctp {
        let tags = Tags { client: chunk.initiate_tag, server: 0 };
        let is_repeated = self.tags.client == tags.client && self.phase != Phase::Closed;
        if !chunk.starts_association() || is_repeated {
            self
        } else if self.phase.is_before_cookie() || self.phase == Phase::Closed {
            Sctp { phase: Phase::Init, tags, restart: Tags::default() }
        } else {
            Sctp { restart: tags, ..self }
        }
    }

    fn after_init_ack(self, chunk: &SctpChunk) -> Sctp {
        let is_ours = chunk.tag != 0 && (self.tags.client == 0 || self.tags.client == chunk.tag);
        if !self.phase.is_before_cookie() || !is_ours {
            return self;
        }
        let tags = Tags { client: chunk.tag, server: chunk.initiate_tag };
        Sctp { phase: Phase::InitAck, tags, ..self }
    }

    /// The cookie's packet has the tag of the INIT ACK that the client answers. After a repeated
    /// INIT there are several, so the tag is taken from here. A wrong cookie is not acknowledged.
    fn after_cookie_echo(self, chunk: &SctpChunk) -> Sctp {
        if chunk.tag == 0 || self.phase == Phase::Closed {
            self
        } else if self.phase.is_before_cookie() || self.phase == Phase::CookieEchoed {
            let tags = Tags { server: chunk.tag, ..self.tags };
            Sctp { phase: Phase::CookieEchoed, tags, ..self }
        } else if self.restart.client != 0 && chunk.tag != self.tags.server {
            Sctp { restart: Tags { server: chunk.tag, ..self.restart }, ..self }
        } else {
            self
        }
    }

    fn after_cookie_ack(self, chunk: &SctpChunk) -> Sctp {
        if self.restart.client != 0 && self.restart.client == chunk.tag {
            return Sctp {
                phase: Phase::Established,
                tags: self.restart,
                restart: Tags::default(),
            };
        }
        let is_awaited = self.phase.is_before_cookie() || self.phase == Phase::CookieEchoed;
        if !is_awaited || !self.has_right_tag(Direction::Outbound, chunk) {
            return self;
        }
        let tags = Tags { client: chunk.tag, ..self.tags };
        Sctp { phase: Phase::Established, tags, ..self }
    }
}

impl Phase {
    fn is_before_cookie(self) -> bool {
        matches!(self, Phase::None | Phase::Init | Phase::InitAck)
    }

    /// Returns the phase after a chunk other than those of the handshake.
    fn next(self, direction: Direction, kind: u8) -> Phase {
        use Direction::{Inbound, Outbound};
        use Phase::{
            Closed, CookieEchoed, Established, ShutdownAckSent, ShutdownReceived, ShutdownSent,
        };
        match (self, direction, kind) {
            (Closed, ..) | (_, _, kind::ABORT | kind::SHUTDOWN_COMPLETE) => Closed,
            // The acknowledgement was lost, or is in a packet behind another.
            (
                CookieEchoed,
                Outbound,
                kind::DATA | kind::I_DATA | kind::SACK | kind::HEARTBEAT | kind::HEARTBEAT_ACK,
            ) => Established,
            (ShutdownSent | ShutdownReceived | ShutdownAckSent, _, kind::SHUTDOWN) => self,
            (_, Inbound, kind::SHUTDOWN) => ShutdownReceived,
            (_, Outbound, kind::SHUTDOWN) => ShutdownSent,
            (_, _, kind::SHUTDOWN_ACK) => ShutdownAckSent,
            (phase, ..) => phase,
        }
    }
}

#[cfg(test)]
#[path = "sctp_tests.rs"]
mod tests;
