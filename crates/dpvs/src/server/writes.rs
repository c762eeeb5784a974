// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes that a client has sent in one line: carried out on one stage, published once.
//!
//! To publish costs a copy of the tables and a round to all workers, whatever has changed; a
//! thousand writes that share it cost little more than one. Each stands or is refused by itself, and
//! none is answered before all workers have the tables. The time of a piece is bounded, and then the
//! other clients have their turn.

use super::authority::Peer;
use super::batch::Batch;
use crate::api::{self, Reply};
use crate::control::{Control, Stage};
use dpvs_api::{Call, Incoming, RpcError};
use std::fmt;
use std::time::{Duration, Instant};

/// How long the writes of a piece may take.
const PIECE_TIME: Duration = Duration::from_millis(20);

/// Carries out the writes that are next in a batch, at least one if there is one, and answers them.
pub(super) fn carry_out(control: &mut Control, peer: Peer, batch: &mut Batch) {
    let deadline = Instant::now() + PIECE_TIME;
    let mut log = Log::default();
    let mut outcomes = Vec::new();
    let mut stage = control.stage();
    while let Some(Incoming { id, call }) = batch.next_of_stage() {
        outcomes.push((id, write(&mut stage, peer, call, &mut log)));
        if Instant::now() >= deadline {
            break;
        }
    }
    let reply = finish(stage, !log.done.0.is_empty());
    log.tell(peer);
    for (id, outcome) in outcomes {
        if let Some(id) = id {
            batch.answer(id, outcome.and_then(|()| reply.clone()));
        }
    }
}

fn write(
    stage: &mut Stage<'_>,
    peer: Peer,
    call: Result<Call, RpcError>,
    log: &mut Log,
) -> Result<(), RpcError> {
    let call = call?;
    let (method, access) = (call.name(), call.access());
    let outcome = peer.rights.check(access).and_then(|()| api::write(stage, call));
    match &outcome {
        Ok(()) => log.done.add(method),
        Err(error) => log.refused(method, error),
    }
    outcome
}

/// Publishes what is on the stage, if anything is; returns what its writes are answered with.
fn finish(stage: Stage<'_>, has_changed: bool) -> Result<Reply, RpcError> {
    let generation = if has_changed {
        stage.commit().map_err(|(_, error)| error)?
    } else {
        stage.tables().generation()
    };
    api::written_reply(generation)
}

/// What is logged of a piece: one line for all, since a line for each would take longer than the
/// writes themselves.
#[derive(Debug, Default)]
struct Log {
    done: Tally,
    refused: Tally,
    /// Why the first one was refused.
    because: String,
}

impl Log {
    fn refused(&mut self, method: &'static str, error: &RpcError) {
        if self.refused.0.is_empty() {
            self.because = error.to_string();
        }
        self.refused.add(method);
    }

    fn tell(&self, Peer { uid, pid, .. }: Peer) {
        let Log { done, refused, because } = self;
        if !done.0.is_empty() {
            tracing::info!(uid, pid, "done: {done}");
        }
        if !refused.0.is_empty() {
            tracing::info!(uid, pid, "refused: {refused}: {because}");
        }
    }
}

/// How many writes there were of each method.
#[derive(Debug, Default)]
struct Tally(Vec<(&'static str, usize)>);

impl Tally {
    fn add(&mut self, method: &'static str) {
        match self.0.iter_mut().find(|row| row.0 == method) {
            Some(row) => row.1 += 1,
            None => self.0.push((method, 1)),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (method, count)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{method}")?;
            if *count > 1 {
                write!(f, " x {count}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_counted_by_method() {
        let mut tally = Tally::default();
        for method in ["service.add", "dest.add", "dest.add"] {
            tally.add(method);
        }
        assert_eq!(tally.to_string(), "service.add, dest.add x 2");
    }
}
