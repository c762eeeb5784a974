// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands that change something: each is one method of the API, alone or in a transaction.

use super::Operation;
use crate::Failure;
use crate::invocation::{AccessList, Action};
use dpvs_api::types::{Empty, ServiceRef};
use dpvs_api::{Access, Method, method as m};
use serde_json::value::{RawValue, to_raw_value};

/// One change: a method with its parameters.
#[derive(Clone, Debug)]
pub struct Write {
    /// What it is called in error texts.
    pub operation: Operation,
    /// The method's name.
    pub method: &'static str,
    /// Its parameters.
    pub params: Box<RawValue>,
    /// Whether it may stand in a transaction.
    pub transactional: bool,
}

/// Returns the change that a command makes; `None` if it makes none.
pub fn write_of(action: &Action) -> Option<Result<Write, Failure>> {
    use Operation as O;
    Some(match action {
        Action::AddService(spec) => write::<m::ServiceAdd>(O::AddService, spec),
        // Stock's attributes are all given, so they are replaced; the others keep their values.
        Action::EditService(spec) => write::<m::ServiceSet>(O::EditService, spec),
        Action::DeleteService(service) => {
            write::<m::ServiceDel>(O::DeleteService, &ServiceRef { service: service.clone() })
        }
        Action::Flush => write::<m::ServiceFlush>(O::Flush, &Empty {}),
        Action::Zero(selector) => write::<m::ServiceZero>(O::Zero, selector),
        Action::AddServer(spec) => write::<m::DestAdd>(O::AddServer, spec),
        Action::EditServer(spec) => write::<m::DestSet>(O::EditServer, spec),
        Action::DeleteServer(server) => write::<m::DestDel>(O::DeleteServer, server),
        Action::AddLaddr(spec) => write::<m::LaddrAdd>(O::AddLaddr, spec),
        Action::DelLaddr(spec) => write::<m::LaddrDel>(O::DelLaddr, spec),
        Action::AddClient(AccessList::Black, spec) => {
            write::<m::BlacklistAdd>(O::AddBlacklist, spec)
        }
        Action::DelClient(AccessList::Black, spec) => {
            write::<m::BlacklistDel>(O::DelBlacklist, spec)
        }
        Action::AddClient(AccessList::White, spec) => {
            write::<m::WhitelistAdd>(O::AddWhitelist, spec)
        }
        Action::DelClient(AccessList::White, spec) => {
            write::<m::WhitelistDel>(O::DelWhitelist, spec)
        }
        Action::SetTimeouts(spec) => write::<m::TimeoutSet>(O::SetTimeouts, spec),
        // What would be a change, if it were not known here already that there is none.
        Action::Refuse(text) => Err(Failure::refused(text)),
        _ => return None,
    })
}

fn write<M: Method>(operation: Operation, params: &M::Params) -> Result<Write, Failure> {
    let params = to_raw_value(params).map_err(|error| Failure::refused(&error.to_string()))?;
    Ok(Write { operation, method: M::NAME, params, transactional: M::ACCESS == Access::Write })
}
