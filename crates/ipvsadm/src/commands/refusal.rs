// SPDX-License-Identifier: MIT OR Apache-2.0
//! The texts of refused operations: those that scripts know from the kernel's errors.

use crate::Failure;
use crate::failure::{CODE_LIST, CODE_REFUSED, CODE_USAGE};
use dpvs_api::{ClientError, ErrorCode, RpcError};
use std::io::ErrorKind;

/// How the daemon says of an address that it is not unicast.
const NOT_UNICAST: &str = "is not a host's address";
/// How it says the same of an IPv6 address that stands for an IPv4 address.
const IS_MAPPED: &str = "is IPv4-mapped: give it as IPv4";

/// What was asked of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the commands")]
pub enum Operation {
    AddService,
    EditService,
    DeleteService,
    Flush,
    Zero,
    AddServer,
    EditServer,
    DeleteServer,
    AddLaddr,
    DelLaddr,
    AddBlacklist,
    DelBlacklist,
    AddWhitelist,
    DelWhitelist,
    SetTimeouts,
    List,
}

/// Returns the failure of an operation that came back with an error.
pub fn refusal(operation: Operation, error: ClientError) -> Failure {
    let error = match error {
        ClientError::Refused(error) => error,
        ClientError::NotRunning { path, source }
            if source.kind() == ErrorKind::PermissionDenied =>
        {
            let text = format!(
                "Cannot connect to {}: Permission denied (you must be root)",
                path.display()
            );
            return Failure { code: CODE_USAGE, ends_run: true, ..Failure::refused(&text) };
        }
        error @ ClientError::NotRunning { .. } => {
            let failure = Failure::refused(&error.to_string());
            return Failure { code: CODE_USAGE, ends_run: true, ..failure };
        }
        // The connection cannot be used any more.
        error => return Failure { ends_run: true, ..Failure::refused(&error.to_string()) },
    };
    let code = if operation == Operation::List { CODE_LIST } else { CODE_REFUSED };
    let text = stock_text(operation, &error).map_or_else(|| own_text(&error), str::to_owned);
    Failure { code, ..Failure::refused(&text) }
}

fn own_text(error: &RpcError) -> String {
    if error.message.is_empty() { error.kind().name().to_owned() } else { error.to_string() }
}

/// Returns the text that the real program has for an error of an operation; `None` where it has none
/// that would tell the reason.
fn stock_text(operation: Operation, error: &RpcError) -> Option<&'static str> {
    use ErrorCode as E;
    use Operation as O;
    Some(match (operation, error.kind()) {
        (O::AddService, E::Exist) => "Service already exists",
        (O::AddService | O::EditService, E::NoScheduler) => {
            "Scheduler or persistence engine not found"
        }
        (O::AddServer | O::EditServer | O::DeleteServer, E::NoService) => "Service not defined",
        (_, E::NoService) => "No such service",
        (O::AddServer, E::Exist) => "Destination already exists",
        (O::EditServer | O::DeleteServer, E::NoDest) => "No such destination",
        (O::AddLaddr, E::Exist) => "Local address already exists",
        (O::DelLaddr, E::NoDest) => "No such Local address",
        (O::AddBlacklist, E::Exist) => "blacklist address already exists",
        (O::AddWhitelist, E::Exist) => "whitelist address already exists",
        (O::DelBlacklist, E::NoDest) => "No such deny address",
        (O::DelWhitelist, E::NoDest) => "No such allow address",
        (_, E::Permission) => "Permission denied (you must be root)",
        (_, E::Invalid)
            if error.message.ends_with(NOT_UNICAST) || error.message.ends_with(IS_MAPPED) =>
        {
            "Invalid operation.  Possibly wrong module version, address not unicast, ..."
        }
        (_, E::NoMemory) => "Memory allocation problem",
        (O::AddServer | O::EditServer, E::Range) => "Numerical result out of range",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(operation: Operation, code: ErrorCode) -> (String, u8) {
        refused_with(operation, RpcError::new(code, "own words"))
    }

    fn refused_with(operation: Operation, error: RpcError) -> (String, u8) {
        let failure = refusal(operation, ClientError::Refused(error));
        (String::from_utf8(failure.message).unwrap(), failure.code)
    }

    #[test]
    fn known_errors_have_the_texts_that_scripts_know() {
        for (operation, code, text) in [
            (Operation::AddService, ErrorCode::Exist, "Service already exists\n"),
            (Operation::AddServer, ErrorCode::Exist, "Destination already exists\n"),
            (Operation::DeleteService, ErrorCode::NoService, "No such service\n"),
            (Operation::EditServer, ErrorCode::NoService, "Service not defined\n"),
            (Operation::DeleteServer, ErrorCode::NoDest, "No such destination\n"),
            (Operation::AddServer, ErrorCode::Range, "Numerical result out of range\n"),
            (Operation::AddServer, ErrorCode::NotSupported, "own words\n"),
            (Operation::AddBlacklist, ErrorCode::Exist, "blacklist address already exists\n"),
            (Operation::AddWhitelist, ErrorCode::NoService, "No such service\n"),
            (Operation::DelBlacklist, ErrorCode::NoDest, "No such deny address\n"),
            (Operation::AddLaddr, ErrorCode::NoDevice, "own words\n"),
        ] {
            assert_eq!(refused(operation, code), (text.to_owned(), 255));
        }
        assert_eq!(refused(Operation::List, ErrorCode::NoService), ("No such service\n".into(), 1));
    }

    /// The kernel knows one reason of them, and its text would hide the others.
    #[test]
    fn a_reason_that_the_real_program_does_not_know_is_told() {
        let error = |text: &str| RpcError::new(ErrorCode::Invalid, text).at("address");
        let off_link = error("direct routing needs a real server on a link of ours");
        assert_eq!(
            refused_with(Operation::AddServer, off_link),
            ("direct routing needs a real server on a link of ours (address)\n".to_owned(), 255)
        );
        assert_eq!(
            refused_with(Operation::AddServer, error("224.0.0.1 is not a host's address")).0,
            "Invalid operation.  Possibly wrong module version, address not unicast, ...\n"
        );
        assert_eq!(refused(Operation::EditService, ErrorCode::Range).0, "own words\n");
        assert_eq!(refused(Operation::AddService, ErrorCode::NotSupported).0, "own words\n");
    }

    #[test]
    fn a_daemon_that_is_not_there_is_told_with_the_socket() {
        let source = std::io::Error::from(ErrorKind::NotFound);
        let error = ClientError::NotRunning { path: "/run/x.sock".into(), source };
        let failure = refusal(Operation::Flush, error);
        let text = String::from_utf8(failure.message).unwrap();
        assert!(text.contains("not running") && text.contains("/run/x.sock"), "{text}");
        assert_eq!((failure.code, text.lines().count()), (2, 1));
    }
}
