// SPDX-License-Identifier: MIT OR Apache-2.0
//! The daemon's life: take the socket, start the dataplane, serve, stop.

use crate::cli::Cli;
use crate::config::Config;
use crate::control::ControlOptions;
use crate::dataplane;
use crate::logging::LogControl;
use crate::server::{self, Reloaded};
use crate::signals::Signals;
use anyhow::Context as _;
use nix::sys::signalfd::SignalFd;
use sd_notify::NotifyState;

/// Runs until a signal or `system.shutdown` ends it.
///
/// # Errors
/// What kept it from starting, or from ending in good order.
pub(crate) fn run(cli: Cli, config: Config, log: LogControl) -> anyhow::Result<()> {
    abort_on_panic();
    // Before any thread is made, and before DPDK makes some.
    let signals = Signals::block()?;
    let stop = signals.stop()?;
    let socket = dpvs_api::socket_path(config.control.socket.as_deref());
    let ipvs_socket = config.control.ipvs_socket.clone();
    let options = ControlOptions {
        ipvs_socket: ipvs_socket.unwrap_or_else(|| socket.with_file_name("ipvs.sock")),
        socket,
        admin_group: config.control.admin_group.clone(),
        reader_group: config.control.reader_group.clone(),
    };
    let mut server = server::bind(&options)?;
    let (mut dataplane, control) = dataplane::start(&config, cli.eal.as_deref())?;

    let (watched, signal) = signals.into_reload()?;
    let mut reloader = Reloader { cli, config, log, signal };
    server.on_reload(watched, Box::new(move || reloader.reload()));
    tracing::info!("dpvs {} is ready at {}", env!("CARGO_PKG_VERSION"), options.socket.display());
    notify(NotifyState::Ready);
    let served = server.run(control, stop);
    notify(NotifyState::Stopping);
    tracing::info!("dpvs is stopping");
    let control = served.context("the control socket failed")?;
    dataplane.stop(control)
}

/// Reads the configuration again when told to, and applies what can be changed while packets flow.
struct Reloader {
    cli: Cli,
    config: Config,
    log: LogControl,
    signal: SignalFd,
}

impl Reloader {
    fn reload(&mut self) -> Reloaded {
        while let Ok(Some(_)) = self.signal.read_signal() {}
        let new = match Config::load(&self.cli) {
            Ok(new) => new,
            Err(error) => {
                tracing::error!("the configuration stays as it is: {error}");
                return Reloaded::default();
            }
        };
        for section in self.config.needs_restart(&new) {
            tracing::warn!("[{section}] has changed: restart dpvs to apply it");
        }
        if new.log != self.config.log {
            self.log.set(new.log.level);
        }
        let (old_limits, old_timeouts) = (self.config.limits(), self.config.timeouts());
        // What needs a restart stays different, and is told again next time.
        self.config.take_over(new);
        let (limits, timeouts) = (self.config.limits(), self.config.timeouts());
        let reloaded = Reloaded {
            limits: (limits != old_limits).then_some(limits),
            timeouts: (timeouts != old_timeouts).then_some(timeouts),
        };
        tracing::info!("the configuration was read again");
        reloaded
    }
}

/// Tells systemd, if it wants to know.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!("cannot tell systemd: {error}");
    }
}

/// Makes a panic in any thread the end of the process: a worker that is gone would leave a part of
/// the connections without an answer, and whoever watches the daemon would not notice.
fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("without a name").to_owned();
        tracing::error!("dpvs ends: thread {name} met a bug; please report the lines above");
        std::process::abort();
    }));
}
