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
mod tests {
    use super::*;
    use Direction::{Inbound, Outbound};

    /// The client's tag: what packets to it carry.
    const CLIENT: u32 = 0xc11e_0001;
    const SERVER: u32 = 0x5e12_0002;
    const WRONG: u32 = 0x0bad_0bad;

    fn chunk(kind: u8, tag: u32) -> SctpChunk {
        SctpChunk { tag, kind, initiate_tag: 0, is_tag_reflected: false }
    }

    fn init(initiate_tag: u32) -> SctpChunk {
        SctpChunk { initiate_tag, ..chunk(1, 0) }
    }

    fn init_ack(tag: u32, initiate_tag: u32) -> SctpChunk {
        SctpChunk { initiate_tag, ..chunk(2, tag) }
    }

    fn reflected(kind: u8, tag: u32) -> SctpChunk {
        SctpChunk { is_tag_reflected: true, ..chunk(kind, tag) }
    }

    /// Returns the names of the states after each packet.
    fn run(state: &mut Sctp, packets: &[(Direction, SctpChunk)]) -> String {
        let step = |(direction, chunk): &(Direction, SctpChunk)| {
            *state = state.next(*direction, chunk);
            state.name()
        };
        packets.iter().map(step).collect::<Vec<_>>().join(" ")
    }

    fn established() -> Sctp {
        let mut state = Sctp::new();
        let names = run(
            &mut state,
            &[
                (Inbound, init(CLIENT)),
                (Outbound, init_ack(CLIENT, SERVER)),
                (Inbound, chunk(10, SERVER)),
                (Outbound, chunk(11, CLIENT)),
            ],
        );
        assert_eq!(names, "INIT INIT_ACK COOKIE_ECHOED ESTABLISHED");
        assert!(state.is_active());
        state
    }

    #[test]
    fn an_association_that_the_client_ends() {
        let mut state = established();
        let names = run(
            &mut state,
            &[
                (Inbound, chunk(0, SERVER)),
                (Outbound, chunk(3, CLIENT)),
                (Inbound, chunk(7, SERVER)),
                (Outbound, chunk(0, CLIENT)),
                (Outbound, chunk(8, CLIENT)),
                (Inbound, chunk(14, SERVER)),
            ],
        );
        assert_eq!(
            names,
            "ESTABLISHED ESTABLISHED SHUTDOWN_RECEIVED SHUTDOWN_RECEIVED SHUTDOWN_ACK_SENT CLOSED"
        );
        assert!(!state.is_active());
    }

    #[test]
    fn an_association_that_the_server_ends_and_the_client_starts_anew() {
        let mut state = established();
        let names = run(
            &mut state,
            &[
                (Outbound, chunk(7, CLIENT)),
                (Inbound, chunk(7, SERVER)),
                (Inbound, chunk(8, SERVER)),
                (Outbound, chunk(14, CLIENT)),
                (Inbound, chunk(0, SERVER)),
                (Inbound, init(7)),
                (Outbound, init_ack(7, 8)),
            ],
        );
        assert_eq!(
            names,
            "SHUTDOWN_SENT SHUTDOWN_SENT SHUTDOWN_ACK_SENT CLOSED CLOSED INIT INIT_ACK"
        );
    }

    #[test]
    fn an_abort_of_either_end_closes() {
        let state = established();
        assert_eq!(state.next(Inbound, &chunk(6, SERVER)).name(), "CLOSED");
        assert_eq!(state.next(Outbound, &chunk(6, CLIENT)).name(), "CLOSED");
        // An end that has lost the association sends the tag back that it was sent.
        assert_eq!(state.next(Inbound, &reflected(6, CLIENT)).name(), "CLOSED");
        assert_eq!(state.next(Outbound, &reflected(6, SERVER)).name(), "CLOSED");
        assert_eq!(state.next(Outbound, &reflected(14, SERVER)).name(), "CLOSED");
        // A server without a listener refuses the INIT.
        let refused = Sctp::new().next(Inbound, &init(CLIENT)).next(Outbound, &chunk(6, CLIENT));
        assert_eq!(refused.name(), "CLOSED");
    }

    /// Who does not know the tags must not be able to end somebody's association here: a short
    /// timeout would make its next packet homeless.
    #[test]
    fn packets_with_a_wrong_tag_change_nothing() {
        let state = established();
        for kind in 0..=255 {
            for tag in [WRONG, 0] {
                assert_eq!(state.next(Inbound, &chunk(kind, tag)), state, "{kind} in");
                assert_eq!(state.next(Outbound, &chunk(kind, tag)), state, "{kind} out");
            }
        }
        for kind in [6, 14] {
            // Each tag is right for one direction only, and flag T turns it round.
            assert_eq!(state.next(Inbound, &chunk(kind, CLIENT)), state);
            assert_eq!(state.next(Outbound, &chunk(kind, SERVER)), state);
            assert_eq!(state.next(Inbound, &reflected(kind, SERVER)), state);
            assert_eq!(state.next(Outbound, &reflected(kind, CLIENT)), state);
        }
        let begun = Sctp::new().next(Inbound, &init(CLIENT));
        assert_eq!(begun.next(Outbound, &init_ack(WRONG, SERVER)), begun);
        assert_eq!(begun.next(Inbound, &SctpChunk { tag: WRONG, ..init(7) }), begun);
    }

    #[test]
    fn tags_that_were_not_seen_are_not_checked() {
        let state = Sctp::new().next(Inbound, &chunk(10, SERVER));
        assert_eq!(state.name(), "COOKIE_ECHOED");
        let state = state.next(Outbound, &chunk(11, CLIENT));
        assert_eq!(state.name(), "ESTABLISHED");
        // Both are known by then.
        assert_eq!(state.next(Outbound, &chunk(6, WRONG)), state);
        assert_eq!(state.next(Inbound, &chunk(6, WRONG)), state);
        assert_eq!(Sctp::new().next(Inbound, &chunk(6, WRONG)).name(), "CLOSED");
    }

    /// The server makes a tag for each INIT that it sees, and keeps none before the cookie.
    #[test]
    fn the_first_answer_to_a_repeated_init_may_be_the_one_that_counts() {
        let mut state = Sctp::new();
        let names = run(
            &mut state,
            &[
                (Inbound, init(CLIENT)),
                (Outbound, init_ack(CLIENT, SERVER)),
                (Inbound, init(CLIENT)),
                (Outbound, init_ack(CLIENT, 9)),
                (Inbound, chunk(10, SERVER)),
                (Outbound, chunk(11, CLIENT)),
                (Inbound, chunk(7, SERVER)),
            ],
        );
        assert_eq!(
            names,
            "INIT INIT_ACK INIT_ACK INIT_ACK COOKIE_ECHOED ESTABLISHED SHUTDOWN_RECEIVED"
        );
    }

    #[test]
    fn data_of_the_server_stands_for_a_lost_acknowledgement() {
        let state = Sctp::new().next(Inbound, &init(CLIENT)).next(Inbound, &chunk(10, SERVER));
        assert_eq!(state.next(Inbound, &chunk(0, SERVER)).name(), "COOKIE_ECHOED");
        assert_eq!(state.next(Outbound, &chunk(0, CLIENT)).name(), "ESTABLISHED");
    }

    #[test]
    fn a_client_that_starts_over_has_new_tags_once_the_server_takes_its_cookie() {
        let mut state = established();
        let names = run(
            &mut state,
            &[
                (Inbound, init(7)),
                (Outbound, init_ack(7, 8)),
                (Inbound, chunk(10, 8)),
                (Outbound, chunk(11, 7)),
                (Inbound, chunk(6, SERVER)),
                (Inbound, chunk(7, 8)),
            ],
        );
        assert_eq!(names, "ESTABLISHED ".repeat(5) + "SHUTDOWN_RECEIVED");
    }

    #[test]
    fn a_forged_init_leaves_the_association_as_it_is() {
        let mut state = established();
        run(&mut state, &[(Inbound, init(7)), (Outbound, init_ack(7, 8))]);
        // The forger knows the tag that it chose, and no other.
        assert_eq!(state.next(Inbound, &reflected(6, 7)).name(), "ESTABLISHED");
        assert_eq!(state.next(Inbound, &chunk(10, WRONG)).name(), "ESTABLISHED");
        assert_eq!(state.next(Inbound, &chunk(7, SERVER)).name(), "SHUTDOWN_RECEIVED");
    }

    #[test]
    fn one_way_the_client_alone_opens_and_closes() {
        let opened = Sctp::new().next_one_way(&init(CLIENT));
        assert_eq!(opened.name(), "INIT");
        let state = opened.next_one_way(&chunk(10, SERVER));
        assert_eq!(state.name(), "ESTABLISHED");
        assert_eq!(state.next_one_way(&chunk(0, SERVER)), state);
        assert_eq!(state.next_one_way(&chunk(6, WRONG)), state);
        assert_eq!(state.next_one_way(&chunk(6, SERVER)).name(), "CLOSED");
        assert_eq!(state.next_one_way(&reflected(6, CLIENT)).name(), "CLOSED");
        let ending = state.next_one_way(&chunk(7, SERVER));
        assert_eq!(ending.name(), "SHUTDOWN_RECEIVED");
        assert_eq!(ending.next_one_way(&chunk(14, SERVER)).name(), "CLOSED");
        // The server ended it; its last packet is not seen.
        let closed = state.next_one_way(&chunk(8, SERVER));
        assert_eq!(closed.name(), "CLOSED");
        assert_eq!(closed.next_one_way(&init(7)).name(), "INIT");
        assert_eq!(opened.next_one_way(&chunk(0, SERVER)), state);
    }

    #[test]
    fn timeouts_are_those_of_the_phases() {
        let timeouts = Timeouts { tcp_ms: 123_456, ..Timeouts::default() };
        assert_eq!(Sctp::new().timeout_ms(&timeouts), 2_000);
        assert_eq!(Sctp::new().next(Inbound, &init(CLIENT)).timeout_ms(&timeouts), 60_000);
        let state = established();
        assert_eq!(state.timeout_ms(&timeouts), 123_456);
        assert_eq!(state.next(Inbound, &chunk(7, SERVER)).timeout_ms(&timeouts), 60_000);
        assert_eq!(state.next(Inbound, &chunk(8, SERVER)).timeout_ms(&timeouts), 30_000);
        assert_eq!(state.next(Inbound, &chunk(6, SERVER)).timeout_ms(&timeouts), 10_000);
    }
}
