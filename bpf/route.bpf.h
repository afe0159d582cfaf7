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

static __always_inline struct bpf_fib_lookup lookup_of(const struct __sk_buff *ctx,
						       const struct step *step, __u16 length)
{
	struct bpf_fib_lookup lookup = {
		.l4_protocol = step->to.protocol,
		.sport = step->to.source_port_be,
		.dport = step->to.destination_port_be,
		.tot_len = length,
		.ifindex = ctx->ifindex,
	};

	fill_addresses(&lookup, &step->to);
	return lookup;
}

/* While the neighbour is not known, the kernel tells the MTU of what is too large only. 0: there
 * is none. */
static __always_inline __u32 mtu_without_neighbour(struct __sk_buff *ctx, const struct step *step)
{
	struct bpf_fib_lookup lookup = lookup_of(ctx, step, 0xffff);
	long result = bpf_fib_lookup(ctx, &lookup, sizeof(lookup), 0);

	return result == BPF_FIB_LKUP_RET_FRAG_NEEDED ? lookup.mtu_result : 0;
}

/* Asks the routing table. -1: there is no route. */
static __always_inline int look_up_route(struct __sk_buff *ctx, const struct step *step,
					 struct topolb_flow *flow)
{
	/* A packet of one byte passes, and makes the kernel tell the MTU. */
	struct bpf_fib_lookup lookup = lookup_of(ctx, step, 1);
	struct topolb_hop *hop = &flow->hops[step->is_reply & 1];
	__u32 mtu = 0;
	long result;

	result = bpf_fib_lookup(ctx, &lookup, sizeof(lookup), 0);
	if (result == BPF_FIB_LKUP_RET_SUCCESS)
		mtu = lookup.mtu_result;
	else if (result == BPF_FIB_LKUP_RET_NO_NEIGH)
		mtu = mtu_without_neighbour(ctx, step);
	else
		return -1;
	if (READ_ONCE(flow->generation) != step->generation)
		return -1;
	if (lookup.family == AF_INET)
		hop->address = ipv4_address(lookup.ipv4_dst);
	else
		__builtin_memcpy(&hop->address, lookup.ipv6_dst, sizeof(hop->address));
	hop->mtu = mtu > 0xffff ? 0xffff : mtu;
	barrier(); /* the interface says that the rest is there */
	hop->interface_index = lookup.ifindex;
	return 0;
}

/* The routes to backends are few, and the same whatever the ports: this CPU remembers them. */
static __always_inline struct topolb_route *remembered_route(const struct topolb_address *backend)
{
	const __u32 *words = (const __u32 *)backend;
	__u32 hash = (words[1] ^ words[2] ^ words[3] * 0x9e3779b1U) * 0x85ebca6bU;
	/* The upper bits: addresses of a subnet differ in the last byte, which is the upper one
	 * here. */
	__u32 row = (__u32)(((__u64)hash * TOPOLB_ROUTES) >> 32);

	return bpf_map_lookup_elem(&routes, &row);
}

static __always_inline int is_fresh(const struct topolb_route *route,
				    const struct topolb_address *destination)
{
	return route->hop.interface_index &&
	       (__u32)bpf_jiffies64() - route->found_tick < TOPOLB_FLOW_TOUCH_TICKS &&
	       same_address(&route->destination, destination);
}

__noinline __u32 topolb_masquerade_of_device(struct __sk_buff *ctx, const struct packet *packet,
					     const struct topolb_address *backend,
					     const struct topolb_settings *config)
{
	struct topolb_route *route;
	__u32 row, interface_index;

	if (!packet || !backend || !config)
		return 0;
	row = node_masquerade(packet->is_ipv4, config);
	route = remembered_route(backend);
	if (route && is_fresh(route, backend)) {
		interface_index = route->hop.interface_index;
	} else {
		struct bpf_fib_lookup lookup = {
			.l4_protocol = packet->key.protocol,
			.ifindex = ctx->ifindex,
			.tot_len = 1,
		};
		struct topolb_flow_key to = {.source = *masquerade_address(row, config),
					     .destination = *backend};
		long result;

		fill_addresses(&lookup, &to);
		result = bpf_fib_lookup(ctx, &lookup, sizeof(lookup), 0);
		interface_index =
			lookup.ifindex; /* the verifier wants it read before the branches */
		if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH)
			return row;
	}
	return device_masquerade(interface_index, packet->is_ipv4, config);
}

/*
 * The row of the address that a new flow to a backend comes from; 0: there is none. As kube-proxy's
 * MASQUERADE: the address of the device by which it leaves, if it has one. Most nodes have one
 * device, and no question.
 */
static __always_inline __u32 masquerade_to(struct __sk_buff *ctx, const struct packet *packet,
					   const struct topolb_address *backend,
					   const struct topolb_settings *config)
{
	__u32 row = node_masquerade(packet->is_ipv4, config);

	if (!row || !config->masquerade_device_count)
		return row;
	return topolb_masquerade_of_device(ctx, packet, backend, config);
}

/* Finds the next hop of a flow's packets, and keeps it with the flow. -1: there is none. */
__noinline int topolb_find_route(struct __sk_buff *ctx, const struct step *step)
{
	struct topolb_route *route;
	struct topolb_flow *flow;
	struct topolb_hop *hop;

	if (!step)
		return -1;
	flow = flow_of(step->flow_id);
	if (!flow)
		return -1;
	if (step->is_reply)
		return look_up_route(ctx, step, flow);
	route = remembered_route(&step->to.destination);
	if (!route)
		return -1;
	if (is_fresh(route, &step->to.destination)) {
		if (READ_ONCE(flow->generation) != step->generation)
			return -1;
		hop = &flow->hops[TOPOLB_TO_BACKEND];
		hop->address = route->hop.address;
		hop->mtu = route->hop.mtu;
		hop->interface_index = route->hop.interface_index;
		return 0;
	}
	if (look_up_route(ctx, step, flow))
		return -1;
	route->destination = step->to.destination;
	route->hop = flow->hops[TOPOLB_TO_BACKEND];
	route->found_tick = bpf_jiffies64();
	return 0;
}

/* The next hop of a flow's packets. NULL: there is none. */
static __always_inline struct topolb_hop *hop_of(struct __sk_buff *ctx, const struct step *step)
{
	struct topolb_flow *flow = flow_of(step->flow_id);
	struct topolb_hop *hop;

	if (!flow)
		return NULL;
	hop = &flow->hops[step->is_reply & 1];
	if (!hop->interface_index && topolb_find_route(ctx, step))
		return NULL;
	return hop;
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
	__u32 error = packet->is_ipv4 ? ICMP_ERROR(ICMP_TIME_EXCEEDED, 0)
				      : ICMP_ERROR(ICMPV6_TIME_EXCEED, 0);

	return topolb_send_icmp_error(ctx, packet, node, error, 0);
}

static __always_inline int refuse_too_big(struct __sk_buff *ctx, const struct packet *packet,
					  const struct topolb_address *node, __u32 mtu)
{
	__u32 error = packet->is_ipv4 ? ICMP_ERROR(ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED)
				      : ICMP_ERROR(ICMPV6_PKT_TOOBIG, 0);

	return topolb_send_icmp_error(ctx, packet, node, error, mtu);
}

static __always_inline int redirect_to(const struct topolb_hop *hop)
{
	struct bpf_redir_neigh neighbour = {.nh_family = AF_INET6};

	if (is_ipv4(&hop->address)) {
		neighbour.nh_family = AF_INET;
		neighbour.ipv4_nh = ipv4_of(&hop->address);
	} else {
		__builtin_memcpy(neighbour.ipv6_nh, &hop->address, sizeof(neighbour.ipv6_nh));
	}
	return bpf_redirect_neigh(hop->interface_index, &neighbour, sizeof(neighbour), 0);
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

/* What a router checks before it forwards a packet that will be longer by `overhead`. ROUTE_READY,
 * or the TC_ACT_* of its answer. */
static __always_inline int check_route(struct __sk_buff *ctx, const struct packet *packet,
				       const struct step *step, const struct topolb_hop *hop,
				       __u32 overhead)
{
	const struct topolb_address *node =
		step->is_reply ? &packet->key.destination : &step->to.source;

	if (!hop) {
		count_event(TOPOLB_EVENT_NO_ROUTE);
		return TC_ACT_SHOT;
	}
	if (packet->ttl <= 1)
		return refuse_expired(ctx, packet, node);
	if (hop->mtu && wire_length(ctx, packet) + overhead > hop->mtu)
		return refuse_too_big(ctx, packet, node, hop->mtu - overhead);
	return ROUTE_READY;
}

#endif
