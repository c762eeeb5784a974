// SPDX-License-Identifier: MIT OR Apache-2.0
//! Associations packet by packet.

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
    assert_eq!(names, "SHUTDOWN_SENT SHUTDOWN_SENT SHUTDOWN_ACK_SENT CLOSED CLOSED INIT INIT_ACK");
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
