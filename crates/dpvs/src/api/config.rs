// SPDX-License-Identifier: MIT OR Apache-2.0
//! `config.apply` and `config.get`: the whole configuration as one document.

mod difference;
mod services;
mod standing;

pub(super) use standing::get;

use super::Session;
use super::transaction::generation;
use crate::control::Control;
use difference::Difference;
use dpvs_api::types::{ConfigApplied, ConfigApplyParams, ConfigSpec, ServiceConfig};
use dpvs_api::{ErrorCode, RpcError, parts};

/// Most rows of all sections of a configuration that comes in parts.
const ROWS_MAX: usize = 2_000_000;

/// Makes the configuration so, or tells what that would take.
///
/// The difference is written on a stage: so it is applied whole or not at all, connections of what
/// stays live on, and a dry run is refused for just what the real one would be refused for.
pub(super) fn apply(
    control: &mut Control,
    session: &mut Session,
    params: ConfigApplyParams,
) -> Result<ConfigApplied, RpcError> {
    let before = session.config.take();
    let current = generation(control, params.generation)?;
    let config = match before {
        Some(before) => parts::join(before, params.config),
        None => params.config,
    };
    if rows_len(&config) > ROWS_MAX {
        let text = format!("a configuration of more than {ROWS_MAX} rows");
        return Err(RpcError::new(ErrorCode::Range, text).at("config"));
    }
    if params.more {
        session.config = Some(config);
        return Ok(ConfigApplied { generation: current, changes: 0, writes: Vec::new() });
    }
    let mut stage = control.stage();
    let Difference { changes, writes, .. } = difference::write(&mut stage, config)?;
    let generation = if params.dry_run || changes == 0 {
        current
    } else {
        stage.commit().map_err(|(_, error)| error)?
    };
    Ok(ConfigApplied { generation, changes, writes })
}

/// Puts the place in the document before the place in the part of it.
fn under(place: &str) -> impl Fn(RpcError) -> RpcError + '_ {
    move |error| {
        let path = match &error.data.path {
            // A part names its service; here the service is what it stands in.
            Some(path) if !path.starts_with("service") => format!("{place}.{path}"),
            _ => place.to_owned(),
        };
        error.at(path)
    }
}

/// Returns how many rows a configuration has.
fn rows_len(config: &ConfigSpec) -> usize {
    fn len<T>(section: Option<&Vec<T>>) -> usize {
        section.map_or(0, Vec::len)
    }
    let parts: usize = config.services.iter().flatten().map(ServiceConfig::parts_len).sum();
    len(config.addrs.as_ref())
        + len(config.routes.as_ref())
        + len(config.neighs.as_ref())
        + len(config.echoes.as_ref())
        + len(config.services.as_ref())
        + parts
}
