#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# A laboratory of network namespaces: a client, the balancer and two real servers, joined by veth
# pairs, with real kernels at both ends. The one place that knows how it is wired: the demo, the
# tests (tests/src/lab.rs) and `make lab` all call it.
#
#   lab.sh up NAME [WIRING]          makes it; NAME is PID or PID-NUMBER of who wants it
#   lab.sh addresses NAME [WIRING]   prints the commands that give dpvs its addresses and routes
#   lab.sh down NAME                 ends what runs in it and removes it
#   lab.sh clean [--all]             removes the labs whose owner has ended, or all
#   lab.sh shell                     makes one, starts dpvs, opens a shell in it
#
# WIRING is --routed or --direct; without it, it is plain.
#
#   plain                                              routed
#   client  10.1.0.10  fd00:1::10                      client  10.3.0.10  fd00:3::10
#     |                                                  |
#     |                                                crt     10.3.0.1 | 10.1.0.2
#     |                                                  |
#   lb      lan0 10.1.0.1   VIP 10.0.0.100 fd00::100   lb      lan0
#           lan1 10.2.0.1   local 10.2.0.200                   lan1
#     |                                                  |
#     |                                                srt     10.2.0.2 | 10.4.0.1
#   sw      a bridge                                     |  sw
#    / \                                                / \
#   rs1  10.2.0.11  rs2  10.2.0.12                     rs1 10.4.0.11  rs2 10.4.0.12
#
# direct is plain, and the servers have a way to the client around the balancer, for direct routing
# and tunnels: the client stands on their bridge too, as 10.2.0.10 and fd00:2::10, and they have the
# virtual addresses on their loopback interfaces.
#
# The balancer's interfaces have no addresses and no IPv6: dpvs is alone on them.

# What namespaces are for, at the end of their names: those of labs, and of the tests of the ports.
LAB_ROLES='client|lb|sw|rs1|rs2|crt|srt|tap|afp|afppeer'

# Joins NS1/IF1 and NS2/IF2 by a veth pair, both up. The kernel must write whole checksums:
# dpvs sees frames as they leave the other kernel, and a veth pair has no hardware to finish them.
lab_join() {
    local ns1=$1 if1=$2 ns2=$3 if2=$4 end
    ip link add "$if1" netns "$ns1" type veth peer name "$if2" netns "$ns2"
    for end in "$ns1 $if1" "$ns2 $if2"; do
        # shellcheck disable=SC2086
        set -- $end
        ip netns exec "$1" ethtool -K "$2" tx off gso off tso off gro off >/dev/null 2>&1 || true
        ip -n "$1" link set "$2" up
    done
}

# Gives NS/IF its addresses: NS IF ADDRESS...
lab_address() {
    local ns=$1 interface=$2 address
    shift 2
    for address in "$@"; do
        case $address in
            *:*) ip -n "$ns" addr add "$address" dev "$interface" nodad ;;
            *) ip -n "$ns" addr add "$address" dev "$interface" ;;
        esac
    done
}

# NS GATEWAY GATEWAY6, each of which may say which source address to prefer.
lab_gateway() {
    # shellcheck disable=SC2086
    ip -n "$1" route add default via $2
    # shellcheck disable=SC2086
    ip -n "$1" -6 route add default via $3
}

lab_up() {
    local name=$1 wiring=${2:-} p="dpvs-$1" role
    local roles="client lb sw rs1 rs2"
    [ "$wiring" != --routed ] || roles="$roles crt srt"
    # Process numbers come round: a lab of this name is that of an owner that has ended.
    lab_down "$name"
    for role in $roles; do
        ip netns add "$p-$role"
        # No router discovery, no duplicate address detection: nothing but the test speaks.
        ip netns exec "$p-$role" sysctl -qw net.ipv6.conf.all.accept_dad=0 \
            net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.router_solicitations=0
        ip -n "$p-$role" link set lo up
    done
    for role in lb sw; do
        ip netns exec "$p-$role" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 \
            net.ipv6.conf.default.disable_ipv6=1
    done
    ip -n "$p-sw" link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
    ip -n "$p-sw" link set br0 up
    for role in rs1 rs2; do
        lab_join "$p-$role" eth0 "$p-sw" "$role"
        ip -n "$p-sw" link set "$role" master br0
    done
    case $wiring in
        --routed) lab_routed "$p" ;;
        --direct) lab_plain "$p" && lab_direct "$p" ;;
        *) lab_plain "$p" ;;
    esac
}

lab_plain() {
    local p=$1
    lab_join "$p-client" eth0 "$p-lb" lan0
    lab_join "$p-sw" lb "$p-lb" lan1
    ip -n "$p-sw" link set lb master br0
    # Two clients' worth of addresses on one interface.
    lab_address "$p-client" eth0 10.1.0.10/24 10.1.0.11/24 fd00:1::10/64 fd00:1::11/64
    lab_address "$p-rs1" eth0 10.2.0.11/24 fd00:2::11/64
    lab_address "$p-rs2" eth0 10.2.0.12/24 fd00:2::12/64
    lab_gateway "$p-client" 10.1.0.1 "fd00:1::1 src fd00:1::10"
    lab_gateway "$p-rs1" 10.2.0.1 fd00:2::1
    lab_gateway "$p-rs2" 10.2.0.1 fd00:2::1
}

lab_direct() {
    local p=$1 role
    lab_join "$p-client" eth1 "$p-sw" client
    ip -n "$p-sw" link set client master br0
    lab_address "$p-client" eth1 10.2.0.10/24 fd00:2::10/64
    for role in rs1 rs2; do
        # Nobody on the bridge may learn from a server's ARP that it has the virtual address.
        ip netns exec "$p-$role" sysctl -qw net.ipv4.conf.all.arp_ignore=1 \
            net.ipv4.conf.all.arp_announce=2
        lab_address "$p-$role" lo 10.0.0.100/32 fd00::100/128
        ip -n "$p-$role" route add 10.1.0.0/24 via 10.2.0.10
        ip -n "$p-$role" -6 route add fd00:1::/64 via fd00:2::10
    done
    # Answers come to the client by another way than its questions leave.
    for role in client rs1 rs2; do
        ip netns exec "$p-$role" sysctl -qw net.ipv4.conf.all.rp_filter=0 \
            net.ipv4.conf.default.rp_filter=0
    done
}

lab_routed() {
    local p=$1 role
    lab_join "$p-client" eth0 "$p-crt" eth0
    lab_join "$p-crt" eth1 "$p-lb" lan0
    lab_join "$p-srt" eth0 "$p-lb" lan1
    lab_join "$p-sw" lb "$p-srt" eth1
    ip -n "$p-sw" link set lb master br0
    for role in crt srt; do
        ip netns exec "$p-$role" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    done
    lab_address "$p-client" eth0 10.3.0.10/24 fd00:3::10/64
    lab_address "$p-crt" eth0 10.3.0.1/24 fd00:3::1/64
    lab_address "$p-crt" eth1 10.1.0.2/24 fd00:1::2/64
    lab_address "$p-srt" eth0 10.2.0.2/24 fd00:2::2/64
    lab_address "$p-srt" eth1 10.4.0.1/24 fd00:4::1/64
    lab_address "$p-rs1" eth0 10.4.0.11/24 fd00:4::11/64
    lab_address "$p-rs2" eth0 10.4.0.12/24 fd00:4::12/64
    lab_gateway "$p-client" 10.3.0.1 fd00:3::1
    lab_gateway "$p-crt" 10.1.0.1 fd00:1::1
    lab_gateway "$p-srt" 10.2.0.1 fd00:2::1
    lab_gateway "$p-rs1" 10.4.0.1 fd00:4::1
    lab_gateway "$p-rs2" 10.4.0.1 fd00:4::1
}

# Ends the processes of a namespace: asks, waits up to 3 s, insists.
lab_end_processes() {
    local ns=$1 signal pid pids i
    for signal in TERM KILL; do
        pids=$(ip netns pids "$ns" 2>/dev/null | grep -vx "$$" || true)
        [ -n "$pids" ] || return 0
        for pid in $pids; do
            kill -s "$signal" "$pid" 2>/dev/null || true
        done
        for i in $(seq 30); do
            [ -n "$(ip netns pids "$ns" 2>/dev/null | grep -vx "$$")" ] || return 0
            sleep 0.1
        done
    done
}

# Removes a lab. What cannot be removed is told, and does not keep the rest.
lab_down() {
    local file ns code=0
    for file in "/run/netns/dpvs-$1"-*; do
        ns=${file##*/}
        [[ -e $file && $ns =~ ^dpvs-"$1"-($LAB_ROLES)$ ]] || continue
        lab_end_processes "$ns"
        ip netns del "$ns" || code=1
    done
    return "$code"
}

lab_clean() {
    local file name
    for file in /run/netns/dpvs-*; do
        # The owner's process number stands first; what has none is not a lab.
        [[ -e $file && ${file##*/} =~ ^dpvs-(([0-9]+)(-[0-9]+)?)-($LAB_ROLES)$ ]] || continue
        name=${BASH_REMATCH[1]}
        if [ "${1:-}" = --all ] || ! [ -d "/proc/${BASH_REMATCH[2]}" ]; then
            echo "removing lab $name"
            lab_down "$name" || true
            rm -rf "${TMPDIR:-/tmp}/dpvs-lab-$name-"*
        fi
    done
}

# Starts dpvs in a lab and waits until it answers: NAME DIRECTORY WORKERS. Its log and its socket
# are in the directory, the programs in $DPVS_BIN_DIR.
lab_dpvs() {
    local name=$1 directory=$2 workers=$3 pid i
    export DPVS_SOCKET=$directory/dpvs.sock
    ip netns exec "dpvs-$name-lb" "$DPVS_BIN_DIR/dpvs" --socket "$DPVS_SOCKET" \
        --workers "$workers" --port dpdk0=af_packet:lan0 --port dpdk1=af_packet:lan1 \
        >"$directory/dpvs.log" 2>&1 &
    pid=$!
    for i in $(seq 200); do
        if "$DPVS_BIN_DIR/dpip" link show >/dev/null 2>&1; then return 0; fi
        if ! kill -0 "$pid" 2>/dev/null; then break; fi
        sleep 0.1
    done
    echo "dpvs did not start:" >&2
    tail -n 20 "$directory/dpvs.log" >&2
    return 1
}

# Prints the commands that give the balancer its addresses, and its routes if there are routers.
lab_addresses() {
    cat <<'COMMANDS'
dpip addr add 10.1.0.1/24 dev dpdk0
dpip addr add 10.2.0.1/24 dev dpdk1
dpip addr add 10.0.0.100/32 dev dpdk0
dpip -6 addr add fd00:1::1/64 dev dpdk0
dpip -6 addr add fd00:2::1/64 dev dpdk1
dpip -6 addr add fd00::100/128 dev dpdk0
COMMANDS
    [ "${1:-}" = --routed ] || return 0
    cat <<'COMMANDS'
dpip route add 10.3.0.0/24 via 10.1.0.2 dev dpdk0
dpip route add 10.4.0.0/24 via 10.2.0.2 dev dpdk1
dpip -6 route add fd00:3::/64 via fd00:1::2 dev dpdk0
dpip -6 route add fd00:4::/64 via fd00:2::2 dev dpdk1
COMMANDS
}

lab_shell() {
    local name=$$ directory
    directory=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "lab_down $name || true; rm -rf $directory" EXIT
    lab_up "$name"
    lab_dpvs "$name" "$directory" "${WORKERS:-1}"
    export PATH="$DPVS_BIN_DIR:$PATH"
    lab_addresses | while read -r command; do $command; done
    for server in rs1 rs2; do
        ip netns exec "dpvs-$name-$server" socat TCP6-LISTEN:80,ipv6only=0,fork,reuseaddr \
            SYSTEM:"echo HTTP/1.0 200 OK; echo; echo hello from $server" 2>/dev/null &
    done
    cat <<TEXT
The lab stands; it goes when you leave this shell. Balancer addresses are set, no service is.
  ipvsadm -A -t 10.0.0.100:80 -s rr
  ipvsadm -P -t 10.0.0.100:80 -z 10.2.0.200 -F dpdk1
  ipvsadm -a -t 10.0.0.100:80 -r 10.2.0.11:80 -b
  ip netns exec dpvs-$name-client curl http://10.0.0.100/
Log: $directory/dpvs.log
TEXT
    ip netns exec "dpvs-$name-lb" bash --norc -i || true
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    set -euo pipefail
    : "${DPVS_BIN_DIR:=$(cd "$(dirname "$0")/.." && pwd)/target/release}"
    case "${1:-} ${3:-}" in
        "up --routed" | "up --direct" | "up ") lab_up "$2" "${3:-}" ;;
        "addresses --routed" | "addresses --direct" | "addresses ") lab_addresses "${3:-}" ;;
        "down ") lab_down "$2" ;;
        "clean ") lab_clean "${2:-}" ;;
        "shell ") lab_shell ;;
        *)
            sed -n 's/^#   \(lab.sh .*\)/\1/p' "$0" >&2
            exit 2
            ;;
    esac
fi
