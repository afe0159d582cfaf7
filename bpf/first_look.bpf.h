/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tells at a glance most of the packets that are none of ours, by their ports. For programs that
 * write no packet: the kernel makes a packet writable before each program that does
 * (docs/decisions/0042).
 *
 * Reads settings, and the packet as far as it is plain and linear; nothing is copied.
 */
#ifndef TOPOLB_FIRST_LOOK_BPF_H
#define TOPOLB_FIRST_LOOK_BPF_H

#include "masquerade.bpf.h"
#include "parse.bpf.h"

enum { LOOK_NOT_OURS, LOOK_CLOSER, LOOK_PORTS };

/* Valid with LOOK_PORTS. */
struct look {
	__u16 source_port;
	__u16 destination_port;
	int may_be_to_node; /* to an address that masqueraded packets come from */
};

static __always_inline int look_at_ports(__u8 protocol, __u8 icmp, const __be16 *ports,
					 struct look *look)
{
	if (!is_forwarded_protocol(protocol)) {
		if (is_dsr_on() && (protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6))
			return LOOK_CLOSER;
		return protocol == icmp ? LOOK_CLOSER : LOOK_NOT_OURS;
	}
	look->source_port = bpf_ntohs(ports[0]);
	look->destination_port = bpf_ntohs(ports[1]);
	return LOOK_PORTS;
}

static __always_inline int look_at_ipv4(const struct iphdr *ip, const void *end,
					const struct topolb_settings *config, struct look *look)
{
	const __be16 *ports = (const void *)(ip + 1);

	if ((const void *)(ports + 2) > end || ip->version != 4 || ip->ihl != 5 ||
	    ip->frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET | IPV4_MORE_FRAGMENTS))
		return LOOK_CLOSER;
	look->may_be_to_node = may_be_masquerade(((const __u8 *)&ip->daddr)[3], config);
	return look_at_ports(ip->protocol, IPPROTO_ICMP, ports, look);
}

static __always_inline int look_at_ipv6(const struct ipv6hdr *ip, const void *end,
					const struct topolb_settings *config, struct look *look)
{
	const __be16 *ports = (const void *)(ip + 1);

	if ((const void *)(ports + 2) > end || ip->version != 6 || is_extension_header(ip->nexthdr))
		return LOOK_CLOSER;
	look->may_be_to_node = may_be_masquerade(((const __u8 *)&ip->daddr)[15], config);
	return look_at_ports(ip->nexthdr, IPPROTO_ICMPV6, ports, look);
}

/* Returns a LOOK_*. */
static __always_inline int look_at(const struct __sk_buff *ctx,
				   const struct topolb_settings *config, struct look *look)
{
	const void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const struct ethhdr *ethernet = data;

	if ((const void *)(ethernet + 1) > end)
		return LOOK_CLOSER;
	switch (ethernet->h_proto) {
	case bpf_htons(ETH_P_IP):
		return look_at_ipv4((const void *)(ethernet + 1), end, config, look);
	case bpf_htons(ETH_P_IPV6):
		return look_at_ipv6((const void *)(ethernet + 1), end, config, look);
	case bpf_htons(ETH_P_8021Q):
	case bpf_htons(ETH_P_8021AD):
		return LOOK_CLOSER;
	}
	return LOOK_NOT_OURS;
}

/* Whether a packet that comes in may be to a frontend, or the reply to a masqueraded one. */
static __always_inline int may_be_for_us(const struct look *look,
					 const struct topolb_settings *config)
{
	__u16 port = look->destination_port;

	return may_have_port(&config->frontend_ports, port) ||
	       (look->may_be_to_node && port >= config->masquerade_port_min &&
		port <= config->masquerade_port_max);
}

#endif
