// SPDX-License-Identifier: MIT OR Apache-2.0
//! Raw bindings to the system's libdpdk. Use the `dpdk` crate instead wherever it reaches.
#![no_std]
#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals)]
#![allow(clippy::all, clippy::pedantic, missing_docs)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use core::ptr::null_mut;
    use std::{ffi::CString, vec::Vec};

    /// Frames written to `net_ring` come out unchanged: EAL, pool, burst calls and mbuf offsets all
    /// work with the libdpdk that is installed. Needs no root, no hugepages, no NIC.
    #[test]
    fn ring_round_trip_keeps_bytes() {
        let args = [
            "t",
            "--no-huge",
            "--no-pci",
            "--no-telemetry",
            "--no-shconf",
            "-m",
            "64",
            "--vdev=net_ring0",
            "--log-level=lib.eal:warning",
        ];
        let mut argv: Vec<_> = args.iter().map(|a| CString::new(*a).unwrap().into_raw()).collect();
        unsafe {
            assert!(
                rte_eal_init(argv.len() as i32, argv.as_mut_ptr()) >= 0,
                "rte_errno {}",
                shim_errno()
            );
            let pool = rte_pktmbuf_pool_create(
                c"t".as_ptr(),
                1023,
                0,
                0,
                RTE_MBUF_DEFAULT_BUF_SIZE as u16,
                -1,
            );
            let conf = shim_eth_conf { rx_queues: 1, tx_queues: 1, ..core::mem::zeroed() };
            assert_eq!(shim_eth_configure(0, &conf), 0);
            assert_eq!(rte_eth_rx_queue_setup(0, 0, 64, 0, core::ptr::null(), pool), 0);
            assert_eq!(rte_eth_tx_queue_setup(0, 0, 64, 0, core::ptr::null()), 0);
            assert_eq!(rte_eth_dev_start(0), 0);
            let mut m = [null_mut::<rte_mbuf>(); 1];
            assert_eq!(shim_pktmbuf_alloc_bulk(pool, m.as_mut_ptr(), 1), 0);
            let at = |m: *mut rte_mbuf, off: usize| m.cast::<u8>().add(off);
            let data = |m: *mut rte_mbuf| {
                let base = at(m, SHIM_MBUF_BUF_ADDR).cast::<*mut u8>().read();
                base.add(at(m, SHIM_MBUF_DATA_OFF).cast::<u16>().read() as usize)
            };
            at(m[0], SHIM_MBUF_DATA_LEN).cast::<u16>().write(60);
            at(m[0], SHIM_MBUF_PKT_LEN).cast::<u32>().write(60);
            for i in 0..60 {
                data(m[0]).add(i).write(i as u8);
            }
            assert_eq!(shim_eth_tx_burst(0, 0, m.as_mut_ptr(), 1), 1);
            m[0] = null_mut();
            assert_eq!(shim_eth_rx_burst(0, 0, m.as_mut_ptr(), 1), 1);
            assert!((0..60).all(|i| data(m[0]).add(i).read() == i as u8));
            shim_pktmbuf_free(m[0]);
        }
    }
}
