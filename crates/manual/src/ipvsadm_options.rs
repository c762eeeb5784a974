// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the options of `ipvsadm` are for, and its command line as clap has it.

use crate::page::Undescribed;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command};
use ipvsadm::options::{Arg as Takes, COMMANDS, Id, OPTIONS, Opt};

/// An option: what its value is called, and what it is for.
type Row = (Id, &'static str, &'static str);

const COMMAND_ROWS: &[Row] = &[
    (Id::AddService, "", "Add a virtual service. Without --scheduler it has wlc."),
    (
        Id::EditService,
        "",
        "Change a service. Scheduler, flags, persistence, netmask and --ops are replaced: what is \
         not given has its default again. Everything else keeps its value unless it is given.",
    ),
    (Id::DeleteService, "", "Delete a service with its real servers."),
    (
        Id::Flush,
        "",
        "Delete all services, and the echo policies that came with them. Timeouts and addresses stay.",
    ),
    (
        Id::List,
        "",
        "List all services with their real servers, or one service. It is what is done without any \
         command.",
    ),
    (Id::AddServer, "", "Add a real server to a service."),
    (Id::DeleteServer, "", "Delete a real server. Its connections end."),
    (
        Id::EditServer,
        "",
        "Change a real server. Weight, method and thresholds are replaced: what is not given has its \
         default again. With weight 0 it keeps its connections and gets no new ones.",
    ),
    (
        Id::Set,
        "",
        "Set the timeouts of idle connections, in seconds: three values, for TCP, for TCP after a \
         FIN, and for UDP. 0 leaves one as it is.",
    ),
    (Id::StartDaemon, "STATE", "Refused: connections are not synchronized."),
    (Id::StopDaemon, "STATE", "Refused: connections are not synchronized."),
    (
        Id::Restore,
        "",
        "Carry out the commands on standard input, one a line, as --save prints them. Lines that \
         start with # are skipped. A refused command is reported and the next one carried out; a \
         line that is no command line ends the run.",
    ),
    (Id::Save, "", "Print the commands that make everything again, for --restore."),
    (Id::Zero, "", "Set the counters of a service to zero, or of all."),
    (Id::Help, "", "Print a summary of the options."),
    (Id::Version, "", "Print the version."),
    (
        Id::AddLaddr,
        "",
        "Add a local address to a service: full NAT reaches real servers from it. The interface \
         gets the address too, unless it has it.",
    ),
    (
        Id::DelLaddr,
        "",
        "Delete a local address of a service; the interface loses it too, if it got it so.",
    ),
    (Id::GetLaddr, "", "List the local addresses of a service, or of all, with their use."),
    (Id::AddBlklst, "", "Put a client on the black list of a service: it may not connect."),
    (Id::DelBlklst, "", "Take a client off the black list."),
    (Id::GetBlklst, "", "List the black list of a service, or all."),
    (
        Id::AddWhtlst,
        "",
        "Put a client on the white list of a service: once it has any, no others may connect.",
    ),
    (Id::DelWhtlst, "", "Take a client off the white list."),
    (Id::GetWhtlst, "", "List the white list of a service, or all."),
];

const SERVICE_ROWS: &[Row] = &[
    (Id::TcpService, "ADDRESS", "A TCP service at HOST:PORT or [IPV6]:PORT."),
    (Id::UdpService, "ADDRESS", "A UDP service."),
    (Id::SctpService, "ADDRESS", "An SCTP service."),
    (Id::IcmpService, "HOST", "A service for pings to an IPv4 address; it has no port."),
    (Id::Icmpv6Service, "HOST", "A service for pings to an IPv6 address; it has no port."),
    (Id::Proto, "icmp|icmpv6", "The same in other words: --proto icmp HOST, or -p icmp HOST."),
    (
        Id::Match,
        "MATCH",
        "A service for what is not addressed to the balancer, for SNAT: a comma list of proto=, \
         af=ipv4|ipv6, src-range=, dst-range=, iif= and oif=. A range is IP[-IP][:PORT[-PORT]].",
    ),
    (Id::FwmarkService, "MARK", "Refused: there are no firewall marks in the dataplane."),
    (Id::Ipv6, "", "The firewall mark is for IPv6."),
];

const ATTRIBUTE_ROWS: &[Row] = &[
    (
        Id::Scheduler,
        "SCHEDULER",
        "How a real server is chosen for a connection: rr, wrr, lc, wlc, lblc, lblcr, dh, sh, sed, \
         nq, fo, ovf, mh or conhash.",
    ),
    (
        Id::SchedFlags,
        "FLAGS",
        "Flags of the scheduler, as a comma list: sh-fallback and sh-port, mh-fallback and mh-port, \
         or flag-1, flag-2, flag-3. With --add-service and --edit-service the letter b means this \
         option.",
    ),
    (
        Id::Persistent,
        "SECONDS",
        "Keep a client on its real server until it has had no connection for this long; 360 unless \
         given. A service with port 0 takes every port and must be persistent.",
    ),
    (Id::Netmask, "MASK", "Clients that this mask makes equal are one client to --persistent."),
    (Id::Ops, "", "Schedule every datagram by itself (UDP)."),
    (Id::Pe, "NAME", "Persistence engine; none is known, so every name is refused."),
    (Id::HashTarget, "sip|qid", "What conhash hashes: the client's address, or a QUIC id (UDP)."),
    (Id::ExpireQuiescent, "", "End the connections of a real server when its weight becomes 0."),
    (
        Id::ConnTimeout,
        "SECONDS",
        "Timeout of the service's established connections; 0 is that of --set.",
    ),
    (
        Id::IcmpEcho,
        "POLICY",
        "Whether pings to the address are answered: never, always, any-up, all-up, quorum=N or \
         backend; then :drop, :host or :admin for what becomes of them while the services are down, \
         then :SIZE for the most bytes of data. It is the address's, not only the service's: dpip \
         echo shows and changes it too.",
    ),
    (Id::Synproxy, "enable|disable", "Refused when enabled: there is no SYN proxy."),
    (Id::ProxyProtocol, "VERSION", "Refused unless it is disable: there is no PROXY protocol."),
    (Id::Quic, "", "Refused: connections of QUIC do not migrate."),
    (Id::DestCheck, "CHECK", "Refused unless it is disable: real servers are not checked."),
];

const SERVER_ROWS: &[Row] = &[
    (
        Id::RealServer,
        "ADDRESS",
        "The real server; without a port it has that of the service, if that came before.",
    ),
    (
        Id::Gatewaying,
        "",
        "Direct routing, the default: only the link address changes. The real server has the \
         virtual address too, and answers past the balancer.",
    ),
    (Id::Ipip, "", "A tunnel to the real server, which answers past the balancer."),
    (Id::Masquerading, "", "NAT: the real server's answers must come back by the balancer."),
    (
        Id::Fullnat,
        "",
        "Full NAT: the real server sees a local address (--add-laddr) and needs no routes. With \
         --add-server and --edit-server the letter b means this option.",
    ),
    (Id::Snat, "", "Source NAT, with --match: the server is the address that is put in."),
    (
        Id::Weight,
        "WEIGHT",
        "Share of the real server, 0 to 65535, by default 1. With 0 it gets no new connections.",
    ),
    (Id::UThreshold, "COUNT", "No new connections from this many on; 0 is no threshold."),
    (Id::LThreshold, "COUNT", "New connections again below this many."),
    (Id::TunType, "ipip|gue|gre", "Kind of tunnel."),
    (Id::TunPort, "PORT", "UDP port of a gue tunnel."),
    (Id::TunNocsum, "", "No checksum in a gue or gre tunnel, the default."),
    (Id::TunCsum, "", "A checksum in a gue or gre tunnel."),
    (Id::TunRemcsum, "", "Remote checksum offload in a gue tunnel."),
];

const LISTING_ROWS: &[Row] = &[
    (Id::Numeric, "", "Print addresses and ports as numbers."),
    (Id::Connection, "", "List connections."),
    (Id::Timeout, "", "List the timeouts of idle connections."),
    (Id::Daemon, "", "List the synchronization daemons: there are none."),
    (Id::Stats, "", "List connections, packets and bytes so far."),
    (Id::Rate, "", "List the same a second, averaged over the last seconds."),
    (Id::Thresholds, "", "List thresholds."),
    (Id::PersistentConn, "", "List persistent connections; with --connection, what they keep."),
    (Id::TunInfo, "", "List the kinds of tunnels."),
    (Id::Exact, "", "Print large numbers in full."),
    (Id::Nosort, "", "Keep the daemon's order."),
    (Id::Sort, "", "Nothing, for old scripts: listings are sorted."),
    (Id::Sockpair, "PAIR", "The connection PROTO:SIP:SPORT:TIP:TPORT alone, with --connection."),
    (Id::Cpu, "WORKER", "Connections of one worker, counted from 1; 0 is all."),
    (
        Id::Format,
        "FORMAT",
        "How listings look: stock as those of the kernel's ipvsadm, dpvs with local addresses and \
         marks, json as the control API has it.",
    ),
    (Id::Json, "", "The same as --format json."),
];

const OTHER_ROWS: &[Row] = &[
    (Id::Laddr, "ADDRESS", "A local address."),
    (Id::Ifname, "PORT", "The port of the dataplane that has the local address."),
    (Id::Blklst, "ADDRESS", "A client of the black list."),
    (Id::Whtlst, "ADDRESS", "A client of the white list."),
    (Id::Atomic, "", "Restore all commands or none; an error names its line."),
    (Id::Socket, "PATH", "Where the daemon listens."),
    (Id::McastInterface, "INTERFACE", "Of the synchronization daemon; without effect."),
    (Id::Syncid, "ID", "Of the synchronization daemon; without effect."),
    (Id::McastGroup, "ADDRESS", "Of the synchronization daemon; without effect."),
    (Id::McastPort, "PORT", "Of the synchronization daemon; without effect."),
    (Id::McastTtl, "TTL", "Of the synchronization daemon; without effect."),
    (Id::SyncMaxlen, "LENGTH", "Of the synchronization daemon; without effect."),
];

/// The sections of the page, in order.
const SECTIONS: &[(&str, &[Row])] = &[
    ("commands", COMMAND_ROWS),
    ("virtual services", SERVICE_ROWS),
    ("attributes of services", ATTRIBUTE_ROWS),
    ("real servers", SERVER_ROWS),
    ("listings", LISTING_ROWS),
    ("other options", OTHER_ROWS),
];

/// What shells may complete.
const VALUES: &[(Id, &[&str])] = &[
    (
        Id::Scheduler,
        &[
            "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh",
            "conhash",
        ],
    ),
    (Id::HashTarget, &["sip", "qid"]),
    (Id::Proto, &["icmp", "icmpv6"]),
    (Id::TunType, &["ipip", "gue", "gre"]),
    (Id::Format, &["stock", "dpvs", "json"]),
    (Id::StartDaemon, &["master", "backup"]),
    (Id::StopDaemon, &["master", "backup"]),
];

/// Returns the section, what the value is called and what the option is for.
fn describe(id: Id) -> Option<(&'static str, Row)> {
    SECTIONS
        .iter()
        .find_map(|(heading, rows)| rows.iter().find(|row| row.0 == id).map(|row| (*heading, *row)))
}

fn argument(opt: &Opt, order: usize) -> Result<Arg, Undescribed> {
    let (heading, (_, value, text)) =
        describe(opt.id).ok_or_else(|| Undescribed(format!("ipvsadm {opt:?}")))?;
    let mut argument =
        Arg::new(opt.long).long(opt.long).help(text).help_heading(heading).display_order(order);
    // One letter stands for one option in clap; the texts of both say what -b is.
    if opt.short != 0 && opt.id != Id::SchedFlags {
        argument = argument.short(char::from(opt.short));
    }
    if opt.id == Id::List {
        argument = argument.visible_short_alias('l');
    }
    argument = match opt.arg {
        Takes::None => argument.action(ArgAction::SetTrue),
        Takes::Required | Takes::Integer => argument.value_name(value),
        Takes::Optional => argument.value_name(value).num_args(0..=1),
    };
    if let Some((_, values)) = VALUES.iter().find(|row| row.0 == opt.id) {
        argument =
            argument.value_parser(PossibleValuesParser::new(*values)).hide_possible_values(true);
    }
    Ok(argument)
}

/// Returns the command line.
///
/// # Errors
/// An option of the program's table without a row here.
pub(crate) fn command() -> Result<Command, Undescribed> {
    let mut command = Command::new("ipvsadm")
        .about("administer the virtual services of the load balancer")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(Arg::new("words").num_args(0..).hide(true));
    // The letter l has an entry of its own in the table.
    let all = COMMANDS.iter().chain(OPTIONS).filter(|opt| !opt.long.is_empty());
    let place =
        |opt: &&Opt| SECTIONS.iter().position(|(_, rows)| rows.iter().any(|row| row.0 == opt.id));
    let mut sorted: Vec<&Opt> = all.collect();
    sorted.sort_by_key(place);
    for (order, opt) in sorted.into_iter().enumerate() {
        command = command.arg(argument(opt, order)?);
    }
    Ok(command)
}
