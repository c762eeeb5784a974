// SPDX-License-Identifier: MIT OR Apache-2.0
//! The help texts, byte for byte those of DPVS 1.10.2, and those of the objects that it lacks.

use crate::words::Object;

/// Returns the general usage.
pub(crate) fn usage() -> &'static str {
    USAGE
}

/// Returns an object's help. Objects that the daemon lacks have one more line that says so.
pub(crate) fn object(object: Object) -> String {
    let text = match object {
        Object::Link => LINK,
        Object::Addr => ADDR,
        Object::Route => ROUTE,
        Object::Neigh => NEIGH,
        Object::Vlan => VLAN,
        Object::Tunnel => TUNNEL,
        Object::Qsch => QSCH,
        Object::Cls => CLS,
        Object::Ipv6 => IPV6,
        Object::Iftraf => IFTRAF,
        Object::EalMem => EAL_MEM,
        Object::Ipset => IPSET,
        Object::Flow => FLOW,
        Object::Maddr => MADDR,
        Object::Lldp => LLDP,
        Object::Echo => ECHO,
        Object::Icmp => ICMP,
        Object::Config => CONFIG,
    };
    if object.is_offered() {
        return text.to_owned();
    }
    format!("{text}Note: not support, this dpvs has no {object} yet.\n", object = object.word())
}

const USAGE: &str = "Usage:
    dpip [OPTIONS] OBJECT { COMMAND | help }
Parameters:
    OBJECT  := { link | addr | route | neigh | vlan | tunnel | qsch | cls |
                 ipv6 | iftraf | eal-mem | ipset | flow | maddr | lldp }
    COMMAND := { create | destroy | add | del | show (list) | set (change) |
                 replace | flush | test | enable | disable }
Options:
    -v, --verbose
    -h, --help
    -V, --version
    -4, --family=inet
    -6, --family=inet6
    -s, --stats, statistics
    -C, --color
    -F, --force
";

const LINK: &str = "Usage:
    dpip link show [ NIC-NAME ]
    dpip link show BOND-NAME status
    dpip -v link show [ NIC-NAME ]
    dpip -s link show [ -i INTERVAL ] [ -c COUNT ] [ NIC-NAME ]
    dpip link show CPU-NAME
    dpip -v link show CPU-NAME
    dpip -s link show [ -i INTERVAL ] [ -c COUNT ]  CPU-NAME
    dpip link set DEV-NAME ITEM VALUE
    ---supported items---
    promisc [on|off], forward2kni [on|off], link [up|down], lldp [up|down]
    allmulticast [on|off], tc-egress [on|off], tc-ingress [on|off], addr, 
    bond-[mode|slave|primary|xmit-policy|monitor-interval|link-up-prop|link-down-prop]
Examples:
    dpip link show
    dpip -s -v link show dpdk0
    dpip link show cpu
    dpip -s link show cpu2 -i 3 -c 5
    dpip -s -v link show cpu3 -i 2
    dpip link show bond0 status
    dpip link set dpdk0 promisc on/off
    dpip link set dpdk0 forward2kni on/off
    dpip link set bond0 link up/down
";

const ADDR: &str = "Usage:
    dpip addr show [ dev STRING ]
    dpip -6 addr show [ dev STRING ]
    dpip addr { add | set } IFADDR dev STRING [LIFETIME] [ SCOPE ] [FLAGS]
    dpip -6 addr { add | set } IFADDR dev STRING [LIFETIME] [ SCOPE ] [FLAGS]
    dpip addr del IFADDR dev STRING
    dpip -6 addr del IFADDR dev STRING
    dpip addr flush dev STRING
    dpip addr help
Parameters:
    IFADDR    := { PREFIX | ADDR } [ broadcast ADDR ]
    PREFIX    := { ADDR/PLEN }
    SCOPE     := [ scope { host | link | global | NUM } ]
    LIFETIME  := [ valid_lft LFT ] [ preferred_lft LFT ]
    LFT       := forever | SECONDS
    FLAGS     := sapool
";

const ROUTE: &str = "Usage:
    dpip route { show | help }
    dpip route flush dev IFNAME
    dpip route { add | del | set } ROUTE
Parameters:
    ROUTE      := PREFIX [ via ADDR ] [ dev IFNAME ] [ OPTIONS ]
    PREFIX     := { ADDR/PLEN | ADDR | default }
    OPTIONS    := [ SCOPE | mtu MTU | src ADDR | metric NUM ]
    SCOPE      := [ scope { host | link | global | NUM } ]
Examples:
    dpip route show
    dpip route add default via 10.0.0.1
    dpip route add 172.0.0.0/16 via 172.0.0.3 dev dpdk0
    dpip route add 192.168.0.0/24 dev dpdk0
    dpip -6 route add ffe1::/128 dev dpdk0
    dpip -6 route add 2001:db8:1::/64 via 2001:db8:1::1 dev dpdk0
    dpip route del 172.0.0.0/16
    dpip route set 172.0.0.0/16 via 172.0.0.1
    dpip route flush dev dpdk0
";

const NEIGH: &str = "Usage:
    dpip neigh show [ dev DEVICE ]
    dpip neigh { add | del } ADDR lladdr LLADDR dev DEVICE
    dpip neigh help
";

const VLAN: &str = "Usage:
    dpip vlan add [NAME] VLAN-PARAM
    dpip vlan del { NAME | VLAN-PARAM }
    dpip vlan show { NAME | link DEV [ proto VLAN-PROTO ] [ id VLAN-ID ] }
Parameters:
    NAME       := DEV
    DEV        := STRING
    VLAN-PARAM := link DEV [proto VLAN-PROTO] id VLAN-ID
    VLAN-PROTO := { 802.1q | 802.1ad | vlan | QinQ }
    VLAN-ID    := NUMBER

    The default VLAN-PROTO is 802.1q (vlan).
    802.1q equals to vlan, so does 802.1ad and QinQ.
Examples:
    dpip vlan add dpdk0.100 link dpdk0 id 100
    dpip vlan add link dpdk1 proto 802.1q id 100
    dpip vlan del dpdk0.100
    dpip vlan del link dpdk1 id 100
    dpip vlan show dpdk0.100
    dpip vlan show link dpdk1
    dpip vlan show link dpdk1 id 100
";

const TUNNEL: &str = "Usage:
    dpip tunnel { add | change | del | show } [ NAME ]
         [ mode { ipip | gre } ] [ remote ADDR ] [ local ADDR ]
         [ [i|o]seq ] [ [i|o]key KEY ] [ [i|o]csum ]
         [ ttl TTL ] [ tos TOS ] [ dev PHYS_DEV ]
Parameters:
    NAME    := STRING
    ADDR    := { IP_ADDRESS | any }
    TOS     := { 0..255 | inherit }
    TTL     := { 1..255 | inherit }
    KEY     := { DOTTED_QUAD | NUMBER }
";

const QSCH: &str = "Usage:
    dpip qsch { add | del | replace | change | show } dev STRING
              [ handle HANDLE ] [ root | ingress | parent HANDLE ]
              [ QSCH_KIND [ QOPTIONS ] ]

Parameters:
    QSCH_KIND := { [b|p]fifo | pfifo_fast | tbf }
    QOPTIONS  := { FIFO_OPTS | TBF_OPTS }
    FIFO_OPTS := [ limit NUMBER ]
    TBF_OPTS  := rate RATE burst BYTES { latency MS | limit BYTES }
                 [ peakrate RATE mtu BYTES ]
    RATE      := raw bits per-second, and possible followed by
                 a SI unit (k, m, g).
    MS        := milliseconds.
";

const CLS: &str = r#"Usage:
    dpip cls { add | del | change | replace | show } dev STRING
             [ handle HANDLE ] [ qsch HANDLE ]
             [ pkttype PKTTYPE ] [ prio PRIO ]
             [ CLS_TYPE [ COPTIONS ] ]

Parameters:
    PKTTYPE    := { ipv4 | ipv6 | vlan }
    CLS_TYPE   := { match | ipset }
    COPTIONS   := { MATCH_OPTS | SET_OPTS }
    PRIO       := NUMBER

Match options:
    MATCH_OPTS := pattern PATTERN { target { CHILD_QSCH | drop } }
    PATTERN    := comma seperated of tokens below,
                  { PROTO | SRANGE | DRANGE | IIF | OIF }
    CHILD_QSCH := child qsch handle of the qsch cls attached.
    PROTO      := "{ tcp | sctp | udp }"
    SRANGE     := "from=RANGE"
    DRANGE     := "to=RANGE"
    RANGE      := ADDR[-ADDR][:PORT[-PORT]]
    IIF        := "iif=IFNAME"
    OIF        := "oif=IFNAME"
Set options:
    SET_OPTS   := match IPSET { target { CHILD_QSCH | drop } }
    IPSET      := SETNAME{,TARGET }
    TARGET     := "{ src | dst }"

Examples:
    dpip cls show dev dpdk0 qsch 1:
    dpip cls add dev dpdk0 qsch 1: \
         match pattern 'tcp,from=10.0.0.1' target drop
    dpip cls add dev dpdk0 qsch 1: handle 1:10 \
         match pattern 'tcp,from=192.168.0.1:1-1024,oif=eth1'\
         target 1:1
    dpip cls add dev dpdk0 qsch root ipset match denyset,src target drop
    dpip cls del dev dpdk0 qsch 1: handle 1:10
"#;

const IPV6: &str = "Usage:
    dpip ipv6 show [ cpu CPU | all | total ]

Example:
    dpip ipv6 show
    dpip ipv6 show total
    dpip ipv6 show all
    dpip ipv6 show cpu 6
";

const IFTRAF: &str = "Usage:
    dpip iftraf [enable | disable]
    dpip iftraf show
";

const EAL_MEM: &str = "Usage:
    dpip eal-mem show [seg | ring | zone | pool] 
";

const IPSET: &str = r#"Usage:
    dpip ipset create SETNAME TYPE [ OPTIONS ]
    dpip ipset destroy SETNAME
    dpip ipset { add | del | test } SETNAME ENTRY [ ADTOPTS ]
    dpip ipset { show | flush } [ SETNAME ]
Parameters:
    TYPE      := { bitmap:ip | bitmap:ip,mac | bitmap:port | hash:ip | hash:net | hash:ip,port
                    | hash:net,port | hash:net,port,iface | hash:ip,port,ip | hash:ip,port,net
                    | hash:net,port,net | hash:net,port,net,port }
    ENTRY     := combinations of one or more comma seperated tokens below,
                 { { IP | NET } | PORT | MAC | IFACE }
    IP        := ipv4 or ipv6 string literal
    NET       := "{ IP/prefix | IP(range from)[-IP(range end)] }"
    MAC       := 6 bytes MAC address string literal
    PORT      := "[{ tcp | udp | icmp | icmp6 }:]port1[-port2]"
    OPTIONS   := { comment | range NET | hashsize NUM | maxelem NUM }
    ADTOPTS   := { comment STRING | nomatch (for add only) }
    flag      := { -F(--force) | { -4 | -6 } | -v }
Examples:
    dpip ipset create foo bitmap:ip range 192.168.0.0/16 comment
    dpip ipset add foo 192.168.0.1-192.168.0.5 comment "test entry"
    dpip ipset show foo
    dpip ipset flush foo
    dpip ipset destroy foo
    dpip -6 ipset create bar hash:net,port,iface hashsize 300 maxelem 1000
    dpip ipset add bar 2001:beef::/64,udp:100,dpdk0
    dpip -v ipset test bar 2001:beef::abcd,udp:100,dpdk0
    dpip ipset del bar 2001:beef::/64,udp:100,dpdk0
    dpip ipset destroy bar
"#;

const FLOW: &str = "Usage:
    dpip flow { add | del } type FLOWTYPE OPTS dev STRING
    dpip flow { show | flush } type FLOWTYPE dev STRING
Parameters:
    FLOWTYPE   := { kni }
    OPTS       := { KNI_IP_ADDRESS }
Examples:
    dpip flow add type kni dev dpdk0 192.168.88.12
    dpip flow show type kni dev dpdk0
";

const MADDR: &str = "Usage: dpip maddr show [dev STRING]
";

const LLDP: &str = "Usage:
    dpip lldp show TYPE dev NAME
    TYPE := [ local | neigh ]
    NAME := interface name
Examples:
    dpip lldp show local dev dpdk0
    dpip lldp show dev dpdk1 neigh
";

const ECHO: &str = "Usage:
    dpip [ -4 | -6 ] echo show
    dpip echo set ADDR policy POLICY [ quorum NUM ] [ down DOWN ] [ max-size NUM ]
    dpip echo del ADDR
    dpip echo help
Parameters:
    POLICY    := { never | always | any-up | all-up | quorum | backend }
    DOWN      := { drop | host | admin }

    Whether echo requests to an address are answered, if it has no ICMP service.
    Without a policy they are. With any-up one real server must have a weight, with
    all-up one of every service, with quorum as many; backend forwards them to one.
    While the services are down requests are dropped, or refused as host unreachable
    or administratively prohibited. Requests with more than max-size bytes are dropped.
Examples:
    dpip echo set 203.0.113.80 policy any-up down host
    dpip echo set 203.0.113.80 policy quorum quorum 2 max-size 64
    dpip echo del 203.0.113.80
";

const ICMP: &str = "Usage:
    dpip icmp show
    dpip icmp servers [ limit NUM ]
    dpip icmp decisions [ worker NUM ] [ limit NUM ]
    dpip icmp help

    show lists the counters of ICMP, and limits and switches in force; servers the real
    servers that errors were about, most first (ipvsadm -Z zeroes); decisions what
    became of the last ICMP errors, newest last: relayed-in (to a real server),
    relayed-out (to a client), steered (to another worker), host, used (about a
    tunnel's packet), or the reason for which it was dropped.
";

const CONFIG: &str = "Usage:
    dpip config show
    dpip config test FILE
    dpip [ -v ] config replace FILE
    dpip config help
Parameters:
    FILE      := a JSON document as show prints it, - for standard input

    show prints the whole configuration: addresses, routes, neighbours, echo policies,
    timeouts, services with all their parts. replace makes it what a file says, by the
    writes that are missing and no others: connections of what stays live on. It is
    done whole or not at all. A section that the file does not have is left alone.
    test tries it, changes nothing, and prints those writes, one a line; -v prints them
    with replace too.
Examples:
    dpip config show > balancer.json
    dpip config test balancer.json
    dpip config replace balancer.json
";
