/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The one header bindgen reads: DPDK's own, then out-of-line twins of its `static inline`
 * functions, then constants for macros that bindgen cannot evaluate. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <rte_config.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_thash.h>
#include <rte_version.h>

/* Functions: one call per burst, never one per packet where it can be helped. */
uint16_t shim_eth_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t shim_eth_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
int shim_pktmbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **pkts, unsigned n);
void shim_pktmbuf_free(struct rte_mbuf *m);
int shim_pktmbuf_linearize(struct rte_mbuf *m);
/* Cuts a chain to `len` bytes and frees the segments that hold none of them. */
void shim_pktmbuf_truncate(struct rte_mbuf *m, uint32_t len);
int shim_errno(void);              /* rte_errno is a thread-local macro */
unsigned shim_lcore_id(void);
bool shim_lcore_is_any(void);      /* true in a thread that DPDK does not know */
uint64_t shim_tsc(void);
int shim_log_to_stderr(void);      /* keeps DPDK from opening a connection to syslog */

/* What the safe crate needs of the structures below, in a layout that no DPDK release changes:
 * 24.11 has bit fields and unions where 22.11 has members. */
struct shim_dev_info {
	char driver[64];
	uint32_t if_index;
	uint32_t min_rx_bufsize;
	uint32_t max_rx_pktlen;
	uint16_t min_mtu;
	uint16_t max_mtu;
	uint16_t max_rx_queues;
	uint16_t max_tx_queues;
	uint16_t default_rx_desc;
	uint16_t default_tx_desc;
	uint16_t reta_size;
	uint8_t hash_key_size;
	uint64_t rx_offloads;
	uint64_t tx_offloads;
	uint64_t rss_types;
};
int shim_eth_dev_info(uint16_t port, struct shim_dev_info *info);

struct shim_eth_conf {
	uint16_t rx_queues;
	uint16_t tx_queues;
	uint32_t mtu;                  /* 0: the driver's default */
	uint64_t rx_offloads;
	uint64_t tx_offloads;
	uint64_t rss_types;            /* 0: no RSS */
	const uint8_t *rss_key;        /* null: the driver's default */
	uint8_t rss_key_len;
};
int shim_eth_configure(uint16_t port, const struct shim_eth_conf *conf);

struct shim_link {
	uint32_t speed_mbps;           /* UINT32_MAX: unknown */
	bool up;
	bool full_duplex;
	bool autoneg;
};
int shim_eth_link(uint16_t port, struct shim_link *link);

struct shim_stats {
	uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes;
	uint64_t rx_missed, rx_errors, tx_errors, rx_no_mbuf;
};
int shim_eth_stats(uint16_t port, struct shim_stats *stats);

/* `table[i]` is the queue of bucket `i`; `size` is the device's `reta_size`, at most
 * SHIM_RETA_SIZE_MAX. */
int shim_eth_reta_update(uint16_t port, const uint16_t *table, uint16_t size);
int shim_eth_reta_query(uint16_t port, uint16_t *table, uint16_t size);
/* Reads back the hash types and, when `key` is not null, the key of `key_len` bytes. */
int shim_eth_rss_get(uint16_t port, uint8_t *key, uint8_t key_len, uint64_t *types);

static const uint16_t SHIM_RETA_SIZE_MAX = RTE_ETH_RSS_RETA_SIZE_512;
static const size_t SHIM_ETH_NAME_MAX_LEN = RTE_ETH_NAME_MAX_LEN;
static const uint32_t SHIM_VERSION_YEAR = RTE_VER_YEAR;
static const uint32_t SHIM_VERSION_MONTH = RTE_VER_MONTH;
static const uint32_t SHIM_VERSION_MINOR = RTE_VER_MINOR;

/* Offsets: bindgen's field paths differ between 22.11 and 24.11, these do not. */
static const size_t SHIM_MBUF_BUF_ADDR = offsetof(struct rte_mbuf, buf_addr);
static const size_t SHIM_MBUF_DATA_OFF = offsetof(struct rte_mbuf, data_off);
static const size_t SHIM_MBUF_NB_SEGS = offsetof(struct rte_mbuf, nb_segs);
static const size_t SHIM_MBUF_PORT = offsetof(struct rte_mbuf, port);
static const size_t SHIM_MBUF_OL_FLAGS = offsetof(struct rte_mbuf, ol_flags);
static const size_t SHIM_MBUF_PKT_LEN = offsetof(struct rte_mbuf, pkt_len);
static const size_t SHIM_MBUF_DATA_LEN = offsetof(struct rte_mbuf, data_len);
static const size_t SHIM_MBUF_VLAN_TCI = offsetof(struct rte_mbuf, vlan_tci);
static const size_t SHIM_MBUF_RSS_HASH = offsetof(struct rte_mbuf, hash.rss);
static const size_t SHIM_MBUF_BUF_LEN = offsetof(struct rte_mbuf, buf_len);
static const size_t SHIM_MBUF_NEXT = offsetof(struct rte_mbuf, next);
static const size_t SHIM_MBUF_TX_OFFLOAD = offsetof(struct rte_mbuf, tx_offload);

/* Positions of the lengths in `tx_offload`, and the largest value of each. */
static const uint32_t SHIM_TX_L2_LEN_SHIFT = RTE_MBUF_L2_LEN_OFS;
static const uint32_t SHIM_TX_L3_LEN_SHIFT = RTE_MBUF_L3_LEN_OFS;
static const uint32_t SHIM_TX_L2_LEN_MAX = (1u << RTE_MBUF_L2_LEN_BITS) - 1;
static const uint32_t SHIM_TX_L3_LEN_MAX = (1u << RTE_MBUF_L3_LEN_BITS) - 1;

/* Flags: RTE_BIT64() is a function-like macro, bindgen emits nothing for what is built on it, and
 * it types the rest as u32 or u64 by value. Here every flag is u64. */
static const uint64_t SHIM_ETH_RSS_IP = RTE_ETH_RSS_IP;
static const uint64_t SHIM_ETH_RSS_TCP = RTE_ETH_RSS_TCP;
static const uint64_t SHIM_ETH_RSS_UDP = RTE_ETH_RSS_UDP;
static const uint64_t SHIM_RX_OFFLOAD_IPV4_CKSUM = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
static const uint64_t SHIM_RX_OFFLOAD_TCP_CKSUM = RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
static const uint64_t SHIM_RX_OFFLOAD_UDP_CKSUM = RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
static const uint64_t SHIM_RX_OFFLOAD_RSS_HASH = RTE_ETH_RX_OFFLOAD_RSS_HASH;
static const uint64_t SHIM_RX_OFFLOAD_SCATTER = RTE_ETH_RX_OFFLOAD_SCATTER;
static const uint64_t SHIM_TX_OFFLOAD_IPV4_CKSUM = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
static const uint64_t SHIM_TX_OFFLOAD_TCP_CKSUM = RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
static const uint64_t SHIM_TX_OFFLOAD_UDP_CKSUM = RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
static const uint64_t SHIM_TX_OFFLOAD_MULTI_SEGS = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
static const uint64_t SHIM_MBUF_F_RX_RSS_HASH = RTE_MBUF_F_RX_RSS_HASH;
static const uint64_t SHIM_MBUF_F_RX_VLAN_STRIPPED = RTE_MBUF_F_RX_VLAN_STRIPPED;
static const uint64_t SHIM_MBUF_F_RX_L4_CKSUM_MASK = RTE_MBUF_F_RX_L4_CKSUM_MASK;
static const uint64_t SHIM_MBUF_F_RX_L4_CKSUM_BAD = RTE_MBUF_F_RX_L4_CKSUM_BAD;
static const uint64_t SHIM_MBUF_F_RX_L4_CKSUM_GOOD = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
static const uint64_t SHIM_MBUF_F_RX_IP_CKSUM_MASK = RTE_MBUF_F_RX_IP_CKSUM_MASK;
static const uint64_t SHIM_MBUF_F_RX_IP_CKSUM_BAD = RTE_MBUF_F_RX_IP_CKSUM_BAD;
static const uint64_t SHIM_MBUF_F_RX_IP_CKSUM_GOOD = RTE_MBUF_F_RX_IP_CKSUM_GOOD;
static const uint64_t SHIM_MBUF_F_TX_IPV4 = RTE_MBUF_F_TX_IPV4;
static const uint64_t SHIM_MBUF_F_TX_IPV6 = RTE_MBUF_F_TX_IPV6;
static const uint64_t SHIM_MBUF_F_TX_IP_CKSUM = RTE_MBUF_F_TX_IP_CKSUM;
static const uint64_t SHIM_MBUF_F_TX_TCP_CKSUM = RTE_MBUF_F_TX_TCP_CKSUM;
static const uint64_t SHIM_MBUF_F_TX_UDP_CKSUM = RTE_MBUF_F_TX_UDP_CKSUM;
static const uint64_t SHIM_MBUF_F_TX_OFFLOAD_MASK = RTE_MBUF_F_TX_OFFLOAD_MASK;
