// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opening a port: what is asked for is fitted to what the device has, step by step.
//!
//! Every function here is called with the environment's lock held, on a port that exists and
//! has no queue in anybody's hands.

use std::ffi::{CStr, c_char};

use dpdk_sys::{shim_dev_info, shim_eth_conf};

use crate::{
    MacAddress, Offloads, Pool, PortConfig, PortError, PortId, PortInfo, RssState, error::describe,
    system,
};

/// Descriptors of a queue where neither the caller nor the driver has an opinion.
const DESC_DEFAULT: u16 = 1024;

/// Configures and starts the port.
pub(crate) fn bring_up(
    id: PortId,
    config: &PortConfig,
    pools: &[Pool],
) -> Result<PortInfo, PortError> {
    let name = name(id);
    let info = device_info(id, &name)?;
    check(&name, &info, config, pools)?;

    let supported = Offloads::from_dpdk(info.rx_offloads, info.tx_offloads);
    let offloads = config.offloads & supported;
    let rss_types = configure(id, &name, &info, config, offloads)?;
    if let Some(mtu) = config.mtu {
        set_mtu(id, &name, mtu)?;
    }
    let (rx_desc, tx_desc) = descriptors(id, &name, &info, config)?;
    for queue in 0..config.rx_queues {
        // One pool for all, or one for each: `check` has seen to it.
        let pool = pools.get(usize::from(queue)).or(pools.first());
        if let Some(pool) = pool {
            setup_rx(id, &name, queue, rx_desc, pool)?;
        }
    }
    for queue in 0..config.tx_queues {
        setup_tx(id, &name, queue, tx_desc)?;
    }
    // SAFETY: the port is configured with all its queues; module's condition.
    driver(&name, "start", unsafe { dpdk_sys::rte_eth_dev_start(id.0) })?;

    let is_promiscuous = set_promiscuous(id, &name, config.promiscuous)?;
    if !is_promiscuous {
        // Neighbour discovery needs multicast; a driver without the switch receives it anyway.
        // SAFETY: the port is configured; module's condition.
        let _ = unsafe { dpdk_sys::rte_eth_allmulticast_enable(id.0) };
    }
    let rss = spread(id, &info, config, rss_types);
    Ok(PortInfo {
        driver: text(&info.driver),
        interface: system::interface_name(info.if_index),
        mac: mac(id),
        mtu: mtu(id),
        mtu_max: info.max_mtu,
        rx_queues_max: info.max_rx_queues,
        tx_queues_max: info.max_tx_queues,
        rx_desc,
        tx_desc,
        offloads_supported: supported,
        offloads,
        rss,
        reta_size: info.reta_size,
        hash_key_size: info.hash_key_size,
        is_promiscuous,
        socket: socket(id),
        name,
    })
}

/// Turns a driver's answer into a result.
pub(crate) fn driver(port: &str, what: &'static str, rc: i32) -> Result<(), PortError> {
    if rc == 0 {
        return Ok(());
    }
    Err(PortError::Driver { port: port.to_owned(), what, reason: describe(rc) })
}

/// Refuses what the device cannot have, or what contradicts itself.
fn check(
    port: &str,
    info: &shim_dev_info,
    config: &PortConfig,
    pools: &[Pool],
) -> Result<(), PortError> {
    let queues = [
        ("receive", config.rx_queues, info.max_rx_queues),
        ("transmit", config.tx_queues, info.max_tx_queues),
    ];
    for (direction, wanted, available) in queues {
        if wanted > available {
            let port = port.to_owned();
            return Err(PortError::TooFewQueues { port, direction, wanted, available });
        }
    }
    let queues = config.rx_queues;
    if queues > 0 && pools.len() != 1 && pools.len() != usize::from(queues) {
        return Err(PortError::PoolCount { port: port.to_owned(), queues, pools: pools.len() });
    }
    let reta = config.rss.iter().flat_map(|rss| &rss.reta);
    if let Some(queue) = reta.copied().find(|queue| *queue >= queues) {
        return Err(PortError::RetaQueue { port: port.to_owned(), queue, queues });
    }
    Ok(())
}

/// Configures the port and says which hash types it was given; 0 for no spreading.
fn configure(
    id: PortId,
    name: &str,
    info: &shim_dev_info,
    config: &PortConfig,
    offloads: Offloads,
) -> Result<u64, PortError> {
    let wanted =
        dpdk_sys::SHIM_ETH_RSS_IP | dpdk_sys::SHIM_ETH_RSS_TCP | dpdk_sys::SHIM_ETH_RSS_UDP;
    let is_spread = config.rss.is_some() || config.rx_queues > 1;
    let key = hash_key(info, config);
    let mut conf = shim_eth_conf {
        rx_queues: config.rx_queues,
        tx_queues: config.tx_queues,
        mtu: config.mtu.map_or(0, u32::from),
        rx_offloads: offloads.rx_bits(),
        tx_offloads: offloads.tx_bits(),
        rss_types: if is_spread { wanted & info.rss_types } else { 0 },
        rss_key: key.map_or(std::ptr::null(), <[u8]>::as_ptr),
        rss_key_len: key.map_or(0, |_| info.hash_key_size),
    };
    // SAFETY: the port exists and is stopped; `conf` and the key that it points to, of
    // `rss_key_len` bytes, live through the call, which copies them; module's condition.
    let mut rc = unsafe { dpdk_sys::shim_eth_configure(id.0, &raw const conf) };
    if rc != 0 && conf.rss_types != 0 {
        // Some drivers name hash types that they then refuse: better without than not at all.
        conf.rss_types = 0;
        // SAFETY: as above.
        rc = unsafe { dpdk_sys::shim_eth_configure(id.0, &raw const conf) };
    }
    driver(name, "configure it", rc)?;
    Ok(conf.rss_types)
}

/// The part of the configuration's key that the device takes.
fn hash_key<'a>(info: &shim_dev_info, config: &'a PortConfig) -> Option<&'a [u8]> {
    let len = usize::from(info.hash_key_size);
    let rss = config.rss.as_ref()?;
    rss.key.get(..len).filter(|key| !key.is_empty())
}

/// Fits the numbers of descriptors to the device's limits.
fn descriptors(
    id: PortId,
    name: &str,
    info: &shim_dev_info,
    config: &PortConfig,
) -> Result<(u16, u16), PortError> {
    let choose = |wanted: u16, default: u16| {
        [wanted, default].into_iter().find(|count| *count != 0).unwrap_or(DESC_DEFAULT)
    };
    let mut rx = choose(config.rx_desc, info.default_rx_desc);
    let mut tx = choose(config.tx_desc, info.default_tx_desc);
    // SAFETY: the port exists; both numbers are writable for the call; module's condition.
    let rc = unsafe { dpdk_sys::rte_eth_dev_adjust_nb_rx_tx_desc(id.0, &raw mut rx, &raw mut tx) };
    driver(name, "fit its descriptors", rc)?;
    Ok((rx, tx))
}

fn setup_rx(id: PortId, name: &str, queue: u16, desc: u16, pool: &Pool) -> Result<(), PortError> {
    // SAFETY: the port is configured with the queue and stopped; no configuration means the
    // driver's; the pool outlives the port, for pools are never freed; module's condition.
    let rc = unsafe {
        dpdk_sys::rte_eth_rx_queue_setup(
            id.0,
            queue,
            desc,
            socket_or_any(id),
            std::ptr::null(),
            pool.as_ptr(),
        )
    };
    driver(name, "set up a receive queue", rc)
}

fn setup_tx(id: PortId, name: &str, queue: u16, desc: u16) -> Result<(), PortError> {
    // SAFETY: the port is configured with the queue and stopped; no configuration means the
    // driver's; module's condition.
    let rc = unsafe {
        dpdk_sys::rte_eth_tx_queue_setup(id.0, queue, desc, socket_or_any(id), std::ptr::null())
    };
    driver(name, "set up a transmit queue", rc)
}

/// Sets the MTU; a driver that has no such thing is no error.
pub(crate) fn set_mtu(id: PortId, name: &str, value: u16) -> Result<(), PortError> {
    // SAFETY: the port is configured; the caller holds the lock.
    match unsafe { dpdk_sys::rte_eth_dev_set_mtu(id.0, value) } {
        rc if rc == -nix::libc::ENOTSUP => Ok(()),
        rc => driver(name, "set its MTU", rc),
    }
}

/// Sets whether frames for other stations are received, and says whether they are. A driver
/// without the switch is no error.
pub(crate) fn set_promiscuous(id: PortId, name: &str, on: bool) -> Result<bool, PortError> {
    let rc = if on {
        // SAFETY: the port is configured; the caller holds the lock.
        unsafe { dpdk_sys::rte_eth_promiscuous_enable(id.0) }
    } else {
        // SAFETY: as above.
        unsafe { dpdk_sys::rte_eth_promiscuous_disable(id.0) }
    };
    if rc != -nix::libc::ENOTSUP {
        driver(name, "change promiscuous mode", rc)?;
    }
    // SAFETY: the port exists; the caller holds the lock.
    Ok(unsafe { dpdk_sys::rte_eth_promiscuous_get(id.0) } == 1)
}

/// Sets the indirection table, then reads back what the device does.
fn spread(id: PortId, info: &shim_dev_info, config: &PortConfig, types: u64) -> RssState {
    let mut state = RssState::default();
    if types == 0 {
        return state;
    }
    let mut key = [0; 255];
    let mut active = 0;
    // SAFETY: the port is started; `key` has room for any `key_len` of 8 bits and `active` for a
    // number; module's condition.
    let rc = unsafe {
        dpdk_sys::shim_eth_rss_get(id.0, key.as_mut_ptr(), info.hash_key_size, &raw mut active)
    };
    state.is_active = rc == 0 && active != 0;
    let len = usize::from(info.hash_key_size);
    state.is_key_set = state.is_active && hash_key(info, config) == key.get(..len);
    let reta = config.rss.as_ref().map_or(&[][..], |rss| &rss.reta);
    state.is_reta_set = state.is_active && set_reta(id, info.reta_size, reta);
    state
}

/// Fills the indirection table with `pattern`, and says whether the device has taken it.
fn set_reta(id: PortId, size: u16, pattern: &[u16]) -> bool {
    if size == 0 || size > dpdk_sys::SHIM_RETA_SIZE_MAX || pattern.is_empty() {
        return false;
    }
    let table: Vec<u16> = pattern.iter().copied().cycle().take(usize::from(size)).collect();
    // SAFETY: the port is started; `table` holds `size` entries, each a queue that exists, as
    // `check` has seen to; module's condition.
    let rc = unsafe { dpdk_sys::shim_eth_reta_update(id.0, table.as_ptr(), size) };
    if rc != 0 {
        return false;
    }
    let mut found = vec![u16::MAX; usize::from(size)];
    // SAFETY: the port is started; `found` has room for `size` entries; module's condition.
    let rc = unsafe { dpdk_sys::shim_eth_reta_query(id.0, found.as_mut_ptr(), size) };
    rc == 0 && found == table
}

fn device_info(id: PortId, name: &str) -> Result<shim_dev_info, PortError> {
    let mut info = shim_dev_info::default();
    // SAFETY: the port exists; `info` is writable for the call; module's condition.
    let rc = unsafe { dpdk_sys::shim_eth_dev_info(id.0, &raw mut info) };
    driver(name, "describe the device", rc)?;
    Ok(info)
}

/// The device's name. The caller holds the lock.
pub(crate) fn name(id: PortId) -> String {
    let mut name: [c_char; dpdk_sys::SHIM_ETH_NAME_MAX_LEN] = [0; dpdk_sys::SHIM_ETH_NAME_MAX_LEN];
    // SAFETY: `name` has the length that DPDK writes at most; a port that does not exist is an
    // error that leaves it empty.
    let _ = unsafe { dpdk_sys::rte_eth_dev_get_name_by_port(id.0, name.as_mut_ptr()) };
    text(&name)
}

/// The Ethernet address; zeros if the driver does not tell.
pub(crate) fn mac(id: PortId) -> MacAddress {
    let mut address = dpdk_sys::rte_ether_addr::default();
    // SAFETY: the port exists; `address` is writable for the call; the caller holds the lock.
    let _ = unsafe { dpdk_sys::rte_eth_macaddr_get(id.0, &raw mut address) };
    MacAddress(address.addr_bytes)
}

/// The MTU; 0 if the driver does not tell.
pub(crate) fn mtu(id: PortId) -> u16 {
    let mut mtu = 0;
    // SAFETY: the port exists; `mtu` is writable for the call; the caller holds the lock.
    let _ = unsafe { dpdk_sys::rte_eth_dev_get_mtu(id.0, &raw mut mtu) };
    mtu
}

fn socket(id: PortId) -> Option<u32> {
    // SAFETY: the port exists; module's condition.
    let socket = unsafe { dpdk_sys::rte_eth_dev_socket_id(id.0) };
    u32::try_from(socket).ok()
}

/// The NUMA node as DPDK takes it, where all ones stand for any.
fn socket_or_any(id: PortId) -> u32 {
    socket(id).unwrap_or(u32::MAX)
}

/// The text up to the first NUL.
fn text(characters: &[c_char]) -> String {
    let bytes: Vec<u8> = characters.iter().flat_map(|c| c.to_ne_bytes()).collect();
    CStr::from_bytes_until_nul(&bytes).unwrap_or_default().to_string_lossy().into_owned()
}
