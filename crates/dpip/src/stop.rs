// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a command line does not come to a request, and the texts of errors.

use dpvs_api::{ClientError, ErrorCode, RpcError};
use std::io;

/// A value that can never be right.
pub(crate) const INVALID: &str = "invalid parameter";
/// Known, but not offered.
pub(crate) const NOT_SUPPORT: &str = "not support";
/// The thing to be changed is not there.
pub(crate) const NOT_EXIST: &str = "not exist";
/// No such port.
pub(crate) const NO_DEVICE: &str = "no such device";

/// The end of a run before the daemon is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Text for standard output.
    Output { text: String, code: u8 },
    /// Text for standard error: help, or complete lines about what is wrong.
    Message { text: String, code: u8 },
    /// The object's words cannot be read; `note` is empty or a line that says why.
    Parse { note: String, error: &'static str },
    /// The words make no request.
    Check { note: String, error: &'static str },
    /// What the daemon would answer, known without asking.
    Action(&'static str),
}

impl Stop {
    /// Ends the run with lines on standard error and exit code 1.
    pub(crate) fn failed(text: String) -> Self {
        Stop::Message { text, code: 1 }
    }

    /// The words cannot be read: prints `note`, then `dpip: parse: invalid parameter`.
    pub(crate) fn parse(note: impl Into<String>) -> Self {
        Stop::Parse { note: note.into(), error: INVALID }
    }

    /// The words make no request: prints `note`, then `dpip: check: invalid parameter`.
    pub(crate) fn check(note: impl Into<String>) -> Self {
        Stop::Check { note: note.into(), error: INVALID }
    }

    /// Returns what goes to standard output, to standard error, and the exit code.
    pub(crate) fn render(self) -> (String, String, u8) {
        let lines = |note: String, stage: &str, error: &str| {
            let end = if note.is_empty() || note.ends_with('\n') { "" } else { "\n" };
            format!("{note}{end}dpip: {stage}{error}\n")
        };
        match self {
            Stop::Output { text, code } => (text, String::new(), code),
            Stop::Message { text, code } => (String::new(), text, code),
            Stop::Parse { note, error } => (String::new(), lines(note, "parse: ", error), 1),
            Stop::Check { note, error } => (String::new(), lines(note, "check: ", error), 1),
            Stop::Action(error) => (String::new(), lines(String::new(), "", error), 1),
        }
    }
}

/// Returns the text that stands for an error of the daemon.
pub fn refusal_text(error: &RpcError) -> String {
    let text = match error.kind() {
        ErrorCode::Exist => "already exist",
        ErrorCode::NoDest | ErrorCode::NoScheduler => NOT_EXIST,
        ErrorCode::NoDevice => NO_DEVICE,
        ErrorCode::Invalid | ErrorCode::Range | ErrorCode::InvalidParams => INVALID,
        ErrorCode::NotSupported | ErrorCode::MethodNotFound => NOT_SUPPORT,
        ErrorCode::NoRoute => "no route",
        ErrorCode::NoMemory => "no memory",
        ErrorCode::Busy | ErrorCode::Conflict => "resource busy",
        ErrorCode::NoService => "no service",
        ErrorCode::Permission => "permission denied, only root and the admin group of dpvs may",
        ErrorCode::Parse | ErrorCode::InvalidRequest | ErrorCode::Internal => {
            return format!("dpvs failed: {error}");
        }
    };
    text.to_owned()
}

/// Returns the text that stands for a call that brought no reply.
pub fn client_error_text(error: &ClientError) -> String {
    match error {
        ClientError::Refused(error) => refusal_text(error),
        ClientError::NotRunning { path, source }
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            format!("permission denied, may not open the socket {}", path.display())
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_the_daemon_have_the_texts_that_scripts_look_for() {
        for (code, text) in [
            (ErrorCode::Exist, "already exist"),
            (ErrorCode::NoDest, "not exist"),
            (ErrorCode::NoDevice, "no such device"),
            (ErrorCode::Invalid, "invalid parameter"),
            (ErrorCode::Range, "invalid parameter"),
            (ErrorCode::NotSupported, "not support"),
            (ErrorCode::NoRoute, "no route"),
            (ErrorCode::NoMemory, "no memory"),
            (ErrorCode::Busy, "resource busy"),
            (ErrorCode::NoService, "no service"),
        ] {
            assert_eq!(refusal_text(&RpcError::new(code, "for people")), text);
        }
    }

    #[test]
    fn a_socket_that_may_not_be_opened_is_not_a_daemon_that_does_not_run() {
        let error = ClientError::NotRunning {
            path: "/run/dpvs/dpvs.sock".into(),
            source: io::Error::from(io::ErrorKind::PermissionDenied),
        };
        let text = "permission denied, may not open the socket /run/dpvs/dpvs.sock";
        assert_eq!(client_error_text(&error), text);
    }

    #[test]
    fn a_note_stands_on_a_line_of_its_own_before_the_error() {
        let stop = Stop::check("missing IFADDR");
        let text = "missing IFADDR\ndpip: check: invalid parameter\n".to_owned();
        assert_eq!(stop.render(), (String::new(), text, 1));
    }
}
