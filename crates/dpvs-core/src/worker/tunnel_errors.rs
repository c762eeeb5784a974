// SPDX-License-Identifier: MIT OR Apache-2.0
//! ICMP errors about packets of our own tunnels: a path MTU is learned from them, and the client whose
//! packet was wrapped is told, if enough of it is quoted.

use super::WorkerState;
use super::errors::{Kind, MTU_V4_MIN, MTU_V6_MIN, count_about_server, mtu_told};
use super::process::{Context, to_kernel};
use crate::icmp::generate;
use crate::icmp::has_good_checksum;
use crate::icmp::recorder::Outcome;
use crate::icmp::tunnel_quote::{TunnelQuote, inner_packet, parse_tunnel};
use crate::net::Family;
use crate::parse::Packet;
use crate::wire::EthernetHeader;
use crate::{DropReason, Frame, Verdict};

impl WorkerState {
    /// Treats an error that may be about a packet of one of our tunnels; `None` if it is not.
    pub(super) fn about_tunnel<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        kind: Kind,
    ) -> Option<(Verdict, Outcome)> {
        let tunnel = self.learn_of_tunnel(context, frame.bytes(), packet, kind)?;
        let verdict = self.tell_through_tunnel(context, frame, packet, kind, &tunnel);
        Some((verdict, Outcome::Used))
    }

    /// Learns from an error about a packet of one of our tunnels; `None` if it is about no such.
    fn learn_of_tunnel(
        &mut self,
        context: &Context<'_>,
        bytes: &[u8],
        packet: &Packet,
        kind: Kind,
    ) -> Option<TunnelQuote> {
        let quoted = parse_tunnel(bytes, packet)?;
        // About no server of ours, or not from where our packets to it go and not to the address that
        // they come from: a tunnel of the host, or somebody's invention.
        let tables = context.tables;
        let route = tables.routes().lookup(quoted.server)?;
        let source = route.src.or_else(|| tables.source_for(route.port, route.next_hop));
        if !tables.is_tunnel_end(quoted.server)
            || route.port != context.port
            || source != Some(packet.dst)
        {
            return None;
        }
        let policy = &context.tables.limits.icmp;
        if !self.relayed.take(context.now, policy.relayed_per_s, policy.relayed_per_s)
            || !has_good_checksum(bytes, packet)
        {
            return None;
        }
        self.counters.icmp_tunnel_errors.add(1);
        let parts = tables.tunnel_dests(quoted.server).map(|dest| &dest.shared.counters);
        for part in parts.filter_map(|counters| counters.part(self.me.index())) {
            count_about_server(&part.icmp, packet.family, kind);
        }
        if let Some(mtu) = mtu_told(bytes, packet, kind) {
            let mtus = context.tables.path_mtus();
            if mtus.learn(context.now, quoted.server, mtu, quoted.len) {
                self.counters.icmp_tunnel_mtu_learned.add(1);
            }
        }
        Some(quoted)
    }

    /// Tells the client at once what its packet in a tunnel was too long for, if enough of it is
    /// quoted; else the host's stack gets the error, which may have a tunnel there too.
    fn tell_through_tunnel<F: Frame>(
        &mut self,
        context: &Context<'_>,
        frame: &mut F,
        packet: &Packet,
        kind: Kind,
        tunnel: &TunnelQuote,
    ) -> Verdict {
        let tables = context.tables;
        let mtu = mtu_told(frame.bytes(), packet, kind)
            .and_then(|_| tables.path_mtus().find(context.now, tunnel.server));
        let inner = mtu.and_then(|_| inner_packet(frame.bytes(), packet, tunnel));
        let (Some(mtu), Some(inner)) = (mtu, inner) else {
            return match to_kernel(context, DropReason::IcmpUnrelated) {
                Verdict::Drop(_) => Verdict::Consumed,
                verdict => verdict,
            };
        };
        if !tables.is_virtual(inner.dst)
            || frame.pull_front(inner.l3 - EthernetHeader::LEN).is_err()
        {
            return Verdict::Consumed;
        }
        let shift = inner.l3 - EthernetHeader::LEN;
        let about =
            Packet { l3: inner.l3 - shift, l4: inner.l4 - shift, end: inner.end - shift, ..inner };
        let mtu = mtu.saturating_sub(u32::try_from(tunnel.overhead).unwrap_or(0));
        let least = match about.family {
            Family::V4 => MTU_V4_MIN,
            Family::V6 => MTU_V6_MIN,
        };
        self.answer_error(context, frame, &about, generate::Error::TooBig(mtu.max(least)))
    }
}
