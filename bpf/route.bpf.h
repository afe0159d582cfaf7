/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Forwards masqueraded packets in place of the stack, which takes a packet from outside
 * with the node's own address as its source for a forgery and drops it. As a router
 * would: TTL, MTU, next hop by the routing table and its rules. Everything else goes on
 * through the stack.
 */
#ifndef TOPOLB_ROUTE_BPF_H
#define TOPOLB_ROUTE_BPF_H

#include "reply.bpf.h"

#define AF_INET 2
#define AF_INET6 10

static __always_inline void fill_addresses(struct bpf_fib_lookup *lookup,
					   const struct topolb_flow_key *to)
{
	if (is_ipv4(&to->destination)) {
		lookup->family = AF_INET;
		lookup->ipv4_src = ipv4_of(&to->source);
		lookup->ipv4_dst = ipv4_of(&to->destination);
	} else {
		lookup->family = AF_INET6;
		__builtin_memcpy(lookup->ipv6_src, &to->source, sizeof(lookup->ipv6_src));
		__builtin_memcpy(lookup->ipv6_dst, &to->destination, sizeof(lookup->ipv6_dst));
	}
}

/* Finds the next hop of a flow's packets and keeps it in the entry. -1: there is none. */
static __noinline int find_route(struct __sk_buff *ctx, struct topolb_flow *flow)
{
	struct bpf_fib_lookup lookup = {
		.l4_protocol = flow->translated.protocol,
		.sport = flow->translated.source_port_be,
		.dport = flow->translated.destination_port_be,
		.tot_len = 1, /* passes, and makes the kernel tell the MTU */
		.ifindex = ctx->ifindex,
	};
	__u32 mtu = 0;
	long result;

	fill_addresses(&lookup, &flow->translated);
	result = bpf_fib_lookup(ctx, &lookup, sizeof(lookup), 0);
	if (result == BPF_FIB_LKUP_RET_SUCCESS) {
		mtu = lookup.mtu_result;
	} else if (result == BPF_FIB_LKUP_RET_NO_NEIGH) {
		bpf_check_mtu(ctx, lookup.ifindex, &mtu, 0, 0);
	} else {
		flow->interface_index = 0;
		return -1;
	}
	if (lookup.family == AF_INET)
		flow->next_hop = ipv4_address(lookup.ipv4_dst);
	else
		__builtin_memcpy(&flow->next_hop, lookup.ipv6_dst, sizeof(flow->next_hop));
	flow->mtu = mtu > 0xffff ? 0xffff : mtu;
	flow->interface_index = lookup.ifindex;
	return 0;
}

/* Bytes of the largest packet that this one, or each of its segments, is on the wire. */
static __always_inline __u32 wire_length(const struct __sk_buff *ctx, const struct packet *packet)
{
	__u32 headers = packet->l4_offset - packet->l3_offset;

	if (!ctx->gso_size)
		return packet->l3_length;
	return headers + ctx->gso_size +
	       (packet->key.protocol == IPPROTO_TCP ? sizeof(struct tcphdr)
						    : sizeof(struct udphdr));
}

static __always_inline int refuse_expired(struct __sk_buff *ctx, const struct packet *packet,
					  const struct topolb_address *node)
{
	struct icmp_error error = {
		.source = *node,
		.type = packet->is_ipv4 ? ICMP_TIME_EXCEEDED : ICMPV6_TIME_EXCEED,
	};

	return topolb_send_icmp_error(ctx, packet, &error);
}

static __always_inline int refuse_too_big(struct __sk_buff *ctx, const struct packet *packet,
					  const struct topolb_address *node, __u32 mtu)
{
	struct icmp_error error = {
		.source = *node,
		.type = packet->is_ipv4 ? ICMP_DEST_UNREACH : ICMPV6_PKT_TOOBIG,
		.code = packet->is_ipv4 ? ICMP_FRAG_NEEDED : 0,
		.mtu = mtu,
	};

	return topolb_send_icmp_error(ctx, packet, &error);
}

static __always_inline int redirect_to(__u32 interface_index, const struct topolb_address *next_hop)
{
	struct bpf_redir_neigh neighbour = {.nh_family = AF_INET6};

	if (is_ipv4(next_hop)) {
		neighbour.nh_family = AF_INET;
		neighbour.ipv4_nh = ipv4_of(next_hop);
	} else {
		__builtin_memcpy(neighbour.ipv6_nh, next_hop, sizeof(neighbour.ipv6_nh));
	}
	return bpf_redirect_neigh(interface_index, &neighbour, sizeof(neighbour), 0);
}

/*
 * A VLAN tag belongs to the link that the packet came by. The kernel keeps the outer one
 * beside the packet, or in it when a device gave it so.
 */
static __always_inline int drop_vlan_tags(struct __sk_buff *ctx, const struct packet *packet)
{
	if (!ctx->vlan_present && packet->l3_offset == ETH_HLEN)
		return 0;
	for (int tag = 0; tag < 3; tag++)
		if (bpf_skb_vlan_pop(ctx))
			return -1;
	return 0;
}

#define ROUTE_READY -2 /* no TC_ACT_* */

/* What a router checks before it forwards. ROUTE_READY, or the TC_ACT_* of its answer. */
static __always_inline int check_route(struct __sk_buff *ctx, const struct packet *packet,
				       struct topolb_flow *flow)
{
	const struct topolb_address *node = flow->flags & TOPOLB_FLOW_REPLY
						    ? &packet->key.destination
						    : &flow->translated.source;

	if (!flow->interface_index && find_route(ctx, flow)) {
		count_event(TOPOLB_EVENT_NO_ROUTE);
		return TC_ACT_SHOT;
	}
	if (packet->ttl <= 1)
		return refuse_expired(ctx, packet, node);
	if (flow->mtu && wire_length(ctx, packet) > flow->mtu)
		return refuse_too_big(ctx, packet, node, flow->mtu);
	return ROUTE_READY;
}

/* Sends a packet of a flow on: through the stack or by its own route. Returns a TC_ACT_*. */
static __always_inline int send(struct __sk_buff *ctx, const struct packet *packet,
				struct topolb_flow *flow)
{
	__u32 is_masqueraded = flow->flags & TOPOLB_FLOW_MASQUERADED;
	__u8 ttl = packet->ttl;

	if (is_masqueraded) {
		int action = check_route(ctx, packet, flow);

		if (action != ROUTE_READY)
			return action;
		ttl--;
	}
	if (rewrite(ctx, packet, &flow->translated, ttl) ||
	    (is_masqueraded && drop_vlan_tags(ctx, packet))) {
		count_event(TOPOLB_EVENT_FAILED);
		return TC_ACT_SHOT;
	}
	return is_masqueraded ? redirect_to(flow->interface_index, &flow->next_hop) : TC_ACT_UNSPEC;
}

#endif
