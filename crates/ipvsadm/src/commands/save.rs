// SPDX-License-Identifier: MIT OR Apache-2.0
//! Printing the commands that make the services again.

use super::{Operation, Session, list, refusal};
use crate::Failure;
use crate::failure::CODE_REFUSED;
use crate::invocation::AccessList;
use crate::render::Namer;
use crate::render::save::{self, Saved};
use dpvs_api::method;
use dpvs_api::types::{Empty, ServiceSelector};

pub(super) fn save(session: &mut Session<'_>, numeric: bool) -> Result<(), Failure> {
    // A script that saves must see that it failed, as of any other operation.
    let refused = |failure: Failure| match failure.code {
        crate::failure::CODE_LIST => Failure { code: CODE_REFUSED, ..failure },
        _ => failure,
    };
    let all = ServiceSelector::default();
    let page = list::fetch(session, &all).map_err(refused)?;
    let black = list::fetch_clients(session, AccessList::Black, &all).map_err(refused)?;
    let white = list::fetch_clients(session, AccessList::White, &all).map_err(refused)?;
    let timeouts = session
        .client()?
        .call::<method::TimeoutGet>(&Empty {})
        .map_err(|error| refused(refusal(Operation::List, error)))?;
    let saved = Saved { page: &page, timeouts: &timeouts, black: &black, white: &white };
    let namer = Namer { names: session.names, numeric };
    let text = save::render(&saved, &namer);
    session.out.write(&text);
    Ok(())
}
