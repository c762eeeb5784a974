// SPDX-License-Identifier: MIT OR Apache-2.0
//! From `argv` to a request, or to what ends the run before one. No input or output here.

use crate::options::{self, Options};
use crate::request::Request;
use crate::stop::{NOT_SUPPORT, Stop};
use crate::words::{Command, Object, Words};
use crate::{addr, config, echo, help, icmp, link, neigh, route};
use std::ffi::OsString;
use std::path::PathBuf;

/// What a command line comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// What to print on standard output first.
    pub stdout: String,
    /// What to print on standard error first.
    pub stderr: String,
    /// What to do then.
    pub outcome: Outcome,
}

/// What to do after a command line has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// End with this exit code.
    Exit(u8),
    /// Ask the daemon.
    Run(Box<Options>, Box<Request>),
    /// Carry out the commands of a file.
    Batch(Box<Options>, PathBuf),
}

/// Reads a command line, the program's name first.
///
/// The order of the checks is the original's: options, help, command, object, the object's words.
///
/// ```
/// let argv = ["dpip", "addr", "add", "10.0.0.1/24", "dev", "dpdk0"].map(Into::into);
/// assert!(matches!(dpip::parse(argv).outcome, dpip::Outcome::Run(..)));
/// let parsed = dpip::parse(["dpip", "addr", "fly"].map(Into::into));
/// assert_eq!(parsed.stderr, "invalid command fly\n");
/// ```
pub fn parse(argv: impl IntoIterator<Item = OsString>) -> Parsed {
    parse_on_top(&Options::default(), argv.into_iter().collect())
}

/// Reads a command line whose options add to `base`.
pub(crate) fn parse_on_top(base: &Options, argv: Vec<OsString>) -> Parsed {
    let mut options = base.clone();
    let mut notes = String::new();
    match outcome(&mut options, argv, &mut notes) {
        Ok(outcome) => Parsed { stdout: String::new(), stderr: notes, outcome },
        Err(stop) => {
            let (stdout, stderr, code) = stop.render();
            Parsed { stdout, stderr: notes + &stderr, outcome: Outcome::Exit(code) }
        }
    }
}

fn outcome(
    options: &mut Options,
    argv: Vec<OsString>,
    notes: &mut String,
) -> Result<Outcome, Stop> {
    let is_bare = argv.len() <= 1;
    let words = options::scan(options, argv, notes)?;
    if !options.help
        && let Some(path) = options.batch.take()
    {
        return match words.first() {
            None => Ok(Outcome::Batch(Box::new(options.clone()), path)),
            Some(_) => Err(Stop::failed("dpip: --batch takes no OBJECT\n".to_owned())),
        };
    }
    let Some(object_word) = words.first() else {
        let code = u8::from(!is_bare);
        return Err(Stop::Message { text: help::usage().to_owned(), code });
    };
    let object = Object::find(object_word);
    let command_word = match words.get(1) {
        Some(word) if !options.help => word,
        _ => {
            let text = object.map_or_else(|| help::usage().to_owned(), help::object);
            return Err(Stop::Message { text, code: 1 });
        }
    };
    let Some(command) = Command::find(command_word) else {
        return Err(Stop::failed(format!("invalid command {command_word}\n")));
    };
    let Some(object) = object else {
        let text = "dpip: invalid object, use `-h' for help.\n";
        return Err(Stop::failed(text.to_owned()));
    };
    if command == Command::Help {
        return Err(Stop::Message { text: help::object(object), code: 0 });
    }
    let rest = Words::new(words.get(2..).unwrap_or_default());
    let request = match object {
        Object::Addr => addr::parse(command, options, rest),
        Object::Route => route::parse(command, options, rest),
        Object::Neigh => neigh::parse(command, options, rest),
        Object::Link => link::parse(command, options, rest),
        Object::Echo => echo::parse(command, options, rest),
        Object::Icmp => icmp::parse(command, rest),
        Object::Config => config::parse(command, rest),
        _ => Err(Stop::Action(NOT_SUPPORT)),
    }?;
    Ok(Outcome::Run(Box::new(options.clone()), Box::new(request)))
}
