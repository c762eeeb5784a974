// SPDX-License-Identifier: MIT OR Apache-2.0
//! A real server's end of a tunnel, for kernels that have none: it takes the outer header off.
//!
//! A thread listens to all that comes to the server, checks and notes every outer header, and gives
//! the packet inside to the server's kernel by a TUN device, so that a real kernel serves. It knows
//! IP in IP (RFC 2003, 2473, 4213), GRE (RFC 2784), and GUE variant 0 (draft-ietf-intarea-gue) with
//! Linux's private flag for remote checksum offload.

use crate::namespace::Namespace;
use crate::outer::{Kind, Outer, Sum, decapsulate};
use crate::run::wait_until;
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimeout};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// Where a server listens for GUE, by convention.
pub const GUE_PORT: u16 = 6080;
/// IPv4 in IP, IPv6 in IP, GRE.
const PROTOCOLS: [i32; 3] = [4, 41, 47];
/// Bytes of packets that may wait for the thread: bursts of a fast sender.
const BACKLOG_BYTES: usize = 8 << 20;

/// A tunnel's end, until it is dropped.
#[derive(Debug)]
pub struct TunnelEnd {
    notes: Arc<Mutex<Notes>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    tun: Child,
    /// While somebody listens, the kernel does not tell the sender that nobody does.
    _listeners: (Vec<Socket>, UdpSocket),
}

#[derive(Debug, Default)]
struct Notes {
    outers: Vec<Outer>,
    complaints: Vec<String>,
}

impl TunnelEnd {
    /// Starts the end of all tunnels to a server of these addresses. Its files go to `directory`.
    pub fn start(server: &Namespace, directory: &Path, addresses: &[&str]) -> TunnelEnd {
        let path = directory.join(format!("{}.tun", server.name));
        // The device's end that a program holds; it writes there each datagram that comes by `path`.
        let device = "TUN,tun-type=tun,tun-name=tun0,iff-no-pi,iff-up";
        let tun = server.spawn(&format!("socat -b 65535 -u UNIX-RECV:{} {device}", path.display()));
        wait_until("the TUN device is up", || {
            path.exists() && server.run("ip -br link show up dev tun0").stdout.contains("tun0")
        });
        let addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().expect(a)).collect();
        let listeners = server.within(listeners);
        let packets = server.within(packets);
        let notes = Arc::new(Mutex::new(Notes::default()));
        let ended = Arc::new(AtomicBool::new(false));
        let (theirs, end) = (Arc::clone(&notes), Arc::clone(&ended));
        let thread = thread::spawn(move || serve(&packets, &path, &addresses, &theirs, &end));
        TunnelEnd { notes, ended, thread: Some(thread), tun, _listeners: listeners }
    }

    /// Returns the outer headers that came since the last call.
    #[track_caller]
    pub fn take(&self) -> Vec<Outer> {
        let mut notes = self.notes.lock().expect("notes");
        assert_eq!(notes.complaints, Vec::<String>::new(), "bad outer headers");
        std::mem::take(&mut notes.outers)
    }

    /// Checks that packets came since the last call, all of this kind, by these addresses and with
    /// this checksum, and that all may live as long as a packet of ours does.
    #[track_caller]
    pub fn expect(&self, kind: Kind, src: &str, dst: &str, sum: Sum) {
        let outers = self.take();
        assert!(!outers.is_empty(), "no packet came through the tunnel");
        for outer in outers {
            let (from, to) = (outer.src.to_string(), outer.dst.to_string());
            assert_eq!((from.as_str(), to.as_str()), (src, dst), "{outer:?}");
            assert_eq!((outer.kind, outer.sum, outer.ttl), (kind, sum, 64), "{outer:?}");
        }
    }
}

impl Drop for TunnelEnd {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed where it happened.
            let _ = thread.join();
        }
        if thread::panicking()
            && let Ok(notes) = self.notes.lock()
        {
            eprintln!("--- the tunnel's end complained: {:?}", notes.complaints);
            eprintln!("--- the tunnel's end saw since it was asked: {:#?}", notes.outers);
        }
        // An error here means that it has ended already, which is what is wanted.
        let _ = self.tun.kill();
        let _ = self.tun.wait();
    }
}

/// Opens what keeps a kernel from answering that it does not know a tunnel's protocol or port.
fn listeners() -> (Vec<Socket>, UdpSocket) {
    let raw = |domain, protocol| {
        Socket::new(domain, Type::RAW, Some(Protocol::from(protocol))).expect("a raw socket")
    };
    let both = |protocol| [raw(Domain::IPV4, protocol), raw(Domain::IPV6, protocol)];
    let sockets = PROTOCOLS.into_iter().flat_map(both).collect();
    (sockets, UdpSocket::bind(("::", GUE_PORT)).expect("a free port"))
}

/// Opens a socket that gets all packets from their IP header on.
fn packets() -> OwnedFd {
    let (family, kind) = (AddressFamily::Packet, SockType::Datagram);
    let socket =
        socket(family, kind, SockFlag::empty(), SockProtocol::EthAll).expect("a packet socket");
    setsockopt(&socket, RcvBufForce, &BACKLOG_BYTES).expect("room for a burst");
    setsockopt(&socket, ReceiveTimeout, &TimeVal::milliseconds(50)).expect("a timeout");
    socket
}

/// Takes the outer headers off, until it is told to end.
fn serve(
    packets: &OwnedFd,
    path: &Path,
    addresses: &[IpAddr],
    notes: &Mutex<Notes>,
    ended: &AtomicBool,
) {
    let tun = UnixDatagram::unbound().expect("a socket");
    let mut buffer = vec![0; 65_535];
    while !ended.load(Ordering::Relaxed) {
        let Ok(len) = recv(packets.as_raw_fd(), &mut buffer, MsgFlags::empty()) else { continue };
        match decapsulate(&buffer[..len], addresses) {
            Ok(None) => {}
            Ok(Some((outer, inner))) => {
                notes.lock().expect("notes").outers.push(outer);
                // An error here means that the test ends.
                let _ = tun.send_to(&inner, path);
            }
            Err(complaint) => notes.lock().expect("notes").complaints.push(complaint),
        }
    }
}
