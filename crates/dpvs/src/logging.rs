// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages to stderr, where systemd's journal picks them up.

use crate::config::LogWord;
use std::io::IsTerminal as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// Changes what is logged while the daemon runs.
#[derive(Debug)]
pub(crate) struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl LogControl {
    /// Logs what is at least as severe as `level`. `RUST_LOG` stays stronger.
    pub(crate) fn set(&self, level: LogWord) {
        if let Err(error) = self.filter.reload(filter(level)) {
            tracing::warn!("cannot change the log level: {error}");
        }
    }
}

/// Starts to log what is at least as severe as `level`, or what `RUST_LOG` says.
pub(crate) fn start(level: LogWord) -> LogControl {
    let (filter, handle) = reload::Layer::new(filter(level));
    let is_terminal = std::io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(is_terminal).with_target(false);
    // The journal has its own clock.
    let started = if is_terminal {
        tracing_subscriber::registry().with(filter).with(lines).try_init()
    } else {
        tracing_subscriber::registry().with(filter).with(lines.without_time()).try_init()
    };
    // Fails only where a program that contains this one logs already.
    let _ = started;
    LogControl { filter: handle }
}

fn filter(level: LogWord) -> EnvFilter {
    let word = match level {
        LogWord::Error => "error",
        LogWord::Warn => "warn",
        LogWord::Info => "info",
        LogWord::Debug => "debug",
        LogWord::Trace => "trace",
    };
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(word))
}
