// SPDX-License-Identifier: MIT OR Apache-2.0
//! A balancer with several workers, without threads: frames in, frames out.

use super::{HeapFrame, PacketBuilder, address, service_key};
use crate::counters::WorkerCounters;
use crate::key::{Address, Endpoint};
use crate::net::{Mac, Prefix, Protocol};
use crate::scheduler::Scheduler;
use crate::steering::{KEY_DEFAULT, KEY_LEN, Steering};
use crate::tables::{
    DestSettings, Draft, Forward, Limits, LocalAddress, Port, Route, Scope, ServiceSettings,
    StaticNeighbour, Tables,
};
use crate::{BURST, Command, DropReason, Event, Frame, Millis, PortId, Verdict, Worker, WorkerId};
use std::net::IpAddr;
use std::sync::Arc;

/// Tables for `workers` workers with one port and nothing else.
pub fn tables(workers: usize) -> Tables {
    tables_with_key(workers, &KEY_DEFAULT)
}

fn tables_with_key(workers: usize, key: &[u8; KEY_LEN]) -> Tables {
    let port = Port {
        id: PortId(0),
        name: "dpdk0".to_owned(),
        mac: Mac(PacketBuilder::OUR_MAC),
        mtu: 1500,
        has_kernel: false,
    };
    Tables::new(vec![port], Steering::new(workers, key), Limits::default())
}

/// What became of a frame after all hand-overs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Sent, as these bytes.
    Sent(Vec<u8>),
    /// Sent in pieces.
    Pieces(Vec<Vec<u8>>),
    /// Dropped.
    Dropped(DropReason),
    /// Any other verdict.
    Other(Verdict),
}

impl Outcome {
    /// Returns the bytes that were sent.
    ///
    /// # Panics
    /// If nothing was.
    pub fn sent(self) -> Vec<u8> {
        match self {
            Outcome::Sent(bytes) => bytes,
            other => panic!("not sent: {other:?}"),
        }
    }
}

/// Workers with their rings, and the tables they share.
#[derive(Debug)]
pub struct Lab {
    /// The workers.
    pub workers: Vec<Worker>,
    commands: Vec<rtrb::Producer<Command>>,
    events: Vec<rtrb::Consumer<Event>>,
    /// The tables in use.
    pub tables: Tables,
    /// The time.
    pub now: Millis,
    /// How many frames went from one worker to another.
    pub handed: u64,
}

impl Lab {
    /// Makes workers with room for `capacity` connections each.
    pub fn with_capacity(workers: usize, capacity: usize) -> Self {
        Lab::bare(tables(workers), capacity)
    }

    fn bare(tables: Tables, capacity: usize) -> Self {
        let workers = tables.steering().workers();
        let shared = Arc::new(tables.clone());
        let mut lab = Lab {
            workers: Vec::new(),
            commands: Vec::new(),
            events: Vec::new(),
            tables,
            now: Millis(1000),
            handed: 0,
        };
        for me in 0..workers {
            let (commands, from_control) = rtrb::RingBuffer::new(8);
            let (to_control, events) = rtrb::RingBuffer::new(8);
            let me = WorkerId(u8::try_from(me).unwrap());
            let counters = Arc::new(WorkerCounters::default());
            lab.workers.push(Worker::new(
                me,
                Arc::clone(&shared),
                capacity,
                counters,
                from_control,
                to_control,
            ));
            lab.commands.push(commands);
            lab.events.push(events);
        }
        lab
    }

    /// The usual balancer: 203.0.113.2/24 and 10.1.1.2/24 (and the same in `2001:db8::`) on port 0,
    /// local addresses 10.1.1.200 and `2001:db8:a::200`, every neighbour known.
    pub fn new(workers: usize) -> Self {
        Lab::with_key(workers, &KEY_DEFAULT)
    }

    /// The usual balancer, with this hash key.
    pub fn with_key(workers: usize, key: &[u8; KEY_LEN]) -> Self {
        Lab::addressed(Lab::bare(tables_with_key(workers, key), 1024))
    }

    /// The usual balancer, with room for `capacity` connections on each worker and a route to every
    /// client by way of 198.51.100.254.
    pub fn with_addresses(workers: usize, capacity: usize) -> Self {
        let mut lab = Lab::addressed(Lab::bare(tables(workers), capacity));
        lab.change(|draft| {
            let everywhere = Prefix::containing(IpAddr::from([0; 4]), 0).unwrap();
            let route = Route {
                prefix: everywhere,
                via: Some(IpAddr::from([198, 51, 100, 254])),
                port: PortId(0),
                src: None,
                mtu: 0,
                scope: Scope::Global,
                metric: 0,
                is_connected: false,
            };
            draft.add_route(route).unwrap();
        });
        lab
    }

    fn addressed(mut lab: Lab) -> Self {
        lab.change(|draft| {
            for (address, len) in [
                ("203.0.113.2", 24),
                ("198.51.100.2", 24),
                ("10.1.1.2", 24),
                ("10.1.1.200", 32),
                ("203.0.113.80", 32),
                ("2001:db8:80::2", 64),
                ("2001:db8:c::2", 64),
                ("2001:db8:a::2", 64),
                ("2001:db8:a::200", 128),
                ("2001:db8:80::80", 128),
            ] {
                draft.add_address(local_address(address, len)).unwrap();
            }
        });
        lab.know(&["198.51.100.10", "198.51.100.11", "198.51.100.254", "203.0.113.99"], 1);
        lab.know(&["10.1.1.10", "10.1.1.11", "10.1.1.254"], 3);
        lab.know(&["2001:db8:c::10", "2001:db8:c::fe", "2001:db8:a::10", "2001:db8:a::fe"], 5);
        lab
    }

    fn know(&mut self, addresses: &[&str], mac: u8) {
        self.change(|draft| {
            for address in addresses {
                draft
                    .add_neighbour(StaticNeighbour {
                        port: PortId(0),
                        address: Address::from(address.parse::<IpAddr>().unwrap()),
                        mac: Mac([2, 0, 0, 0, 0, mac]),
                    })
                    .unwrap();
            }
        });
    }

    /// Adds a service with real servers and one local address of its family.
    pub fn service(&mut self, protocol: Protocol, vip: &str, port: u16, servers: &[(&str, u16)]) {
        let key = service_key(protocol, vip, port);
        self.change(|draft| {
            let settings = ServiceSettings::new(Scheduler::Rr);
            draft.add_service(key, settings).unwrap();
            let laddr = if vip.contains(':') { "2001:db8:a::200" } else { "10.1.1.200" };
            draft.add_laddr(&key, address(laddr), PortId(0)).unwrap();
            for (server, port) in servers {
                let end = Endpoint { address: address(server), port: *port };
                draft.add_dest(&key, end, dest_settings(1)).unwrap();
            }
        });
    }

    /// Changes the tables and waits until all workers have them.
    pub fn change(&mut self, change: impl FnOnce(&mut Draft)) {
        let mut draft = Draft::new(&self.tables);
        change(&mut draft);
        self.tables = draft.publish();
        let shared = Arc::new(self.tables.clone());
        for at in 0..self.workers.len() {
            self.commands[at].push(Command::Install(Arc::clone(&shared))).unwrap();
            self.poll();
            assert!(matches!(self.events[at].pop(), Ok(Event::Retired(_))));
        }
    }

    /// Gives a command to one worker and returns its answer.
    pub fn command(&mut self, worker: usize, command: Command) -> Event {
        self.order(worker, command);
        for _ in 0..1_000_000 {
            self.poll();
            if let Some(event) = self.answer(worker) {
                return event;
            }
        }
        panic!("no answer");
    }

    /// Gives a command to one worker, which is carried out as it is polled.
    pub fn order(&mut self, worker: usize, command: Command) {
        self.commands[worker].push(command).unwrap();
    }

    /// Returns the next answer of a worker, if there is one yet.
    pub fn answer(&mut self, worker: usize) -> Option<Event> {
        self.events[worker].pop().ok()
    }

    /// Lets every worker do its work between bursts once.
    pub fn poll(&mut self) {
        for worker in &mut self.workers {
            worker.poll_control(self.now);
        }
    }

    /// Lets time pass in steps, so that timers fire as they would.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        while self.now < end {
            self.now = (self.now + 200).min(end);
            for _ in 0..8 {
                self.poll();
            }
        }
    }

    /// Gives a frame to a worker and follows it to its end.
    pub fn send(&mut self, worker: usize, bytes: &[u8]) -> Outcome {
        let mut frames = [HeapFrame::new(bytes)];
        let mut verdicts = [Verdict::Consumed; BURST];
        self.workers[worker].process(self.now, &mut frames, &mut verdicts);
        let mut at = worker;
        let mut hops = 0;
        while let Verdict::Redirect(owner) = verdicts[0] {
            self.handed += 1;
            hops += 1;
            assert_ne!(owner.index(), at, "handed to itself");
            // To where the parts of a datagram meet, and to each that may have the connection.
            assert!(hops <= self.workers.len() + 1, "handed in circles");
            at = owner.index();
            self.workers[at].process_handed(self.now, &mut frames, &mut verdicts);
        }
        match verdicts[0] {
            Verdict::Split(mtu) => self.send_split(at, &frames[0], mtu),
            Verdict::Transmit(PortId(0)) => Outcome::Sent(frames[0].bytes().to_vec()),
            Verdict::Drop(reason) => Outcome::Dropped(reason),
            other => Outcome::Other(other),
        }
    }

    fn send_split(&mut self, worker: usize, frame: &HeapFrame, mtu: u32) -> Outcome {
        let worker = &mut self.workers[worker];
        let cut = worker.split(frame, mtu).expect("it can be cut");
        let mut frames: Vec<HeapFrame> =
            cut.map(|piece| HeapFrame::new(&piece.parts().concat())).collect();
        let mut verdicts = [Verdict::Consumed; BURST];
        worker.process_split(self.now, &mut frames, &mut verdicts);
        assert!(frames.iter().zip(verdicts).all(|(_, v)| v == Verdict::Transmit(PortId(0))));
        Outcome::Pieces(frames.iter().map(|frame| frame.bytes().to_vec()).collect())
    }

    /// Returns how many connections all workers have.
    pub fn connections(&self) -> usize {
        self.workers.iter().map(|worker| worker.connections().len()).sum()
    }

    /// Returns how many frames all workers dropped for a reason.
    pub fn drops(&self, reason: DropReason) -> u64 {
        self.workers.iter().map(|worker| worker.counters().drops(reason)).sum()
    }
}

/// A full NAT server of a weight.
pub(crate) fn dest_settings(weight: u32) -> DestSettings {
    DestSettings { weight, ..DestSettings::new(Forward::FullNat) }
}

/// Returns an address of port 0 for good, with the prefix of a length that it lies in.
pub fn local_address(text: &str, len: u8) -> LocalAddress {
    let ip: IpAddr = text.parse().unwrap();
    LocalAddress {
        address: Address::from(ip),
        prefix: Prefix::containing(ip, len).unwrap(),
        port: PortId(0),
        broadcast: None,
        scope: Scope::Global,
        valid_until: None,
        preferred_until: None,
        is_pool: false,
        came_with_laddr: false,
    }
}
