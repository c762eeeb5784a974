// SPDX-License-Identifier: MIT OR Apache-2.0
//! A daemon between two capture files, the first of which is a pipe that is never empty.
//!
//! The driver reads a file at once and to its end, before anything is configured; from a pipe it
//! waits for frames, a burst of 32 at a time, and its worker with it. So a thread writes frames that
//! nobody wants, all the time, and the test's own in between.

use dpvs_tests::run::{self, wait_until};
use dpvs_tests::{Daemon, Run};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, Sender, TryRecvError};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;
use tempfile::TempDir;

/// Header of a capture file: microseconds, version 2.4, frames up to 64 KiB, Ethernet.
const FILE_HEADER: [u8; 24] =
    [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0];
const FRAME_HEADER_LEN: usize = 16;
const BURST: usize = 32;

/// One number for each of the two kinds, so that it is known which is taken.
const CONFIG: &str = "\
[local_ports]
first = 5000
last = 5000
[identifiers]
first = 7
last = 7
";

/// A daemon with one port, on two capture files.
pub(crate) struct Wire {
    directory: TempDir,
    frames: Option<Sender<Vec<u8>>>,
    filler: Option<JoinHandle<()>>,
    seen: usize,
    _daemon: Daemon,
}

impl Wire {
    /// Starts it, with addresses on both sides and both neighbours known.
    pub(crate) fn new() -> Wire {
        let directory = TempDir::with_prefix("dpvs-pcap-").unwrap();
        let path = |name: &str| directory.path().join(name);
        mkfifo(&path("in"), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        fs::write(path("dpvs.toml"), CONFIG).unwrap();
        let (frames, filler) = fill(path("in"));
        let [program, socket_option, socket] = Daemon::arguments(&path("dpvs.sock"));
        let mut command = Command::new(program);
        command.args([&socket_option, &socket, "--config"]).arg(path("dpvs.toml"));
        let device = format!("dpdk0=pcap:{},{}", path("in").display(), path("out").display());
        command.args(["--port", &device]);
        let daemon = Daemon::start(&mut command, directory.path(), &path("dpvs.sock"));
        let wire = Wire {
            directory,
            frames: Some(frames),
            filler: Some(filler),
            seen: 0,
            _daemon: daemon,
        };
        wire.all(
            "dpip addr add 10.1.0.1/24 dev dpdk0
             dpip addr add 10.2.0.1/24 dev dpdk0
             dpip addr add 10.0.0.100/32 dev dpdk0
             dpip neigh add 10.1.0.10 lladdr 02:00:00:00:00:0c dev dpdk0
             dpip neigh add 10.2.0.11 lladdr 02:00:00:00:00:05 dev dpdk0",
        );
        wire
    }

    /// Runs commands, each of which must succeed.
    pub(crate) fn all(&self, script: &str) {
        for line in script.lines().map(str::trim) {
            let mut words = line.split_whitespace();
            let mut command = Command::new(run::program(words.next().unwrap()));
            command.args(words).env("DPVS_SOCKET", self.directory.path().join("dpvs.sock"));
            Run::of(line, &mut command).ok();
        }
    }

    /// Sends a frame and checks that this one, and no other, comes out.
    #[track_caller]
    pub(crate) fn exchange(&mut self, frame: &str, expected: &str) {
        self.frames.as_ref().unwrap().send(bytes(frame)).unwrap();
        let out = self.directory.path().join("out");
        wait_until("a frame comes out", || read_capture(&out).len() > self.seen);
        let new = read_capture(&out).split_off(self.seen);
        self.seen += new.len();
        assert_eq!(new.iter().map(|f| hex(f)).collect::<Vec<_>>(), [hex(&bytes(expected))]);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // The filler ends when nobody can send it frames any more.
        self.frames = None;
        if let Some(filler) = self.filler.take() {
            // Its panic has been printed where it happened.
            let _ = filler.join();
        }
    }
}

/// Writes frames into a pipe until the sender is dropped: those sent, others all the time.
fn fill(path: PathBuf) -> (Sender<Vec<u8>>, JoinHandle<()>) {
    let (sender, frames) = mpsc::channel::<Vec<u8>>();
    // Open for reading too: the pipe stays one while the daemon only looks whether it may read it.
    let mut open = OpenOptions::new();
    open.read(true).write(true).custom_flags(nix::libc::O_NONBLOCK);
    let mut pipe = open.open(path).unwrap();
    pipe.write_all(&FILE_HEADER).unwrap();
    let mut nothing = bytes(crate::OUR_MAC);
    nothing.extend(bytes("02000000000c 88b5"));
    nothing.resize(60, 0);
    let nothing = captured(&nothing).repeat(BURST);
    let work = move || {
        loop {
            let next = match frames.try_recv() {
                Ok(frame) => captured(&frame),
                Err(TryRecvError::Empty) => nothing.clone(),
                Err(TryRecvError::Disconnected) => return,
            };
            // Below the size up to which a pipe takes all or nothing.
            assert!(next.len() < 4096);
            while let Err(error) = pipe.write_all(&next) {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                sleep(Duration::from_millis(1));
            }
        }
    };
    (sender, thread::spawn(work))
}

/// A frame as it stands in a capture file.
fn captured(frame: &[u8]) -> Vec<u8> {
    let len = u32::try_from(frame.len()).unwrap().to_le_bytes();
    [&[0; 8][..], &len, &len, frame].concat()
}

/// Reads the whole frames of a capture file that grows.
fn read_capture(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap_or_default();
    let mut rest = bytes.get(FILE_HEADER.len()..).unwrap_or_default();
    let mut frames = Vec::new();
    while rest.len() >= FRAME_HEADER_LEN {
        let (header, after) = rest.split_at(FRAME_HEADER_LEN);
        let len = u32::from_le_bytes(header[8..12].try_into().unwrap());
        let Some((frame, after)) = after.split_at_checked(usize::try_from(len).unwrap()) else {
            break;
        };
        frames.push(frame.to_vec());
        rest = after;
    }
    frames
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    format!("{bytes:02x?}")
}
