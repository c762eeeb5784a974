// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel interface behind a port: a tap interface with the port's address, to which goes what
//! is addressed to us and not the dataplane's, and from which the host's own packets leave.

use anyhow::Context as _;
use dpdk::{Eal, MacAddress, Pool, Port, PortConfig, PortSpec, RxQueue, TxQueue, VdevOptions};

/// What the interface's name has after the port's.
const SUFFIX: &str = ".kni";

/// Longest port name that leaves room for the suffix: Linux allows 15 characters.
pub(crate) const PORT_NAME_LEN_MAX: usize = 15 - SUFFIX.len();

/// An open kernel interface. The first worker serves both directions.
#[derive(Debug)]
pub(crate) struct KernelInterface {
    /// Keeps it open.
    pub(crate) port: Port,
    /// What the kernel sends.
    pub(crate) rx: RxQueue,
    /// What it receives.
    pub(crate) tx: TxQueue,
}

/// The interface's name.
pub(crate) fn interface_name(port: &str) -> String {
    format!("{port}{SUFFIX}")
}

/// Makes and opens the kernel interface of a port.
///
/// # Errors
/// If there is no `/dev/net/tun`, no driver, no privilege, or the name is taken.
pub(crate) fn open(
    eal: &Eal,
    port: &str,
    mac: MacAddress,
    mtu: u16,
    pool: &Pool,
) -> anyhow::Result<KernelInterface> {
    let name = interface_name(port);
    let spec = PortSpec::Tap { interface: name.clone(), arguments: format!("mac={mac}") };
    let context = || format!("cannot make the kernel interface {name} of port {port}");
    let id = eal.attach(&spec, &VdevOptions::default()).with_context(context)?;
    let config = PortConfig { mtu: Some(mtu), ..PortConfig::default() };
    let (port, rx, tx) =
        Port::open(eal, id, &config, std::slice::from_ref(pool)).with_context(context)?;
    let (rx, tx) = rx.into_iter().next().zip(tx.into_iter().next()).with_context(context)?;
    Ok(KernelInterface { port, rx, tx })
}
