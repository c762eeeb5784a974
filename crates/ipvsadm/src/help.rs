// SPDX-License-Identifier: MIT OR Apache-2.0
//! The texts of `-h` and `-v`.

/// Returns the text of `-v`.
pub fn version_text() -> String {
    format!("ipvsadm v{} (dpvs, compatible with IPVS v1.2.1)\n", env!("CARGO_PKG_VERSION"))
}

/// Returns the text of `-h` for a program that was started by this name.
pub fn help_text(program: &str) -> String {
    let usage = USAGE.replace("ipvsadm", program);
    format!("{}{usage}{COMMANDS}{SERVICES}{OPTIONS}{MORE_OPTIONS}", version_text())
}

const USAGE: &str = "\
Usage:
  ipvsadm -A|E virtual-service [-s scheduler] [-p [timeout]] [-M netmask] [--pe persistence_engine] [-b sched-flags]
               [-j enable|disable] [service-options]
  ipvsadm -D virtual-service
  ipvsadm -C
  ipvsadm -R [--atomic]
  ipvsadm -S [-n]
  ipvsadm -a|e virtual-service -r server-address [options]
  ipvsadm -d virtual-service -r server-address
  ipvsadm -P|Q virtual-service -z local-address -F interface
  ipvsadm -G [virtual-service]
  ipvsadm -U|V virtual-service -k blacklist-address
  ipvsadm -O|Y virtual-service -2 whitelist-address
  ipvsadm -B|W [virtual-service]
  ipvsadm -L|l [virtual-service] [options]
  ipvsadm -Z [virtual-service]
  ipvsadm --set tcp tcpfin udp
  ipvsadm --start-daemon {master|backup} [daemon-options]
  ipvsadm --stop-daemon {master|backup}
  ipvsadm -h

";

const COMMANDS: &str = "\
Commands:
Either long or short options are allowed.
  --add-service     -A        add virtual service with options
  --edit-service    -E        edit virtual service with options
  --delete-service  -D        delete virtual service
  --clear           -C        clear the whole table
  --restore         -R        restore rules from stdin
  --save            -S        save rules to stdout
  --add-server      -a        add real server with options
  --edit-server     -e        edit real server with options
  --delete-server   -d        delete real server
  --add-laddr       -P        add local address
  --del-laddr       -Q        delete local address
  --get-laddr       -G        list local addresses
  --add-blklst      -U        add blacklist address
  --del-blklst      -V        delete blacklist address
  --get-blklst      -B        list blacklist addresses
  --add-whtlst      -O        add whitelist address
  --del-whtlst      -Y        delete whitelist address
  --get-whtlst      -W        list whitelist addresses
  --list            -L|-l     list the table
  --zero            -Z        zero counters in a service or all services
  --set tcp tcpfin udp        set connection timeout values
  --start-daemon              start connection sync daemon (not supported yet)
  --stop-daemon               stop connection sync daemon (not supported yet)
  --help            -h        display this help message
  --version         -v        display the version

";

const SERVICES: &str = "\
virtual-service:
  --tcp-service|-t  service-address   service-address is host[:port]
  --udp-service|-u  service-address   service-address is host[:port]
  --sctp-service    service-address   service-address is host[:port]
  --icmp-service|-q service-address   service-address is host, without a port
  --icmpv6-service|-1 service-address service-address is host, without a port
  -p|--proto icmp|icmpv6 host         the same in other words
  --fwmark-service|-f fwmark          fwmark is an integer greater than zero
                                      (not supported: there are no marks in the dataplane)
  --match|-H match                    proto=PROTO,af=ipv4|ipv6,src-range=RANGE,dst-range=RANGE,iif=IF,oif=IF
                                      at least a range or af; RANGE is IP[-IP][:PORT[-PORT]]

";

const OPTIONS: &str = "\
Options:
  --ipv6         -6                   fwmark entry uses IPv6
  --scheduler    -s scheduler         one of rr|wrr|lc|wlc|lblc|lblcr|dh|sh|sed|nq|fo|ovf|mh|conhash,
                                      the default scheduler is wlc.
  --pe            engine              alternate persistence engine may be sip,
                                      not set by default.
                                      (not supported yet: every engine is refused)
  --persistent   -p [timeout]         persistent service
  --netmask      -M netmask           persistent granularity mask
  --real-server  -r server-address    server-address is host (and port)
  --gatewaying   -g                   gatewaying (direct routing) (default)
  --ipip         -i                   ipip encapsulation (tunneling)
  --masquerading -m                   masquerading (NAT)
  --fullnat      -b                   full NAT (-b with -a and -e)
  --snat         -J                   source NAT
  --tun-type      type                one of ipip|gue|gre,
                                      the default tunnel type is ipip.
  --tun-port      port                tunnel destination port
  --tun-nocsum                        tunnel encapsulation without checksum
  --tun-csum                          tunnel encapsulation with checksum
  --tun-remcsum                       tunnel encapsulation with remote checksum
  --weight       -w weight            capacity of real server, 0 to 65535
  --u-threshold  -x uthreshold        upper threshold of connections
  --l-threshold  -y lthreshold        lower threshold of connections
  --connection   -c                   output of current IPVS connections
  --timeout                           output of timeout (tcp tcpfin udp)
  --daemon                            output of daemon information
  --stats                             output of statistics information
  --rate                              output of rate information
  --exact                             expand numbers (display exact values)
  --thresholds                        output of thresholds information
  --persistent-conn                   output of persistent connection info
  --tun-info                          output of tunnel information
  --nosort                            disable sorting output of service/server entries
  --sort                              does nothing, for backwards compatibility
  --ops          -o                   one-packet scheduling
  --numeric      -n                   numeric output of addresses and ports
  --sched-flags  -b flags             scheduler flags (comma-separated) (-b with -A and -E)
  --sockpair      proto:sip:sport:tip:tport  output of one connection
  --cpu           worker              connections of one worker, counted from 1; 0 is all
";

const MORE_OPTIONS: &str = "\
  --format        stock|dpvs|json     format of listings; the default is $IPVSADM_FORMAT or stock
  --json                              the same as --format json
  --atomic                            restore all rules or none
  --socket        path                socket of the daemon; the default is $DPVS_SOCKET
Service Options:
  --synproxy     -j enable|disable    TCP SYN proxy (enable is not supported yet)
  --hash-target   sip|qid             target of conhash; qid is for QUIC
  --expire-quiescent                  expire connections whose real server has weight 0
  --quic                              QUIC service (not supported yet)
  --conn-timeout  seconds             timeout of established connections
  --proxy-protocol v1|v2|v1-insecure|v2-insecure|disable (all but disable not supported yet)
  --dest-check    check               health check (all but disable not supported yet):
                                      disable, default, tcp, udp, sctp, ping,
                                      down_retry,down_wait (1,3s) or
                                      down_retry,up_confirm,down_wait,inhibit_min-inhibit_max (1,1,3s,5-3600s)
  --icmp-echo     policy[:down[:size]] whether pings to the address are answered: never, always,
                                      any-up, all-up, quorum=N or backend; while its services are
                                      down: drop, host or admin; size is the most bytes of data
Address Options:
  --laddr        -z local-address     local address
  --ifname       -F interface         interface of the local address
  --blklst       -k address           blacklist address
  --whtlst       -2 address           whitelist address
Daemon Options:
  --syncid sid                        syncid for connection sync (default=255)
  --sync-maxlen length                Max sync message length (default=1472)
  --mcast-interface interface         multicast interface for connection sync
  --mcast-group address               IPv4/IPv6 group (default=224.0.0.81)
  --mcast-port port                   UDP port (default=8848)
  --mcast-ttl ttl                     Multicast TTL (default=1)
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options;

    /// Scripts and people look for these lines.
    #[test]
    fn the_lines_of_the_original_stand_in_their_order() {
        let stock = include_str!("../tests/golden/stock-1.31-help.txt");
        let text = help_text("ipvsadm");
        let mut lines = text.lines();
        let mut missing = Vec::new();
        for line in stock.lines().filter(|line| !line.is_empty()) {
            let mut ahead = lines.clone();
            match ahead.find(|ours| *ours == line) {
                Some(_) => lines = ahead,
                None => missing.push(line),
            }
        }
        // Our version (decision 5); what can be said besides; what is not offered (decision 10).
        let starts = [
            "ipvsadm v1.31 2019/12/24 ",
            "  ipvsadm -R",
            "  --start-daemon  ",
            "  --stop-daemon  ",
            "  --scheduler  ",
            "  --weight  ",
            "  --sched-flags  ",
        ];
        assert_eq!(missing.len(), starts.len(), "{missing:#?}");
        for (line, start) in missing.iter().zip(starts) {
            assert!(line.starts_with(start), "{line}");
        }
    }

    #[test]
    fn every_option_is_in_the_help() {
        let text = help_text("ipvsadm");
        for opt in options::COMMANDS.iter().chain(options::OPTIONS) {
            if opt.long.is_empty() {
                continue;
            }
            assert!(text.contains(&format!("--{}", opt.long)), "--{}", opt.long);
        }
    }
}
