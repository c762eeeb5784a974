// SPDX-License-Identifier: MIT OR Apache-2.0
//! One client of the door: packets in, packets out.
//!
//! It is read from again when it has taken its answers, so what it may cost is bounded: a packet of
//! requests, a page of a listing.

use super::answer::answer;
use super::listing::Listing;
use super::message::Packets;
use super::request::{Request, decode};
use crate::api::Session;
use crate::control::Control;
use crate::server::{Peer, Rights};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{MsgFlags, recv, send};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How long a client may be silent that may only read. `keepalived` may say nothing for weeks.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// How long an answer may take to be taken.
const STALL_MAX: Duration = Duration::from_secs(60);

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    socket: UnixStream,
    peer: Peer,
    session: Session,
    /// Of the packet that came last.
    requests: std::vec::IntoIter<Request>,
    listing: Option<Listing>,
    packets: Packets,
    is_over: bool,
    /// When it last sent or took something.
    active_at: Instant,
}

impl Client {
    /// Takes a socket of packets that does not wait.
    pub(crate) fn new(socket: UnixStream, peer: Peer, now: Instant) -> Self {
        Client {
            socket,
            peer,
            session: Session::default(),
            requests: Vec::new().into_iter(),
            listing: None,
            packets: Packets::default(),
            is_over: false,
            active_at: now,
        }
    }

    /// Returns whether it may change anything.
    pub(crate) fn is_writer(&self) -> bool {
        self.peer.rights == Rights::Write
    }

    /// Returns what to wait for.
    pub(crate) fn events(&self) -> PollFlags {
        if !self.packets.is_empty() {
            PollFlags::POLLOUT
        } else if self.has_work() {
            PollFlags::empty()
        } else {
            PollFlags::POLLIN
        }
    }

    fn has_work(&self) -> bool {
        self.listing.is_some() || !self.requests.as_slice().is_empty()
    }

    /// Takes the packet that has come.
    pub(crate) fn receive(&mut self, now: Instant, buffer: &mut [u8]) {
        if self.has_work() || !self.packets.is_empty() {
            return;
        }
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        match recv(self.socket.as_raw_fd(), buffer, flags) {
            // The end, or a packet without bytes, which nobody sends who wants an answer.
            Ok(0) => self.is_over = true,
            Ok(len) => {
                self.active_at = now;
                let requests = match buffer.get(..len) {
                    Some(packet) => decode(packet),
                    None => Request::too_long(buffer).into_iter().collect(),
                };
                self.requests = requests.into_iter();
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => self.is_over = true,
        }
    }

    /// Carries out a request or a piece of a listing, if the client has taken what came before;
    /// returns whether there may be more to do.
    pub(crate) fn work(&mut self, control: &mut Control, now: Instant) -> bool {
        if self.is_over || !self.packets.is_empty() {
            return false;
        }
        if let Some(listing) = self.listing.take() {
            self.listing = listing.step(control, &mut self.session, &mut self.packets);
        } else if let Some(request) = self.requests.next() {
            let (session, packets) = (&mut self.session, &mut self.packets);
            self.listing = answer(&request, control, self.peer, session, packets);
        } else {
            return false;
        }
        self.flush(now);
        self.has_work()
    }

    /// Sends what the client takes.
    pub(crate) fn flush(&mut self, now: Instant) {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        while let Some(packet) = self.packets.front() {
            match send(self.socket.as_raw_fd(), packet, flags) {
                Ok(_) => {
                    self.packets.pop();
                    self.active_at = now;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => {
                    self.is_over = true;
                    return self.packets.clear();
                }
            }
        }
    }

    /// Returns whether it is to be forgotten.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        let silence = now.saturating_duration_since(self.active_at);
        let is_idle = !self.is_writer() && silence > IDLE_MAX;
        self.is_over || is_idle || (!self.packets.is_empty() && silence > STALL_MAX)
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
