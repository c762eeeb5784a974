// SPDX-License-Identifier: MIT OR Apache-2.0
//! Binds the system's libdpdk: `pkg-config` finds it, `cc` builds `csrc/shim.c`, `bindgen` reads
//! `csrc/shim.h`.
//!
//! Debian packages: `libdpdk-dev libclang-dev pkg-config gcc`. No `clang` binary is needed.

use std::{env, path::PathBuf, process::Command};

/// Exported DPDK functions that this workspace calls. One that DPDK drops fails the build of its
/// caller, not of this crate. `static inline` functions are not here: they are in `csrc/shim.h`.
const FUNCTIONS: &[&str] = &[
    "rte_eal_init",
    "rte_eal_cleanup",
    "rte_eal_get_runtime_dir",
    "rte_eal_hotplug_add",
    "rte_eal_hotplug_remove",
    "rte_strerror",
    "rte_get_tsc_hz",
    "rte_thread_register",
    "rte_thread_unregister",
    "rte_pktmbuf_pool_create",
    "rte_pktmbuf_free_bulk",
    "rte_mempool_avail_count",
    "rte_mempool_in_use_count",
    "rte_eth_dev_is_valid_port",
    "rte_eth_dev_get_port_by_name",
    "rte_eth_dev_get_name_by_port",
    "rte_eth_dev_socket_id",
    "rte_eth_dev_adjust_nb_rx_tx_desc",
    "rte_eth_rx_queue_setup",
    "rte_eth_tx_queue_setup",
    "rte_eth_dev_start",
    "rte_eth_dev_stop",
    "rte_eth_dev_close",
    "rte_eth_dev_get_mtu",
    "rte_eth_dev_set_mtu",
    "rte_eth_dev_set_link_up",
    "rte_eth_dev_set_link_down",
    "rte_eth_macaddr_get",
    "rte_eth_promiscuous_enable",
    "rte_eth_promiscuous_disable",
    "rte_eth_promiscuous_get",
    "rte_eth_allmulticast_enable",
];

/// DPDK types that Rust must never look into. `rte_mbuf` is here because 24.11 moved its fields
/// into anonymous unions: use the offsets in `csrc/shim.h`.
const OPAQUE: &[&str] = &["rte_mbuf", "rte_mempool"];

/// Archives for `--features static`. The first two lines are drivers: they register themselves
/// in ELF constructors, so the linker must keep every object of theirs.
const STATIC_LIBS: &[&str] = &[
    "rte_net_af_packet",
    "rte_net_null",
    "rte_net_pcap",
    "rte_net_ring",
    "rte_net_tap",
    "rte_bus_vdev",
    "rte_mempool_ring",
    "rte_gso",
    "rte_hash",
    "rte_ethdev",
    "rte_meter",
    "rte_net",
    "rte_mbuf",
    "rte_mempool",
    "rte_rcu",
    "rte_ring",
    "rte_eal",
    "rte_telemetry",
    "rte_argparse",
    "rte_kvargs",
    "rte_log",
];

/// Oldest DPDK release this crate is tested with.
const VERSION_MIN: (u32, u32) = (22, 11);

fn main() {
    println!("cargo:rerun-if-changed=csrc");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_LIBDIR");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_SYSROOT_DIR");

    let version = pkg_config(&["--modversion"]).concat();
    let mut parts = version.split('.').map(|p| p.parse::<u32>().unwrap_or(0));
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    assert!(
        found >= VERSION_MIN,
        "libdpdk {version} is too old: {VERSION_MIN:?} or newer is needed"
    );
    println!("cargo:version={version}"); // DEP_DPDK_VERSION for dependents' build scripts

    link();

    // Every flag, not only -I: `-include rte_config.h` and `-march=` belong to DPDK's ABI, and the
    // `pkg-config` crate drops them.
    let cflags = pkg_config(&["--cflags"]);
    let mut shim = cc::Build::new();
    shim.file("csrc/shim.c").opt_level(3).warnings(false);
    for flag in &cflags {
        shim.flag(flag);
    }
    shim.compile("dpdk_shim");

    let mut bindings = bindgen::Builder::default()
        .header("csrc/shim.h")
        .clang_args(&cflags)
        .use_core()
        .generate_comments(false)
        .derive_default(true)
        .prepend_enum_name(false)
        .allowlist_function("shim_.*")
        .allowlist_var("SHIM_.*|RTE_PKTMBUF_HEADROOM|RTE_MBUF_DEFAULT_BUF_SIZE|RTE_MAX_LCORE")
        .wrap_unsafe_ops(true)
        .rust_edition(bindgen::RustEdition::Edition2024);
    for name in FUNCTIONS {
        bindings = bindings.allowlist_function(name);
    }
    for name in OPAQUE {
        bindings = bindings.opaque_type(name);
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    bindings
        .generate()
        .expect("bindgen failed; on Debian: apt-get install libclang-dev")
        .write_to_file(out.join("bindings.rs"))
        .expect("cannot write bindings.rs");
}

/// Tells cargo what to link. `rustc-link-arg` would not reach a dependent's binary, so the
/// order-sensitive output of `pkg-config --static --libs` cannot be passed on as it is.
fn link() {
    if env::var_os("CARGO_FEATURE_STATIC").is_none() {
        for flag in pkg_config(&["--libs"]) {
            if let Some(lib) = flag.strip_prefix("-l") {
                println!("cargo:rustc-link-lib=dylib={lib}");
            } else if let Some(dir) = flag.strip_prefix("-L") {
                println!("cargo:rustc-link-search=native={dir}");
            }
        }
        return;
    }
    let libs = pkg_config(&["--static", "--libs"]);
    for flag in &libs {
        if let Some(dir) = flag.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={dir}");
        }
    }
    let libdir = Command::new("pkg-config")
        .args(["--variable=libdir", "libdpdk"])
        .output()
        .expect("pkg-config");
    println!("cargo:rustc-link-search=native={}", String::from_utf8_lossy(&libdir.stdout).trim());
    for lib in STATIC_LIBS {
        // rte_log exists since 23.11, rte_argparse since 24.03.
        if libs.contains(&format!("-l:lib{lib}.a")) {
            println!("cargo:rustc-link-lib=static:+whole-archive,-bundle={lib}");
        }
    }
    for lib in ["numa", "bsd", "pcap"] {
        println!("cargo:rustc-link-lib=dylib={lib}");
    }
}

/// Runs `pkg-config ARGS libdpdk` and splits what it prints.
fn pkg_config(args: &[&str]) -> Vec<String> {
    let out = Command::new("pkg-config")
        .args(args)
        .arg("libdpdk")
        .output()
        .expect("pkg-config is not installed; on Debian: apt-get install pkg-config");
    assert!(
        out.status.success(),
        "pkg-config {args:?} libdpdk: {}on Debian: apt-get install libdpdk-dev",
        String::from_utf8_lossy(&out.stderr)
    );
    let text = String::from_utf8(out.stdout).expect("pkg-config prints UTF-8");
    text.split_whitespace().map(str::to_owned).collect()
}
