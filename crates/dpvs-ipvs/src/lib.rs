// SPDX-License-Identifier: MIT OR Apache-2.0
//! `LD_PRELOAD=libdpvs_ipvs.so`: Debian's `ipvsadm` and `keepalived` configure dpvs, unmodified.
//!
//! They speak generic netlink with the kernel's IPVS. Here a socket of that kind becomes a
//! connection to the daemon's own door for it, `/run/dpvs/ipvs.sock` (`SOCK_SEQPACKET`, which keeps
//! netlink's datagrams apart); the daemon speaks the rest. `DPVS_IPVS_SOCKET` names another door,
//! and `DPVS_SOCKET` one beside the daemon's other socket.
//!
//! ```text
//! socket    becomes a connection to the door        sockets
//! /proc     connections come from the daemon        proc_files
//! modprobe  the kernel's own IPVS is never loaded   modules
//! ```
//!
//! The kernel's IPVS is out of reach of the program, whether or not the daemon runs: all ways that
//! these programs have to it end here. What they start inherits the library.
//!
//! Nothing here takes a lock or allocates: it is called between `fork` and `exec`. Nothing keeps a
//! list of sockets either: the kernel is asked what a descriptor is, so copies, children and
//! programs that were started with one need no care.

mod door;
mod errno;
mod modules;
mod next;
mod proc_files;
mod sockets;
