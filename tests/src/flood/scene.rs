// SPDX-License-Identifier: MIT OR Apache-2.0
//! A flood in the laboratory: from the client, to all addresses of the balancer.

use super::ledger::Ledger;
use super::sender::{Sender, Sent};
use super::{Aim, Flow, Frames};
use crate::lab::{LOCAL, LOCAL6, Lab, VIP, VIP6};
use crate::namespace::Namespace;
use crate::station::Station;
use dpvs_api::method;
use dpvs_api::types::{Connection, DeviceFilter, Protocol};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

/// Flooding hosts that answer for their addresses.
pub const HOSTS: usize = 8;
/// The balancer's own addresses.
pub const OWN: [&str; 4] = ["10.1.0.1", "fd00:1::1", "10.2.0.1", "fd00:2::1"];

/// Services, link addresses and a server that the flood and what goes on beside it need.
///
/// A transfer from the server's port 8080 is at the virtual address's port 80.
pub fn prepare(lab: &Lab, body: Vec<u8>) -> Station {
    lab.full_nat(&format!("-t {VIP}:80"), &["10.2.0.11:8080"]);
    lab.all(
        "ipvsadm -A -p icmp 10.0.0.100 -s rr
         ipvsadm -P -q 10.0.0.100 -z 10.2.0.200 -F dpdk1
         ipvsadm -a -q 10.0.0.100 -r 10.2.0.11 -b
         ipvsadm -A -p icmpv6 fd00::100 -s rr
         ipvsadm -P -1 fd00::100 -z fd00:2::200 -F dpdk1
         ipvsadm -a -1 fd00::100 -r fd00:2::11 -b",
    );
    let mac = mac_text(lab.client().within(|| Sender::open("eth0")).expect("eth0").link_address());
    for host in 0..HOSTS {
        let [v4, v6] = hosts(host);
        lab.all(&format!(
            "dpip neigh add {v4} lladdr {mac} dev dpdk0
             dpip -6 neigh add {v6} lladdr {mac} dev dpdk0"
        ));
    }
    serve(&lab.rs1(), 8080, body)
}

fn hosts(number: usize) -> [String; 2] {
    let last = 20 + number;
    [format!("10.1.0.{last}"), format!("fd00:1::{last}")]
}

fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// Returns the packets that the balancer sends for a connection, to the client and to the server.
fn flows_of(conn: &Connection) -> Vec<Flow> {
    let protocol = match conn.protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        _ => return Vec::new(),
    };
    let end = |end: &dpvs_api::types::Endpoint| SocketAddr::new(end.address, end.port);
    let to_client = Flow { protocol, src: end(&conn.virtual_), dst: end(&conn.client) };
    let to_server =
        conn.local.as_ref().map(|local| Flow { protocol, src: end(local), dst: end(&conn.dest) });
    [Some(to_client), to_server].into_iter().flatten().collect()
}

/// Aims at all addresses of the balancer and at the connections that stand.
pub fn aim(lab: &Lab) -> Aim {
    let mut client = lab.daemon().client();
    let links = client.call::<method::LinkList>(&DeviceFilter::default()).expect("link.list");
    let to = links.links.iter().find(|link| link.device == "dpdk0").expect("dpdk0");
    let to = to.lladdr.split(':').map(|byte| u8::from_str_radix(byte, 16).expect("a byte"));
    let parse = |text: &str| text.parse().expect("an address");
    // Four of the hosts do not answer for their addresses.
    let sources = (0..HOSTS + 4).flat_map(hosts).map(|host| parse(&host)).collect();
    let from = lab.client().within(|| Sender::open("eth0")).expect("eth0").link_address();
    Aim {
        from,
        to: to.collect::<Vec<_>>().try_into().expect("six bytes"),
        sources,
        targets: [VIP, VIP6, LOCAL, LOCAL6].into_iter().chain(OWN).map(parse).collect(),
        flows: lab.daemon().connections().iter().flat_map(flows_of).collect(),
    }
}

/// A flood that is under way.
#[derive(Debug)]
pub struct Flood {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Sent>,
}

impl Flood {
    /// Starts one from the client, `rate` frames a second, of `count` frames in turn.
    pub fn start(lab: &Lab, rate: u64, count: usize, seed: u64) -> Flood {
        let aim = aim(lab);
        assert!(!aim.flows.is_empty(), "connections stand, which errors are about");
        let frames: Vec<_> = Frames::new(&aim, seed).take(count).collect();
        let client = lab.client();
        let ended = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            client.enter();
            let sender = Sender::open("eth0").expect("eth0");
            sender.send(&frames, (rate, 600.0), &theirs, |_| {}).expect("sent")
        });
        Flood { ended, thread }
    }

    /// Ends it and returns what was sent.
    pub fn stop(self) -> Sent {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().expect("the flood has ended well")
    }
}

/// Returns how many frames a port has received, if there is such a port.
pub fn received(lab: &Lab, device: &str) -> Option<u64> {
    let mut client = lab.daemon().client();
    let links = client.call::<method::LinkList>(&DeviceFilter::default()).expect("link.list");
    links.links.iter().find(|link| link.device == device).map(|link| link.stats.in_packets)
}

/// Returns what was counted since a moment, once all of it is.
#[track_caller]
pub fn counted_since(lab: &Lab, before: &Ledger) -> Ledger {
    Ledger::settled(lab.daemon()).since(before)
}

/// Answers every HTTP request with the same body.
fn serve(at: &Namespace, port: u16, body: Vec<u8>) -> Station {
    let listener = at.within(|| TcpListener::bind(("::", port)).expect("a free port"));
    listener.set_nonblocking(true).expect("a socket");
    let body = Arc::new(body);
    Station::run(move |ended| {
        while !ended.load(Ordering::Relaxed) {
            let Ok((mut stream, _)) = listener.accept() else {
                sleep(Duration::from_millis(2));
                continue;
            };
            let body = Arc::clone(&body);
            // A client may leave in the middle: its thread ends with an error.
            thread::spawn(move || -> std::io::Result<()> {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(Duration::from_secs(60)))?;
                let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
                while !request.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut buffer)? {
                        0 => return Ok(()),
                        len => request.extend(&buffer[..len]),
                    }
                }
                let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all(head.as_bytes())?;
                stream.write_all(&body)
            });
        }
    })
}
