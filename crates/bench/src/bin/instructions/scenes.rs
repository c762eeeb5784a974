// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is counted: bursts of one kind of packet each, on heap frames.
//!
//! The table is nearly empty, so that a bucket seldom has two connections and counts hardly differ
//! from run to run: keys of hashes are made anew in each.

use anyhow::{Context as _, ensure};
use dpvs_core::net::{Family, Protocol};
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{DestSettings, Forward, ServiceKey, ServiceSettings};
use dpvs_core::testing::{HeapFrame, Lab, PacketBuilder, end, match_key, service_key};
use dpvs_core::{BURST, Millis, Verdict, Worker, WorkerId};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bursts counted of each scene.
const BURSTS: usize = 100;
/// Packets counted of each scene.
pub(crate) const PACKETS: usize = BURSTS * BURST;
/// Connections that there is room for.
const CAPACITY: usize = 1 << 16;
/// Far more than any scene has packets in a second, but a limit: it has to be looked at.
const NO_LIMIT_PER_S: u32 = 1_000_000;
/// First port or identifier of the client.
const FIRST_PORT: u16 = 20_000;

/// Client, virtual address, real server, the pool of SNAT, a router beside the client; IPv4, IPv6.
const CLIENT: [&str; 2] = ["198.51.100.10", "2001:db8:c::10"];
const VIRTUAL: [&str; 2] = ["203.0.113.80", "2001:db8:80::80"];
const SERVER: [&str; 2] = ["10.1.1.10", "2001:db8:a::10"];
const POOL: [&str; 2] = ["203.0.113.88", "2001:db8:80::88"];
const ROUTER: [&str; 2] = ["198.51.100.254", "2001:db8:c::fe"];

const SYN: u8 = 2;
const ACK: u8 = 16;

/// Data of a TCP packet, and of others: the shortest frames of Ethernet are full with it.
const TCP_DATA: [u8; 6] = [0; 6];
const DATA: [u8; 18] = [0; 18];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum L4 {
    Tcp,
    Udp,
    Ping,
}

/// What the packets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Traffic {
    /// Of connections that stand, from the client.
    Request(Forward, L4),
    /// The same from the server.
    Reply(Forward, L4),
    /// Each makes a connection.
    New(Forward, L4),
    /// Connections of UDP whose time is over.
    Ended,
    /// A router beside the client tells the server, by full NAT, how long packets may be.
    RelatedError,
    /// UDP by full NAT, one packet at a time, as where there is little traffic.
    Lone,
    /// Pings of a virtual address that we answer.
    LocalEcho,
    /// Of connections of UDP that another worker has.
    Elsewhere(Course),
}

/// How bursts come in, and what becomes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// By a port, and are sent.
    Through,
    /// The same, of one frame each.
    Lone,
    /// By a port, and are handed to the second worker.
    Steered,
    /// To the second worker from the first one, and are sent.
    Handed,
}

/// One kind of packet of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scene {
    stem: &'static str,
    traffic: Traffic,
    family: Family,
}

const SCENES: [(&str, Traffic); 21] = [
    ("full-nat-udp-request", Traffic::Request(Forward::FullNat, L4::Udp)),
    ("full-nat-udp-reply", Traffic::Reply(Forward::FullNat, L4::Udp)),
    ("full-nat-tcp-request", Traffic::Request(Forward::FullNat, L4::Tcp)),
    ("full-nat-tcp-reply", Traffic::Reply(Forward::FullNat, L4::Tcp)),
    ("full-nat-echo-request", Traffic::Request(Forward::FullNat, L4::Ping)),
    ("full-nat-echo-reply", Traffic::Reply(Forward::FullNat, L4::Ping)),
    ("full-nat-new-udp", Traffic::New(Forward::FullNat, L4::Udp)),
    ("full-nat-new-syn", Traffic::New(Forward::FullNat, L4::Tcp)),
    ("lone-udp-request", Traffic::Lone),
    ("direct-udp", Traffic::Request(Forward::Direct, L4::Udp)),
    ("direct-new-syn", Traffic::New(Forward::Direct, L4::Tcp)),
    ("tunnel-udp", Traffic::Request(Forward::Tunnel, L4::Udp)),
    ("nat-udp-request", Traffic::Request(Forward::Nat, L4::Udp)),
    ("nat-udp-reply", Traffic::Reply(Forward::Nat, L4::Udp)),
    ("snat-udp-request", Traffic::Request(Forward::Snat, L4::Udp)),
    ("snat-udp-reply", Traffic::Reply(Forward::Snat, L4::Udp)),
    ("ended-udp", Traffic::Ended),
    ("related-error", Traffic::RelatedError),
    ("local-echo", Traffic::LocalEcho),
    ("steered-udp", Traffic::Elsewhere(Course::Steered)),
    ("handed-udp", Traffic::Elsewhere(Course::Handed)),
];

impl Scene {
    /// Returns all scenes.
    pub(crate) fn all() -> Vec<Scene> {
        let of = |family| SCENES.map(|(stem, traffic)| Scene { stem, traffic, family });
        [of(Family::V4), of(Family::V6)].concat()
    }

    /// Returns the scene of a name.
    pub(crate) fn named(name: &str) -> anyhow::Result<Scene> {
        let scene = Scene::all().into_iter().find(|scene| scene.name() == name);
        scene.with_context(|| {
            let names: Vec<String> = Scene::all().iter().map(Scene::name).collect();
            format!("no scene {name}; there are {}", names.join(", "))
        })
    }

    /// Returns its name.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}", self.stem, if self.family == Family::V4 { "v4" } else { "v6" })
    }
}

/// The packet path, as callgrind finds it by its name.
#[inline(never)]
fn counted_burst(
    worker: &mut Worker,
    now: Millis,
    frames: &mut [HeapFrame],
    verdicts: &mut [Verdict; BURST],
) {
    worker.process(now, black_box(frames), black_box(verdicts));
}

/// The packet path of what another worker handed over, as callgrind finds it by its name.
#[inline(never)]
fn counted_handed(
    worker: &mut Worker,
    now: Millis,
    frames: &mut [HeapFrame],
    verdicts: &mut [Verdict; BURST],
) {
    worker.process_handed(now, black_box(frames), black_box(verdicts));
}

/// The work between bursts, as callgrind finds it by its name.
#[inline(never)]
fn counted_poll(worker: &mut Worker, now: Millis) {
    worker.poll_control(black_box(now));
}

/// Runs a scene once.
pub(crate) fn run(scene: Scene) -> anyhow::Result<()> {
    let workers = if let Traffic::Elsewhere(_) = scene.traffic { 2 } else { 1 };
    let mut lab = Lab::with_addresses(workers, CAPACITY);
    lab.change(|draft| {
        let policy = &mut draft.tables_mut().limits.icmp;
        policy.relayed_per_s = NO_LIMIT_PER_S;
        policy.relayed_per_virtual_per_s = NO_LIMIT_PER_S;
        policy.echo_per_s = NO_LIMIT_PER_S;
        policy.mtu_gap_ms = 1;
    });
    let v6 = usize::from(scene.family == Family::V6);
    match scene.traffic {
        Traffic::Request(method, l4) => {
            let [requests, _] = open(&mut lab, scene.family, method, l4)?;
            play(&mut lab, &requests, Course::Through)
        }
        Traffic::Lone => {
            let [requests, _] = open(&mut lab, scene.family, Forward::FullNat, L4::Udp)?;
            play(&mut lab, &requests, Course::Lone)
        }
        Traffic::Reply(method, l4) => {
            let [_, replies] = open(&mut lab, scene.family, method, l4)?;
            play(&mut lab, &replies, Course::Through)
        }
        Traffic::New(method, l4) => {
            serve(&mut lab, scene.family, method, l4);
            let packet = PacketBuilder::new(CLIENT[v6], VIRTUAL[v6]);
            let first = |port| {
                if l4 == L4::Tcp {
                    packet.tcp(port, 53, SYN, &TCP_DATA)
                } else {
                    packet.udp(port, 53, &DATA)
                }
            };
            let frames: Vec<_> = ports(PACKETS).map(first).collect();
            play(&mut lab, &frames, Course::Through)?;
            ensure!(lab.connections() == frames.len(), "each makes a connection");
            Ok(())
        }
        Traffic::Ended => end_all(&mut lab, scene),
        Traffic::RelatedError => {
            let [_, replies] = open(&mut lab, scene.family, Forward::FullNat, L4::Udp)?;
            let mut errors = Vec::new();
            for reply in replies {
                let answer = lab.send(0, &reply).sent();
                errors.push(too_big(v6, &answer));
            }
            play(&mut lab, &errors, Course::Through)
        }
        Traffic::LocalEcho => {
            serve(&mut lab, scene.family, Forward::FullNat, L4::Udp);
            let packet = PacketBuilder::new(CLIENT[v6], VIRTUAL[v6]);
            let frames: Vec<_> = ports(BURST).map(|id| packet.ping(id, 1, &DATA)).collect();
            play(&mut lab, &frames, Course::Through)
        }
        Traffic::Elsewhere(course) => {
            let frames = open_elsewhere(&mut lab, scene.family);
            play(&mut lab, &frames, course)
        }
    }
}

/// Lets bursts of the frames, round-robin, through the worker; each has to go its course.
fn play(lab: &mut Lab, frames: &[Vec<u8>], course: Course) -> anyhow::Result<()> {
    let len = if course == Course::Lone { 1 } else { BURST };
    let mut burst = vec![HeapFrame::new(&[0; 2048]); len];
    let mut verdicts = [Verdict::Consumed; BURST];
    let mut next = frames.iter().cycle();
    let worker = lab.workers.get_mut(usize::from(course == Course::Handed)).context("a worker")?;
    let counted = if course == Course::Handed { counted_handed } else { counted_burst };
    let has_gone = |verdict: &Verdict| match course {
        Course::Steered => *verdict == Verdict::Redirect(WorkerId(1)),
        Course::Through | Course::Lone | Course::Handed => matches!(verdict, Verdict::Transmit(_)),
    };
    for _ in 0..PACKETS / len {
        for (frame, bytes) in burst.iter_mut().zip(&mut next) {
            frame.refill(bytes);
        }
        lab.now = lab.now + 1;
        counted(worker, lab.now, &mut burst, &mut verdicts);
        ensure!(verdicts.iter().take(len).all(has_gone), "they go elsewhere: {verdicts:?}");
    }
    Ok(())
}

/// Makes connections and lets their time be over.
fn end_all(lab: &mut Lab, scene: Scene) -> anyhow::Result<()> {
    let v6 = usize::from(scene.family == Family::V6);
    serve(lab, scene.family, Forward::FullNat, L4::Udp);
    let packet = PacketBuilder::new(CLIENT[v6], VIRTUAL[v6]);
    for port in ports(PACKETS) {
        lab.send(0, &packet.udp(port, 53, &DATA)).sent();
    }
    ensure!(lab.connections() == PACKETS, "each makes a connection");
    lab.now = lab.now + u64::from(lab.tables.timeouts.udp_ms) + 1000;
    let worker = lab.workers.first_mut().context("a worker")?;
    for _ in 0..PACKETS {
        if worker.connections().is_empty() {
            return Ok(());
        }
        counted_poll(worker, lab.now);
    }
    anyhow::bail!("{} connections have not ended", worker.connections().len());
}

fn ports(count: usize) -> impl Iterator<Item = u16> {
    (FIRST_PORT..u16::MAX).take(count)
}

fn protocol(family: Family, l4: L4) -> Protocol {
    match (l4, family) {
        (L4::Tcp, _) => Protocol::Tcp,
        (L4::Udp, _) => Protocol::Udp,
        (L4::Ping, Family::V4) => Protocol::Icmp,
        (L4::Ping, Family::V6) => Protocol::Icmpv6,
    }
}

/// Adds a service of one server.
fn serve(lab: &mut Lab, family: Family, method: Forward, l4: L4) {
    let v6 = usize::from(family == Family::V6);
    let protocol = protocol(family, l4);
    let port = if l4 == L4::Ping { 0 } else { 53 };
    let (key, server): (ServiceKey, _) = match method {
        Forward::Snat => (match_key(family, protocol), end(POOL[v6], 0)),
        _ => (service_key(protocol, VIRTUAL[v6], port), end(SERVER[v6], port)),
    };
    let settings = ServiceSettings::new(Scheduler::Rr);
    lab.serve(&key, settings, &[(server, DestSettings::new(method))]);
}

/// Makes the service and a burst of connections; returns the next packet of each from either side.
fn open(
    lab: &mut Lab,
    family: Family,
    method: Forward,
    l4: L4,
) -> anyhow::Result<[Vec<Vec<u8>>; 2]> {
    serve(lab, family, method, l4);
    let v6 = usize::from(family == Family::V6);
    let (from, to) = match method {
        Forward::Snat => (SERVER[v6], CLIENT[v6]),
        _ => (CLIENT[v6], VIRTUAL[v6]),
    };
    let packet = PacketBuilder::new(from, to);
    let (mut requests, mut replies) = (Vec::new(), Vec::new());
    for port in ports(BURST) {
        let first = match l4 {
            L4::Tcp => packet.tcp(port, 53, SYN, &[]),
            L4::Udp => packet.udp(port, 53, &DATA),
            L4::Ping => packet.ping(port, 1, &DATA),
        };
        let seen = lab.send(0, &first).sent();
        let (back, [sport, dport]) = back(&seen, v6 == 1)?;
        match l4 {
            L4::Tcp => {
                if method.sees_replies() {
                    lab.send(0, &back.tcp(dport, sport, SYN | ACK, &[])).sent();
                }
                lab.send(0, &packet.tcp(port, 53, ACK, &[])).sent();
                requests.push(packet.tcp(port, 53, ACK, &TCP_DATA));
                replies.push(back.tcp(dport, sport, ACK, &TCP_DATA));
            }
            L4::Udp => {
                requests.push(first);
                replies.push(back.udp(dport, sport, &DATA));
            }
            L4::Ping => {
                requests.push(packet.ping(port, 2, &DATA));
                // The identifier stands where the second port of the others does, and a word on.
                let id = word(&seen, l4_offset(v6 == 1) + 4)?;
                lab.send(0, &back.pong(id, 1, &DATA)).sent();
                replies.push(back.pong(id, 2, &DATA));
            }
        }
    }
    Ok([requests, replies])
}

/// Makes the service and a burst of connections that the second worker has; returns the next packet
/// of each from the client.
fn open_elsewhere(lab: &mut Lab, family: Family) -> Vec<Vec<u8>> {
    serve(lab, family, Forward::FullNat, L4::Udp);
    let v6 = usize::from(family == Family::V6);
    let packet = PacketBuilder::new(CLIENT[v6], VIRTUAL[v6]);
    let requests = ports(usize::MAX).map(|port| packet.udp(port, 53, &DATA));
    let is_elsewhere = |request: &Vec<u8>| {
        let handed = lab.handed;
        lab.send(0, request).sent();
        lab.handed > handed
    };
    requests.filter(is_elsewhere).take(BURST).collect()
}

/// Returns where the transport header starts.
fn l4_offset(v6: bool) -> usize {
    if v6 { 14 + 40 } else { 14 + 20 }
}

fn word(frame: &[u8], at: usize) -> anyhow::Result<u16> {
    let word = frame.get(at..).and_then(|rest| rest.first_chunk()).context("a longer frame")?;
    Ok(u16::from_be_bytes(*word))
}

fn addresses(frame: &[u8], v6: bool) -> Option<[IpAddr; 2]> {
    if v6 {
        let chunk = |at: usize| frame.get(at..)?.first_chunk::<16>().copied();
        return Some([Ipv6Addr::from(chunk(22)?).into(), Ipv6Addr::from(chunk(38)?).into()]);
    }
    let chunk = |at: usize| frame.get(at..)?.first_chunk::<4>().copied();
    Some([Ipv4Addr::from(chunk(26)?).into(), Ipv4Addr::from(chunk(30)?).into()])
}

/// Returns what starts the answer to a packet, and the packet's ports.
fn back(frame: &[u8], v6: bool) -> anyhow::Result<(PacketBuilder, [u16; 2])> {
    let [src, dst] = addresses(frame, v6).context("a longer frame")?;
    let l4 = l4_offset(v6);
    let ports = [word(frame, l4)?, word(frame, l4 + 2)?];
    Ok((PacketBuilder::new(&dst.to_string(), &src.to_string()), ports))
}

/// The least that a router has to quote of an answer of ours that is too big for its way.
fn too_big(v6: usize, answer: &[u8]) -> Vec<u8> {
    let quote = answer.get(14..l4_offset(v6 == 1) + 8).unwrap_or_default();
    let (icmp_type, code) = if v6 == 1 { (2, 0) } else { (3, 4) };
    PacketBuilder::new(ROUTER[v6], VIRTUAL[v6]).icmp(icmp_type, code, [0, 0, 5, 0], quote)
}
