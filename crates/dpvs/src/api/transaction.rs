// SPDX-License-Identifier: MIT OR Apache-2.0
//! `transaction`: writes that are applied whole or not at all.

use super::{Session, write, written};
use crate::control::Control;
use dpvs_api::types::{TransactionSpec, WriteSpec, Written};
use dpvs_api::{Access, Call, ErrorCode, RpcError};

/// Carries out a transaction, or a part of one: every write on one stage, which is committed once.
/// Between the parts the stage is the session's; it is gone when a part is refused.
pub(super) fn run(
    control: &mut Control,
    session: &mut Session,
    params: TransactionSpec,
) -> Result<Written, RpcError> {
    let paused = session.transaction.take();
    let current = generation(control, params.generation)?;
    if params.writes.is_empty() && paused.is_none() && !params.more {
        return Ok(written(current));
    }
    let mut stage = match paused {
        None => control.stage(),
        Some(paused) => control.resume(paused).ok_or_else(|| {
            let text = "the configuration was changed between two parts of the transaction";
            RpcError::new(ErrorCode::Conflict, text)
        })?,
    };
    for spec in params.writes {
        let index = stage.writes();
        read(&spec)
            .and_then(|call| write(&mut stage, call))
            .map_err(|error| error.in_write(index))?;
        stage.end_write();
    }
    if params.more {
        session.transaction = Some(stage.pause());
        return Ok(written(current + 1));
    }
    stage.commit().map(written).map_err(|(index, error)| match index {
        Some(index) => error.in_write(index),
        None => error,
    })
}

/// Returns the generation that stands; refuses if another one is expected.
pub(super) fn generation(control: &Control, expected: Option<u64>) -> Result<u64, RpcError> {
    let current = control.tables().generation();
    match expected {
        Some(expected) if expected != current => {
            let text = format!("the configuration is of generation {current}, not {expected}");
            Err(RpcError::new(ErrorCode::Conflict, text).at("generation"))
        }
        _ => Ok(current),
    }
}

fn read(spec: &WriteSpec) -> Result<Call, RpcError> {
    let params = Some(&*spec.params).filter(|params| params.get() != "null");
    Call::parse(&spec.method, params).and_then(only_writes)
}

fn only_writes(call: Call) -> Result<Call, RpcError> {
    if call.access() == Access::Write {
        return Ok(call);
    }
    let text = format!("{} is not a write of the configuration", call.name());
    Err(RpcError::new(ErrorCode::Invalid, text).at("method"))
}
