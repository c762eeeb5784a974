// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every forwarding method must do: TCP, UDP and pings pass, and are listed as they passed.

use crate::states;
use dpvs_api::types::{Connection, Protocol};
use dpvs_tests::run::wait_until;
use dpvs_tests::station::{Station, ask, udp_client};
use dpvs_tests::{Lab, Namespace};
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};

/// A family of addresses, and the lab's addresses in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    fn pick(self, v4: &'static str, v6: &'static str) -> &'static str {
        if self == Family::V4 { v4 } else { v6 }
    }

    pub(crate) fn client(self) -> &'static str {
        self.pick("10.1.0.10", "fd00:1::10")
    }

    pub(crate) fn vip(self) -> &'static str {
        self.pick("10.0.0.100", "fd00::100")
    }

    /// The first real server.
    pub(crate) fn server(self) -> &'static str {
        self.pick("10.2.0.11", "fd00:2::11")
    }

    pub(crate) fn local(self) -> &'static str {
        self.pick("10.2.0.200", "fd00:2::200")
    }

    /// The option of an ICMP service.
    pub(crate) fn ping_option(self) -> &'static str {
        self.pick("-q", "-1")
    }

    pub(crate) fn icmp(self) -> Protocol {
        if self == Family::V4 { Protocol::Icmp } else { Protocol::Icmpv6 }
    }
}

/// An address as it stands before a port or in a URL.
pub(crate) fn host(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

/// How a client's packets reach the first real server.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) family: Family,
    /// The real server, which may be of the other family in a tunnel.
    pub(crate) server: &'static str,
    /// How it is told to `ipvsadm -a`.
    pub(crate) options: &'static str,
    /// The word of the listing.
    pub(crate) word: &'static str,
    /// Where HTTP is served on the real server; the service is on port 80.
    pub(crate) port: u16,
    /// The local address, if the method has one.
    pub(crate) local: Option<&'static str>,
    /// Whether the answers pass the balancer too.
    pub(crate) is_both_ways: bool,
}

impl Way {
    /// Makes a service for each protocol.
    pub(crate) fn provision(&self, lab: &Lab) {
        let (vip, server) = (host(self.family.vip()), host(self.server));
        let ping = self.family.ping_option();
        for (service, server) in [
            (format!("-t {vip}:80"), format!("{server}:{}", self.port)),
            (format!("-u {vip}:7"), format!("{server}:7")),
            (format!("{ping} {}", self.family.vip()), self.server.to_owned()),
        ] {
            lab.all(&format!("ipvsadm -A {service} -s rr"));
            if let Some(local) = self.local {
                lab.all(&format!("ipvsadm -P {service} -z {local} -F dpdk1"));
            }
            lab.all(&format!("ipvsadm -a {service} -r {server} {}", self.options));
        }
        let listing = lab.run("ipvsadm -Ln").ok();
        let words = listing.lines().filter(|l| l.contains("->") && l.contains(self.server));
        let words: Vec<_> = words.filter_map(|l| l.split_whitespace().nth(2)).collect();
        assert_eq!(words, [self.word; 3], "{listing}");
    }

    /// Checks all of it, in a lab that has nothing yet.
    pub(crate) fn check(&self, lab: &Lab) {
        self.provision(lab);
        self.tcp(lab);
        self.udp(lab);
        self.ping(lab);
    }

    /// The address at which a server gets what is sent to the virtual address.
    pub(crate) fn served(&self) -> &'static str {
        if self.is_both_ways { self.server } else { self.family.vip() }
    }

    fn tcp(&self, lab: &Lab) {
        let _web = Station::http(&lab.rs1(), self.port, "rs1");
        let vip = host(self.family.vip());
        let seen = self.local.unwrap_or(self.family.client());
        assert_eq!(get(&lab.client(), &format!("http://{vip}/peer")), format!("{seen}\n"));
        bodies_pass(lab, &lab.client(), self.family.vip());

        let held = Held::open(&lab.client(), self.family.vip());
        let conn = &held.connection(lab);
        assert_eq!(conn.client.address.to_string(), self.family.client(), "{conn:?}");
        self.check_addresses(conn, 80, self.port);
        let listing = lab.run("ipvsadm -Lnc").ok();
        let ends = [
            "TCP ",
            "ESTABLISHED",
            &format!("{}:{}", host(self.family.client()), held.port()),
            &format!("{vip}:80"),
            &format!("{}:{}", host(self.server), self.port),
        ];
        let is_it = |line: &&str| ends.iter().all(|end| line.contains(end));
        assert_eq!(listing.lines().filter(is_it).count(), 1, "{ends:?} in\n{listing}");
        held.close(lab);
    }

    fn udp(&self, lab: &Lab) {
        let _echo = Station::udp_echo(&lab.rs1(), self.served().parse().unwrap(), 7);
        let socket = udp_client(&lab.client(), &format!("{}:7", host(self.family.vip())));
        for question in [&b""[..], b"a", &[7; 1200]] {
            assert_eq!(ask(&socket, question).as_deref(), Ok(question));
        }
        let connections = of(lab, Protocol::Udp, socket.local_addr().unwrap().port());
        let [conn] = &connections[..] else { panic!("{connections:?}") };
        assert_eq!(conn.state, "UDP", "{conn:?}");
        assert_eq!(conn.in_packets, 3, "{conn:?}");
        assert_eq!(conn.out_packets, if self.is_both_ways { 3 } else { 0 }, "{conn:?}");
        self.check_addresses(conn, 7, 7);
    }

    fn ping(&self, lab: &Lab) {
        // One of its own for each check in a lab: connections outlive their service.
        static IDENTIFIER: AtomicU16 = AtomicU16::new(4660);
        let identifier = IDENTIFIER.fetch_add(1, Ordering::Relaxed);
        let seen = pings_seen(&lab.rs1(), self.family);
        lab.client().ping(5, &format!("-e {identifier}"), self.family.vip());
        assert_eq!(pings_seen(&lab.rs1(), self.family) - seen, 5, "the server got others");
        assert_eq!(lab.daemon().counter("icmp_echo_replied"), 0, "answered by the balancer");
        let connections = of(lab, self.family.icmp(), identifier);
        let both: &[&str] = &["REPLY", "REQUEST"];
        assert_eq!(states(&connections), if self.is_both_ways { both } else { &both[1..] });
        for conn in &connections {
            assert_eq!(conn.in_packets + conn.out_packets, 5, "{conn:?}");
            self.check_addresses(conn, 0, 0);
        }
    }

    fn check_addresses(&self, conn: &Connection, vport: u16, dport: u16) {
        let of = |address: IpAddr| address.to_string();
        assert_eq!(of(conn.client.address), self.family.client(), "{conn:?}");
        assert_eq!(of(conn.virtual_.address), self.family.vip(), "{conn:?}");
        assert_eq!(of(conn.dest.address), self.server, "{conn:?}");
        assert_eq!((conn.virtual_.port, conn.dest.port), (vport, dport), "{conn:?}");
        let local = conn.local.map(|local| of(local.address));
        assert_eq!(local.as_deref(), self.local, "{conn:?}");
    }
}

/// Lists the connections of a protocol from a port, or of an identifier.
pub(crate) fn of(lab: &Lab, protocol: Protocol, port: u16) -> Vec<Connection> {
    let mut connections = lab.daemon().connections();
    connections.retain(|conn| conn.protocol == protocol && conn.client.port == port);
    connections
}

/// Gets a page from a namespace.
#[track_caller]
pub(crate) fn get(from: &Namespace, url: &str) -> String {
    from.run(&format!("curl -sS -g -m 20 {url}")).ok()
}

/// Checks that bodies of many segments pass both ways.
#[track_caller]
pub(crate) fn bodies_pass(lab: &Lab, from: &Namespace, to: &str) {
    let url = format!("http://{}/", host(to));
    let len = get(from, &format!("-o /dev/null -w %{{size_download}} {url}bytes/300000"));
    assert_eq!(len, "300000", "down");
    let file = lab.directory().join("body");
    std::fs::write(&file, vec![b'y'; 300_000]).unwrap();
    assert_eq!(get(from, &format!("-T {} {url}", file.display())), "300000\n", "up");
}

/// Returns how many echo requests a kernel has seen.
pub(crate) fn pings_seen(at: &Namespace, family: Family) -> u64 {
    match family {
        Family::V4 => at.snmp("Icmp", "InEchos"),
        Family::V6 => at.snmp6("Icmp6InEchos"),
    }
}

/// A TCP connection to a web server that is in the middle of its request.
pub(crate) struct Held(TcpStream);

impl Held {
    /// Opens one to port 80.
    pub(crate) fn open(from: &Namespace, to: &str) -> Held {
        let peer = (to.parse::<IpAddr>().unwrap(), 80);
        let mut stream = from.within(|| TcpStream::connect(peer).unwrap());
        stream.write_all(b"GET / HTTP/1.0\r\n").unwrap();
        Held(stream)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// Returns it as the balancer lists it, which must be as established.
    pub(crate) fn connection(&self, lab: &Lab) -> Connection {
        let mut found = Vec::new();
        wait_until("the connection is listed as established", || {
            found = of(lab, Protocol::Tcp, self.port());
            found.iter().any(|conn| conn.state == "ESTABLISHED")
        });
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    /// Ends the request and the connection, which must be listed as ending then.
    pub(crate) fn close(mut self, lab: &Lab) {
        let port = self.port();
        self.0.write_all(b"\r\n").unwrap();
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.0 200 OK"), "{answer}");
        drop(self);
        wait_until("the connection is listed as ending", || {
            of(lab, Protocol::Tcp, port).iter().all(|conn| conn.state != "ESTABLISHED")
        });
    }
}
