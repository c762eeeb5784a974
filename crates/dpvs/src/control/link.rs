// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the API asks of a port. A trait, so that tests need no DPDK.

use super::LinkHandle;
use dpdk::{LinkStatus, Offloads, PortError};
use dpvs_api::types::{LinkInfo, LinkStats};
use dpvs_api::{ErrorCode, RpcError};

/// Smallest MTU that IPv4 allows (RFC 791).
const MTU_MIN: u32 = 68;

/// A change of one setting of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// Take frames for any link address.
    Promiscuous(bool),
    /// Bring the link up or down.
    Up(bool),
    /// Set the MTU.
    Mtu(u32),
}

/// A port, as far as the API goes.
pub trait LinkControl: Send {
    /// Returns what the port tells about itself; its queues are those that it has at most. Number,
    /// name and link address are filled in by the caller.
    fn info(&self) -> LinkInfo;

    /// Changes a setting.
    ///
    /// # Errors
    /// `Range` for an MTU that it cannot have, `NotSupported` if the driver refuses.
    fn change(&mut self, change: LinkChange) -> Result<(), RpcError>;

    /// Looks whether the device is still there; returns what is new about it, for the log. To be
    /// called about once a second.
    fn watch(&mut self) -> Option<String> {
        None
    }

    /// Returns the change that brings a setting back to where it stands, with `change` ahead.
    fn undo(&self, change: LinkChange) -> LinkChange {
        let info = self.info();
        match change {
            LinkChange::Promiscuous(_) => LinkChange::Promiscuous(info.promisc),
            LinkChange::Up(_) => LinkChange::Up(info.up),
            LinkChange::Mtu(_) => LinkChange::Mtu(info.mtu),
        }
    }
}

/// A port of DPDK.
pub(super) struct PortLink {
    handle: LinkHandle,
    is_promiscuous: bool,
    /// The Linux interface behind it, by name and number.
    interface: Option<(String, u32)>,
    is_gone: bool,
}

impl PortLink {
    pub(super) fn new(handle: LinkHandle) -> Self {
        let is_promiscuous = handle.port.info().is_promiscuous;
        let interface = handle.port.info().interface.clone().and_then(|name| {
            let index = nix::net::if_::if_nametoindex(name.as_str()).ok()?;
            Some((name, index))
        });
        PortLink { handle, is_promiscuous, interface, is_gone: false }
    }
}

impl LinkControl for PortLink {
    fn info(&self) -> LinkInfo {
        let LinkHandle { port, spec, pool, steering, kernel } = &self.handle;
        // A driver that cannot say counts as a link that is down, and as counters at zero.
        let link = port.link().unwrap_or(LinkStatus {
            up: false,
            speed_mbps: None,
            full_duplex: false,
            autoneg: false,
        });
        let stats = port.stats().unwrap_or_default();
        let free = u64::from(pool.available());
        LinkInfo {
            index: 0,
            device: String::new(),
            spec: spec.clone(),
            driver: port.info().driver.clone(),
            socket: port.info().socket.and_then(|node| i32::try_from(node).ok()).unwrap_or(-1),
            mtu: u32::from(port.mtu()),
            rx_queues: u32::from(port.info().rx_queues_max),
            tx_queues: u32::from(port.info().tx_queues_max),
            // Some drivers do not notice that their interface is gone.
            up: link.up && !self.is_gone,
            speed_mbps: link.speed_mbps.unwrap_or(0),
            full_duplex: link.full_duplex,
            autoneg: link.autoneg,
            promisc: self.is_promiscuous,
            allmulticast: false,
            kernel: kernel.is_some(),
            lladdr: String::new(),
            offloads: offload_names(port.info().offloads),
            steering: (*steering).to_owned(),
            stats: LinkStats {
                in_packets: stats.rx_packets,
                out_packets: stats.tx_packets,
                in_bytes: stats.rx_bytes,
                out_bytes: stats.tx_bytes,
                in_errors: stats.rx_errors,
                out_errors: stats.tx_errors,
                in_missed: stats.rx_missed,
                no_buffer: stats.rx_no_mbuf,
            },
            buffers_free: free,
            buffers_used: u64::from(pool.count()).saturating_sub(free),
        }
    }

    fn watch(&mut self) -> Option<String> {
        let (name, index) = self.interface.as_ref()?;
        let is_there = nix::net::if_::if_nametoindex(name.as_str()).is_ok_and(|i| i == *index);
        if is_there != self.is_gone {
            return None;
        }
        self.is_gone = !is_there;
        Some(if is_there {
            format!("interface {name} is there again")
        } else {
            format!("interface {name} is gone: restart dpvs once it is back")
        })
    }

    fn change(&mut self, change: LinkChange) -> Result<(), RpcError> {
        let port = &self.handle.port;
        match change {
            LinkChange::Promiscuous(on) => {
                self.is_promiscuous = port.set_promiscuous(on).map_err(|e| refused(&e))?;
                if self.is_promiscuous == on {
                    return Ok(());
                }
                let text = format!("{} cannot change which frames it takes", port.name());
                Err(RpcError::new(ErrorCode::NotSupported, text).at("promisc"))
            }
            LinkChange::Up(up) => port.set_link(up).map_err(|e| refused(&e).at("up")),
            LinkChange::Mtu(mtu) => {
                let max = u32::from(port.info().mtu_max);
                let range = || {
                    let text = format!("the MTU of {} is {MTU_MIN} to {max}", port.name());
                    RpcError::new(ErrorCode::Range, text).at("mtu")
                };
                if !(MTU_MIN..=max).contains(&mtu) {
                    return Err(range());
                }
                let mtu = u16::try_from(mtu).map_err(|_| range())?;
                port.set_mtu(mtu).map_err(|e| refused(&e).at("mtu"))
            }
        }
    }
}

fn refused(error: &PortError) -> RpcError {
    RpcError::new(ErrorCode::NotSupported, error.to_string())
}

fn offload_names(offloads: Offloads) -> Vec<String> {
    [
        (Offloads::RX_IPV4_CHECKSUM, "OF_RX_IP_CSUM"),
        (Offloads::RX_TCP_CHECKSUM, "OF_RX_TCP_CSUM"),
        (Offloads::RX_UDP_CHECKSUM, "OF_RX_UDP_CSUM"),
        (Offloads::RX_RSS_HASH, "OF_RX_RSS_HASH"),
        (Offloads::RX_SCATTER, "OF_RX_SCATTER"),
        (Offloads::TX_IPV4_CHECKSUM, "OF_TX_IP_CSUM"),
        (Offloads::TX_TCP_CHECKSUM, "OF_TX_TCP_CSUM"),
        (Offloads::TX_UDP_CHECKSUM, "OF_TX_UDP_CSUM"),
        (Offloads::TX_MULTI_SEGMENT, "OF_TX_MULTI_SEGS"),
    ]
    .into_iter()
    .filter(|(offload, _)| offloads.contains(*offload))
    .map(|(_, name)| name.to_owned())
    .collect()
}
