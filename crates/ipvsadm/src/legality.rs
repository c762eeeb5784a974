// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which options a command needs, takes and refuses.

use crate::Failure;
use crate::options::{COLUMNS, Column, Column as C, Given, Id, column_name};

/// The options of one command.
struct Row {
    command: Id,
    name: &'static str,
    required: &'static [Column],
    optional: &'static [Column],
    exclusive: &'static [Column],
}

const fn row(
    command: Id,
    name: &'static str,
    required: &'static [Column],
    optional: &'static [Column],
) -> Row {
    Row { command, name, required, optional, exclusive: &[] }
}

const SERVICE: &[Column] = &[C::ServiceAddress];
const SERVER: &[Column] = &[C::ServiceAddress, C::RealServer];
const SERVICE_OPTIONS: &[Column] = &[
    C::Scheduler,
    C::Persistent,
    C::Netmask,
    C::Ops,
    C::Pe,
    C::SchedFlags,
    C::Synproxy,
    C::HashTarget,
    C::ExpireQuiescent,
    C::IcmpEcho,
];
const SERVER_OPTIONS: &[Column] = &[
    C::ForwardingMethod,
    C::Weight,
    C::UThreshold,
    C::LThreshold,
    C::TunType,
    C::TunPort,
    C::TunNocsum,
    C::TunCsum,
    C::TunRemcsum,
];
const LIST_OPTIONS: &[Column] = &[
    C::Numeric,
    C::Stats,
    C::Rate,
    C::Thresholds,
    C::PersistentConn,
    C::Nosort,
    C::Syncid,
    C::Exact,
    C::TunInfo,
    C::Sockpair,
    C::Cpu,
    C::Format,
];
const LIST_KINDS: &[Column] = &[C::Connection, C::ServiceAddress, C::Timeout, C::Daemon];
const DAEMON_OPTIONS: &[Column] =
    &[C::McastInterface, C::Syncid, C::McastGroup, C::McastPort, C::McastTtl, C::SyncMaxlen];
const LADDR: &[Column] = &[C::ServiceAddress, C::LocalAddress, C::Ifname];
const BLKLST: &[Column] = &[C::ServiceAddress, C::BlklstAddress];
const WHTLST: &[Column] = &[C::ServiceAddress, C::WhtlstAddress];

/// The matrix. `--socket` is legal everywhere and not named.
const MATRIX: &[Row] = &[
    row(Id::AddService, "add-service", SERVICE, SERVICE_OPTIONS),
    row(Id::EditService, "edit-service", SERVICE, SERVICE_OPTIONS),
    row(Id::DeleteService, "delete-service", SERVICE, &[]),
    row(Id::Flush, "flush", &[], &[]),
    Row {
        command: Id::List,
        name: "list",
        required: &[],
        optional: LIST_OPTIONS,
        exclusive: LIST_KINDS,
    },
    row(Id::AddServer, "add-server", SERVER, SERVER_OPTIONS),
    row(Id::DeleteServer, "delete-server", SERVER, &[]),
    row(Id::EditServer, "edit-server", SERVER, SERVER_OPTIONS),
    row(Id::Set, "set", &[], &[]),
    row(Id::StartDaemon, "start-daemon", &[], DAEMON_OPTIONS),
    row(Id::StopDaemon, "stop-daemon", &[], &[C::Syncid]),
    row(Id::Restore, "restore", &[], &[C::Atomic]),
    row(Id::Save, "save", &[], &[C::Numeric]),
    row(Id::Zero, "zero", &[], SERVICE),
    row(Id::AddLaddr, "add-laddr", LADDR, &[]),
    row(Id::DelLaddr, "del-laddr", LADDR, &[]),
    row(Id::GetLaddr, "get-laddr", &[], &[C::ServiceAddress, C::Cpu, C::Format]),
    row(Id::AddBlklst, "add-blklst", BLKLST, &[]),
    row(Id::DelBlklst, "del-blklst", BLKLST, &[]),
    row(Id::GetBlklst, "get-blklst", &[], &[C::ServiceAddress, C::Format]),
    row(Id::AddWhtlst, "add-whtlst", WHTLST, &[]),
    row(Id::DelWhtlst, "del-whtlst", WHTLST, &[]),
    row(Id::GetWhtlst, "get-whtlst", &[], &[C::ServiceAddress, C::Format]),
];

/// Returns a command's name in messages.
pub(crate) fn command_name(command: Id) -> &'static str {
    MATRIX.iter().find(|row| row.command == command).map_or("help", |row| row.name)
}

/// Checks the given options against the command.
///
/// # Errors
/// The first column at fault, in the order of the columns.
pub(crate) fn check(command: Id, given: Given) -> Result<(), Failure> {
    let Some(row) = MATRIX.iter().find(|row| row.command == command) else { return Ok(()) };
    check_columns(given, &format!("'{}' command", row.name), row, COLUMNS)
}

/// Checks the tunnel options against the kind of tunnel: `ipip`, `gue` or `gre`.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_tunnel(kind: &'static str, given: Given) -> Result<(), Failure> {
    const CSUMS: &[Column] = &[C::TunNocsum, C::TunCsum, C::TunRemcsum];
    let (required, exclusive): (&[Column], &[Column]) = match kind {
        "gue" => (&[C::TunPort], CSUMS),
        "gre" => (&[], &[C::TunNocsum, C::TunCsum]),
        _ => (&[], &[]),
    };
    let row = Row { command: Id::AddServer, name: kind, required, optional: &[], exclusive };
    let columns = [C::TunPort, C::TunNocsum, C::TunCsum, C::TunRemcsum];
    let columns = columns.map(|column| (column, column_name(column)));
    check_columns(given, &format!("'{kind}' tunnel type"), &row, &columns)
}

fn check_columns(
    given: Given,
    place: &str,
    row: &Row,
    columns: &[(Column, &str)],
) -> Result<(), Failure> {
    let mut chosen: Option<&str> = None;
    for &(column, name) in columns {
        let required = row.required.contains(&column);
        if !given.has(column) {
            if required {
                let text = format!("You need to supply the '{name}' option for the {place}");
                return Err(Failure::usage(&text));
            }
        } else if row.exclusive.contains(&column) {
            if let Some(first) = chosen {
                let text = format!(
                    "The option '{name}' conflicts with the '{first}' option in the {place}"
                );
                return Err(Failure::usage(&text));
            }
            chosen = Some(name);
        } else if !required && !row.optional.contains(&column) && column != C::Socket {
            return Err(Failure::usage(&format!("Illegal '{name}' option with the {place}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(columns: &[Column]) -> Given {
        let mut given = Given::default();
        for &column in columns {
            given.insert(column);
        }
        given
    }

    fn message(result: Result<(), Failure>) -> String {
        String::from_utf8(result.unwrap_err().message).unwrap()
    }

    #[test]
    fn local_addresses_need_service_address_and_interface_in_this_order() {
        let text = message(check(Id::AddLaddr, given(&[C::ServiceAddress])));
        assert_eq!(
            text,
            "You need to supply the 'local-address' option for the 'add-laddr' command\n"
        );
        let text = message(check(Id::GetLaddr, given(&[C::Numeric])));
        assert_eq!(text, "Illegal 'numeric' option with the 'get-laddr' command\n");
    }

    #[test]
    fn the_later_column_of_an_exclusive_group_is_named_first() {
        let text = message(check(Id::List, given(&[C::Connection, C::ServiceAddress])));
        assert_eq!(
            text,
            "The option 'service-address' conflicts with the 'connection' option in the 'list' command\n"
        );
    }
}
