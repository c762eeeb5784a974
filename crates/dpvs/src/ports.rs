// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opens the configured ports, each with as many queues as there are workers or as the device has.

use crate::config::PortSection;
use anyhow::Context as _;
use dpdk::{Eal, Offloads, Pool, Port, PortConfig, PortError, PortId, RssConfig, RxQueue, TxQueue};
use dpvs_core::steering::Steering;

/// Longest hash key of any device. Ours is repeated to that length; what is beyond its 40 bytes
/// meets no bit of an address or port.
const DEVICE_KEY_LEN_MAX: usize = 52;

/// An open port.
#[derive(Debug)]
pub(crate) struct OpenPort {
    /// Its control side.
    pub(crate) port: Port,
    /// Its receive queues, by worker; there may be fewer than workers.
    pub(crate) rx: Vec<RxQueue>,
    /// Its transmit queues, by worker; there may be fewer than workers.
    pub(crate) tx: Vec<TxQueue>,
    /// How frames find their workers: `single`, `rss` or `handoff`.
    pub(crate) steering: &'static str,
}

/// Opens a port.
///
/// # Errors
/// The driver's.
pub(crate) fn open(
    eal: &Eal,
    id: PortId,
    section: &PortSection,
    steering: &Steering,
    pool: &Pool,
) -> anyhow::Result<OpenPort> {
    let context = || format!("cannot open port {} on {}", section.name, section.device);
    let workers = u16::try_from(steering.workers()).unwrap_or(u16::MAX);
    let mut config = port_config(section, steering, workers);
    loop {
        match Port::open(eal, id, &config, std::slice::from_ref(pool)) {
            Ok((port, rx, tx)) => {
                let steering = steering_word(&port, rx.len(), steering.workers());
                return Ok(OpenPort { port, rx, tx, steering });
            }
            Err(PortError::TooFewQueues { direction, available, wanted, .. })
                if available > 0 && available < wanted =>
            {
                // Each turn lowers one of the two numbers, so this ends.
                if direction == "receive" {
                    config.rx_queues = available;
                    config.rss = Some(rss_config(steering, available));
                } else {
                    config.tx_queues = available;
                }
            }
            Err(error) => return Err(error).with_context(context),
        }
    }
}

fn port_config(section: &PortSection, steering: &Steering, queues: u16) -> PortConfig {
    // Software drivers would check in software what the packet's receiver checks anyway, and take
    // the partial checksums of local senders for wrong ones.
    let checks = Offloads::RX_IPV4_CHECKSUM
        | Offloads::RX_TCP_CHECKSUM
        | Offloads::RX_UDP_CHECKSUM
        | Offloads::RX_RSS_HASH;
    PortConfig {
        rx_queues: queues,
        tx_queues: queues,
        rx_desc: section.rx_desc,
        tx_desc: section.tx_desc,
        mtu: section.mtu,
        promiscuous: section.promiscuous,
        rss: (queues > 1).then(|| rss_config(steering, queues)),
        offloads: if section.device.is_pci() { checks } else { Offloads::empty() },
    }
}

/// The spreading that makes a frame arrive at its owner, where there is a queue for each worker;
/// an even one otherwise.
fn rss_config(steering: &Steering, queues: u16) -> RssConfig {
    let key = steering.key().iter().copied().cycle().take(DEVICE_KEY_LEN_MAX).collect();
    let reta = steering.reta().iter().map(|worker| u16::from(*worker) % queues.max(1)).collect();
    RssConfig { key, reta }
}

fn steering_word(port: &Port, rx_queues: usize, workers: usize) -> &'static str {
    let rss = port.info().rss;
    if workers == 1 {
        "single"
    } else if rx_queues == workers && rss.is_key_set && rss.is_reta_set {
        "rss"
    } else {
        "handoff"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpvs_core::steering::KEY_DEFAULT;

    #[test]
    fn a_device_with_fewer_queues_gets_a_table_that_names_no_other() {
        let steering = Steering::new(8, &KEY_DEFAULT);
        let config = rss_config(&steering, 3);
        assert!(config.reta.iter().all(|queue| *queue < 3));
        assert_eq!(config.key.len(), 52);
        assert_eq!(config.key[..40], KEY_DEFAULT);
        assert_eq!(rss_config(&steering, 8).reta[..9], [0, 1, 2, 3, 4, 5, 6, 7, 0]);
    }
}
