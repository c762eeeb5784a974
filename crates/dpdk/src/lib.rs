// SPDX-License-Identifier: MIT OR Apache-2.0
//! Safe wrapper of the part of DPDK that the load balancer uses.
//!
//! [`Eal`] starts DPDK, once in a process. A [`Pool`] holds packet buffers, a [`Port`] is a network
//! card or a virtual device. Opening a port gives its [`RxQueue`]s and [`TxQueue`]s, which move to
//! the threads that use them; a frame is an owned [`Mbuf`].
//!
//! What may be used from which thread is in the types: control calls take a lock and may come from
//! anywhere, a queue has one owner and takes no lock, a buffer may move but not be shared.
//!
//! ```no_run
//! use arrayvec::ArrayVec;
//! use dpdk::{DATA_ROOM_DEFAULT, Eal, Pool, Port, PortConfig, VdevOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let spec = "af_packet:eth0".parse()?;
//! let eal = Eal::builder().memory_mb(256).port(spec, VdevOptions::default()).init()?;
//! let pool = Pool::new(&eal, "frames", 8191, 256, DATA_ROOM_DEFAULT)?;
//! let (port, mut rx, mut tx) =
//!     Port::open(&eal, eal.ports()[0], &PortConfig::default(), &[pool])?;
//! let worker = std::thread::spawn({
//!     let eal = eal.clone();
//!     let (mut rx, mut tx) = (rx.remove(0), tx.remove(0));
//!     move || -> Result<(), dpdk::EalError> {
//!         let _guard = eal.register_thread()?;
//!         let mut frames = ArrayVec::<_, 32>::new();
//!         loop {
//!             rx.burst(&mut frames);
//!             tx.burst(&mut frames);
//!             dpdk::free_bulk(&mut frames); // what the port did not take
//!         }
//!     }
//! });
//! println!("{} echoes", port.info().name);
//! # let _ = worker;
//! # Ok(()) }
//! ```

#![deny(
    unsafe_op_in_unsafe_fn,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block
)]

mod config;
mod eal;
mod error;
mod huge_alloc;
mod mbuf;
mod offload;
mod pool;
mod port;
mod port_info;
mod queue;
mod setup;
mod spec;
mod system;
mod thread;

pub use config::{EalConfig, Hugepages, LogLevel};
pub use eal::{Eal, PortId, version};
pub use error::{EalError, PoolError, PortError, PortSpecError};
pub use huge_alloc::HugeAlloc;
pub use mbuf::{Mbuf, NoRoom, Segments, free_bulk};
pub use offload::{Offloads, TxChecksums, TxOffload};
pub use pool::{DATA_ROOM_DEFAULT, HEADROOM, Pool};
pub use port::Port;
pub use port_info::{LinkStatus, MacAddress, PortConfig, PortInfo, PortStats, RssConfig, RssState};
pub use queue::{RxQueue, TxQueue};
pub use spec::{PortSpec, VdevOptions};
pub use system::free_hugepages_mb;
pub use thread::{ThreadGuard, pin_current_thread, tsc, tsc_hz};
