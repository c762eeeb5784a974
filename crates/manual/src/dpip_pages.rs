// SPDX-License-Identifier: MIT OR Apache-2.0
//! `dpip.8`, and the command line of `dpip` as clap has it.

use crate::page::{Draft, Page, Undescribed};
use clap::{Arg, ArgAction, Command};
use dpip::{OBJECTS, OPTIONS, Object, OptionId};

const DESCRIPTION: &str = "\
`dpip` gives a running `dpvs` its addresses and routes, and shows its ports. It is the command of DPVS:
words, options, listings and exit codes are the same.

Objects and commands are whole words. Options may stand anywhere, and names of options may be shortened
as long as they are unique. The words after the command may come in any order; of a word that is given
twice the last counts.

What is configured is in force when `dpip` ends, and is gone when the daemon ends: `--batch` makes it
again.";

/// An option: what its value is called, and what it is for.
type Row = (OptionId, &'static str, &'static str);

const ROWS: &[Row] = &[
    (
        OptionId::Verbose,
        "",
        "Print more: workers, the driver of a port, and why the daemon refused.",
    ),
    (OptionId::Help, "", "Print the help of the object, or all objects."),
    (OptionId::Version, "", "Print the version of the command line that this one is like."),
    (OptionId::Family, "FAMILY", "The address family: inet or inet6."),
    (OptionId::Inet, "", "IPv4, as --family inet."),
    (OptionId::Inet6, "", "IPv6, as --family inet6. Without a family, routes are listed for IPv4."),
    (OptionId::Stats, "", "Print counters."),
    (OptionId::Interval, "SECONDS", "With --stats and link show: print rates, again and again."),
    (OptionId::Count, "COUNT", "With --interval: so many times."),
    (OptionId::Color, "", "Colour the rates."),
    (OptionId::Force, "", "Nothing yet: it is for ipset."),
    (OptionId::Json, "", "Print a listing as one line of JSON, as the control API has it."),
    (
        OptionId::Batch,
        "FILE",
        "Carry out the commands of a file, one a line without dpip; - is standard input. Lines that \
         start with # are skipped. The first that fails ends it, with the number of its line.",
    ),
    (
        OptionId::KeepGoing,
        "",
        "With --batch: go on after a command that failed; the exit code tells.",
    ),
    (OptionId::Socket, "PATH", "Where the daemon listens."),
];

/// What can be done with an object: a line of the synopsis, and what it does.
type Use = (&'static str, &'static str);

const ADDR: &[Use] = &[
    ("`addr show` [`dev` _port_]", "List addresses; with `-s`, the use of local addresses."),
    (
        "`addr add`|`replace`|`set` _prefix_ `dev` _port_ [`scope host`|`link`|`global`] \
         [`broadcast` _address_] [`valid_lft` _seconds_] [`preferred_lft` _seconds_] [`sapool`]",
        "Give a port an address. `add` refuses one that stands, `set` one that does not, `replace` \
         neither. With a prefix length the network is a connected route; without one the address is \
         a virtual one.",
    ),
    ("`addr del` _prefix_ `dev` _port_", "Take an address away."),
    ("`addr flush dev` _port_", "Take all addresses of a port away, or those of one family."),
];

const ROUTE: &[Use] = &[
    ("`route show` [`dev` _port_]", "List routes, connected and local ones too. `-6` lists IPv6."),
    (
        "`route add`|`replace`|`set` _prefix_|`default` [`via` _address_] [`dev` _port_] \
         [`src` _address_] [`mtu` _bytes_] [`metric` _number_] [`scope` _scope_]",
        "Set a route. `add` refuses a prefix that has one, `set` a prefix that has none, `replace` \
         neither.",
    ),
    ("`route del` _prefix_|`default`", "Take a route away."),
    ("`route flush dev` _port_", "Take all routes away that were set for a port."),
];

const NEIGH: &[Use] = &[
    ("`neigh show` [`dev` _port_]", "List neighbours, static and learned."),
    (
        "`neigh add`|`replace` _address_ `lladdr` _mac_ `dev` _port_",
        "Set the link address of a neighbour, which is not asked for then.",
    ),
    ("`neigh del` _address_ `dev` _port_", "Forget a neighbour."),
];

const LINK: &[Use] = &[
    ("`link show` [_port_]", "List ports with their state; `-s` adds counters, `-v` the driver."),
    (
        "`link set` _port_ `promisc`|`allmulticast on`|`off`",
        "Whether the port takes frames for other stations, or for every group.",
    ),
    ("`link set` _port_ `link up`|`down`", "Bring the link up or down."),
    ("`link set` _port_ `mtu` _bytes_", "Set the longest IP packet."),
    ("`link set` _port_ `addr` _mac_", "Set the link address."),
];

const ECHO: &[Use] = &[
    ("`echo show`", "List echo policies, with what they come to now."),
    (
        "`echo set` _address_ `policy never`|`always`|`any-up`|`all-up`|`quorum`|`backend` \
         [`quorum` _number_] [`down drop`|`host`|`admin`] [`max-size` _bytes_]",
        "Set whether pings to an address are answered: by the weights of the real servers of its \
         services, or by one of them (`backend`). While the services are down, pings are dropped, or \
         refused as unreachable or prohibited.",
    ),
    ("`echo del` _address_", "Take the policy away: pings are answered."),
];

const ICMP: &[Use] = &[
    ("`icmp show`", "List the counters of ICMP, and limits and switches in force."),
    (
        "`icmp servers` [`limit` _number_]",
        "List the real servers that errors were about, those with most first.",
    ),
    (
        "`icmp decisions` [`worker` _number_] [`limit` _number_]",
        "List what became of the last ICMP errors, and why; the newest last.",
    ),
];

const CONFIG: &[Use] = &[
    (
        "`config show`",
        "Print the whole configuration as one JSON document: addresses, routes, neighbours, echo \
         policies, timeouts, and services with all their parts.",
    ),
    ("`config test` _file_", "Print what `replace` would do with a document, and change nothing."),
    (
        "`config replace` _file_",
        "Make the configuration what a document says, whole or not at all, by the changes that it \
         takes: connections of what stays go on. A section that the document lacks stays as it is.",
    ),
];

fn uses(object: Object) -> &'static [Use] {
    match object {
        Object::Link => LINK,
        Object::Addr => ADDR,
        Object::Route => ROUTE,
        Object::Neigh => NEIGH,
        Object::Echo => ECHO,
        Object::Icmp => ICMP,
        Object::Config => CONFIG,
        _ => &[],
    }
}

const EXAMPLES: &[(&str, &str)] = &[
    (
        "A balancer between clients on dpdk0 and real servers on dpdk1:",
        "dpip addr add 10.1.0.1/24 dev dpdk0
dpip addr add 10.2.0.1/24 dev dpdk1
dpip addr add 10.0.0.100/32 dev dpdk0
dpip route add default via 10.1.0.254 dev dpdk0",
    ),
    (
        "The same as a file that may be carried out again and again:",
        "dpip --batch /etc/dpvs/network",
    ),
    (
        "A virtual address that is pinged through full NAT; see ipvsadm(8) for what the lines mean:",
        "dpip addr add 10.0.0.100/32 dev dpdk0
ipvsadm -A -p icmp 10.0.0.100 -s rr
ipvsadm -P -q 10.0.0.100 -z 10.2.0.200 -F dpdk1
ipvsadm -a -q 10.0.0.100 -r 10.2.0.11 -b
dpip neigh show dev dpdk1",
    ),
    ("Packets a second, for ten seconds:", "dpip -s -i 1 -c 10 link show dpdk0"),
    (
        "The whole configuration is changed at once, after a look at what that means:",
        "dpip config show > balancer.json
dpip config test balancer.json
dpip config replace balancer.json",
    ),
    ("Why an ICMP error did not come through:", "dpip icmp decisions limit 5"),
];

/// Returns the command line.
///
/// # Errors
/// An option that nobody has described.
pub(crate) fn command() -> Result<Command, Undescribed> {
    let mut command = Command::new("dpip")
        .about("administer addresses, routes, neighbours and ports of the load balancer")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true);
    for (order, spec) in OPTIONS.iter().enumerate() {
        // `-D` is known, and always refused; the counters have a second name.
        if spec.id == OptionId::Daemon || spec.long == Some("statistics") {
            continue;
        }
        let row = ROWS.iter().find(|row| row.0 == spec.id);
        let (_, value, text) = row.ok_or_else(|| Undescribed(format!("dpip {spec:?}")))?;
        let mut argument = Arg::new(spec.long.unwrap_or(text))
            .help(*text)
            .help_heading("options")
            .display_order(order)
            .global(true);
        argument = match spec.short {
            Some(letter) => argument.short(char::from(letter)),
            None => argument,
        };
        argument = match spec.long {
            Some(long) => argument.long(long),
            None => argument,
        };
        argument = match spec.id {
            OptionId::Stats => argument.visible_alias("statistics").action(ArgAction::SetTrue),
            _ if spec.takes_value => argument.value_name(*value),
            _ => argument.action(ArgAction::SetTrue),
        };
        command = command.arg(argument);
    }
    for (object, word) in OBJECTS.iter().filter(|(object, _)| object.is_offered()) {
        let mut one = Command::new(*word).disable_help_subcommand(true);
        for command in object.commands().iter().chain(&["help"]) {
            one = one.subcommand(Command::new(*command));
        }
        command = command.subcommand(one);
    }
    Ok(command)
}

fn objects(page: &mut Draft) -> Result<(), Undescribed> {
    page.section("OBJECTS");
    page.text(
        "A _prefix_ is an address, or an address with the length of its network: `10.0.0.1/24`.",
    );
    for (object, word) in OBJECTS.iter().filter(|(object, _)| object.is_offered()) {
        page.subsection(word);
        let uses = uses(*object);
        if let Some(command) = object
            .commands()
            .iter()
            .find(|command| !uses.iter().any(|(line, _)| line.replace('`', "").contains(**command)))
        {
            return Err(Undescribed(format!("dpip {word} {command}")));
        }
        for (line, text) in uses {
            page.tagged(&format!("`dpip` {line}"), text);
        }
    }
    page.subsection("Others");
    let others = OBJECTS.iter().filter(|(object, _)| !object.is_offered());
    let others: Vec<String> = others.map(|(_, word)| format!("`{word}`")).collect();
    page.text(&format!(
        "{} are known and answered with `not support`: this daemon has none of them. `dpip` _object_ \
         `help` says so for each.",
        others.join(", ")
    ));
    Ok(())
}

/// Returns the page.
///
/// # Errors
/// An option or a command that nobody has described.
pub(crate) fn page() -> Result<Page, Undescribed> {
    let purpose = "administer addresses, routes, neighbours and ports of the load balancer";
    let mut page = Draft::new("dpip", "8", purpose);
    page.synopsis(&[
        "`dpip` [_options_] _object_ _command_ [_words_]",
        "`dpip` [_options_] _object_ `help`",
        "`dpip` [_options_] `--batch` _file_",
    ]);
    page.section_of("DESCRIPTION", DESCRIPTION);
    page.options(command()?);
    objects(&mut page)?;
    page.examples(EXAMPLES);
    page.section("EXIT STATUS");
    page.tagged("`0`", "The command was carried out, or there was none at all.");
    page.tagged("`1`", "Everything else, with one line that says why.");
    page.section("FILES");
    page.tagged("_/run/dpvs/dpvs.sock_", "Where the daemon listens unless it is configured.");
    page.tagged(
        "_/etc/dpvs/network_",
        "Commands that the service carries out after the daemon has started.",
    );
    page.section("ENVIRONMENT");
    page.tagged("`DPVS_SOCKET`", "Where the daemon listens, unless `--socket` says so.");
    page.tagged(
        "`DPVS_IPC_FILE`",
        "The same by the name that DPVS has for it; `DPVS_SOCKET` comes first.",
    );
    page.see_also(&[("dpvs", "8"), ("dpvs.toml", "5"), ("ipvsadm", "8")]);
    Ok(page.finish())
}
