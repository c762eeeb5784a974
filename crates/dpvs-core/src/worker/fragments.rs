// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fragments: the first part of a datagram has the ports and is treated like any packet; the later
//! parts follow it by what the worker remembers of it. Nothing is put together.
//!
//! All parts of a datagram go through one worker, told by the two addresses, as a NIC that sees no
//! ports has it. From there they go the way of the first part: to the connection's owner.

use super::WorkerState;
use super::process::{Context, Holder, local_only};
use crate::conn::{Conn, Direction, Found};
use crate::key::Key;
use crate::parse::{Packet, Payload};
use crate::{DropReason, Frame, Millis, Verdict, WorkerId};

/// What becomes of the later parts of a datagram.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "the table has fixed places, boxes would be allocated"
)]
pub(super) enum Continuation {
    /// They are translated as the connection says, whatever becomes of it meanwhile.
    Here(Conn, Direction),
    /// They go to this worker.
    At(WorkerId),
}

impl WorkerState {
    /// Treats a part of a datagram. `first` is the key of a first part, with what it found.
    pub(super) fn fragment<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        first: Option<(&Key, Option<Found>)>,
    ) -> Verdict {
        let Some(datagram) = packet.fragment_key() else {
            return Verdict::Drop(DropReason::Fragment);
        };
        let meeting = context.tables.steering().addresses(packet.src, packet.dst);
        if meeting != self.me && !context.is_handed {
            self.counters.steered.add(1);
            return Verdict::Redirect(meeting);
        }
        let known = self.fragments.find(context.now, &datagram);
        let Some((key, found)) = first else {
            return match known {
                Some(Continuation::Here(conn, direction)) => {
                    self.forward_by(context, frame, packet, (&conn, None), direction)
                }
                Some(Continuation::At(worker)) if worker != self.me => {
                    self.counters.steered.add(1);
                    Verdict::Redirect(worker)
                }
                Some(Continuation::At(_)) | None => {
                    local_only(context, packet, DropReason::Fragment)
                }
            };
        };
        // Where the parts meet, the search for the owner begins, unless it has led back here. If a
        // datagram with the same number was seen before, that cannot be told by the number alone.
        let meets_here = meeting == self.me;
        let is_handed = context.is_handed && (!meets_here || known.is_some());
        let context = Context { is_handed, meets_here, ..*context };
        let verdict = self.decide_ip(&context, frame, packet, Some(key), found);
        match verdict {
            // Where the parts meet, it is known better: nothing is to go round.
            Verdict::Redirect(worker) if worker != meeting => {
                self.fragments.insert(context.now, datagram, Continuation::At(worker));
            }
            // Nor do later parts follow an earlier datagram of the same number.
            Verdict::Redirect(_) | Verdict::Drop(_) => self.fragments.remove(&datagram),
            _ => {}
        }
        verdict
    }

    /// Remembers what becomes of the later parts of a datagram whose first part is forwarded.
    pub(super) fn expect_parts(
        &mut self,
        now: Millis,
        packet: &Packet,
        holder: Holder<'_>,
        direction: Direction,
    ) {
        let conn = match holder {
            Holder::Table(found) => self.conns.get(found.index),
            Holder::Nobody(conn) => Some(*conn),
        };
        if let (Some(datagram), Some(conn)) = (packet.fragment_key(), conn) {
            self.fragments.insert(now, datagram, Continuation::Here(conn, direction));
        }
    }
}

/// Returns whether a method can pass on a packet in parts: the checksum of SCTP covers all of them,
/// and cannot be updated in the first for ports that change.
pub(super) fn can_pass_in_parts(packet: &Packet, translates: bool) -> bool {
    !(translates && matches!(packet.payload, Payload::Sctp { .. }))
}
