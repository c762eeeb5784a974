// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many TCP connections at once, on one thread at either end.

use crate::namespace::Namespace;
use crate::station::Station;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

impl Station {
    /// Starts a TCP server on all addresses that answers each byte with its own mark.
    pub fn marking(namespace: &Namespace, port: u16, mark: u8) -> Station {
        let listener = namespace.within(|| TcpListener::bind(("::", port)).expect("a free port"));
        listener.set_nonblocking(true).expect("a socket");
        Station::run(move |ended| {
            let mut streams = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                let mut is_idle = true;
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true).expect("a socket");
                    streams.push(stream);
                    is_idle = false;
                }
                streams.retain_mut(|stream: &mut TcpStream| {
                    let mut buffer = [0; 64];
                    match stream.read(&mut buffer) {
                        Ok(0) => false,
                        Ok(len) => {
                            is_idle = false;
                            stream.write_all(&vec![mark; len]).is_ok()
                        }
                        Err(e) => e.kind() == std::io::ErrorKind::WouldBlock,
                    }
                });
                if is_idle {
                    sleep(Duration::from_millis(2));
                }
            }
        })
    }
}

/// Connections of a client, which ask all at once.
#[derive(Debug)]
pub struct Flows {
    streams: Vec<TcpStream>,
}

impl Flows {
    /// Opens `count` connections to `peer`, address and port.
    pub fn open(from: &Namespace, peer: &str, count: usize) -> Flows {
        let peer: SocketAddr = peer.parse().expect("address and port");
        let patience = Duration::from_secs(5);
        let connect = |number| {
            let stream = TcpStream::connect_timeout(&peer, patience);
            let stream = stream.unwrap_or_else(|e| panic!("flow {number}: {e}"));
            stream.set_nonblocking(true).expect("a socket");
            stream
        };
        Flows { streams: from.within(|| (0..count).map(connect).collect()) }
    }

    /// Returns the ports that they come from.
    pub fn ports(&self) -> Vec<u16> {
        self.streams.iter().map(|s| s.local_addr().expect("an address").port()).collect()
    }

    /// Sends a byte on each, and returns for each the mark that was answered, if any was within
    /// `limit`.
    pub fn ask(&mut self, limit: Duration) -> Vec<Option<u8>> {
        for stream in &mut self.streams {
            // A broken one does not answer.
            let _ = stream.write_all(b"?");
        }
        self.answers(limit)
    }

    /// Waits for the answers to bytes that were sent before.
    pub fn answers(&mut self, limit: Duration) -> Vec<Option<u8>> {
        let end = Instant::now() + limit;
        let mut marks = vec![None; self.streams.len()];
        while marks.contains(&None) && Instant::now() < end {
            for (stream, mark) in self.streams.iter_mut().zip(&mut marks) {
                let mut buffer = [0; 64];
                if let (None, Ok(1..)) = (&mark, stream.read(&mut buffer)) {
                    *mark = Some(buffer[0]);
                }
            }
            sleep(Duration::from_millis(2));
        }
        marks
    }
}

/// Counts answers by who gave them.
pub fn count(answers: &[Option<u8>]) -> BTreeMap<Option<u8>, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(*answer).or_default() += 1;
    }
    counts
}
