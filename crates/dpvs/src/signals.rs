// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signals, as files that become readable.

use anyhow::Context as _;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsFd as _, OwnedFd};

/// The signals that the daemon acts on. They are blocked, so that they reach nobody else.
#[derive(Debug)]
pub(crate) struct Signals {
    stop: SignalFd,
    reload: SignalFd,
}

impl Signals {
    /// Blocks the signals. To be called before any thread is started: threads inherit that.
    ///
    /// # Errors
    /// If the system has no more files.
    pub(crate) fn block() -> anyhow::Result<Self> {
        Ok(Signals {
            stop: file_of(&[Signal::SIGTERM, Signal::SIGINT])?,
            reload: file_of(&[Signal::SIGHUP])?,
        })
    }

    /// A file that becomes readable when the daemon is to end.
    ///
    /// # Errors
    /// If the system has no more files.
    pub(crate) fn stop(&self) -> anyhow::Result<OwnedFd> {
        self.stop.as_fd().try_clone_to_owned().context("cannot watch for signals")
    }

    /// A file that becomes readable when the configuration is to be read again, and what reads it
    /// empty.
    ///
    /// # Errors
    /// If the system has no more files.
    pub(crate) fn into_reload(self) -> anyhow::Result<(OwnedFd, SignalFd)> {
        let watched =
            self.reload.as_fd().try_clone_to_owned().context("cannot watch for signals")?;
        Ok((watched, self.reload))
    }
}

fn file_of(signals: &[Signal]) -> anyhow::Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in signals {
        set.add(*signal);
    }
    set.thread_block().context("cannot block signals")?;
    SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .context("cannot watch for signals")
}
