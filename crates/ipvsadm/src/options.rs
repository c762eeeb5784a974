// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one table of options: stock's, those of DPVS, and ours.

/// What an option or a command is, whatever it is written like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are those of the long options")]
pub enum Id {
    AddService,
    EditService,
    DeleteService,
    Flush,
    List,
    AddServer,
    DeleteServer,
    EditServer,
    Set,
    StartDaemon,
    StopDaemon,
    Restore,
    Save,
    Zero,
    Help,
    Version,
    AddLaddr,
    DelLaddr,
    GetLaddr,
    AddBlklst,
    DelBlklst,
    GetBlklst,
    AddWhtlst,
    DelWhtlst,
    GetWhtlst,
    TcpService,
    UdpService,
    SctpService,
    IcmpService,
    Icmpv6Service,
    FwmarkService,
    Ipv6,
    Match,
    Proto,
    Scheduler,
    SchedFlags,
    Pe,
    Persistent,
    Netmask,
    Ops,
    RealServer,
    Gatewaying,
    Ipip,
    Masquerading,
    Fullnat,
    Snat,
    Weight,
    UThreshold,
    LThreshold,
    TunType,
    TunPort,
    TunNocsum,
    TunCsum,
    TunRemcsum,
    Numeric,
    Connection,
    Timeout,
    Daemon,
    Stats,
    Rate,
    Thresholds,
    PersistentConn,
    TunInfo,
    Nosort,
    Sort,
    Exact,
    Sockpair,
    Cpu,
    McastInterface,
    Syncid,
    McastGroup,
    McastPort,
    McastTtl,
    SyncMaxlen,
    Laddr,
    Ifname,
    Blklst,
    Whtlst,
    Synproxy,
    HashTarget,
    ExpireQuiescent,
    Quic,
    ConnTimeout,
    ProxyProtocol,
    DestCheck,
    IcmpEcho,
    Format,
    Json,
    Atomic,
    Socket,
}

/// Whether an option takes an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// No.
    None,
    /// Yes; the next word is taken whatever it looks like.
    Required,
    /// The attached text, or the next word unless it starts with `-`.
    Optional,
    /// As `Required`, and it must be an integer as C writes them.
    Integer,
}

/// A column of the legality matrix. The order decides which error is reported first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are in NAMES")]
pub enum Column {
    Numeric,
    Connection,
    ServiceAddress,
    Scheduler,
    Persistent,
    Netmask,
    RealServer,
    ForwardingMethod,
    Weight,
    UThreshold,
    LThreshold,
    McastInterface,
    Timeout,
    Daemon,
    Stats,
    Rate,
    Thresholds,
    PersistentConn,
    Nosort,
    Syncid,
    Exact,
    Ops,
    Pe,
    SchedFlags,
    McastGroup,
    McastPort,
    McastTtl,
    SyncMaxlen,
    TunInfo,
    TunType,
    TunPort,
    TunNocsum,
    TunCsum,
    TunRemcsum,
    LocalAddress,
    BlklstAddress,
    Synproxy,
    Ifname,
    Sockpair,
    HashTarget,
    Cpu,
    ExpireQuiescent,
    WhtlstAddress,
    IcmpEcho,
    Format,
    Atomic,
    Socket,
}

use Column as C;

/// All columns in order, with their names in messages.
pub const COLUMNS: &[(Column, &str)] = &[
    (C::Numeric, "numeric"),
    (C::Connection, "connection"),
    (C::ServiceAddress, "service-address"),
    (C::Scheduler, "scheduler"),
    (C::Persistent, "persistent"),
    (C::Netmask, "netmask"),
    (C::RealServer, "real-server"),
    (C::ForwardingMethod, "forwarding-method"),
    (C::Weight, "weight"),
    (C::UThreshold, "u-threshold"),
    (C::LThreshold, "l-threshold"),
    (C::McastInterface, "mcast-interface"),
    (C::Timeout, "timeout"),
    (C::Daemon, "daemon"),
    (C::Stats, "stats"),
    (C::Rate, "rate"),
    (C::Thresholds, "thresholds"),
    (C::PersistentConn, "persistent-conn"),
    (C::Nosort, "nosort"),
    (C::Syncid, "syncid"),
    (C::Exact, "exact"),
    (C::Ops, "ops"),
    (C::Pe, "pe"),
    (C::SchedFlags, "sched-flags"),
    (C::McastGroup, "mcast-group"),
    (C::McastPort, "mcast-port"),
    (C::McastTtl, "mcast-ttl"),
    (C::SyncMaxlen, "sync-maxlen"),
    (C::TunInfo, "tun-info"),
    (C::TunType, "tun-type"),
    (C::TunPort, "tun-port"),
    (C::TunNocsum, "tun-nocsum"),
    (C::TunCsum, "tun-csum"),
    (C::TunRemcsum, "tun-remcsum"),
    (C::LocalAddress, "local-address"),
    (C::BlklstAddress, "blklst-address"),
    (C::Synproxy, "synproxy"),
    (C::Ifname, "ifname"),
    (C::Sockpair, "sockpair"),
    (C::HashTarget, "hash-target"),
    (C::Cpu, "cpu"),
    (C::ExpireQuiescent, "expire-quiescent"),
    (C::WhtlstAddress, "whtlst-address"),
    (C::IcmpEcho, "icmp-echo"),
    (C::Format, "format"),
    (C::Atomic, "atomic"),
    (C::Socket, "socket"),
];

/// Returns the name of a column in messages.
pub fn column_name(column: Column) -> &'static str {
    COLUMNS.iter().find(|row| row.0 == column).map_or("", |row| row.1)
}

/// A set of columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given(u64);

impl Given {
    /// Adds a column; false if it was there already.
    pub fn insert(&mut self, column: Column) -> bool {
        let fresh = !self.has(column);
        self.0 |= bit(column);
        fresh
    }

    /// Tells whether a column is in the set.
    pub fn has(self, column: Column) -> bool {
        self.0 & bit(column) != 0
    }

    /// Tells whether any of the columns is in the set.
    pub fn has_any(self, columns: &[Column]) -> bool {
        columns.iter().any(|&column| self.has(column))
    }
}

fn bit(column: Column) -> u64 {
    COLUMNS.iter().position(|row| row.0 == column).map_or(0, |index| 1 << index)
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// What it is.
    pub id: Id,
    /// The long name without dashes; empty if it has none.
    pub long: &'static str,
    /// The letter; 0 if it has none.
    pub short: u8,
    /// Whether it takes an argument.
    pub arg: Arg,
    /// Its column in the legality matrix. Options without one may be repeated.
    pub column: Option<Column>,
}

const fn opt(id: Id, long: &'static str, short: u8, arg: Arg, column: Option<Column>) -> Opt {
    Opt { id, long, short, arg, column }
}

const fn command(id: Id, long: &'static str, short: u8) -> Opt {
    opt(id, long, short, Arg::None, None)
}

const fn flag(id: Id, long: &'static str, short: u8, column: Column) -> Opt {
    opt(id, long, short, Arg::None, Some(column))
}

const fn value(id: Id, long: &'static str, short: u8, column: Column) -> Opt {
    opt(id, long, short, Arg::Required, Some(column))
}

/// The commands. One of them is the first option of every command line.
pub const COMMANDS: &[Opt] = &[
    command(Id::AddService, "add-service", b'A'),
    command(Id::EditService, "edit-service", b'E'),
    command(Id::DeleteService, "delete-service", b'D'),
    command(Id::Flush, "clear", b'C'),
    command(Id::List, "list", b'L'),
    command(Id::List, "", b'l'),
    command(Id::AddServer, "add-server", b'a'),
    command(Id::DeleteServer, "delete-server", b'd'),
    command(Id::EditServer, "edit-server", b'e'),
    command(Id::Set, "set", 0),
    opt(Id::StartDaemon, "start-daemon", 0, Arg::Required, None),
    opt(Id::StopDaemon, "stop-daemon", 0, Arg::Required, None),
    command(Id::Restore, "restore", b'R'),
    command(Id::Save, "save", b'S'),
    command(Id::Zero, "zero", b'Z'),
    command(Id::Help, "help", b'h'),
    command(Id::Version, "version", b'v'),
    command(Id::AddLaddr, "add-laddr", b'P'),
    command(Id::DelLaddr, "del-laddr", b'Q'),
    command(Id::GetLaddr, "get-laddr", b'G'),
    command(Id::AddBlklst, "add-blklst", b'U'),
    command(Id::DelBlklst, "del-blklst", b'V'),
    command(Id::GetBlklst, "get-blklst", b'B'),
    command(Id::AddWhtlst, "add-whtlst", b'O'),
    command(Id::DelWhtlst, "del-whtlst", b'Y'),
    command(Id::GetWhtlst, "get-whtlst", b'W'),
];

/// The options. `-b` stands twice: the scanner decides by the command.
pub const OPTIONS: &[Opt] = &[
    value(Id::TcpService, "tcp-service", b't', C::ServiceAddress),
    value(Id::UdpService, "udp-service", b'u', C::ServiceAddress),
    value(Id::SctpService, "sctp-service", 0, C::ServiceAddress),
    value(Id::IcmpService, "icmp-service", b'q', C::ServiceAddress),
    value(Id::Icmpv6Service, "icmpv6-service", b'1', C::ServiceAddress),
    value(Id::FwmarkService, "fwmark-service", b'f', C::ServiceAddress),
    // Without a column: `-6 -6` is no error in stock.
    opt(Id::Ipv6, "ipv6", b'6', Arg::None, None),
    value(Id::Match, "match", b'H', C::ServiceAddress),
    value(Id::Proto, "proto", 0, C::ServiceAddress),
    value(Id::Scheduler, "scheduler", b's', C::Scheduler),
    value(Id::SchedFlags, "sched-flags", b'b', C::SchedFlags),
    value(Id::Pe, "pe", 0, C::Pe),
    // Without a column here: it is a service selector where its value is a protocol.
    opt(Id::Persistent, "persistent", b'p', Arg::Optional, None),
    value(Id::Netmask, "netmask", b'M', C::Netmask),
    flag(Id::Ops, "ops", b'o', C::Ops),
    value(Id::RealServer, "real-server", b'r', C::RealServer),
    flag(Id::Gatewaying, "gatewaying", b'g', C::ForwardingMethod),
    flag(Id::Ipip, "ipip", b'i', C::ForwardingMethod),
    flag(Id::Masquerading, "masquerading", b'm', C::ForwardingMethod),
    flag(Id::Fullnat, "fullnat", b'b', C::ForwardingMethod),
    flag(Id::Snat, "snat", b'J', C::ForwardingMethod),
    value(Id::Weight, "weight", b'w', C::Weight),
    value(Id::UThreshold, "u-threshold", b'x', C::UThreshold),
    value(Id::LThreshold, "l-threshold", b'y', C::LThreshold),
    value(Id::TunType, "tun-type", 0, C::TunType),
    value(Id::TunPort, "tun-port", 0, C::TunPort),
    flag(Id::TunNocsum, "tun-nocsum", 0, C::TunNocsum),
    flag(Id::TunCsum, "tun-csum", 0, C::TunCsum),
    flag(Id::TunRemcsum, "tun-remcsum", 0, C::TunRemcsum),
    flag(Id::Numeric, "numeric", b'n', C::Numeric),
    flag(Id::Connection, "connection", b'c', C::Connection),
    flag(Id::Timeout, "timeout", 0, C::Timeout),
    flag(Id::Daemon, "daemon", 0, C::Daemon),
    flag(Id::Stats, "stats", 0, C::Stats),
    flag(Id::Rate, "rate", 0, C::Rate),
    flag(Id::Thresholds, "thresholds", 0, C::Thresholds),
    flag(Id::PersistentConn, "persistent-conn", 0, C::PersistentConn),
    flag(Id::TunInfo, "tun-info", 0, C::TunInfo),
    flag(Id::Nosort, "nosort", 0, C::Nosort),
    opt(Id::Sort, "sort", 0, Arg::None, None),
    flag(Id::Exact, "exact", b'X', C::Exact),
    value(Id::Sockpair, "sockpair", 0, C::Sockpair),
    value(Id::Cpu, "cpu", 0, C::Cpu),
    value(Id::McastInterface, "mcast-interface", 0, C::McastInterface),
    value(Id::Syncid, "syncid", 0, C::Syncid),
    value(Id::McastGroup, "mcast-group", 0, C::McastGroup),
    value(Id::McastPort, "mcast-port", 0, C::McastPort),
    value(Id::McastTtl, "mcast-ttl", 0, C::McastTtl),
    value(Id::SyncMaxlen, "sync-maxlen", 0, C::SyncMaxlen),
    value(Id::Laddr, "laddr", b'z', C::LocalAddress),
    value(Id::Ifname, "ifname", b'F', C::Ifname),
    value(Id::Blklst, "blklst", b'k', C::BlklstAddress),
    value(Id::Whtlst, "whtlst", b'2', C::WhtlstAddress),
    value(Id::Synproxy, "synproxy", b'j', C::Synproxy),
    value(Id::HashTarget, "hash-target", 0, C::HashTarget),
    flag(Id::ExpireQuiescent, "expire-quiescent", 0, C::ExpireQuiescent),
    opt(Id::Quic, "quic", 0, Arg::None, None),
    opt(Id::ConnTimeout, "conn-timeout", 0, Arg::Integer, None),
    opt(Id::ProxyProtocol, "proxy-protocol", 0, Arg::Required, None),
    opt(Id::DestCheck, "dest-check", 0, Arg::Required, None),
    value(Id::IcmpEcho, "icmp-echo", 0, C::IcmpEcho),
    value(Id::Format, "format", 0, C::Format),
    flag(Id::Json, "json", 0, C::Format),
    flag(Id::Atomic, "atomic", 0, C::Atomic),
    value(Id::Socket, "socket", 0, C::Socket),
];

/// Returns the command of an option, if it is one.
pub fn as_command(id: Id) -> Option<&'static Opt> {
    COMMANDS.iter().find(|opt| opt.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_in_the_order_of_the_enum_and_fit_the_set() {
        assert!(COLUMNS.len() <= 64);
        for pair in COLUMNS.windows(2) {
            assert!(pair[0].0 < pair[1].0);
        }
    }

    #[test]
    fn only_b_has_two_meanings() {
        let all: Vec<&Opt> = COMMANDS.iter().chain(OPTIONS).collect();
        for opt in &all {
            let same = all.iter().filter(|o| opt.short != 0 && o.short == opt.short).count();
            assert!(same <= 1 || opt.short == b'b', "-{}", char::from(opt.short));
            let same = all.iter().filter(|o| !opt.long.is_empty() && o.long == opt.long).count();
            assert!(same <= 1, "--{}", opt.long);
        }
    }
}
