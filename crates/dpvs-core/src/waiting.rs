// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames that wait for the link address of their next hop.

use crate::{DropReason, Frame, Millis, NextHop, Verdict, Worker};
use std::collections::VecDeque;

/// Most frames of one worker that wait.
const WAITING_MAX: usize = 256;

/// Most frames that wait for one next hop: one that is dead does not fill the queue.
const WAITING_PER_HOP_MAX: usize = 16;

/// Time between two looks at the queue in milliseconds.
const LOOK_MS: u64 = 1;

/// A bounded queue of frames, each finished but for its link destination. Owned by the thread of the
/// worker.
#[derive(Debug)]
pub struct Waiting<F> {
    frames: VecDeque<(F, NextHop)>,
    looked_at: Millis,
}

impl<F: Frame> Waiting<F> {
    /// Makes an empty queue.
    pub fn new() -> Self {
        Waiting { frames: VecDeque::with_capacity(WAITING_MAX), looked_at: Millis(0) }
    }

    /// Takes a frame with the verdict [`Verdict::Wait`]. It comes back if there is no room; that
    /// has been counted.
    pub fn push(&mut self, worker: &Worker, frame: F, hop: NextHop) -> Option<F> {
        let same = self.frames.iter().filter(|(_, other)| *other == hop).count();
        if self.frames.len() >= WAITING_MAX || same >= WAITING_PER_HOP_MAX {
            worker.count_drop(DropReason::WaitingFull);
            return Some(frame);
        }
        self.frames.push_back((frame, hop));
        None
    }

    /// Returns how many frames wait.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Returns whether none waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Looks at all frames once and gives `each` those that can go, or that wait in vain.
    pub fn poll(&mut self, worker: &mut Worker, now: Millis, mut each: impl FnMut(F, Verdict)) {
        if self.frames.is_empty() || now.since(self.looked_at) < LOOK_MS {
            return;
        }
        self.looked_at = now;
        for _ in 0..self.frames.len() {
            let Some((mut frame, hop)) = self.frames.pop_front() else { return };
            match worker.resolve(now, hop, &mut frame) {
                Verdict::Wait(hop) => self.frames.push_back((frame, hop)),
                verdict => each(frame, verdict),
            }
        }
    }
}

impl<F: Frame> Default for Waiting<F> {
    fn default() -> Self {
        Waiting::new()
    }
}
