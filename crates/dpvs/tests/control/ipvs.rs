// SPDX-License-Identifier: MIT OR Apache-2.0
//! The door for stock tools: what they send and what they get, byte by byte.

use super::harness::Daemon;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::TimeVal;
use serde_json::{Value, json};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

const GET_FAMILY: &str =
    "20000000 1000 0500 SSSSSSSS PPPPPPPP 03010000 0900 0200 49505653 00 000000";
const GET_INFO: &str = "14000000 1c00 0500 SSSSSSSS PPPPPPPP 0f010000";
const GET_CONFIG: &str = "14000000 1c00 0500 SSSSSSSS PPPPPPPP 0d010000";
const LIST: &str = "14000000 1c00 0503 SSSSSSSS PPPPPPPP 04010000";
const FLUSH: &str = "14000000 1c00 0500 SSSSSSSS PPPPPPPP 11010000";
/// `-t 10.0.0.1:80 -s rr`.
const SERVICE: &str = "5400 0180  0600 0100 0200 0000  0600 0200 0600 0000
    1400 0300 0a000001 000000000000000000000000  0600 0400 0050 0000  0700 0600 727200 00
    0c00 0700 00000000 ffffffff  0800 0800 00000000  0800 0900 ffffffff";
/// `-r 10.1.1.1:8080 -m -w 5`.
const DEST: &str = "6000 0280  0600 0b00 0200 0000
    1400 0100 0a010101 000000000000000000000000  0600 0200 1f90 0000  0800 0300 00000000
    0800 0400 05000000  0500 0d00 00 000000  0600 0e00 0000 0000  0600 0f00 0000 0000
    0800 0500 00000000  0800 0600 00000000";
/// Ten counters and rates of zero, as 32-bit and as 64-bit numbers.
const ZEROS: &str = "5c00 0a00 0800 0100 00000000  0800 0200 00000000  0800 0300 00000000
    0c00 0400 0000000000000000  0c00 0500 0000000000000000  0800 0600 00000000
    0800 0700 00000000  0800 0800 00000000  0800 0900 00000000  0800 0a00 00000000
    7c00 0c00 0c00 0100 0000000000000000  0c00 0200 0000000000000000
    0c00 0300 0000000000000000  0c00 0400 0000000000000000  0c00 0500 0000000000000000
    0c00 0600 0000000000000000  0c00 0700 0000000000000000  0c00 0800 0000000000000000
    0c00 0900 0000000000000000  0c00 0a00 0000000000000000";
const DONE: &str = "14000000 0300 0200 SSSSSSSS PPPPPPPP 00000000";

/// Reads bytes from text; S is the sequence number, P the port.
fn bytes(text: &str) -> Vec<u8> {
    let text = text.replace("SSSSSSSS", "04030201").replace("PPPPPPPP", "08070605");
    let digits: String = text.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// A service message of a command.
fn service(command: &str) -> String {
    format!("68000000 1c00 0500 SSSSSSSS PPPPPPPP {command}010000 {SERVICE}")
}

/// A real server message of a command.
fn dest(command: &str) -> String {
    format!("c8000000 1c00 0500 SSSSSSSS PPPPPPPP {command}010000 {SERVICE} {DEST}")
}

/// How a request ends, by its length, its family and flags, and the error.
fn end(len: &str, kind: &str, code: &str) -> String {
    format!("24000000 0200 0001 SSSSSSSS PPPPPPPP {code} {len}000000 {kind} SSSSSSSS PPPPPPPP")
}

/// The key of a service, as the other door takes it.
fn web(port: u16) -> Value {
    json!({"protocol": "tcp", "address": "10.0.0.1", "port": port})
}

/// A client of the door.
struct Guest(OwnedFd);

impl Guest {
    fn of(daemon: &Daemon) -> Guest {
        let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::empty(), None).unwrap();
        let path = daemon.path.with_extension("ipvs");
        connect(fd.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(20, 0)).unwrap();
        Guest(fd)
    }

    fn say(&self, packet: &[u8]) {
        assert_eq!(send(self.0.as_raw_fd(), packet, MsgFlags::MSG_NOSIGNAL), Ok(packet.len()));
    }

    fn hear(&self) -> Vec<u8> {
        let mut buffer = vec![0; 1 << 17];
        let len = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()).unwrap();
        buffer.truncate(len);
        buffer
    }

    /// Says one packet and hears these.
    #[track_caller]
    fn exchange(&self, request: &str, answers: &[String]) {
        self.say(&bytes(request));
        for answer in answers {
            let (heard, wanted) = (self.hear(), bytes(answer));
            assert_eq!(heard, wanted, "\n{heard:02x?}\n{wanted:02x?}");
        }
    }

    /// Says one packet that is answered with an error, and returns that.
    fn refused(&self, packet: &[u8]) -> Errno {
        self.say(packet);
        let heard = self.hear();
        assert_eq!(heard[4..6], [2, 0], "{heard:02x?}");
        Errno::from_raw(-i32::from_ne_bytes(heard[16..20].try_into().unwrap()))
    }
}

#[test]
fn the_family_is_told_by_its_name() {
    let daemon = Daemon::start(1);
    let family = "40000000 1000 0000 SSSSSSSS PPPPPPPP 01020000 0600 0100 1c00 0000
        0900 0200 49505653 00 000000  0800 0300 01000000  0800 0400 00000000  0800 0500 06000000";
    let guest = Guest::of(&daemon);
    guest.exchange(GET_FAMILY, &[family.to_owned(), end("20", "1000 0500", "00000000")]);
    let other = GET_FAMILY.replace("49505653", "49505654");
    guest.exchange(&other, &[end("20", "1000 0500", "feffffff")]);
}

#[test]
fn version_size_and_timeouts_are_told() {
    let daemon = Daemon::start(1);
    let guest = Guest::of(&daemon);
    let info = "24000000 1c00 0000 SSSSSSSS PPPPPPPP 0e010000
        0800 0100 01020100  0800 0200 00100000";
    guest.exchange(GET_INFO, &[info.to_owned(), end("14", "1c00 0500", "00000000")]);
    let config = "2c000000 1c00 0000 SSSSSSSS PPPPPPPP 0c010000
        0800 0400 84030000  0800 0500 78000000  0800 0600 2c010000";
    guest.exchange(GET_CONFIG, &[config.to_owned(), end("14", "1c00 0500", "00000000")]);
}

#[test]
fn a_service_is_added_listed_and_deleted() {
    let daemon = Daemon::start(1);
    let guest = Guest::of(&daemon);
    guest.exchange(LIST, &[DONE.to_owned()]);
    guest.exchange(&service("01"), &[end("68", "1c00 0500", "00000000")]);
    guest.exchange(&service("01"), &[end("68", "1c00 0500", "efffffff")]); // EEXIST
    let listed = format!(
        "40010000 1c00 0200 SSSSSSSS PPPPPPPP 01010000 2c01 0100
         0600 0100 0200 0000  0600 0200 0600 0000  1400 0300 0a000001 000000000000000000000000
         0600 0400 0050 0000  0700 0600 727200 00  0c00 0700 00000000 ffffffff
         0800 0800 00000000  0800 0900 ffffffff {ZEROS}"
    );
    guest.exchange(LIST, &[format!("{listed} {DONE}")]);
    let single = listed.replacen("0200 SSSSSSSS", "0000 SSSSSSSS", 1);
    guest.exchange(&service("04"), &[single, end("68", "1c00 0500", "00000000")]);
    guest.exchange(&service("03"), &[end("68", "1c00 0500", "00000000")]);
    guest.exchange(&service("03"), &[end("68", "1c00 0500", "fdffffff")]); // ESRCH
    guest.exchange(&service("04"), &[end("68", "1c00 0500", "fdffffff")]);
}

#[test]
fn a_real_server_is_added_listed_and_deleted() {
    let daemon = Daemon::start(1);
    let guest = Guest::of(&daemon);
    guest.exchange(&dest("05"), &[end("c8", "1c00 0500", "fdffffff")]); // ESRCH
    guest.exchange(&service("01"), &[end("68", "1c00 0500", "00000000")]);
    guest.exchange(&dest("06"), &[end("c8", "1c00 0500", "feffffff")]); // ENOENT
    guest.exchange(&dest("05"), &[end("c8", "1c00 0500", "00000000")]);
    let ask = format!("68000000 1c00 0503 SSSSSSSS PPPPPPPP 08010000 {SERVICE}");
    let listed = format!(
        "64010000 1c00 0200 SSSSSSSS PPPPPPPP 05010000 5001 0200
         1400 0100 0a010101 000000000000000000000000  0600 0200 1f90 0000  0800 0300 00000000
         0800 0400 05000000  0500 0d00 00 000000  0600 0e00 0000 0000  0600 0f00 0000 0000
         0800 0500 00000000  0800 0600 00000000  0800 0700 00000000  0800 0800 00000000
         0800 0900 00000000  0600 0b00 0200 0000 {ZEROS}"
    );
    guest.exchange(&ask, &[format!("{listed} {DONE}")]);
    guest.exchange(&dest("07"), &[end("c8", "1c00 0500", "00000000")]);
    guest.exchange(&dest("07"), &[end("c8", "1c00 0500", "feffffff")]);
    guest.exchange(&ask, &[DONE.to_owned()]);
}

#[test]
fn full_nat_stays_full_nat_when_a_stock_tool_edits_the_server() {
    let daemon = Daemon::start(1);
    let (guest, mut client) = (Guest::of(&daemon), daemon.client());
    let key = web(80);
    let with = |forward: &str| json!({"service": key, "address": "10.1.1.1", "port": 8080, "forward": forward});
    client.ok("service.add", json!({"service": key, "conn_timeout": 33}));
    client.ok("dest.add", with("fullnat"));
    let mut edited = |request: &str, method: &str| -> Value {
        guest.exchange(request, &[end(&request[..2], "1c00 0500", "00000000")]);
        let one = client.ok("service.get", json!({"service": key}));
        json!([one["dests"][0]["forward"], one["dests"][0]["weight"], one[method]])
    };
    // What only dpvs has stays, what stock tools can say is theirs.
    assert_eq!(edited(&dest("06"), "conn_timeout"), json!(["fullnat", 5, 33]));
    assert_eq!(edited(&service("02"), "conn_timeout"), json!(["fullnat", 5, 33]));
    assert_eq!(edited(&service("02"), "scheduler"), json!(["fullnat", 5, "rr"]));
    let direct = dest("06").replace("0800 0300 00000000", "0800 0300 03000000");
    assert_eq!(edited(&direct, "persistent"), json!(["direct", 5, 0]));
    // From there it is what was said.
    assert_eq!(edited(&dest("06"), "persistent"), json!(["nat", 5, 0]));
}

#[test]
fn services_that_stock_tools_cannot_name_are_hidden_and_survive_their_flush() {
    let daemon = Daemon::start(1);
    let (guest, mut client) = (Guest::of(&daemon), daemon.client());
    let icmp = json!({"protocol": "icmp", "address": "10.0.0.1", "port": 0});
    client.ok("service.add", json!({"service": icmp}));
    client.ok("service.add", json!({"service": {"match": {"src_range": "10.9.0.0-10.9.0.9"}}}));
    client.ok("service.add", json!({"service": web(443)}));
    guest.exchange(FLUSH, &[end("14", "1c00 0500", "00000000")]);
    guest.exchange(LIST, &[DONE.to_owned()]);
    let left = client.ok("service.list", json!({}));
    assert_eq!(left["services"].as_array().unwrap().len(), 2, "{left}");
    client.ok("service.flush", json!({}));
    guest.exchange(FLUSH, &[end("14", "1c00 0500", "00000000")]);
}

#[test]
fn a_long_listing_comes_in_packets_that_stock_tools_have_room_for() {
    let daemon = Daemon::start(1);
    let (guest, mut client) = (Guest::of(&daemon), daemon.client());
    for port in 1..=300 {
        client.ok("service.add", json!({"service": web(port)}));
    }
    // One with more servers than a page has rows: it must not be listed twice.
    for last in 1..=280 {
        let (high, low) = (last / 250, last % 250 + 1);
        let server = format!("10.1.{high}.{low}");
        client.ok(
            "dest.add",
            json!({"service": web(5), "address": server, "port": 80,
            "forward": "nat"}),
        );
    }
    guest.say(&bytes(LIST));
    let (mut services, mut packets) = (0, 0);
    loop {
        let packet = guest.hear();
        assert!(packet.len() <= 16384, "{}", packet.len());
        packets += 1;
        let (mut rest, mut is_done) = (&packet[..], false);
        while !rest.is_empty() {
            let len = usize::try_from(u32::from_ne_bytes(rest[..4].try_into().unwrap())).unwrap();
            is_done |= rest[4] == 3;
            services += usize::from(rest[4] == 0x1c);
            rest = &rest[len..];
        }
        if is_done {
            break;
        }
    }
    assert_eq!(services, 300);
    assert!(packets >= 6, "{packets}");
}

#[test]
fn what_cannot_be_done_is_refused_with_the_number_that_tells_why() {
    let daemon = Daemon::start(1);
    let guest = Guest::of(&daemon);
    let header = |command: &str| format!("14000000 1c00 0500 SSSSSSSS PPPPPPPP {command}010000");
    for (request, errno) in [
        (header("09"), Errno::ENOSYS),     // start-daemon
        (header("0a"), Errno::ENOSYS),     // stop-daemon
        (header("63"), Errno::EOPNOTSUPP), // no such command
        (header("01"), Errno::EINVAL),     // a service without one
        (service("01").replace("727200 00", "727a00 00"), Errno::ENOENT), // scheduler rz
        (service("01").replace("0600 0100 0200", "0600 0100 0700"), Errno::EAFNOSUPPORT),
        (service("01").replace("0600 0200 0600", "0600 0200 0100"), Errno::EPROTONOSUPPORT),
        // A firewall mark.
        (service("03").replace("0800 0800", "0800 0500"), Errno::ENOSYS),
        // No such family.
        ("14000000 1d00 0500 SSSSSSSS PPPPPPPP 01010000".to_owned(), Errno::ENOENT),
    ] {
        assert_eq!(guest.refused(&bytes(&request)), errno, "{request}");
    }
}

#[test]
fn garbage_is_answered_where_it_can_be_and_costs_nobody_anything() {
    let daemon = Daemon::start(1);
    let (guest, other) = (Guest::of(&daemon), Guest::of(&daemon));
    // A length that is more, or less, than there is.
    for len in ["ff000000", "04000000", "00000000", "ffffffff"] {
        let request = GET_INFO.replacen("14000000", len, 1);
        assert_eq!(guest.refused(&bytes(&request)), Errno::EINVAL, "{len}");
    }
    // Attributes that do not fit together.
    let cut = service("01").replace("5400 0180", "5600 0180");
    assert_eq!(guest.refused(&bytes(&cut)), Errno::EINVAL);
    assert_eq!(guest.refused(&[bytes(GET_INFO), vec![7; 100_000]].concat()), Errno::EMSGSIZE);
    // Without a header, or without the mark of a request, there is nobody to answer.
    guest.say(b"garbage");
    guest.say(&bytes(&GET_INFO.replacen("0500", "0000", 1)));
    // Two in a packet.
    guest.say(&[bytes(LIST), bytes(LIST)].concat());
    assert_eq!(guest.hear(), bytes(DONE));
    assert_eq!(guest.hear(), bytes(DONE));
    // One that asks without end and never listens.
    for _ in 0..100 {
        if send(guest.0.as_raw_fd(), &bytes(LIST), MsgFlags::MSG_DONTWAIT).is_err() {
            break;
        }
    }
    let start = Instant::now();
    other.exchange(LIST, &[DONE.to_owned()]);
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn connections_are_listed_as_text() {
    let daemon = Daemon::start(1);
    let guest = Guest::of(&daemon);
    guest.say(&bytes("14000000 1c00 0103 SSSSSSSS PPPPPPPP 40010000"));
    let heard = guest.hear();
    assert_eq!(&heard[..4], &[104, 0, 0, 0]);
    let text = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n";
    assert_eq!(&heard[20..24], &[84, 0, 1, 0]);
    assert_eq!(&heard[24..104], text.as_bytes());
    assert_eq!(&heard[104..], bytes(DONE));
}
