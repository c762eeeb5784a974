/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "shim.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <rte_cycles.h>
#include <rte_log.h>

uint16_t shim_eth_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	return rte_eth_rx_burst(port, queue, pkts, n);
}
uint16_t shim_eth_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	return rte_eth_tx_burst(port, queue, pkts, n);
}
int shim_pktmbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **pkts, unsigned n)
{
	return rte_pktmbuf_alloc_bulk(pool, pkts, n);
}
void shim_pktmbuf_free(struct rte_mbuf *m) { rte_pktmbuf_free(m); }
int shim_pktmbuf_linearize(struct rte_mbuf *m) { return rte_pktmbuf_linearize(m); }
void shim_pktmbuf_truncate(struct rte_mbuf *m, uint32_t len)
{
	struct rte_mbuf *last = m;
	uint32_t left = len;
	uint16_t segs = 1;

	if (len >= m->pkt_len)
		return;
	while (left > last->data_len && last->next != NULL) {
		left -= last->data_len;
		last = last->next;
		segs++;
	}
	if (last->next != NULL)
		rte_pktmbuf_free(last->next);
	last->next = NULL;
	last->data_len = left;
	m->nb_segs = segs;
	m->pkt_len = len;
}
int shim_errno(void) { return rte_errno; }
unsigned shim_lcore_id(void) { return rte_lcore_id(); }
bool shim_lcore_is_any(void) { return rte_lcore_id() == LCORE_ID_ANY; }
uint64_t shim_tsc(void) { return rte_rdtsc(); }
int shim_log_to_stderr(void) { return rte_openlog_stream(stderr); }

int shim_eth_dev_info(uint16_t port, struct shim_dev_info *out)
{
	struct rte_eth_dev_info info;
	int rc;

	memset(out, 0, sizeof(*out));
	memset(&info, 0, sizeof(info));
	rc = rte_eth_dev_info_get(port, &info);
	if (rc != 0)
		return rc;
	if (info.driver_name != NULL)
		snprintf(out->driver, sizeof(out->driver), "%s", info.driver_name);
	out->if_index = info.if_index;
	out->min_rx_bufsize = info.min_rx_bufsize;
	out->max_rx_pktlen = info.max_rx_pktlen;
	out->min_mtu = info.min_mtu;
	out->max_mtu = info.max_mtu;
	out->max_rx_queues = info.max_rx_queues;
	out->max_tx_queues = info.max_tx_queues;
	out->default_rx_desc = info.default_rxportconf.ring_size;
	out->default_tx_desc = info.default_txportconf.ring_size;
	out->reta_size = info.reta_size;
	out->hash_key_size = info.hash_key_size;
	out->rx_offloads = info.rx_offload_capa;
	out->tx_offloads = info.tx_offload_capa;
	out->rss_types = info.flow_type_rss_offloads;
	return 0;
}

int shim_eth_configure(uint16_t port, const struct shim_eth_conf *in)
{
	struct rte_eth_conf conf;

	memset(&conf, 0, sizeof(conf));
	conf.rxmode.mtu = in->mtu;
	conf.rxmode.offloads = in->rx_offloads;
	conf.txmode.offloads = in->tx_offloads;
	if (in->rss_types != 0) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		/* DPDK takes a pointer to non-const and only reads it. */
		conf.rx_adv_conf.rss_conf.rss_key = (uint8_t *)(uintptr_t)in->rss_key;
		conf.rx_adv_conf.rss_conf.rss_key_len = in->rss_key_len;
		conf.rx_adv_conf.rss_conf.rss_hf = in->rss_types;
	}
	return rte_eth_dev_configure(port, in->rx_queues, in->tx_queues, &conf);
}

int shim_eth_link(uint16_t port, struct shim_link *out)
{
	struct rte_eth_link link;
	int rc;

	memset(out, 0, sizeof(*out));
	memset(&link, 0, sizeof(link));
	rc = rte_eth_link_get_nowait(port, &link);
	if (rc != 0)
		return rc;
	out->speed_mbps = link.link_speed;
	out->up = link.link_status == RTE_ETH_LINK_UP;
	out->full_duplex = link.link_duplex == RTE_ETH_LINK_FULL_DUPLEX;
	out->autoneg = link.link_autoneg == RTE_ETH_LINK_AUTONEG;
	return 0;
}

int shim_eth_stats(uint16_t port, struct shim_stats *out)
{
	struct rte_eth_stats stats;
	int rc;

	memset(out, 0, sizeof(*out));
	memset(&stats, 0, sizeof(stats));
	rc = rte_eth_stats_get(port, &stats);
	if (rc != 0)
		return rc;
	out->rx_packets = stats.ipackets;
	out->tx_packets = stats.opackets;
	out->rx_bytes = stats.ibytes;
	out->tx_bytes = stats.obytes;
	out->rx_missed = stats.imissed;
	out->rx_errors = stats.ierrors;
	out->tx_errors = stats.oerrors;
	out->rx_no_mbuf = stats.rx_nombuf;
	return 0;
}

#define RETA_GROUPS (RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE)

static int reta_mask(struct rte_eth_rss_reta_entry64 *groups, uint16_t size)
{
	uint16_t i;

	if (size == 0 || size > RTE_ETH_RSS_RETA_SIZE_512)
		return -EINVAL;
	memset(groups, 0, RETA_GROUPS * sizeof(*groups));
	for (i = 0; i < size; i++)
		groups[i / RTE_ETH_RETA_GROUP_SIZE].mask |=
			UINT64_C(1) << (i % RTE_ETH_RETA_GROUP_SIZE);
	return 0;
}

int shim_eth_reta_update(uint16_t port, const uint16_t *table, uint16_t size)
{
	struct rte_eth_rss_reta_entry64 groups[RETA_GROUPS];
	uint16_t i;
	int rc = reta_mask(groups, size);

	if (rc != 0)
		return rc;
	for (i = 0; i < size; i++)
		groups[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] = table[i];
	return rte_eth_dev_rss_reta_update(port, groups, size);
}

int shim_eth_reta_query(uint16_t port, uint16_t *table, uint16_t size)
{
	struct rte_eth_rss_reta_entry64 groups[RETA_GROUPS];
	uint16_t i;
	int rc = reta_mask(groups, size);

	if (rc != 0)
		return rc;
	rc = rte_eth_dev_rss_reta_query(port, groups, size);
	if (rc != 0)
		return rc;
	for (i = 0; i < size; i++)
		table[i] = groups[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE];
	return 0;
}

int shim_eth_rss_get(uint16_t port, uint8_t *key, uint8_t key_len, uint64_t *types)
{
	struct rte_eth_rss_conf conf;
	int rc;

	memset(&conf, 0, sizeof(conf));
	conf.rss_key = key;
	conf.rss_key_len = key_len;
	rc = rte_eth_dev_rss_hash_conf_get(port, &conf);
	*types = rc == 0 ? conf.rss_hf : 0;
	return rc;
}
