// SPDX-License-Identifier: MIT OR Apache-2.0
//! A change that is applied whole or not at all: a draft of the tables, and what goes with it.

use super::{Control, LinkChange};
use dpvs_api::RpcError;
use dpvs_core::tables::{Draft, Tables};
use dpvs_core::{Command, NextHop, PortId};

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
    /// The write that is being collected.
    write: usize,
}

impl<'a> Stage<'a> {
    pub(super) fn new(control: &'a mut Control) -> Self {
        let draft = Draft::new(&control.tables);
        Stage { control, draft, effects: Vec::new(), forgotten: Vec::new(), write: 0 }
    }

    /// Returns the tables as they would be.
    pub(crate) fn tables(&self) -> &Tables {
        self.draft.tables()
    }

    /// Says that what follows belongs to the write at `index` of a transaction.
    pub(crate) fn begin_write(&mut self, index: usize) {
        self.write = index;
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
