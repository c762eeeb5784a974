// SPDX-License-Identifier: MIT OR Apache-2.0
//! `dpip config`: the whole configuration as one document.

use crate::daemon::Daemon;
use crate::options::Options;
use crate::request::Request;
use crate::run::{Fault, json};
use crate::source;
use crate::stop::{NOT_SUPPORT, Stop};
use crate::words::{Command, Words};
use dpvs_api::types::{ConfigApplied, ConfigApplyParams, ConfigGetParams, ConfigSpec};
use dpvs_api::{ClientError, method, parts};
use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::Path;

/// Longest document, so that an endless file ends.
const DOCUMENT_BYTES_MAX: u64 = 1 << 30;

/// Reads the words after `config COMMAND`.
pub(crate) fn parse(command: Command, mut words: Words<'_>) -> Result<Request, Stop> {
    let path = words.next();
    if words.next().is_some() {
        return Err(Stop::parse("too many arguments"));
    }
    let dry_run = match (command, path) {
        (Command::Show, None) => return Ok(Request::ConfigShow),
        (Command::Show, Some(_)) => return Err(Stop::parse("too many arguments")),
        (Command::Test, _) => true,
        (Command::Replace, _) => false,
        _ => return Err(Stop::Action(NOT_SUPPORT)),
    };
    let path = path.ok_or_else(|| Stop::check("missing file"))?;
    Ok(Request::ConfigApply { path: path.into(), dry_run })
}

/// Returns the whole configuration; all its pages are of one generation.
pub(crate) fn show(options: &Options, daemon: &mut Daemon) -> Result<String, Fault> {
    let mut whole = ConfigSpec::default();
    let mut cursor = None;
    loop {
        let page = daemon.call::<method::ConfigGet>(&ConfigGetParams { cursor })?;
        whole = parts::join(whole, page.config);
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    if options.json {
        return json(&whole);
    }
    let text = serde_json::to_string_pretty(&whole).map_err(io::Error::from)?;
    Ok(text + "\n")
}

/// Applies a document, or tries it; returns what is to be printed.
pub(crate) fn apply(
    options: &Options,
    daemon: &mut Daemon,
    path: &Path,
    dry_run: bool,
) -> Result<String, Fault> {
    let mut list = parts::split(read(path)?);
    let last = list.pop().unwrap_or_default();
    for config in list {
        let params = ConfigApplyParams { config, dry_run, more: true, generation: None };
        daemon.call::<method::ConfigApply>(&params).map_err(explain)?;
    }
    let params = ConfigApplyParams { config: last, dry_run, more: false, generation: None };
    let applied = daemon.call::<method::ConfigApply>(&params).map_err(explain)?;
    if options.json {
        return json(&applied);
    }
    if dry_run || options.verbose { Ok(writes(&applied)) } else { Ok(String::new()) }
}

/// A document has many places, so a refusal must tell which.
fn explain(error: ClientError) -> Fault {
    match error {
        ClientError::Refused(error) => Fault::File(error.to_string()),
        other => Fault::Daemon(other),
    }
}

fn read(path: &Path) -> Result<ConfigSpec, Fault> {
    let name = source::name(path);
    let fail = |error: &dyn std::fmt::Display| Fault::File(format!("{name}: {error}"));
    let reader = source::open(path).map_err(|error| fail(&error))?;
    let mut text = String::new();
    reader.take(DOCUMENT_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| fail(&error))?;
    if u64::try_from(text.len()).is_ok_and(|len| len > DOCUMENT_BYTES_MAX) {
        return Err(fail(&"longer than 1 GiB"));
    }
    // An array would be taken for the sections in their order.
    if text.trim_start().starts_with('[') {
        return Err(fail(&"not an object with the sections of a configuration"));
    }
    serde_json::from_str(&text).map_err(|error| fail(&error))
}

/// One write a line: the method, its parameters.
fn writes(applied: &ConfigApplied) -> String {
    let mut text = String::new();
    for write in &applied.writes {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {}", write.method, write.params.get());
    }
    let told = u64::try_from(applied.writes.len()).unwrap_or(u64::MAX);
    let rest = applied.changes.saturating_sub(told);
    if rest > 0 {
        let _ = writeln!(text, "and {rest} more");
    }
    text
}
