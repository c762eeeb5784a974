// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sends frames from an interface at a given rate, as they are.

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockType, bind, sendmmsg, socket,
};
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Frames of one call to the kernel at most.
const BATCH: usize = 64;
/// Time that tokens gather before they are spent.
const TICK: Duration = Duration::from_micros(200);

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Frames that the interface took.
    pub frames: u64,
    /// Frames that it did not take.
    pub refused: u64,
    /// How long that took.
    pub elapsed: Duration,
}

impl Sent {
    /// Returns how many were sent a second.
    pub fn per_second(&self) -> u64 {
        let micros = self.elapsed.as_micros().max(1);
        u64::try_from(u128::from(self.frames) * 1_000_000 / micros).unwrap_or(u64::MAX)
    }
}

/// An interface that frames are sent from.
#[derive(Debug)]
pub struct Sender {
    socket: OwnedFd,
    address: LinkAddr,
}

impl Sender {
    /// Opens an interface of the calling thread's namespace.
    ///
    /// # Errors
    /// The kernel's; `NotFound` if there is no such interface.
    pub fn open(interface: &str) -> io::Result<Sender> {
        let address = getifaddrs()?
            .filter(|entry| entry.interface_name == interface)
            .find_map(|entry| entry.address.and_then(|address| address.as_link_addr().copied()))
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, interface.to_owned()))?;
        // Without a protocol it receives nothing.
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), None)?;
        bind(socket.as_raw_fd(), &address)?;
        Ok(Sender { socket, address })
    }

    /// Returns the interface's link address.
    pub fn link_address(&self) -> [u8; 6] {
        self.address.addr().unwrap_or_default()
    }

    /// Sends the frames again and again, `rate` a second (0 is as many as can be), until `seconds`
    /// have passed or `ended` is set. `each_second` is told what was sent so far.
    ///
    /// # Errors
    /// The kernel's, but for a queue that is full, which is counted.
    pub fn send(
        &self,
        frames: &[Vec<u8>],
        (rate, seconds): (u64, f64),
        ended: &AtomicBool,
        mut each_second: impl FnMut(Sent),
    ) -> io::Result<Sent> {
        let begin = Instant::now();
        let end = Duration::from_secs_f64(seconds);
        let mut headers = MultiHeaders::<LinkAddr>::preallocate(BATCH, None);
        let mut frames = frames.iter().cycle().peekable();
        let (mut sent, mut next_second) = (Sent::default(), Duration::from_secs(1));
        loop {
            sent.elapsed = begin.elapsed();
            if sent.elapsed >= end || ended.load(Ordering::Relaxed) || frames.peek().is_none() {
                return Ok(sent);
            }
            if sent.elapsed >= next_second {
                each_second(sent);
                next_second += Duration::from_secs(1);
            }
            let due = u128::from(rate) * sent.elapsed.as_micros() / 1_000_000;
            let due = usize::try_from(due).unwrap_or(usize::MAX);
            let gone = usize::try_from(sent.frames + sent.refused).unwrap_or(usize::MAX);
            let count = if rate == 0 { BATCH } else { due.saturating_sub(gone).min(BATCH) };
            if count < BATCH && rate > 0 && due < gone + BATCH {
                sleep(TICK);
            }
            if count > 0 {
                let slices: Vec<[IoSlice<'_>; 1]> =
                    frames.by_ref().take(count).map(|frame| [IoSlice::new(frame)]).collect();
                let taken = self.send_batch(&mut headers, &slices)?;
                sent.frames += u64::try_from(taken).expect("a count");
                sent.refused += u64::try_from(count - taken).expect("a count");
            }
        }
    }

    fn send_batch<'a>(
        &self,
        headers: &'a mut MultiHeaders<LinkAddr>,
        slices: &'a [[IoSlice<'a>; 1]],
    ) -> io::Result<usize> {
        let nowhere = vec![None; slices.len()];
        match sendmmsg(self.socket.as_raw_fd(), headers, slices, nowhere, [], MsgFlags::empty()) {
            Ok(results) => Ok(results.count()),
            Err(nix::Error::ENOBUFS | nix::Error::EAGAIN) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}
