// SPDX-License-Identifier: MIT OR Apache-2.0
//! A change that is applied whole or not at all: a draft of the tables, and what goes with it.

use super::{Control, LinkChange};
use dpvs_api::RpcError;
use dpvs_core::tables::{Draft, Tables};
use dpvs_core::{Command, NextHop, PortId};
use std::fmt;

/// A change of a port, in which write of a transaction it was asked for.
struct LinkEffect {
    port: PortId,
    change: LinkChange,
    write: usize,
}

/// Writes collected before they are published.
pub(crate) struct Stage<'a> {
    /// For questions to the workers; nothing is changed here before the end.
    pub(crate) control: &'a mut Control,
    /// The tables to come.
    pub(crate) draft: Draft,
    effects: Vec<LinkEffect>,
    forgotten: Vec<NextHop>,
    /// The index of the write that is being collected.
    write: usize,
}

/// A stage laid aside, with its writes on it.
pub(crate) struct Paused {
    draft: Draft,
    effects: Vec<LinkEffect>,
    forgotten: Vec<NextHop>,
    write: usize,
}

impl fmt::Debug for Paused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paused").field("writes", &self.write).finish_non_exhaustive()
    }
}

impl<'a> Stage<'a> {
    pub(super) fn new(control: &'a mut Control) -> Self {
        let draft = Draft::new(&control.tables);
        Stage { control, draft, effects: Vec::new(), forgotten: Vec::new(), write: 0 }
    }

    /// Goes on with a stage that was laid aside; `None` if the tables have changed meanwhile.
    pub(super) fn resume(control: &'a mut Control, paused: Paused) -> Option<Self> {
        let Paused { draft, effects, forgotten, write } = paused;
        let is_current = draft.tables().generation() == control.tables.generation();
        is_current.then_some(Stage { control, draft, effects, forgotten, write })
    }

    /// Lays the stage aside.
    pub(crate) fn pause(self) -> Paused {
        let Stage { draft, effects, forgotten, write, .. } = self;
        Paused { draft, effects, forgotten, write }
    }

    /// Returns the tables as they would be.
    pub(crate) fn tables(&self) -> &Tables {
        self.draft.tables()
    }

    /// Returns how many writes of a transaction there have been: the index of the next.
    pub(crate) fn writes(&self) -> usize {
        self.write
    }

    /// Says that what follows belongs to the next write of a transaction.
    pub(crate) fn end_write(&mut self) {
        self.write += 1;
    }

    /// Adds a change of a port.
    pub(crate) fn change_link(&mut self, port: PortId, change: LinkChange) {
        self.effects.push(LinkEffect { port, change, write: self.write });
    }

    /// Adds a learned neighbour to forget.
    pub(crate) fn forget(&mut self, hop: NextHop) {
        self.forgotten.push(hop);
    }

    /// Carries everything out; returns the new generation.
    ///
    /// # Errors
    /// If a port refuses, with the position of the write: nothing is changed. If a worker does not
    /// answer: the change stands.
    pub(crate) fn commit(self) -> Result<u64, (Option<usize>, RpcError)> {
        let Stage { control, draft, effects, forgotten, .. } = self;
        apply_links(control, effects).map_err(|(write, error)| (Some(write), error))?;
        control.publish(draft).map_err(|error| (None, error))?;
        for hop in forgotten {
            control.ask_all(|| Command::Forget(hop)).map_err(|error| (None, error))?;
        }
        Ok(control.tables.generation())
    }
}

/// Changes ports one after the other; if one refuses, takes the changes before it back.
fn apply_links(control: &mut Control, effects: Vec<LinkEffect>) -> Result<(), (usize, RpcError)> {
    let mut undo: Vec<(PortId, LinkChange)> = Vec::new();
    for LinkEffect { port, change, write } in effects {
        let Some(link) = control.link_mut(port.index()) else { continue };
        let back = link.undo(change);
        if let Err(error) = link.change(change) {
            for (port, change) in undo.into_iter().rev() {
                let Some(link) = control.link_mut(port.index()) else { continue };
                if let Err(error) = link.change(change) {
                    tracing::error!(port = port.0, "cannot take {change:?} back: {error}");
                }
            }
            return Err((write, error));
        }
        undo.push((port, back));
    }
    Ok(())
}
