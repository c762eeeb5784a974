// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line.

use crate::config::{self, Config};
use crate::{logging, preflight, runtime};
use clap::{CommandFactory as _, Parser};
use dpdk::PortSpec;
use dpvs_core::steering::WORKERS_MAX;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

/// Exit code for a command line that says too little, as clap's for one that is wrong.
const EXIT_USAGE: u8 = 2;

const AFTER_HELP: &str = "\
DEVICE is a PCI address (0000:03:00.0), af_packet:IFACE, af_xdp:IFACE, tap:IFACE, pcap:IN,OUT,
memif:ARGS or vdev:ARGS.

Signals: SIGTERM and SIGINT end the daemon, SIGHUP reads the configuration again.
Environment: RUST_LOG sets what is logged, before the configuration does.";

/// A layer-4 load balancer on DPDK.
#[derive(Debug, Parser)]
#[command(name = "dpvs", version, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// Read the configuration from FILE [default: /etc/dpvs/dpvs.toml, if it is there]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Listen for ipvsadm and dpip at PATH [default: /run/dpvs/dpvs.sock]
    #[arg(short, long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,

    /// Listen for stock tools at PATH [default: ipvs.sock beside the other socket]
    #[arg(long, value_name = "PATH")]
    pub(crate) ipvs_socket: Option<PathBuf>,

    /// Process packets on N threads [default: 1]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) workers: Option<u8>,

    /// Use DEVICE as the port NAME; may be given several times
    #[arg(short, long = "port", value_name = "NAME=DEVICE")]
    pub(crate) ports: Vec<PortArgument>,

    /// Say what is missing to run with this configuration, and how to get it; do not run
    #[arg(long)]
    pub(crate) check: bool,

    /// Hand ARGS to DPDK's environment, after our own
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub(crate) eal: Option<String>,
}

const _: () = assert!(WORKERS_MAX == 64, "the range of --workers");

/// `NAME=DEVICE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortArgument {
    pub(crate) name: String,
    pub(crate) device: PortSpec,
}

impl FromStr for PortArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, device) =
            text.split_once('=').ok_or("expected NAME=DEVICE, as dpdk0=af_packet:eth0")?;
        if !config::is_port_name(name) {
            return Err(format!(
                "`{name}` is not a port name: 1 to 15 letters, digits, `.`, `_` or `-`"
            ));
        }
        let device = device.parse().map_err(|error: dpdk::PortSpecError| error.to_string())?;
        Ok(PortArgument { name: name.to_owned(), device })
    }
}

/// Returns what the command line may say, for the manual page and for shells.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the daemon as the command line says; the exit code is for the shell.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let config = match Config::load(&cli) {
        Ok(config) => config,
        Err(error) => {
            report(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    if cli.check {
        let findings = preflight::check(&config);
        // A reader that is gone does not care for the report.
        let _ = std::io::stdout().write_all(preflight::render(&findings).as_bytes());
        return if findings.iter().any(preflight::Finding::is_missing) {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        };
    }
    if config.ports.is_empty() {
        let _ = std::io::stderr().write_all(how_to_start().as_bytes());
        return ExitCode::from(EXIT_USAGE);
    }
    let log = logging::start(config.log.level);
    match runtime::run(cli, config, log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&one_line(&error));
            ExitCode::FAILURE
        }
    }
}

fn report(message: &str) {
    let _ = writeln!(std::io::stderr(), "dpvs: {message}");
}

/// The error and its causes, each once.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let separator = if line.is_empty() { "" } else { ": " };
        let _ = write!(line, "{separator}{cause}");
    }
    line
}

fn how_to_start() -> String {
    let path = config::PATH_DEFAULT;
    format!(
        "dpvs: no port is configured.\n\
         \n\
         To try it on a Linux interface:   dpvs --port dpdk0=af_packet:eth0\n\
         On a network card, by address:    dpvs --port dpdk0=0000:03:00.0\n\
         To see what the machine lacks:    dpvs --check --port dpdk0=af_packet:eth0\n\
         \n\
         Lasting settings belong in {path}:\n\
         \n\
         \x20   [[port]]\n\
         \x20   name = \"dpdk0\"\n\
         \x20   device = \"af_packet:eth0\"\n\
         \n\
         Then `dpip` and `ipvsadm` configure addresses and services. More: dpvs --help\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Cli, String> {
        let all = [&["dpvs"], arguments].concat();
        Cli::try_parse_from(all).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_option_is_understood() {
        let cli = parse(&[
            "--config",
            "f",
            "--socket",
            "s",
            "--ipvs-socket",
            "i",
            "--workers",
            "2",
            "--port",
            "a=tap:x",
            "--port",
            "b=0000:03:00.0",
            "--check",
            "--eal",
            "--log-level=debug -m 64",
        ])
        .unwrap();
        assert_eq!(cli.workers, Some(2));
        assert_eq!(cli.ipvs_socket, Some(PathBuf::from("i")));
        assert_eq!(cli.ports.len(), 2);
        assert_eq!(cli.ports[1].device.to_string(), "0000:03:00.0");
        assert_eq!(cli.eal.as_deref(), Some("--log-level=debug -m 64"));
        assert!(cli.check);
    }

    #[test]
    fn mistakes_are_explained() {
        for (arguments, expected) in [
            (&["--port", "eth0"][..], "expected NAME=DEVICE"),
            (&["--port", "a=eth0"], "`eth0` is not a device"),
            (&["--port", "a/b=tap:x"], "`a/b` is not a port name"),
            (&["--workers", "0"], "1..=64"),
            (&["--workers", "65"], "1..=64"),
        ] {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn an_error_is_one_line_with_its_causes() {
        let error = anyhow::anyhow!("no such file").context("cannot read f");
        assert_eq!(one_line(&error), "cannot read f: no such file");
    }
}
