// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a change of the configuration is refused.

/// The kind of a refusal; each is one errno-like name of the control API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The object stands already.
    Exist,
    /// No such service.
    NoService,
    /// No such real server, address, route or neighbour.
    NoDest,
    /// No such scheduler.
    NoScheduler,
    /// A value that can never be right.
    Invalid,
    /// A number out of its range.
    Range,
    /// No such port.
    NoDevice,
    /// No way to an address.
    NoRoute,
    /// Known, but not offered.
    NotSupported,
    /// A table is full.
    NoMemory,
    /// In use.
    Busy,
}

/// A refused change. Nothing has been changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// The kind.
    pub kind: RefusalKind,
    /// A sentence for people.
    pub text: String,
    /// The field at fault, by its name in the control API.
    pub field: Option<&'static str>,
}

impl Refusal {
    /// Makes a refusal.
    pub fn new(kind: RefusalKind, text: impl Into<String>) -> Self {
        Refusal { kind, text: text.into(), field: None }
    }

    /// Names the field at fault.
    #[must_use]
    pub fn at(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }
}
