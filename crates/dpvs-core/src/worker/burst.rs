// SPDX-License-Identifier: MIT OR Apache-2.0
//! A burst's way: read, find, decide and rewrite, each stage over the whole burst.

use super::Worker;
use super::plain::Arrival;
use super::process::{Context, to_kernel};
use crate::key::Key;
use crate::parse::{Kind, Packet, parse_into};
use crate::plain::Plain;
use crate::tables::Tables;
use crate::{BURST, DropReason, Frame, Millis, Verdict};

impl Worker {
    /// Decides about frames that came in by ports, and rewrites those that go on.
    ///
    /// At most [`BURST`] frames are looked at; `verdicts` are theirs, in order. Every drop has been
    /// counted.
    pub fn process<F: Frame>(
        &mut self,
        now: Millis,
        frames: &mut [F],
        verdicts: &mut [Verdict; BURST],
    ) {
        let counters = &self.state.counters;
        counters.frames_in.add(u64::try_from(frames.len()).unwrap_or(0));
        let bytes: usize = frames.iter().map(|frame| frame.bytes().len()).sum();
        counters.bytes_in.add(u64::try_from(bytes).unwrap_or(0));
        self.run(now, frames, verdicts, false);
    }

    /// Decides about frames that other workers handed over.
    pub fn process_handed<F: Frame>(
        &mut self,
        now: Millis,
        frames: &mut [F],
        verdicts: &mut [Verdict; BURST],
    ) {
        self.state.counters.handed_in.add(u64::try_from(frames.len()).unwrap_or(0));
        self.run(now, frames, verdicts, true);
    }

    /// Decides about the fragments of a frame that had the verdict [`Verdict::Split`].
    pub fn process_split<F: Frame>(
        &mut self,
        now: Millis,
        frames: &mut [F],
        verdicts: &mut [Verdict; BURST],
    ) {
        self.run(now, frames, verdicts, true);
    }

    fn run<F: Frame>(
        &mut self,
        now: Millis,
        frames: &mut [F],
        verdicts: &mut [Verdict; BURST],
        is_handed: bool,
    ) {
        let tables = &*self.tables;
        let state = &mut self.state;
        let packets = &mut *self.packets;
        state.conns.tick(now);
        let mut plains: [Option<Plain>; BURST] = [None; BURST];
        let mut kinds = [Err(DropReason::TruncatedHeader); BURST];
        let mut keys: [Option<Key>; BURST] = [None; BURST];
        let mut are_all_plain = true;
        let places = plains.iter_mut().zip(packets.iter_mut()).zip(&mut kinds).zip(&mut keys);
        for ((((plain, packet), kind), key), frame) in places.zip(frames.iter()) {
            *plain = read_plain(tables, frame);
            if plain.is_none() {
                are_all_plain = false;
                *kind = parse_frame(tables, frame, packet);
                if let Ok(Kind::Ip) = kind {
                    *key = packet.key();
                }
            }
        }
        let mut found = [None; BURST];
        let tuples = plains.iter().map(|plain| plain.as_ref().map(|plain| &plain.tuple));
        state.conns.find_burst(tuples, &mut found);
        if !are_all_plain {
            state.conns.find_burst(keys.iter().map(Option::as_ref), &mut found);
        }
        state.look_ahead(tables, &found);
        let stages = packets.iter_mut().zip(&plains).zip(&kinds).zip(&keys).zip(&found);
        let frames = frames.iter_mut().zip(verdicts);
        let arrival = Arrival { tables, now, is_handed };
        for (((((packet, plain), kind), key), found), (frame, verdict)) in stages.zip(frames) {
            if let Some(plain) = plain {
                let shortest = match found {
                    Some(found) => state.forward_plain(arrival, frame, plain, *found),
                    None => state.answer_plain(arrival, frame, plain),
                };
                if let Some(decided) = shortest {
                    *verdict = decided;
                    state.count_end(verdict);
                    continue;
                }
            }
            let (port, plain) = (frame.rx().port, plain.as_ref());
            let context = Context { tables, now, port, plain, is_handed, meets_here: false };
            let (kind, key) = match plain {
                Some(plain) => {
                    let is_spread = plain.spread(frame.bytes(), packet);
                    let kind = is_spread.map(|()| Kind::Ip).ok_or(DropReason::MalformedHeader);
                    (kind, Some(Key::from(plain.tuple)))
                }
                None => (*kind, *key),
            };
            *verdict = match kind {
                Err(reason) => Verdict::Drop(reason),
                Ok(Kind::Ip) => state.decide(&context, frame, packet, key.as_ref(), *found),
                Ok(Kind::Arp(offset)) => state.arp(&context, frame, offset),
                Ok(Kind::Other) => to_kernel(&context, DropReason::NotIp),
            };
            state.count_end(verdict);
        }
    }
}

/// Reads a frame if it is plain.
#[inline]
fn read_plain<F: Frame>(tables: &Tables, frame: &F) -> Option<Plain> {
    let rx = frame.rx();
    if rx.checksum_bad {
        return None;
    }
    Plain::read(frame.bytes(), tables.port(rx.port)?.mac)
}

#[inline]
pub(super) fn parse_frame<F: Frame>(
    tables: &Tables,
    frame: &F,
    packet: &mut Packet,
) -> Result<Kind, DropReason> {
    let rx = frame.rx();
    if rx.checksum_bad {
        return Err(DropReason::BadChecksum);
    }
    let mac = tables.port(rx.port).map(|port| port.mac).unwrap_or_default();
    parse_into(frame.bytes(), mac, packet)
}
