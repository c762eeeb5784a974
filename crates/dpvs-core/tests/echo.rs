// SPDX-License-Identifier: MIT OR Apache-2.0
//! Echo requests to addresses of ours: local replies, and the echo policy of an address.
#![cfg(test)]

use dpvs_core::DropReason;
use dpvs_core::conn::State;
use dpvs_core::net::{Family, Protocol};
use dpvs_core::scheduler::Scheduler;
use dpvs_core::tables::{
    DestSettings, EchoAnswer, EchoDown, EchoPolicy, EchoRule, Forward, Persistence, Refusal,
    RefusalKind, ServiceSettings,
};
use dpvs_core::testing::{
    Lab, Outcome, PacketBuilder, address, assert_checksums, end, service_key,
};

const SETTINGS: ServiceSettings = ServiceSettings::new(Scheduler::Rr);

/// The addresses of a family: client, virtual, local, and two servers.
struct Net {
    family: Family,
    client: &'static str,
    virtual_: &'static str,
    local: &'static str,
    servers: [&'static str; 2],
}

const NETS: [Net; 2] = [
    Net {
        family: Family::V4,
        client: "198.51.100.10",
        virtual_: "203.0.113.80",
        local: "10.1.1.200",
        servers: ["10.1.1.10", "10.1.1.11"],
    },
    Net {
        family: Family::V6,
        client: "2001:db8:c::10",
        virtual_: "2001:db8:80::80",
        local: "2001:db8:a::200",
        servers: ["2001:db8:a::10", "2001:db8:a::fe"],
    },
];

impl Net {
    fn request(&self) -> PacketBuilder {
        PacketBuilder::new(self.client, self.virtual_)
    }

    fn ping(&self, lab: &mut Lab, worker: usize) -> Outcome {
        lab.send(worker, &self.request().ping(7, 1, b"data"))
    }

    /// What becomes of a ping, in a word.
    fn outcome(&self, lab: &mut Lab) -> &'static str {
        let frame = match self.ping(lab, 0) {
            Outcome::Sent(frame) => frame,
            Outcome::Dropped(DropReason::IcmpEchoDenied) => return "drop",
            other => panic!("{other:?}"),
        };
        assert_checksums(&frame);
        let is_v4 = self.family == Family::V4;
        let (dst, message) =
            if is_v4 { (&frame[30..34], &frame[34..]) } else { (&frame[38..54], &frame[54..]) };
        if self.servers.iter().any(|server| dst == octets(server)) {
            return "server";
        }
        assert_eq!(dst, octets(self.client));
        match (is_v4, message[0], message[1]) {
            (true, 0, 0) | (false, 129, 0) => "reply",
            (true, 3, 1) | (false, 1, 3) => "host",
            (true, 3, 13) | (false, 1, 1) => "admin",
            other => panic!("{other:?}"),
        }
    }

    /// Adds a TCP service with full NAT servers of these weights.
    fn serve(&self, lab: &mut Lab, port: u16, weights: &[u32]) {
        let server = |(address, weight): (&&str, &u32)| {
            let settings = DestSettings { weight: *weight, ..DestSettings::new(Forward::FullNat) };
            (end(address, 8080), settings)
        };
        let servers: Vec<_> = self.servers.iter().zip(weights).map(server).collect();
        lab.serve(&service_key(Protocol::Tcp, self.virtual_, port), SETTINGS, &servers);
    }

    fn set_policy(&self, lab: &mut Lab, rule: EchoRule, down: EchoDown) {
        let policy = EchoPolicy { rule, down, data_max: 0 };
        lab.change(|draft| draft.set_echo(address(self.virtual_), policy).unwrap());
    }

    fn set_weight(&self, lab: &mut Lab, port: u16, server: usize, weight: u32) {
        let key = service_key(Protocol::Tcp, self.virtual_, port);
        let endpoint = end(self.servers[server], 8080);
        let settings = lab.tables.service(&key).unwrap().dest_at(endpoint).unwrap().settings;
        let settings = DestSettings { weight, ..settings };
        lab.change(|draft| draft.set_dest(&key, endpoint, settings).unwrap());
    }
}

fn octets(text: &str) -> Vec<u8> {
    match text.parse().unwrap() {
        std::net::IpAddr::V4(a) => a.octets().to_vec(),
        std::net::IpAddr::V6(a) => a.octets().to_vec(),
    }
}

fn rules() -> [(&'static str, EchoRule); 6] {
    [
        ("never", EchoRule::Never),
        ("always", EchoRule::Always),
        ("any-up", EchoRule::AnyUp),
        ("all-up", EchoRule::AllUp),
        ("quorum", EchoRule::Quorum(2)),
        ("backend", EchoRule::Backend),
    ]
}

/// Checks a row: for each rule what becomes of a ping, `down` standing for what is configured.
#[track_caller]
fn row(services: &[&[u32]], expected: [&str; 6]) {
    for net in &NETS {
        for ((name, rule), expected) in rules().into_iter().zip(expected) {
            for (down, word) in
                [(EchoDown::Drop, "drop"), (EchoDown::Host, "host"), (EchoDown::Admin, "admin")]
            {
                let mut lab = Lab::new(1);
                net.set_policy(&mut lab, rule, down);
                for (port, weights) in (80..).zip(services) {
                    net.serve(&mut lab, port, weights);
                }
                let expected = if expected == "down" { word } else { expected };
                let outcome = net.outcome(&mut lab);
                assert_eq!(outcome, expected, "{name}, down {word}, of {}", net.virtual_);
            }
        }
    }
}

//                              never   always   any-up   all-up   quorum 2 backend

#[test]
fn a26_without_a_service() {
    row(&[], ["drop", "reply", "drop", "drop", "drop", "drop"]);
}

#[test]
fn a26_all_servers_up() {
    row(&[&[1, 1]], ["drop", "reply", "reply", "reply", "reply", "server"]);
}

#[test]
fn a26_some_servers_up() {
    row(&[&[1, 0]], ["drop", "reply", "reply", "reply", "down", "server"]);
}

#[test]
fn a26_all_servers_down() {
    row(&[&[0, 0]], ["drop", "reply", "down", "down", "down", "down"]);
}

#[test]
fn a26_no_server_configured() {
    row(&[&[]], ["drop", "reply", "drop", "down", "drop", "drop"]);
}

#[test]
fn a26_one_service_up_and_one_down() {
    row(&[&[1, 1], &[0, 0]], ["drop", "reply", "reply", "down", "down", "server"]);
}

#[test]
fn a26_one_service_up_and_one_without_a_server() {
    row(&[&[], &[1, 1]], ["drop", "reply", "reply", "down", "down", "server"]);
}

#[test]
fn a26_a_policy_follows_its_services_without_being_set_again() {
    let net = &NETS[0];
    let mut lab = Lab::new(1);
    net.set_policy(&mut lab, EchoRule::AnyUp, EchoDown::Host);
    assert_eq!(net.outcome(&mut lab), "drop");
    net.serve(&mut lab, 80, &[1]);
    assert_eq!(net.outcome(&mut lab), "reply");
    net.set_weight(&mut lab, 80, 0, 0);
    assert_eq!(net.outcome(&mut lab), "host");
    net.set_weight(&mut lab, 80, 0, 5);
    assert_eq!(net.outcome(&mut lab), "reply");
    let key = service_key(Protocol::Tcp, net.virtual_, 80);
    lab.change(|draft| draft.del_dest(&key, end(net.servers[0], 8080)).unwrap());
    assert_eq!(net.outcome(&mut lab), "drop");
    lab.change(|draft| draft.del_service(&key).unwrap());
    assert_eq!(net.outcome(&mut lab), "drop");
    lab.change(|draft| draft.del_echo(address(net.virtual_)).unwrap());
    assert_eq!(net.outcome(&mut lab), "reply");
}

#[test]
fn one_address_has_no_say_about_another() {
    let mut lab = Lab::new(1);
    NETS[0].set_policy(&mut lab, EchoRule::Never, EchoDown::Drop);
    assert_eq!(NETS[0].outcome(&mut lab), "drop");
    assert_eq!(NETS[1].outcome(&mut lab), "reply");
}

#[test]
fn a_policy_that_cannot_be_is_refused() {
    let lab = Lab::new(1);
    let mut draft = dpvs_core::tables::Draft::new(&lab.tables);
    let kind = |outcome: Result<(), Refusal>| outcome.unwrap_err().kind;
    let zero = EchoPolicy { rule: EchoRule::Quorum(0), ..EchoPolicy::default() };
    assert_eq!(kind(draft.set_echo(address(NETS[0].virtual_), zero)), RefusalKind::Range);
    let group = address("224.0.0.1");
    assert_eq!(kind(draft.set_echo(group, EchoPolicy::default())), RefusalKind::Invalid);
    assert_eq!(kind(draft.del_echo(address(NETS[0].virtual_))), RefusalKind::NoDest);
}

/// Where an ICMP service stands it has the pings, and a full one drops them: A3 is above B.7.
#[test]
fn an_icmp_service_is_above_the_policy() {
    let net = &NETS[0];
    let mut lab = Lab::new(1);
    net.set_policy(&mut lab, EchoRule::Never, EchoDown::Host);
    lab.service(Protocol::Icmp, net.virtual_, 0, &[(net.servers[0], 0)]);
    assert_eq!(net.outcome(&mut lab), "server");
}

/// The answers of the policy are held against servers that flap; the control thread says for how
/// long.
#[test]
fn a_held_answer_stays_until_it_is_let_go() {
    let net = &NETS[0];
    let mut lab = Lab::new(1);
    net.set_policy(&mut lab, EchoRule::AnyUp, EchoDown::Host);
    net.serve(&mut lab, 80, &[1]);
    let key = service_key(Protocol::Tcp, net.virtual_, 80);
    let down = DestSettings { weight: 0, ..DestSettings::new(Forward::FullNat) };
    lab.change(|draft| {
        draft.set_dest(&key, end(net.servers[0], 8080), down).unwrap();
        draft.hold_echo(address(net.virtual_));
    });
    assert_eq!(net.outcome(&mut lab), "reply");
    assert_eq!(lab.tables.held_echoes().collect::<Vec<_>>(), [address(net.virtual_)]);
    lab.change(|_| {});
    assert_eq!(net.outcome(&mut lab), "host");
    assert_eq!(lab.tables.held_echoes().count(), 0);
}

/// B.6: what we say of ourselves is limited, and the address is told of by its own name.
#[test]
fn refusals_are_limited_and_come_from_the_address() {
    let net = &NETS[0];
    let mut lab = Lab::new(1);
    net.set_policy(&mut lab, EchoRule::AnyUp, EchoDown::Host);
    net.serve(&mut lab, 80, &[0]);
    for _ in 0..6 {
        let frame = net.ping(&mut lab, 0).sent();
        assert_eq!(&frame[26..34], &[203, 0, 113, 80, 198, 51, 100, 10]);
    }
    assert_eq!(net.ping(&mut lab, 0), Outcome::Dropped(DropReason::IcmpEchoDenied));
    assert_eq!(lab.drops(DropReason::IcmpEchoDenied), 7);
    assert_eq!(lab.workers[0].counters().icmp_made_unreachable.get(), 6);
    assert_eq!(lab.workers[0].counters().icmp_made_limited.get(), 1);
}

#[test]
fn a_request_with_more_data_than_allowed_is_dropped() {
    for net in &NETS {
        for rule in [EchoRule::Always, EchoRule::Backend] {
            let mut lab = Lab::new(1);
            net.serve(&mut lab, 80, &[1]);
            let policy = EchoPolicy { rule, down: EchoDown::Drop, data_max: 64 };
            lab.change(|draft| draft.set_echo(address(net.virtual_), policy).unwrap());
            lab.send(0, &net.request().ping(7, 1, &[5; 64])).sent();
            let long = net.request().ping(7, 2, &[5; 65]);
            if rule == EchoRule::Always {
                assert_eq!(lab.send(0, &long), Outcome::Dropped(DropReason::IcmpEchoTooLong));
            }
            // A ping that is under way is not measured again; a new one is.
            let long = net.request().ping(8, 1, &[5; 65]);
            assert_eq!(lab.send(0, &long), Outcome::Dropped(DropReason::IcmpEchoTooLong));
        }
    }
}

/// A timestamp request is nobody's business here, whatever the policy says of echoes.
#[test]
fn timestamps_are_not_echoes() {
    let net = &NETS[0];
    let mut lab = Lab::new(1);
    net.serve(&mut lab, 80, &[1]);
    net.set_policy(&mut lab, EchoRule::Backend, EchoDown::Host);
    let stamp = net.request().icmp(13, 0, [0, 1, 0, 1], &[0; 12]);
    assert_eq!(lab.send(0, &stamp), Outcome::Dropped(DropReason::IcmpQuery));
}

mod backend {
    use super::*;

    fn lab(net: &Net, workers: usize, forward: Forward, weights: &[u32]) -> Lab {
        let mut lab = Lab::new(workers);
        let server = |(address, weight): (&&str, &u32)| {
            (end(address, 8080), DestSettings { weight: *weight, ..DestSettings::new(forward) })
        };
        let servers: Vec<_> = net.servers.iter().zip(weights).map(server).collect();
        lab.serve(&service_key(Protocol::Tcp, net.virtual_, 80), SETTINGS, &servers);
        net.set_policy(&mut lab, EchoRule::Backend, EchoDown::Host);
        lab
    }

    fn id(net: &Net, frame: &[u8]) -> u16 {
        let at = if net.family == Family::V4 { 38 } else { 58 };
        u16::from_be_bytes([frame[at], frame[at + 1]])
    }

    fn ends<'a>(net: &Net, frame: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        match net.family {
            Family::V4 => (&frame[26..30], &frame[30..34]),
            Family::V6 => (&frame[22..38], &frame[38..54]),
        }
    }

    /// As with an ICMP service: two connections, the identifier translated there and back.
    #[test]
    fn a_ping_goes_to_a_server_and_its_reply_comes_back() {
        for net in &NETS {
            for workers in [1, 3, 8] {
                for at in 0..workers {
                    let mut lab = lab(net, workers, Forward::FullNat, &[1, 0]);
                    let request = net.ping(&mut lab, at).sent();
                    assert_checksums(&request);
                    assert_eq!(
                        ends(net, &request),
                        (&*octets(net.local), &*octets(net.servers[0]))
                    );
                    let pong = PacketBuilder::new(net.servers[0], net.local);
                    let reply = lab.send(at, &pong.pong(id(net, &request), 1, b"data")).sent();
                    assert_checksums(&reply);
                    assert_eq!(ends(net, &reply), (&*octets(net.virtual_), &*octets(net.client)));
                    assert_eq!(id(net, &reply), 7);
                    assert_eq!(lab.connections(), 2);
                    lab.pass(61_000);
                    assert_eq!(lab.connections(), 0);
                }
            }
        }
    }

    /// The reply of a NAT server tells nothing of the virtual address: its owner is found all the
    /// same, and so is that of an error about the ping.
    #[test]
    fn a_nat_servers_reply_finds_its_owner() {
        for net in &NETS {
            for workers in [1, 3, 8] {
                for at in 0..workers {
                    let mut lab = lab(net, workers, Forward::Nat, &[1]);
                    let request = net.ping(&mut lab, 0).sent();
                    assert_eq!(
                        ends(net, &request),
                        (&*octets(net.client), &*octets(net.servers[0]))
                    );
                    let pong = PacketBuilder::new(net.servers[0], net.client);
                    let reply = lab.send(at, &pong.pong(7, 1, b"data")).sent();
                    assert_eq!(ends(net, &reply), (&*octets(net.virtual_), &*octets(net.client)));
                    let error = if net.family == Family::V4 { (3, 1) } else { (1, 3) };
                    let router = PacketBuilder::new(net.servers[1], net.client);
                    let error = router.icmp(error.0, error.1, [0; 4], &request[14..]);
                    let told = lab.send(at, &error).sent();
                    assert_eq!(ends(net, &told), (&*octets(net.virtual_), &*octets(net.client)));
                }
            }
        }
    }

    /// An error from the client's side about a reply, on whichever worker it arrives.
    #[test]
    fn an_error_about_a_reply_reaches_the_server() {
        let net = &NETS[0];
        for at in 0..8 {
            let mut lab = lab(net, 8, Forward::FullNat, &[1]);
            let request = net.ping(&mut lab, 0).sent();
            let pong = PacketBuilder::new(net.servers[0], net.local);
            let reply = lab.send(0, &pong.pong(id(net, &request), 1, b"data")).sent();
            let router = PacketBuilder::new("198.51.100.254", net.virtual_);
            let error = lab.send(at, &router.icmp(11, 0, [0; 4], &reply[14..])).sent();
            assert_eq!(ends(net, &error), (&*octets(net.local), &*octets(net.servers[0])));
        }
    }

    #[test]
    fn direct_servers_get_the_ping_as_it_is() {
        let net = &NETS[0];
        let mut lab = Lab::new(1);
        let direct = (end(net.servers[0], 80), DestSettings::new(Forward::Direct));
        lab.serve(&service_key(Protocol::Tcp, net.virtual_, 80), SETTINGS, &[direct]);
        net.set_policy(&mut lab, EchoRule::Backend, EchoDown::Host);
        let sent = net.ping(&mut lab, 0).sent();
        assert_eq!(sent[..6], [2, 0, 0, 0, 0, 3]);
        assert_eq!(sent[14..], net.request().ping(7, 1, b"data")[14..]);
        assert_eq!(lab.connections(), 1);
    }

    /// One client's pings go to one server, whatever their identifiers and whatever other services
    /// the server is in; many clients' to all.
    #[test]
    fn the_server_follows_from_the_client_and_the_address() {
        let net = &NETS[0];
        let mut lab = Lab::with_addresses(3, 2048);
        net.serve(&mut lab, 80, &[1, 1]);
        net.serve(&mut lab, 443, &[1, 1]);
        net.set_policy(&mut lab, EchoRule::Backend, EchoDown::Drop);
        let mut counts = [0; 2];
        for last in 1..=200 {
            let client = PacketBuilder::new(&format!("192.0.2.{last}"), net.virtual_);
            let servers: Vec<u8> = (0..3)
                .map(|n| lab.send(usize::from(n), &client.ping(n, 1, b"")).sent()[33])
                .collect();
            assert!(servers.windows(2).all(|pair| pair[0] == pair[1]), "{servers:?}");
            counts[usize::from(servers[0] - 10)] += 1;
        }
        assert!(counts.iter().all(|count| *count > 60), "{counts:?}");
    }

    /// Only the pings of the server that went down move.
    #[test]
    fn a_ping_leaves_a_server_that_goes_down_and_no_other() {
        let net = &NETS[0];
        let mut lab = lab(net, 1, Forward::FullNat, &[1, 1]);
        let before = net.ping(&mut lab, 0).sent()[33];
        let (this, other) = if before == 10 { (0, 1) } else { (1, 0) };
        net.set_weight(&mut lab, 80, other, 0);
        assert_eq!(net.ping(&mut lab, 0).sent()[33], before);
        net.set_weight(&mut lab, 80, other, 1);
        net.set_weight(&mut lab, 80, this, 0);
        assert_ne!(net.ping(&mut lab, 0).sent()[33], before);
        net.set_weight(&mut lab, 80, other, 0);
        assert_eq!(net.outcome(&mut lab), "host");
        assert_eq!(lab.connections(), 0, "what went to servers that are down has ended");
    }

    /// A held answer does not send pings to servers that are down.
    #[test]
    fn a_ping_is_refused_while_the_answer_is_held_and_no_server_is_up() {
        let net = &NETS[0];
        let mut lab = lab(net, 1, Forward::FullNat, &[1]);
        let key = service_key(Protocol::Tcp, net.virtual_, 80);
        let down = DestSettings { weight: 0, ..DestSettings::new(Forward::FullNat) };
        lab.change(|draft| {
            draft.set_dest(&key, end(net.servers[0], 8080), down).unwrap();
            draft.hold_echo(address(net.virtual_));
        });
        let echo = lab.tables.echo(address(net.virtual_)).unwrap();
        assert_eq!(echo.answer, EchoAnswer::Backend);
        assert_eq!(net.outcome(&mut lab), "host");
    }

    /// A ping that runs for hours follows the policy, and an ICMP service, when they come.
    #[test]
    fn a_running_ping_follows_what_is_configured() {
        let net = &NETS[0];
        let mut lab = lab(net, 1, Forward::FullNat, &[1]);
        assert_eq!(net.outcome(&mut lab), "server");
        net.set_policy(&mut lab, EchoRule::Never, EchoDown::Drop);
        assert_eq!(net.outcome(&mut lab), "drop");
        net.set_policy(&mut lab, EchoRule::Backend, EchoDown::Drop);
        assert_eq!(net.outcome(&mut lab), "server");
        lab.service(Protocol::Icmp, net.virtual_, 0, &[]);
        assert_eq!(net.ping(&mut lab, 0), Outcome::Dropped(DropReason::NoDest));
        let key = service_key(Protocol::Icmp, net.virtual_, 0);
        lab.change(|draft| draft.del_service(&key).unwrap());
        assert_eq!(net.outcome(&mut lab), "server");
        let key = service_key(Protocol::Tcp, net.virtual_, 80);
        lab.change(|draft| draft.del_service(&key).unwrap());
        assert_eq!(net.outcome(&mut lab), "drop");
    }

    /// Persistence and one-packet scheduling are of the service's own connections.
    #[test]
    fn settings_of_the_service_that_are_not_for_pings_do_not_touch_them() {
        let net = &NETS[0];
        let persistence = Persistence { timeout_ms: 300_000, mask: Persistence::MASK_WHOLE << 8 };
        let persistent = ServiceSettings { persistence: Some(persistence), ..SETTINGS };
        let one_packet = ServiceSettings { one_packet: true, ..SETTINGS };
        for (settings, protocol) in [(persistent, Protocol::Tcp), (one_packet, Protocol::Udp)] {
            for at in 0..4 {
                let mut lab = Lab::new(4);
                let server = (end(net.servers[0], 8080), DestSettings::new(Forward::FullNat));
                lab.serve(&service_key(protocol, net.virtual_, 80), settings, &[server]);
                net.set_policy(&mut lab, EchoRule::Backend, EchoDown::Drop);
                let request = net.ping(&mut lab, at).sent();
                assert_eq!(net.ping(&mut lab, 0).sent(), request);
                let pong = PacketBuilder::new(net.servers[0], net.local);
                lab.send(at, &pong.pong(id(net, &request), 1, b"data")).sent();
                assert_eq!(lab.connections(), 2);
            }
        }
    }

    /// Who may not connect is not let through as a ping either.
    #[test]
    fn a_client_on_the_black_list_is_kept_out() {
        let net = &NETS[0];
        let mut lab = lab(net, 1, Forward::FullNat, &[1]);
        let key = service_key(Protocol::Tcp, net.virtual_, 80);
        let list = dpvs_core::tables::AccessList::Black;
        lab.change(|draft| draft.add_access(&key, list, address(net.client)).unwrap());
        assert_eq!(net.ping(&mut lab, 0), Outcome::Dropped(DropReason::Denied));
    }

    /// A wrong checksum is never made right by an update, nor answered.
    #[test]
    fn a_corrupt_request_goes_nowhere() {
        let net = &NETS[0];
        let mut frame = net.request().ping(7, 1, b"data");
        frame[36] ^= 1;
        let mut lab = lab(net, 1, Forward::FullNat, &[1]);
        assert_eq!(lab.send(0, &frame), Outcome::Dropped(DropReason::IcmpBadChecksum));
        net.set_weight(&mut lab, 80, 0, 0);
        assert_eq!(lab.send(0, &frame), Outcome::Dropped(DropReason::IcmpBadChecksum));
        assert_eq!(lab.connections(), 0);
    }

    /// A ping with one hop left ends here, and a traceroute leaves no connection.
    #[test]
    fn a_ping_that_ends_here_makes_no_connection() {
        let net = &NETS[0];
        let mut lab = lab(net, 1, Forward::FullNat, &[1]);
        let told = lab.send(0, &net.request().ttl(1).ping(7, 1, b"data")).sent();
        assert_eq!(told[34..36], [11, 0]);
        assert_eq!(lab.connections(), 0);
    }

    #[test]
    fn the_two_halves_are_those_of_any_ping() {
        let net = &NETS[0];
        let mut lab = lab(net, 1, Forward::FullNat, &[1]);
        let request = net.ping(&mut lab, 0).sent();
        let pong = PacketBuilder::new(net.servers[0], net.local);
        lab.send(0, &pong.pong(id(net, &request), 1, b"data")).sent();
        let table = lab.workers[0].connections();
        let all: Vec<_> = (0..table.positions())
            .filter_map(|at| table.get(dpvs_core::conn::ConnIndex(at)))
            .collect();
        assert_eq!(all.len(), 2);
        for conn in all {
            assert!(matches!(conn.state, State::Request { .. } | State::Reply { .. }));
            assert_eq!(
                (conn.client(), conn.virtual_()),
                (end(net.client, 7), end(net.virtual_, 0))
            );
            assert_eq!(conn.dest_end(), end(net.servers[0], 0));
        }
    }
}

mod local {
    use super::*;

    /// the reply comes from the address that was pinged, with all data, the TOS of the
    /// request, and a time to live of its own.
    #[test]
    fn a25_a_reply_is_the_request_turned_round() {
        let mut lab = Lab::new(1);
        let request = NETS[0].request().tos(0xb8).ttl(3);
        let reply = lab.send(0, &request.ping(0x1234, 0x0506, b"payload")).sent();
        let expected = [
            &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0xbb, 8, 0][..],
            &[0x45, 0xb8, 0, 35, 0xab, 0xcd, 0x40, 0, 64, 1, 0x27, 0xc6],
            &[203, 0, 113, 80, 198, 51, 100, 10],
            &[0, 0, 0x2b, 0x96, 0x12, 0x34, 5, 6],
            b"payload",
        ]
        .concat();
        assert_checksums(&reply);
        assert_eq!(reply, expected);
        let request = NETS[1].request().tos(0xb8).ttl(3);
        let reply = lab.send(0, &request.ping(0x1234, 0x0506, b"payload")).sent();
        assert_checksums(&reply);
        assert_eq!(reply[14..22], [0x6b, 0x80, 0, 0, 0, 15, 58, 64]);
        assert_eq!(reply[22..54], [octets(NETS[1].virtual_), octets(NETS[1].client)].concat());
        assert_eq!(
            (&reply[54..56], &reply[58..]),
            (&[129, 0][..], &b"\x12\x34\x05\x06payload"[..])
        );
    }

    /// any length up to the link's, and a request in parts is the kernel's.
    #[test]
    fn a27_data_of_every_length_comes_back() {
        for (net, longest) in NETS.iter().zip([1472, 1452]) {
            let mut lab = Lab::new(1);
            for len in [0, 1, 2, 63, 64, longest - 1, longest] {
                let data: Vec<u8> = (0..=255).cycle().take(len).collect();
                let reply = lab.send(0, &net.request().ping(1, 2, &data)).sent();
                assert_checksums(&reply);
                let at = if net.family == Family::V4 { 42 } else { 62 };
                assert_eq!(reply[at..], data);
            }
            let long = net.request().ping(1, 2, &vec![0; longest + 1]);
            assert_eq!(lab.send(0, &long), Outcome::Dropped(DropReason::TooBig));
        }
        let mut lab = Lab::new(1);
        let part = NETS[0].request().flags_fragment(0x2000).ping(1, 2, &[0; 1472]);
        // There is no kernel here.
        assert_eq!(lab.send(0, &part), Outcome::Dropped(DropReason::NoKernelInterface));
    }

    /// A-28 and B12: whatever the request's checksum is, the reply's is right.
    #[test]
    fn a28_all_checksums_of_replies_are_right() {
        for net in &NETS {
            let mut lab = Lab::new(1);
            lab.change(|draft| draft.tables_mut().limits.icmp.echo_per_s = 0);
            let at = if net.family == Family::V4 { 36 } else { 56 };
            let mut seen = vec![false; 65_536];
            for word in 0..=u16::MAX {
                let request = net.request().ping(1, 1, &word.to_be_bytes());
                seen[usize::from(u16::from_be_bytes([request[at], request[at + 1]]))] = true;
                assert_checksums(&lab.send(0, &request).sent());
                if request[at..at + 2] == [0, 0] {
                    let other_zero = [&request[..at], &[0xff, 0xff], &request[at + 2..]].concat();
                    seen[0xffff] = true;
                    assert_checksums(&lab.send(0, &other_zero).sent());
                }
            }
            assert!(seen.iter().all(|seen| *seen));
        }
    }

    /// addresses that are not ours, and sources that are nobody's.
    #[test]
    fn a29_only_our_addresses_answer_and_only_hosts() {
        let mut lab = Lab::new(1);
        let send = |lab: &mut Lab, src: &str, dst: &str| {
            lab.send(0, &PacketBuilder::new(src, dst).ping(3, 4, b""))
        };
        for (net, other) in NETS.iter().zip(["203.0.113.81", "2001:db8:80::81"]) {
            let outcome = send(&mut lab, net.client, other);
            assert_eq!(outcome, Outcome::Dropped(DropReason::NotForUs));
            let outcome = send(&mut lab, net.virtual_, net.virtual_);
            assert_eq!(outcome, Outcome::Dropped(DropReason::BadSource));
        }
        for src in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"] {
            let outcome = send(&mut lab, src, NETS[0].virtual_);
            assert!(matches!(outcome, Outcome::Dropped(_)), "{src}: {outcome:?}");
        }
    }
}
