#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Shows the balancer at work: a client, dpvs and two real servers in network namespaces, real
# kernels at both ends. Every command that matters is echoed. Ends with a table; exit code 0 means
# that all of it worked. Leaves nothing behind.
set -euo pipefail

cd "$(dirname "$0")/.."
# shellcheck source=scripts/lab.sh
source scripts/lab.sh
DPVS_BIN_DIR=${DPVS_BIN_DIR:-$PWD/target/release}
export DPVS_BIN_DIR PATH="$DPVS_BIN_DIR:$PATH"

if [ "$(id -u)" != 0 ]; then
    echo "The demo makes network namespaces, which needs root." >&2
    exit 1
fi

name=$$
lab="dpvs-$name"
directory=$(mktemp -d)
results=()
failures=0
output=

finish() {
    lab_down "$name" 2>/dev/null || true
    rm -rf "$directory"
}
trap finish EXIT
trap 'exit 130' INT TERM

bold='' plain=''
if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; fi
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

# Echoes a command and runs it on the balancer's side.
balancer() {
    echo "\$ $*"
    output=$("$@" 2>&1) && code=0 || code=$?
    [ -z "$output" ] || sed 's/^/  /' <<<"$output"
    if [ "$code" != 0 ]; then echo "  (exit code $code)"; fi
}

# The same on the client.
client() {
    # A line for a shell is shown as it would be typed there.
    if [ "$1" = bash ]; then echo "client\$ $3"; else echo "client\$ $*"; fi
    output=$(ip netns exec "$lab-client" "$@" 2>&1) && code=0 || code=$?
    sed '/^$/d; s/^/  /' <<<"$output"
}

# Notes whether a step did what it should: TEXT, then a command that tells.
check() {
    local text=$1
    shift
    if "$@" >/dev/null 2>&1; then
        results+=("PASS  $text")
    else
        results+=("FAIL  $text")
        failures=$((failures + 1))
    fi
}

said() { grep -q -- "$1" <<<"$output"; }
said_times() { [ "$(grep -c -- "$2" <<<"$output")" = "$1" ]; }

# How many pings the kernels of both real servers have seen, of a family.
pings_seen() {
    local server sum=0 counter=$1
    for server in rs1 rs2; do
        sum=$((sum + $(ip netns exec "$lab-$server" nstat -asz "$counter" \
            | awk -v name="$counter" '$1 == name { print $2 }')))
    done
    echo $sum
}

start_servers() {
    local server address
    for server in rs1 rs2; do
        ip netns exec "$lab-$server" socat TCP6-LISTEN:80,ipv6only=0,fork,reuseaddr \
            SYSTEM:"echo HTTP/1.0 200 OK; echo; echo hello from $server" 2>/dev/null &
        ip netns exec "$lab-$server" socat UDP6-LISTEN:7,ipv6only=0,fork,reuseaddr \
            SYSTEM:"read -r line; echo $server echoes \$line" 2>/dev/null &
    done
    for server in rs1 rs2; do
        for _ in $(seq 50); do
            [ "$(ip netns exec "$lab-$server" ss -Hlntu '( sport = 80 or sport = 7 )' | wc -l)" \
                != 2 ] || break
            sleep 0.1
        done
    done
}

provision() {
    while read -r command; do
        # shellcheck disable=SC2086
        balancer $command
        [ "$code" = 0 ] || failures=$((failures + 1))
    done
}

title "The lab: client -- dpvs -- two real servers, in network namespaces"
lab_up "$name"
start_servers
echo "\$ dpvs --workers 2 --port dpdk0=af_packet:lan0 --port dpdk1=af_packet:lan1"
lab_dpvs "$name" "$directory" 2
provision < <(lab_addresses)

title "1. A ping that matches no service is answered by the balancer"
client ping -c 2 -i 0.2 -W 2 10.0.0.100
check "no service: local reply, IPv4" said " 0% packet loss"
client ping -6 -c 2 -i 0.2 -W 2 fd00::100
check "no service: local reply, IPv6" said " 0% packet loss"
check "the real servers saw none of them" [ "$(pings_seen IcmpInEchos)" = 0 ]

title "2. With an ICMP service the real servers answer, through full NAT"
provision <<'COMMANDS'
ipvsadm -A -p icmp 10.0.0.100 -s rr
ipvsadm -a -q 10.0.0.100 -r 10.2.0.11 -b
ipvsadm -a -q 10.0.0.100 -r 10.2.0.12 -b
ipvsadm -P -q 10.0.0.100 -z 10.2.0.200 -F dpdk1
ipvsadm -A -p icmpv6 fd00::100 -s rr
ipvsadm -a -1 fd00::100 -r fd00:2::11 -b
ipvsadm -P -1 fd00::100 -z fd00:2::200 -F dpdk1
COMMANDS
client ping -c 3 -i 0.2 -W 2 10.0.0.100
check "service: forwarded and answered, IPv4" said " 0% packet loss"
check "the real servers' kernels saw 3 pings" [ "$(pings_seen IcmpInEchos)" = 3 ]
balancer ipvsadm -Lnc
check "two connections: the request's and the reply's" \
    eval 'said_times 2 "^ICMP .*10.1.0.10" && said REQUEST && said REPLY'
client ping -6 -c 3 -i 0.2 -W 2 fd00::100
check "service: forwarded and answered, IPv6" said " 0% packet loss"
check "the real servers' kernels saw 3 IPv6 pings" [ "$(pings_seen Icmp6InEchos)" = 3 ]

title "3. Two clients with the same identifier"
echo "client\$ ping -I 10.1.0.10 -e 7 10.0.0.100 & ping -I 10.1.0.11 -e 7 10.0.0.100"
ip netns exec "$lab-client" ping -I 10.1.0.10 -e 7 -c 3 -i 0.2 -W 2 10.0.0.100 \
    >"$directory/one" 2>&1 &
one=$!
client ping -I 10.1.0.11 -e 7 -c 3 -i 0.2 -W 2 10.0.0.100
check "same identifier: the second client has its answers" said " 0% packet loss"
check "same identifier: so has the first" wait "$one"

title "4. TCP and UDP through full NAT"
provision <<'COMMANDS'
ipvsadm -A -t 10.0.0.100:80 -s rr
ipvsadm -P -t 10.0.0.100:80 -z 10.2.0.200 -F dpdk1
ipvsadm -a -t 10.0.0.100:80 -r 10.2.0.11:80 -b
ipvsadm -A -t [fd00::100]:80 -s rr
ipvsadm -P -t [fd00::100]:80 -z fd00:2::200 -F dpdk1
ipvsadm -a -t [fd00::100]:80 -r [fd00:2::12]:80 -b
ipvsadm -A -u 10.0.0.100:7 -s rr
ipvsadm -P -u 10.0.0.100:7 -z 10.2.0.200 -F dpdk1
ipvsadm -a -u 10.0.0.100:7 -r 10.2.0.12:7 -b
COMMANDS
client curl -sS -m 5 http://10.0.0.100/
check "TCP through full NAT, IPv4" said "hello from rs1"
client curl -sS -m 5 "http://[fd00::100]/"
check "TCP through full NAT, IPv6" said "hello from rs2"
client bash -c 'echo hello | socat -t 2 - UDP:10.0.0.100:7'
check "UDP through full NAT" said "rs2 echoes hello"

title "5. A related ICMP error reaches the client: nobody listens on the real server's port"
provision <<'COMMANDS'
ipvsadm -A -u 10.0.0.100:9 -s rr
ipvsadm -P -u 10.0.0.100:9 -z 10.2.0.200 -F dpdk1
ipvsadm -a -u 10.0.0.100:9 -r 10.2.0.11:9999 -b
COMMANDS
client bash -c 'echo hello | socat -t 2 - UDP:10.0.0.100:9'
check "port unreachable reaches the client's socket" said "Connection refused"

title "The balancer's view"
balancer ipvsadm -Ln --stats
balancer dpip -s link show

lab_down "$name" || true
check "nothing is left behind" eval "! ip netns list | grep -q '^$lab-'"

title "What this demo did"
printf '%s\n' "${results[@]}"
echo
if [ "$failures" != 0 ]; then
    echo "$failures failed; dpvs logged:"
    tail -n 20 "$directory/dpvs.log"
    exit 1
fi
echo "All ${#results[@]} passed."
