#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# A balancer from nothing, command by command, as it is done today. Stops at the first failure.
set -eu

vip=10.0.0.100
local=10.2.0.200

dpip addr replace 10.1.0.1/24 dev dpdk0
dpip addr replace 10.2.0.1/24 dev dpdk1
dpip addr replace $vip/32 dev dpdk0
dpip route replace default via 10.1.0.10 dev dpdk0

ipvsadm -A -t $vip:80 -s wrr
ipvsadm -P -t $vip:80 -z $local -F dpdk1
ipvsadm -a -t $vip:80 -r 10.2.0.11:80 -b -w 1
ipvsadm -a -t $vip:80 -r 10.2.0.12:80 -b -w 1

# Pings of the virtual address go to the real servers too.
ipvsadm -A -p icmp $vip -s rr
ipvsadm -P -q $vip -z $local -F dpdk1
ipvsadm -a -q $vip -r 10.2.0.11 -b
ipvsadm -a -q $vip -r 10.2.0.12 -b
