// SPDX-License-Identifier: MIT OR Apache-2.0
//! `echo.*`, and the echo policy that a service brings for its address.

use super::convert::{address, error, refused};
use crate::control::{Control, Stage};
use dpvs_api::types as wire;
use dpvs_api::types::{EchoInfo, EchoList, EchoRef, EchoSpec};
use dpvs_api::{ErrorCode, RpcError};
use dpvs_core::key::Address;
use dpvs_core::tables::{
    Draft, Echo, EchoAnswer, EchoDown, EchoPolicy, EchoRule, ServiceKey, Tables,
};

/// Sets a policy.
pub(crate) fn set(draft: &mut Draft, spec: &EchoSpec) -> Result<(), RpcError> {
    let address = address(spec.address, "address")?;
    let policy = read(&spec.policy, "policy")?;
    draft.set_echo(address, policy).map_err(refused)
}

/// Takes a policy away.
pub(super) fn del(stage: &mut Stage<'_>, echo: &EchoRef) -> Result<(), RpcError> {
    let address = address(echo.address, "address")?;
    stage.draft.del_echo(address).map_err(refused)
}

/// Lists policies.
pub(super) fn list(control: &Control) -> EchoList {
    let tables = control.tables();
    let mut echoes: Vec<&Echo> = tables.echoes().collect();
    echoes.sort_unstable_by_key(|echo| echo.address);
    let show = |echo: &Echo| EchoInfo {
        address: echo.address.ip(),
        policy: show(echo.policy),
        answer: match echo.answer {
            EchoAnswer::Reply => wire::EchoAnswer::Reply,
            EchoAnswer::Drop => wire::EchoAnswer::Drop,
            EchoAnswer::Host => wire::EchoAnswer::Host,
            EchoAnswer::Admin => wire::EchoAnswer::Admin,
            EchoAnswer::Backend => wire::EchoAnswer::Backend,
        },
    };
    EchoList { generation: tables.generation(), echoes: echoes.into_iter().map(show).collect() }
}

/// Reads the policy that comes with a service for its address, if one does.
pub(super) fn with_service(
    key: &ServiceKey,
    spec: &wire::ServiceSpec,
) -> Result<Option<(Address, EchoPolicy)>, RpcError> {
    let Some(policy) = &spec.icmp_echo else { return Ok(None) };
    let policy = read(policy, "icmp_echo")?;
    let Some(virtual_) = key.virtual_() else {
        let text = "services by match have no address that could be pinged";
        return Err(error(ErrorCode::Invalid, text, "icmp_echo"));
    };
    Ok(Some((virtual_.address, policy)))
}

/// Sets the policy that came with a service. Of an address that a service stands on it is not
/// refused.
pub(super) fn set_with_service(
    stage: &mut Stage<'_>,
    echo: Option<(Address, EchoPolicy)>,
) -> Result<(), RpcError> {
    let Some((address, policy)) = echo else { return Ok(()) };
    stage.draft.set_echo_with_service(address, policy).map_err(refused)
}

/// Returns the policy of a service's address.
pub(super) fn of_service(tables: &Tables, key: &ServiceKey) -> Option<wire::EchoPolicy> {
    let address: Address = key.virtual_()?.address;
    tables.echo(address).map(|echo| show(echo.policy))
}

pub(super) fn read(policy: &wire::EchoPolicy, path: &str) -> Result<EchoPolicy, RpcError> {
    let at = format!("{path}.quorum");
    let rule = match (policy.rule, policy.quorum) {
        (wire::EchoRule::Quorum, None) => {
            return Err(error(ErrorCode::Invalid, "the rule quorum needs a number", &at));
        }
        (wire::EchoRule::Quorum, Some(0)) => {
            return Err(error(ErrorCode::Range, "a quorum is at least 1", &at));
        }
        (wire::EchoRule::Quorum, Some(least)) => EchoRule::Quorum(least),
        (_, Some(_)) => {
            return Err(error(ErrorCode::Invalid, "the rule quorum alone has a number", &at));
        }
        (wire::EchoRule::Never, None) => EchoRule::Never,
        (wire::EchoRule::Always, None) => EchoRule::Always,
        (wire::EchoRule::AnyUp, None) => EchoRule::AnyUp,
        (wire::EchoRule::AllUp, None) => EchoRule::AllUp,
        (wire::EchoRule::Backend, None) => EchoRule::Backend,
    };
    let down = match policy.down {
        wire::EchoDown::Drop => EchoDown::Drop,
        wire::EchoDown::Host => EchoDown::Host,
        wire::EchoDown::Admin => EchoDown::Admin,
    };
    Ok(EchoPolicy { rule, down, data_max: policy.max_size })
}

pub(super) fn show(policy: EchoPolicy) -> wire::EchoPolicy {
    let (rule, quorum) = match policy.rule {
        EchoRule::Never => (wire::EchoRule::Never, None),
        EchoRule::Always => (wire::EchoRule::Always, None),
        EchoRule::AnyUp => (wire::EchoRule::AnyUp, None),
        EchoRule::AllUp => (wire::EchoRule::AllUp, None),
        EchoRule::Quorum(least) => (wire::EchoRule::Quorum, Some(least)),
        EchoRule::Backend => (wire::EchoRule::Backend, None),
    };
    let down = match policy.down {
        EchoDown::Drop => wire::EchoDown::Drop,
        EchoDown::Host => wire::EchoDown::Host,
        EchoDown::Admin => wire::EchoDown::Admin,
    };
    wire::EchoPolicy { rule, quorum, down, max_size: policy.data_max }
}
