// SPDX-License-Identifier: MIT OR Apache-2.0
//! A burst's way: read, find, decide and rewrite, each stage over the whole burst.

use super::plain::Arrival;
use super::process::{Context, to_kernel};
use super::{Worker, WorkerState};
use crate::conn::{Place, Sought};
use crate::icmp::plain::PlainError;
use crate::key::Key;
use crate::parse::{Kind, Packet, parse_into};
use crate::plain::Plain;
use crate::tables::Tables;
use crate::{BURST, DropReason, Frame, Millis, Verdict};

/// Places for what is read and found of a burst, kept from burst to burst.
#[derive(Debug)]
pub(super) struct Places {
    plains: [Sought<Plain>; BURST],
    /// Those of frames that are not plain, or do not go the shortest way.
    others: [Other; BURST],
}

/// A frame of a burst that is not plain, or does not go the shortest way: what was read of it.
#[derive(Clone, Copy, Debug)]
struct Other {
    packet: Packet,
    kind: Result<Kind, DropReason>,
    sought: Sought<Key>,
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
        self.state.counters.frames_in.add(u64::try_from(frames.len()).unwrap_or(0));
        let bytes = self.run(now, frames, verdicts, false);
        self.state.counters.bytes_in.add(u64::try_from(bytes).unwrap_or(0));
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

    /// Decides about frames; says how many bytes they had.
    fn run<F: Frame>(
        &mut self,
        now: Millis,
        frames: &mut [F],
        verdicts: &mut [Verdict; BURST],
        is_handed: bool,
    ) -> usize {
        let tables = &*self.tables;
        let state = &mut self.state;
        let Places { plains, others } = &mut *self.places;
        state.conns.tick(now);
        // Where there is little traffic a burst is one frame: nothing goes over more places than that.
        let len = frames.len().min(BURST);
        let (Some(plains), Some(others)) = (plains.get_mut(..len), others.get_mut(..len)) else {
            return 0;
        };
        let (are_all_plain, bytes) = read_burst(tables, frames, plains);
        state.conns.find_burst(plains);
        if !are_all_plain {
            for ((other, plain), frame) in others.iter_mut().zip(&*plains).zip(frames.iter()) {
                if plain.key.is_none() {
                    other.read(tables, frame, true);
                } else {
                    other.sought.put(None);
                }
            }
            state.conns.find_burst(others);
            state.look_ahead(tables, others.iter().map(|other| other.sought.found));
        }
        state.look_ahead(tables, plains.iter().map(|plain| plain.found));
        let arrival = Arrival { tables, now, is_handed };
        let frames = frames.iter_mut().zip(verdicts).zip(&*plains);
        for (at, ((frame, verdict), plain)) in frames.enumerate() {
            if let Sought { key: Some(plain), found, .. } = plain {
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
            *verdict = state.decide_other(arrival, frame, other, plain);
            state.count_end(verdict);
        }
        bytes
    }
}

impl Places {
    pub(super) fn new() -> Self {
        Places { plains: [Sought::NONE; BURST], others: [Other::NONE; BURST] }
    }
}

impl Place for Other {
    type Key = Key;

    #[inline]
    fn sought(&mut self) -> &mut Sought<Key> {
        &mut self.sought
    }
}

impl Other {
    /// Nothing that has been read.
    const NONE: Other = Other {
        packet: Packet::NONE,
        kind: Err(DropReason::TruncatedHeader),
        sought: Sought::NONE,
        error: None,
    };

    /// Reads a frame. If it `may_be_short`, a plain error is read as such, and nothing else of it.
    #[inline(never)]
    fn read<F: Frame>(&mut self, tables: &Tables, frame: &F, may_be_short: bool) {
        self.sought.put(None);
        self.error = None;
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
            self.sought.key = self.packet.key();
        }
    }
}

impl WorkerState {
    /// Decides about a frame that does not go the shortest way.
    fn decide_other<F: Frame>(
        &mut self,
        Arrival { tables, now, is_handed, .. }: Arrival<'_>,
        frame: &mut F,
        other: &mut Other,
        plain: &Sought<Plain>,
    ) -> Verdict {
        let port = frame.rx().port;
        let (hash, found) = match plain.key {
            Some(_) => (plain.hash, plain.found),
            None => (other.sought.hash, other.sought.found),
        };
        let plain = plain.key.as_ref();
        let context = Context { tables, now, hash, port, plain, is_handed, meets_here: false };
        if let Some(plain) = plain {
            let is_spread = plain.spread(frame.bytes(), &mut other.packet);
            other.kind = is_spread.map(|()| Kind::Ip).ok_or(DropReason::MalformedHeader);
            other.sought.key = Some(Key::from(plain.tuple));
        } else if let Some(error) = &other.error {
            if let Some(verdict) = self.relay_plain(&context, frame, error) {
                return verdict;
            }
            other.read(tables, frame, false);
        }
        let Other { packet, kind, sought, .. } = other;
        match *kind {
            Err(reason) => Verdict::Drop(reason),
            Ok(Kind::Ip) => self.decide(&context, frame, packet, sought.key.as_ref(), found),
            Ok(Kind::Arp(offset)) => self.arp(&context, frame, offset),
            Ok(Kind::Other) => to_kernel(&context, DropReason::NotIp),
        }
    }
}

/// Reads the frames of a burst that are plain; says whether all of them are, and how long all are
/// together.
#[inline(never)]
fn read_burst<F: Frame>(
    tables: &Tables,
    frames: &[F],
    plains: &mut [Sought<Plain>],
) -> (bool, usize) {
    let (mut are_all_plain, mut bytes) = (true, 0);
    for (plain, frame) in plains.iter_mut().zip(frames) {
        plain.put(read_plain(tables, frame));
        are_all_plain &= plain.key.is_some();
        bytes += frame.bytes().len();
    }
    (are_all_plain, bytes)
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
