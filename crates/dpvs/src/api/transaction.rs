// SPDX-License-Identifier: MIT OR Apache-2.0
//! `transaction`: writes that are applied whole or not at all.

use super::{write, written};
use crate::control::Control;
use dpvs_api::types::{TransactionSpec, WriteSpec, Written};
use dpvs_api::{Access, Call, ErrorCode, RpcError};

/// Carries out a transaction: every write on one stage, which is committed once.
pub(super) fn run(control: &mut Control, params: TransactionSpec) -> Result<Written, RpcError> {
    let current = control.tables().generation();
    if let Some(expected) = params.generation
        && expected != current
    {
        let text = format!("the configuration is of generation {current}, not {expected}");
        return Err(RpcError::new(ErrorCode::Conflict, text).at("generation"));
    }
    if params.writes.is_empty() {
        return Ok(written(current));
    }
    let mut stage = control.stage();
    for (index, spec) in params.writes.into_iter().enumerate() {
        stage.begin_write(index);
        read(&spec)
            .and_then(|call| write(&mut stage, call))
            .map_err(|error| error.in_write(index))?;
    }
    stage.commit().map(written).map_err(|(index, error)| match index {
        Some(index) => error.in_write(index),
        None => error,
    })
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
