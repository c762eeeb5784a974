// SPDX-License-Identifier: MIT OR Apache-2.0
//! Floods a balancer with random ICMP frames, or writes them to a file.
#![allow(clippy::print_stdout, reason = "a program")]

use clap::Parser;
use dpvs_tests::flood::sender::{Sender, Sent};
use dpvs_tests::flood::{Aim, Flow, Frames, capture};
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// Floods a balancer with random ICMP frames of every type and code, right ones and wrong ones.
/// The same seed makes the same frames.
#[derive(Debug, Parser)]
struct Arguments {
    /// The interface to send from.
    #[arg(long, required_unless_present = "write")]
    interface: Option<String>,
    /// The balancer's link address.
    #[arg(long, value_parser = link_address)]
    mac: [u8; 6],
    /// An address to flood: virtual, local or own; may be given more than once.
    #[arg(long, required = true)]
    to: Vec<IpAddr>,
    /// An address that most messages come from; may be given more than once.
    #[arg(long)]
    from: Vec<IpAddr>,
    /// A packet that the balancer sends, tcp,10.0.0.100:80,10.1.0.10:40000, for errors to quote; may
    /// be given more than once.
    #[arg(long)]
    quote: Vec<Flow>,
    /// Frames a second; 0 is as many as can be.
    #[arg(long, default_value_t = 200_000)]
    rate: u64,
    /// How long to send.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Which flood.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Frames that are made before the first is sent; they are sent again and again.
    #[arg(long, default_value_t = 400_000)]
    frames: usize,
    /// Writes the frames to this capture file instead of sending them.
    #[arg(long)]
    write: Option<PathBuf>,
}

fn link_address(text: &str) -> Result<[u8; 6], String> {
    let bytes: Result<Vec<u8>, _> = text.split(':').map(|b| u8::from_str_radix(b, 16)).collect();
    let bytes = bytes.ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| format!("{text:?} is not a link address"))
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let sender = arguments.interface.as_deref().map(Sender::open).transpose()?;
    let aim = Aim {
        from: sender.as_ref().map_or([2, 0, 0, 0, 0, 1], Sender::link_address),
        to: arguments.mac,
        sources: arguments.from,
        targets: arguments.to,
        flows: arguments.quote,
    };
    let frames: Vec<_> = Frames::new(&aim, arguments.seed).take(arguments.frames).collect();
    if let Some(path) = arguments.write {
        return capture::write(&path, &frames);
    }
    let Some(sender) = sender else { return Ok(()) };
    let mut before = Sent::default();
    let told = |sent: Sent| {
        let second = sent.elapsed.as_secs();
        println!("second {second}: {} frames", sent.frames - before.frames);
        before = sent;
    };
    let pace = (arguments.rate, arguments.seconds);
    let sent = sender.send(&frames, pace, &AtomicBool::new(false), told)?;
    println!(
        "sent {} frames in {:.2} s, {} a second, {} refused by the interface",
        sent.frames,
        sent.elapsed.as_secs_f64(),
        sent.per_second(),
        sent.refused
    );
    Ok(())
}
