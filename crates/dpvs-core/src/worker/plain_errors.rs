// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shortest way of errors: plain ones about connections that stand, by methods that translate.
//!
//! Nothing is decided here that [`super::errors`] does not decide alike. What is not plain about an
//! error, its connection or its way is found before anything is changed; then it goes there.

use super::WorkerState;
use super::errors::{Kind, Told, count_about_server, refused};
use super::plain::Arrival;
use super::process::Context;
use crate::conn::{ConnIndex, Direction};
use crate::forward;
use crate::icmp::plain::{PlainError, has_intact_quote};
use crate::icmp::recorder::{Decision, Outcome};
use crate::key::{Address, Key};
use crate::net::Family;
use crate::tables::{Check, ErrorSource, Forward, IcmpPolicy};
use crate::{DropReason, Frame, Verdict};

impl WorkerState {
    /// Relays an error, or drops it; `None` if that takes more, and then nothing has been done.
    #[inline]
    pub(super) fn relay_plain<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        error: &PlainError,
    ) -> Option<Verdict> {
        let Context { tables, now, is_handed, .. } = *context;
        let [receiver, _] = error.quoted.addresses;
        let receiver = Address::from_v4_bits(receiver);
        if !may_be_plain(&tables.limits.icmp, error, frame.bytes()) || !tables.is_served(receiver) {
            return None;
        }
        let found = self.conns.find_tuple(&error.answer)?;
        let conn = self.conns.established(&error.answer, found, now)?;
        let service = tables.service_by_id(conn.service())?;
        let dest = service.dest(conn.dest())?;
        let (method, direction, leaves_as) = (conn.forward(), conn.direction(), conn.leaves_as);
        if !method.sees_replies() {
            return None;
        }
        let [peer, towards] = leaves_as.addresses;
        let source = source(&tables.limits.icmp, error, (method, direction), peer)?;
        let arrival = Arrival { tables, now, is_handed };
        let way = *self.ways.find(&self.neighbours, arrival, (error.len(), towards))?;

        self.count_received(arrival, Family::V4, error.icmp_type);
        let virtual_ = match direction {
            Direction::Inbound => receiver,
            Direction::Outbound => Address::from_v4_bits(peer),
        };
        let admitted = self.admit_plain(context, frame.bytes(), error, (found.index, virtual_));
        let (verdict, outcome) = match admitted {
            Ok(()) => {
                let kind = Kind { icmp_type: error.icmp_type, code: error.code };
                if direction == Direction::Outbound
                    && let Some(part) = dest.shared.counters.part(self.me.index())
                {
                    count_about_server(&part.icmp, Family::V4, kind);
                }
                error.translate(frame.bytes_mut(), source, &leaves_as)?;
                let verdict = way.send(frame, error.end)?;
                self.count_relayed(Family::V4, kind, direction);
                (verdict, Outcome::Relayed(direction))
            }
            Err(reason) => refused(context, receiver, reason),
        };
        self.recorder.record(Decision {
            at: now,
            port: context.port,
            src: Address::from_v4_bits(error.sender),
            dst: receiver,
            icmp_type: error.icmp_type,
            code: error.code,
            quote: Some(Key::from(error.quoted)),
            outcome,
        });
        Some(verdict)
    }

    /// Checks an error about a connection of ours, as [`WorkerState::check`] does.
    fn admit_plain(
        &mut self,
        context: &Context<'_>,
        bytes: &[u8],
        error: &PlainError,
        (index, virtual_): (ConnIndex, Address),
    ) -> Result<(), DropReason> {
        self.admit(context, virtual_)?;
        if !error.has_good_message(bytes) {
            return Err(DropReason::IcmpBadChecksum);
        }
        let Some(mtu) = error.mtu else { return Ok(()) };
        let told = Told { mtu, family: Family::V4, quoted_len: u32::from(error.quoted_len) };
        self.check_mtu(context, &told, index)
    }
}

/// Returns whether no policy is in force that looks closer at an error.
fn may_be_plain(policy: &IcmpPolicy, error: &PlainError, bytes: &[u8]) -> bool {
    error.ttl > 1
        && policy.sequence == Check::Off
        && !policy.strips_extensions
        && !policy.expires_unreachable_udp
        && !policy.reschedules_unreachable_syn
        && (policy.quoted_checksum == Check::Off || has_intact_quote(bytes))
}

/// Returns the source that a translated error gets, as [`super::errors`] has it; `None` if that is an
/// address of ours to be looked for.
fn source(
    policy: &IcmpPolicy,
    error: &PlainError,
    (method, direction): (Forward, Direction),
    peer: u32,
) -> Option<u32> {
    if !forward::hides_sender(method, direction) {
        return Some(error.sender);
    }
    let [other_end, _] = error.answer.addresses;
    match policy.error_source(direction) {
        ErrorSource::Keep if error.sender != other_end => Some(error.sender),
        ErrorSource::Own if error.sender != other_end => None,
        _ => Some(peer),
    }
}
