// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control sockets: clients in, answers out, one thread, one poll loop. One is for the API, one
//! is the door for stock tools.
//!
//! Every turn reads a bounded piece from each client that has sent something and carries out one
//! request of each, or a bounded number of writes that were sent together, so a client that floods
//! gets no more than its share. A client that does not take its answers is not read from.

mod authority;
mod batch;
mod client;
mod input;
mod socket;
mod writes;

use crate::control::{Control, ControlOptions};
use crate::ipvs;
use anyhow::Context as _;
use authority::Authority;
pub(crate) use authority::{Peer, Rights};
use client::Client;
use dpvs_api::{ErrorCode, RpcError};
use dpvs_core::tables::{Limits, Timeouts};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::SockType;
use socket::Socket;
use std::fmt;
use std::io::{ErrorKind, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Most clients at once, at each socket.
const CLIENTS_MAX: usize = 256;
/// Most of them that may not change anything, so that there is room for those who may.
const READERS_MAX: usize = 192;
/// Most clients accepted in one turn.
const ACCEPTS_MAX: usize = 32;
/// Time between two ticks.
const TICK: Duration = Duration::from_secs(1);
/// How long the answers on their way are waited for at the end.
const FINISH_MAX: Duration = Duration::from_secs(1);
/// Bytes of the buffer that all clients are read with.
const BUFFER_LEN: usize = 64 << 10;

/// What a reload may change: read again from the configuration file by its callback.
#[derive(Clone, Debug, Default)]
pub struct Reloaded {
    /// New limits.
    pub limits: Option<Limits>,
    /// New timeouts.
    pub timeouts: Option<Timeouts>,
}

struct Reload {
    signal: OwnedFd,
    read: Box<dyn FnMut() -> Reloaded + Send>,
}

/// The bound control sockets. Dropping it removes them.
pub struct Server {
    socket: Socket,
    door: Socket,
    authority: Authority,
    reload: Option<Reload>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// Takes the sockets' paths and listens there. To be called before DPDK starts: it is quick to tell
/// that another daemon runs.
///
/// # Errors
/// If another daemon listens there, or the directory or the groups are not to be had.
pub fn bind(options: &ControlOptions) -> anyhow::Result<Server> {
    let authority = Authority::new(options)?;
    let socket = socket::take(&options.socket, SockType::Stream, &authority)?;
    let door = socket::take(&options.ipvs_socket, SockType::SeqPacket, &authority)?;
    Ok(Server { socket, door, authority, reload: None })
}

impl Server {
    /// Calls `read` when `signal` becomes readable, as a signalfd of SIGHUP does, and publishes
    /// what it returns. The callback reads `signal` empty itself.
    pub fn on_reload(&mut self, signal: OwnedFd, read: Box<dyn FnMut() -> Reloaded + Send>) {
        self.reload = Some(Reload { signal, read });
    }

    /// Serves until `stop` becomes readable or `system.shutdown` is called, removes the socket and
    /// gives the control state back.
    ///
    /// # Errors
    /// If waiting for clients fails.
    pub fn run(self, control: Control, stop: OwnedFd) -> anyhow::Result<Control> {
        let mut turn = Turn {
            server: self,
            control,
            clients: Vec::new(),
            guests: Vec::new(),
            buffer: vec![0; BUFFER_LEN],
            has_work: false,
            ticked_at: Instant::now(),
            accept_after: None,
            stop,
        };
        while !turn.control.is_ending() && turn.take()? {}
        let deadline = Instant::now() + FINISH_MAX;
        for client in &mut turn.clients {
            client.finish(deadline);
        }
        Ok(turn.control)
    }
}

/// The poll loop's state.
struct Turn {
    server: Server,
    control: Control,
    clients: Vec<Client>,
    /// Those of the door.
    guests: Vec<ipvs::Client>,
    buffer: Vec<u8>,
    /// A client or the control state has more to do, whether or not something comes.
    has_work: bool,
    ticked_at: Instant,
    /// Nobody is accepted before, for want of files.
    accept_after: Option<Instant>,
    stop: OwnedFd,
}

/// What has happened.
#[derive(Default)]
struct Ready {
    stop: bool,
    reload: bool,
    accept: Vec<Entrance>,
    /// By client.
    clients: Vec<PollFlags>,
    /// By client of the door.
    guests: Vec<PollFlags>,
}

/// What ends a wait for input, and for room.
const INPUT: PollFlags = PollFlags::POLLIN.union(PollFlags::POLLHUP).union(PollFlags::POLLERR);
const ROOM: PollFlags = PollFlags::POLLOUT.union(PollFlags::POLLHUP).union(PollFlags::POLLERR);

impl Turn {
    /// Waits for something and does it; returns whether to go on.
    fn take(&mut self) -> anyhow::Result<bool> {
        let ready = self.wait()?;
        if ready.stop {
            return Ok(false);
        }
        let now = Instant::now();
        if ready.reload {
            self.reload();
        }
        for (client, events) in self.clients.iter_mut().zip(&ready.clients) {
            if events.intersects(INPUT) {
                client.receive(now, &mut self.buffer);
            }
            if events.intersects(ROOM) {
                client.flush(now);
            }
        }
        for (guest, events) in self.guests.iter_mut().zip(&ready.guests) {
            if events.intersects(INPUT) {
                guest.receive(now, &mut self.buffer);
            }
            if events.intersects(ROOM) {
                guest.flush(now);
            }
        }
        for entrance in ready.accept {
            self.accept(now, entrance);
        }
        self.has_work = false;
        for client in &mut self.clients {
            self.has_work |= client.work(&mut self.control, Instant::now());
        }
        for guest in &mut self.guests {
            self.has_work |= guest.work(&mut self.control, Instant::now());
        }
        if now.saturating_duration_since(self.ticked_at) >= TICK {
            self.ticked_at = now;
            self.control.tick();
        }
        self.has_work |= self.control.work();
        let now = Instant::now();
        self.clients.retain_mut(|client| !client.is_over(now));
        self.guests.retain(|guest| !guest.is_over(now));
        Ok(true)
    }

    fn wait(&mut self) -> anyhow::Result<Ready> {
        let now = Instant::now();
        let accepts = self.accept_after.is_none_or(|after| now >= after);
        let empty = PollFlags::empty();
        let when = |wanted| if wanted { PollFlags::POLLIN } else { empty };
        // Without a reload, the file to watch for it is one that never has anything.
        let reload = self.server.reload.as_ref().map(|reload| reload.signal.as_fd());
        let mut fds = vec![
            PollFd::new(self.stop.as_fd(), PollFlags::POLLIN),
            PollFd::new(reload.unwrap_or(self.stop.as_fd()), when(reload.is_some())),
            PollFd::new(self.server.socket.listener.as_fd(), when(accepts)),
            PollFd::new(self.server.door.listener.as_fd(), when(accepts)),
        ];
        fds.extend(self.clients.iter().map(|client| PollFd::new(client.as_fd(), client.events())));
        fds.extend(self.guests.iter().map(|guest| PollFd::new(guest.as_fd(), guest.events())));
        let timeout = if self.has_work {
            PollTimeout::ZERO
        } else {
            let next = (self.ticked_at + TICK).saturating_duration_since(now);
            // Rounded up, or the last millisecond would be spent in turns that do nothing.
            let millis = u16::try_from(next.as_millis() + 1).unwrap_or(1000);
            PollTimeout::from(millis)
        };
        match poll(&mut fds, timeout) {
            Ok(_) => {}
            Err(Errno::EINTR) => {
                return Ok(Ready::default());
            }
            Err(errno) => return Err(errno).context("cannot wait for clients"),
        }
        let mut events = fds.iter().map(|fd| fd.revents().unwrap_or(empty));
        let mut is_ready = || events.next().unwrap_or(empty).contains(PollFlags::POLLIN);
        let (stop, reload) = (is_ready(), is_ready());
        let mut accept = vec![Entrance::Api, Entrance::Door];
        accept.retain(|_| is_ready());
        let clients = events.by_ref().take(self.clients.len()).collect();
        Ok(Ready { stop, reload, accept, clients, guests: events.collect() })
    }

    fn reload(&mut self) {
        let Some(reload) = &mut self.server.reload else { return };
        let Reloaded { limits, timeouts } = (reload.read)();
        if limits.is_none() && timeouts.is_none() {
            return;
        }
        match self.control.reload(limits, timeouts) {
            Ok(()) => tracing::info!("limits and timeouts have been read again"),
            Err(error) => tracing::error!("reload: {error}"),
        }
    }

    fn accept(&mut self, now: Instant, entrance: Entrance) {
        self.accept_after = None;
        for _ in 0..ACCEPTS_MAX {
            let listener = match entrance {
                Entrance::Api => &self.server.socket.listener,
                Entrance::Door => &self.server.door.listener,
            };
            match listener.accept() {
                Ok((stream, _)) => self.admit(stream, now, entrance),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    // For want of files the same client would be there at once again.
                    tracing::warn!("cannot accept a client: {error}");
                    self.accept_after = Some(now + TICK);
                    return;
                }
            }
        }
    }

    fn admit(&mut self, mut stream: UnixStream, now: Instant, entrance: Entrance) {
        let peer = stream
            .set_nonblocking(true)
            .map_err(|error| error.to_string())
            .and_then(|()| self.server.authority.peer(&stream).map_err(|e| e.to_string()));
        let peer = match peer {
            Ok(peer) => peer,
            Err(error) => return tracing::warn!("cannot tell who a client is: {error}"),
        };
        if !self.has_room_for(peer, entrance) {
            tracing::warn!(uid = peer.uid, pid = peer.pid, "too many clients");
            if entrance == Entrance::Api {
                let error = RpcError::new(ErrorCode::Busy, "too many clients: try again later");
                // A new socket has room for a line; whoever cannot be told is not worth a wait.
                let _ = stream.write_all(&batch::error_line(error));
            }
            return;
        }
        match entrance {
            Entrance::Api => self.clients.push(Client::new(stream, peer, now)),
            Entrance::Door => self.guests.push(ipvs::Client::new(stream, peer, now)),
        }
    }

    fn has_room_for(&self, peer: Peer, entrance: Entrance) -> bool {
        let (all, writers) = match entrance {
            Entrance::Api => (
                self.clients.len(),
                self.clients.iter().filter(|client| client.is_writer()).count(),
            ),
            Entrance::Door => {
                (self.guests.len(), self.guests.iter().filter(|guest| guest.is_writer()).count())
            }
        };
        all < CLIENTS_MAX && (peer.rights == Rights::Write || all - writers < READERS_MAX)
    }
}

/// Which socket a client has come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entrance {
    Api,
    Door,
}
