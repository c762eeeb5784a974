// SPDX-License-Identifier: MIT OR Apache-2.0
//! A port, opened: its control side. The queues go to the workers.

use std::{fmt, sync::Arc};

use crate::{
    Eal, LinkStatus, MacAddress, Pool, PortConfig, PortError, PortId, PortInfo, PortStats, RxQueue,
    TxQueue, eal::EalInner, setup,
};

/// An open port.
///
/// It is stopped and closed when it and all its queues are gone. DPDK then forgets the device: a
/// virtual one can be attached again after [`Eal::detach`], a card cannot before the next start.
///
/// ```no_run
/// # fn f(eal: &dpdk::Eal, pool: dpdk::Pool) -> Result<(), dpdk::PortError> {
/// use dpdk::{Port, PortConfig};
/// let id = eal.ports()[0];
/// let (port, mut rx, mut tx) = Port::open(eal, id, &PortConfig::default(), &[pool])?;
/// println!("{} has {}", port.info().name, port.mac());
/// let mut frames = arrayvec::ArrayVec::<_, 32>::new();
/// rx[0].burst(&mut frames);
/// tx[0].burst(&mut frames);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Port {
    inner: Arc<PortInner>,
    info: PortInfo,
}

/// What a port and its queues share: as long as it lives, the port is open.
pub(crate) struct PortInner {
    pub(crate) id: PortId,
    eal: Arc<EalInner>,
}

impl Port {
    /// Opens and starts a port, and gives its queues, in order.
    ///
    /// `pools` holds one pool for all receive queues, or one for each.
    ///
    /// # Errors
    /// If the port is not there or open already, has too few queues, or its driver refuses.
    pub fn open(
        eal: &Eal,
        id: PortId,
        config: &PortConfig,
        pools: &[Pool],
    ) -> Result<(Self, Vec<RxQueue>, Vec<TxQueue>), PortError> {
        let mut state = eal.inner().lock();
        // SAFETY: any number may be asked about; the lock keeps other control calls out.
        if unsafe { dpdk_sys::rte_eth_dev_is_valid_port(id.0) } == 0 {
            return Err(PortError::NoSuchPort(id));
        }
        if !state.open.insert(id) {
            return Err(PortError::AlreadyOpen(setup::name(id)));
        }
        let result = setup::bring_up(id, config, pools);
        if result.is_err() {
            state.open.remove(&id);
        }
        drop(state);
        let info = result?;
        let inner = Arc::new(PortInner { id, eal: Arc::clone(eal.inner()) });
        let rx = (0..config.rx_queues).map(|index| RxQueue::new(Arc::clone(&inner), index));
        let tx = (0..config.tx_queues).map(|index| TxQueue::new(Arc::clone(&inner), index));
        let (rx, tx) = (rx.collect(), tx.collect());
        Ok((Self { inner, info }, rx, tx))
    }

    /// DPDK's number of the port.
    pub fn id(&self) -> PortId {
        self.inner.id
    }

    /// What was found and agreed at opening.
    pub fn info(&self) -> &PortInfo {
        &self.info
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// The Ethernet address.
    pub fn mac(&self) -> MacAddress {
        let _state = self.inner.eal.lock();
        setup::mac(self.id())
    }

    /// The MTU.
    pub fn mtu(&self) -> u16 {
        let _state = self.inner.eal.lock();
        setup::mtu(self.id())
    }

    /// Sets the MTU. Some drivers do so only while the port is stopped.
    ///
    /// # Errors
    /// The driver's.
    pub fn set_mtu(&self, mtu: u16) -> Result<(), PortError> {
        let _state = self.inner.eal.lock();
        setup::set_mtu(self.id(), self.name(), mtu)
    }

    /// The state of the link. Does not wait for it to come up.
    ///
    /// # Errors
    /// The driver's.
    pub fn link(&self) -> Result<LinkStatus, PortError> {
        let mut link = dpdk_sys::shim_link::default();
        let _state = self.inner.eal.lock();
        // SAFETY: the port is open; `link` is writable for the call; the lock is held.
        let rc = unsafe { dpdk_sys::shim_eth_link(self.id().0, &raw mut link) };
        setup::driver(self.name(), "read its link", rc)?;
        let is_known = link.speed_mbps != 0 && link.speed_mbps != u32::MAX;
        Ok(LinkStatus {
            up: link.up,
            speed_mbps: is_known.then_some(link.speed_mbps),
            full_duplex: link.full_duplex,
            autoneg: link.autoneg,
        })
    }

    /// Sets the link up or down, as an administrator does.
    ///
    /// # Errors
    /// The driver's; many virtual devices have no such thing.
    pub fn set_link(&self, up: bool) -> Result<(), PortError> {
        let _state = self.inner.eal.lock();
        let rc = if up {
            // SAFETY: the port is open; the lock is held.
            unsafe { dpdk_sys::rte_eth_dev_set_link_up(self.id().0) }
        } else {
            // SAFETY: the port is open; the lock is held.
            unsafe { dpdk_sys::rte_eth_dev_set_link_down(self.id().0) }
        };
        setup::driver(self.name(), "set its link", rc)
    }

    /// What the port has counted.
    ///
    /// # Errors
    /// The driver's.
    pub fn stats(&self) -> Result<PortStats, PortError> {
        let mut stats = dpdk_sys::shim_stats::default();
        let _state = self.inner.eal.lock();
        // SAFETY: the port is open; `stats` is writable for the call; the lock is held.
        let rc = unsafe { dpdk_sys::shim_eth_stats(self.id().0, &raw mut stats) };
        setup::driver(self.name(), "read its counters", rc)?;
        Ok(PortStats {
            rx_packets: stats.rx_packets,
            rx_bytes: stats.rx_bytes,
            rx_missed: stats.rx_missed,
            rx_errors: stats.rx_errors,
            rx_no_mbuf: stats.rx_no_mbuf,
            tx_packets: stats.tx_packets,
            tx_bytes: stats.tx_bytes,
            tx_errors: stats.tx_errors,
        })
    }

    /// Sets whether frames for other stations are received, and says whether they are.
    ///
    /// # Errors
    /// The driver's; a driver without the switch is no error.
    pub fn set_promiscuous(&self, on: bool) -> Result<bool, PortError> {
        let _state = self.inner.eal.lock();
        setup::set_promiscuous(self.id(), self.name(), on)
    }

    /// Stops the port. Its queues must be handed in, so that nobody uses them meanwhile; bursts
    /// on a stopped port do nothing, and DPDK complains of them.
    ///
    /// # Errors
    /// [`PortError::NotItsQueues`] if one is missing, or the driver's.
    pub fn stop(&mut self, rx: &mut [RxQueue], tx: &mut [TxQueue]) -> Result<(), PortError> {
        self.check_queues(rx, tx)?;
        let _state = self.inner.eal.lock();
        // SAFETY: the port is open; no burst runs, for all its queues are borrowed by `rx` and
        // `tx`, as checked; the lock is held.
        let rc = unsafe { dpdk_sys::rte_eth_dev_stop(self.id().0) };
        setup::driver(self.name(), "stop", rc)
    }

    /// Starts the port again.
    ///
    /// # Errors
    /// As [`Port::stop`].
    pub fn start(&mut self, rx: &mut [RxQueue], tx: &mut [TxQueue]) -> Result<(), PortError> {
        self.check_queues(rx, tx)?;
        let _state = self.inner.eal.lock();
        // SAFETY: the port is open with all its queues set up; no burst runs, for all of them
        // are borrowed by `rx` and `tx`, as checked; the lock is held.
        let rc = unsafe { dpdk_sys::rte_eth_dev_start(self.id().0) };
        setup::driver(self.name(), "start", rc)
    }

    /// Stops and closes the port, as dropping it with all its queues does.
    ///
    /// # Errors
    /// [`PortError::NotItsQueues`] if one is missing: the port closes when that one is dropped.
    pub fn close(self, mut rx: Vec<RxQueue>, mut tx: Vec<TxQueue>) -> Result<(), PortError> {
        self.check_queues(&mut rx, &mut tx)
    }

    /// Whether these are all the queues that are alive, and no others.
    fn check_queues(&self, rx: &mut [RxQueue], tx: &mut [TxQueue]) -> Result<(), PortError> {
        // Nobody else makes clones of `inner`, so the count can only fall meanwhile, which errs on
        // the safe side. The exclusive borrows show that no queue is counted twice.
        let alive = Arc::strong_count(&self.inner) - 1;
        let are_ours = rx.iter().map(|queue| &queue.port).chain(tx.iter().map(|queue| &queue.port));
        let are_ours = are_ours.into_iter().all(|port| Arc::ptr_eq(port, &self.inner));
        if are_ours && rx.len() + tx.len() == alive {
            return Ok(());
        }
        Err(PortError::NotItsQueues(self.info.name.clone()))
    }
}

impl fmt::Debug for PortInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortInner").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for PortInner {
    fn drop(&mut self) {
        let mut state = self.eal.lock();
        // SAFETY: the port is open, and no queue of it is left; the lock is held.
        let _ = unsafe { dpdk_sys::rte_eth_dev_stop(self.id.0) };
        // SAFETY: as above, and the port is stopped.
        let _ = unsafe { dpdk_sys::rte_eth_dev_close(self.id.0) };
        state.open.remove(&self.id);
    }
}
