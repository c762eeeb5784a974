// SPDX-License-Identifier: MIT OR Apache-2.0
//! Servers on real servers: HTTP and UDP echo, as threads inside their namespace.

use crate::namespace::Namespace;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

/// How often a server looks whether it is to end.
const TICK: Duration = Duration::from_millis(50);

/// A server that ends when dropped.
#[derive(Debug)]
pub struct Station {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Station {
    /// Starts an HTTP server on all addresses of both families.
    ///
    /// `GET /` answers with `name`, `GET /peer` with the client's address as it is seen here,
    /// `GET /bytes/N` with N bytes, any request with a body with the number of bytes that came.
    pub fn http(namespace: &Namespace, port: u16, name: &str) -> Station {
        let listener = namespace.within(|| TcpListener::bind(("::", port)).expect("a free port"));
        listener.set_nonblocking(true).expect("a socket");
        let name = name.to_owned();
        Station::run(move |ended| {
            while !ended.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let name = name.clone();
                        // A client may leave in the middle: its thread ends with an error.
                        thread::spawn(move || serve(&stream, &name));
                    }
                    Err(_) => sleep(Duration::from_millis(2)),
                }
            }
        })
    }

    /// Starts a UDP server that sends every datagram back, from the address it was sent to.
    pub fn udp_echo(namespace: &Namespace, address: IpAddr, port: u16) -> Station {
        let socket = namespace.within(|| UdpSocket::bind((address, port)).expect("a free port"));
        socket.set_read_timeout(Some(TICK)).expect("a socket");
        Station::run(move |ended| {
            let mut buffer = vec![0; 65_535];
            while !ended.load(Ordering::Relaxed) {
                if let Ok((len, peer)) = socket.recv_from(&mut buffer) {
                    // An error here is that of an earlier answer; the peer may ask again.
                    let _ = socket.send_to(&buffer[..len], peer);
                }
            }
        })
    }

    pub(crate) fn run(work: impl FnOnce(&AtomicBool) + Send + 'static) -> Station {
        let ended = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&ended);
        Station { ended, thread: Some(thread::spawn(move || work(&theirs))) }
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed where it happened.
            let _ = thread.join();
        }
    }
}

/// Answers one request of one client.
fn serve(stream: &TcpStream, name: &str) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_write_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let (mut body_len, mut line) = (0, String::new());
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            body_len = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or("/");
    let answer = if body_len > 0 {
        let received = std::io::copy(&mut reader.take(body_len), &mut std::io::sink())?;
        format!("{received}\n").into_bytes()
    } else if let Some(len) = path.strip_prefix("/bytes/") {
        vec![b'x'; len.parse().unwrap_or(0)]
    } else if path == "/peer" {
        format!("{}\n", stream.peer_addr()?.ip().to_canonical()).into_bytes()
    } else {
        format!("{name}\n").into_bytes()
    };
    let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
    let mut writer = stream;
    writer.write_all(head.as_bytes())?;
    writer.write_all(&answer)
}

/// A client's UDP socket, connected to `peer`, that waits at most 5 s for an answer.
pub fn udp_client(namespace: &Namespace, peer: &str) -> UdpSocket {
    let peer: SocketAddr = peer.parse().expect("address and port");
    let any = if peer.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = namespace.within(|| UdpSocket::bind(any).expect("a socket"));
    socket.connect(peer).expect("a route");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket");
    socket
}

/// Sends a datagram and returns the answer, or how it failed.
///
/// # Errors
/// What the kernel reports: refused, unreachable, or nothing in time.
pub fn ask(socket: &UdpSocket, question: &[u8]) -> Result<Vec<u8>, ErrorKind> {
    let mut buffer = vec![0; 65_535];
    socket.send(question).map_err(|e| e.kind())?;
    let len = socket.recv(&mut buffer).map_err(|e| e.kind())?;
    buffer.truncate(len);
    Ok(buffer)
}
