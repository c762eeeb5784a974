// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options: their table, and what they set.

use crate::getopt::{Found, Scan, Spec};
use crate::stop::Stop;
use crate::value::atoi;
use dpvs_api::types::Family;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The version line. It names the release whose command line this is, as scripts look for it.
const VERSION: &str = "dpip-1.10-2\n";

/// What the options ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Options {
    /// `-v`: more of everything.
    pub verbose: bool,
    /// `-s`: counters.
    pub stats: bool,
    /// `-4`, `-6`, `-f`: the family; both, or what the object takes for granted, if missing.
    pub family: Option<Family>,
    /// `-i`: seconds between two readings of counters.
    pub interval: Option<i32>,
    /// `-c`: how many rates to print; endless if missing or not positive.
    pub count: Option<i32>,
    /// `-C`: coloured rates.
    pub color: bool,
    /// `-F`: overwrite; only `ipset` knows it.
    pub force: bool,
    /// `-h`: print help.
    pub help: bool,
    /// `--json`: print listings as JSON.
    pub json: bool,
    /// `--batch`: read commands from this file; `-` is standard input.
    pub batch: Option<PathBuf>,
    /// `--keep-going`: go on after a command of a batch that failed.
    pub keep_going: bool,
    /// `--socket`: where the daemon listens.
    pub socket: Option<PathBuf>,
}

/// What an option is, whatever it is written like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the long options")]
pub enum Id {
    Verbose,
    Help,
    Version,
    Family,
    Inet,
    Inet6,
    Stats,
    Interval,
    Count,
    Color,
    Force,
    Daemon,
    Json,
    Batch,
    KeepGoing,
    Socket,
}

const fn flag(short: Option<u8>, long: Option<&'static str>, id: Id) -> Spec<Id> {
    Spec { short, long, takes_value: false, id }
}

const fn valued(short: Option<u8>, long: Option<&'static str>, id: Id) -> Spec<Id> {
    Spec { short, long, takes_value: true, id }
}

/// All options.
pub const TABLE: &[Spec<Id>] = &[
    flag(Some(b'v'), Some("verbose"), Id::Verbose),
    flag(Some(b'h'), Some("help"), Id::Help),
    flag(Some(b'V'), Some("version"), Id::Version),
    valued(Some(b'f'), Some("family"), Id::Family),
    flag(Some(b'4'), None, Id::Inet),
    flag(Some(b'6'), None, Id::Inet6),
    flag(Some(b's'), Some("stats"), Id::Stats),
    flag(Some(b's'), Some("statistics"), Id::Stats),
    valued(Some(b'i'), Some("interval"), Id::Interval),
    valued(Some(b'c'), Some("count"), Id::Count),
    flag(Some(b'C'), Some("color"), Id::Color),
    flag(Some(b'F'), Some("force"), Id::Force),
    // In the original's option string, but not handled there.
    flag(Some(b'D'), None, Id::Daemon),
    flag(None, Some("json"), Id::Json),
    valued(None, Some("batch"), Id::Batch),
    flag(None, Some("keep-going"), Id::KeepGoing),
    valued(None, Some("socket"), Id::Socket),
];

/// Reads the options of `argv` on top of `options`; returns the other words.
///
/// Sentences that do not end the run go to `notes`.
pub(crate) fn scan(
    options: &mut Options,
    argv: Vec<OsString>,
    notes: &mut String,
) -> Result<Vec<String>, Stop> {
    let argv = argv.into_iter().map(OsStringExt::into_vec).collect();
    let mut scan = Scan::new(TABLE, argv);
    while let Some(found) = scan.next() {
        match found {
            Found::Option(Id::Daemon, _) => return Err(invalid(scan.next_word(), "")),
            Found::Option(id, value) => apply(options, id, value)?,
            Found::Wrong(text) => {
                return Err(invalid(scan.next_word(), &format!("dpip: {text}\n")));
            }
        }
    }
    if options.count.is_some() && options.interval.is_none() {
        notes.push_str("missing option '-i'\n");
    }
    let words = scan.into_words();
    Ok(words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

fn invalid(next_word: Option<&[u8]>, message: &str) -> Stop {
    let word = next_word.map_or("(null)".into(), String::from_utf8_lossy);
    Stop::failed(format!("{message}Invalid option: {word}\n"))
}

fn apply(options: &mut Options, id: Id, value: Vec<u8>) -> Result<(), Stop> {
    let text = String::from_utf8_lossy(&value);
    match id {
        Id::Verbose => options.verbose = true,
        Id::Help => options.help = true,
        Id::Version => return Err(Stop::Output { text: VERSION.to_owned(), code: 0 }),
        Id::Family => match text.as_ref() {
            "inet" => options.family = Some(Family::Inet),
            "inet6" => options.family = Some(Family::Inet6),
            _ => return Err(Stop::failed("invalid family\n".to_owned())),
        },
        Id::Inet => options.family = Some(Family::Inet),
        Id::Inet6 => options.family = Some(Family::Inet6),
        Id::Stats => options.stats = true,
        Id::Interval => options.interval = Some(atoi(&text)),
        Id::Count => options.count = Some(atoi(&text)),
        Id::Color => options.color = true,
        Id::Force => options.force = true,
        Id::Json => options.json = true,
        Id::KeepGoing => options.keep_going = true,
        Id::Batch => options.batch = Some(PathBuf::from(OsString::from_vec(value))),
        Id::Socket => options.socket = Some(PathBuf::from(OsString::from_vec(value))),
        // The scan answers it before it comes here.
        Id::Daemon => {}
    }
    Ok(())
}
