// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carrying commands out against the daemon.

mod list;
mod refusal;
mod restore;
mod save;
mod write;

pub use refusal::{Operation, refusal};
pub use write::{Write, write_of};

use crate::Failure;
use crate::help::{help_text, version_text};
use crate::invocation::{Action, Format, Invocation};
use crate::names::Names;
use crate::output::{Output, complain};
use dpvs_api::{Client, socket_path};
use std::path::PathBuf;

/// What the commands of one run share.
pub struct Session<'a> {
    /// Where names come from.
    pub names: &'a dyn Names,
    /// Stdout.
    pub out: Output,
    /// The format of listings that do not say theirs.
    pub format: Format,
    socket: Option<PathBuf>,
    client: Option<Client>,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl<'a> Session<'a> {
    /// Makes a session without a connection; the first command that needs one connects.
    pub fn new(names: &'a dyn Names, out: Output, format: Format) -> Self {
        Session { names, out, format, socket: None, client: None }
    }

    /// Carries a command out.
    ///
    /// # Errors
    /// What to print on stderr, and the exit code.
    pub fn execute(&mut self, invocation: Invocation) -> Result<(), Failure> {
        for warning in &invocation.warnings {
            complain(format!("{warning}\n").as_bytes());
        }
        if invocation.socket.is_some() {
            self.socket = invocation.socket;
        }
        let format = invocation.format.unwrap_or(self.format);
        if let Some(write) = write_of(&invocation.action) {
            return self.write(&write?);
        }
        match invocation.action {
            Action::Help { program } => self.out.write(&help_text(&program)),
            Action::Version => self.out.write(&version_text()),
            Action::ListServices(listing) => return list::services(self, &listing, format),
            Action::ListConnections(listing) => return list::connections(self, listing, format),
            Action::ListTimeouts => return list::timeouts(self, format),
            Action::ListDaemons => return list::daemons(self, format),
            Action::ListLaddrs(selector) => return list::laddrs(self, &selector, format),
            Action::ListClients(list, selector) => {
                return list::clients(self, list, &selector, format);
            }
            Action::Save { numeric } => return save::save(self, numeric),
            Action::Restore { atomic: false } => return restore::restore(self),
            Action::Restore { atomic: true } => return restore::restore_atomic(self),
            // The rest are writes.
            _ => {}
        }
        Ok(())
    }

    /// Returns the connection to the daemon.
    ///
    /// # Errors
    /// Nobody listens: exit code 2.
    pub fn client(&mut self) -> Result<&mut Client, Failure> {
        let client = match self.client.take() {
            Some(client) => client,
            None => Client::connect(&socket_path(self.socket.as_deref()))
                .map_err(|error| refusal(Operation::List, error))?,
        };
        Ok(self.client.insert(client))
    }

    fn write(&mut self, write: &Write) -> Result<(), Failure> {
        let outcome = self.client()?.call_raw(write.method, &write.params);
        outcome.map(drop).map_err(|error| refusal(write.operation, error))
    }

    /// Prints a reply of the API as one document.
    fn write_json(&mut self, reply: &impl serde::Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(reply)
            .map_err(|error| Failure::listing(&error.to_string()))?;
        self.out.write(&text);
        self.out.write("\n");
        Ok(())
    }
}
