// SPDX-License-Identifier: MIT OR Apache-2.0
//! Echo requests where no ICMP service stands: whose are taken, and those to addresses with an echo
//! policy of their own.

use super::WorkerState;
use super::owners::Owners;
use super::process::Context;
use super::queries::is_good;
use super::sessions::Start;
use crate::conn::{State, View};
use crate::icmp::generate::{Error, Unreachable};
use crate::key::Key;
use crate::parse::Packet;
use crate::tables::{Dest, Echo, EchoAnswer, Service, Tables};
use crate::wire::IcmpHeader;
use crate::{DropReason, Frame, Verdict};

impl WorkerState {
    /// Treats an echo request that is not simply to be answered here; `None` if it is.
    pub(super) fn unusual_echo<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        key: &Key,
    ) -> Option<Verdict> {
        let tables = context.tables;
        let policy = &tables.limits.icmp;
        if !tables.is_ours(packet.dst) {
            return None;
        }
        if !policy.admits_echo(packet.src) {
            return Some(Verdict::Drop(DropReason::IcmpEchoDeniedAcl));
        }
        // Whoever gives an address a policy of its own means that one.
        match tables.echo(packet.dst) {
            Some(echo) => self.echo_by_policy(context, frame, packet, key, echo),
            None if !policy.answers_pool_echo && tables.is_pool(packet.dst) => {
                Some(Verdict::Drop(DropReason::IcmpEchoPool))
            }
            None => None,
        }
    }

    /// Treats an echo request as the policy of its address says; `None` if it is to be answered
    /// here.
    fn echo_by_policy<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        key: &Key,
        echo: &Echo,
    ) -> Option<Verdict> {
        if is_too_long(packet, echo.policy.data_max) {
            return Some(Verdict::Drop(DropReason::IcmpEchoTooLong));
        }
        let answer = match (echo.answer, server_of(context.tables, echo, packet)) {
            (EchoAnswer::Backend, Some(server)) => {
                return Some(self.forward_echo(context, frame, packet, key, server));
            }
            // The answer is held, and the last server has gone down meanwhile.
            (EchoAnswer::Backend, None) => echo.down_answer(),
            (answer, _) => answer,
        };
        match answer {
            EchoAnswer::Reply => None,
            EchoAnswer::Drop | EchoAnswer::Backend => {
                Some(Verdict::Drop(DropReason::IcmpEchoDenied))
            }
            EchoAnswer::Host => Some(self.refuse_echo(context, frame, packet, Unreachable::Host)),
            EchoAnswer::Admin => {
                Some(self.refuse_echo(context, frame, packet, Unreachable::Prohibited))
            }
        }
    }

    fn refuse_echo<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        what: Unreachable,
    ) -> Verdict {
        if !is_good(frame.bytes(), packet) {
            return Verdict::Drop(DropReason::IcmpBadChecksum);
        }
        let told = (Error::Unreachable(what), DropReason::IcmpEchoDenied);
        self.answer(context, frame, packet, told)
    }

    /// Begins a query pair with a server of another service of the address.
    fn forward_echo<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        key: &Key,
        (service, dest): (&Service, &Dest),
    ) -> Verdict {
        // Not by the service's persistence: a ping is bound to a server by its own hash.
        let owner = Owners::only(context.tables.steering().inbound(key));
        if let Some(verdict) = self.hand_on(context, &owner) {
            return verdict;
        }
        if !is_good(frame.bytes(), packet) {
            return Verdict::Drop(DropReason::IcmpBadChecksum);
        }
        let state = State::Request { reply: None };
        self.start(context, frame, packet, &Start { key, service, dest: Some(dest), state })
    }
}

/// Returns whether a request has more data than `data_max`, 0 being no limit. How much one in parts
/// has is not known from its first part.
fn is_too_long(packet: &Packet, data_max: u16) -> bool {
    let data_len = packet.end.saturating_sub(packet.l4 + IcmpHeader::LEN);
    data_max > 0 && (packet.fragment.is_some() || data_len > usize::from(data_max))
}

fn server_of<'a>(
    tables: &'a Tables,
    echo: &Echo,
    packet: &Packet,
) -> Option<(&'a Service, &'a Dest)> {
    let (service, dest) = echo.server(packet.src)?;
    let service = tables.service_by_id(service)?;
    Some((service, service.dest(dest)?))
}

/// Returns whether a ping was forwarded by an echo policy and would not go to the same server any
/// more: the policy has changed, an ICMP service has come, or the server is down.
pub(super) fn is_withdrawn(tables: &Tables, conn: &View<'_>) -> bool {
    if !conn.is_request() {
        return false;
    }
    let service = tables.service_by_id_or_deleted(conn.service());
    let Some(virtual_) = service.and_then(|service| service.key.virtual_()) else { return false };
    // That of an ICMP service has its own protocol.
    if virtual_.protocol == conn.protocol() {
        return false;
    }
    let is_in_force =
        tables.echo(virtual_.address).is_some_and(|echo| echo.answer == EchoAnswer::Backend)
            && tables.service_for(conn.protocol(), virtual_.address, 0).is_none();
    let dest = tables.service_by_id(conn.service()).and_then(|service| service.dest(conn.dest()));
    !is_in_force || dest.is_none_or(|dest| dest.settings.weight == 0)
}
