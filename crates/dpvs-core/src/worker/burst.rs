// SPDX-License-Identifier: MIT OR Apache-2.0
//! A burst's way: read, find, decide and rewrite, each stage over the whole burst.

use super::plain::Arrival;
use super::process::{Context, to_kernel};
use super::{Worker, WorkerState};
use crate::conn::Found;
use crate::icmp::plain::PlainError;
use crate::key::Key;
use crate::parse::{Kind, Packet, parse_into};
use crate::plain::Plain;
use crate::tables::Tables;
use crate::{BURST, DropReason, Frame, Millis, Verdict};

/// A frame of a burst that is not plain, or does not go the shortest way: what was read of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Other {
    packet: Packet,
    kind: Result<Kind, DropReason>,
    key: Option<Key>,
    /// A plain error; then nothing else was read.
    error: Option<PlainError>,
}

impl Worker {
    /// Returns the IP packet of a frame.
    pub(super) fn parse<F: Frame>(&self, frame: &F) -> Option<Packet> {
        let mut read = Other::NONE;
        read.read(&self.tables, frame, false);
        matches!(read.kind, Ok(Kind::Ip)).then_some(read.packet)
    }

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
        let others = &mut *self.others;
        state.conns.tick(now);
        // Where there is little traffic a burst is one frame: nothing goes over more places than that.
        let len = frames.len().min(BURST);
        let mut plains: [Option<Plain>; BURST] = [None; BURST];
        let Some(plains) = plains.get_mut(..len) else { return };
        let are_all_plain = read_burst(tables, frames, plains);
        let (mut hashes, mut found) = ([0; BURST], [None; BURST]);
        let tuples = plains.iter().map(|plain| plain.as_ref().map(|plain| &plain.tuple));
        state.conns.find_burst(tuples, &mut hashes, &mut found);
        if !are_all_plain {
            for ((other, plain), frame) in others.iter_mut().zip(&*plains).zip(frames.iter()) {
                if plain.is_none() {
                    other.read(tables, frame, true);
                } else {
                    other.key = None;
                }
            }
            let keys = others.iter().take(len).map(|other| other.key.as_ref());
            state.conns.find_burst(keys, &mut hashes, &mut found);
        }
        state.look_ahead(tables, &found);
        let arrival = Arrival { tables, now, is_handed };
        let frames = frames.iter_mut().zip(verdicts).zip(plains.iter().zip(&found));
        for (at, ((frame, verdict), (plain, found))) in frames.enumerate() {
            if let Some(plain) = plain {
                let shortest = match found {
                    Some(found) => state.forward_plain(arrival, frame, plain, *found),
                    None => state
                        .answer_plain(arrival, frame, plain)
                        .or_else(|| state.hand_plain(arrival, plain)),
                };
                if let Some(decided) = shortest {
                    *verdict = decided;
                    state.count_end(verdict);
                    continue;
                }
            }
            // Not in step with the others: that would cost plain frames seven instructions.
            let Some(other) = others.get_mut(at) else { break };
            let hash = hashes.get(at).copied().unwrap_or_default();
            *verdict = state.decide_other(arrival, frame, other, plain.as_ref(), (hash, *found));
            state.count_end(verdict);
        }
    }
}

impl Other {
    /// Nothing that has been read.
    pub(super) const NONE: Other = Other {
        packet: Packet::NONE,
        kind: Err(DropReason::TruncatedHeader),
        key: None,
        error: None,
    };

    /// Reads a frame. If it `may_be_short`, a plain error is read as such, and nothing else of it.
    #[inline(never)]
    fn read<F: Frame>(&mut self, tables: &Tables, frame: &F, may_be_short: bool) {
        (self.key, self.error) = (None, None);
        let rx = frame.rx();
        if rx.checksum_bad {
            self.kind = Err(DropReason::BadChecksum);
            return;
        }
        let mac = tables.port(rx.port).map(|port| port.mac).unwrap_or_default();
        if may_be_short {
            self.error = PlainError::read(frame.bytes(), mac);
            if self.error.is_some() {
                return;
            }
        }
        self.kind = parse_into(frame.bytes(), mac, &mut self.packet);
        if let Ok(Kind::Ip) = self.kind {
            self.key = self.packet.key();
        }
    }
}

impl WorkerState {
    /// Decides about a frame that does not go the shortest way. `hash` is its key's, if it has one.
    fn decide_other<F: Frame>(
        &mut self,
        Arrival { tables, now, is_handed, .. }: Arrival<'_>,
        frame: &mut F,
        other: &mut Other,
        plain: Option<&Plain>,
        (hash, found): (u32, Option<Found>),
    ) -> Verdict {
        let port = frame.rx().port;
        let context = Context { tables, now, hash, port, plain, is_handed, meets_here: false };
        if let Some(plain) = plain {
            let is_spread = plain.spread(frame.bytes(), &mut other.packet);
            other.kind = is_spread.map(|()| Kind::Ip).ok_or(DropReason::MalformedHeader);
            other.key = Some(Key::from(plain.tuple));
        } else if let Some(error) = &other.error {
            if let Some(verdict) = self.relay_plain(&context, frame, error) {
                return verdict;
            }
            other.read(tables, frame, false);
        }
        let Other { packet, kind, key, .. } = other;
        match *kind {
            Err(reason) => Verdict::Drop(reason),
            Ok(Kind::Ip) => self.decide(&context, frame, packet, key.as_ref(), found),
            Ok(Kind::Arp(offset)) => self.arp(&context, frame, offset),
            Ok(Kind::Other) => to_kernel(&context, DropReason::NotIp),
        }
    }
}

/// Reads the frames of a burst that are plain; says whether all of them are.
#[inline(never)]
fn read_burst<F: Frame>(tables: &Tables, frames: &[F], plains: &mut [Option<Plain>]) -> bool {
    let mut are_all_plain = true;
    for (plain, frame) in plains.iter_mut().zip(frames) {
        *plain = read_plain(tables, frame);
        are_all_plain &= plain.is_some();
    }
    are_all_plain
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
