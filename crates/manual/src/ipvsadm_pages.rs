// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ipvsadm.8`, `ipvsadm-save.8` and `ipvsadm-restore.8`.

use crate::ipvsadm_options::command;
use crate::page::{Draft, Page, Undescribed};

const DESCRIPTION: &str = "\
`ipvsadm` tells a running `dpvs` which virtual services there are and which real servers they have.
It is the command of the Linux Virtual Server with the additions of DPVS: scripts for either run
unchanged.

The first option is a command. Options are read from left to right; letters may be put together
(`-Ln`), names may not be shortened. The argument of an option is the next word, whatever it looks
like, or what follows the letter or a `=`.

A host may be a name of _/etc/hosts_, a port a name of _/etc/services_. IPv6 addresses with a port
stand in brackets: `[2001:db8::1]:80`.

Every command is carried out by all workers of the daemon before `ipvsadm` ends, and no packet
meets half of it.";

const EXAMPLES: &[(&str, &str)] = &[
    (
        "A web service by full NAT. Real servers see the local address 10.2.0.200 and need no routes:",
        "dpip addr add 10.0.0.100/32 dev dpdk0
ipvsadm -A -t 10.0.0.100:80 -s wlc
ipvsadm -P -t 10.0.0.100:80 -z 10.2.0.200 -F dpdk1
ipvsadm -a -t 10.0.0.100:80 -r 10.2.0.11:8080 -b -w 2
ipvsadm -a -t 10.0.0.100:80 -r 10.2.0.12:8080 -b -w 1",
    ),
    (
        "Pings to the virtual address, carried to the real servers by full NAT:",
        "ipvsadm -A -p icmp 10.0.0.100 -s rr
ipvsadm -P -q 10.0.0.100 -z 10.2.0.200 -F dpdk1
ipvsadm -a -q 10.0.0.100 -r 10.2.0.11 -b
ipvsadm -a -q 10.0.0.100 -r 10.2.0.12 -b
ping 10.0.0.100
ipvsadm -Lnc --format dpvs",
    ),
    (
        "Pings that the balancer answers itself, as long as a real server has a weight:",
        "ipvsadm -E -t 10.0.0.100:80 -s wlc --icmp-echo any-up:host",
    ),
    (
        "A real server is taken out of service: no new connections, and away when it has none left:",
        "ipvsadm -e -t 10.0.0.100:80 -r 10.2.0.11:8080 -b -w 0
ipvsadm -Ln -t 10.0.0.100:80
ipvsadm -d -t 10.0.0.100:80 -r 10.2.0.11:8080",
    ),
    (
        "Hosts of 10.2.0.0/24 reach the world from 203.0.113.7:",
        "ipvsadm -A -H proto=tcp,src-range=10.2.0.0-10.2.0.255,oif=dpdk0 -s rr
ipvsadm -a -H proto=tcp,src-range=10.2.0.0-10.2.0.255,oif=dpdk0 -r 203.0.113.7 -J",
    ),
    ("A file of rules, all of it or nothing:", "ipvsadm -R --atomic < /etc/dpvs/rules"),
];

const STATUSES: &[(&str, &str)] = &[
    ("0", "The command was carried out."),
    ("1", "What was to be listed is not there, or could not be written."),
    ("2", "The command line is wrong, or the daemon does not run."),
    (
        "255",
        "The daemon refused the command, an option is unknown or lacks its argument, or the first \
         option is no command. For `-R`, some line was refused.",
    ),
];

const VARIABLES: &[(&str, &str)] = &[
    ("`DPVS_SOCKET`", "Where the daemon listens, unless `--socket` says so."),
    ("`DPVS_IPC_FILE`", "The same by the name that DPVS has for it; `DPVS_SOCKET` comes first."),
    ("`IPVSADM_FORMAT`", "The format of listings, unless `--format` says so."),
    ("`POSIXLY_CORRECT`", "Options end at the first word that is none."),
];

fn ipvsadm() -> Result<Page, Undescribed> {
    let purpose = "administer the virtual services of the load balancer";
    let mut page = Draft::new("ipvsadm", "8", purpose);
    page.synopsis(&[
        "`ipvsadm` `-A`|`-E` _service_ [`-s` _scheduler_] [`-p` [_seconds_]] [_attributes_]",
        "`ipvsadm` `-D` _service_",
        "`ipvsadm` `-a`|`-e` _service_ `-r` _server_ [`-g`|`-i`|`-m`|`-b`|`-J`] [`-w` _weight_] [_options_]",
        "`ipvsadm` `-d` _service_ `-r` _server_",
        "`ipvsadm` `-P`|`-Q` _service_ `-z` _address_ `-F` _port_",
        "`ipvsadm` `-U`|`-V` _service_ `-k` _client_",
        "`ipvsadm` `-O`|`-Y` _service_ `-2` _client_",
        "`ipvsadm` `-L`|`-Z`|`-G`|`-B`|`-W` [_service_] [_options_]",
        "`ipvsadm` `-C`",
        "`ipvsadm` `-S` [`-n`]",
        "`ipvsadm` `-R` [`--atomic`]",
        "`ipvsadm` `--set` _tcp_ _tcpfin_ _udp_",
    ]);
    page.section_of("DESCRIPTION", DESCRIPTION);
    page.options(command()?);
    page.examples(EXAMPLES);
    page.section("EXIT STATUS");
    for (status, text) in STATUSES {
        page.tagged(&format!("`{status}`"), text);
    }
    page.section("FILES");
    page.tagged("_/run/dpvs/dpvs.sock_", "Where the daemon listens unless it is configured.");
    page.tagged(
        "_/etc/dpvs/rules_",
        "Rules that the service restores after the daemon has started.",
    );
    page.section("ENVIRONMENT");
    for (name, text) in VARIABLES {
        page.tagged(name, text);
    }
    page.see_also(&[("dpip", "8"), ("dpvs", "8"), ("ipvsadm-restore", "8"), ("ipvsadm-save", "8")]);
    Ok(page.finish())
}

fn save() -> Page {
    let mut page =
        Draft::new("ipvsadm-save", "8", "print the commands that make all services again");
    page.synopsis(&["`ipvsadm-save` [`-n`]"]);
    page.section_of(
        "DESCRIPTION",
        "`ipvsadm-save` prints timeouts, services, local addresses, black and white lists and real \
         servers as command lines of `ipvsadm`, for `ipvsadm-restore`. Nothing that `ipvsadm` can \
         set is left out; counters and connections are not rules.",
    );
    page.section("OPTIONS");
    page.tagged(
        "`-n`",
        "Print numbers and never names: what is read elsewhere means the same there.",
    );
    page.examples(&[(
        "Rules that stand again after the machine was started:",
        "ipvsadm-save -n > /etc/dpvs/rules",
    )]);
    page.section_of("EXIT STATUS", "That of `ipvsadm -S`: 0, or 2 where the daemon does not run.");
    page.see_also(&[("ipvsadm", "8"), ("ipvsadm-restore", "8")]);
    page.finish()
}

fn restore() -> Page {
    let mut page = Draft::new("ipvsadm-restore", "8", "replace all services by saved ones");
    page.synopsis(&["`ipvsadm-restore` < _rules_"]);
    page.section_of(
        "DESCRIPTION",
        "`ipvsadm-restore` reads its standard input to the end, deletes all services, and carries \
         out the lines as `ipvsadm -R` does. In between there are no services: where that must \
         not be, use `ipvsadm -R --atomic` with `-C` as the first line of the file, which changes \
         from the old rules to the new ones at once.\n\nLines that start with # are \
         comments. Words that follow the command are ignored.",
    );
    page.examples(&[
        (
            "Going back to what was saved:",
            "ipvsadm-save -n > before\nipvsadm -C\nipvsadm-restore < before",
        ),
        (
            "The same for a set of rules that must come into force as a whole:",
            "(echo -C; cat rules) | ipvsadm -R --atomic",
        ),
    ]);
    page.section_of(
        "EXIT STATUS",
        "0 if every line was carried out; 255 if one was refused, the others are in force; 2 where \
         the daemon does not run; 2 or 255 if a line is no command line, which ends the run.",
    );
    page.see_also(&[("ipvsadm", "8"), ("ipvsadm-save", "8")]);
    page.finish()
}

/// Returns the three pages.
///
/// # Errors
/// An option that nobody has described.
pub(crate) fn pages() -> Result<Vec<Page>, Undescribed> {
    Ok(vec![ipvsadm()?, save(), restore()])
}
