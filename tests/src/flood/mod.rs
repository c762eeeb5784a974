// SPDX-License-Identifier: MIT OR Apache-2.0
//! A flood of random ICMP frames: every type and code, queries, errors about connections that stand,
//! nearly stand or do not, right and wrong in every way that we could think of.
//!
//! The same seed makes the same frames. [`Frames`] makes them, [`sender`] sends them, [`capture`]
//! writes them to a file that a `net_pcap` port replays.

pub mod arrivals;
pub mod capture;
pub mod ledger;
mod message;
mod network;
pub mod random;
pub mod scene;
pub mod sender;

use message::Messages;
use random::Random;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// A packet that the balancer sends, which an error may quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// TCP 6, UDP 17, ICMP 1 or `ICMPv6` 58, whose ports are identifiers.
    pub protocol: u8,
    /// Where it comes from.
    pub src: SocketAddr,
    /// Where it goes to.
    pub dst: SocketAddr,
}

impl FromStr for Flow {
    type Err = String;

    /// Reads `tcp,SRC:PORT,DST:PORT`.
    fn from_str(text: &str) -> Result<Flow, String> {
        let bad = || format!("{text:?} is not PROTOCOL,ADDRESS:PORT,ADDRESS:PORT");
        let [protocol, src, dst] = text.split(',').collect::<Vec<_>>()[..] else {
            return Err(bad());
        };
        let protocol = match protocol {
            "tcp" => 6,
            "udp" => 17,
            "icmp" => 1,
            "icmpv6" => 58,
            _ => return Err(bad()),
        };
        let end = |text: &str| text.parse().map_err(|_| bad());
        Ok(Flow { protocol, src: end(src)?, dst: end(dst)? })
    }
}

/// What a flood goes to.
#[derive(Clone, Debug)]
pub struct Aim {
    /// The link address that it comes from.
    pub from: [u8; 6],
    /// The balancer's link address.
    pub to: [u8; 6],
    /// Addresses that most messages come from.
    pub sources: Vec<IpAddr>,
    /// Addresses that they go to.
    pub targets: Vec<IpAddr>,
    /// Packets of connections that stand.
    pub flows: Vec<Flow>,
}

/// Makes the frames of a flood, without end.
#[derive(Debug)]
pub struct Frames<'a> {
    aim: &'a Aim,
    random: Random,
    messages: Messages,
}

impl<'a> Frames<'a> {
    /// Starts a flood.
    pub fn new(aim: &'a Aim, seed: u64) -> Frames<'a> {
        assert!(!aim.targets.is_empty(), "a flood goes somewhere");
        Frames { aim, random: Random::new(seed), messages: Messages::default() }
    }

    /// Makes the next frame.
    fn frame(&mut self) -> Vec<u8> {
        let random = &mut self.random;
        let target = random.pick(&self.aim.targets);
        let about = (random.below(10) < 4).then(|| flow(random, self.aim, target.is_ipv4()));
        // An error goes to whom it quotes, or it is a stray.
        let dst = match about {
            Some(flow) if random.chance(90) => flow.src.ip(),
            _ => target,
        };
        let src = source(random, self.aim, dst.is_ipv4());
        let mut message = match about {
            Some(flow) => Messages::error(random, &flow),
            None => self.messages.other(random, dst.is_ipv4()),
        };
        network::write_checksum(&mut message, src, dst);
        if random.chance(10) {
            let at = random.below(message.len());
            message[at] ^= 1 << random.below(8);
        }
        let protocol = if dst.is_ipv4() { 1 } else { 58 };
        let packet = network::packet(random, (src, dst), protocol, &message, true);
        let ether_type: [u8; 2] = if dst.is_ipv4() { [8, 0] } else { [0x86, 0xdd] };
        [&self.aim.to[..], &self.aim.from[..], &ether_type[..], &packet].concat()
    }
}

impl Iterator for Frames<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        Some(self.frame())
    }
}

/// Returns a flow that stands, one that nearly does, or any.
fn flow(random: &mut Random, aim: &Aim, is_ipv4: bool) -> Flow {
    let standing: Vec<Flow> =
        aim.flows.iter().filter(|flow| flow.src.is_ipv4() == is_ipv4).copied().collect();
    if standing.is_empty() || random.chance(20) {
        let any_protocol = random.byte();
        let protocol = random.pick(&[6, 17, if is_ipv4 { 1 } else { 58 }, any_protocol]);
        let targets: Vec<IpAddr> =
            aim.targets.iter().filter(|to| to.is_ipv4() == is_ipv4).copied().collect();
        let src = if targets.is_empty() { any(random, is_ipv4) } else { random.pick(&targets) };
        let end = |random: &mut Random, address| SocketAddr::new(address, random.port());
        let dst = any(random, is_ipv4);
        return Flow { protocol, src: end(random, src), dst: end(random, dst) };
    }
    let mut flow = random.pick(&standing);
    match random.below(10) {
        0 => flow.src.set_port(flow.src.port() ^ 1),
        1 => flow.dst.set_port(flow.dst.port().wrapping_add(1)),
        2 => flow.dst.set_ip(any(random, is_ipv4)),
        3 => flow.protocol = random.pick(&[6, 17, 132, 47, 4]),
        _ => {}
    }
    flow
}

/// Returns the source of a message: mostly a host that may be, sometimes one that may not.
fn source(random: &mut Random, aim: &Aim, is_ipv4: bool) -> IpAddr {
    let hosts: Vec<IpAddr> =
        aim.sources.iter().filter(|from| from.is_ipv4() == is_ipv4).copied().collect();
    match random.below(20) {
        0 => strange(random, aim, is_ipv4),
        1..=2 => any(random, is_ipv4),
        _ if hosts.is_empty() => any(random, is_ipv4),
        _ => random.pick(&hosts),
    }
}

/// Returns an address that no packet comes from: multicast, broadcast, loopback, ours, none.
fn strange(random: &mut Random, aim: &Aim, is_ipv4: bool) -> IpAddr {
    let ours: Vec<IpAddr> =
        aim.targets.iter().filter(|to| to.is_ipv4() == is_ipv4).copied().collect();
    if !ours.is_empty() && random.chance(25) {
        return random.pick(&ours);
    }
    let v4 = [
        Ipv4Addr::new(224, 0, 0, 1),
        Ipv4Addr::new(239, 1, 2, 3),
        Ipv4Addr::BROADCAST,
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::new(10, 1, 0, 255),
        Ipv4Addr::new(240, 0, 0, 1),
    ];
    let v6 = [
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
        Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 1, 2),
        Ipv6Addr::LOCALHOST,
        Ipv6Addr::UNSPECIFIED,
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
        Ipv4Addr::LOCALHOST.to_ipv6_mapped(),
    ];
    if is_ipv4 { random.pick(&v4).into() } else { random.pick(&v6).into() }
}

/// Returns any address at all.
fn any(random: &mut Random, is_ipv4: bool) -> IpAddr {
    let [a, b] = [random.number(), random.number()];
    if is_ipv4 {
        Ipv4Addr::from_bits(u32::try_from(a >> 32).expect("32 bits")).into()
    } else {
        Ipv6Addr::from_bits(u128::from(a) << 64 | u128::from(b)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::checksum;

    fn aim() -> Aim {
        let addresses = |list: &[&str]| list.iter().map(|a| a.parse().unwrap()).collect();
        Aim {
            from: [2, 0, 0, 0, 0, 1],
            to: [2, 0, 0, 0, 0, 2],
            sources: addresses(&["10.1.0.20", "fd00:1::20"]),
            targets: addresses(&["10.0.0.100", "fd00::100", "10.1.0.1"]),
            flows: vec!["tcp,10.0.0.100:80,10.1.0.10:40000".parse().unwrap()],
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_frames() {
        let aim = aim();
        let frames = |seed| Frames::new(&aim, seed).take(1000).collect::<Vec<_>>();
        assert_eq!(frames(7), frames(7));
        assert_ne!(frames(7), frames(8));
    }

    #[test]
    fn most_messages_are_right_and_some_are_not() {
        let aim = aim();
        let (mut right, mut wrong, mut about) = (0, 0, 0);
        for frame in Frames::new(&aim, 7).take(10_000) {
            assert_eq!(frame[..12], [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
            assert!(frame.len() <= 1514, "{} bytes", frame.len());
            if frame[12..15] == [8, 0, 0x45] && [0, 0x40].contains(&frame[20]) {
                let is_right = checksum(&frame[34..]) == [0, 0];
                right += usize::from(is_right);
                wrong += usize::from(!is_right);
                // Ports 80 and 40000 of the packet from 10.0.0.100 that an error quotes.
                let is_about = frame.len() > 66 && frame[62..66] == [0, 80, 0x9c, 0x40];
                about += usize::from(is_right && is_about);
            }
        }
        assert!(right > 3000 && wrong > 300 && about > 300, "{right} {wrong} {about}");
    }
}
