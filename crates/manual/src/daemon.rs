// SPDX-License-Identifier: MIT OR Apache-2.0
//! `dpvs.8`.

use crate::page::{Draft, Page, Undescribed};

const DESCRIPTION: &str = "\
`dpvs` is a layer-4 load balancer. It takes ports from the kernel by DPDK, and its workers forward what
comes for virtual services to real servers: by full NAT, NAT, direct routing, tunnels or source NAT. ICMP
is forwarded with the connections that it is about, and pings may be a service of their own.

The daemon starts without addresses and services. `dpip` and `ipvsadm` configure them over a local
socket, where programs may speak JSON too.

It stays in the foreground and logs to standard output. Under systemd it says when packets flow.";

const DEVICES: &[(&str, &str)] = &[
    ("`0000:03:00.0`", "A network card by its PCI address."),
    ("`af_packet:`_interface_", "An interface of Linux; the quickest way to try it."),
    ("`af_xdp:`_interface_", "The same by AF_XDP."),
    ("`tap:`_interface_", "An interface that is made, with the balancer at its other end."),
    (
        "`pcap:`_in_`,`_out_",
        "Files: what is in the first is received, what is sent goes to the second.",
    ),
    ("`memif:`_arguments_", "Shared memory with another process."),
    ("`vdev:`_arguments_", "Any virtual device of DPDK, by its own arguments."),
];

const EXAMPLES: &[(&str, &str)] = &[
    (
        "What the machine lacks, before anything is started:",
        "dpvs --check --port dpdk0=af_packet:eth0",
    ),
    (
        "On two interfaces of Linux, with two workers:",
        "dpvs -w 2 -p dpdk0=af_packet:eth0 -p dpdk1=af_packet:eth1",
    ),
    (
        "Then a virtual address that can be pinged, by full NAT, in another terminal:",
        "dpip addr add 10.1.0.1/24 dev dpdk0
dpip addr add 10.2.0.1/24 dev dpdk1
dpip addr add 10.0.0.100/32 dev dpdk0
ipvsadm -A -p icmp 10.0.0.100 -s rr
ipvsadm -P -q 10.0.0.100 -z 10.2.0.200 -F dpdk1
ipvsadm -a -q 10.0.0.100 -r 10.2.0.11 -b",
    ),
];

/// Returns the page.
///
/// # Errors
/// None so far; the other pages have some.
pub(crate) fn page() -> Result<Page, Undescribed> {
    let command = dpvs::command().mut_args(|argument| argument.help_heading("options"));
    if let Some(bare) = command.get_arguments().find(|argument| argument.get_help().is_none()) {
        return Err(Undescribed(format!("dpvs {}", bare.get_id())));
    }
    let mut page = Draft::new("dpvs", "8", "layer-4 load balancer on DPDK");
    page.synopsis(&[
        "`dpvs` [`--config` _file_] [`--socket` _path_] [`--workers` _n_] [`--port` _name_`=`_device_]... [`--eal` _arguments_]",
        "`dpvs` `--check` [_options_]",
    ]);
    page.section_of("DESCRIPTION", DESCRIPTION);
    page.options(command);
    page.section("DEVICES");
    for (device, text) in DEVICES {
        page.tagged(device, text);
    }
    page.section("SIGNALS");
    page.tagged("`SIGTERM`, `SIGINT`", "End the daemon.");
    page.tagged(
        "`SIGHUP`",
        "Read the configuration again. What needs a start is named in the log and stays as it was.",
    );
    page.examples(EXAMPLES);
    page.section("EXIT STATUS");
    page.tagged(
        "`0`",
        "It was ended by a signal or a command, or `--check` found nothing missing.",
    );
    page.tagged("`1`", "It could not start, or something failed; the last line says what.");
    page.tagged("`2`", "The command line is wrong, or no port is configured.");
    page.section("FILES");
    page.tagged("_/etc/dpvs/dpvs.toml_", "The configuration, if it is there.");
    page.tagged("_/run/dpvs/dpvs.sock_", "Where `ipvsadm`, `dpip` and other programs reach it.");
    page.tagged(
        "_/run/dpvs/ipvs.sock_",
        "Where Debian's own `ipvsadm` and `keepalived` reach it, with `LD_PRELOAD=libdpvs_ipvs.so`.",
    );
    page.section("ENVIRONMENT");
    page.tagged("`RUST_LOG`", "What is logged; it comes before the configuration.");
    page.see_also(&[("dpip", "8"), ("dpvs.toml", "5"), ("ipvsadm", "8")]);
    Ok(page.finish())
}
